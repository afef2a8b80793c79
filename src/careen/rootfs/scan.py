"""One pass over the layers: bytes checked, unpacked into spools, and merged into a rootfs.

Each layer is read in a thread of its own. As its compressed bytes pass they are hashed for the
digest, unpacked, hashed again for the diff_id, written to a spool and walked for tar headers; the
heavy part happens in C without the interpreter's lock. A spool is an unnamed file, gone with its
process.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path as FilePath

import msgspec

from careen.errors import CareenError, FormatError, within
from careen.finding import Finding
from careen.formats import compression, tar
from careen.formats import digest as digests
from careen.formats.digest import Digest
from careen.formats.tar import Entry
from careen.oci import media_type as media_types
from careen.oci.descriptor import Descriptor
from careen.oci.image import Image
from careen.oci.layout import check_digest
from careen.oci.store import Store
from careen.rootfs.rootfs import Rootfs
from careen.rootfs.tree import Tree

__all__ = ["FileSpool", "Limits", "Scan", "scan"]

_READ = 1 << 20


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What one layer may cost."""

    unpacking: compression.Limits = compression.Limits()
    tar: tar.Limits = tar.Limits()


class FileSpool:
    """One layer's uncompressed tar, in a file without a name."""

    def __init__(self, folder: FilePath | None) -> None:
        self._file = tempfile.TemporaryFile(dir=folder, prefix="careen-")  # noqa: SIM115
        self.size = 0

    def write(self, chunk: bytes) -> None:
        """Append."""
        view = memoryview(chunk)
        while view:
            view = view[os.write(self._file.fileno(), view) :]
        self.size += len(chunk)

    def pad(self) -> None:
        """Fill the last block: an archive may end inside it, and is read by whole blocks."""
        os.write(self._file.fileno(), bytes(tar.padding(self.size)))

    def pread(self, length: int, offset: int) -> bytes:
        """Exactly `length` bytes at `offset`."""
        data = os.pread(self._file.fileno(), length, offset)
        while len(data) < length:
            more = os.pread(self._file.fileno(), length - len(data), offset + len(data))
            if not more:
                raise CareenError("a spooled layer ended early; was its scratch file cut?")
            data += more
        return data

    def close(self) -> None:
        """Give the space back."""
        self._file.close()


class Scan(msgspec.Struct, frozen=True, kw_only=True):
    """`sizes` are the layers' uncompressed bytes."""

    rootfs: Rootfs
    sizes: tuple[int, ...]
    notes: tuple[Finding, ...]


@contextlib.contextmanager
def scan(
    store: Store,
    image: Image,
    *,
    scratch: FilePath | None = None,
    jobs: int = 0,
    limits: Limits | None = None,
    on_bytes: Callable[[int], None] = lambda _: None,
) -> Iterator[Scan]:
    """Read all layers of `image`, every digest and diff_id checked; the spools live for the block.

    `scratch` is where the spools go (default TMPDIR), `jobs` how many layers at once (0: one a
    core); `on_bytes` hears of compressed bytes as they are read, from several threads.
    FormatError names the layer and, where there is one, the entry.
    """
    with contextlib.ExitStack() as stack:
        layers, stop = [], threading.Event()
        for descriptor, diff_id in zip(image.manifest.layers, image.config.diff_ids, strict=True):
            spool = stack.enter_context(contextlib.closing(FileSpool(scratch)))
            costs = limits or Limits()
            layers.append(_Layer(store, descriptor, diff_id, spool, costs, on_bytes, stop))
        tree = Tree()
        reading = _read_all(layers, jobs or os.cpu_count() or 1, stop)
        with contextlib.closing(reading):
            for i, entries in enumerate(reading):
                with within(f"layers[{i}]"):
                    tree.apply(i, entries)
        nodes, links = tree.finish()
        yield Scan(
            rootfs=Rootfs(nodes, tuple(layer.spool for layer in layers), links),
            sizes=tuple(layer.spool.size for layer in layers),
            notes=(*image.notes, *(note for layer in layers for note in layer.notes), *tree.notes),
        )


