"""An OCI image layout on disk: where every image meets (image-spec, image-layout.md).

Blobs are written beside their place and renamed, so that a blob that is there is whole. The index
is replaced last, in one rename, under a lock.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from careen.errors import CareenError, FormatError, SourceError, UsageError, within
from careen.formats import digest as digests
from careen.formats import strict_json
from careen.formats.digest import Digest
from careen.formats.strict_json import Object
from careen.oci.descriptor import Descriptor
from careen.oci.index import Index
from careen.oci.media_type import OCI_INDEX

__all__ = ["REF_NAME", "Layout", "check_digest", "check_version", "named", "replace", "writing"]

REF_NAME = "org.opencontainers.image.ref.name"
_PREFIX = ".careen-"
_READ = 1 << 20
_INDEX_CEILING = 64 << 20


class Layout:
    """A layout in `folder`, which need not exist before the first write."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, digest: Digest) -> Path:
        """Where the blob of that digest lies, or would."""
        return self.folder / "blobs" / digests.algorithm(digest) / digests.encoded(digest)

    def has(self, digest: Digest) -> bool:
        """Whether a blob of that name is there."""
        return self.path(digest).is_file()

    def open(self, descriptor: Descriptor) -> BinaryIO:
        """The blob's bytes, unchecked but for their number."""
        try:
            stream = self.path(descriptor.digest).open("rb")
        except OSError as error:
            raise SourceError(
                f"blob cannot be read: {error.strerror or error}", at=descriptor.digest
            ) from error
        size = os.fstat(stream.fileno()).st_size
        if size != descriptor.size:
            stream.close()
            raise FormatError(
                f"blob has {size} bytes, its descriptor says {descriptor.size}",
                at=descriptor.digest,
            )
        return stream

    def read(self, descriptor: Descriptor, *, ceiling: int) -> bytes:
        """The whole blob, checked."""
        if descriptor.size > ceiling:
            raise FormatError(
                f"{descriptor.size} bytes is over the limit of {ceiling}", at=descriptor.digest
            )
        with self.open(descriptor) as stream:
            data = stream.read()
        hashed = digests.hasher(descriptor.digest)
        hashed.update(data)
        _compare(descriptor, hashed, len(data))
        return data

    def write(self, chunks: Iterable[bytes], expected: Descriptor | None = None) -> Descriptor:
        """Store a blob atomically. Without `expected`, sha256 names it and its type is "" ."""
        wanted = expected.digest if expected is not None else digests.of(b"")
        hashed, size = digests.hasher(wanted), 0
        with writing(self.folder / "blobs" / digests.algorithm(wanted)) as (target, temporary):
            for chunk in chunks:
                hashed.update(chunk)
                target.write(chunk)
                size += len(chunk)
            if expected is not None:
                _compare(expected, hashed, size)
            digest = digests.parse(f"{digests.algorithm(wanted)}:{hashed.hexdigest()}")
            target.flush()
            os.replace(temporary, self.path(digest))
        return expected or Descriptor(media_type="", digest=digest, size=size)

    def stream(self, descriptor: Descriptor) -> Iterator[bytes]:
        """The blob's bytes, whose digest is checked at the end."""
        hashed, size = digests.hasher(descriptor.digest), 0
        with self.open(descriptor) as source:
            while chunk := source.read(_READ):
                hashed.update(chunk)
                size += len(chunk)
                yield chunk
        _compare(descriptor, hashed, size)

    def link(self, descriptor: Descriptor, origin: Layout) -> bool:
        """Take a blob that careen itself just wrote, without copying; False across file systems."""
        target = self.path(descriptor.digest)
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(origin.path(descriptor.digest), target)
        except OSError:
            return False
        return True

    def check_usable(self) -> None:
        """UsageError unless the folder is a layout, or empty, or not there yet."""
        try:
            occupied = any(self.folder.iterdir())
        except FileNotFoundError:
            return
        except OSError as error:
            reason = error.strerror or str(error)
            raise UsageError(f"cannot be written: {reason}", at=str(self.folder)) from error
        if occupied:
            try:
                self.index()
            except SourceError as error:
                raise UsageError(
                    f"the folder holds something else than an OCI layout ({error.message})",
                    at=str(self.folder),
                ) from error

    def index(self) -> Index:
        """`index.json`; SourceError when this is no layout."""
        marker, document = self._document("oci-layout"), self._document("index.json")
        with within(str(self.folder / "oci-layout")):
            check_version(marker)
        with within(str(self.folder / "index.json")):
            return Index.of(document, OCI_INDEX)

    def find(self, ref: str | None) -> Descriptor:
        """The manifest or index named `ref`; without one, the only there is."""
        index = self.index()
        with within(str(self.folder)):
            return named(index, ref, form="oci:DIR:REF")

    def tag(self, descriptor: Descriptor, ref: str | None) -> None:
        """Name a manifest whose blobs are all here; a former one of that name loses it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._locked():
            marker = self.folder / "oci-layout"
            if not marker.exists():
                replace(marker, b'{"imageLayoutVersion":"1.0.0"}')
            document: Object = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}
            if (self.folder / "index.json").exists():
                document = dict(self.index().document)
            kept = [
                child
                for child in document.get("manifests") or []
                if not _gives_way(child, ref, descriptor.digest)
            ]
            document["manifests"] = [*kept, _named(descriptor, ref)]
            replace(self.folder / "index.json", strict_json.dump(document))

    def _document(self, name: str) -> Object:
        path = self.folder / name
        try:
            raw = path.read_bytes()
        except OSError as error:
            reason = error.strerror or str(error)
            raise SourceError(f"not an OCI layout: {reason}", at=str(path)) from error
        with within(str(path)):
            return strict_json.parse(raw, ceiling=_INDEX_CEILING)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """One writer of the index at a time; whoever holds the lock sweeps up after the dead."""
        handle = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            for stale in [
                *self.folder.glob(f"{_PREFIX}*"),
                *self.folder.glob(f"blobs/*/{_PREFIX}*"),
            ]:
                _sweep(stale)
            yield
        finally:
            os.close(handle)


def check_version(document: Object) -> None:
    """SourceError when the file `oci-layout` tells of a layout that is not ours to read."""
    version = document.get("imageLayoutVersion")
    if version != "1.0.0":
        raise SourceError(f"layout version {version!r} is not 1.0.0")


def named(index: Index, ref: str | None, *, form: str) -> Descriptor:
    """The one that a layout's index lists as `ref`; without one, the only there is.

    SourceError, which lists the choices, when there is not one; `form` says how to write a REF.
    """
    pairs = [(child.annotations.get(REF_NAME, ""), child) for child in index.manifests]
    found = [child for name, child in pairs if ref is None or name == ref]
    if len({child.digest for child in found}) == 1:
        return found[0]
    choices = ", ".join(sorted(name or f"@{child.digest}" for name, child in pairs)) or "none"
    if ref is None:
        raise SourceError(f"{len(found)} images; name one as {form}, of: {choices}")
    problem = "no image" if not found else "several images"
    raise SourceError(f"{problem} named {ref!r}; there are: {choices}")


@contextlib.contextmanager
def writing(folder: Path) -> Iterator[tuple[BinaryIO, Path]]:
    """A new file in `folder`, removed at the end unless the block has renamed it.

    It stays locked while it is being written, which tells it from one whose writer was killed.
    CareenError when the disk says no.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{_PREFIX}{uuid.uuid4().hex}"
        with path.open("xb") as target:
            try:
                fcntl.flock(target, fcntl.LOCK_EX)
                yield target, path
            finally:
                path.unlink(missing_ok=True)
    except OSError as error:
        raise CareenError(f"cannot write: {error.strerror or error}", at=str(folder)) from error


