"""Authorization for one repository: Basic, or a bearer token for a scope, kept while it lives.

distribution/docs/spec/auth/token.md (a GET with Basic, or anonymous) and oauth.md (a POST with a
refresh token). Tokens are kept by scope: a token for pulling is not one for pushing, nor one
for another repository. Credentials go to the registry itself and to the realm that it names,
never in the clear to another machine unless the user said so.
"""

from __future__ import annotations

import base64
import re
import threading
import time
from collections.abc import Callable, Mapping
from urllib.parse import urlencode, urlsplit

import msgspec

from careen.errors import FormatError, RegistryError
from careen.formats import strict_json
from careen.formats.strict_json import Object
from careen.transport import challenge as challenges
from careen.transport import credentials as files
from careen.transport.access import Access, Credentials
from careen.transport.challenge import Challenge
from careen.transport.credentials import Found
from careen.transport.endpoint import check_url, is_loopback

__all__ = ["AccessDeniedError", "Answer", "Authenticator", "Scopes"]

Scopes = tuple[str, ...]

_CEILING = 1 << 20
_SHORTEST_LIFE = 60.0  # token.md: a client shall take 60 s when `expires_in` is missing
_BEARER = re.compile(r"[\x21-\x7e]+")


class AccessDeniedError(RegistryError):
    """The registry, or its token server, says no to this user."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a token server said."""

    status: int
    content: bytes


# Method, URL, headers and form of one request to a token server → its answer.
Ask = Callable[[str, str, Mapping[str, str], bytes | None], Answer]


class _Token(msgspec.Struct, frozen=True, kw_only=True):
    value: str
    expires: float  # on the monotonic clock


