"""One recording: start the image, exercise it, end it, and gather what it used into a scenario."""

from __future__ import annotations

import contextlib
import shlex
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
from careen.record import places, stop_signal
from careen.record.host import choose_runner, strace_version
from careen.record.identity import Identity, choose
from careen.record.invocation import health, invocation, stop_text
from careen.record.load import load
from careen.record.mounts import of_image
from careen.record.ports import listens
from careen.record.request import Request
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
    "Subject",
    "Trial",
    "by_hand",
    "check",
    "events_of",
    "furnished",
    "prepared",
    "record",
    "trial",
]


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

    GateError when the load fails, or the application never gets ready, ends too early or never:
    what was seen until then is no profile. CareenError when the image cannot be run here.
    """
    check(subject, request)
    bare = prepared(subject, request)
    started = time.monotonic()
    try:
        with furnished(bare, subject, folder) as sandbox, running(sandbox, folder) as session:
            healthy = load(session, request, health(subject.config.execution))
    except GateError as error:
        raise GateError(f"nothing was recorded: {error.message}", at=error.at) from error
    observed, readers = Observed(subject.rootfs), []
    for reader, events in events_of(session, subject.rootfs):
        observed.take(events)
        readers.append(reader)
    run = Run(
        name=request.scenario,
        image=subject.image,
        command=bare.process.argv,
        exercise=request.exercise.text if request.exercise is not None else "",
        tool=_tool(bare.identity),
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
        findings=tuple(_findings(subject, bare, is_healthy=healthy)),
    )


def check(subject: Subject, request: Request) -> None:
    """SourceError for what the image and the request cannot mean together."""
    process = invocation(subject.config, subject.facts, request.overrides)
    rootfs = subject.rootfs
    places.check(places.settled(process, rootfs), rootfs, request.overrides.workdir)


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
                load(session, request, health(subject.config.execution))
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
        places.make(bare.process, subject.rootfs, root)
        yield msgspec.structs.replace(bare, root=root)


PRIVATE = ".careen"
"""Where a test's own shell lies in the root."""


def _place(root: Path, files: Mapping[str, bytes]) -> None:
    for name, content in files.items():
        put(root, f"{PRIVATE}/{name}", content, 0o755)


def prepared(subject: Subject, request: Request) -> Sandbox:
    """How the image would run here, its root not yet made; CareenError when it cannot."""
    process = invocation(subject.config, subject.facts, request.overrides)
    process = places.settled(process, subject.rootfs)
    runner = cast("Literal['bubblewrap', 'chroot']", choose_runner(request.runner))
    if runner == "chroot" and (process.volumes or request.read_only):
        raise UsageError("--volume and --read-only need mounts, which the chroot runner has not")
    if runner == "chroot" and request.network == "private":
        raise UsageError(
            "private needs namespaces, which the chroot runner has not", at="--network"
        )
    private = request.network != "host" and runner == "bubblewrap"
    if not private and request.ready_port is not None and listens(request.ready_port):
        raise SourceError(
            f"port {request.ready_port} is in use on this host, whose network the application "
            "gets; stop what listens there, or have the application listen elsewhere"
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
    strace, *words = tracing(Path(log))
    # detached, so that the container's own stop signal reaches the application
    traced = shlex.join([strace, "-D", *words, *process.argv])
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


def _tool(identity: Identity) -> str:
    """`strace 6.1`; with `one id` where all files belonged to the application's own."""
    return f"{strace_version()}, one id" if identity.kind == "single" else strace_version()


def _findings(subject: Subject, bare: Sandbox, *, is_healthy: bool) -> Iterator[Finding]:
    if not is_healthy:
        yield Finding(
            rule="healthcheck-failed",
            severity="warning",
            message="the image's Healthcheck fails here; what it used is recorded all the same",
        )
    stop = stop_text(subject.config)
    if stop_signal.number(stop) is None:
        yield Finding(
            rule="stop-signal-unknown",
            severity="note",
            message=f"the image's StopSignal is no signal: {stop[:60]!r}; SIGTERM ended it here",
        )
    if bare.identity.kind == "single":
        yield Finding(
            rule="recorded-with-one-id",
            severity="note",
            message="every file belonged to the application's own id here, so it may have "
            "written or read where it is refused elsewhere",
        )
