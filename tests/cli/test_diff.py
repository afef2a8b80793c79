"""What diff prints of a difference, and the exit code that follows."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from careen import difference, workflow
from careen.cli import app
from careen.difference import (
    Change,
    Counts,
    Difference,
    PackageChange,
    Packages,
    PackageSide,
    PathChange,
    Paths,
    PathSide,
    Side,
)
from careen.finding import Finding
from careen.oci.difference import Field
from tests.builders import Dir, Reg, image_layout, tar_layer
from tests.cli.values import HARDENED, HOSTILE, SOURCE

NOTE = Finding(rule="odd-layer", severity="note", message="zeros at the end")


def side(version: str = "1.0", files: int = 3, bytes: int = 4000, **more: Any) -> PackageSide:  # noqa: A002
    words = {"database": "dpkg", "architecture": "amd64", "status": "install ok installed"}
    return PackageSide(version=version, files=files, bytes=bytes, **(words | more))


def gone(path: str, size: int = 0, package: str = "", kind: str = "file") -> PathSide:
    return PathSide(path=path, kind=kind, bytes=size, package=package)


def changed(path: str, *changes: Change, package: str = "") -> PathChange:
    return PathChange(path=path, kind="file", package=package, changes=changes)


BEFORE = Side(
    digest=SOURCE,
    media_type="application/vnd.oci.image.manifest.v1+json",
    platform="linux/amd64",
    system="Debian GNU/Linux 12 (bookworm)",
    layers=3,
    compressed=25_000_000,
    history=4,
    packages=16,
    files=1200,
    bytes=60_000_000,
    shells=2,
    setuid=0,
    notes=(NOTE,),
)
AFTER = msgspec.structs.replace(
    BEFORE, digest=HARDENED, layers=1, compressed=9_000_000, history=1, packages=15, files=300,
    bytes=20_000_000, shells=0,
)  # fmt: skip
TOUCHED = changed("/etc/hosts", Change(what="mtime", before="2024-01-01T00:00:00Z", after="@7"))
PACKAGES = Packages(
    added=(PackageChange(id="tini", before=None, after=side("0.19", 2, 24_000)),),
    removed=(
        PackageChange(id="bash", before=side("5.2", 70, 7_200_000), after=None),
        PackageChange(id="perl", before=side("5.36", 392, 29_200_000), after=None),
    ),
    changed=(
        PackageChange(id="libc6", before=side("2.36-1"), after=side("2.36-2", bytes=5000)),
        PackageChange(id="odd", before=side(), after=side(status="hold ok installed")),
    ),
    refilled=(PackageChange(id="tzdata", before=side(), after=side(files=1, bytes=1000)),),
)
PATHS = Paths(
    added=(gone("/usr/bin/tini", 24_000, "tini"), gone(HOSTILE, 9, "evil")),
    removed=(
        gone("/usr/bin/bash", 1_200_000, "bash"),
        *(gone(f"/usr/share/doc/d{i:02}", 10 * i) for i in range(12)),
        gone("/usr/share/empty", kind="directory"),
    ),
    changed=(
        changed(
            "/etc/shells",
            Change(what="content", before=128, after=34),
            Change(what="mode", before="0644", after="4755"),
            package="debianutils",
        ),
        changed("/app/x", Change(what="content", before=5, after=5)),
        changed(
            "/app/y",
            Change(what="capabilities", before=None, after="cap_net_raw=ep"),
            Change(what="xattr", name="user.a", before="1", after=None),
            Change(what="hard link", before="/app/x", after=None),
        ),
    ),
    touched=(TOUCHED,),
)
FOUND = Difference(
    before=BEFORE,
    after=AFTER,
    shared_layers=0,
    counts=Counts(
        packages_added=1, packages_removed=2, packages_changed=2, packages_refilled=1,
        paths_added=2, paths_removed=14, paths_changed=3, paths_touched=1,
        config=2, annotations=1,
    ),
    packages=PACKAGES,
    config=(
        Field(name="config.Cmd", before=("a", "b c"), after=None),
        Field(name="config.Labels.x", before="1", after="y" * 300),
    ),
    annotations=(Field(name="org.example", before="", after="v"),),
    paths=PATHS,
)  # fmt: skip
SAME = Difference(
    before=BEFORE,
    after=msgspec.structs.replace(BEFORE, notes=(NOTE,)),
    shared_layers=3,
    counts=Counts(**dict.fromkeys(Counts.__struct_fields__, 0)),
    packages=Packages(added=(), removed=(), changed=(), refilled=()),
    config=(),
    annotations=(),
    paths=Paths(added=(), removed=(), changed=(), touched=()),
)


class Comparing:
    """Any two images differ by `found`; `options` are what compare was called with."""

    def __init__(self) -> None:
        self.found = FOUND
        self.opened: list[str] = []
        self.options: dict[str, Any] = {}

    @contextlib.contextmanager
    def open(self, reference: Any, settings: Any) -> Iterator[Any]:
        self.opened.append(str(reference))
        scan = SimpleNamespace(notes=())
        bound = SimpleNamespace(platform="linux/amd64")
        yield SimpleNamespace(image=None, scan=scan, bound=bound, scene=lambda _: None)

    def compare(self, *_: Any, **options: Any) -> Difference:
        self.options = options
        return self.found


@pytest.fixture
def comparing(monkeypatch: pytest.MonkeyPatch) -> Comparing:
    found = Comparing()
    monkeypatch.setattr(workflow, "opened", found.open)
    monkeypatch.setattr(difference, "compare", found.compare)
    return found


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert app.main(["diff", "oci:a:1", "oci:b:2", "--quiet", *arguments]) == 0
    return capsys.readouterr().out


def test_json_is_the_whole_difference(
    comparing: Comparing, capsys: pytest.CaptureFixture[str]
) -> None:
    document = json.loads(shown(capsys, "--format", "json"))
    assert comparing.opened == ["oci:a:1", "oci:b:2"]
    assert document.pop("differs") is True
    assert document["before"].pop("reference") == "oci:a:1"
    assert document["after"].pop("reference") == "oci:b:2"
    assert msgspec.convert(document, Difference) == FOUND


GOLDEN = """\
before    oci:a:1 (SOURCE)
after     oci:b:2 (HARDENED)
platform  linux/amd64, Debian GNU/Linux 12 (bookworm)
differs   1 package added, 2 packages removed, 2 packages changed, 1 package with other files, \
2 config fields, 1 annotation, 2 paths added, 14 paths removed, 3 paths changed, 1 path with \
another mtime alone

