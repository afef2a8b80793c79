"""From a failing test to a wider profile: what was removed that the test needs, round by round.

The test runs first on the source, traced: what it used there and the plan removes are the
candidates. Then on the hardened image. What it looked for there in vain comes back first; where
that explains nothing, or in the last round, all candidates do.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping

import msgspec

from careen import linkage, workflow
from careen.errors import GateError, SourceError
from careen.formats.compression import Encoding
from careen.oci.layout import Layout
from careen.plan import draw
from careen.plan.closure import Scene, view
from careen.plan.plan import Options, Plan
from careen.profile import profile as profiles
from careen.profile.observed import Event, How, Observed, Run
from careen.profile.profile import Profile, Scenario
from careen.record.command import plain
from careen.record.recording import PRIVATE, Subject, Trial, check, trial
from careen.record.request import Request
from careen.rewrite import image as rewriting
from careen.rewrite.image import Form, Work
from careen.rootfs.path import Path as ImagePath
from careen.rootfs.path import absolute, name
from careen.rootfs.rootfs import Rootfs
from careen.transport.reference import Reference
from careen.workflow import Opened, Settings

__all__ = ["Found", "Repaired", "Round", "Test", "repair"]

_USES: tuple[How, ...] = ("executed", "opened", "examined")
_COMMAND = "repair"
_NO_TITLES = ("", ".", "..", "sh")  # what no library can be called beside the shell


class Test(msgspec.Struct, frozen=True, kw_only=True):
    """How to test: `request` runs the application and its exercise, or a command in its place.

    `inside` is that command, "" for none.
    """

    request: Request
    inside: str = ""
    rounds: int = 3
    minimise: bool = False


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A path that a round brought back: who used it, whose it is, whether it was looked for."""

    path: str
    how: str
    process: str
    package: str
    in_vain: bool


class Round(msgspec.Struct, frozen=True, kw_only=True):
    """One hardening and its test. `found` are what came back after it, () when it passed."""

    passed: bool
    message: str
    found: tuple[Found, ...] = ()


class Repaired(msgspec.Struct, frozen=True, kw_only=True):
    """`before` and `after` are the profiles; `packages` those that are kept now and were not."""

    before: Profile
    after: Profile
    rounds: tuple[Round, ...]
    packages: tuple[str, ...]
    needless: tuple[str, ...] = ()


def repair(
    source: Reference,
    profile: Profile,
    options: Options,
    test: Test,
    settings: Settings,
    *,
    recorded: str,
    watch: Callable[[str], None],
) -> Repaired:
    """Harden and test until green; `watch` hears of each step, `recorded` is the time to write.

    SourceError when the test fails on the source itself; GateError when it is not green after
    the rounds, or when removal does not explain the failure.
    """
    with workflow.opened(source, settings) as found:
        bench = _Bench(found, options, test, settings)
        watch("the source")
        check(bench.subject(bench.source.rootfs), bench.request)
        origin = bench.run(bench.source.rootfs, "source")
        if not origin.passed:
            raise SourceError(
                f"the test fails on the source itself, so no removal explains it: {origin.message}"
            )
        first = bench.drawn(profile)
        widened, rounds = profile, []
        for number in range(1, test.rounds + 1):
            watch(f"round {number} of {test.rounds}")
            plan = bench.drawn(widened)
            seen = bench.hardened(plan, f"round-{number}")
            if seen.passed:
                rounds.append(Round(passed=True, message=""))
                break
            candidates = bench.candidates(origin.events, plan)
            vain = _vain(bench.source, seen.events)
            chosen = _chosen(candidates, vain, last=number == test.rounds)
            if not chosen:
                raise GateError(
                    "the test fails on the hardened image, and nothing that it used on the source "
                    f"was removed: removal does not explain it: {seen.message}"
                )
            rounds.append(Round(passed=False, message=seen.message, found=bench.told(chosen, vain)))
            scenario = bench.scenario(chosen, _title(widened), recorded)
            widened = profiles.merge([widened, _only(scenario)])
        else:
            watch("the last profile")
            last = bench.hardened(bench.drawn(widened), "last")
            rounds.append(Round(passed=last.passed, message=last.message))
            if not last.passed:
                raise GateError(f"not green in {test.rounds} rounds: {last.message}")
        needless: tuple[str, ...] = ()
        if test.minimise:
            widened, needless = bench.minimised(profile, widened, watch)
        return Repaired(
            before=profile,
            after=widened,
            rounds=tuple(rounds),
            packages=_more(first, bench.drawn(widened)),
            needless=needless,
        )


