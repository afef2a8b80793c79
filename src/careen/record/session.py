"""An application that runs: started under strace, waited for, exercised, ended; nothing is left."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO

from careen.errors import CareenError
from careen.record.identity import map_ids
from careen.record.sandbox import Sandbox, entering, joining, starting, tracing

__all__ = ["Session", "running"]

_LISTEN = "0A"  # a socket's state in /proc/net/tcp
_STEP = 0.05  # seconds between two looks
_GET_OWNER = 0xB701  # NS_GET_USERNS, of linux/nsfs.h
_GRACE = 10.0  # seconds from the stop signal to SIGKILL, as runtimes give


class Session:
    """`pid` is the application's own, as the host counts. `logs` are strace's, one a program."""

    def __init__(self, sandbox: Sandbox, folder: Path, process: subprocess.Popen[bytes]) -> None:
        self.sandbox = sandbox
        self.folder = folder
        self.process = process
        self.pid = 0
        self.logs: list[Path] = []

    @property
    def ended(self) -> bool:
        """Whether the application is gone."""
        return self.process.poll() is not None

    @property
    def output(self) -> str:
        """What the application printed so far, on both streams."""
        return (self.folder / "output").read_text(errors="replace")

    def listens(self, port: int) -> bool:
        """Whether something in the application's network listens on a TCP port."""
        for family in ("tcp", "tcp6"):
            with contextlib.suppress(OSError):
                rows = Path(f"/proc/{self.pid}/net/{family}").read_text().splitlines()[1:]
                for row in rows:
                    _, local, _, state, *_ = row.split()
                    if state == _LISTEN and int(local.rpartition(":")[2], 16) == port:
                        return True
        return False

    def wait_until(self, ready: Callable[[], bool], what: str, seconds: float) -> None:
        """CareenError when the application ends or the time is over before `ready` says yes."""
        deadline = time.monotonic() + seconds
        while not ready():
            if self.ended:
                raise CareenError(f"the application ended before {what}: {self._last_words()}")
            if time.monotonic() > deadline:
                raise CareenError(f"not after {seconds:g} seconds: {what}; {self._last_words()}")
            time.sleep(_STEP)

    def wait(self, seconds: float) -> bool:
        """Wait for the application's own end; False when the time is over before."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def outside(self, argv: Sequence[str], seconds: float) -> int:
        """Run a program with the host's files in the application's network; its exit code.

        CareenError when it cannot start or does not end in time.
        """
        with self._owner() as owner:
            command = [*joining(self.sandbox, self.pid, owner), *argv]
            return _run(command, seconds, self.folder / "exercise", keep=[owner])

    def inside(self, argv: Sequence[str], seconds: float) -> int:
        """Run a program with the image's files beside the application, traced; its exit code."""
        log = self.folder / f"strace-{len(self.logs)}"
        self.logs.append(log)
        traced = tracing(log, self.sandbox.identity.answered)
        with self._owner() as owner:
            launched = entering(self.sandbox, self.pid, owner, argv)
            # the environment is the image's: its PATH would hide strace and the launcher
            command = [_found(traced[0]), *traced[1:], _found(launched[0]), *launched[1:]]
            env = dict(self.sandbox.process.env)
            return _run(command, seconds, self.folder / "exercise", keep=[owner], env=env)

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
                if self.ended or not Path(f"/proc/{self.pid}").exists():
                    raise CareenError(f"the application ended: {self._last_words()}") from error
                owner = os.open(f"/proc/{self.pid}/ns/user", os.O_RDONLY)
            stack.callback(os.close, owner)
            yield owner

    def stop(self) -> None:
        """The image's stop signal to the application itself, then SIGKILL."""
        if not self.ended:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, self.sandbox.process.stop)
        if not self.wait(_GRACE):
            self._kill()

    def close(self) -> None:
        """Whatever happened: no process stays."""
        if not self.ended:
            self._kill()
        if self.sandbox.runner == "chroot":
            _kill_below(self.sandbox.root)

    def _kill(self) -> None:
        """The application first, so that its launcher and strace can end by themselves."""
        with contextlib.suppress(ProcessLookupError):
            if self.pid:
                os.kill(self.pid, signal.SIGKILL)
        if not self.pid or not self.wait(_GRACE):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def _last_words(self) -> str:
        lines = [line.strip() for line in self.output.splitlines() if line.strip()]
        return f"it said {' | '.join(lines[-3:])!r}" if lines else "it said nothing"


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
    with open(folder / "output", "wb") as output, open(info_read, "rb", buffering=0) as info:
        os.fchmod(output.fileno(), 0o666)  # the application may open it again as /dev/stdout
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=[info_write, block_read],
                start_new_session=True,
            )
        finally:
            os.close(info_write)
            os.close(block_read)
        session = Session(sandbox, folder, process)
        session.logs.append(log)
        try:
            session.pid = _told(info, session)
            if sandbox.identity.kind == "mapped":
                map_ids(sandbox.identity, session.pid)
            os.close(block_write)
            block_write = -1
            yield session
        finally:
            if block_write >= 0:
                os.close(block_write)
            session.close()


def _told(info: IO[bytes], session: Session) -> int:
    """The application's pid, as soon as the launcher tells it: strace keeps the pipe open."""
    told = b""
    while not told.rstrip().endswith(b"}"):
        more = info.read(4096)
        if not more:
            session.process.wait(_GRACE)
            raise CareenError(f"the application does not start: {session.output.strip()[-500:]}")
        told += more
    return int(json.loads(told)["child-pid"])


def _found(program: str) -> str:
    """The host's program, whatever PATH the command itself will see."""
    for folder in os.get_exec_path():
        path = os.path.join(folder, program)
        if os.access(path, os.X_OK):
            return path
    return program


def _run(
    argv: Sequence[str],
    seconds: float,
    output: Path,
    *,
    keep: Sequence[int],
    env: dict[str, str] | None = None,
) -> int:
    """A program in a process group of its own, of which nothing stays; its exit code."""
    with open(output, "ab") as log:
        try:
            process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=env,
                pass_fds=keep,
                start_new_session=True,
            )
        except OSError as error:
            raise CareenError(f"{argv[0]} does not start: {error.strerror}") from error
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise CareenError(f"{' '.join(argv)} did not end in {seconds:g} seconds") from None
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _kill_below(root: Path) -> None:
    """Every process whose root is in the chroot, until there is none: they may fork meanwhile."""
    deadline = time.monotonic() + _GRACE
    while time.monotonic() < deadline:
        found = [pid for pid in _processes() if f"{_root(pid)}/".startswith(f"{root}/")]
        if not found:
            return
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(_STEP)


def _processes() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _root(pid: int) -> str:
    try:
        return os.readlink(f"/proc/{pid}/root")
    except OSError:
        return ""
