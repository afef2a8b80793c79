"""Paths inside an image, by text alone."""

from __future__ import annotations

import os.path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from careen.rootfs.path import ROOT, Path, absolute, ancestors, join, name, normal, order, parent


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("", ""), ("/", ""), (".", ""), ("./", ""), ("..", ""), ("../..", ""), ("a/..", ""),
        ("a", "a"), ("/a", "a"), ("./a", "a"), ("a/", "a"), ("//a//b/.", "a/b"),
        ("/usr//lib/./x/../y", "usr/lib/y"), ("../../a", "a"), ("a/../../b", "b"),
        (".a/..b/...", ".a/..b/..."), ("a b\n/\udcff", "a b\n/\udcff"),
    ],
)  # fmt: skip
def test_normal(text: str, path: str) -> None:
    assert normal(text) == path


@given(st.text(alphabet="ab./\udcff", max_size=30))
def test_normal_is_what_the_standard_library_makes_of_an_absolute_path(text: str) -> None:
    expected = os.path.normpath(f"/{text}").lstrip("/")
    assert normal(text) == expected
    assert normal(normal(text)) == normal(text)


def test_parts() -> None:
    path = Path("usr/lib/x")
    assert (absolute(path), parent(path), name(path)) == ("/usr/lib/x", "usr/lib", "x")
    assert (absolute(ROOT), parent(ROOT), name(ROOT)) == ("/", ROOT, "")
    assert join(parent(path), name(path)) == path
    assert join(ROOT, "a") == "a"
    assert list(ancestors(path)) == ["usr/lib", "usr"]
    assert list(ancestors(ROOT)) == list(ancestors(Path("a"))) == []


@given(st.lists(st.text(alphabet="ab-.\x01", min_size=1, max_size=3), max_size=4))
def test_order_is_by_components(parts: list[str]) -> None:
    paths = [Path("/".join(parts[:n])) for n in range(len(parts) + 1)]
    others = [join(path, "a-") for path in paths]
    both = [*paths, *others]
    assert sorted(both, key=order) == sorted(both, key=lambda path: path.split("/") if path else [])
