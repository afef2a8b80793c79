"""Closed, full and broken streams, signals: quiet or one line, and the right exit code."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from careen import workflow
from careen.cli import app

# Runs `careen verify`, whose answer is one error finding, without any image.
_VERIFY = """
import sys
from careen import workflow
from careen.cli.app import main
from careen.finding import Finding
wrong = Finding(rule="path-lost", severity="error", path="/etc/\\udcff\\u263a", message="is gone")
workflow.verify = lambda *a, **k: (wrong,) * 1500
sys.exit(main(["verify", "oci:a"]))
"""


def run(shell: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """`{}` in `shell` is the program; the shell's redirections are what is tested."""
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", shell.replace("{}", '"$PYTHON" -c "$PROGRAM"')],
        env={**os.environ, "PYTHON": sys.executable, "PROGRAM": _VERIFY, **environment},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    "shell", ["{} | true", "{} | head -1", "{} >&-", "{} >&- 2>&-", "{} < /dev/null 2>&-"]
)
def test_whoever_closed_stdout_has_read_enough(shell: str) -> None:
    done = run(shell)
    assert done.returncode == 3
    assert done.stderr == ""


def test_full_disk_under_stdout() -> None:
    done = run("{} > /dev/full")
    assert done.returncode == 1
    assert done.stderr == "careen: stdout: the result cannot be written: No space left on device\n"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_any_encoding(encoding: str) -> None:
    done = run("{}", PYTHONIOENCODING=encoding, PYTHONUTF8="0", LC_ALL="C")
    assert done.returncode == 3
    assert done.stderr == ""
    assert r"/etc/\xff" in done.stdout


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_signals_unwind(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    number: signal.Signals,
    code: int,
) -> None:
    scratch = tmp_path / "scratch"

    def interrupted(*_: Any, **__: Any) -> None:
        scratch.touch()
        try:
            os.kill(os.getpid(), number)
            signal.sigtimedwait([], 5)
        finally:
            scratch.unlink()

    before = {one: signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    monkeypatch.setattr(workflow, "verify", interrupted)
    try:
        assert app.main(["verify", "oci:a"]) == code
        assert not scratch.exists()
        # the process is about to end: a second one must not come between
        assert {signal.getsignal(one) for one in before} == {signal.SIG_IGN}
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
    assert capsys.readouterr().err == f"careen: stopped by {number.name}\n"


@pytest.mark.parametrize(
    ("raised", "line"),
    [
        (OSError(28, "No space left on device", "/tmp/x"),
         "careen: /tmp/x: No space left on device; make room, or set TMPDIR to a larger folder\n"),
        (PermissionError(13, "Permission denied", "/a\nb"), "careen: /a\\nb: Permission denied\n"),
        (MemoryError(), "careen: out of memory; try fewer --jobs\n"),
    ],
    ids=["full", "permission", "memory"],
)  # fmt: skip
def test_the_systems_refusals_are_one_line(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    raised: Exception,
    line: str,
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise raised

    monkeypatch.setattr(workflow, "verify", refuse)
    assert app.main(["verify", "oci:a"]) == 1
    assert capsys.readouterr().err == line


def test_a_defect_is_one_line_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(workflow, "verify", lambda *_, **__: 1 / 0)
    assert app.main(["verify", "oci:a"]) == 1
    err = capsys.readouterr().err
    assert err.startswith("careen: ZeroDivisionError: ")
    assert "--debug-errors" in err
    assert err.count("\n") == 1
