"""The judge of the README must itself see a lie; and the README's help text is true."""

from __future__ import annotations

import pytest

from tests import readme

BLOCK = "<!-- readme: {} -->\n```console\n$ {}\n{}\n```\n"


@pytest.mark.parametrize(
    ("told", "printed"),
    [
        ("digest  sha256:ab12cd", "digest sha256:" + "0" * 64),
        ("libc6  2.36-9+deb12u9  13.0 MB  why", "libc6 2.36-9+deb12u10 999 kB why"),
        ("packages 102 28 -73 % ██████░░░░", "packages 103 29 -72 % ███░░░"),
        ("wrote it in 3.2 s", "wrote it in 11 s"),
        ("perl-base  5.36.0-7+deb12u2", "perl-base 5.36.0-8"),
        ("Gone: 74 packages, 62.1 MB", "Gone: 9 packages, 1,200 B"),
    ],
)
def test_masks_hide_what_changes(told: str, printed: str) -> None:
    assert readme.masked(told) == readme.masked(printed)


@pytest.mark.parametrize(
    ("told", "printed"),
    [
        ("libc6 2.36 13 MB", "libssl3 2.36 13 MB"),
        ("/usr/lib/python3.11", "/usr/lib/python3.12"),
        ("Gone: 74 packages", "Kept: 74 packages"),
        ("PONG", "PING"),
        ("shells 4 0", "shells 4"),
    ],
)
def test_masks_hide_nothing_else(told: str, printed: str) -> None:
    assert readme.masked(told) != readme.masked(printed)


@pytest.mark.parametrize(
    ("told", "printed", "agree"),
    [
        (["a", "b"], ["a", "b"], True),
        (["a", "b"], ["a", "b", "c"], False),
        (["a", "…", "c"], ["a", "b", "b", "c"], True),
        (["a", "…", "c"], ["a", "c"], True),
        (["a", "…"], ["a", "x"], True),
        (["a", "…", "c"], ["a", "b"], False),
        (["…", "b", "…", "b"], ["a", "b", "c"], False),
    ],
)
def test_dots_stand_for_any_lines(told: list[str], printed: list[str], agree: bool) -> None:
    assert readme.agrees(told, printed) is agree


def test_commands_go_on_after_a_backslash() -> None:
    assert list(readme.steps("$ echo a \\\n  b\na b\n$ true\n")) == [
        readme.Step("$ echo a \\\n  b", ["a b"]),
        readme.Step("$ true", []),
    ]


@pytest.mark.parametrize(
    ("kind", "command", "output", "true"),
    [
        ("help", "echo a 1", "a 1", True),
        ("help", "echo a 1", "a 2", False),
        ("run", "echo a 1", "a 2", True),
        ("run", "echo a 1", "b 1", False),
    ],
)
def test_a_lie_is_found(kind: str, command: str, output: str, true: bool) -> None:
    text = BLOCK.format(kind, command, output)
    assert (list(readme.differences(text)) == []) is true
    assert list(readme.differences(readme.rewritten(text))) == []


def test_a_command_that_fails_is_an_error() -> None:
    with pytest.raises(Exception, match="exit status 3"):
        list(readme.differences(BLOCK.format("run", "exit 3", "")))


def test_the_help_text_in_the_readme_is_true() -> None:
    text = readme.README.read_text()
    blocks = [block for block in readme._BLOCK.finditer(text) if block["kind"] == "help"]
    assert blocks
    assert not [line for block in blocks for line in readme.differences(block[0])]
