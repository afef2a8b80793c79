"""An application that runs: started under strace, waited for, exercised, ended; nothing is left."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from careen.errors import CareenError, GateError
from careen.record.command import Command
from careen.record.identity import map_ids
from careen.record.programs import (
    STEP,
    Program,
    end,
    found,
    is_gone,
    kill,
    uninterrupted,
    until,
)
from careen.record.sandbox import Sandbox, entering, joining, starting, tracing

__all__ = ["Session", "running"]

_GET_OWNER = 0xB701  # NS_GET_USERNS, of linux/nsfs.h
_WORDS = 64 << 10  # bytes of what a program printed that are looked at: its end
_GRACE = 10.0  # seconds from the stop signal to SIGKILL, as runtimes give
_FIRST = re.compile(rb"(\d+) ")
_LAST = rb"^%d +\+\+\+ (?:exited with (\d+)|killed by (SIG\w+))"


class Session:
    """`pid` is the application's own, as the host counts. `logs` are strace's, one a program.

    `beside` are the straces of programs that have ended and left others to go on.
    """

    def __init__(self, sandbox: Sandbox, folder: Path, process: subprocess.Popen[bytes]) -> None:
        self.sandbox = sandbox
        self.folder = folder
        self.process = process
        self.pid = 0
        self.logs: list[Path] = []
        self.beside: list[subprocess.Popen[bytes]] = []

    @property
    def ended(self) -> bool:
        """Whether the application is gone; what it left behind may still be there."""
        return self.process.poll() is not None or bool(self.pid and is_gone(self.pid))

    @property
    def output(self) -> str:
        """The end of what the application printed so far, on both streams."""
        return _end_of(self.folder / "output")

    @property
    def said(self) -> str:
        """The end of what commands beside it printed so far."""
        path = self.folder / "commands"
        return _end_of(path) if path.exists() else ""

    def wait_until(self, ready: Callable[[float], bool], what: str, seconds: float) -> None:
        """GateError when the application ends or the time is over before `ready` says yes.

        `ready` is given the seconds that are left.
        """
        deadline = time.monotonic() + seconds
        while not ready(max(STEP, deadline - time.monotonic())):
            if self.ended:
                early = f"the application ended before it was ready ({what})"
                raise GateError(f"{early}; {self.last_words}")
            if time.monotonic() > deadline:
                late = f"the application was not ready after {seconds:g} seconds ({what})"
                raise GateError(f"{late}; {self.last_words}; --ready-timeout gives it more")
            time.sleep(STEP)

    def wait(self, seconds: float) -> bool:
        """Wait for the application's own end; False when the time is over before.

        What it left behind ends with it, as in a container.
        """
        if not until(lambda: self.ended, seconds):
            return False
        self.close()
        return True

    def outside(self, command: Command, seconds: float) -> int | None:
        """Run a program with the host's files in the application's network; its exit code.

        None when it does not end in time, SourceError when it cannot start.
        """
        with self._owner() as owner, open(self.folder / "commands", "ab") as output:
            argv = [*joining(self.sandbox, self.pid, owner), *command.argv]
            with _started(Program(argv=argv, output=output, keep=[owner])) as (process, _):
                _ends(process, seconds)
                return process.returncode

    def inside(self, argv: tuple[str, ...], seconds: float) -> int | None:
        """Run a program with the image's files beside the application, traced; its exit code.

        None when it does not end in time. What it leaves behind goes on, traced, until the end.
        """
        log = self.folder / f"strace-{len(self.logs)}"
        self.logs.append(log)
        traced = tracing(log, self.sandbox.identity.answered)
        with self._owner() as owner, open(self.folder / "commands", "ab") as output:
            launched = entering(self.sandbox, self.pid, owner, argv)
            # the environment is the image's: its PATH would hide strace and the launcher
            command = [found(traced[0]), *traced[1:], found(launched[0]), *launched[1:]]
            env = dict(self.sandbox.process.env)
            program = Program(argv=command, output=output, keep=[owner], env=env)
            with _started(program) as (process, stays):
                if not until(lambda: _code(process, log) is not None, seconds):
                    return None
                self.beside.append(process)
                stays()
                return _code(process, log)

    @contextlib.contextmanager
    def _owner(self) -> Iterator[int]:
        """A descriptor of the user namespace that owns the application's other namespaces.

        bubblewrap makes two where the image's id is not 0 (ioctl_ns(2)).
        """
        with contextlib.ExitStack() as stack:
            try:
                handle = os.open(f"/proc/{self.pid}/ns/pid", os.O_RDONLY)
                stack.callback(os.close, handle)
                owner = fcntl.ioctl(handle, _GET_OWNER)
            except OSError as error:
                if self.ended:
                    raise GateError(f"the application ended; {self.last_words}") from error
                owner = os.open(f"/proc/{self.pid}/ns/user", os.O_RDONLY)
            stack.callback(os.close, owner)
            yield owner

    def stop(self) -> None:
        """The image's stop signal to the application itself, then SIGKILL."""
        if not self.ended:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, self.sandbox.process.stop)
        if not self.wait(_GRACE):
            self.close()

    def close(self) -> None:
        """Whatever happened: no process stays.

        The application first, so that its launcher and strace can end by themselves.
        """
        if not self.ended and self.pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
        straces = [self.process, *self.beside]
        tracers = [one.pid for one in straces if one.poll() is None]
        if self.sandbox.runner == "chroot":
            kill(_GRACE, root=self.sandbox.root, tracers=tracers)
        for process in straces:
            if not self.pid or not _ends(process, _GRACE):
                end(process)
        if self.sandbox.runner == "chroot":  # who was not in it yet, or not traced any more
            kill(_GRACE, root=self.sandbox.root, tracers=[])

    @property
    def last_words(self) -> str:
        """The end of what the application printed, on one line."""
        lines = [line.strip() for line in self.output.splitlines() if line.strip()]
        return f"it said {' | '.join(lines[-3:])[-500:]!r}" if lines else "it said nothing"