Summary
                before      after  change  what is left
  packages          16         15    -6 %  ███████████████████░
  shells             2          0  -100 %  ░░░░░░░░░░░░░░░░░░░░
  files          1,200        300   -75 %  █████░░░░░░░░░░░░░░░
  content      60.0 MB    20.0 MB   -67 %  ███████░░░░░░░░░░░░░
  compressed   25.0 MB     9.0 MB   -64 %  ███████░░░░░░░░░░░░░
  layers             3          1   -67 %  ███████░░░░░░░░░░░░░
  history            4          1   -75 %  █████░░░░░░░░░░░░░░░

Packages added: 1, 24.0 kB
  package  version     size  files  database
  tini     0.19     24.0 kB      2  dpkg

Packages removed: 2, 36.4 MB
  package  version     size  files  database
  perl     5.36     29.2 MB    392  dpkg
  bash     5.2       7.2 MB     70  dpkg

Packages changed: 2
  package  before                    after                     size  database
  libc6    2.36-1                    2.36-2                 +1.0 kB  dpkg
  odd      1.0 install ok installed  1.0 hold ok installed      0 B  dpkg

Packages of the same version with other files: 1
  package  files before  after     size
  tzdata              3      1  -3.0 kB

Config: 2
  field            before        after
  config.Cmd       ["a", "b c"]  (none)
  config.Labels.x  1             LONG…

Annotations: 1
  field        before  after
  org.example  ""      v

Paths: 19
  in          added  removed  changed     bytes
  /usr/share              13             -660 B
  /usr/bin        2        1            -1.2 MB
  /app                              2
  /etc                              1

Paths changed: 3
  path         what                                                                                \
                   package
  /etc/shells  content 128 B → 34 B; mode 0644 → 4755                                              \
                   debianutils
  /app/x       content other bytes
  /app/y       capabilities (none) → cap_net_raw=ep; xattr user.a 1 → (none); hard link /app/x → \
(none)

