"""Stanzas are cut as bytes and read as python-debian and dpkg read them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from debian._deb822_repro import parse_deb822_file
from hypothesis import given
from hypothesis import strategies as st

from careen.errors import FormatError
from careen.packages.dpkg.stanza import cut, parse, without_conffiles

GOOD = (
    b"Package: a\nStatus: install ok installed\nArchitecture: all\nVersion: 1\n"
    b"Maintainer: m\nDescription: d\n"
)
MALFORMED = {
    "no colon": GOOD + b"Nonsense\n",
    "a continuation first": b" continued\n" + GOOD,
    "a field twice": GOOD + b"Version: 2\n",
    "a line of spaces": GOOD + b"Homepage: x\n \nSection: y\n",
    "a comment": GOOD + b"# comment\n",
    "a name with a hyphen first": GOOD + b"-Section: x\n",
    "no newline at the end": GOOD + b"Section: x",
    "a carriage return alone": GOOD + b"\r\n",
}
STRICTER = {  # dpkg ends a line here, and nobody else does
    "a control byte": GOOD + b"Section: x\x1a\n",
}
MACHINE = Path("/var/lib/dpkg/status")


def test_stanzas_joined_are_the_file() -> None:
    content = b"\n\n" + GOOD + b"\n\n\n" + GOOD + b"\n" + GOOD
    stanzas = cut(content)
    assert [len(stanza.strip()) for stanza in stanzas] == [len(GOOD.strip())] * 3
    assert b"".join(stanzas) == content


@given(st.lists(st.sampled_from([b"A: b\n", b" c\n", b"\n", b"D:\n", b"\xff: \xfe\n"])))
def test_cutting_loses_no_byte(lines: list[bytes]) -> None:
    content = b"".join(lines)
    stanzas = cut(content)
    assert b"".join(stanzas) == (content if content.strip(b"\n") else b"")
    assert all(stanza.strip(b"\n") for stanza in stanzas)


def test_fields_are_read_whole() -> None:
    stanza = b"package: a\nDEPENDS: b,\n c |\n\td\nConffiles:\n /x y 0 \n /z 1\nSource:\nX: y\n"
    assert parse([stanza]) == [
        {
            "Package": "a",
            "Depends": "b,\n c |\n\td",
            "Conffiles": "\n /x y 0 \n /z 1",
            "Source": "",
        }
    ]


def test_names_of_any_bytes_survive() -> None:
    value = parse([b"Package: a\nSource: \xff\x85\x1c\xe2\x80\xa8b\n"])[0]["Source"]
    assert value.encode("utf-8", "surrogateescape") == b"\xff\x85\x1c\xe2\x80\xa8b"


@pytest.mark.skipif(not MACHINE.exists(), reason="no dpkg on this machine")
def test_fields_are_those_of_python_debian() -> None:
    stanzas = cut(MACHINE.read_bytes())
    lines = b"".join(stanzas).decode().splitlines(keepends=True)
    expected = [dict(paragraph.items()) for paragraph in parse_deb822_file(lines)]
    fields = parse(stanzas)
    assert len(fields) == len(expected) > 50
    for ours, theirs in zip(fields, expected, strict=True):
        assert ours == {name: theirs[name] for name in ours}
        assert {"Conffiles", "Depends", "Source"} & set(theirs) <= set(ours)


@pytest.mark.parametrize(
    "stanza", [*MALFORMED.values(), *STRICTER.values()], ids=[*MALFORMED, *STRICTER]
)
def test_a_malformed_stanza_is_refused(stanza: bytes) -> None:
    with pytest.raises(FormatError):
        parse(cut(GOOD + b"\n" + stanza))


@pytest.mark.skipif(not shutil.which("dpkg-query"), reason="no dpkg on this machine")
@pytest.mark.parametrize(
    ("stanza", "silent"),
    [*((stanza, False) for stanza in MALFORMED.values()), (GOOD + b"X-Y: \xff\n z\n\t.\n", True)],
    ids=[*MALFORMED, "well-formed"],
)
def test_dpkg_refuses_or_warns_of_the_same(stanza: bytes, silent: bool, tmp_path: Path) -> None:
    (tmp_path / "status").write_bytes(stanza)
    command = ["dpkg-query", f"--admindir={tmp_path}", "-W"]
    done = subprocess.run(command, capture_output=True, check=False)
    assert (done.returncode == 0 and not done.stderr) is silent


@pytest.mark.parametrize(
    ("gone", "expected"),
    [
        ([], b"Package: a\nConffiles:\n /x 0\n /y 1\nVersion: 1\n\n"),
        ([b" /x 0"], b"Package: a\nConffiles:\n /y 1\nVersion: 1\n\n"),
        ([b" /y 1", b" /x 0"], b"Package: a\nVersion: 1\n\n"),
    ],
)
def test_conffiles_leave_a_stanza(gone: list[bytes], expected: bytes) -> None:
    stanza = b"Package: a\nConffiles:\n /x 0\n /y 1\nVersion: 1\n\n"
    assert without_conffiles(stanza, gone) == expected
