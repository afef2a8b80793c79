"""ld.so.cache as ldconfig writes it on this machine, in both layouts, and as nobody should."""

from __future__ import annotations

import contextlib
import struct
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from careen.errors import FormatError
from careen.rootfs import ld_cache
from tests.cache_builder import GENERATOR, Lib, cache
from tests.elf_builder import elf


def written(path: Path, layout: str) -> bytes:
    """A cache of this machine's libraries."""
    subprocess.run(["ldconfig", "-X", "-c", layout, "-C", path], check=True, capture_output=True)
    return path.read_bytes()


def listed(path: Path) -> dict[str, tuple[str, ...]]:
    """The same cache as `ldconfig -p` prints it."""
    output = subprocess.run(
        ["ldconfig", "-p", "-C", path], capture_output=True, text=True, check=True
    ).stdout
    places: dict[str, list[str]] = {}
    for line in output.splitlines()[1:]:
        name, _, path_text = line.strip().partition(" => ")
        if path_text:
            places.setdefault(name.partition(" ")[0], []).append(path_text)
    return {name: tuple(paths) for name, paths in places.items()}


@pytest.mark.parametrize("layout", ["new", "compat"])
def test_ldconfig_prints_what_was_read(layout: str, tmp_path: Path) -> None:
    raw = written(tmp_path / "cache", layout)
    assert raw.startswith(b"ld.so-1.7.0" if layout == "compat" else b"glibc-ld.so.cache1.1")
    places = ld_cache.read(raw)
    assert places == listed(tmp_path / "cache")
    assert "libc.so.6" in places


def made(
    strings: bytes = b"/l.so\0",
    *,
    count: int = 1,
    claimed: int | None = None,
    name: int = 0,
    path: int = 0,
    order: str = "<",
    mark: int | None = None,
) -> bytes:
    """A cache of `count` equal entries, whose `name` and `path` are offsets in `strings`."""
    claimed = count if claimed is None else claimed
    first = 48 + 24 * count
    mark = {"<": 2, ">": 3}[order] if mark is None else mark
    header = struct.pack(f"{order}20sIIB19x", b"glibc-ld.so.cache1.1", claimed, len(strings), mark)
    entry = struct.pack(f"{order}iIIIQ", 3, first + name, first + path, 0, 0)
    return header + entry * count + strings


@pytest.mark.parametrize("mark", [None, 0])
@pytest.mark.parametrize("order", ["<", ">"])
def test_either_byte_order(order: str, mark: int | None) -> None:
    assert ld_cache.read(made(order=order, mark=mark)) == {"/l.so": ("/l.so",)}


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "not a cache"),
        (b"ld.so-1.7.0\0\0\0\0\0", "libc5 alone"),
        (b"glibc-ld.so.cache1.1", "not a cache"),
        (made(claimed=2**32 - 1), "past the end"),
        (made(name=2**31), "no end"),
        (made(b"/l.so"), "no end"),
        (made(b"x" * 4000 + b"\0", count=64), "over and over"),
    ],
    ids=range(7),
)
def test_damage_is_named(raw: bytes, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        ld_cache.read(raw)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 77), st.integers(0, 255)), max_size=4), st.integers(0, 78))
def test_any_bytes_are_read_or_refused(changes: list[tuple[int, int]], length: int) -> None:
    raw = bytearray(made())
    for place, value in changes:
        raw[place] = value
    with contextlib.suppress(FormatError):
        ld_cache.read(bytes(raw[:length]))


# -- without what goes

LIBS = [
    Lib("libz.so.1", "/lib/glibc-hwcaps/x86-64-v3/libz.so.1", "x86-64-v3"),
    Lib("libz.so.1", "/lib/glibc-hwcaps/x86-64-v2/libz.so.1", "x86-64-v2"),
    Lib("libz.so.1", "/opt/lib/libz.so.1"),
    Lib("libz.so.1", "/lib/libz.so.1"),
    Lib("libc.so.6", "/lib/libc.so.6"),
    Lib("liba.so", "/opt/lib/liba.so"),
]
FORMS = [
    {"order": order, "compat": compat, "shared": shared, "extensions": extensions}
    for order in "<>"
    for compat in (False, True)
    for shared, extensions in ((True, True), (False, True), (False, False))
]


def form_name(form: dict[str, object]) -> str:
    return ",".join(f"{key}={value}" for key, value in form.items())


@pytest.mark.parametrize("form", FORMS, ids=form_name)
@pytest.mark.parametrize(
    "gone",
    [
        [],
        ["/lib/nowhere.so"],
        ["/lib/libz.so.1"],
        ["/opt/lib/libz.so.1", "/opt/lib/liba.so"],
        ["/lib/glibc-hwcaps/x86-64-v2/libz.so.1"],
        ["/lib/glibc-hwcaps/x86-64-v2/libz.so.1", "/lib/glibc-hwcaps/x86-64-v3/libz.so.1"],
        [lib.path for lib in LIBS],
    ],
    ids=range(7),
)
def test_a_cache_without_some_is_the_cache_of_the_rest(
    form: dict[str, bool], gone: list[str]
) -> None:
    libs = [lib for lib in LIBS if form["extensions"] or not lib.subdirectory]
    raw = cache(libs, **form)  # type: ignore[arg-type]
    left = ld_cache.without(raw, frozenset(gone))
    assert left == cache([lib for lib in libs if lib.path not in gone], **form)  # type: ignore[arg-type]
    assert all(path not in gone for paths in ld_cache.read(left).values() for path in paths)


def test_where_nothing_goes_the_very_bytes_stay() -> None:
    raw = cache(LIBS) + b"whatever follows"
    assert ld_cache.without(raw, {"/x"}) is raw


