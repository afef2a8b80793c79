"""What the commands of `careen profile` print: tables for people, JSON for programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec
from rich.console import RenderableType

from careen.cli.report import findings_rows
from careen.cli.tables import Column, facts, note, table, title
from careen.cli.units import count
from careen.errors import SourceError
from careen.finding import Finding, errors, some
from careen.formats import strict_json
from careen.formats.digest import Digest
from careen.profile import profile as profiles
from careen.profile.importers.gather import Read
from careen.profile.profile import Profile, Scenario
from careen.record.recording import Recorded
from careen.rootfs.path import absolute
from careen.staleness import Staleness

__all__ = [
    "Imported",
    "check_json",
    "check_table",
    "doubts",
    "import_json",
    "import_table",
    "only",
    "profile_json",
    "profile_table",
    "record_json",
    "record_table",
]

_Parts = Iterator[RenderableType]
_USES = ("executed", "opened", "examined", "links", "missing")


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """What an import did: the file, its new digest, the scenario, and what became of each log."""

    profile: str
    digest: Digest
    scenario: Scenario
    kept: int
    reads: tuple[Read, ...]
    findings: tuple[Finding, ...]


def import_json(result: Imported) -> bytes:
    """The file and its digest, the scenario with counts for its lists, each log, the findings."""
    return strict_json.dump(
        {
            "profile": result.profile,
            "digest": result.digest,
            "scenario": _scenario(result.scenario),
            "kept": result.kept,
            "logs": msgspec.to_builtins(result.reads),
            "findings": msgspec.to_builtins(result.findings),
        }
    )


def import_table(result: Imported) -> _Parts:
    """The same for people."""
    scenario = result.scenario
    rows = [("profile", result.profile), ("digest", result.digest), ("scenario", scenario.name)]
    rows += _image(scenario)
    yield facts(rows)
    columns = [Column(word, right=True) for word in (*_USES, "kept patterns")]
    counts = [f"{len(getattr(scenario, use)):,}" for use in _USES]
    yield title("Used")
    yield from table(columns, [(*counts, f"{result.kept:,}")], every=True)
    yield title("Logs")
    numbers = ("lines", "events", "relative", "absent", "unread")
    heads = ("lines", "events", "relative", "not in image", "unread")
    columns = [Column("log"), *(Column(word, right=True) for word in heads)]
    logs = [(r.log, *(f"{getattr(r, word):,}" for word in numbers)) for r in result.reads]
    yield from table(columns, logs, every=True)
    for read in result.reads:
        for sample in read.samples:
            yield note(f"{read.log}: line {sample.line}: {sample.problem}")
    yield from findings_rows(result.findings, every=True)


def record_json(output: str, digest: Digest, result: Recorded) -> bytes:
    """The file and its digest, the scenario with counts for its lists, how it ran."""
    return strict_json.dump(
        {
            "profile": output,
            "digest": digest,
            "scenario": _scenario(result.scenario),
            "runner": result.runner,
            "ids": result.ids,
            "milliseconds": round(result.seconds * 1000),
            "lines": result.lines,
            "unread": result.unread,
            "findings": msgspec.to_builtins(result.findings),
        }
    )


def record_table(output: str, digest: Digest, result: Recorded) -> _Parts:
    """The same for people."""
    scenario = result.scenario
    rows = [("profile", output), ("digest", digest), ("scenario", scenario.name)]
    rows += _image(scenario)
    ids = {"single": "one id", "mapped": "subordinate ids", "real": "root"}[result.ids]
    rows.append(("ran", f"{result.seconds:.1f} s in {result.runner}, {ids}"))
    yield facts(rows)
    yield title("Used")
    columns = [Column(word, right=True) for word in _USES]
    yield from table(columns, [[f"{len(getattr(scenario, use)):,}" for use in _USES]], every=True)
    if scenario.answered:
        yield note(
            f"answered with success, though not allowed here: {', '.join(scenario.answered)}"
        )
    if result.unread:
        yield note(f"{result.unread:,} of {result.lines:,} lines of strace were not understood")
    yield from findings_rows(result.findings, every=True)


def doubts(reads: Sequence[Read], findings: Sequence[Finding]) -> Iterator[str]:
    """The same in lines, for when stdout has the profile."""
    for read in reads:
        if read.unread:
            first = read.samples[0]
            lines = f"{read.unread:,} of {read.lines:,} lines were not read"
            yield f"{read.log}: {lines}; the first is line {first.line}: {first.problem}"
        if read.relative:
            yield f"{read.log}: {count(read.relative, 'path')} not absolute, left out"
        if read.absent:
            yield f"{read.log}: {count(read.absent, 'path')} not in the image, left out"
    for finding in findings:
        yield f"{finding.severity}: {finding.message}"


def profile_json(profile: Profile) -> bytes:
    """Digest, scenarios with counts, every used path with who saw it, what people keep and drop."""
    return strict_json.dump(
        {
            "digest": profiles.digest(profile),
            "scenarios": [_scenario(scenario) for scenario in profile.scenarios],
            "paths": [
                {"path": absolute(path), "seen": msgspec.to_builtins(uses)}
                for path, uses in profiles.used(profile).items()
            ],
            "keep": _rules(profile.keep),
            "drop": _rules(profile.drop),
        }
    )


def profile_table(profile: Profile, *, every: bool) -> _Parts:
    """The scenarios, and who saw what: what few saw first, for that is what may be missed."""
    used = profiles.used(profile)
    yield facts([("digest", profiles.digest(profile))])
    if profile.scenarios:
        yield title(f"Scenarios: {len(profile.scenarios)}")
        words = ("image", "recorded", "revision")
        columns = [Column("scenario"), *(Column(word, wrap=True) for word in words)]
        columns += [Column(use, right=True) for use in _USES]
        yield from table(columns, list(map(_row, profile.scenarios)), every=True)
    for word, rules in (("keep", profile.keep), ("drop", profile.drop)):
        why = profile.keep.why if word == "keep" else {}
        entries = [(entry, why.get(entry, "")) for entry in (*rules.packages, *rules.paths)]
        if entries:
            yield title(f"{word.capitalize()}: {len(entries)}")
            yield from table([Column(""), Column("why", wrap=True)], entries, every=every)
    if used:
        yield title(f"Used: {count(len(used), 'path')}")
        rows = [
            (absolute(path), ", ".join(f"{use.how} in {use.scenario}" for use in uses))
            for path, uses in used.items()
        ]
        yield from table([Column("path"), Column("seen", wrap=True)], rows, every=every)


def only(profile: Profile, names: Sequence[str]) -> Profile:
    """The profile with the scenarios of these names alone; SourceError for one it lacks."""
    known = {scenario.name for scenario in profile.scenarios}
    for name in names:
        if name not in known:
            raise SourceError(f"no such scenario: {name!r}; there are {some(sorted(known))}")
    wanted = tuple(s for s in profile.scenarios if not names or s.name in names)
    return msgspec.structs.replace(profile, scenarios=wanted)


def check_json(name: str, image: str, found: Staleness) -> bytes:
    """The verdict, scenarios, gone paths, the packages that own the others, and the findings."""
    stale = bool(errors(found.findings))
    document = {"profile": name, "image": image, "stale": stale}
    return strict_json.dump({**document, **msgspec.to_builtins(found)})


def check_table(name: str, image: str, found: Staleness, *, every: bool) -> _Parts:
    """The same for people; the packages only with `every`."""
    verdict = "stale: record it again" if errors(found.findings) else "fresh"
    yield facts([("profile", name), ("image", image), ("digest", found.source.digest),
                 ("verdict", verdict)])  # fmt: skip
    yield title("Scenarios")
    numbers = ("paths", "gone", "renamed")
    columns = [Column("scenario"), Column("platform"), Column("recorded"), Column("revision"),
               *(Column(word, right=True) for word in numbers)]  # fmt: skip
    rows = [
        (s.name, s.platform, s.recorded, s.revision, *(f"{getattr(s, w):,}" for w in numbers))
        for s in found.scenarios
    ]
    yield from table(columns, rows, every=True)
    if found.gone:
        yield title(f"Gone: {count(len(found.gone), 'path')}")
        columns = [Column("path"), Column("now"), Column("of package"), Column("used in")]
        lost = [one for one in found.gone if not one.now]
        lost += [one for one in found.gone if one.now]
        gone = [(g.path, g.now, g.package, ", ".join(g.scenarios)) for g in lost]
        yield from table(columns, gone, every=every)
    if every and found.packages:
        yield title(f"Used: {count(len(found.packages), 'package')}")
        columns = [Column("package"), Column("version"), Column("paths", right=True)]
        owners = [(o.package, o.version, f"{o.paths:,}") for o in found.packages]
        yield from table(columns, owners, every=True)
    yield from findings_rows(found.findings, every=True)


def _row(scenario: Scenario) -> tuple[str, ...]:
    image = scenario.image
    return (
        scenario.name,
        image.name or (image.digest or "")[:19],
        scenario.recorded[:10],
        scenario.revision,
        *(f"{len(getattr(scenario, use)):,}" for use in _USES),
    )


def _image(scenario: Scenario) -> list[tuple[str, str]]:
    image = scenario.image
    facts = (("image", image.name), ("image digest", image.digest or ""),
             ("platform", image.platform))  # fmt: skip
    return [(word, value) for word, value in facts if value]


def _scenario(scenario: Scenario) -> dict[str, object]:
    lists = dict.fromkeys((*_USES, "answered"), 0)
    facts: dict[str, object] = msgspec.to_builtins(scenario)
    return {key: value for key, value in facts.items() if key not in lists} | {
        use: len(getattr(scenario, use)) for use in lists
    }


def _rules(rules: msgspec.Struct) -> dict[str, object]:
    return {key: msgspec.to_builtins(getattr(rules, key)) for key in rules.__struct_fields__}
