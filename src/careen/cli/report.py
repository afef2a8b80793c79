"""What plan, harden, squash and verify did: tables for people, JSON for programs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
from rich.console import RenderableType

from careen import tools
from careen.cli.tables import ABOUT, Column, comparison, facts, note, table, title
from careen.cli.units import count, size
from careen.finding import Finding
from careen.formats import strict_json
from careen.plan.plan import PackageDecision, PathDecision, Plan
from careen.plan.rules import SHELLS
from careen.rootfs.path import Path, name, parent
from careen.workflow import Named, Outcome

__all__ = [
    "findings_json",
    "findings_rows",
    "findings_table",
    "outcome_json",
    "outcome_table",
    "plan_table",
]

_Parts = Iterator[RenderableType]
_FEW = 10  # findings of one rule
_SEVERITIES = ("error", "warning", "note")
_PATH = re.compile(r"/\S*[^\s,]")


def outcome_json(outcome: Outcome) -> bytes:
    """`source`, `image` and `debug` with name, digest, bytes and layers; the plan's decisions."""
    plan = outcome.plan
    paths = list(msgspec.to_builtins(plan.paths))
    for item in paths:
        del item["content"], item["target"]
    return strict_json.dump(
        {
            "source": _named(outcome.source) | {"platform": plan.source.platform},
            "image": _named(outcome.image),
            "debug": _named(outcome.debug),
            "plan": plan.digest,
            "profile": plan.profile,
            "options": msgspec.to_builtins(plan.options),
            "totals": msgspec.to_builtins(plan.totals),
            "packages": msgspec.to_builtins(plan.packages),
            "paths": paths,
            "findings": msgspec.to_builtins((*plan.findings, *outcome.findings)),
        }
    )


def findings_json(image: str, findings: Sequence[Finding]) -> bytes:
    """The image's name, how many findings of each severity, and each."""
    totals = {f"{word}s": len(_of(word, findings)) for word in _SEVERITIES}
    return strict_json.dump(
        {"image": image, **totals, "findings": msgspec.to_builtins(tuple(findings))}
    )


def plan_table(source: str, plan: Plan, *, every: bool) -> _Parts:
    """What would go of the image, and why."""
    yield facts([("source", source), *_bound(plan)])
    yield from _summary(plan, ())
    yield from _decisions(plan, every=every)
    yield from findings_rows(plan.findings, every=every)


def outcome_table(outcome: Outcome, *, every: bool) -> _Parts:
    """What went and why, what was found, and where the images are now."""
    plan, image = outcome.plan, outcome.image
    yield facts([("source", outcome.source.reference), *_bound(plan)])
    if image is not None:
        yield from _summary(
            plan,
            (
                ("compressed", outcome.source.size, image.size, True),
                ("layers", outcome.source.layers, image.layers, False),
            ),
        )
    else:
        yield from _summary(plan, ())
    yield from _decisions(plan, every=every)
    yield from findings_rows((*plan.findings, *outcome.findings), every=every)
    yield title("Result")
    yield from _result(outcome)


def findings_table(image: str, findings: Sequence[Finding], *, every: bool) -> _Parts:
    """What verify has to say of an image."""
    yield from findings_rows(findings, every=every)
    counts = ", ".join(count(len(_of(word, findings)), word) for word in _SEVERITIES)
    yield note(f"{image}: {counts}")


def _named(image: Named | None) -> Any:
    return None if image is None else msgspec.to_builtins(image)


def _bound(plan: Plan) -> list[tuple[str, str]]:
    rows = [("digest", plan.source.digest), ("platform", plan.source.platform)]
    if plan.profile:
        options = plan.options
        rows.append(("profile", plan.profile))
        rows.append(("policy", f"{options.policy}, shells {options.shells}"))
        if options.granularity != "package":
            rows.append(("granularity", options.granularity))
        rows += [(word, " ".join(getattr(options, word))) for word in ("keep", "drop")
                 if getattr(options, word)]  # fmt: skip
    return rows


