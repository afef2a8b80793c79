"""The registry client: oras', with every request going through one door of careen's own.

`CareenRegistry.do_request` replaces oras': it alone decides timeouts, redirects, retries, who is
told which credentials, and how large an answer may be. oras' own session is left without
adapters, so a request that went past the door would fail instead of leaking.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

import oras.container
import oras.provider
import requests

from careen.errors import CareenError, FormatError, RegistryError, SourceError
from careen.formats import strict_json
from careen.transport import retry
from careen.transport.access import Access
from careen.transport.endpoint import api_host, authority, is_loopback, shown
from careen.transport.retry import PassingError
from careen.transport.tokens import Answer, Authenticator, Scopes
from careen.transport.wire import Body, Call, TlsError, Wire, dismiss, fill

__all__ = ["CareenRegistry", "complaint", "connect"]

_CEILING = 32 << 20  # bytes of an answer that is read whole
_PAGES = 10_000


class CareenRegistry(oras.provider.Registry):
    """One repository on one host, through oras' methods and careen's `do_request`; thread-safe.

    `host` and `repository` are checked names (`endpoint`). `sleep` waits between attempts.
    """

    def __init__(
        self,
        host: str,
        repository: str,
        access: Access,
        *,
        scheme: str = "https",
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        super().__init__(
            hostname=api_host(host), insecure=scheme == "http", tls_verify=access.tls_verify
        )
        self.session.adapters.clear()
        self.session.trust_env = False
        self.origin = f"{scheme}://{api_host(host)}"
        self._repository = repository
        self._access = access
        self._sleep = sleep
        self._wire = Wire(access)
        self._authenticator = Authenticator(
            self.origin, host=host, repository=repository, access=access, ask=self._ask
        )
        # Set by hand: oras' parser takes a first part without a dot or colon for a namespace.
        self.container = oras.container.Container(repository, registry=api_host(host))
        self.container.registry = api_host(host)
        self.container.namespace, _, self.container.repository = repository.rpartition("/")

    def close(self) -> None:
        """Close the kept connections."""
        self._wire.close()

    def do_request(
        self,
        url: str,
        method: str = "GET",
        data: Any = None,
        headers: Mapping[str, str] | None = None,
        json: Any = None,
        stream: bool = False,
        *,
        ceiling: int = _CEILING,
    ) -> requests.Response:
        """The answer to a request, whatever its status but 401, 403 and the passing ones.

        With `stream` its body is unread, else read up to `ceiling` bytes. Passing failures are
        tried again, save when `data` is a Body: what an upload's lost answer means only the
        uploader can tell, so PassingError rises to it. RegistryError when it fails for good,
        AccessDeniedError when the registry says no.
        """
        call = Call(method=method, url=url, headers=headers or {}, body=data, json=json)

        def work() -> requests.Response:
            response = self._authorised(call)
            return response if stream else self._complete(response, ceiling)

        if isinstance(data, Body):
            return work()
        return self._persist(work)

    def speaks(self) -> bool:
        """Whether anything answers in the scheme of `origin`; RegistryError when nobody is there,
        TlsError when TLS is spoken but the certificate is not trusted."""
        call = Call(method="GET", url=f"{self.origin}/v2/")

        def work() -> bool:
            try:
                response = self._wire.send(call, call.url)
            except (PassingError, TlsError) as failure:
                if getattr(failure, "unreachable", False) or getattr(failure, "certificate", False):
                    raise
                return False
            dismiss(response, self._access.timeouts.stall)
            return True

        return retry.persist(work, attempts=self._access.attempts, sleep=self._sleep)

    def _check_200_response(self, response: requests.Response) -> None:
        """oras' check, saying what the registry said."""
        if response.status_code == 404:
            raise SourceError(f"not found: {complaint(response)}", at=shown(response.url))
        if response.status_code not in (200, 201, 202):
            raise RegistryError(complaint(response), at=shown(response.url))

    def _do_paginated_request(
        self,
        url: str,
        callable: Callable[[requests.Response], bool],  # noqa: A002 - oras' name
    ) -> None:
        """oras' loop over pages, ended when a registry leads it in a circle."""
        seen: set[str] = set()

        def once(response: requests.Response) -> bool:
            if response.url in seen or len(seen) >= _PAGES:
                raise RegistryError("its pages go round in a circle", at=shown(response.url))
            seen.add(response.url)
            return callable(response)

        super()._do_paginated_request(url, callable=once)

    def _persist(self, work: Callable[[], requests.Response]) -> requests.Response:
        return retry.persist(work, attempts=self._access.attempts, sleep=self._sleep)

    def _authorised(self, call: Call) -> requests.Response:
        """The answer to `call`, logging in when the registry asks for it."""
        if authority(call.url) != authority(self.origin):
            return self._judged(self._wire.follow(call))
        scopes = _scopes(call, self._repository)
        sent = self._authenticator.header(scopes)
        response = self._wire.follow(call, sent)
        if response.status_code == 401 and authority(response.url) == authority(self.origin):
            asked = response.headers.get("WWW-Authenticate", "")
            self._complete(response, _CEILING)
            renewed = self._authenticator.renew(scopes, refused=sent, header=asked)
            response = self._wire.follow(call, renewed)
        return self._judged(response)

    def _judged(self, response: requests.Response) -> requests.Response:
        if response.status_code in retry.PASSING:
            wait = retry.retry_after(response.headers, cap=self._access.timeouts.longest_wait)
            raise PassingError(f"{shown(response.url)}: {self._said(response)}", wait=wait)
        if response.status_code in (401, 403):
            said = self._said(response)
            if authority(response.url) == authority(self.origin):
                raise self._authenticator.denial(said)
            raise RegistryError(said, at=shown(response.url))
        return response

    def _said(self, response: requests.Response) -> str:
        with contextlib.suppress(CareenError):
            fill(response, ceiling=1 << 16, stall=self._access.timeouts.stall)
        return complaint(response)

    def _complete(self, response: requests.Response, ceiling: int) -> requests.Response:
        fill(response, ceiling=ceiling, stall=self._access.timeouts.stall)
        kind = response.headers.get("Content-Type", "").lower()
        if response.ok and kind.startswith("text/html"):
            raise RegistryError(
                "a web page came back instead of a registry's answer; a proxy or a login page "
                "stands in between",
                at=shown(response.url),
            )
        return response

    def _ask(self, method: str, url: str, headers: Mapping[str, str], form: bytes | None) -> Answer:
        """One request to a token server; a refresh token is not carried along a redirect."""
        call = Call(
            method=method, url=url, headers={"Accept": "application/json", **headers}, body=form
        )
        login = headers.get("Authorization", "")

        def work() -> requests.Response:
            response = self._wire.send(call, url) if form else self._wire.follow(call, login)
            if response.status_code in retry.PASSING:
                wait = retry.retry_after(response.headers, cap=self._access.timeouts.longest_wait)
                raise PassingError(f"token server {shown(url)}: {self._said(response)}", wait=wait)
            return self._complete(response, _CEILING)

        response = self._persist(work)
        return Answer(status=response.status_code, content=response.content or b"")


