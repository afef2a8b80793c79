"""Kubescape's ApplicationProfile, as `kubectl get -o yaml` or `-o json` prints one or a list.

Kubescape folds paths: `⋯` (once `<dynamic>`) stands for one component, `*` for any number. Where
the image is at hand they are looked up in it; without it they become patterns of `keep.paths`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from careen.errors import FormatError, within
from careen.finding import Finding
from careen.formats import strict_json
from careen.profile.importers.importer import Filter, Filters, Item, Origin, Unread
from careen.profile.importers.log import CEILING, Log
from careen.profile.importers.pattern import ANY, ANY_DEPTH, Pattern
from careen.profile.importers.records import at, items, text
from careen.profile.observed import Event, How

__all__ = ["FILTERS", "read"]

FILTERS: tuple[Filter, ...] = ("container", "image")

_DEPTH = 200  # call stacks stand in it as nested maps
_KINDS = ("ApplicationProfile", "ContainerProfile")
_ONE = ("\u22ef", "<dynamic>")
_GROUPS = ("containers", "initContainers", "ephemeralContainers")


def read(log: Log, filters: Filters) -> Iterator[Item]:
    """What the containers' `execs` and `opens` name; SourceError when it is no such profile."""
    with within(log.name):
        document = _document(log)
        profiles = [
            item for item in items(document, "items") or [document] if at(item, "kind") in _KINDS
        ]
        if not profiles:
            raise FormatError("not Kubescape's: no `kind: ApplicationProfile`")
    for profile in profiles:
        yield from _partial(profile)
        for container in _containers(profile):
            yield from _container(container, log, filters)


def _document(log: Log) -> Any:
    raw = log.document()
    if raw.lstrip()[:1] == b"{":
        return strict_json.parse(raw, ceiling=CEILING)
    from careen.profile import strict_yaml  # noqa: PLC0415  # PyYAML costs start-up time

    return strict_yaml.parse(raw, ceiling=CEILING, depth=_DEPTH)


def _containers(profile: Any) -> list[Any]:
    if at(profile, "kind") == "ContainerProfile":  # one container, and its fields in the spec
        return [at(profile, "spec")]
    return [one for group in _GROUPS for one in items(profile, "spec", group)]


def _partial(profile: Any) -> Iterator[Item]:
    """A container that was running before Kubescape looked: what it read at its start is not in."""
    annotations = at(profile, "metadata", "annotations")
    if text(annotations, "kubescape.io/completion") == "partial":
        name = text(profile, "metadata", "name")
        message = f"Kubescape did not see {name} start; what it needs to start may be missing"
        yield Finding(rule="profile-partial", severity="warning", message=message)


def _container(container: Any, log: Log, filters: Filters) -> Iterator[Item]:
    image, _, digest = text(container, "imageID").rpartition("@")
    origin = Origin(
        container=text(container, "name"),
        image=text(container, "imageTag") or image,
        digest=digest,
    )
    if not filters.admit(origin):
        return
    yield origin
    kinds: tuple[tuple[str, How], ...] = (("execs", "executed"), ("opens", "opened"))
    for key, how in kinds:
        for entry in log.records(items(container, key)):
            yield _use(text(entry, "path"), how)


def _use(path: str, how: How) -> Item:
    parts = path.split("/")[1:]
    if not path.startswith("/") or ".." in parts:
        return Unread(f"not a plain absolute path: {path[:60]!r}")
    if not any(part in _ONE or part == "*" for part in parts):
        return Event(how, path)
    return Pattern(tuple(_component(part) for part in parts if part not in ("", ".")))


def _component(part: str) -> str:
    if part == "*":
        return ANY_DEPTH
    return ANY if part in _ONE else part
