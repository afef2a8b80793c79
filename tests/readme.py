"""`make check-readme`: whether the README's console blocks are true.

    python -m tests.readme            diff each block with a real run; exit 1 when one is not true
    python -m tests.readme --write    put what the commands really print into the README

A block is checked when the line before it is `<!-- readme: help -->` (its output must be equal) or
`<!-- readme: run -->` (it must have the same lines once what changes from day to day is masked:
digests, numbers, sizes, versions, seconds). In a block, `$ ` begins a command, which bash runs in
the project's folder, and a line `…` stands for any lines. stderr is no part of it.
"""

from __future__ import annotations

import difflib
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

README = Path(__file__).parent.parent / "README.md"
COLUMNS = "100"

_BLOCK = re.compile(
    r"(?P<head><!-- readme: (?P<kind>help|run) -->\n```console\n)(?P<body>.*?)(?P<tail>^```$)",
    re.DOTALL | re.MULTILINE,
)
_MASKS = (
    (re.compile(r"sha256:[0-9a-f]{4,64}"), "sha256:#"),
    (re.compile(r"[█░]+"), "|"),
    (re.compile(r"(?<![\w/.])[+-]?\d[\w.,:+~-]*"), "#"),  # numbers, versions, dates
    (re.compile(r"# ?(?:B|[kMGT]B|%|s|ms)(?!\w)"), "#"),
    (re.compile(r"[ \t]+"), " "),
)


class Step(NamedTuple):
    """A command as the block shows it, and the lines that it is said to print."""

    shown: str
    output: list[str]

    @property
    def command(self) -> str:
        return self.shown.removeprefix("$ ")


def steps(body: str) -> Iterator[Step]:
    """The commands of a block; a backslash at the end of a line goes on with the command."""
    step: Step | None = None
    for line in body.splitlines():
        if step is not None and not step.output and step.shown.endswith("\\"):
            step = Step(f"{step.shown}\n{line}", [])
        elif line.startswith("$ "):
            if step is not None:
                yield step
            step = Step(line, [])
        elif step is not None:
            step.output.append(line)
    if step is not None:
        yield step


def run(command: str) -> list[str]:
    """What the command prints on stdout; an exception when it fails."""
    tools = Path(sys.executable).parent
    outside = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command],
        cwd=README.parent,
        env={**outside, "PATH": f"{tools}:{os.environ['PATH']}", "COLUMNS": COLUMNS},
        stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    return [line.rstrip() for line in done.stdout.splitlines()]


def masked(line: str) -> str:
    """`line` without what changes from day to day."""
    for pattern, stand_in in _MASKS:
        line = pattern.sub(stand_in, line)
    return line.strip()


def agrees(told: Sequence[str], printed: Sequence[str]) -> bool:
    """Whether the lines are those that were told; a told `…` stands for any, none included."""
    if "…" not in told:
        return list(told) == list(printed)
    gap = list(told).index("…")
    if list(told[:gap]) != list(printed[:gap]):
        return False
    rest = told[gap + 1 :]
    return any(agrees(rest, printed[start:]) for start in range(gap, len(printed) + 1))


def differences(text: str) -> Iterator[str]:
    """A diff for each command that prints something else than `text` tells."""
    for block in _BLOCK.finditer(text):
        change = masked if block["kind"] == "run" else str
        for step in steps(block["body"]):
            told = [change(line) for line in step.output]
            printed = [change(line) for line in run(step.command)]
            if not agrees(told, printed):
                yield from difflib.unified_diff(
                    told, printed, "README.md", step.command, lineterm=""
                )


def rewritten(text: str) -> str:
    """`text` with what the commands of its blocks print now."""

    def block(match: re.Match[str]) -> str:
        lines = [line for step in steps(match["body"]) for line in (step.shown, *run(step.command))]
        return f"{match['head']}{chr(10).join(lines)}\n{match['tail']}"

    return _BLOCK.sub(block, text)


def main() -> int:
    text = README.read_text()
    if "--write" in sys.argv[1:]:
        README.write_text(rewritten(text))
        return 0
    found = list(differences(text))
    print("\n".join(found or ["README.md is true"]))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
