"""A tar of named files: what `oci-archive:` and `docker-archive:` are made of.

Reading, the tar is walked once, strictly, and its files are then read by name from where their
bytes lie. A name of the archive is looked up and never becomes a path. Writing, the same files
give the same bytes: sorted, without times, root's.
"""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

import msgspec

from careen.errors import CareenError, FormatError, SourceError, UsageError
from careen.formats import tar
from careen.formats.compression import Decompressor
from careen.formats.tar import Entry
from careen.oci.descriptor import Descriptor
from careen.oci.layout import Layout, writing
from careen.oci.manifest import Manifest

__all__ = ["Archive", "Content", "Parcel", "check_absent", "create", "opened"]

_READ = 1 << 20
_LIMITS = tar.Limits(entries=1 << 18)
_HOPS = 8  # of symbolic links; `docker save` makes one
# A pax header is as long for a size of any length, so that the size can be filled in afterwards.
_SIZE_LATER = {"comment": b"size counted while writing"}


class Archive:
    """The files of a tar, by name: `a/b` for what is stored as `a/b` or `./a/b`.

    `entries` holds None for what is there twice: some readers take the first, others the last.
    """

    def __init__(self, entries: Mapping[str, Entry | None], place: BinaryIO) -> None:
        self._entries = entries
        self._place = place

    def has(self, name: str) -> bool:
        """Whether anything but a folder is called that."""
        return name in self._entries

    def file(self, name: str) -> Entry:
        """The regular file `name`; SourceError when it is missing, twice there, or no such file."""
        if name not in self._entries:
            raise SourceError(f"no {name} in the archive")
        entry = self._entries[name]
        if entry is None:
            raise FormatError(f"{name} is there twice")
        if entry.kind != "file" or entry.sparse is not None:
            kind = "sparse file" if entry.kind == "file" else entry.kind
            raise FormatError(f"{name} is a {kind}, not a plain file")
        return entry

    def resolved(self, name: str) -> str:
        """`name`, or where the symbolic links that it is lead to; FormatError for a way out."""
        for _ in range(_HOPS):
            entry = self._entries.get(name)
            if entry is None or entry.kind != "symlink":
                return name
            name = _joined(name.rpartition("/")[0], entry.linkname)
        raise FormatError(f"more than {_HOPS} symbolic links in a row, at {name}")

    def read(self, name: str, *, ceiling: int) -> bytes:
        """All of a file of at most `ceiling` bytes."""
        entry = self.file(name)
        if entry.size > ceiling:
            raise FormatError(f"{name}: {entry.size} bytes is over the limit of {ceiling}")
        return b"".join(self.chunks(entry))

    def chunks(self, entry: Entry) -> Iterator[bytes]:
        """The bytes of a file, unchecked; from any thread."""
        at, end = entry.data_offset, entry.data_offset + entry.size
        while at < end:
            try:
                chunk = os.pread(self._place.fileno(), min(_READ, end - at), at)
            except OSError as error:
                raise _unreadable(error) from error
            if not chunk:
                raise SourceError("the archive was cut while it was read")
            at += len(chunk)
            yield chunk


class Parcel(msgspec.Struct, frozen=True, kw_only=True):
    """An image to be packed: its manifest, the layout with its blobs, and its name if any."""

    layout: Layout
    manifest: Manifest
    name: str | None

    def stream(self, blob: Descriptor, on_bytes: Callable[[int], None]) -> Iterator[bytes]:
        """A blob's bytes, counted, whose digest is checked at the end."""
        for chunk in self.layout.stream(blob):
            on_bytes(len(chunk))
            yield chunk


class Content(msgspec.Struct, frozen=True, kw_only=True):
    """A file to be packed: `chunks` begins its bytes, `size` is None where nobody knows it yet."""

    chunks: Callable[[], Iterable[bytes]]
    size: int | None = None

    @classmethod
    def of(cls, data: bytes) -> Content:
        """A small file."""
        return cls(chunks=lambda: [data], size=len(data))


@contextlib.contextmanager
def opened(
    path: Path,
    *,
    scratch: Path,
    start: Callable[[int], None] = lambda _: None,
    on_bytes: Callable[[int], None] = lambda _: None,
) -> Iterator[Archive]:
    """The archive at `path`, plain or compressed by gzip or zstd, walked to its end.

    What is compressed, or comes through a pipe, is spooled into `scratch`, in a file without a
    name. `start` hears the size of `path`, `on_bytes` of its bytes as they are read. SourceError
    when it cannot be read, FormatError when it is damaged or ambiguous.
    """
    with contextlib.ExitStack() as stack:
        place = stack.enter_context(_open(path))
        about = os.fstat(place.fileno())
        start(about.st_size)
        unpacked = Decompressor(_chunks(place, on_bytes), declared="plain")
        plain: Iterable[bytes] = unpacked
        if unpacked.codec != "plain" or not stat.S_ISREG(about.st_mode):
            place = stack.enter_context(_spool(scratch))
            plain = _spooled(unpacked, place, scratch)
        yield Archive(_entries(plain), place)