@contextlib.contextmanager
def _started(program: Program) -> Iterator[tuple[subprocess.Popen[bytes], Callable[[], object]]]:
    """A program for the block, of whose process group nothing stays, unless the block says so."""
    with contextlib.ExitStack() as stack:
        with uninterrupted():
            process = program.start()
            stack.callback(end, process)
        yield process, stack.pop_all


@contextlib.contextmanager
def running(sandbox: Sandbox, folder: Path) -> Iterator[Session]:
    """The sandbox's process under strace for the block; its log, and others, lie in `folder`."""
    log = folder / "strace-0"
    info_read, info_write = os.pipe()
    block_read, block_write = os.pipe()
    answered = sandbox.identity.answered
    command = [
        *tracing(log, answered),
        *starting(sandbox, info=info_write, block=block_read),
    ]
    with contextlib.ExitStack() as stack:
        info = stack.enter_context(open(info_read, "rb", buffering=0))
        output = stack.enter_context(open(folder / "output", "wb"))
        os.fchmod(output.fileno(), 0o666)  # the application may open it again as /dev/stdout
        with uninterrupted():
            try:
                program = Program(argv=command, output=output, keep=[info_write, block_read])
                session = Session(sandbox, folder, program.start())
            finally:
                os.close(info_write)
                os.close(block_read)
            stack.callback(session.close)
        session.logs.append(log)
        with _closed(block_write):  # which lets it go on
            session.pid = _told(info, session)
            if sandbox.identity.kind == "mapped":
                map_ids(sandbox.identity, session.pid)
        yield session


def _told(info: IO[bytes], session: Session) -> int:
    """The application's pid, as soon as the launcher tells it: strace keeps the pipe open."""
    told = b""
    while not told.rstrip().endswith(b"}"):
        more = info.read(4096)
        if not more:
            session.close()
            raise CareenError(f"the application does not start: {session.output.strip()[-500:]}")
        told += more
    return int(json.loads(told)["child-pid"])


@contextlib.contextmanager
def _closed(handle: int) -> Iterator[None]:
    try:
        yield
    finally:
        os.close(handle)


def _end_of(path: Path) -> str:
    with path.open("rb") as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - _WORDS))
        return file.read(_WORDS).decode(errors="replace")


def _launcher(log: Path) -> int:
    """The process that a log begins with, 0 when there is none yet."""
    try:
        with log.open("rb") as lines:
            first = _FIRST.match(lines.readline(64))
    except OSError:
        return 0
    return int(first[1]) if first is not None else 0


def _exit_code(log: Path) -> int | None:
    """Of the process that a log begins with, negative for a signal; None before it has ended."""
    pid = _launcher(log)
    if not pid or not is_gone(pid):
        return None
    last = re.compile(_LAST % pid)
    with log.open("rb") as lines:
        for line in lines:
            found = last.match(line)
            if found is not None:
                return int(found[1]) if found[1] else -_signal(found[2].decode())
    return None


def _code(process: subprocess.Popen[bytes], log: Path) -> int | None:
    """Of a program under strace, also while others that it left go on; None before its end."""
    code = process.poll()
    return _exit_code(log) if code is None else code


def _signal(name: str) -> int:
    found = signal.Signals.__members__.get(name)
    return int(found) if found is not None else int(signal.SIGKILL)


def _ends(process: subprocess.Popen[bytes], seconds: float) -> bool:
    return until(lambda: process.poll() is not None, seconds)
