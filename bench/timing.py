"""A finished command, measured."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

__all__ = ["CAREEN", "Run", "timed"]

CAREEN = Path(sys.executable).with_name("careen")


class Run(NamedTuple):
    """One finished command: wall seconds and the largest process' peak RSS in MiB."""

    seconds: float
    peak: float
    printed: str


def timed(argv: Sequence[str | Path]) -> Run:
    """Run a command to its end; an error ends the benchmark."""
    started = time.perf_counter()
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    printed = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{argv[0]} ended with {process.returncode}")
    return Run(time.perf_counter() - started, usage.ru_maxrss / 1024, printed)
