"""The whole line of `careen squash` over hand-made images; umoci is the judge of the result."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from careen.errors import CareenError, FormatError, UsageError
from careen.formats import digest as digests
from careen.formats.compression import Encoding, compress
from careen.plan.plan import Plan, Source
from careen.rewrite.layer import Blocks
from careen.rewrite.merge import merge
from careen.rootfs.rootfs import Inode, Rootfs
from tests.builders import (
    MTIME,
    Chr,
    Dir,
    Fifo,
    Hard,
    Lnk,
    Node,
    Opq,
    Reg,
    Wh,
    blob,
    image_layout,
    tar_layer,
)
from tests.e2e.hardened import careen
from tests.judges import ROOT_ONLY, needs, snapshot, umoci_unpack
from tests.squashing import Layers, judged, merged, squash

PLAN = Plan(source=Source(digest=digests.of(b"the source"), platform="linux/amd64"))


def xattr(name: str, value: bytes) -> dict[str, str]:
    return {f"SCHILY.xattr.{name}": value.decode("utf-8", "surrogateescape")}


def acl(*entries: tuple[int, int, int]) -> bytes:
    """A POSIX access control list as Linux stores it: tag, permissions, id."""
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


NOBODY = 0xFFFFFFFF
NET_RAW = struct.pack("<IIIII", 0x2000001, 1 << 13, 0, 0, 0)
CAPABILITY = xattr("security.capability", NET_RAW)
ACL = xattr(
    "system.posix_acl_access",
    acl((1, 6, NOBODY), (2, 4, 1000), (4, 4, NOBODY), (16, 4, NOBODY), (32, 0, NOBODY)),
)
DEFAULT = xattr("system.posix_acl_default", acl((1, 7, NOBODY), (4, 5, NOBODY), (32, 5, NOBODY)))


# What umoci finds in source and result alike; each row also pins one path's attributes.
ATTRIBUTES: dict[str, tuple[Layers, bytes, dict[str, Any]]] = {
    "setuid, setgid and sticky": (
        [[Reg("su", "1", 0o6755, uid=7, gid=8), Dir("t", 0o1777)], [Reg("x")]],
        b"su", {"mode": 0o6755, "uid": 7, "gid": 8},
    ),
    "a file capability": (
        [[Reg("ping", "1", 0o755, pax=CAPABILITY)], [Hard("p", "ping", mode=0o755)]],
        b"p", {"xattrs": (("security.capability", NET_RAW),)},
    ),
    "an access control list": (
        [[Dir("d", pax=DEFAULT)], [Reg("d/a", "1", 0o640, pax=ACL)]],
        b"d/a", {"mode": 0o640},
    ),
    "a host's label, which umoci does not apply either": (
        [[Reg("a", "1", pax={**xattr("security.selinux", b"x"), **xattr("user.y", b"\xff\n=")})]],
        b"a", {"xattrs": (("user.y", b"\xff\n="),)},
    ),
    "a symlink's owner": ([[Lnk("l", "/x", uid=5, gid=6)]], b"l", {"uid": 5, "target": b"/x"}),
    "devices and pipes": (
        [[Chr("zero", 0, 0, gid=6), Chr("tty", 4, 64), Fifo("pipe", uid=3),
          Node("sda", type=tarfile.BLKTYPE, device=(8, 300))]],
        b"sda", {"kind": "b", "device": os.makedev(8, 300)},
    ),
    "times to the nanosecond, and before the epoch": (
        [[Reg("a", mtime=1.25), Reg("b", mtime=-5), Dir("d", mtime=0.5)]],
        b"a", {"mtime": 1_250_000_000},
    ),
    "large owners": ([[Reg("a", uid=4_000_000_000, gid=3_000_000)]], b"a", {"uid": 4_000_000_000}),
    "names in any bytes": (
        [[Reg("\udce9/new\nline\x1b[2J", "1", 0o600)],
         [Hard("\udcff", "\udce9/new\nline\x1b[2J", mode=0o600)]],
        b"\xff", {"mode": 0o600},
    ),
    "names of a whole path's length": (
        [[Reg("/".join(["n" * 200] * 19), "1"), Lnk("l", "t" * 4000)]],
        b"l", {"target": b"t" * 4000},
    ),
}  # fmt: skip


@ROOT_ONLY
@needs("umoci")
@pytest.mark.parametrize(("layers", "path", "expected"), ATTRIBUTES.values(), ids=ATTRIBUTES)
def test_attributes(layers: Layers, path: bytes, expected: dict[str, Any], tmp_path: Path) -> None:
    found, lines = judged(tmp_path, layers)
    assert lines == []
    assert {name: getattr(found[path], name) for name in expected} == expected


@ROOT_ONLY
@needs("umoci")
@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_every_format_of_header(form: int, tmp_path: Path) -> None:
    long = "n" * 90 + "/" + "m" * 60
    lower = [Dir("d", 0o700, uid=5), Reg("d/a", "1"), Reg(long, "2"), Lnk("d/l", "../x")]
    upper = [Hard("h", "d/a"), Reg("d/b", "3" * 999), Wh("d/l")]
    found, lines = judged(tmp_path, [tar_layer(lower, form=form), tar_layer(upper, form=form)])
    assert lines == []
    assert {b"h", b"d/b", long.encode()} <= set(found)


@ROOT_ONLY
@needs("umoci")
@pytest.mark.parametrize(
    "form",
    [["gnu"], *(["posix", f"--sparse-version={v}"] for v in ("0.0", "0.1", "1.0"))],
    ids="-".join,
)
def test_sparse_files_as_gnu_tar_writes_them(form: list[str], tmp_path: Path) -> None:
    folder = tmp_path / "content"
    folder.mkdir()
    for name, size, regions in (
        ("holes", 3_000_000, [(0, b"start"), (1_048_570, b"over an edge"), (2_500_000, b"x")]),
        ("hole", 2_000_000, []),
        ("tail", 5_000_001, [(5_000_000, b"!")]),
        ("many", 1_200_000, [(n * 8192, b"%d" % n) for n in range(140)]),
    ):  # fmt: skip
        with (folder / name).open("wb") as target:
            for offset, data in regions:
                target.seek(offset)
                target.write(data)
            target.truncate(size)
        os.utime(folder / name, (MTIME, MTIME))
    archive = tmp_path / "sparse.tar"
    subprocess.run(
        ["tar", "--sparse", f"--format={form[0]}", *form[1:], "-C", folder, "-cf", archive,
         "holes", "hole", "tail", "many"],
        check=True,
    )  # fmt: skip
    assert archive.stat().st_size < 2_000_000
    image_layout(
        tmp_path / "source", [archive.read_bytes(), tar_layer([Hard("h", "many")])], tag="x"
    )
    squash(tmp_path / "source", tmp_path / "target")
    found = snapshot(umoci_unpack(tmp_path / "target", "x", tmp_path / "after"))
    for path, one in snapshot(folder).items():
        assert path == b"." or found[path] == one
    assert found[b"h"] == found[b"many"]
    if form[0] != "gnu":  # whose type of entry umoci does not know
        assert judged(tmp_path / "judged", [archive.read_bytes()])[1] == []


@ROOT_ONLY
@needs("umoci")
def test_umoci_passes_over_what_a_link_entry_says(tmp_path: Path) -> None:
    """containerd and moby apply it, and so do we; from the result all three read the same."""
    link = Hard("h", "a", mode=0o600, uid=7, mtime=5, pax=xattr("user.y", b"2"))
    layers: Layers = [[Reg("a", "1", pax=xattr("user.x", b"1")), link]]
    found, lines = judged(tmp_path, layers)
    assert (found[b"h"].mode, found[b"h"].uid, found[b"h"].xattrs) == (
        0o644, 0, (("user.x", b"1"),),
    )  # fmt: skip
    assert {line.split()[1] for line in lines} == {"mode", "uid", "mtime", "xattrs"}
    after = snapshot(tmp_path / "after" / "rootfs")
    assert after[b"a"] == after[b"h"]
    assert (after[b"h"].mode, after[b"h"].uid) == (0o600, 7)
    assert after[b"h"].xattrs == (("user.x", b"1"), ("user.y", b"2"))


# Forms of the image around the same two layers.
TWO: Layers = [[Dir("d"), Reg("d/a", "1" * 5000)], [Reg("d/b", "2"), Wh("d/a")]]
FORMS: dict[str, dict[str, Any]] = {
    "gzip": {},
    "zstd": {"codec": "zstd"},
    "plain": {"codec": "plain"},
    "docker": {"family": "docker"},
    "docker, plain": {"family": "docker", "codec": "plain"},
    "arm64": {"platform": "linux/arm64/v8"},
    "annotations": {"annotations": {"org.opencontainers.image.base.name": "debian", "a": "b"}},
    "docker with annotations": {
        "family": "docker", "annotations": {"org.opencontainers.image.base.name": "debian"},
    },
    "labels null": {"config": {"Labels": None, "Entrypoint": None, "Cmd": ["/d/b"]}},
    "labels": {"config": {"Labels": {"org.opencontainers.image.base.digest": "x", "a": "b"}}},
    "no config object": {"change_config": {"config": None}},
    "no history": {"change_config": {"history": None}},
    "a history that counts wrong": {"change_config": {"history": [{"created_by": "x"}] * 5}},
    "no times": {"change_config": {"created": None}},
    "unknown fields": {
        "config": {"Vendor": [1, {"x": None}]},
        "change_config": {"vendor": {"é": "\ud800"}, "os.features": ["x"]},
        "change_manifest": {"vendor": 1.5, "subject": None},
    },
}  # fmt: skip


@pytest.mark.parametrize("options", FORMS.values(), ids=FORMS)
def test_every_form_of_image(options: dict[str, Any], tmp_path: Path) -> None:
    layers = [tar_layer(nodes) for nodes in TWO if isinstance(nodes, list)]
    image_layout(tmp_path / "source", layers, tag="x", **options)
    outcome = squash(tmp_path / "source", tmp_path / "target")
    assert outcome.image is not None
    assert outcome.image.layers == 1
    (layer,) = json.loads(blob(tmp_path / "target", outcome.image.digest))["layers"]
    assert blob(tmp_path / "target", layer["digest"]) == expected_blob(merged(TWO))


def expected_blob(root: Rootfs) -> bytes:
    """The compressed layer depends on the tree and on the encoding alone."""
    return b"".join(compress(Blocks(root, merge(root, PLAN)), Encoding.parse("gzip"), jobs=1))


def test_no_layers(tmp_path: Path) -> None:
    image_layout(tmp_path / "source", [], tag="x")
    outcome = squash(tmp_path / "source", tmp_path / "target")
    assert outcome.image is not None
    (layer,) = json.loads(blob(tmp_path / "target", outcome.image.digest))["layers"]
    assert blob(tmp_path / "target", layer["digest"]) == compressed_end()


def compressed_end() -> bytes:
    return b"".join(compress([bytes(1024)], Encoding.parse("gzip"), jobs=1))


@pytest.mark.parametrize("compression", ["gzip", "gzip:portable", "zstd", "zstd:1"])
def test_the_number_of_jobs_does_not_show(compression: str, tmp_path: Path) -> None:
    layers = [tar_layer([Reg("a", os.urandom(1 << 20) * 5)]), tar_layer([Reg("b", "2")])]
    image_layout(tmp_path / "source", layers, tag="x")
    found = {
        squash(tmp_path / "source", tmp_path / f"t{jobs}", compression=compression, jobs=jobs).image
        for jobs in (1, 3)
    }
    assert len({one.digest for one in found if one is not None}) == 1


def test_squashed_twice(tmp_path: Path) -> None:
    layers = [tar_layer(nodes) for nodes in TWO if isinstance(nodes, list)]
    image_layout(tmp_path / "one", layers, tag="x")
    images = [squash(tmp_path / a, tmp_path / b).image for a, b in (("one", "two"), ("two", "six"))]
    first, second = (
        json.loads(blob(tmp_path / folder, one.digest))
        for one, folder in zip(images, ("two", "six"), strict=True)
        if one is not None
    )
    assert first["layers"] == second["layers"]
    assert first["config"] != second["config"]  # which names its source


def test_refusals_come_before_anything_is_written(tmp_path: Path) -> None:
    image_layout(tmp_path / "docker", [tar_layer([Reg("a")])], tag="x", family="docker")
    with pytest.raises(UsageError, match="--manifest-format oci"):
        squash(tmp_path / "docker", tmp_path / "target", compression="zstd")
    image_layout(tmp_path / "bad", [tar_layer([Reg("a"), Hard("b", "\x1b[2J\n")])], tag="x")
    with pytest.raises(FormatError) as caught:
        squash(tmp_path / "bad", tmp_path / "target")
    assert str(caught.value).isprintable()
    assert "layers[0].entry 'b'" in str(caught.value)
    assert not (tmp_path / "target").exists()


@ROOT_ONLY
@needs("umoci")
def test_the_command(tmp_path: Path) -> None:
    layers = [tar_layer(nodes) for nodes in TWO if isinstance(nodes, list)]
    image_layout(tmp_path / "source", layers, tag="x")
    done = careen("squash", f"oci:{tmp_path}/source:x", f"oci:{tmp_path}/target:y", "--quiet")
    assert done.returncode == 0, done.stderr
    found = snapshot(umoci_unpack(tmp_path / "target", "y", tmp_path / "after"))
    assert {*found} == {b".", b"d", b"d/b"}


# Random stacks.

FOLDERS = ["", "d/", "d/e/", "f/", "l/"]  # `l` is mostly a symlink
FILES = [folder + name for folder in FOLDERS for name in "ab"]
names = st.sampled_from(FILES)
folders = st.sampled_from(["d", "d/e", "f", "l"])
modes = st.sampled_from([0o644, 0o600, 0o4755])
owners = st.integers(0, 2)
times = st.sampled_from([0, 5, 1.5, 1_700_000_000])


@st.composite
def stacks(draw: st.DrawFn) -> Layers:
    """Layers in which most entries find what they need; hard links repeat their target's mode."""
    known: dict[str, Node] = {}
    layers: Layers = []
    for _ in range(draw(st.integers(1, 4))):
        layer: list[Node] = []
        for _ in range(draw(st.integers(0, 7))):
            node = draw(nodes(known))
            known[node.name] = node
            layer.append(node)
        layers.append(layer)
    return layers


