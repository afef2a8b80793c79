"""One recording: start the image, exercise it, end it, and gather what it used into a scenario."""

from __future__ import annotations

import contextlib
import shlex
import socket
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal, cast

import msgspec

from careen.errors import CareenError, GateError, SourceError, UsageError
from careen.finding import Finding
from careen.oci.config import Config
from careen.profile.observed import Event, Observed, Run
from careen.profile.schema import Image, Scenario
from careen.profile.strace import Reader
from careen.record.host import choose_runner, strace_version
from careen.record.identity import Identity, choose
from careen.record.invocation import Overrides, health, invocation, split
from careen.record.mounts import make_points, of_image
from careen.record.room import room
from careen.record.sandbox import LAUNCHES, Sandbox, tracing
from careen.record.session import Session, running
from careen.rootfs.extract import put
from careen.rootfs.facts import Facts
from careen.rootfs.path import Path as ImagePath
from careen.rootfs.rootfs import Rootfs

__all__ = [
    "PRIVATE",
    "Recorded",
    "Request",
    "Subject",
    "Trial",
    "by_hand",
    "events_of",
    "furnished",
    "prepared",
    "record",
    "trial",
]

_SETTLE = 2.0  # seconds that an application gets when nothing says how to see that it is ready
_READY = 60.0  # seconds until it must be ready


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """How to record. `seconds` is the time that an exercise, or a program that ends, may take.

    Without `exercise`, `execs` and anything about readiness, the program itself is the load: it
    runs to its end.
    """

    scenario: str
    overrides: Overrides = Overrides()
    runner: str = "auto"
    private_network: bool = True
    read_only: bool = False
    exercise: str = ""
    execs: tuple[str, ...] = ()
    ready_port: int | None = None
    ready_command: str = ""
    settle: float | None = None
    seconds: float = 600.0
    revision: str = ""

    @property
    def is_served(self) -> bool:
        """Whether the application is to be stopped once the load is over."""
        waits = self.ready_port is not None or bool(self.ready_command) or self.settle is not None
        return waits or bool(self.exercise or self.execs)


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """The image to run: its config, tree and facts, and what a profile says of it."""

    config: Config
    rootfs: Rootfs
    facts: Facts
    image: Image


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it. `lines` of strace's logs were read, `unread` not understood."""

    scenario: Scenario
    runner: str
    ids: str
    seconds: float
    lines: int
    unread: int
    findings: tuple[Finding, ...] = ()


def record(subject: Subject, request: Request, folder: Path, *, recorded: str) -> Recorded:
    """Run the image as asked, below the scratch `folder`; `recorded` is the time to write down.

    GateError when the load fails: what was seen until then is no profile. CareenError when the
    image cannot be run here, ends too early or never.
    """
    bare = prepared(subject, request)
    started = time.monotonic()
    with furnished(bare, subject, folder) as sandbox, running(sandbox, folder) as session:
        try:
            findings = tuple(_load(session, subject, request))
        except GateError as error:
            raise GateError(f"nothing was recorded: {error}") from error
    observed, readers = Observed(subject.rootfs), []
    for reader, events in events_of(session, subject.rootfs):
        observed.take(events)
        readers.append(reader)
    run = Run(
        name=request.scenario,
        image=subject.image,
        command=bare.process.argv,
        exercise=request.exercise,
        tool=strace_version(),
        recorded=recorded,
        revision=request.revision,
        answered=bare.identity.answered,
    )
    return Recorded(
        scenario=observed.scenario(run),
        runner=bare.runner,
        ids=bare.identity.kind,
        seconds=time.monotonic() - started,
        lines=sum(reader.lines for reader in readers),
        unread=sum(reader.unread for reader in readers),
        findings=findings,
    )


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """A load that may fail: whether it passed, what it said if not, what was used until then."""

    passed: bool
    message: str
    events: tuple[Event, ...]


def trial(
    subject: Subject, request: Request, folder: Path, *, shell: Mapping[str, bytes] | None = None
) -> Trial:
    """Run the load and look; CareenError only when nothing can be run here at all.

    `shell` are files that lie below `PRIVATE` beside the image's, by name: whoever runs the
    request's command from there is no part of the image.
    """
    if shell and ImagePath(PRIVATE) in subject.rootfs:
        raise SourceError(f"the image has a /{PRIVATE}, where the test's own shell would lie")
    bare = prepared(subject, request)
    folder.mkdir()
    with furnished(bare, subject, folder) as sandbox:
        _place(sandbox.root, shell or {})
        session, message = None, ""
        try:
            with running(sandbox, folder) as session:
                tuple(_load(session, subject, request))
        except CareenError as error:
            message = str(error)
    launches = LAUNCHES + bool(shell)
    events: tuple[Event, ...] = ()
    if session is not None:
        logs = events_of(session, subject.rootfs, after=launches)
        events = tuple(event for _, found in logs for event in found)
    return Trial(passed=not message, message=message, events=events)


@contextlib.contextmanager
def furnished(bare: Sandbox, subject: Subject, folder: Path) -> Iterator[Sandbox]:
    """The sandbox with the image's files in it, for the block."""
    devices = bare.runner == "chroot"
    with room(subject.rootfs, folder, bare.identity, devices=devices) as root:
        make_points(subject.rootfs, root, bare.process.volumes)
        yield msgspec.structs.replace(bare, root=root)


