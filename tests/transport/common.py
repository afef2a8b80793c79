"""What the tests of the registry client share."""

from __future__ import annotations

import gzip
import io
import json
import subprocess
from functools import partial

from careen.formats import digest as digests
from careen.oci import media_type as media_types
from careen.oci.descriptor import Descriptor
from careen.transport.access import Credentials, Timeouts
from careen.transport.repository import Repository

HASTY = Timeouts(connect=2.0, stall=1.0, commit=2.0, longest_wait=7.0)
ADA = Credentials(username="ada", password="s3cret:with colon")
BLOB = bytes(range(256)) * 20_000  # 5 MB: more than one block, more than the sockets' buffers
HTML = b"<html><body>Please log in to the hotel's network</body></html>"


class Naps(list[float]):
    """Stands in for sleep: keeps what was asked for, and sleeps not at all."""

    def __call__(self, seconds: float) -> None:
        self.append(seconds)


def described(data: bytes) -> Descriptor:
    return Descriptor.of("application/octet-stream", data)


def an_image(marker: str) -> tuple[bytes, bytes, bytes]:
    """Manifest, config and layer of a small image."""
    tar = bytes(10240)
    layer, diff_id = gzip.compress(tar, mtime=0), digests.of(tar)
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Labels": {"marker": marker}},
            "rootfs": {"type": "layers", "diff_ids": [diff_id]},
        }
    ).encode()
    document = {
        "schemaVersion": 2,
        "mediaType": media_types.OCI_MANIFEST,
        "config": Descriptor.of(media_types.OCI_CONFIG, config).to_document(),
        "layers": [Descriptor.of(f"{media_types.OCI_LAYER}+gzip", layer).to_document()],
    }
    return json.dumps(document, indent=3).encode(), config, layer


def push_image(repository: Repository, tag: str) -> bytes:
    manifest, config, layer = an_image(tag)
    for blob in (config, layer):
        repository.push_blob(described(blob), partial(io.BytesIO, blob))
    repository.push_manifest(tag, manifest, media_types.OCI_MANIFEST)
    return manifest


def run(*command: str) -> bytes:
    return subprocess.run(command, check=True, capture_output=True).stdout


def push(repository: Repository, data: bytes = BLOB) -> list[int]:
    """Push, and what was counted on the way."""
    counted = list[int]()
    assert repository.push_blob(described(data), lambda: io.BytesIO(data), on_bytes=counted.append)
    return counted
