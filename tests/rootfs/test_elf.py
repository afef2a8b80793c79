"""The ELF reader against pyelftools, on this machine's files and on hand-made ones."""

from __future__ import annotations

import contextlib
import io
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from elftools.elf.elffile import ELFFile
from hypothesis import given, settings
from hypothesis import strategies as st

from careen.errors import FormatError
from careen.rootfs import elf as reader
from careen.rootfs.elf import Elf
from tests.elf_builder import AARCH64, EXEC, I386, REL, S390, elf


def read(data: bytes) -> Elf:
    """Read `data`, never past its end."""

    def pread(length: int, offset: int) -> bytes:
        assert 0 <= offset <= offset + length <= len(data)
        return data[offset : offset + length]

    return reader.read(pread, len(data))


def judged(data: bytes) -> Elf:
    """The same facts, from pyelftools."""
    file = ELFFile(io.BytesIO(data))
    fields: dict[str, Any] = {"needed": [], "filters": [], "auxiliary": []}
    segments: Any = file.iter_segments()
    for segment in segments:
        if segment["p_type"] == "PT_INTERP" and segment["p_filesz"]:
            fields["interpreter"] = segment.get_interp_name()
        if segment["p_type"] == "PT_DYNAMIC" and segment["p_filesz"]:
            fields["dynamic"] = True
            for tag in segment.iter_tags():
                _judge(fields, tag)
    for name in ("needed", "filters", "auxiliary"):
        fields[name] = tuple(fields[name])
    return Elf(
        bits=file.elfclass,
        little=file.little_endian,
        machine=struct.unpack_from("<H" if file.little_endian else ">H", data, 18)[0],
        type=struct.unpack_from("<H" if file.little_endian else ">H", data, 16)[0],
        **fields,
    )


def _judge(fields: dict[str, Any], tag: Any) -> None:
    kind = tag.entry.d_tag
    texts = {"DT_SONAME": "soname", "DT_RPATH": "rpath", "DT_RUNPATH": "runpath"}
    if kind in texts:
        fields[texts[kind]] = getattr(tag, texts[kind])
    elif kind == "DT_NEEDED":
        fields["needed"].append(tag.needed)
    elif kind == "DT_FLAGS_1":
        fields["nodeflib"] = bool(tag.entry.d_val & 0x800)
        fields["pie"] = bool(tag.entry.d_val & 0x8000000)


def machine_files() -> list[Path]:
    folders = ["/usr/bin", "/usr/sbin", "/usr/lib/x86_64-linux-gnu", "/usr/lib", "/usr/libexec"]
    files = [path for folder in folders for path in sorted(Path(folder).glob("*"))]
    return [path for path in files if path.is_file() and not path.is_symlink() and is_elf(path)]