class Authenticator:
    """Answers the challenges of the registry at URL `origin` for one repository; thread-safe."""

    def __init__(
        self,
        origin: str,
        *,
        host: str,
        repository: str,
        access: Access,
        ask: Ask,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._origin = origin
        self._host = host
        self._repository = repository
        self._access = access
        self._ask = ask
        self._clock = clock
        self._lock = threading.Lock()
        self._challenge: Challenge | None = None
        self._tokens: dict[Scopes, _Token] = {}
        self._found: Found | None = None

    def header(self, scopes: Scopes) -> str:
        """The Authorization to send unasked, "" while the registry has not asked for one."""
        with self._lock:
            if self._challenge is None:
                return ""
            return self._authorization(scopes)

    def renew(self, scopes: Scopes, *, refused: str, header: str) -> str:
        """The Authorization that answers a 401 with WWW-Authenticate `header`.

        `refused` is what was sent ("" for nothing); AccessDeniedError when there is no better.
        """
        with self._lock:
            chosen = challenges.choose(header)
            if chosen is None:
                raise AccessDeniedError(f"{self._host} refuses access and names no way to log in")
            self._challenge = chosen
            token = self._tokens.get(scopes)
            if token is not None and f"Bearer {token.value}" == refused:
                del self._tokens[scopes]
            renewed = self._authorization(scopes)
            if renewed == refused:
                raise self.denial()
            return renewed

    def denial(self, detail: str = "") -> AccessDeniedError:
        """The error for a user whom the registry turned away; `detail` is in its own words."""
        found = self._found or Found()
        said = f": {detail}" if detail else ""
        passed_over = "".join(f"; passed over: {problem}" for problem in found.problems)
        what = f"{self._host} denies access to {self._repository}"
        if found.credentials is None:
            advice = "log in with `docker login` or `podman login`, or name an auth file"
            return AccessDeniedError(
                f"{what}{said}; no credentials were sent: {advice}{passed_over}"
            )
        who = found.credentials.username or "an identity token"
        origin = f" from {found.credentials.origin}" if found.credentials.origin else ""
        return AccessDeniedError(f"{what}{said}; logged in as {who}{origin}{passed_over}")

    def _authorization(self, scopes: Scopes) -> str:
        assert self._challenge is not None  # noqa: S101 - for the type checker; both callers know
        if self._challenge.scheme == "basic":
            known = self._credentials()
            if known is None or not known.username:
                raise self.denial()
            return _basic(known)
        token = self._tokens.get(scopes)
        if token is None or token.expires <= self._clock():
            token = self._tokens[scopes] = self._fetch(self._challenge.parameters, scopes)
        return f"Bearer {token.value}"

    def _credentials(self) -> Credentials | None:
        """The user's, looked up once; refused when they would travel in the clear."""
        if self._found is None:
            self._found = self._find()
        clear = urlsplit(self._origin)
        in_the_clear = clear.scheme == "http" and not is_loopback(clear.hostname or "")
        if self._found.credentials and in_the_clear and not self._access.allow_http_auth:
            raise RegistryError(
                f"{self._host} speaks http and asks for a login; credentials are not sent in the "
                "clear (--allow-http-auth sends them)"
            )
        return self._found.credentials

    def _find(self) -> Found:
        if self._access.credentials is not None:
            return Found(credentials=self._access.credentials)
        return files.find(
            self._host,
            self._repository,
            environ=self._access.environ,
            authfile=self._access.authfile,
            helper_timeout=self._access.timeouts.helper,
        )

    def _fetch(self, parameters: Mapping[str, str], scopes: Scopes) -> _Token:
        """A token for `scopes`, and for what else the challenge asks (token.md)."""
        realm = parameters["realm"]
        check_url(
            realm,
            origin=self._origin,
            insecure=self._access.allow_http_auth,
            what=f"the token realm of {self._host}",
        )
        own = {scope.rpartition(":")[0] for scope in scopes}
        asked = [
            scope
            for scope in parameters.get("scope", "").split()
            if scope.rpartition(":")[0] not in own
        ]
        fields = [("client_id", "careen"), ("service", parameters.get("service", ""))]
        scope_fields = [("scope", scope) for scope in (*scopes, *asked)]
        known = self._credentials()
        if known is not None and known.identity_token:
            answer = self._refresh(realm, known, fields, " ".join((*scopes, *asked)))
        else:
            headers = {} if known is None else {"Authorization": _basic(known)}
            joint = "&" if urlsplit(realm).query else "?"
            query = urlencode([field for field in fields + scope_fields if field[1]])
            answer = self._ask("GET", f"{realm}{joint}{query}", headers, None)
        return self._token(answer)

    def _refresh(
        self, realm: str, known: Credentials, fields: list[tuple[str, str]], scope: str
    ) -> Answer:
        grant = [("grant_type", "refresh_token"), ("refresh_token", known.identity_token)]
        form = urlencode([*grant, *fields, ("scope", scope)]).encode()
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return self._ask("POST", realm, headers, form)

    def _token(self, answer: Answer) -> _Token:
        if answer.status in (400, 401, 403):
            raise self.denial(f"its token server says {answer.status}")
        where = f"token server of {self._host}"
        if answer.status != 200:
            raise RegistryError(f"answered {answer.status}", at=where)
        try:
            document = strict_json.parse(answer.content, ceiling=_CEILING)
        except FormatError as error:
            raise RegistryError(f"its answer is {error}", at=where) from error
        value = document.get("token") or document.get("access_token")
        if not isinstance(value, str) or not _BEARER.fullmatch(value):
            raise RegistryError("its answer holds no token", at=where)
        return _Token(value=value, expires=self._clock() + _life(document))


def _basic(credentials: Credentials) -> str:
    pair = f"{credentials.username}:{credentials.password}".encode()
    return f"Basic {base64.b64encode(pair).decode()}"


def _life(document: Object) -> float:
    """Seconds to keep a token: a tenth less than it lives, so that none expires on its way."""
    seconds = document.get("expires_in")
    if not isinstance(seconds, int | float) or isinstance(seconds, bool) or seconds <= 0:
        seconds = _SHORTEST_LIFE
    return 0.9 * float(seconds)