WHOLE = cache(LIBS)
PLAIN = cache(LIBS[2:], extensions=False)
GENERATOR_TAG = struct.pack("<IIII", 0, 0, WHOLE.index(GENERATOR), len(GENERATOR))


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (PLAIN + b"more", "do not end where the file does"),
        (WHOLE + b"more", "do not end where the file does"),
        (WHOLE[:-4], "do not end where the file does"),
        (WHOLE.replace(struct.pack("<I", 0xEAA42174), b"none"), "extensions that are none"),
        (WHOLE.replace(GENERATOR_TAG, b"\2" + GENERATOR_TAG[1:]), "a kind that is not known"),
        (WHOLE.replace(GENERATOR_TAG, b"\1" + GENERATOR_TAG[1:]), "a kind that is not known"),
        (WHOLE[:64] + struct.pack("<Q", 1 << 62 | 2) + WHOLE[72:], "that is not listed"),
        (PLAIN[:24] + struct.pack("<I", 8) + PLAIN[28:], "do not end where"),
        (PLAIN[:52] + struct.pack("<I", 4) + PLAIN[56:], "outside the strings"),
    ],
    ids=range(9),
)
def test_what_is_not_known_is_not_written_again(raw: bytes, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        ld_cache.without(raw, {"/lib/libz.so.1"})


PARTS = st.sampled_from(["a", "b", "lib", "libx.so", "x.so"])
PATHS = st.lists(PARTS, min_size=1, max_size=3).map("/".join).map("/{}".format)
ENTRIES = st.builds(Lib, PARTS, PATHS, st.sampled_from(["", "", "v2", "v3", "v4"]))


@settings(max_examples=200, deadline=None)
@given(
    st.lists(ENTRIES, max_size=8),
    st.frozensets(PATHS),
    st.sampled_from([form for form in FORMS if form["extensions"]]),
)
def test_any_cache_without_any_paths(
    libs: list[Lib], gone: frozenset[str], form: dict[str, bool]
) -> None:
    raw = cache(libs, **form)  # type: ignore[arg-type]
    left = cache([lib for lib in libs if lib.path not in gone], **form)  # type: ignore[arg-type]
    assert ld_cache.without(raw, gone) == left


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(FORMS[:4]),
    st.lists(st.tuples(st.integers(0, 700), st.integers(0, 255)), max_size=4),
    st.integers(0, 900),
)
def test_a_damaged_cache_is_written_again_or_refused(
    form: dict[str, bool], changes: list[tuple[int, int]], length: int
) -> None:
    raw = bytearray(cache(LIBS if form["extensions"] else LIBS[2:], **form))  # type: ignore[arg-type]
    for place, value in changes:
        raw[place % len(raw)] = value
    with contextlib.suppress(FormatError):
        left = ld_cache.without(bytes(raw[:length]), frozenset(["/lib/libz.so.1"]))
        assert len(left) <= len(raw) + 8
        assert "/lib/libz.so.1" not in [p for ps in ld_cache.read(left).values() for p in ps]


def rooted(root: Path, libs: Sequence[str], layout: str) -> bytes:
    """The cache that this machine's ldconfig writes for a root with those libraries."""
    for lib in libs:
        (root / lib).parent.mkdir(parents=True, exist_ok=True)
        (root / lib).write_bytes(elf(needed=["libc.so.6"], soname=lib.rpartition("/")[2]))
    return rewritten(root, layout)


def rewritten(root: Path, layout: str) -> bytes:
    (root / "etc").mkdir(exist_ok=True)
    (root / "etc/ld.so.conf").write_text("/opt/lib\n")
    argv = ["ldconfig", "-X", "-c", layout, "-r", str(root), "-C", "/etc/cache"]
    subprocess.run(argv, check=True, capture_output=True)
    return (root / "etc/cache").read_bytes()


@pytest.mark.parametrize("layout", ["new", "compat"])
@pytest.mark.parametrize(
    "gone",
    [
        ["usr/lib/libz.so.1"],
        ["opt/lib/libz.so.1", "usr/lib/libc.so.6"],
        ["usr/lib/glibc-hwcaps/x86-64-v2/libz.so.1", "opt/lib/liba.so"],
        ["usr/lib/glibc-hwcaps/x86-64-v3/libz.so.1", "usr/lib/libz.so.1", "opt/lib/libz.so.1"],
    ],
    ids=range(4),
)
def test_ldconfig_writes_the_same_once_the_files_are_gone(
    layout: str, gone: list[str], tmp_path: Path
) -> None:
    libs = [lib.path.lstrip("/").replace("lib/", "usr/lib/", 1) for lib in LIBS]
    libs = [lib.replace("opt/usr/lib", "opt/lib") for lib in libs]
    before = rooted(tmp_path, libs, layout)
    for lib in gone:
        (tmp_path / lib).unlink()
        with contextlib.suppress(OSError):
            (tmp_path / lib).parent.rmdir()
    assert ld_cache.without(before, {f"/{lib}" for lib in gone}) == rewritten(tmp_path, layout)


@pytest.mark.parametrize("layout", ["new", "compat"])
def test_ldconfig_prints_the_rest_of_this_machines_cache(layout: str, tmp_path: Path) -> None:
    raw = written(tmp_path / "cache", layout)
    before = listed(tmp_path / "cache")
    gone = {paths[0] for paths in list(before.values())[::2]}
    (tmp_path / "cache").write_bytes(ld_cache.without(raw, gone))
    left = {name: tuple(p for p in paths if p not in gone) for name, paths in before.items()}
    assert listed(tmp_path / "cache") == {name: paths for name, paths in left.items() if paths}
