"""The commands that the documents show have the options that careen has."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from careen.cli.app import main

HERE = Path(__file__).parent.parent
DOCUMENTS = [HERE / "README.md", *sorted((HERE / "docs").glob("*.md"))]
_BLOCK = re.compile(r"^```(?:sh|yaml)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_COMMAND = re.compile(r"(?<![\w./$-])careen (?:profile )?[a-z]+ ")
_ENDS = frozenset([";", "|", "||", "&", "&&", ">", "<<<", ")"])


def shown(text: str) -> Iterator[list[str]]:
    """The words of each careen command in the text's blocks; a line that goes on is joined."""
    for block in _BLOCK.findall(text):
        joined = re.sub(r"\s*\\?\n\s+(?=-{1,2}\w|docker:)", " ", block)
        for line in joined.splitlines():
            for found in _COMMAND.finditer(line):
                lexer = shlex.shlex(line[found.start() :], posix=True, punctuation_chars=True)
                lexer.whitespace_split = True
                words = []
                for word in lexer:
                    if word in _ENDS:
                        break
                    words.append(word)
                yield words[1:]


@cache
def options(command: tuple[str, ...]) -> frozenset[str]:
    """What `careen COMMAND --help` names."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        assert main([*command, "--help"]) == 0
    return frozenset(re.findall(r"(?<![\w-])--?\w[\w-]*", printed.getvalue()))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_option_exists(document: Path) -> None:
    for words in shown(document.read_text()):
        command = tuple(words[: 2 if words[0] == "profile" else 1])
        given = {word.partition("=")[0] for word in words if re.match("--?[a-z]", word)}
        assert given <= options(command), words


def test_a_wrong_option_would_be_found() -> None:
    lines = "careen plan a \\\n    --prophile b | cat", "x; careen profile check p i --max-age 3"
    text = "\n".join(["```sh", *lines, "```", ""])
    assert list(shown(text)) == [
        ["plan", "a", "--prophile", "b"],
        ["profile", "check", "p", "i", "--max-age", "3"],
    ]
    assert "--prophile" not in options(("plan",))
    assert "--max-age" in options(("profile", "check"))