class _Bench:
    """Where the image is hardened and tested, again and again."""

    def __init__(self, found: Opened, options: Options, test: Test, settings: Settings) -> None:
        self.found, self.options, self.test, self.settings = found, options, test, settings
        self.source = found.scene()
        self.image = workflow.named(found)
        self.request, self.shell = _request(self.source, test)

    def drawn(self, profile: Profile) -> Plan:
        return draw.draw(self.source, self.found.bound, profile, self.options)

    def subject(self, rootfs: Rootfs) -> Subject:
        return Subject(
            config=self.found.image.config,
            rootfs=rootfs,
            facts=self.source.facts,  # users and the like, whatever the plan removes
            image=self.image,
        )

    def run(self, rootfs: Rootfs, where: str) -> Trial:
        folder = self.found.scratch / where
        return trial(self.subject(rootfs), self.request, folder, shell=self.shell)

    def hardened(self, plan: Plan, where: str) -> Trial:
        """The test on the image that the plan makes, read again from its finished bytes."""
        layout = Layout(self.found.scratch / f"{where}-image")
        form = Form(encoding=Encoding.parse("gzip"), command=_COMMAND, facts={})
        image = rewriting.apply(
            self.found.image,
            self.found.scan.rootfs,
            plan,
            layout,
            form,
            Work(jobs=self.settings.jobs, on_bytes=lambda _: None),
        )
        with workflow.scanned(layout, image, where, self.found.scratch, self.settings) as read:
            return self.run(read.rootfs, where)

    def candidates(self, events: Iterable[Event], plan: Plan) -> dict[ImagePath, Event]:
        """What the source's run used and the plan removes, by path, in order of first use.

        Of several uses of a path the one that says most stands for it: executed, then opened.
        """
        gone = {ImagePath(item.path[1:]) for item in plan.paths if item.decision == "drop"}
        found: dict[ImagePath, Event] = {}
        for event in events:
            if event.how not in _USES:
                continue
            place = self.source.rootfs.resolve(event.path, follow_last=event.follows)
            for path in (*place.hops, *filter(None, [place.path])):
                known = found.get(path, event)
                if path in gone:
                    found[path] = min(known, event, key=lambda one: _USES.index(one.how))
        return found

    def told(self, chosen: Mapping[ImagePath, Event], vain: set[ImagePath]) -> tuple[Found, ...]:
        return tuple(
            Found(
                path=absolute(path),
                how=event.how,
                process=event.process,
                package=", ".join(self.source.catalog.owners.get(path, ())),
                in_vain=path in vain,
            )
            for path, event in chosen.items()
        )

    def scenario(self, chosen: Mapping[ImagePath, Event], title: str, recorded: str) -> Scenario:
        """The chosen paths as a scenario: each as it was used on the source."""
        observed = Observed(self.source.rootfs).take(chosen.values())
        command = (self.test.inside,) if self.test.inside else ()
        exercise = self.test.request.exercise
        run = Run(
            name=title,
            image=self.image,
            command=command,
            exercise=exercise.text if exercise is not None else "",
            tool="careen repair",
            recorded=recorded,
        )
        return observed.scenario(run)

    def minimised(
        self, before: Profile, widened: Profile, watch: Callable[[str], None]
    ) -> tuple[Profile, tuple[str, ...]]:
        """Without each package of the repair scenarios that green does not need, one at a time."""
        needless: list[str] = []
        for package in _more(self.drawn(before), self.drawn(widened)):
            smaller = self._without_package(before, widened, package)
            plan = self.drawn(smaller)
            if any(item.id == package and item.decision != "remove" for item in plan.packages):
                continue  # something else needs it
            watch(f"without {package}")
            if self.hardened(plan, f"without-{len(needless)}-{name(ImagePath(package))}").passed:
                needless.append(package)
                widened = smaller
        return widened, tuple(needless)

    def _without_package(self, before: Profile, profile: Profile, package: str) -> Profile:
        """Without the package's paths in the scenarios that `before` has not."""
        earlier = {scenario.name for scenario in before.scenarios}
        owners = self.source.catalog.owners

        def stays(path: str) -> bool:
            return package not in owners.get(ImagePath(path[1:]), ())

        replace = msgspec.structs.replace
        return replace(
            profile,
            scenarios=tuple(
                replace(
                    one,
                    executed=tuple(filter(stays, one.executed)),
                    opened=tuple(filter(stays, one.opened)),
                    examined=tuple(filter(stays, one.examined)),
                    links={link: to for link, to in one.links.items() if stays(link)},
                )
                if one.name not in earlier
                else one
                for one in profile.scenarios
            ),
        )