def _summary(plan: Plan, more: Iterable[tuple[str, int, int, bool]]) -> _Parts:
    """Before and after; `more` are rows as `comparison` takes them."""
    totals = plan.totals
    known = (
        ("packages", *totals.packages, False),
        ("shells", *totals.shells, False),
        ("files", *totals.files, False),
        ("content", *totals.bytes, True),
    )
    yield from comparison((*known, *more))


def _decisions(plan: Plan, *, every: bool) -> _Parts:
    yield from _packages_gone(plan, every=every)
    yield from _packages_partial(plan, every=every)
    yield from _shells(plan, every=every)
    yield from _tools(plan)
    yield from _leftovers(plan, every=every)
    yield from _packages_kept(plan, every=every)


def _decided(plan: Plan, decision: str) -> list[PackageDecision]:
    """By size, largest first."""
    found = (item for item in plan.packages if item.decision == decision)
    return sorted(found, key=lambda item: (-item.bytes, item.id))


def _packages_gone(plan: Plan, *, every: bool) -> _Parts:
    found = _decided(plan, "remove")
    if found:
        yield title(f"Gone: {_packages_in_all(found)}")
        yield from _packages(found, every=every)


def _packages_kept(plan: Plan, *, every: bool) -> _Parts:
    found = _decided(plan, "keep")
    if found:
        yield title(f"Kept: {_packages_in_all(found)}")
        yield from _packages(found, every=every)


def _packages_in_all(found: Sequence[PackageDecision]) -> str:
    return f"{count(len(found), 'package')}, {size(sum(item.bytes for item in found))}"


def _packages(found: Sequence[PackageDecision], *, every: bool) -> _Parts:
    columns = [Column("package"), Column("version"), Column("size", right=True),
               Column("why", wrap=True)]  # fmt: skip
    rows = [(item.id, item.version, size(item.bytes), item.reason) for item in found]
    yield from table(columns, rows, every=every)


def _packages_partial(plan: Plan, *, every: bool) -> _Parts:
    found = _decided(plan, "partial")
    if found:
        yield title(f"Partly gone, still on record: {count(len(found), 'package')}")
        columns = [Column("package"), Column("files gone", right=True), Column("of", right=True),
                   Column("size gone", right=True), Column("of", right=True),
                   Column("why it stays", wrap=True)]  # fmt: skip
        gone = _bytes_gone(plan)
        rows = [(item.id, f"{item.dropped:,}", f"{item.files:,}",
                 size(min(gone.get(item.id, 0), item.bytes)), size(item.bytes), item.reason)
                for item in found]  # fmt: skip
        yield from table(columns, rows, every=every)


def _bytes_gone(plan: Plan) -> Mapping[str, int]:
    """Package → the bytes of its paths that go, a file of several names once for each."""
    found: dict[str, int] = {}
    for item in _dropped(plan):
        for id in item.owner.split(", "):
            found[id] = found.get(id, 0) + item.bytes
    return found


def _shells(plan: Plan, *, every: bool) -> _Parts:
    gone = [("gone", item.path, item.reason) for item in _dropped(plan) if _is_shell(item.path)]
    kept = [
        ("kept", item.path, item.message) for item in plan.findings if item.rule == "shell-kept"
    ]
    if gone or kept:
        yield title(f"Shells: {len(gone)} gone, {plan.totals.shells[1]} kept")
        columns = [Column(""), Column("shell"), Column("why", wrap=True)]
        yield from table(columns, [*kept, *gone], every=every)


def _is_shell(path: str) -> bool:
    return name(Path(path)) in SHELLS and name(parent(Path(path))) in ("bin", "sbin")


def _tools(plan: Plan) -> _Parts:
    """Packages that bring interactive tools, counted apart by kind."""
    rows = []
    for kind in tools.KINDS:
        found = [item for item in plan.packages if tools.of_package(item.name) == kind]
        gone = sorted(item.id for item in found if item.decision == "remove")
        kept = sorted(item.id for item in found if item.decision != "remove")
        if found:
            rows.append((f"{kind}s", str(len(gone)), str(len(kept)), _listed(gone, kept)))
    if rows:
        yield title("Interactive tools")
        columns = [Column(""), Column("gone", right=True), Column("kept", right=True),
                   Column("packages", wrap=True)]  # fmt: skip
        yield from table(columns, rows, every=True)


