"""A profile in the words of others: in-toto's runtime trace."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

from careen.errors import SourceError
from careen.formats.digest import algorithm, encoded
from careen.formats.strict_json import Object
from careen.profile.schema import Profile, Scenario
from careen.profile.spelling import spelt

__all__ = ["FORMATS", "runtime_trace"]

FORMATS = ("runtime-trace",)

_STATEMENT = "https://in-toto.io/Statement/v1"
_PREDICATE = "https://in-toto.io/attestation/runtime-trace/v0.1"


def runtime_trace(profile: Profile) -> Object:
    """An in-toto Statement about the images that the scenarios ran, every file access in it.

    How a file was used stands in each access' annotations, and `careen profile import
    runtime-trace` reads it again. `missing` and `answered` have no place there. SourceError when
    no scenario says which image it ran: a statement is about something.
    """
    scenarios = profile.scenarios
    subjects = sorted({(s.image.digest, s.image.name) for s in scenarios if s.image.digest})
    if not subjects:
        raise SourceError("no scenario says which image it ran; import or record it with an image")
    recorded = max((s.recorded for s in scenarios), default="")
    return {
        "_type": _STATEMENT,
        "subject": [
            {"name": name or digest, "digest": {algorithm(digest): encoded(digest)}}
            for digest, name in subjects
            if digest is not None
        ],
        "predicateType": _PREDICATE,
        "predicate": {
            "monitor": {"type": _monitor(scenarios)},
            "monitoredProcess": {
                "hostID": "urn:careen:host:unknown",
                "type": "urn:careen:scenario",
                "event": ", ".join(s.name for s in scenarios),
            },
            "monitorLog": {
                "process": [
                    {"eventType": "process", "processBinary": spelt(path), "arguments": []}
                    for path in sorted({path for s in scenarios for path in s.executed})
                ],
                "fileAccess": [access for s in scenarios for access in _accesses(s)],
            },
            "metadata": {"buildFinishedOn": recorded} if recorded else {},
        },
    }


def _monitor(scenarios: tuple[Scenario, ...]) -> str:
    tools = sorted({s.tool for s in scenarios} - {""})
    return f"urn:careen:monitor:{quote('+'.join(tools) or 'unknown', safe='+')}"


def _accesses(scenario: Scenario) -> Iterator[Object]:
    for use in ("executed", "opened", "examined"):
        for path in getattr(scenario, use):
            yield _access(path, {"scenario": scenario.name, "use": use})
    for path, target in scenario.links.items():
        yield _access(path, {"scenario": scenario.name, "use": "link", "leadsTo": _uri(target)})


def _access(path: str, use: Object) -> Object:
    """A ResourceDescriptor; its `uri` has the name's very bytes."""
    return {"name": spelt(path), "uri": _uri(path), "annotations": {"careen": use}}


def _uri(path: str) -> str:
    return f"file://{quote(path.encode('utf-8', 'surrogateescape'))}"
