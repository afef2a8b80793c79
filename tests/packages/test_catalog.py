"""Every package of an image, and who owns a path."""

from __future__ import annotations

import pytest

from careen.errors import FormatError
from careen.packages import catalog, dpkg
from careen.rootfs.path import Path
from tests.builders import Hard
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


def test_a_package_on_record_twice_is_refused() -> None:
    database = dpkg.read(debian([Pkg("a")]))
    assert database is not None
    with pytest.raises(FormatError, match=r"^a: .* records it twice"):
        catalog.of([database, database])


def test_footprint() -> None:
    """Files that are there, and no directories; the bytes of hard links count once."""
    nodes = [Hard("usr/bin/y", "usr/bin/x")]
    root = debian([Pkg("a", ["/bin/x", "/usr/bin/y", "/usr/gone"])], nodes=nodes)
    (package,) = catalog.read(root).packages.values()
    del root.nodes[Path("usr/gone")]
    assert catalog.footprint(package, root) == (2, len("/bin/x"))


def test_notes_tell_of_what_is_unsupported() -> None:
    found = catalog.of([], ["an unknown database"])
    assert [note.message for note in catalog.notes(found)] == ["an unknown database"]
