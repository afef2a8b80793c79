"""What inspect found, as tables."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

import msgspec
from rich.console import RenderableType

from careen import tools
from careen.cli.tables import ABOUT, Column, facts, table, title
from careen.cli.units import count, size
from careen.formats import strict_json
from careen.inspection import Inspection

__all__ = ["inspection_json", "inspection_table"]

_Parts = Iterator[RenderableType]


def inspection_json(reference: str, found: Inspection) -> bytes:
    """Every field of the inspection, and the image's name."""
    return strict_json.dump({"reference": reference, **msgspec.to_builtins(found)})


def inspection_table(reference: str, found: Inspection, *, every: bool) -> _Parts:
    """From the whole to the details; a section that would be empty is left out."""
    yield facts(_head(reference, found))
    yield from _layers(found, every=every)
    yield from _packages(found, every=every)
    yield from _shells(found, every=every)
    yield from _tools(found, every=every)
    yield from _privileged(found, every=every)
    yield from _writable(found, every=every)
    yield from _unowned(found, every=every)
    if found.notes:
        yield title("Notes")
        rows = [(item.severity, item.rule, item.path, item.message) for item in found.notes]
        columns = [Column("severity"), *ABOUT]
        yield from table(columns, rows, every=every)


def _head(reference: str, found: Inspection) -> list[tuple[str, str]]:
    starts = shlex.join([*found.entrypoint, *found.command])
    rows = [
        ("image", reference),
        ("digest", found.digest),
        ("platform", f"{found.platform}, {found.system}" if found.system else found.platform),
        ("starts", starts or "nothing by itself"),
        ("user", found.user or "root (none is set)"),
        ("content", f"{count(found.files, 'file')}, {size(found.bytes)}"),
    ]
    if found.packages:
        unowned = f"{count(found.unowned_files, 'file')}, {size(found.unowned_bytes)}"
        rows.append(("unowned", f"{unowned} of no package"))
    return rows


def _layers(found: Inspection, *, every: bool) -> _Parts:
    yield title(f"Layers: {len(found.layers)}")
    columns = [
        Column("", right=True),
        Column("compressed", right=True),
        Column("unpacked", right=True),
        Column("still seen", right=True),
        Column("made by", wrap=True),
    ]
    rows = [
        (str(i), size(layer.compressed), size(layer.unpacked), size(layer.bytes),
         layer.created_by[:120])
        for i, layer in enumerate(found.layers)
    ]  # fmt: skip
    yield from table(columns, rows, every=every)


def _packages(found: Inspection, *, every: bool) -> _Parts:
    if found.packages:
        in_all = size(sum(package.bytes for package in found.packages))
        yield title(f"Packages: {len(found.packages)}, {in_all}")
        columns = [Column("package"), Column("version"), Column("size", right=True),
                   Column("files", right=True)]  # fmt: skip
        rows = [(item.id, item.version, size(item.bytes), f"{item.files:,}")
                for item in found.packages]  # fmt: skip
        yield from table(columns, rows, every=every)


def _shells(found: Inspection, *, every: bool) -> _Parts:
    yield title(f"Shells: {len(found.shells)}")
    if found.shells:
        columns = [Column("path"), Column("leads to"), Column("package")]
        rows = [(item.path, item.target, item.package) for item in found.shells]
        yield from table(columns, rows, every=every)


def _tools(found: Inspection, *, every: bool) -> _Parts:
    for kind in tools.KINDS:
        rows = [
            (item.path, "" if item.target == item.path else item.target, item.package)
            for item in found.tools
            if item.kind == kind
        ]
        if rows:
            yield title(f"{kind.capitalize()}s: {len(rows)}")
            columns = [Column("path"), Column("leads to"), Column("package")]
            linked = any(target for _, target, _ in rows)
            shown = rows if linked else [(path, package) for path, _, package in rows]
            yield from table(columns if linked else columns[::2], shown, every=every)


def _privileged(found: Inspection, *, every: bool) -> _Parts:
    if found.privileged:
        yield title(f"Setuid and setgid files: {len(found.privileged)}")
        columns = [Column("mode"), Column("owner"), Column("path"), Column("package")]
        rows = [(item.mode, item.owner, item.path, item.package) for item in found.privileged]
        yield from table(columns, rows, every=every)
    if found.capabilities:
        yield title(f"Files with capabilities: {len(found.capabilities)}")
        columns = [Column("capabilities"), Column("path"), Column("package")]
        caps = [(item.capabilities, item.path, item.package) for item in found.capabilities]
        yield from table(columns, caps, every=every)


def _writable(found: Inspection, *, every: bool) -> _Parts:
    """Those as /tmp apart, for they are as they should be."""
    rows = [
        (item.mode, item.owner, item.kind, item.path, item.package)
        for item in found.writable
        if not item.sticky
    ]
    if rows:
        yield title(f"World-writable paths: {len(rows)}")
        columns = [Column("mode"), Column("owner"), Column("kind"), Column("path"),
                   Column("package")]  # fmt: skip
        yield from table(columns, rows, every=every)
    sticky = [item.path for item in found.writable if item.sticky]
    if sticky:
        yield title(f"World-writable folders with the sticky bit: {len(sticky)}")
        yield from table([Column("")], [(path,) for path in sticky], every=every)


def _unowned(found: Inspection, *, every: bool) -> _Parts:
    if found.unowned:
        yield title(f"Programs and libraries of no package: {len(found.unowned)}")
        columns = [Column("kind"), Column("size", right=True), Column("path")]
        rows = [(item.kind, size(item.bytes), item.path) for item in found.unowned]
        yield from table(columns, rows, every=every)
