"""Two configs, field by field."""

from __future__ import annotations

from typing import Any

import pytest

from careen.errors import FormatError
from careen.oci import difference
from careen.oci.difference import Field, config_fields, fields, is_time


def inner(**values: Any) -> dict[str, Any]:
    return {"os": "linux", "config": values}


# Two documents → the fields that differ.
ROWS: dict[str, tuple[dict[str, Any], dict[str, Any], list[tuple[str, Any, Any]]]] = {
    "nothing": (inner(User="a"), inner(User="a"), []),
    "order of keys": (inner(User="a", Cmd=["b"]), inner(Cmd=["b"], User="a"), []),
    "a list, as one": (
        inner(Entrypoint=["a", "b"]),
        inner(Entrypoint=["a"]),
        [("config.Entrypoint", ("a", "b"), ("a",))],
    ),
    "env, item by item": (
        inner(Env=["A=1", "B=2", "C=3"]),
        inner(Env=["C=3", "A=x=y", "D="]),
        [("config.Env.A", "1", "x=y"), ("config.Env.B", "2", None), ("config.Env.D", None, "")],
    ),
    "env, the last one wins": (inner(Env=["A=1", "A=2"]), inner(Env=["A=2"]), []),
    "labels, key by key": (
        inner(Labels={"a.b": "1", "c": "2"}),
        inner(Labels={"a.b": "1", "c": ""}),
        [("config.Labels.c", "2", "")],
    ),
    "volumes and ports": (
        inner(Volumes={"/data": {}}),
        inner(ExposedPorts={"80/tcp": {}}),
        [("config.ExposedPorts.80/tcp", None, {}), ("config.Volumes./data", {}, None)],
    ),
    "nested": (
        inner(Healthcheck={"Test": ["CMD", "a"], "Interval": 5}),
        inner(Healthcheck={"Test": ["CMD", "a"], "Interval": 6}),
        [("config.Healthcheck.Interval", 5, 6)],
    ),
    "objects in lists": (
        inner(X=[{"a": 1}, {"b": 2}]),
        inner(X=[{"a": 1}, {"b": 3}]),
        [("config.X[1].b", 2, 3)],
    ),
    "what is empty is not there": (
        inner(User="", Cmd=None, Labels={}, Env=[], Tty=False),
        inner(),
        [],
    ),
    "empty after all": (inner(User="a"), inner(User=""), [("config.User", "a", None)]),
    "true is not 1": (inner(A=True), inner(A=1), [("config.A", True, 1)]),
    "nor inside a list": (inner(A=[1]), inner(A=[True]), [("config.A", (1,), (True,))]),
    "unknown fields, architecture, created": (
        {"architecture": "amd64", "created": "1", "os.version": "9"},
        {"architecture": "arm64", "created": "2", "os.version": "9"},
        [("architecture", "amd64", "arm64"), ("created", "1", "2")],
    ),
    "layers and history are not of it": (
        {"history": [{"comment": "a"}], "rootfs": {"type": "layers", "diff_ids": ["a"]}},
        {"history": [], "rootfs": {"type": "layers", "diff_ids": ["b", "c"]}},
        [],
    ),
    "a key with dots hides nothing": (
        {"config": {"User": "app"}, "config.User": "app"},
        {"config": {"User": "root"}, "config.User": "app"},
        [("config.User", "app", "root")],
    ),
}


@pytest.mark.parametrize(("before", "after", "expected"), ROWS.values(), ids=ROWS)
def test_fields(
    before: dict[str, Any], after: dict[str, Any], expected: list[tuple[str, Any, Any]]
) -> None:
    found = config_fields(before, after)
    assert [(item.name, item.before, item.after) for item in found] == expected


def test_annotations() -> None:
    found = fields({"a": "1", "b": "2"}, {"b": "3", "c": "4"})
    assert [(item.name, item.before, item.after) for item in found] == [
        ("a", "1", None),
        ("b", "2", "3"),
        ("c", None, "4"),
    ]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("created", True),
        ("config.Labels.org.opencontainers.image.created", True),
        ("org.opencontainers.image.created", True),
        ("config.Labels.created", False),
        ("config.Labels.org.opencontainers.image.version", False),
    ],
)
def test_times(name: str, expected: bool) -> None:
    assert is_time(Field(name=name, before=None, after="x")) is expected


def test_a_deep_document_is_compared() -> None:
    deep: Any = 1
    for _ in range(2000):
        deep = [{"a": deep}]
    (item,) = config_fields({"config": {"X": deep}}, {"config": {"X": 2}})[:1]
    assert item.name == "config.X"


def test_a_document_of_endless_names_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(difference, "_BUDGET", 1000)
    with pytest.raises(FormatError, match="too many and too long names"):
        config_fields({"k" * 100: {str(i): 1 for i in range(20)}}, {})
