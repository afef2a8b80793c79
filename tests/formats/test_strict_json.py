"""JSON with one meaning, or refused."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from careen.errors import FormatError
from careen.formats import strict_json


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "not JSON"),
        (b"[]", "not a JSON object"),
        (b"{} {}", "not JSON"),
        (b'{"a":1,"a":2}', "duplicate key 'a'"),
        (b'{"a":{"b":1,"b":1}}', "duplicate key 'b'"),
        (b'{"a":NaN}', "NaN is not JSON"),
        (b'{"a":-Infinity}', "-Infinity is not JSON"),
        (b'{"a":1e999}', "number out of range"),
        (b'{"a":"\xff"}', "not UTF-8 at byte 6"),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "nested too deeply"),
        (b'{"a":"' + b"x" * 100 + b'"}', "over the limit of 64"),
    ],
)
def test_refused(raw: bytes, message: str) -> None:
    ceiling = 64 if b"xxx" in raw else 1 << 20
    with pytest.raises(FormatError, match=message):
        strict_json.parse(raw, ceiling=ceiling)


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@given(st.dictionaries(st.text(), _VALUES))
def test_round_trip_keeps_values_and_order(document: dict[str, object]) -> None:
    raw = strict_json.dump(document)
    again = strict_json.parse(raw, ceiling=1 << 20)
    assert again == document
    assert list(again) == list(document)
    assert json.loads(raw) == document


def test_a_lone_surrogate_survives() -> None:
    raw = b'{"a":"\\udc80"}'
    assert strict_json.dump(strict_json.parse(raw, ceiling=100)) == raw
