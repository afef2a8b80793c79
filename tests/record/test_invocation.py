"""What is started: by the image's config, by what the user overrides; and what cannot be."""

from __future__ import annotations

import json
from typing import Any

import pytest

from careen.errors import SourceError
from careen.oci.config import Config
from careen.record.invocation import Invocation, Overrides, Volume, invocation
from careen.rootfs.facts import Facts

ENV = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/",
    "HOSTNAME": "careen",
}


def config(**inner: Any) -> Config:
    document = {"os": "linux", "architecture": "amd64", "config": {"Entrypoint": ["/a"], **inner}}
    return Config.parse(json.dumps(document).encode())


def started(inner: dict[str, Any], **overrides: Any) -> Invocation:
    return invocation(config(**inner), Facts(), Overrides(**overrides))


ARGUMENTS = {
    # Cmd, --entrypoint, arguments: what is started
    "the image's": (["b"], None, (), ("/a", "b")),
    "arguments take the place of Cmd": (["b"], None, ("c",), ("/a", "c")),
    "an entrypoint takes Cmd away": (["b"], ("/x", "y"), (), ("/x", "y")),
    "none at all": (["b"], (), ("/c", "d"), ("/c", "d")),
}


@pytest.mark.parametrize("what", ARGUMENTS)
def test_arguments(what: str) -> None:
    command, entrypoint, arguments, argv = ARGUMENTS[what]
    found = started({"Cmd": command}, entrypoint=entrypoint, arguments=arguments)
    assert found.argv == argv


def test_variables() -> None:
    """The user's come last; a nameless one of the image's is nothing."""
    found = started({"Env": ["A=1", "=x", "B=2=3", "C"]}, env=("A=9", "D="))
    assert found.env == ENV | {"A": "9", "B": "2=3", "C": "", "D": ""}


UNFIT: dict[str, dict[str, Any]] = {
    "a NUL in Cmd": {"Cmd": ["a\0b"]},
    "a NUL in Env": {"Env": ["A=\0"]},
    "a NUL in a name": {"Env": ["A\0=b"]},
    "a NUL in WorkingDir": {"WorkingDir": "/a\0"},
    "a lone surrogate": {"Cmd": ["\ud800"]},
    "nothing": {"Entrypoint": [], "Cmd": []},
    "no such user": {"User": "app"},
    "no such group": {"User": "0:app"},
    "a number too large": {"User": "4294967295"},
}


@pytest.mark.parametrize("what", UNFIT)
def test_unfit(what: str) -> None:
    with pytest.raises(SourceError):
        started(UNFIT[what])


STOPS: list[tuple[Any, int]] = [
    ("SIGRTMIN+3", 37), ("quit", 3), ("SIGODD", 15), (None, 15), ("", 15), (9, 9), ({}, 15),
]  # fmt: skip


@pytest.mark.parametrize(("said", "number"), STOPS)
def test_stop_signal(said: Any, number: int) -> None:
    assert started({"StopSignal": said}).stop == number


VOLUMES = {
    "/h:/i": Volume("/h", "/i"),
    "/h:/i:ro": Volume("/h", "/i", read_only=True),
    "/h:/i:rw": Volume("/h", "/i"),
    "./h:/i": Volume("./h", "/i"),
    "..:/i//j/../k/": Volume("..", "/i/k"),
    "/h://i": Volume("/h", "/i"),
}


@pytest.mark.parametrize("text", VOLUMES)
def test_volume(text: str) -> None:
    assert Volume.parse(text) == VOLUMES[text]
