"""The plan as a document: canonical, read strictly, names of any bytes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from careen.errors import FormatError
from careen.plan.plan import PathDecision, Plan
from tests.builders import Reg
from tests.plan.scenes import SOURCE, drawn, pkg, scene

ODD = "usr/share/caf\udce9\n\u202e"


def example() -> Plan:
    image = scene(
        [pkg("app", "/usr/bin/app"), pkg("spare", "/usr/bin/spare")],
        [Reg("var/log/dpkg.log"), Reg(ODD)],
    )
    return drawn(image, ["/usr/bin/app", "/gone"], keep=("nothing*",), drop=("/usr/share/caf*",))


def document() -> dict[str, Any]:
    found = json.loads(example().dump())
    assert isinstance(found, dict)
    return found


def test_read_back_it_is_the_same() -> None:
    plan = example()
    raw = plan.dump()
    again = Plan.parse(raw)
    assert again == plan
    assert again.dump() == raw
    assert again.digest == plan.digest
    assert f"/{ODD}" in {item.path for item in again.paths}


def test_canonical_whatever_the_order_and_spacing() -> None:
    shuffled = json.dumps(dict(reversed(document().items())), indent=3).encode()
    assert Plan.parse(shuffled).dump() == example().dump()
    raw = example().dump()
    assert raw.isascii()
    assert b"\n" not in raw


def test_paths_are_sorted_parents_first() -> None:
    keys = [item.path.replace("/", "\0") for item in example().paths]
    assert keys == sorted(keys)


def test_only_what_is_not_simply_kept_is_listed() -> None:
    found = document()
    assert list(found) == [
        "schema", "source", "profile", "options", "packages", "paths", "absent", "programs",
        "findings", "totals",
    ]  # fmt: skip
    assert found["source"] == {"digest": SOURCE.digest, "platform": "linux/amd64"}
    assert found["absent"] == ["/gone"]
    assert found["packages"][1] == {
        "id": "spare",
        "name": "spare",
        "version": "1.0",
        "arch": "amd64",
        "database": "dpkg",
        "decision": "remove",
        "reason": "nothing that it owns is used",
        "bytes": len("/usr/bin/spare"),
        "files": 1,
        "dropped": 1,
    }
    (log,) = [item for item in found["paths"] if item["path"] == "/var/log/dpkg.log"]
    assert log == {
        "path": "/var/log/dpkg.log",
        "kind": "file",
        "decision": "drop",
        "reason": "a package manager's cache, list or log",
        "owner": "",
        "bytes": 0,
    }


def test_a_replaced_file_carries_its_content() -> None:
    (status,) = [item for item in example().paths if item.path == "/var/lib/dpkg/status"]
    assert status.decision == "replace"
    assert b"Package: app\n" in status.data()
    assert b"spare" not in status.data()
    assert status.bytes == len(status.data())


REPLACE = {"path": "/x", "kind": "file", "decision": "replace", "reason": "r", "content": "eA=="}
DROP = {"path": "/x", "kind": "file", "decision": "drop", "reason": "r"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": "careen.plan/v2"}, "schema: not careen.plan/v1: 'careen.plan/v2'"),
        ({"unknown": 1}, "Object contains unknown field `unknown`"),
        ({"source": {"digest": "sha256:x", "platform": "p"}}, "source.digest: "),
        ({"source": {"digest": SOURCE.digest}}, "source: Object missing required field `platform`"),
        (
            {"source": {"digest": SOURCE.digest, "platform": "p", "tag": "x"}},
            "source: Object contains unknown field `tag`",
        ),
        ({"profile": "md5:1"}, "profile: "),
        ({"options": {"polcy": "strict"}}, "options: Object contains unknown field `polcy`"),
        ({"options": {"policy": "lax"}}, "options.policy: Invalid enum value 'lax'"),
        ({"paths": [DROP | {"extra": 1}]}, "paths[0]: Object contains unknown field `extra`"),
        ({"paths": [DROP | {"kind": "socket"}]}, "paths[0].kind: Invalid enum value 'socket'"),
        ({"paths": [DROP | {"decision": "keep"}]}, "paths[0].decision: Invalid enum value 'keep'"),
        ({"paths": [DROP | {"bytes": "1"}]}, "paths[0].bytes: Expected `int`, got `str`"),
        ({"paths": [DROP | {"path": "x"}]}, "paths[0].path: not a plain absolute path: 'x'"),
        ({"paths": [DROP | {"path": "/"}]}, "paths[0].path: not a plain absolute path: '/'"),
        ({"paths": [DROP | {"path": "/a/../x"}]}, "paths[0].path: not a plain absolute path"),
        ({"paths": [DROP, REPLACE]}, "paths[1].path: '/x' is decided on twice"),
        ({"paths": [DROP | {"content": ""}]}, "paths[0].content: a dropped path has neither"),
        ({"paths": [REPLACE | {"content": "e%=="}]}, "paths[0].content: not base64"),
        ({"paths": [REPLACE | {"content": "eA="}]}, "paths[0].content: not base64"),
        ({"paths": [REPLACE | {"content": "\udce9"}]}, "paths[0].content: not base64"),
        ({"paths": [REPLACE | {"target": "/y"}]}, "paths[0]: a replaced file has content, a"),
        ({"paths": [REPLACE | {"kind": "symlink"}]}, "paths[0]: a replaced file has content, a"),
        ({"paths": [REPLACE | {"kind": "fifo"}]}, "paths[0]: a replaced file has content, a"),
        ({"findings": [{"rule": "", "severity": "bad", "message": ""}]}, "findings[0].severity: "),
        ({"totals": {"files": [1]}}, "totals.files: Expected `array` of length 2, got 1"),
    ],
)
def test_what_is_refused(change: dict[str, Any], message: str) -> None:
    raw = json.dumps(document() | {"paths": []} | change).encode()
    with pytest.raises(FormatError) as refusal:
        Plan.parse(raw)
    assert str(refusal.value).startswith(message)


@pytest.mark.parametrize(
    "raw", [b"", b"[]", b"{", b'{"schema":1,"schema":2}', b"\xff", b"[" * 99999]
)
def test_what_is_no_document(raw: bytes) -> None:
    with pytest.raises(FormatError):
        Plan.parse(raw)


def test_a_target_of_any_bytes_is_read_back() -> None:
    turned = PathDecision(
        path="/etc/alternatives/x",
        kind="symlink",
        decision="replace",
        reason="r",
        target="/usr/caf\udce9",
    )
    assert Plan.parse(Plan(source=SOURCE, paths=(turned,)).dump()).paths == (turned,)
