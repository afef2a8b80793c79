"""How a registry may be reached: TLS, credentials, patience. One value, handed in by the caller."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

__all__ = ["Access", "Credentials", "Timeouts"]


class Credentials(msgspec.Struct, frozen=True, kw_only=True):
    """A user with a password, or an identity token (an OAuth2 refresh token); never printed.

    `origin` says where they were found, for messages.
    """

    username: str = ""
    password: str = ""
    identity_token: str = ""
    origin: str = ""

    def __repr__(self) -> str:
        return f"Credentials(username={self.username!r}, origin={self.origin!r})"


class Timeouts(msgspec.Struct, frozen=True, kw_only=True):
    """In seconds.

    `connect` is for one connection, TLS included; `stall` is how long a transfer may bring almost
    nothing, and how long an answer's header may take; `commit` is how long a registry may think
    after the last byte of an upload (it hashes, and object stores copy); `helper` is for one run
    of a credential helper; `longest_wait` caps what a Retry-After header may ask for.
    """

    connect: float = 10.0
    stall: float = 60.0
    commit: float = 600.0
    helper: float = 30.0
    longest_wait: float = 60.0


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """`tls_verify` is True, False, or the path of a CA bundle (a file, or a hashed folder).

    `credentials` are the user's explicit ones and go before every file. `environ` is the
    process' environment (proxies, CA bundle, credential files), {} for none of it. `attempts`
    is how often a request that failed for a passing reason is made in all.
    """

    tls_verify: bool | str = True
    allow_http_auth: bool = False
    credentials: Credentials | None = None
    authfile: Path | None = None
    environ: Mapping[str, str] = {}
    offline: bool = False
    timeouts: Timeouts = Timeouts()
    attempts: int = 5

    def __repr__(self) -> str:
        return f"Access(tls_verify={self.tls_verify!r}, offline={self.offline!r})"