def linked(known: dict[str, Node]) -> st.SearchStrategy[Node]:
    """To any file so far, as writers make them: the entry repeats the file's attributes."""
    files = [node for node in known.values() if node.type in b"01" and ".wh." not in node.name]
    if not files:
        return st.builds(Reg, names)
    return st.builds(
        lambda name, to: Hard(name, to.name, mode=to.mode, uid=to.uid, mtime=to.mtime),
        names, st.sampled_from(files),
    )  # fmt: skip


def nodes(known: dict[str, Node]) -> st.SearchStrategy[Node]:
    contents = st.sampled_from(["", "x", "y" * 600])
    targets = st.sampled_from(["d", "/d/e", "../f", "none", "d/../f"])
    file = st.builds(Reg, names, contents, modes, uid=owners, mtime=times)
    return st.one_of(
        file,
        file,
        linked(known),
        linked(known),
        st.builds(Dir, folders, st.sampled_from([0o755, 0o700]), uid=owners, mtime=times),
        st.builds(Lnk, st.sampled_from(["l", "l", "a", "d/b"]), targets, uid=owners),
        st.builds(Wh, st.one_of(names, folders)),
        st.builds(Opq, st.sampled_from(["", "d", "d/e", "l"])),
        # A file where folders are, a folder where files are.
        st.sampled_from([Reg("d", "odd"), Reg("f", "odd"), Dir("a"), Dir("d/a")]),
    )


