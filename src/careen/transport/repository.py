"""One repository on one host: manifests, blobs and tags, checked where their bytes pass.

distribution-spec v1.1. Content is never trusted: a manifest's and a blob's digest is computed
here. What is missing or is not what its digest says is a SourceError (exit code 4); what the
registry, the login or the network does wrong is a RegistryError (5).

Importing this module imports oras and requests, so import it where a registry is really asked.
"""

from __future__ import annotations

import contextlib
import re
import threading
import time
from collections.abc import Callable, Iterator
from typing import BinaryIO, Self
from urllib.parse import quote, urldefrag, urlencode, urljoin, urlsplit

import requests

from careen.errors import FormatError, RegistryError, SourceError, within
from careen.formats import digest as digests
from careen.formats import strict_json
from careen.formats.digest import Digest
from careen.oci import media_type as media_types
from careen.oci.descriptor import Descriptor
from careen.transport import retry
from careen.transport.access import Access
from careen.transport.endpoint import (
    check_host,
    check_reference,
    check_repository,
    check_url,
    full_name,
    shown,
)
from careen.transport.registry import CareenRegistry, complaint, connect
from careen.transport.retry import PassingError
from careen.transport.tokens import AccessDeniedError
from careen.transport.wire import Body, blocks

__all__ = ["MANIFEST_CEILING", "Repository"]

MANIFEST_CEILING = 4 << 20  # bytes; distribution-spec, "Pushing Manifests", asks for at least this

_ACCEPT = {"Accept": ", ".join((*media_types.MANIFESTS, *media_types.INDEXES))}
_VAGUE = ("", "application/json", "application/octet-stream", "text/plain")
_PROGRESS = 1 << 20  # bytes after which a broken download has got on, and may break again
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,19})-[0-9]{1,19}/([0-9]{1,19}|\*)")

OnBytes = Callable[[int], None]


def _nobody(_: int) -> None:
    """Progress that nobody watches."""


