"""A database beside another in one image: its packages' ids say whose they are.

Two databases may record packages of one name, as a Debian image that carries an Alpine root. So
that an id is unique, all ids of the second and third database bear its name, `busybox (apk)`. That
depends on which databases there are and not on what they record: an edit of either leaves every
id as it was. No database's own ids have a space in them.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from careen.packages.catalog import Records
from careen.packages.package import Package
from careen.rootfs.path import Path

__all__ = ["Qualified", "family", "own_id", "qualified"]


class Qualified(msgspec.Struct, frozen=True, kw_only=True):
    """`records` under ids that are unique in the image; `own` maps each to the database's own."""

    records: Records
    packages: tuple[Package, ...]
    own: Mapping[str, str]

    @property
    def files(self) -> frozenset[Path]:
        """See `Records`."""
        return self.records.files

    @property
    def notes(self) -> tuple[str, ...]:
        """See `Records`."""
        return self.records.notes

    @property
    def faults(self) -> tuple[str, ...]:
        """See `Records`."""
        return self.records.faults

    @property
    def refused(self) -> str:
        """See `Records`."""
        return self.records.refused

    @property
    def whole(self) -> bool:
        """See `Records`."""
        return self.records.whole

    def relinked(self, dropped: frozenset[Path]) -> Mapping[Path, str | None]:
        """See `Records`."""
        return self.records.relinked(dropped)

    def edit(
        self, removed: frozenset[str], dropped: frozenset[Path]
    ) -> Mapping[Path, bytes | None]:
        """See `Records`; an equal id of another database's package is none of this one's."""
        own = frozenset(self.own[id] for id in removed if id in self.own)
        return self.records.edit(own, dropped)


def qualified(records: Records, word: str) -> Qualified:
    """`records` with ` (word)` after every id."""
    packages = tuple(
        msgspec.structs.replace(package, id=f"{package.id} ({word})")
        for package in records.packages
    )
    own = {package.id: package.id.removesuffix(f" ({word})") for package in packages}
    return Qualified(records=records, packages=packages, own=own)


def family(package: Package) -> str:
    """Whose database records it: `dpkg`, `apk` or `rpm`."""
    return package.database.partition("-")[0]


def own_id(package: Package) -> str:
    """Its id where no other database stands beside its own."""
    return package.id.removesuffix(f" ({family(package)})")
