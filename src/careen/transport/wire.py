"""One HTTP exchange at a time: deadlines, redirects, size limits; no login and no retries.

A failure that may pass is raised as `PassingError`, any other as RegistryError, each one line.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, BinaryIO
from urllib.parse import urldefrag, urljoin, urlsplit

import msgspec
import requests
import urllib3.exceptions

import careen
from careen.errors import FormatError, RegistryError, SourceError, UsageError
from careen.transport import proxy
from careen.transport.access import Access
from careen.transport.connection import Adapter
from careen.transport.endpoint import authority, check_url, shown
from careen.transport.retry import PassingError

__all__ = ["Body", "Call", "TlsError", "Wire", "blocks", "dismiss", "fill"]

_REDIRECTS = 10
_BLOCK = 1 << 20
_TRICKLE = 1 << 14  # bytes that must arrive within the stall limit
_SMALL = 1 << 16  # an answer up to this size is read to its end, so that its connection is kept
_OF_THE_NETWORK = (requests.ConnectionError, requests.Timeout, urllib3.exceptions.HTTPError)
_FIXED = {"User-Agent": f"careen/{careen.__version__}", "Accept-Encoding": "identity"}


class TlsError(RegistryError):
    """TLS failed, which no retry mends. `certificate`: the peer speaks TLS, but is not trusted."""

    def __init__(self, message: str, *, certificate: bool) -> None:
        super().__init__(message)
        self.certificate = certificate


class Body:
    """The bytes of a blob on their way out, read from a file that can be opened again.

    `on_bytes` is told how many bytes went out; a negative number takes back what must go again.
    """

    def __init__(
        self, opener: Callable[[], BinaryIO], size: int, on_bytes: Callable[[int], None]
    ) -> None:
        self._opener = opener
        self._size = size
        self._on_bytes = on_bytes
        self._file: BinaryIO | None = None
        self._sent = 0

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[bytes]:
        """Requests takes an iterable for a stream; urllib3 then finds `read`."""
        while block := self.read(_BLOCK):
            yield block

    def read(self, amount: int) -> bytes:
        """The next bytes, never more than the size in all; SourceError when the file is shorter."""
        try:
            self._file = self._file or self._opener()
            block = self._file.read(min(amount, self._size - self._sent))
        except OSError as error:
            raise SourceError(f"the blob to push cannot be read: {error.strerror}") from error
        if not block and self._sent < self._size:
            raise SourceError(f"the blob to push ends at {self._sent} of {self._size} bytes")
        self._sent += len(block)
        self._on_bytes(len(block))
        return block

    def rewind(self) -> None:
        """Start again from the first byte."""
        if self._file is not None:
            self._file.close()
        if self._sent:
            self._on_bytes(-self._sent)
        self._file, self._sent = None, 0

    def close(self) -> None:
        """Close the file; what was sent stays counted."""
        if self._file is not None:
            self._file.close()


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One request, before redirects and login. `body` is bytes, a form, a Body or None."""

    method: str
    url: str
    headers: Mapping[str, str] = {}
    body: Any = None
    json: Any = None


class Wire:
    """Connections to whatever hosts an `Access` leads to; safe for several threads."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._adapter = Adapter(access.timeouts)

    def close(self) -> None:
        """Close the kept connections."""
        self._adapter.close()

    def follow(self, call: Call, authorization: str = "") -> requests.Response:
        """The answer to `call` after redirects, its body unread; whatever its status.

        `authorization` goes to the call's own scheme, host and port and nowhere else. A redirect
        that would leave https, or lead to an address of this machine, is refused, and so is one
        that would turn a write into a read.
        """
        url, seen = call.url, {call.url}
        while True:
            is_own = authority(url) == authority(call.url)
            response = self.send(call, url, authorization if is_own else "")
            target = _redirect(response, call.method)
            if target is None:
                return response
            dismiss(response, self._access.timeouts.stall)
            what = f"a redirect of {urlsplit(url).netloc}"
            check_url(target, origin=url, insecure=self._access.tls_verify is False, what=what)
            if target in seen or len(seen) > _REDIRECTS:
                raise RegistryError(f"redirects go round in a circle at {shown(target)}")
            seen.add(target)
            url = target

    def send(self, call: Call, url: str, authorization: str = "") -> requests.Response:
        """One request for `url`, its answer's body unread."""
        if self._access.offline:
            raise UsageError(f"{urlsplit(url).netloc} is on the network, and --offline is given")
        if isinstance(call.body, Body):
            call.body.rewind()
        limits = self._access.timeouts
        patience = limits.commit if call.method in ("PUT", "PATCH") else limits.stall
        try:
            return self._adapter.send(
                _prepared(call, url, authorization),
                stream=True,
                timeout=(limits.connect, patience),
                verify=self._verify(),
                proxies=self._proxies(url),
            )
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            raise _failure(error, url) from error

    def _verify(self) -> bool | str:
        if self._access.tls_verify is not True:
            return self._access.tls_verify
        names = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
        given = (self._access.environ.get(name) for name in names)
        return next((path for path in given if path), True)

    def _proxies(self, url: str) -> dict[str, str]:
        chosen = proxy.select(url, self._access.environ)
        return {urlsplit(url).scheme: chosen} if chosen else {}