def connect(
    host: str, repository: str, access: Access, *, sleep: Callable[[float], None] = time.sleep
) -> CareenRegistry:
    """A client that speaks the registry's scheme.

    https, always; http only when the host turns out to speak no TLS and is this machine, or TLS
    verification is off. A certificate that fails is an error, never a reason to speak http.
    """
    secure = CareenRegistry(host, repository, access, sleep=sleep)
    name = urlsplit(secure.origin).hostname or ""
    if access.tls_verify is not False and not is_loopback(name):
        return secure
    if secure.speaks():
        return secure
    secure.close()
    plain = CareenRegistry(host, repository, access, scheme="http", sleep=sleep)
    if plain.speaks():
        return plain
    plain.close()
    raise RegistryError(f"{host} speaks neither https nor http; is it a registry?")


def complaint(response: requests.Response) -> str:
    """What a registry says with an error: its status, and the codes and messages of its body.

    distribution-spec, "Error Codes". The body must have been read.
    """
    said = f"{response.status_code} {response.reason or ''}".strip()
    try:
        listed = strict_json.parse(response.content or b"", ceiling=_CEILING).get("errors")
    except FormatError:
        listed = None
    errors = [item for item in listed if isinstance(item, dict)] if isinstance(listed, list) else []
    words = [f"{item.get('code', '')} {item.get('message', '')}".strip() for item in errors[:3]]
    return "; ".join([said, *(word[:200] for word in words if word)])


def _scopes(call: Call, repository: str) -> Scopes:
    """What a token must allow for `call`: a mount needs to read the other repository as well."""
    if call.method in ("GET", "HEAD"):
        return (f"repository:{repository}:pull",)
    other = parse_qs(urlsplit(call.url).query).get("from", []) if call.method == "POST" else []
    return (f"repository:{repository}:pull,push", *(f"repository:{name}:pull" for name in other))