def replace(path: Path, data: bytes) -> None:
    """Write a small file in one rename: readers see the old one or the new one."""
    with writing(path.parent) as (target, temporary):
        target.write(data)
        target.flush()
        os.replace(temporary, path)


def _sweep(stale: Path) -> None:
    with contextlib.suppress(OSError), stale.open("rb") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        stale.unlink()


def _named(descriptor: Descriptor, ref: str | None) -> Object:
    """The descriptor as `index.json` lists it: its own annotations, and the name."""
    document = descriptor.to_document()
    annotations = {k: v for k, v in descriptor.annotations.items() if k != REF_NAME}
    if ref is not None:
        annotations[REF_NAME] = ref
    return document | ({"annotations": annotations} if annotations else {})


def _gives_way(child: Object, ref: str | None, digest: Digest) -> bool:
    """Whether an entry of the index is the one that `ref` (or, unnamed, this digest) replaces."""
    name = (child.get("annotations") or {}).get(REF_NAME)
    return name == ref and (ref is not None or child.get("digest") == digest)


def check_digest(expected: Descriptor, hashed: digests.Hash) -> None:
    """FormatError, with both digests, unless what was hashed is the blob."""
    if hashed.hexdigest() != digests.encoded(expected.digest):
        algorithm = digests.algorithm(expected.digest)
        raise FormatError(f"blob {expected.digest} has digest {algorithm}:{hashed.hexdigest()}")


def _compare(expected: Descriptor, hashed: digests.Hash, size: int) -> None:
    if size != expected.size:
        raise FormatError(
            f"blob has {size} bytes, its descriptor says {expected.size}", at=expected.digest
        )
    check_digest(expected, hashed)
