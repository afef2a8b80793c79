"""From a line of a log to what it asks for and the plan removed."""

from __future__ import annotations

import pytest

from careen.plan.blame import blame
from tests.builders import Lnk, Reg
from tests.elf_builder import elf
from tests.plan.scenes import drawn, pkg, scene

GONE = pkg(
    "gone",
    "/usr/lib/libx.so.1",
    "/usr/lib/libx.so.1.2",
    "/usr/bin/tool",
    "/usr/lib/python3/a/b.py",
    "/usr/share/perl5/A/B.pm",
    "/usr/share/zoneinfo/Europe/Paris",
    "/usr/share/gone/data",
    "/etc/services",
)
NODES = [
    Lnk("usr/lib/libx.so.1", "libx.so.1.2"),
    Reg("usr/lib/libx.so.1.2", elf()),
    Reg("usr/bin/tool", elf(), 0o755),
    Reg("entry.sh", "#!/usr/bin/tool\n", 0o755),
]
LIBRARY = {"/usr/lib/libx.so.1", "/usr/lib/libx.so.1.2"}
TOOL = {"/usr/bin/tool"}
DATA = {"/usr/share/gone/data"}
LINES = {
    "app: error while loading shared libraries: libx.so.1: cannot open shared object file": LIBRARY,
    "Error loading shared library libx.so.1: No such file or directory (needed by /a)": LIBRARY,
    "cannot load libx.so.1": LIBRARY,
    "failed to open the library libx.so.1": LIBRARY,
    "sh: 1: tool: not found": TOOL,
    "bash: line 3: tool: command not found": TOOL,
    "env: \u2018tool\u2019: No such file or directory": TOOL,
    'exec: "tool": executable file not found in $PATH': TOOL,
    "/entry.sh: /usr/bin/tool: bad interpreter: No such file or directory": TOOL,
    "exec /entry.sh: no such file or directory": TOOL,
    "FileNotFoundError: [Errno 2] No such file or directory: 'tool'": TOOL,
    "ModuleNotFoundError: No module named 'a.b'": {"/usr/lib/python3/a/b.py"},
    "Can't locate A/B.pm in @INC (you may need to install A::B)": {"/usr/share/perl5/A/B.pm"},
    "No time zone found with key Europe/Paris": {"/usr/share/zoneinfo/Europe/Paris"},
    "OSError: service/proto not found": {"/etc/services"},
    'open("/usr/share/gone/data") failed (2: No such file or directory)': DATA,
    "cat: /usr/share/gone/data: No such file or directory": DATA,
    "could not open /usr/share/gone/data.": DATA,
    "reading /usr/share/gone/data": set(),
    "tool is fine": set(),
    "other: not found": set(),
    "": set(),
}


@pytest.mark.parametrize("line", LINES)
def test_a_line(line: str) -> None:
    source = scene([pkg("app", "/usr/bin/app"), GONE], NODES)
    plan = drawn(source, ["/usr/bin/app"])
    found = list(blame(["before", line], source, plan))
    assert {one.path for one in found} == LINES[line]
    assert {(one.line, one.package) for one in found} <= {(2, "gone")}


def test_what_many_lines_ask_for_is_told_once() -> None:
    source = scene([pkg("app", "/usr/bin/app"), GONE], NODES)
    plan = drawn(source, ["/usr/bin/app"])
    assert len(list(blame(["sh: tool: not found"] * 5, source, plan))) == 1


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "line", ["a" * 2_000_000, "/a" * 1_000_000, "a.so" * 500_000, "'a" * 10**6]
)
def test_a_line_of_any_length_is_read(line: str) -> None:
    source = scene([pkg("app", "/usr/bin/app"), GONE], NODES)
    plan = drawn(source, ["/usr/bin/app"])
    lines = [line, f"{line}: not found", f"cannot open {line}"]
    assert list(blame(lines, source, plan)) == []
