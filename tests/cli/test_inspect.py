"""What inspect prints of an inspection."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from careen import inspection, workflow
from careen.cli import app
from careen.finding import Finding
from careen.inspection import (
    Capability,
    Inspection,
    LayerUse,
    PackageUse,
    Privileged,
    Shell,
    Tool,
    Unowned,
    WorldWritable,
)
from tests.cli.values import HOSTILE, SOURCE

FOUND = Inspection(
    digest=SOURCE,
    platform="linux/amd64",
    system="Debian GNU/Linux 12 (bookworm)",
    entrypoint=("/entry.sh",),
    command=("serve", "two words"),
    user="",
    files=1200,
    bytes=60_000_000,
    unowned_files=3,
    unowned_bytes=4000,
    layers=(
        LayerUse(
            digest=SOURCE, compressed=20_000_000, unpacked=61_000_000, files=1200, bytes=60_000_000,
            created_by="mmdebstrap",
        ),
    ),
    packages=tuple(
        PackageUse(id=f"p{i:02}", version="1", database="dpkg", files=i, bytes=1000 * i)
        for i in range(12, 0, -1)
    ),
    shells=(Shell(path="/usr/bin/sh", target="/usr/bin/dash", package="dash"),),
    privileged=(Privileged(path="/usr/bin/su", mode="4755", owner="0:0", package="util-linux"),),
    capabilities=(
        Capability(path="/usr/bin/ping", capabilities="cap_net_raw=ep", package="iputils-ping"),
    ),
    unowned=(Unowned(path=HOSTILE, kind="ELF", bytes=4000),),
    writable=(
        WorldWritable(
            path="/srv/drop", kind="directory", mode="0777", owner="33:33", package="", sticky=False
        ),
        WorldWritable(
            path="/tmp", kind="directory", mode="1777", owner="0:0", package="base-files",
            sticky=True,
        ),
    ),
    tools=(
        Tool(
            kind="package manager", path="/usr/bin/apt", target="/usr/bin/apt", package="apt"
        ),
        Tool(kind="editor", path="/bin/vi", target="/bin/busybox", package="busybox"),
    ),
    notes=(Finding(rule="odd-layer", severity="note", message="zeros at the end"),),
)  # fmt: skip


@pytest.fixture(autouse=True)
def _opened(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any image is FOUND."""

    @contextlib.contextmanager
    def opened(*_: Any) -> Iterator[Any]:
        yield SimpleNamespace(image=None, scan=None, scene=lambda: None)

    monkeypatch.setattr(workflow, "opened", opened)
    monkeypatch.setattr(inspection, "inspect", lambda *_: FOUND)


def test_json_is_the_whole_inspection(capsys: pytest.CaptureFixture[str]) -> None:
    assert app.main(["inspect", "oci:app:1", "--format", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document.pop("reference") == "oci:app:1"
    assert msgspec.convert(document, Inspection) == FOUND


def test_table_has_a_section_for_each_kind(capsys: pytest.CaptureFixture[str]) -> None:
    assert app.main(["inspect", "oci:app:1"]) == 0
    out = capsys.readouterr().out
    words = [line.split() for line in out.splitlines()]
    for title in (
        "Layers: 1",
        "Packages: 12, 78.0 kB",
        "Shells: 1",
        "Package managers: 1",
        "Editors: 1",
        "World-writable paths: 1",
        "World-writable folders with the sticky bit: 1",
        "Setuid and setgid files: 1",
        "Files with capabilities: 1",
        "Programs and libraries of no package: 1",
    ):
        assert f"\n{title}\n" in out
    assert ["starts", "/entry.sh", "serve", "'two", "words'"] in words
    assert ["user", "root", "(none", "is", "set)"] in words
    assert ["/usr/bin/sh", "/usr/bin/dash", "dash"] in words
    assert ["4755", "0:0", "/usr/bin/su", "util-linux"] in words
    assert ["cap_net_raw=ep", "/usr/bin/ping", "iputils-ping"] in words
    assert ["/usr/bin/apt", "apt"] in words
    assert ["/bin/vi", "/bin/busybox", "busybox"] in words
    assert ["0777", "33:33", "directory", "/srv/drop"] in words
    assert ["/tmp"] in words
    assert "\x1b" not in out
    assert r"/usr/bin/\x1b[31mred\n[bold]\xff" in out


def test_verbose_has_every_package(capsys: pytest.CaptureFixture[str]) -> None:
    assert app.main(["inspect", "oci:app:1"]) == 0
    short = capsys.readouterr().out
    assert app.main(["inspect", "oci:app:1", "-v"]) == 0
    full = capsys.readouterr().out
    assert "… and 2 more" in short
    assert "p01" not in short
    assert "p01" in full