def is_elf(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == reader.MAGIC


def test_this_machines_files_read_as_pyelftools_reads_them() -> None:
    files = machine_files()
    chosen = files[:: max(1, len(files) // 300)]
    if len(chosen) < 100:
        pytest.skip("fewer than a hundred ELF files on this machine")
    for path in chosen:
        data = path.read_bytes()
        assert (path, read(data)) == (path, judged(data))


@pytest.mark.parametrize(
    "made",
    [
        {},
        {"kind": EXEC, "static": True},
        {"interpreter": "/lib64/ld-linux-x86-64.so.2", "needed": ["libc.so.6", "libm.so.6"]},
        {"soname": "libx.so.1", "rpath": "/opt/a:/opt/b", "runpath": "$ORIGIN/../lib"},
        {"flags_1": 0x8000800, "needed": ["libc.so.6"]},
        {"bits": 32, "machine": I386, "needed": ["libc.so.6"], "interpreter": "/lib/ld-linux.so.2"},
        {"bits": 64, "order": ">", "machine": S390, "needed": ["a", "b"], "soname": "c"},
        {"bits": 32, "order": ">", "machine": 20, "runpath": "/x", "interpreter": "/lib/ld.so.1"},
        {"bits": 64, "machine": AARCH64, "needed": ["libc.so.6"]},
        {"needed": ["libc.so.6"], "soname": "big", "padding": 1 << 20},
        {"needed": ["n" * 300, "m" * 1000], "padding": 1 << 17},
    ],
    ids=str,
)
def test_hand_made_files_read_as_they_were_made_and_as_pyelftools_reads_them(
    made: dict[str, Any],
) -> None:
    data = elf(**made)
    fact = read(data)
    assert fact == judged(data)
    for name in ("needed", "soname", "rpath", "runpath", "interpreter"):
        default = {"needed": (), "soname": "", "interpreter": ""}.get(name)
        expected = made.get(name, default)
        assert getattr(fact, name) == (tuple(expected) if isinstance(expected, list) else expected)


def test_filters_and_names_that_are_no_text_are_kept() -> None:
    fact = read(elf(filters=["libf.so"], auxiliary=["liba.so"], needed=["lib\udcff.so"]))
    assert (fact.filters, fact.auxiliary) == (("libf.so",), ("liba.so",))
    assert fact.needed == ("lib\udcff.so",)


def test_what_cannot_be_loaded_has_no_dynamic_facts() -> None:
    assert read(elf(kind=REL, needed=["libc.so.6"])) == Elf(
        bits=64, little=True, machine=62, type=REL
    )


def patched(offset: int, form: str, value: int) -> Callable[[bytearray], None]:
    return lambda data: struct.pack_into(form, data, offset, value)


GOOD = elf(interpreter="/lib/ld.so", needed=["libc.so.6"], runpath="/opt")
PHDR = 64  # where the program headers start; each has 56 bytes: LOAD, INTERP, DYNAMIC


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (patched(4, "<B", 3), "known class"),
        (patched(5, "<B", 0), "known class"),
        (patched(32, "<Q", 2**64 - 1), "program headers would lie past the end"),
        (patched(54, "<H", 32), "program headers of 32 bytes"),
        (patched(56, "<H", 65535), "65535 program headers"),
        (patched(PHDR + 56 + 8, "<Q", 2**63), "interpreter path would lie past the end"),
        (patched(PHDR + 56 + 32, "<Q", 2**40), "interpreter path of 1099511627776 bytes"),
        (patched(PHDR + 56 + 32, "<Q", 3), "interpreter path has no end"),
        (patched(PHDR + 112 + 8, "<Q", 2**63), "dynamic section would lie past the end"),
        (patched(PHDR + 112 + 32, "<Q", 2**40), "dynamic section of 1099511627776 bytes"),
        (patched(PHDR + 32, "<Q", 1), "in no loaded segment"),
        (patched(PHDR + 16, "<Q", 0), "in no loaded segment"),
    ],
)
def test_damaged_headers_are_named(damage: Callable[[bytearray], None], message: str) -> None:
    data = bytearray(GOOD)
    damage(data)
    with pytest.raises(FormatError, match=message):
        read(bytes(data))


@pytest.mark.parametrize(
    ("tag", "value", "message"),
    [
        (10, 2**40, "string table would lie past the end"),  # DT_STRSZ
        (10, 3, "no end inside the dynamic string table"),
        (5, 0, "in no loaded segment"),  # DT_STRTAB
        (1, 2**40, "no end inside the dynamic string table"),  # DT_NEEDED
    ],
)
def test_damaged_dynamic_entries_are_named(tag: int, value: int, message: str) -> None:
    data = bytearray(GOOD)
    dynamic = GOOD.index(struct.pack("<QQ", 1, 1))
    entry = next(at for at in range(dynamic, len(data), 16) if data[at] == tag)
    struct.pack_into("<Q", data, entry + 8, value)
    with pytest.raises(FormatError, match=message):
        read(bytes(data))


def test_names_without_measure_are_refused() -> None:
    with pytest.raises(FormatError, match="exceed 65536 bytes"):
        read(elf(needed=["n" * 4000] * 20))


@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from([GOOD, elf(bits=32, order=">", needed=["a", "b"], padding=70000)]),
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=6),
    st.integers(0, 1 << 20),
)
def test_any_bytes_are_read_or_refused(
    good: bytes, changes: list[tuple[int, int]], length: int
) -> None:
    data = bytearray(good)
    for place, value in changes:
        data[place % len(data)] = value
    with contextlib.suppress(FormatError):
        read(bytes(data[:length]))
