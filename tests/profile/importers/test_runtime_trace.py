"""in-toto's runtime trace: others', and careen's own there and back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from careen.errors import FormatError, SourceError
from careen.profile import export
from careen.profile import profile as profiles
from careen.profile.observed import Run
from careen.profile.schema import Image, Profile, Scenario
from tests.profile.importers.support import gathered, scenario

REDIS = Path(__file__).resolve().parents[3] / "fixtures" / "profiles" / "redis.yaml"
TETRAGON: dict[str, Any] = {
    "_type": "https://in-toto.io/Statement/v1",
    "predicateType": "https://in-toto.io/attestation/runtime-trace/v0.1",
    "subject": [{"name": "ttl.sh/testin123", "digest": {"sha256": "d" * 64}}],
    "predicate": {
        "monitor": {"type": "https://github.com/cilium/tetragon/v0.8.4", "configSource": {}},
        "monitoredProcess": {"hostID": "https://tekton.dev/chains/v2", "type": "x", "event": "y"},
        "monitorLog": {
            "process": [
                {"eventType": "process", "processBinary": "/bin/sh", "arguments": ["-c x"]},
                {"eventType": "exit", "processBinary": "/bin/touch", "arguments": []},
            ],
            "network": [{"ip": "8.8.8.8", "port": 53}],
            "fileAccess": [
                {"name": "/etc/hosts", "digest": {"sha256": "e" * 64}},
                {"uri": "file:///srv/a%20b"},
                {"digest": {"sha256": "e" * 64}},
            ],
        },
    },
}
# in-toto's Statement v1 and ResourceDescriptor, as their specification says it.
STATEMENT = {
    "type": "object",
    "required": ["_type", "subject", "predicateType", "predicate"],
    "properties": {
        "_type": {"const": "https://in-toto.io/Statement/v1"},
        "predicateType": {"const": "https://in-toto.io/attestation/runtime-trace/v0.1"},
        "subject": {
            "type": "array", "minItems": 1,
            "items": {
                "required": ["digest"],
                "properties": {"digest": {
                    "type": "object", "minProperties": 1,
                    "additionalProperties": {"type": "string", "pattern": "^[0-9a-f]+$"},
                }},
            },
        },
        "predicate": {
            "required": ["monitor", "monitoredProcess", "monitorLog"],
            "properties": {
                "monitor": {"required": ["type"]},
                "monitoredProcess": {"required": ["hostID", "type", "event"]},
                "monitorLog": {"properties": {"fileAccess": {"type": "array", "items": {
                    "type": "object",
                    "anyOf": [{"required": [key]} for key in ("uri", "digest", "content")],
                    "properties": {"uri": {"type": "string", "pattern": "^file:///[!-~]*$"},
                                   "name": {"type": "string"}, "annotations": {"type": "object"}},
                }}}},
            },
        },
    },
}  # fmt: skip


def test_anothers_trace() -> None:
    expected = {"executed": ("/bin/sh",), "opened": ("/etc/hosts", "/srv/a b")}
    assert scenario("runtime-trace", json.dumps(TETRAGON)) == expected
    assert scenario("runtime-trace", json.dumps(TETRAGON["predicate"])) == expected


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"predicateType": "https://slsa.dev/provenance/v1"}, "predicateType: not a runtime trace"),
        ({"payload": "e30=", "payloadType": "application/vnd.in-toto+json"}, "DSSE"),
        ({"predicate": {}}, "no `predicate.monitorLog`"),
    ],
)
def test_what_is_no_trace_is_refused(change: dict[str, Any], problem: str) -> None:
    with pytest.raises(FormatError, match=problem):
        gathered("runtime-trace", json.dumps(TETRAGON | change))


ODD = Scenario(
    name="odd",
    image=Image(name="r.example/app:1", digest=profiles.digest(Profile())),
    executed=("/usr/bin/app",),
    opened=("/srv/caf\udce9", "/srv/a b%20\u00e9", "/usr/bin/app"),
    examined=("/etc/hosts",),
    links={"/lib": "/usr/lib", "/etc/localtime": "/usr/share/zoneinfo/Etc/\udcff"},
)


@pytest.mark.parametrize("name", ["odd", "redis"])
def test_there_and_back(name: str) -> None:
    odd = profiles.normalised(Profile(scenarios=(ODD,)))
    profile = odd if name == "odd" else profiles.load(REDIS.read_bytes(), place="redis")
    text = json.dumps(export.runtime_trace(profile))
    assert not list(jsonschema.Draft202012Validator(STATEMENT).iter_errors(json.loads(text)))
    found = gathered("runtime-trace", text).scenario(Run(name="back"))
    (before,) = profile.scenarios
    for field in ("executed", "opened", "links"):
        assert getattr(found, field) == getattr(before, field)
    used = {*before.executed, *before.opened}
    assert set(found.examined) == set(before.examined) - used


def test_a_statement_is_about_an_image() -> None:
    with pytest.raises(SourceError, match="which image"):
        export.runtime_trace(Profile(scenarios=(Scenario(name="a", opened=("/a",)),)))
