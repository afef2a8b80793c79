"""One line, one exit code, a breadcrumb that grows as the error rises."""

from __future__ import annotations

import pytest

from careen import errors
from careen.errors import CareenError, FormatError, printable, within


def test_breadcrumbs_join() -> None:
    with pytest.raises(FormatError) as caught, within("a.json"), within("layers"), within("[2]"):
        raise FormatError("not a digest", at="digest")
    assert str(caught.value) == "a.json.layers[2].digest: not a digest"


def test_no_breadcrumb() -> None:
    assert str(CareenError("broken")) == "broken"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain é 漢", "plain é 漢"),
        ("a\nb\tc\x1b[31m", "a\\nb\\tc\\x1b[31m"),
        (b"\xff\xfe".decode("utf-8", "surrogateescape"), "\\xff\\xfe"),
        ("\u202eevil", "\\u202eevil"),
        ("\ud800", "\\ud800"),
    ],
)
def test_names_cannot_move_the_cursor(text: str, shown: str) -> None:
    assert printable(text) == shown
    assert str(CareenError(text)) == shown


@pytest.mark.parametrize(
    ("kind", "code"),
    [("CareenError", 1), ("UsageError", 2), ("GateError", 3), ("SourceError", 4),
     ("FormatError", 4), ("RegistryError", 5)],
)  # fmt: skip
def test_exit_codes(kind: str, code: int) -> None:
    assert getattr(errors, kind)("x").exit_code == code


def test_a_digest_is_a_place_of_its_own() -> None:
    with pytest.raises(FormatError) as caught, within("oci:app:1"), within("sha256:ab"):
        raise FormatError("not an image config", at="os")
    assert str(caught.value) == "oci:app:1: sha256:ab.os: not an image config"