class Repository:
    """The repository `name` on `host`, as `access` lets us in; safe for parallel transfers.

    UsageError for a host or a name that cannot be one. Nothing is sent before the first verb.
    `on_bytes` of the verbs is told numbers of bytes as they pass; a negative one takes back what
    is sent again. `sleep` waits between attempts.
    """

    def __init__(
        self,
        host: str,
        name: str,
        access: Access,
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.host = check_host(host)
        self.name = full_name(host, check_repository(name))
        self._access = access
        self._sleep = sleep
        self._lock = threading.Lock()
        self._connected: CareenRegistry | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the kept connections; the next verb opens new ones."""
        with self._lock:
            if self._connected is not None:
                self._connected.close()

    def manifest(self, reference: str, *, ceiling: int = MANIFEST_CEILING) -> tuple[bytes, str]:
        """The raw bytes and the media type of the manifest or index that a tag or digest names.

        SourceError when there is none; FormatError when it is over `ceiling` bytes, is not what
        its digest says, or is no image manifest or index.
        """
        url = self._manifest_url(reference)
        response = self._client.do_request(url, headers=_ACCEPT, ceiling=ceiling)
        at = self._named(reference)
        if response.status_code == 404:
            raise SourceError(f"no such image: {complaint(response)}", at=at)
        _expect(response, 200)
        encoding = response.headers.get("Content-Encoding", "identity")
        if encoding != "identity":
            raise RegistryError(f"sent in Content-Encoding {encoding}, unasked", at=at)
        raw = response.content
        with within(at):
            if ":" in reference:
                _check_bytes(raw, digests.parse(reference))
            _check_announced(response, raw)
            return raw, _media_type(response, raw)

    def has_manifest(self, reference: str) -> Digest | None:
        """The digest of what a tag or digest names, None when there is nothing."""
        url = self._manifest_url(reference)
        response = self._client.do_request(url, "HEAD", headers=_ACCEPT)
        if response.status_code == 404:
            return None
        _expect(response, 200)
        digest = _announced(response) or digests.of(self.manifest(reference)[0])
        if ":" in reference and digest != reference:
            raise RegistryError(f"says that its digest is {digest}", at=self._named(reference))
        return digest

    def blob(self, descriptor: Descriptor, *, on_bytes: OnBytes = _nobody) -> Iterator[bytes]:
        """The blob's bytes as stored, in blocks of up to 1 MiB, resumed when a connection breaks.

        FormatError, at the latest after the last block, when size or digest is another; a
        consumer must not use what it got before the iterator ended. SourceError when missing.
        """
        hasher = digests.hasher(descriptor.digest)
        for block in self._resumed(descriptor):
            hasher.update(block)
            on_bytes(len(block))
            yield block
        if hasher.hexdigest() != digests.encoded(descriptor.digest):
            found = f"{digests.algorithm(descriptor.digest)}:{hasher.hexdigest()}"
            raise FormatError(
                f"its bytes have the digest {found}", at=self._named(descriptor.digest)
            )

    def has_blob(self, descriptor: Descriptor) -> bool:
        """Whether the registry says that it holds the blob in this repository."""
        digest = digests.parse(descriptor.digest)
        client = self._client
        return bool(client.blob_exists({"digest": digest}, client.container))

    def mount_blob(self, descriptor: Descriptor, source_repository: str) -> bool:
        """Have the blob from another repository of this registry, without its bytes moving.

        False when the registry does not do it, or may not for this user: then push the blob.
        """
        source = full_name(self.host, check_repository(source_repository))
        query = urlencode({"mount": descriptor.digest, "from": source})
        try:
            response = self._client.do_request(f"{self._uploads_url()}?{query}", "POST")
        except AccessDeniedError:
            return False
        if response.status_code == 202:  # an upload was begun instead
            with contextlib.suppress(RegistryError):
                self._client.do_request(self._location(response), "DELETE")
        return response.status_code == 201

    def push_blob(
        self,
        descriptor: Descriptor,
        opener: Callable[[], BinaryIO],
        *,
        on_bytes: OnBytes = _nobody,
    ) -> bool:
        """Send the blob unless the registry has it; whether anything was sent.

        `opener` opens the blob's bytes from the start, once per attempt. After a failure the
        registry is asked first: an upload whose answer was lost is done.
        """
        if self.has_blob(descriptor):
            return False
        body = Body(opener, descriptor.size, on_bytes)
        attempts = iter(range(self._access.attempts))

        def work() -> None:
            if next(attempts) == 0 or not self.has_blob(descriptor):
                self._upload(descriptor, body)

        with contextlib.closing(body):
            retry.persist(work, attempts=self._access.attempts, sleep=self._sleep)
        return True

    def push_manifest(self, reference: str, raw: bytes, media_type: str) -> None:
        """Put `raw`, byte for byte, under a tag or its digest; the registry's digest is checked."""
        at = self._named(reference)
        if ":" in reference:
            with within(at):
                _check_bytes(raw, digests.parse(reference))
        response = self._client.do_request(
            self._manifest_url(reference), "PUT", data=raw, headers={"Content-Type": media_type}
        )
        _expect(response, 201, 200, 202)
        with within(at):
            _check_announced(response, raw)

    def tags(self) -> list[str]:
        """All tags, in the registry's order; SourceError when there is no such repository."""
        client = self._client
        try:
            listed = client.get_tags(client.container)
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            raise RegistryError("its tag list is not one", at=f"{self.host}/{self.name}") from error
        return [tag for tag in listed if isinstance(tag, str)]

    @property
    def _client(self) -> CareenRegistry:
        with self._lock:
            if self._connected is None:
                self._connected = connect(self.host, self.name, self._access, sleep=self._sleep)
            return self._connected

    def _named(self, reference: str) -> str:
        return f"{self.host}/{self.name}{'@' if ':' in reference else ':'}{reference}"

    def _manifest_url(self, reference: str) -> str:
        checked = check_reference(reference)  # before anything is sent
        return f"{self._client.prefix}://{self._client.container.manifest_url(checked)}"

    def _uploads_url(self) -> str:
        return f"{self._client.prefix}://{self._client.container.upload_blob_url()}"

    def _resumed(self, descriptor: Descriptor) -> Iterator[bytes]:
        """The bytes of the blob, over as many connections as it takes, at most its size."""
        position, mark, failures = 0, 0, 0
        while position < descriptor.size:
            try:
                for block in self._from(descriptor, position):
                    position += len(block)
                    if position > descriptor.size:
                        raise FormatError(
                            f"longer than {descriptor.size} bytes",
                            at=self._named(descriptor.digest),
                        )
                    yield block
                if position < descriptor.size:
                    at = self._named(descriptor.digest)
                    raise PassingError(f"{at} ends at {position} of {descriptor.size} bytes")
            except PassingError as failure:
                failures = 1 if position - mark >= _PROGRESS else failures + 1
                mark = position
                if failures >= self._access.attempts:
                    raise retry.given_up(failure, failures) from failure
                self._sleep(retry.backoff(failures))

    def _from(self, descriptor: Descriptor, position: int) -> Iterator[bytes]:
        """The bytes from `position` on, over one connection."""
        client = self._client
        url = f"{client.prefix}://{client.container.get_blob_url(descriptor.digest)}"
        # RFC 9110, section 14.2: a server may ignore Range and send all of it again.
        asked = {"Range": f"bytes={position}-"} if position else {}
        with contextlib.closing(client.do_request(url, headers=asked, stream=True)) as response:
            skip = self._check_start(response, descriptor, position)
            for block in blocks(response, stall=self._access.timeouts.stall):
                if len(block) > skip:
                    yield block[skip:] if skip else block
                skip = max(0, skip - len(block))

    def _check_start(
        self, response: requests.Response, descriptor: Descriptor, position: int
    ) -> int:
        """How many bytes to skip of an answer to a request for the bytes from `position` on."""
        at = self._named(descriptor.digest)
        if response.status_code == 206:
            found = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
            if (
                not found
                or int(found[1]) != position
                or found[2] not in ("*", str(descriptor.size))
            ):
                raise RegistryError(f"other bytes than those from {position} on came", at=at)
            return 0
        if response.status_code == 404:
            raise SourceError("no such blob in the registry", at=at)
        if response.status_code != 200:
            raise RegistryError(f"{response.status_code} {response.reason}", at=at)
        declared = response.headers.get("Content-Length", str(descriptor.size))
        if declared != str(descriptor.size):
            page = response.headers.get("Content-Type", "").lower().startswith("text/html")
            kind = RegistryError if page else FormatError
            what = "a web page" if page else "an answer"
            raise kind(f"{what} of {declared} bytes came for one of {descriptor.size}", at=at)
        return position

    def _upload(self, descriptor: Descriptor, body: Body) -> None:
        """distribution-spec, "POST then PUT"."""
        response = self._client.do_request(self._uploads_url(), "POST")
        _expect(response, 202)
        location = self._location(response)
        # Appended as text: what the registry keeps in its location must come back unchanged.
        joint = "&" if urlsplit(location).query else "?"
        response = self._client.do_request(
            f"{location}{joint}digest={quote(descriptor.digest, safe='')}",
            "PUT",
            data=body if descriptor.size else b"",
            headers={"Content-Type": "application/octet-stream"},
        )
        if response.status_code in (404, 416):  # the registry lost the upload: begin another
            raise PassingError(f"{self.host} lost the upload of {descriptor.digest}", wait=0.0)
        if response.status_code != 201 and not (response.ok and self.has_blob(descriptor)):
            raise RegistryError(complaint(response), at=self._named(descriptor.digest))

    def _location(self, response: requests.Response) -> str:
        """Where the registry wants an upload; it may be relative, or on another host."""
        location = response.headers.get("Location", "")
        what = f"the upload location of {self.host}"
        if not location:
            raise RegistryError(f"{what} is missing", at=shown(response.url))
        url = urldefrag(urljoin(response.url, location)).url
        insecure = self._access.tls_verify is False
        check_url(url, origin=response.url, insecure=insecure, what=what)
        return url


def _expect(response: requests.Response, *statuses: int) -> None:
    if response.status_code not in statuses:
        raise RegistryError(complaint(response), at=shown(response.url))


def _check_bytes(raw: bytes, digest: Digest) -> None:
    if not _matches(raw, digest):
        raise FormatError(f"its bytes have the digest {digests.of(raw)}")


def _matches(raw: bytes, digest: Digest) -> bool:
    hasher = digests.hasher(digest)
    hasher.update(raw)
    return hasher.hexdigest() == digests.encoded(digest)


def _announced(response: requests.Response) -> Digest | None:
    """The digest that the registry says; RegistryError when that is not one."""
    text = response.headers.get("Docker-Content-Digest")
    try:
        return digests.parse(text) if text else None
    except FormatError as error:
        raise RegistryError(f"Docker-Content-Digest is {error}", at=shown(response.url)) from error


def _check_announced(response: requests.Response, raw: bytes) -> None:
    announced = _announced(response)
    if announced is not None and not _matches(raw, announced):
        raise RegistryError(
            f"the registry says the digest is {announced}, but the bytes have {digests.of(raw)}"
        )


def _media_type(response: requests.Response, raw: bytes) -> str:
    """The type from the header; when that says nothing, from the document itself."""
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind in _VAGUE:
        kind = str(strict_json.parse(raw, ceiling=len(raw)).get("mediaType", kind))
    media_types.family(kind)
    return kind
