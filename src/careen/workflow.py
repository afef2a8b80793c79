"""The line of the house, as commented steps: what each command does, reference to reference."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import msgspec

from careen import __version__
from careen.errors import GateError, SourceError, UsageError, within
from careen.finding import Finding, errors
from careen.formats.compression import Encoding
from careen.formats.digest import Digest
from careen.oci import image as images
from careen.oci.descriptor import Descriptor
from careen.oci.image import Image
from careen.oci.layout import Layout
from careen.oci.platform import Platform
from careen.packages import catalog
from careen.plan import blame as blaming
from careen.plan import draw
from careen.plan import explain as explaining
from careen.plan.blame import Suspect
from careen.plan.closure import Scene
from careen.plan.explain import Answer
from careen.plan.plan import Options, Plan, Source
from careen.profile.profile import Image as ProfileImage
from careen.profile.profile import Profile
from careen.record import recording
from careen.record.request import Request
from careen.rewrite import image as rewriting
from careen.rewrite.image import Form, Work
from careen.rootfs import facts
from careen.rootfs.scan import Scan, scan
from careen.scratch import scratch
from careen.transport import copy
from careen.transport.access import Access
from careen.transport.copy import Delivery, Watch
from careen.transport.reference import Reference, own_tag, with_tag
from careen.verify import judge
from careen.verify.judge import Sight

__all__ = [
    "Named",
    "Opened",
    "Outcome",
    "Progress",
    "Settings",
    "Target",
    "blame",
    "by_hand",
    "explain",
    "harden",
    "named",
    "opened",
    "plan",
    "record",
    "scanned",
    "sight",
    "squash",
    "subject",
    "verify",
]

_RFC3339 = "%Y-%m-%dT%H:%M:%SZ"


class Progress(Protocol):
    """Who is told how far the work is."""

    def task(self, label: str, total: int) -> AbstractContextManager[Callable[[int], None]]:
        """A step of `total` bytes; what it yields takes the bytes done, from any thread."""
        ...


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """How to work, whatever the command: threads, folders, access, and who watches."""

    jobs: int
    progress: Progress
    source: Access
    destination: Access
    platform: Platform | None = None
    scratch: Path | None = None
    cache: Path | None = None


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """Where an image goes and in which form. `debug_tag` None: no counterpart."""

    destination: Reference
    encoding: Encoding
    oci_manifest: bool = False
    debug_tag: str | None = None
    source_name: str = ""
    source_date_epoch: int | None = None
    dry_run: bool = False


class Named(msgspec.Struct, frozen=True, kw_only=True):
    """An image under its name: manifest digest, compressed bytes of all layers, their number."""

    reference: str
    digest: Digest
    size: int
    layers: int


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What squash or harden did. `image` and `debug` are None when nothing was pushed."""

    plan: Plan
    findings: tuple[Finding, ...]
    source: Named
    image: Named | None
    debug: Named | None


class Opened(msgspec.Struct, frozen=True, kw_only=True):
    """An image whose layers were all read and checked; the scan lives as long as its block."""

    reference: Reference
    layout: Layout
    descriptor: Descriptor
    image: Image
    scan: Scan
    scratch: Path

    @property
    def bound(self) -> Source:
        """What a plan for this image is bound to."""
        return Source(digest=self.descriptor.digest, platform=str(self.image.config.platform))

    def scene(self, origin: Scene | None = None) -> Scene:
        """All that a decision or a proof looks at; reads files from the spools.

        `origin` is what the image is compared with: packages bear the same ids in both.
        """
        return _scene(self.image, self.scan, origin)


def plan(
    source: Reference,
    profile: Profile,
    options: Options,
    settings: Settings,
    *,
    require_fresh: bool = False,
) -> Plan:
    """What would go and why; writes nothing."""
    with opened(source, settings) as found:
        return _drawn(found, found.scene(), profile, options, require_fresh=require_fresh)


def explain(
    source: Reference,
    asked: Sequence[str],
    profile: Profile,
    options: Options,
    settings: Settings,
) -> tuple[Answer, ...]:
    """Why each path or package that is asked about stays or goes; writes nothing."""
    with opened(source, settings) as found:
        scene = found.scene()
        drawn = draw.drawn(scene, found.bound, profile, options)
        return explaining.explain(scene, drawn, asked)


def blame(
    source: Reference,
    log: Iterable[str],
    profile: Profile,
    options: Options,
    settings: Settings,
) -> tuple[Suspect, ...]:
    """What a failing log asks for and the plan for this image removes; writes nothing."""
    with opened(source, settings) as found:
        scene = found.scene()
        plan = draw.draw(scene, found.bound, profile, options)
        return tuple(blaming.blame(log, scene, plan))


def record(
    source: Reference, request: Request, settings: Settings, *, recorded: str
) -> recording.Recorded:
    """Run the image under strace; what it used. Nothing of the run is left."""
    with opened(source, settings) as found:
        return recording.record(subject(found), request, found.scratch, recorded=recorded)


def by_hand(source: Reference, request: Request, settings: Settings) -> str:
    """How to record the same where nothing here can."""
    with opened(source, settings) as found:
        return recording.by_hand(subject(found), request, str(source))


