"""ld.so.cache as ldconfig writes it on this machine, in both layouts, and as nobody should."""

from __future__ import annotations

import contextlib
import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from careen.errors import FormatError
from careen.rootfs import ld_cache


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
