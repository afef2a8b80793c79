"""`docs/findings.md` explains every rule that careen emits, and no other."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from careen.verify import rules

ROOT = Path(__file__).parents[1]
NAME = re.compile(r"[a-z]+(-[a-z]+)+")


def emitted() -> Iterator[str]:
    """The rules' names in the modules that make findings; a name has a hyphen, or verify lists it.

    Every text of that shape counts: a new one that is no rule must be told apart here.
    """
    yield from (*rules.AGAINST, *rules.ALONE)
    for file in sorted((ROOT / "src/careen").rglob("*.py")):
        tree = ast.parse(file.read_text())
        imported = {
            alias.name
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and node.module == "careen.finding"
            for alias in node.names
        }
        if "Finding" in imported and "cli" not in file.parts:
            for node in ast.walk(tree):
                value = node.value if isinstance(node, ast.Constant) else None
                if isinstance(value, str) and NAME.fullmatch(value):
                    yield value


def documented() -> list[str]:
    text = (ROOT / "docs/findings.md").read_text()
    return re.findall(r"^\| `([a-z-]+)` \|", text, re.MULTILINE)


def test_every_rule_is_explained() -> None:
    assert sorted(set(documented())) == sorted(set(emitted()))


def test_verify_emits_what_it_publishes() -> None:
    folder = ROOT / "src/careen/verify"
    texts = "".join(file.read_text() for file in folder.glob("*.py") if file.name != "rules.py")
    published = {*rules.AGAINST, *rules.ALONE}
    assert {name for name in published if f'"{name}"' not in texts} == set()