def subject(found: Opened) -> recording.Subject:
    """An opened image as something to run."""
    return recording.Subject(
        config=found.image.config,
        rootfs=found.scan.rootfs,
        facts=facts.read(found.scan.rootfs),
        image=named(found),
    )


def named(found: Opened) -> ProfileImage:
    """An opened image as a profile names it."""
    return ProfileImage(
        name=str(found.reference), digest=found.bound.digest, platform=found.bound.platform
    )


def squash(source: Reference, target: Target, settings: Settings) -> Outcome:
    """One layer, nothing removed, verified, pushed."""
    _check_target(target, settings)
    with opened(source, settings) as found:
        return _made(found, None, Plan(source=found.bound), target, settings)


def harden(
    source: Reference,
    target: Target,
    settings: Settings,
    *,
    decide: Profile | Plan,
    options: Options,
    require_fresh: bool = False,
) -> Outcome:
    """Plan (or take the plan), rewrite, verify, push the image and its debug counterpart.

    SourceError when a plan was drawn for another image; GateError when verification finds an
    error, or with `require_fresh` when a profile was recorded on another image.
    """
    _check_target(target, settings)
    if str(target.destination) == str(source):
        raise UsageError(f"{source} is the source itself; a hardened image goes beside it")
    if settings.platform and target.debug_tag is not None:
        debug = with_tag(target.destination, target.debug_tag)
        if str(debug) == str(source):
            raise UsageError(f"{source} names an index; the debug tag would take its name")
    with opened(source, settings) as found:
        scene = found.scene()
        if isinstance(decide, Plan):
            _check_plan(decide, found)
            drawn = decide
        else:
            drawn = _drawn(found, scene, decide, options, require_fresh=require_fresh)
        return _made(found, scene, drawn, target, settings)


def verify(
    image: Reference,
    settings: Settings,
    *,
    source: Reference | None = None,
    plan: Plan | None = None,
) -> tuple[Finding, ...]:
    """Read an image again from its bytes and say what is wrong with it.

    Against `source`, the tree must be the source's less what `plan` drops (without a plan:
    nothing).
    """
    with contextlib.ExitStack() as stack:
        after = stack.enter_context(opened(image, settings))
        if source is None:
            return tuple(judge.alone(sight(after)))
        before = stack.enter_context(opened(source, settings))
        _check_order(after, before)
        if plan is not None:
            _check_plan(plan, before)
        promised = plan or Plan(source=before.bound)
        origin = sight(before)
        return tuple(judge.against(sight(after, origin.scene), origin, promised))


def _check_order(after: Opened, before: Opened) -> None:
    """UsageError when the source says of itself that it was made of the image."""
    origin = before.image.config.execution.labels.get("io.careen.source.digest")
    if origin == after.descriptor.digest != before.descriptor.digest:
        raise UsageError(
            f"it was made of {after.reference}, not the other way round; write "
            f"{before.reference} --source {after.reference}",
            at=f"--source {before.reference}",
        )


def sight(found: Opened, origin: Scene | None = None) -> Sight:
    """An opened image as a proof or a comparison sees it; `origin` as in `Opened.scene`."""
    return Sight(image=found.image, scene=found.scene(origin), notes=found.scan.notes)


@contextlib.contextmanager
def opened(reference: Reference, settings: Settings) -> Iterator[Opened]:
    """Bring an image within reach and read all of it, every byte checked."""
    with scratch(settings.scratch) as folder:
        room = Layout(settings.cache or folder / "pulled")
        with _watched(settings, f"pull {reference}") as watch:
            found = copy.fetch(reference, settings.source, settings.platform, room, watch)
        with within(str(reference)):
            image = images.load(found.layout, found.descriptor, settings.platform)
        with scanned(found.layout, image, str(reference), folder, settings) as read:
            yield Opened(
                reference=reference,
                layout=found.layout,
                descriptor=found.descriptor,
                image=image,
                scan=read,
                scratch=folder,
            )


def _drawn(
    found: Opened, scene: Scene, profile: Profile, options: Options, *, require_fresh: bool
) -> Plan:
    drawn = draw.draw(scene, found.bound, profile, options)
    for finding in drawn.findings:
        if require_fresh and finding.rule == "profile-other-image":
            raise GateError(f"{finding.message}; record it again, or leave out --require-fresh")
    return drawn