PRIVATE = ".careen"
"""Where a test's own shell lies in the root."""


def _place(root: Path, files: Mapping[str, bytes]) -> None:
    for name, content in files.items():
        put(root, f"{PRIVATE}/{name}", content, 0o755)


def prepared(subject: Subject, request: Request) -> Sandbox:
    """How the image would run here, its root not yet made; CareenError when it cannot."""
    process = invocation(subject.config, subject.facts, request.overrides)
    runner = cast("Literal['bubblewrap', 'chroot']", choose_runner(request.runner))
    if runner == "chroot" and (process.volumes or request.read_only):
        raise UsageError("--volume and --read-only need mounts, which the chroot runner has not")
    private = request.private_network and runner == "bubblewrap"
    if not private and request.ready_port is not None and _is_open(request.ready_port):
        raise SourceError(
            f"port {request.ready_port} is in use on this host, whose network the application gets"
        )
    real = Identity(kind="real", uid=process.uid, gid=process.gid)
    return Sandbox(
        root=Path("/"),
        process=process,
        identity=real if runner == "chroot" else choose(process),
        runner=runner,
        private_network=private,
        read_only=request.read_only,
    )


def by_hand(subject: Subject, request: Request, source: str) -> str:
    """The commands that record the same inside the image's own job, where nothing here can."""
    process = invocation(subject.config, subject.facts, request.overrides)
    log = f"{request.scenario}.strace"
    traced = shlex.join([*tracing(Path(log)), *process.argv])
    imported = shlex.join(
        ["careen", "profile", "import", "strace", log, "--scenario", request.scenario]
    )
    return (
        "# In a container of the image, with strace in it, and then its load:\n"
        f"{traced}\n"
        "# Then, here:\n"
        f"{imported} --image {shlex.quote(source)} -o {shlex.quote(request.scenario)}.careen.yaml\n"
    )


def events_of(
    session: Session, rootfs: Rootfs, *, after: int = LAUNCHES
) -> Iterator[tuple[Reader, Iterator[Event]]]:
    """Each log's reader and its events, the application's own log first, once it has ended.

    What lies in a volume is no use of the image.

    `after` is how often the application's launcher executes; other programs have one launch.
    """
    sandbox = session.sandbox
    for i, log in enumerate(session.logs):
        root = str(sandbox.root) if sandbox.runner == "chroot" else ""
        reader = Reader(after=LAUNCHES if i else after, cwd=sandbox.process.cwd, root=root)
        if log.exists():
            yield reader, of_image(_events(reader, log), rootfs, sandbox.process.volumes)


def _events(reader: Reader, log: Path) -> Iterator[Event]:
    with log.open("rb") as lines:
        yield from reader.events(lines)


def _load(session: Session, subject: Subject, request: Request) -> Iterator[Finding]:
    """The whole life of the application, from ready to stopped."""
    if not request.is_served:
        if not session.wait(request.seconds):
            raise CareenError(
                f"{session.sandbox.process.argv[0]} did not end in {request.seconds:g} seconds; "
                "say how to load it (--exercise), or how long (--settle)"
            )
        if session.process.returncode:
            raise GateError(_failed("the application", session.process.returncode, session.output))
        return
    wait_ready(session, request)
    for command in request.execs:
        _passed(session, f"--exec {command!r}", _inside(session, command, request), request)
    if request.exercise:
        code = session.outside(split(request.exercise, "--exercise"), request.seconds)
        _passed(session, "the exercise", code, request)
    check = health(subject.config.execution)
    if check and session.inside(check, request.seconds):
        yield Finding(
            rule="healthcheck-failed",
            severity="warning",
            message="the image's Healthcheck fails here; what it used is recorded all the same",
        )
    if session.ended:
        raise CareenError("the application ended before it was stopped")
    session.stop()


def wait_ready(session: Session, request: Request) -> None:
    """Until the application is ready, as the request says how to see that."""
    port, command = request.ready_port, request.ready_command
    if port is not None:
        session.wait_until(lambda: session.listens(port), f"it listened on port {port}", _READY)
    if command:
        words = split(command, "--ready-cmd")
        what = f"{command!r} succeeded"
        session.wait_until(lambda: session.outside(words, _READY) == 0, what, _READY)
    if port is None and not command:
        settle = _SETTLE if request.settle is None else request.settle
        if session.wait(settle):
            session.wait_until(lambda: False, f"{settle:g} seconds", 0)


def _inside(session: Session, command: str, request: Request) -> int:
    return session.inside(split(command, "--exec"), request.seconds)


def _passed(session: Session, what: str, code: int, request: Request) -> None:
    if code:
        output = (session.folder / "exercise").read_text(errors="replace")
        raise GateError(_failed(what, code, output))


def _failed(what: str, code: int, output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    said = f": {' | '.join(lines[-3:])}" if lines else ""
    how = f"was killed by signal {-code}" if code < 0 else f"ended with {code}"
    return f"{what} {how}{said}"


def _is_open(port: int) -> bool:
    """Whether something on this host listens there."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
