"""rpm's header, read strictly: what it says is true, or it is refused."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from careen.errors import FormatError
from careen.packages.rpm import record
from careen.packages.rpm.header import parse
from tests.packages.rpm_root import BIN, INT16, INT32, STRING, STRINGS, Entry, Pkg, header

ALL = frozenset(range(100, 2000))
TABLE: list[Entry] = [
    (1000, STRING, "a"),
    (1001, INT16, [1, 0xFFFF]),
    (1002, INT32, [2, 0xFFFFFFFF]),
    (1003, STRINGS, ["x", "", "\udcff"]),
    (1004, BIN, b"\0\1"),
]


@pytest.mark.parametrize("region", [True, False])
def test_values_by_their_tags(region: bool) -> None:
    found = parse(header(TABLE, [(1500, INT32, [7])], region=region), ALL)
    assert found.text(1000) == "a"
    assert found.numbers(1001) == (1, 0xFFFF)
    assert found.numbers(1002) == (2, 0xFFFFFFFF)
    assert found.texts(1003) == ("x", "", "\udcff")
    assert found.numbers(1500) == (7,)
    assert (found.text(1999), found.texts(1999), found.numbers(1999)) == ("", (), ())


def test_what_the_installation_added_replaces_what_was_signed() -> None:
    assert parse(header(TABLE, [(1000, STRING, "b")]), ALL).text(1000) == "b"


def test_only_the_tags_asked_for_are_kept() -> None:
    assert parse(header(TABLE), frozenset([1000])).entries == {1000: (STRING, 1, b"a\0")}


@pytest.mark.parametrize(
    ("read", "tag"),
    [("numbers", 1000), ("texts", 1001), ("text", 1004), ("text", 1003), ("numbers", 1004)],
)
def test_another_type_than_asked_for(read: str, tag: int) -> None:
    found = parse(header(TABLE), ALL)
    with pytest.raises(FormatError, match=f"tag {tag}"):
        getattr(found, read)(tag)


def put(blob: bytes, place: int, *numbers: int) -> bytes:
    """`blob` with 32-bit numbers written at `place`."""
    data = struct.pack(f">{len(numbers)}I", *(number & 0xFFFFFFFF for number in numbers))
    return blob[:place] + data + blob[place + len(data) :]


def entry(position: int, part: int) -> int:
    """Where a part (tag, type, offset, count) of an index entry stands."""
    return 8 + 16 * position + 4 * part


BLOB = header(TABLE)
STORE = 8 + 16 * 6
TRAILER = len(BLOB) - 16


@pytest.mark.parametrize(
    "lie",
    [
        b"",
        BLOB[:7],
        BLOB[:-1],
        BLOB + b"\0",
        put(BLOB, 0, 0),
        put(BLOB, 0, 7),
        put(BLOB, 0, 0x10000000),
        put(BLOB, 4, 0xFFFFFFFF),
        put(BLOB, entry(0, 1), STRING),
        put(BLOB, entry(0, 2), -1),
        put(BLOB, entry(0, 2), len(BLOB)),
        put(BLOB, entry(0, 3), 15),
        put(BLOB, TRAILER, 61),
        put(BLOB, TRAILER + 4, STRING),
        put(BLOB, TRAILER + 8, -(16 * 7)),
        put(BLOB, TRAILER + 8, 16),
        put(BLOB, TRAILER + 8, 0),
        put(BLOB, TRAILER + 8, -17),
        put(BLOB, TRAILER + 12, 17),
        put(BLOB, entry(1, 0), 99),
        put(BLOB, entry(2, 0), 1000),
        put(BLOB, entry(1, 1), 0),
        put(BLOB, entry(1, 1), 10),
        put(BLOB, entry(1, 2), -1),
        put(BLOB, entry(1, 2), 5),
        put(BLOB, entry(1, 3), 0),
        put(BLOB, entry(1, 3), 2),
        put(BLOB, entry(2, 2), 3),
        put(BLOB, entry(2, 3), 0x7FFFFFFF),
        put(BLOB, entry(3, 3), 3),
        put(BLOB, entry(4, 3), 0),
        put(BLOB, entry(4, 3), 0x40000000),
        put(BLOB, entry(5, 2), 0x7FFFFFFF),
        put(BLOB, entry(5, 3), 100),
    ],
)
def test_a_lie_is_refused(lie: bytes) -> None:
    with pytest.raises(FormatError):
        parse(lie, ALL)


def test_many_entries_over_the_same_strings_are_refused_at_once() -> None:
    strings = b"\0" * 10_000
    index = struct.pack(">IIiI", 1000, STRINGS, 0, 10_000) * 10_000
    blob = struct.pack(">II", 10_000, len(strings)) + index + strings
    with pytest.raises(FormatError, match="out of place"):
        parse(blob, ALL)


ONE = Pkg(
    "a",
    files=["/", "/etc/a.conf", "/var/lib/a/", "/var/lib/a/gone"],
    epoch=2,
    flags={"/etc/a.conf": 1, "/var/lib/a/gone": 64},
    provides=["liba.so()(64bit)", "config(a)"],
    requires=[
        "/bin/sh",
        "rpmlib(CompressedFileNames)",
        "libc.so.6(GLIBC_2.4)(64bit)",
        "(b >= 1.0 or (c(x) with d))",
        "(e if f)",
    ],
)


def test_a_header_as_a_record() -> None:
    assert record.parse(3, ONE.blob) == record.Record(
        row=3,
        name="a",
        version="2:1.0-1",
        architecture="x86_64",
        source="src",
        source_version="2.0-3",
        files=("/", "/etc/a.conf", "/var/lib/a", "/var/lib/a/gone"),
        directories=frozenset(["/", "/var/lib/a"]),
        config=frozenset(["/etc/a.conf"]),
        ghosts=frozenset(["/var/lib/a/gone"]),
        provides=("a", "liba.so()(64bit)", "config(a)"),
        requires=("/bin/sh", "libc.so.6(GLIBC_2.4)(64bit)", "b", "c(x)", "d", "e", "f"),
    )


def test_names_as_the_oldest_packages_list_them() -> None:
    old: list[Entry] = [item for item in Pkg("a").entries if item[0] < 1116]
    assert record.parse(1, header([*old, (1027, STRINGS, ["/x/y", "/z"])])).files == ("/x/y", "/z")


def changed(tag: int, value: object) -> Callable[[], bytes]:
    def blob() -> bytes:
        table = [(key, kind, value if key == tag else old) for key, kind, old in ONE.entries]
        return header([item for item in table if item[2] is not None])

    return blob


@pytest.mark.parametrize(
    "blob",
    [
        changed(1000, None),
        changed(1001, ""),
        changed(1003, [1, 2]),
        changed(1030, [1]),
        changed(1037, [0, 0, 0, 0, 0]),
        changed(1116, [0, 0, 0]),
        changed(1116, [0, 0, 0, 9]),
        changed(1118, None),
    ],
)
def test_lists_that_do_not_fit_each_other(blob: Callable[[], bytes]) -> None:
    with pytest.raises(FormatError):
        record.parse(1, blob())


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_damage_is_refused_or_read(data: st.DataObject) -> None:
    blob = bytearray(ONE.blob)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(blob) - 1))
        blob[place] ^= 1 << data.draw(st.integers(0, 7))
    cut = data.draw(st.sampled_from([len(blob), data.draw(st.integers(0, len(blob)))]))
    try:
        found = record.parse(1, bytes(blob[:cut]))
    except FormatError:
        return
    assert found.name
    assert all(isinstance(file, str) for file in found.files)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_refused_or_read(blob: bytes) -> None:
    with contextlib.suppress(FormatError):
        assert record.parse(1, blob).name