def _read_all(
    layers: Sequence[_Layer], jobs: int, stop: threading.Event
) -> Generator[list[Entry], None, None]:
    """The layers' entries, bottom layer first, while the ones above are still being read."""
    with ThreadPoolExecutor(jobs, "layer") as workers:
        futures = [workers.submit(layer.read) for layer in layers]
        try:
            for i in range(len(futures)):
                yield _result(futures, i)
        finally:
            stop.set()
            workers.shutdown(cancel_futures=True)


def _result(futures: Sequence[Future[list[Entry]]], i: int) -> list[Entry]:
    """Layer i's entries; where another layer failed and so stopped this one, that one's error."""
    try:
        with within(f"layers[{i}]"):
            return futures[i].result()
    except _StoppedError:
        for j, future in enumerate(futures):
            with within(f"layers[{j}]"), contextlib.suppress(_StoppedError):
                future.result()
        raise


class _StoppedError(CareenError):
    """Another layer failed, or nobody wants the rest."""


class _Layer:
    """One layer on its way from a blob to a spool."""

    def __init__(
        self,
        store: Store,
        descriptor: Descriptor,
        diff_id: Digest,
        spool: FileSpool,
        limits: Limits,
        on_bytes: Callable[[int], None],
        stop: threading.Event,
    ) -> None:
        self.store = store
        self.descriptor = descriptor
        self.diff_id = diff_id
        self.spool = spool
        self.limits = limits
        self.on_bytes = on_bytes
        self.stop = stop
        self.notes: list[Finding] = []

    def read(self) -> list[Entry]:
        """Everything in one pass; only whole, checked layers come out. A failure stops the others.

        Hashing and spooling go on in one thread beside this one, in the order of the bytes.
        """
        try:
            with (
                ThreadPoolExecutor(1, "hash") as beside,
                contextlib.closing(self._packed(beside)) as packed,
            ):
                return self._told(packed, beside)
        except BaseException:
            self.stop.set()
            raise

    def _told(self, packed: Iterable[bytes], beside: ThreadPoolExecutor) -> list[Entry]:
        """The entries; of a blob with another digest only that is told, whatever it breaks."""
        try:
            return self._entries(packed, beside)
        except FormatError:
            self.stop.set()
            left = self.descriptor.size
            for chunk in packed:  # to the blob's end, where its digest is compared
                left -= len(chunk)
                if left < 0:
                    break
            raise

    def _entries(self, packed: Iterable[bytes], beside: ThreadPoolExecutor) -> list[Entry]:
        unpacked = compression.Decompressor(
            packed,
            declared=media_types.codec(self.descriptor.media_type),
            limits=self.limits.unpacking,
        )
        reader = tar.Reader(self._spooled(unpacked, beside), self.limits.tar)
        entries = list(reader)
        for message in [*unpacked.warnings, *reader.warnings]:
            said = f"{message} (layer {self.descriptor.digest})"
            self.notes.append(Finding(rule="odd-layer", severity="note", message=said))
        return entries

    def _packed(self, beside: ThreadPoolExecutor) -> Generator[bytes, None, None]:
        """The blob's bytes, to the end, then its digest."""
        hashed = digests.hasher(self.descriptor.digest)
        hashing: Future[None] | None = None
        with self.store.open(self.descriptor) as source:
            while chunk := source.read(_READ):
                if hashing is not None:
                    hashing.result()
                hashing = beside.submit(hashed.update, chunk)
                self.on_bytes(len(chunk))
                yield chunk
        if hashing is not None:
            hashing.result()
        check_digest(self.descriptor, hashed)

    def _spooled(self, unpacked: Iterable[bytes], beside: ThreadPoolExecutor) -> Iterator[bytes]:
        """The tar's bytes, hashed and spooled beside the thread that unpacks the next ones."""
        hashed = digests.hasher(self.diff_id)
        keeping: Future[None] | None = None
        for chunk in unpacked:
            if self.stop.is_set():
                raise _StoppedError("stopped")
            if keeping is not None:
                keeping.result()
            keeping = beside.submit(_keep, hashed, self.spool, chunk)
            yield chunk
        if keeping is not None:
            keeping.result()
        self.spool.pad()
        if hashed.hexdigest() != digests.encoded(self.diff_id):
            raise FormatError(
                f"unpacked layer does not match its diff_id {self.diff_id}",
                at=self.descriptor.digest,
            )


def _keep(hashed: digests.Hash, spool: FileSpool, chunk: bytes) -> None:
    hashed.update(chunk)
    spool.write(chunk)