def blocks(response: requests.Response, *, stall: float) -> Iterator[bytes]:
    """The body as the peer sent it (no Content-Encoding undone), as it arrives, up to 1 MiB each.

    PassingError when the connection breaks, when the body is shorter than its Content-Length, or
    when less than 16 KiB arrive in `stall` seconds of waiting.
    """
    waited, arrived = 0.0, 0
    while True:
        began = time.monotonic()
        try:
            block = response.raw.read1(_BLOCK, decode_content=False)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise _failure(error, response.url) from error
        if not block:
            return
        waited, arrived = waited + time.monotonic() - began, arrived + len(block)
        if waited > stall:
            if arrived < _TRICKLE:
                raise PassingError(f"{_host(response.url)} sends almost nothing ({stall:g} s)")
            waited, arrived = 0.0, 0
        yield block


def fill(response: requests.Response, *, ceiling: int, stall: float) -> requests.Response:
    """The response with its `content` read; FormatError when that is over `ceiling` bytes."""
    content = bytearray()
    declared = response.headers.get("Content-Length", "")
    try:
        if declared.isascii() and declared.isdigit() and response.request.method != "HEAD":
            _check_ceiling(int(declared[:20]), ceiling, response.url)
        for block in blocks(response, stall=stall):
            content += block
            _check_ceiling(len(content), ceiling, response.url)
    finally:
        response.close()
    response._content = bytes(content)  # what requests itself sets; it would read without a limit
    response._content_consumed = True  # type: ignore[attr-defined]
    return response


def dismiss(response: requests.Response, stall: float) -> None:
    """Be done with an answer whose body does not matter."""
    try:
        fill(response, ceiling=_SMALL, stall=stall)
    except (RegistryError, FormatError):
        response.close()


def _check_ceiling(size: int, ceiling: int, url: str) -> None:
    if size > ceiling:
        raise FormatError(f"answer of {size} bytes is over the limit of {ceiling}", at=shown(url))


def _prepared(call: Call, url: str, authorization: str) -> requests.PreparedRequest:
    own = {key: value for key, value in call.headers.items() if key.lower() != "authorization"}
    login = {"Authorization": authorization} if authorization else {}
    return requests.Request(
        call.method, url, headers={**own, **_FIXED, **login}, data=call.body, json=call.json
    ).prepare()


def _redirect(response: requests.Response, method: str) -> str | None:
    """Where the answer sends us, as an absolute URL; None when it is no redirect."""
    location = response.headers.get("Location")
    if response.status_code not in (301, 302, 303, 307, 308) or not location:
        return None
    if method not in ("GET", "HEAD") and response.status_code not in (307, 308):
        response.close()
        raise RegistryError(
            f"{_host(response.url)} answers a {method} with a redirect ({response.status_code}) "
            "that would drop what is sent; name the registry by its new address"
        )
    try:
        return urldefrag(urljoin(response.url, location)).url
    except ValueError as error:
        response.close()
        raise RegistryError(f"{_host(response.url)} redirects to no URL") from error


def _host(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2]


def _failure(error: Exception, url: str) -> RegistryError:
    """What went wrong, in one line, as the kind that tells whether another try may help."""
    host = _host(url)
    chain = list(_chain(error))
    found = _tls_failure(chain, host) or _no_connection(chain, host)
    if found is not None:
        return found
    if _first(chain, urllib3.exceptions.ReadTimeoutError, TimeoutError):
        return PassingError(f"{host} does not answer in time")
    # A URL, a header or a CA bundle that requests itself refuses is no matter of the network.
    if isinstance(error, ValueError) or not isinstance(error, _OF_THE_NETWORK):
        return RegistryError(f"{shown(url)} cannot be asked: {error}")
    return PassingError(f"the connection to {host} broke: {_reason(chain)}")


def _tls_failure(chain: list[BaseException], host: str) -> RegistryError | None:
    failed = _first(chain, ssl.SSLCertVerificationError)
    if failed is not None:
        return TlsError(
            f"the certificate of {host} is not trusted: {failed.verify_message}; name its CA, "
            "or turn verification off with --no-tls-verify",
            certificate=True,
        )
    failed = _first(chain, ssl.SSLError)
    if failed is None or isinstance(failed, ssl.SSLEOFError):  # a connection cut short may pass
        return None
    reason = failed.reason or "handshake failed"
    return TlsError(f"no TLS with {host}: {reason}; does it speak http?", certificate=False)


def _no_connection(chain: list[BaseException], host: str) -> RegistryError | None:
    if _first(chain, urllib3.exceptions.ProxyError):
        return PassingError(f"the proxy for {host} fails: {_reason(chain)}", unreachable=True)
    if _first(chain, urllib3.exceptions.NameResolutionError, socket.gaierror):
        return PassingError(f"the host name of {host} is not known; check it", unreachable=True)
    if _first(chain, urllib3.exceptions.ConnectTimeoutError, urllib3.exceptions.NewConnectionError):
        return PassingError(
            f"the registry {host} cannot be reached: {_reason(chain)}; check its name and port",
            unreachable=True,
        )
    return None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error and all that it wraps: causes, and errors that libraries keep as arguments."""
    waiting, seen = [error], set[int]()
    while waiting:
        current = waiting.pop(0)
        if isinstance(current, BaseException) and id(current) not in seen:
            seen.add(id(current))
            yield current
            waiting += [getattr(current, "reason", None), current.__cause__, current.__context__]
            waiting += [item for item in current.args if isinstance(item, BaseException)]


def _first(chain: list[BaseException], *kinds: type[BaseException]) -> Any:
    return next((error for error in chain if isinstance(error, kinds)), None)


def _reason(chain: list[BaseException]) -> str:
    """The system's own words for the innermost cause."""
    for error in reversed(chain):
        if isinstance(error, OSError) and error.strerror:
            return error.strerror.lower()
    if _first(chain, urllib3.exceptions.ConnectTimeoutError):
        return "no answer in time"
    return "it was closed early"