def facts(root: Rootfs) -> dict[str, tuple[Any, ...]]:
    """All that a runtime would see, hard links by the first name of their inode."""
    first: dict[int, str] = {}
    return {
        path: fact(root, inode, first.setdefault(id(inode), path))
        for path, inode in root.nodes.items()
    }


def fact(root: Rootfs, inode: Inode, first: str) -> tuple[Any, ...]:
    one = inode.entry
    content = b"".join(root.content(inode)) if inode.kind == "file" else b""
    return (inode.kind, one.mode, one.uid, one.gid, one.mtime, one.linkname, first, content)


@given(stacks())
@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
def test_any_stack_squashed_is_the_merged_tree(layers: Layers) -> None:
    try:
        root = merged(layers)
    except FormatError as error:
        event(error.message[:20])
        return
    event("squashed")
    once = b"".join(Blocks(root, merge(root, PLAN)))
    again = merged([once])
    assert facts(again) == facts(root)
    assert b"".join(Blocks(again, merge(again, PLAN))) == once


@pytest.mark.e2e
@ROOT_ONLY
@needs("umoci")
@given(stacks())
@settings(deadline=None, max_examples=25, database=None, suppress_health_check=list(HealthCheck))
def test_umoci_unpacks_any_stack_alike(
    tmp_path_factory: pytest.TempPathFactory, layers: Layers
) -> None:
    try:
        _, lines = judged(tmp_path_factory.mktemp("stack"), layers)
    except CareenError as error:
        event(error.message[:20])
        return
    assert lines == []
