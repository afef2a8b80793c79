"""Programs that careen starts, and processes that it ends: none is lost when a signal comes."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import BinaryIO

import msgspec

from careen.errors import SourceError

__all__ = ["STEP", "Program", "end", "found", "is_gone", "kill", "uninterrupted", "until"]

STEP = 0.05  # seconds between two looks


class Program(msgspec.Struct, frozen=True, kw_only=True):
    """What to start: `keep` are descriptors that it gets, `env` None is careen's own."""

    argv: Sequence[str]
    output: BinaryIO
    keep: Sequence[int] = ()
    env: dict[str, str] | None = None

    def start(self) -> subprocess.Popen[bytes]:
        """Begin it in a session of its own; SourceError when there is no such program."""
        try:
            return subprocess.Popen(
                self.argv,
                stdin=subprocess.DEVNULL,
                stdout=self.output,
                stderr=self.output,
                env=self.env,
                pass_fds=self.keep,
                start_new_session=True,
            )
        except OSError as error:
            raise SourceError(f"does not start: {error.strerror}", at=self.argv[0]) from error


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Signals that have a handler wait until the end of the block: what it begins is on record.

    A mask would do the same, but whatever starts in the block would keep it.
    """
    waiting: list[int] = []
    former = {}
    if threading.current_thread() is threading.main_thread():
        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        former = {n: handler for n in numbers if callable(handler := signal.getsignal(n))}

    def note(number: int, frame: FrameType | None) -> None:
        waiting.append(number)

    for number in former:
        signal.signal(number, note)
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
        for noted in waiting:
            signal.raise_signal(noted)


def until(true: Callable[[], bool], seconds: float) -> bool:
    """Look again and again; False when the time is over first."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() >= deadline:
            return False
        time.sleep(STEP)
    return True


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill a program and what is in its process group."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def kill(seconds: float, *, root: Path, tracers: Sequence[int]) -> None:
    """Every process in a chroot or under these tracers, until there is none: they may fork."""

    def none_is_left() -> bool:
        pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
        ours = [pid for pid in pids if _is_below(pid, root) or _tracer(pid) in tracers]
        for pid in ours:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return not ours

    until(none_is_left, seconds)


def is_gone(pid: int) -> bool:
    """Whether a process has ended, waited for or not; its first thread may end before others."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text(errors="replace")
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return True
    return status.rpartition(")")[2].split()[0] in ("Z", "X") and len(threads) < 2


def found(program: str) -> str:
    """The host's program, whatever PATH the command itself will see."""
    for folder in os.get_exec_path():
        path = os.path.join(folder, program)
        if os.access(path, os.X_OK):
            return path
    return program


def _is_below(pid: int, root: Path) -> bool:
    try:
        return f"{os.readlink(f'/proc/{pid}/root')}/".startswith(f"{root}/")
    except OSError:
        return False


def _tracer(pid: int) -> int:
    with contextlib.suppress(OSError, ValueError):
        for line in Path(f"/proc/{pid}/status").read_text(errors="replace").splitlines():
            if line.startswith("TracerPid:"):
                return int(line.split()[1])
    return 0