def check_absent(path: Path) -> None:
    """UsageError when something is at `path`: an archive is never overwritten or added to.

    A folder that is not there is one too: a misspelt name should not make one.
    """
    if not path.parent.is_dir():
        raise UsageError("no such folder", at=str(path.parent))
    if os.path.lexists(path):
        raise UsageError("is there already; remove it, or name another file", at=str(path))


def create(path: Path, contents: Mapping[str, Content]) -> None:
    """Write a new archive, sorted by name, that appears at `path` when it is whole.

    Equal names and bytes give equal archives. UsageError when something is at `path`; what the
    contents raise rises through, and nothing is left.
    """
    check_absent(path)
    with writing(path.parent) as (target, temporary):
        for name in sorted(contents):
            _put(target, name, contents[name])
        target.write(tar.END)
        target.flush()
        _appear(temporary, path)


def _put(target: BinaryIO, name: str, content: Content) -> None:
    later = {} if content.size is not None else _SIZE_LATER
    entry = Entry(kind="file", name=name, size=content.size or 0, pax=later)
    start, size = target.tell(), 0
    target.write(tar.header(entry))
    for chunk in content.chunks():
        target.write(chunk)
        size += len(chunk)
    target.write(bytes(tar.padding(size)))
    if size != entry.size:
        end = target.tell()
        target.seek(start)
        target.write(tar.header(msgspec.structs.replace(entry, size=size)))
        target.seek(end)


def _appear(temporary: Path, path: Path) -> None:
    """A hard link never replaces; where there are none, a rename must do."""
    with contextlib.suppress(OSError):
        os.link(temporary, path)
        return
    check_absent(path)
    os.replace(temporary, path)


def _open(path: Path) -> BinaryIO:
    try:
        return path.open("rb", buffering=0)
    except FileNotFoundError as error:
        raise SourceError("no such file") from error
    except IsADirectoryError as error:
        raise SourceError("a folder, not an archive; write oci:DIR for a layout") from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise _unreadable(error) from error


def _chunks(source: BinaryIO, on_bytes: Callable[[int], None]) -> Iterator[bytes]:
    while True:
        try:
            chunk = source.read(_READ)
        except OSError as error:
            raise _unreadable(error) from error
        if not chunk:
            return
        on_bytes(len(chunk))
        yield chunk


@contextlib.contextmanager
def _spool(folder: Path) -> Iterator[BinaryIO]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        spool = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115
    except OSError as error:
        raise _unwritable(error, folder) from error
    with spool:
        yield spool


def _spooled(chunks: Iterable[bytes], spool: BinaryIO, folder: Path) -> Iterator[bytes]:
    for chunk in chunks:
        view = memoryview(chunk)
        try:
            while view:
                view = view[spool.write(view) :]
        except OSError as error:
            raise _unwritable(error, folder) from error
        yield chunk


def _entries(chunks: Iterable[bytes]) -> dict[str, Entry | None]:
    entries: dict[str, Entry | None] = {}
    for entry in tar.Reader(chunks, _LIMITS):
        # No tool writes such a name; cleaned by one reader and not by another it is two names.
        if ".." in entry.name.split("/"):
            raise FormatError(f"an entry with `..` in its name: {entry.name[:200]!r}")
        name = _joined("", entry.name)
        if entry.kind != "directory":
            entries[name] = None if name in entries else entry
    return entries


def _joined(folder: str, name: str) -> str:
    """`name` as seen from `folder`; FormatError when it is absolute or leads out."""
    if name.startswith("/"):
        raise FormatError(f"an absolute name: {name[:200]!r}")
    parts = folder.split("/") if folder else []
    for part in name.split("/"):
        if part == ".." and not parts:
            raise FormatError(f"a name that leads out of the archive: {name[:200]!r}")
        if part == "..":
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)


def _unreadable(error: OSError | ValueError) -> SourceError:
    reason = error.strerror if isinstance(error, OSError) else None
    return SourceError(f"cannot be read: {reason or error}")


def _unwritable(error: OSError, folder: Path) -> CareenError:
    return CareenError(f"cannot write: {error.strerror or error}", at=str(folder))
