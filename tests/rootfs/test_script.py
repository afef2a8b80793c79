"""Shebang lines: judged by the kernel that runs them, and by env(1)."""

from __future__ import annotations

import errno
import os
import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from careen.rootfs.script import Script, parse


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("#!/bin/sh\n", Script(interpreter="/bin/sh")),
        ("#!/bin/sh", Script(interpreter="/bin/sh")),
        ("#! \t /bin/sh -e  -u \nrest", Script(interpreter="/bin/sh", argument="-e  -u")),
        ("#!/bin/sh\r\n", Script(interpreter="/bin/sh\r")),
        ("#!\n", None),
        ("#!   \n/bin/sh", None),
        ("# !/bin/sh\n", None),
        ("#!/" + "x" * 300, None),
        (
            "#!/bin/sh " + "x" * 300 + "\n",
            Script(interpreter="/bin/sh", argument="x" * (255 - len("#!/bin/sh "))),
        ),
        ("#!busybox sh\n", Script(interpreter="busybox", argument="sh")),
        ("#!/b\udcffn\n", Script(interpreter="/b\udcffn")),
    ],
    ids=repr,
)
def test_first_lines(line: str, expected: Script | None) -> None:
    assert parse(line.encode("utf-8", "surrogateescape")) == expected


@pytest.mark.parametrize(
    ("argument", "program"),
    [
        ("python3", "python3"),
        ("python3 -u", "python3 -u"),
        ("-S python3 -u", "python3"),
        ("-Spython3 -u", "python3"),
        ("-iS python3", "python3"),
        ("-S -i -u HOME LANG=C A=b=c python3 -c", "python3"),
        ("-S -uHOME --unset=LANG --ignore-environment perl", "perl"),
        ("-S --chdir / perl", "perl"),
        ("-S -- perl -w", "perl"),
        ("--split-string=perl -w", "perl"),
        ("-S 'perl' -w", "perl"),
        ("-S 'perl", ""),
        ("-S A=b", ""),
        ("", ""),
    ],
)
def test_what_env_runs(argument: str, program: str, tmp_path: Path) -> None:
    script = parse(f"#!/usr/bin/env {argument}\n".encode())
    assert script is not None
    assert script.program == program
    if "-i" not in argument:  # with it, env forgets this PATH before it looks
        assert started_by_env(argument, tmp_path) == program


def started_by_env(argument: str, folder: Path) -> str:
    """The name that env(1) itself runs, "" for none."""
    for name in ("python3", "perl", "python3 -u"):
        (folder / name).write_text('#!/bin/sh\nprintf %s "${0##*/}"\n')
        (folder / name).chmod(0o755)
    command = ["/usr/bin/env", *([argument] if argument else []), "-P"][: 2 if argument else 1]
    result = subprocess.run(
        command, capture_output=True, check=False, text=True, env={"PATH": str(folder)}
    )
    return result.stdout if result.stdout in os.listdir(folder) else ""


LINES = st.lists(
    st.sampled_from([b" ", b"\t", b"@", b"a", b"-b", b"\0", b"x" * 110, b"y" * 113])
).map(b"".join)


@settings(max_examples=150, deadline=None)
@given(LINES, st.sampled_from([b"\n", b"", b"\n@ c"]))
def test_the_kernel_reads_the_same(line: bytes, end: bytes) -> None:
    """`@` becomes a link to echo, which prints the argument that the kernel made."""
    with tempfile.TemporaryDirectory() as folder:
        echo, path = Path(folder, "e"), Path(folder, "script")
        echo.symlink_to("/bin/echo")
        content = (b"#!" + line + end).replace(b"@", os.fsencode(echo))
        script = parse(content)
        expected = None
        if script is not None and script.interpreter == str(echo):
            expected = f"{script.argument} {path}".lstrip()
        assert printed(path, content) == expected


def printed(path: Path, content: bytes) -> str | None:
    """What the script prints, None when the kernel finds nothing to run."""
    path.write_bytes(content)
    path.chmod(0o755)
    try:
        result = subprocess.run([path], capture_output=True, check=True, cwd="/")
    except OSError as error:
        if error.errno in (errno.ENOEXEC, errno.ENOENT, errno.EACCES, errno.ENOTDIR):
            return None
        raise
    return result.stdout.decode().removesuffix("\n").lstrip()
