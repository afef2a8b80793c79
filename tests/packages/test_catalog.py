"""Every package of an image, and who owns a path."""

from __future__ import annotations

import pytest

from careen.errors import FormatError
from careen.packages import catalog, dpkg
from tests.packages.dpkg_root import Pkg, debian
from tests.rootfs.hand_made import rootfs


def test_an_image_without_packages() -> None:
    found = catalog.read(rootfs([]))
    assert (found.databases, found.packages, found.owners) == ((), {}, {})


def test_a_path_has_all_its_owners() -> None:
    found = catalog.read(debian([Pkg("a", ["/bin/x", "/usr/y"]), Pkg("b", ["/usr/bin/x"])]))
    assert set(found.packages) == {"a", "b"}
    assert found.owners == {"usr/bin/x": ("a", "b"), "usr/y": ("a",)}


def test_a_name_that_is_listed_twice_is_owned_once() -> None:
    found = catalog.read(debian([Pkg("a", ["/bin/x", "/usr/bin/x"])]))
    assert found.owners == {"usr/bin/x": ("a",)}


def test_two_databases_with_one_package_are_refused() -> None:
    database = dpkg.read(debian([Pkg("a")]))
    assert database is not None
    with pytest.raises(FormatError, match=r"^a: two package databases"):
        catalog.of([database, database])
