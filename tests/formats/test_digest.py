"""Digests, checked before they can become a path or a URL."""

from __future__ import annotations

import hashlib

import pytest

from careen.errors import FormatError
from careen.formats import digest as digests


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_registered_algorithms(algorithm: str) -> None:
    text = f"{algorithm}:{hashlib.new(algorithm, b'x').hexdigest()}"
    digest = digests.parse(text)
    hashed = digests.hasher(digest)
    hashed.update(b"x")
    assert (digests.algorithm(digest), digests.encoded(digest)) == tuple(text.split(":"))
    assert hashed.hexdigest() == digests.encoded(digest)


@pytest.mark.parametrize(
    "text",
    [
        None,
        3,
        "",
        "sha256",
        "sha256:",
        "sha256:../../etc/passwd",
        "sha256:" + "a" * 63,
        "sha256:" + "a" * 128,
        "sha256:" + "A" * 64,
        "sha512:" + "a" * 64,
        "md5:" + "a" * 32,
        "SHA256:" + "a" * 64,
        "sha256:" + "a" * 64 + "\n",
        " sha256:" + "a" * 64,
    ],
)
def test_everything_else_is_refused(text: object) -> None:
    with pytest.raises(FormatError, match="not a sha256 or sha512 digest"):
        digests.parse(text)


def test_of() -> None:
    assert digests.of(b"") == "sha256:" + hashlib.sha256(b"").hexdigest()