def _chosen(
    candidates: Mapping[ImagePath, Event], vain: set[ImagePath], *, last: bool
) -> dict[ImagePath, Event]:
    """Those that were looked for in vain; all of them when there are none, or no more rounds."""
    asked = {path: event for path, event in candidates.items() if path in vain}
    return dict(candidates) if last or not asked else asked


def _vain(scene: Scene, events: Iterable[Event]) -> set[ImagePath]:
    found = set()
    for event in events:
        if event.how == "missing":
            place = scene.rootfs.resolve(event.path, follow_last=event.follows)
            found |= {*place.hops, *filter(None, [place.path])}
    return found


def _more(before: Plan, after: Plan) -> tuple[str, ...]:
    """The packages that `before` removes and `after` does not."""
    gone = {item.id for item in before.packages if item.decision == "remove"}
    return tuple(
        item.id for item in after.packages if item.id in gone and item.decision != "remove"
    )


def _only(scenario: Scenario) -> Profile:
    return Profile(scenarios=(scenario,))


def _title(profile: Profile) -> str:
    """The first `repair-N` that no scenario has: an earlier repair's stay."""
    taken = {scenario.name for scenario in profile.scenarios}
    return next(title for n in itertools.count(1) if (title := f"{_COMMAND}-{n}") not in taken)


def _request(scene: Scene, test: Test) -> tuple[Request, dict[str, bytes]]:
    """The request as it is run, and the files of a shell for it when it takes one."""
    if not test.inside:
        return test.request, {}
    replace = msgspec.structs.replace
    overrides = test.request.overrides
    words = plain(test.inside)
    shell: dict[str, bytes] = {}
    if not words:
        shell = dict(_shell(scene))
        loader = (
            [f"/{PRIVATE}/loader", "--library-path", f"/{PRIVATE}"] if "loader" in shell else []
        )
        words = (*loader, f"/{PRIVATE}/sh", "-c", test.inside)
    return (
        replace(test.request, overrides=replace(overrides, entrypoint=(), arguments=words)),
        shell,
    )


def _shell(scene: Scene) -> Iterator[tuple[str, bytes]]:
    """The source's /bin/sh with its loader and libraries, by the names that they get.

    SourceError when one cannot get a name of its own beside the others.
    """
    rootfs = scene.rootfs
    shell = rootfs.resolve("/bin/sh").path
    if shell is None:
        raise SourceError(
            "the image has no /bin/sh for such a --test-inside; name a program and its arguments"
        )
    yield "sh", rootfs.read(shell)
    interpreter = scene.facts.elf[shell].interpreter if shell in scene.facts.elf else ""
    for library in linkage.of(shell, view(scene)).found:
        title = "loader" if library.name == interpreter else name(ImagePath(library.name))
        if title in _NO_TITLES or (title == "loader") != (library.name == interpreter):
            raise SourceError(
                f"the image's /bin/sh loads {library.name!r}, which cannot lie beside it for such "
                "a --test-inside; name a program and its arguments"
            )
        with contextlib.suppress(SourceError):
            yield title, rootfs.read(library.path)