Paths added: 2
  path                               kind     size  package
  /usr/bin/tini                      file  24.0 kB  tini
  /usr/bin/\\x1b[31mred\\n[bold]\\xff  file      9 B  evil

Paths removed: 14
  path                kind    size  package
  /usr/bin/bash       file  1.2 MB  bash
  /usr/share/doc/d11  file   110 B
  /usr/share/doc/d10  file   100 B
  /usr/share/doc/d09  file    90 B
  /usr/share/doc/d08  file    80 B
  /usr/share/doc/d07  file    70 B
  /usr/share/doc/d06  file    60 B
  /usr/share/doc/d05  file    50 B
  /usr/share/doc/d04  file    40 B
  /usr/share/doc/d03  file    30 B
  … and 4 more; -v shows them
  … and 1 path with another mtime alone; -v shows them

Notes: 1
  image             rule       path  message
  before and after  odd-layer        zeros at the end
"""


def squeezed(text: str) -> list[list[str]]:
    """Lines as words: how wide a column is depends on the longest cell alone."""
    return [line.split() for line in text.splitlines()]


@pytest.mark.usefixtures("comparing")
def test_table(capsys: pytest.CaptureFixture[str]) -> None:
    expected = GOLDEN.replace("SOURCE", SOURCE).replace("HARDENED", HARDENED)
    out = shown(capsys)
    assert squeezed(out) == squeezed(expected.replace("LONG", "y" * 200))
    assert "\x1b" not in out


@pytest.mark.usefixtures("comparing")
def test_verbose_has_every_path_in_its_order(capsys: pytest.CaptureFixture[str]) -> None:
    words = squeezed(shown(capsys, "-v"))
    assert ["/usr/share/doc/d00", "file", "0", "B"] in words
    assert ["/usr/share/empty", "directory"] in words
    assert words.index(["/usr/share/doc/d00", "file", "0", "B"]) < words.index(
        ["/usr/share/doc/d11", "file", "110", "B"]
    )
    assert [word for line in words if line[:1] == ["/etc/hosts"] for word in line[1:]] == [
        "mtime",
        "2024-01-01T00:00:00Z",
        "→",
        "@7",
    ]


def test_nothing_is_said_in_a_line(
    comparing: Comparing, capsys: pytest.CaptureFixture[str]
) -> None:
    comparing.found = SAME
    out = shown(capsys)
    assert "differs   in nothing, the images are one\n" in out
    assert "shared    3 layers from the bottom\n" in out
    assert "Paths" not in out
    comparing.found = msgspec.structs.replace(SAME, after=AFTER)
    assert "differs   in nothing that a container would see\n" in shown(capsys)


@pytest.mark.parametrize(
    ("found", "options", "code"),
    [
        (FOUND, [], 0),
        (FOUND, ["--exit-code"], 3),
        (SAME, ["--exit-code"], 0),
        (SAME, [], 0),
    ],
)
@pytest.mark.parametrize("form", ["table", "json"])
def test_exit_code(
    comparing: Comparing, found: Difference, options: Sequence[str], code: int, form: str
) -> None:
    comparing.found = found
    assert app.main(["diff", "oci:a:1", "oci:b:2", "--format", form, *options]) == code


def test_ignore_times_is_handed_on(comparing: Comparing) -> None:
    assert app.main(["diff", "oci:a:1", "oci:b:2"]) == 0
    assert comparing.options == {"ignore_times": False}
    assert app.main(["diff", "oci:a:1", "oci:b:2", "--ignore-times"]) == 0
    assert comparing.options == {"ignore_times": True}


def test_on_real_layouts(tmp_path: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """The whole way, and rebuilt with other times: no difference with --ignore-times."""
    for name, when in (("a", 1), ("b", 2)):
        layer = tar_layer([Dir("etc", mtime=when), Reg("etc/x", b"1", mtime=when)])
        image_layout(tmp_path / name, [layer], tag="x")
    words = ["diff", f"oci:{tmp_path}/a:x", f"oci:{tmp_path}/b:x", "--exit-code", "-q"]
    assert app.main(words) == 3
    assert "2 paths with another mtime alone" in capsys.readouterr().out
    assert app.main([*words, "--ignore-times"]) == 0
    assert "in nothing that a container would see" in capsys.readouterr().out
    assert app.main([*words, "--platform", "linux/arm64"]) == 4
    assert "linux/arm64" in capsys.readouterr().err