def _made(
    found: Opened, scene: Scene | None, drawn: Plan, target: Target, settings: Settings
) -> Outcome:
    """From a plan to a pushed, verified image. Without a `scene` nothing may be removed."""
    if target.dry_run:
        return _outcome(found, drawn, (), None)
    layout = Layout(found.scratch / "made")
    # Write: one layer, a new config and manifest, into a layout of our own.
    with _task(settings, "write", sum(found.scan.sizes)) as on_bytes:
        image = rewriting.apply(
            found.image,
            found.scan.rootfs,
            drawn,
            layout,
            _form(found, drawn, target, command="harden" if scene else "squash"),
            Work(jobs=settings.jobs, on_bytes=on_bytes),
        )
    # Read it back from its bytes, and prove that it is what was promised.
    with scanned(layout, image, "the new image", found.scratch, settings) as read:
        after = _scene(image, read, scene) if scene else _bare(image, read)
        before = scene or _bare(found.image, found.scan)
        findings = tuple(
            judge.against(
                Sight(image=image, scene=after, notes=read.notes),
                Sight(image=found.image, scene=before, notes=found.scan.notes),
                drawn,
            )
        )
    if errors(findings):
        return _outcome(found, drawn, findings, None)
    # Push: blobs, manifests, then tags, the debug counterpart's first.
    made = Delivery(
        layout=layout,
        descriptor=image.manifest.descriptor,
        tag=own_tag(target.destination),
        linkable=True,
    )
    debug = Delivery(layout=found.layout, descriptor=found.descriptor, tag=target.debug_tag)
    deliveries = [made] if target.debug_tag is None else [made, debug]
    with _watched(settings, f"push {target.destination}") as watch:
        copy.deliver(
            deliveries, target.destination, settings.destination, watch, origin=found.reference
        )
    return _outcome(found, drawn, findings, (image, target))


def _form(found: Opened, drawn: Plan, target: Target, *, command: str) -> Form:
    facts = {
        "io.careen.source.digest": found.descriptor.digest,
        "io.careen.profile.digest": drawn.profile,
        "io.careen.plan.digest": drawn.digest if drawn.profile else "",
        "io.careen.source.name": target.source_name,
        "io.careen.debug": found.descriptor.digest if target.debug_tag is not None else "",
        "io.careen.version": __version__,
    }
    epoch = target.source_date_epoch
    created = "" if epoch is None else datetime.fromtimestamp(epoch, UTC).strftime(_RFC3339)
    return Form(
        encoding=target.encoding,
        command=f"careen {command} {__version__}",
        facts={key: value for key, value in facts.items() if value},
        created=created,
        oci_manifest=target.oci_manifest,
    )


def _check_target(target: Target, settings: Settings) -> None:
    """Refuse before hours of work what cannot end well."""
    if target.debug_tag is not None and target.debug_tag == own_tag(target.destination):
        raise UsageError(f"the debug tag is the image's own tag, {target.debug_tag!r}")
    copy.check_destination(target.destination, settings.destination)


def _check_plan(drawn: Plan, found: Opened) -> None:
    if drawn.source != found.bound:
        raise SourceError(
            f"the plan is for {drawn.source.digest} ({drawn.source.platform}), "
            f"{found.reference} is {found.bound.digest} ({found.bound.platform})"
        )


def _outcome(
    found: Opened, drawn: Plan, findings: tuple[Finding, ...], pushed: tuple[Image, Target] | None
) -> Outcome:
    image = debug = None
    if pushed is not None:
        made, target = pushed
        image = _named(str(target.destination), made)
        if target.debug_tag is not None:
            debug = _named(str(with_tag(target.destination, target.debug_tag)), found.image)
    source = _named(str(found.reference), found.image)
    return Outcome(plan=drawn, findings=findings, source=source, image=image, debug=debug)


def _named(reference: str, image: Image) -> Named:
    return Named(
        reference=reference,
        digest=image.manifest.digest,
        size=sum(layer.size for layer in image.manifest.layers),
        layers=len(image.manifest.layers),
    )


def _scene(image: Image, read: Scan, origin: Scene | None = None) -> Scene:
    native = "" if origin is None else origin.catalog.native
    return Scene(
        rootfs=read.rootfs,
        facts=facts.read(read.rootfs),
        catalog=catalog.read(read.rootfs, native=native),
        execution=image.config.execution,
    )


def _bare(image: Image, read: Scan) -> Scene:
    """The tree alone, for a squash: who owns what plays no part in it."""
    return Scene(
        rootfs=read.rootfs,
        facts=facts.Facts(),
        catalog=catalog.of([]),
        execution=image.config.execution,
    )


@contextlib.contextmanager
def scanned(
    layout: Layout, image: Image, name: str, folder: Path, settings: Settings
) -> Iterator[Scan]:
    """Read all layers of an image, every byte checked; the spools lie in `folder`."""
    total = sum(layer.size for layer in image.manifest.layers)
    with contextlib.ExitStack() as stack:
        with _task(settings, f"read {name}", total) as on_bytes, within(name):
            read = stack.enter_context(
                scan(layout, image, scratch=folder, jobs=settings.jobs, on_bytes=on_bytes)
            )
        yield read


@contextlib.contextmanager
def _watched(settings: Settings, label: str) -> Iterator[Watch]:
    """A task whose size is known only once the work has begun."""
    with contextlib.ExitStack() as stack:
        told: list[Callable[[int], None]] = []

        def start(total: int) -> None:
            told.append(stack.enter_context(settings.progress.task(label, total)))

        def on_bytes(count: int) -> None:
            for tell in told:
                tell(count)

        yield Watch(start=start, on_bytes=on_bytes)


def _task(
    settings: Settings, label: str, total: int
) -> AbstractContextManager[Callable[[int], None]]:
    return settings.progress.task(label, total)
