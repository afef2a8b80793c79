"""Stanzas of a deb822 file: cut as bytes, kept as bytes, their fields read beside them.

The fields come from python-debian's round-trip reader, whose error tokens refuse the file (its
`Deb822` class drops bad lines silently). careen stops at its tokens: the tree of elements that it
grows from them is for editing text, costs seven times as much (0.5 against 0.1 ms a stanza), and
says nothing more of a field's value.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from debian._deb822_repro import tokens

from careen.errors import FormatError

__all__ = ["Fields", "cut", "parse", "without_conffiles"]

Fields = Mapping[str, str]  # field name as spelt in _READ → value; absent fields are absent

_READ = {
    name.lower(): name
    for name in (
        "Package",
        "Status",
        "Version",
        "Architecture",
        "Multi-Arch",
        "Source",
        "Essential",
        "Provides",
        "Depends",
        "Pre-Depends",
        "Conffiles",
    )
}
_BLANK = " \t\r\f\v"
_STANZA = re.compile(rb"\n*(?:[^\n]+\n)+\n*")
# deb822 files that people write may hold these; dpkg refuses each of them in its database, and
# python-debian reads a comment as nothing and a line of blanks as the end of a stanza
_ODD = re.compile(rb"^#|^[ \t\r\f\v]+$|[\0\x1a]", re.MULTILINE)
_CONFFILES = re.compile(rb"^Conffiles:[^\n]*\n(?:[ \t][^\n]*\n)*", re.MULTILINE | re.IGNORECASE)


def cut(content: bytes) -> tuple[bytes, ...]:
    """Each stanza with the empty lines after it; joined, they are `content` again.

    FormatError when the last line has no newline, as dpkg demands one.
    """
    if not content.strip(b"\n"):
        return ()
    if not content.endswith(b"\n"):
        raise FormatError("the last line has no newline")
    return tuple(_STANZA.findall(content))


def parse(stanzas: Sequence[bytes]) -> list[Fields]:
    """The fields of each stanza, in the same order; FormatError when any is malformed."""
    content = b"".join(stanzas)
    if odd := _ODD.search(content):
        line = content.count(b"\n", 0, odd.start()) + 1
        raise FormatError(
            "a comment, a blank line inside a stanza or a control byte", at=f":{line}"
        )
    paragraphs = _paragraphs(content.decode("utf-8", "surrogateescape"))
    if len(paragraphs) != len(stanzas):
        raise FormatError("a stanza ends where dpkg would not end it")
    return paragraphs


def _paragraphs(text: str) -> list[Fields]:
    # only \n ends a line; str.splitlines knows ten more ends
    lines = (f"{line}\n" for line in text.split("\n")[:-1])
    fields: dict[str, list[str]] = {}
    paragraphs = [fields]
    value: list[str] = []
    for token in tokens.tokenize_deb822_file(lines):
        kind = type(token)
        if kind is tokens.Deb822FieldNameToken:
            name, value = token.text.lower(), []
            if fields.setdefault(name, value) is not value:
                raise FormatError(f"the field {token.text} stands twice in a stanza")
        elif kind is tokens.Deb822WhitespaceToken and "\n" in token.text:
            fields = {}
            paragraphs.append(fields)
        elif kind is tokens.Deb822ErrorToken:
            raise FormatError(f"malformed line {token.text.rstrip()!r}")
        elif kind is not tokens.Deb822FieldSeparatorToken:
            value.append(token.text)
    return [
        {
            known: "".join(read[key]).lstrip(_BLANK).rstrip()
            for key, known in _READ.items()
            if key in read
        }
        for read in paragraphs
        if read
    ]


def without_conffiles(stanza: bytes, gone: Iterable[bytes]) -> bytes:
    """`stanza` less these lines of its Conffiles field; the field goes with its last line."""
    field = _CONFFILES.search(stanza)
    if field is None:
        return stanza
    lost = set(gone)
    head, *lines = field[0].splitlines(keepends=True)
    kept = [line for line in lines if line.rstrip(b"\n") not in lost]
    left = head + b"".join(kept) if kept else b""
    return stanza[: field.start()] + left + stanza[field.end() :]