def _listed(gone: Sequence[str], kept: Sequence[str]) -> str:
    stay = f"kept: {', '.join(kept)}" if kept else ""
    leave = f"gone: {', '.join(gone)}" if gone else ""
    return "; ".join(part for part in (stay, leave) if part)


def _dropped(plan: Plan) -> Iterator[PathDecision]:
    return (item for item in plan.paths if item.decision == "drop")


def _leftovers(plan: Plan, *, every: bool) -> _Parts:
    """Files of no package that went, by rule; each of them with `every`."""
    found = [item for item in _dropped(plan) if not item.owner and item.kind != "directory"]
    if not found:
        return
    in_all = size(sum(item.bytes for item in found))
    yield title(f"Left over by what is gone: {count(len(found), 'file')}, {in_all}")
    if every:
        rows = [(item.path, size(item.bytes), item.reason) for item in found]
        columns = [Column("file"), Column("size", right=True), Column("why", wrap=True)]
    else:
        rows = [_rule(rule, found) for rule in dict.fromkeys(map(_rule_of, found))]
        columns = [
            Column("files", right=True),
            Column("size", right=True),
            Column("why", wrap=True),
        ]
    yield from table(columns, rows, every=True)


def _rule_of(item: PathDecision) -> str:
    return _PATH.sub("…", item.reason)


def _rule(rule: str, found: Sequence[PathDecision]) -> tuple[str, str, str]:
    of_rule = [item for item in found if _rule_of(item) == rule]
    return f"{len(of_rule):,}", size(sum(item.bytes for item in of_rule)), rule


def _of(severity: str, findings: Iterable[Finding]) -> list[Finding]:
    return [item for item in findings if item.severity == severity]


def findings_rows(findings: Sequence[Finding], *, every: bool) -> _Parts:
    """Errors first, every rule with its first findings, or all of them with `every`.

    Those that another section shows already are left out.
    """
    kinds: dict[tuple[str, str], list[Finding]] = {}
    for word in _SEVERITIES:
        for item in _of(word, findings):
            if item.rule != "shell-kept":
                kinds.setdefault((word, item.rule), []).append(item)
    rows = [row for found in kinds.values() for row in _of_rule(found, every=every)]
    if rows:
        yield title("Findings")
        columns = [Column("severity"), *ABOUT]
        yield from table(columns, rows, every=True)


def _of_rule(found: Sequence[Finding], *, every: bool) -> Iterator[tuple[str, ...]]:
    """The rows of one rule's findings of one severity."""
    shown = found if every else found[:_FEW]
    for item in shown:
        yield from _rows(item, every=every)
    if len(shown) < len(found):
        more = f"… and {len(found) - len(shown):,} more of this rule; -v shows them"
        yield "", found[0].rule, "", more


def _rows(item: Finding, *, every: bool) -> Iterator[tuple[str, ...]]:
    """A finding's row, and with `every` one for each further path that it stands for."""
    yield item.severity, item.rule, item.path, _times(item)
    for path in item.paths if every else ():
        if path != item.path:
            yield "", "", path, ""


def _times(item: Finding) -> str:
    if item.count == 1:
        return item.message
    return f"{item.message} ({item.count:,} {'in all' if item.paths else 'times'})"


def _result(outcome: Outcome) -> _Parts:
    rows = [
        (word, image)
        for word, image in (("image", outcome.image), ("debug", outcome.debug))
        if image is not None
    ]
    if not rows:
        wrong = len(_of("error", outcome.findings))
        why = f"verification found {count(wrong, 'error')}" if wrong else "--dry-run"
        yield note(f"nothing was written: {why}")
        return
    yield facts([pair for word, image in rows
                 for pair in ((word, image.reference), ("", image.digest))])  # fmt: skip
