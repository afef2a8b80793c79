"""Who the user is to a registry, from the files that `docker login` and `podman login` write.

containers-auth.json(5) gives the order and the namespaced keys, docker-config-json(5) the rest:

    --authfile, else $REGISTRY_AUTH_FILE       alone, when given
    $DOCKER_AUTH_CONFIG                        the document itself, as GitLab CI sets it
    $XDG_RUNTIME_DIR/containers/auth.json
    $XDG_CONFIG_HOME/containers/auth.json      (~/.config)
    $DOCKER_CONFIG/config.json                 (~/.docker)
    ~/.dockercfg                               the oldest shape: no `auths` around the entries

The first that knows the registry answers. Inside one, a `credHelpers` entry goes before `auths`
(most specific key first), and `credsStore` comes last.

A file that was named and cannot be read is an error. Another one, or a helper that fails, must not
stop an anonymous pull: it is passed over and reported in `problems`, which belong into the
message when the registry then refuses.
"""

from __future__ import annotations

import base64
import binascii
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from careen.errors import FormatError, SourceError, UsageError
from careen.formats import strict_json
from careen.formats.strict_json import Object
from careen.transport.access import Credentials
from careen.transport.endpoint import DOCKER_HUB, api_host

__all__ = ["Found", "find", "parse"]

_CEILING = 1 << 20
_HUB_KEY = "https://index.docker.io/v1/"
_HELPER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_NOT_FOUND = "credentials not found"


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """`credentials` is None for an anonymous user; `problems` are the sources passed over."""

    credentials: Credentials | None = None
    problems: tuple[str, ...] = ()


class _Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where a document of credentials may lie; `text` is set when a variable holds it."""

    origin: str
    path: Path | None = None
    text: str = ""
    bare: bool = False  # the oldest shape: the entries stand at the top


class _UnusableError(Exception):
    """A document, an entry or a helper that cannot be read; its text says which and why."""


def find(
    host: str,
    repository: str,
    *,
    environ: Mapping[str, str],
    authfile: Path | None = None,
    helper_timeout: float = 30.0,
) -> Found:
    """The credentials for `repository` on `host`; SourceError for a named file that is unusable.

    `helper_timeout` is in seconds, for one run of a credential helper.
    """
    named = _named(authfile, environ)
    keys = _keys(host, repository)
    problems: list[str] = []
    for place in [named] if named else _default_places(environ):
        try:
            document = _read(place)
            found = _look_up(document, place.origin, keys, environ, helper_timeout)
        except _UnusableError as problem:
            problems.append(str(problem))
            continue
        if found is not None:
            return Found(credentials=found, problems=tuple(problems))
    return Found(problems=tuple(problems))


def parse(text: str, *, origin: str) -> Credentials:
    """From `USER:PASSWORD`, as the command line takes it; UsageError when it is something else."""
    username, colon, password = text.partition(":")
    if not colon or not username:
        raise UsageError("credentials must be written USER:PASSWORD", at=origin)
    return Credentials(username=username, password=password, origin=origin)


def _named(authfile: Path | None, environ: Mapping[str, str]) -> _Place | None:
    """The file that the user named; it must be there and be readable."""
    path = authfile or Path(environ.get("REGISTRY_AUTH_FILE", ""))
    if path == Path():
        return None
    place = _Place(origin=str(path), path=path)
    try:
        if not path.exists():
            raise SourceError("no such file; log in, or leave it out", at=place.origin)
        _read(place)
    except (OSError, _UnusableError) as error:
        raise SourceError(str(error)) from error
    return place


def _default_places(environ: Mapping[str, str]) -> Iterator[_Place]:
    if environ.get("DOCKER_AUTH_CONFIG"):
        yield _Place(origin="$DOCKER_AUTH_CONFIG", text=environ["DOCKER_AUTH_CONFIG"])
    home = environ.get("HOME", "")
    folders = (
        (environ.get("XDG_RUNTIME_DIR", ""), "containers/auth.json"),
        (environ.get("XDG_CONFIG_HOME") or (home and f"{home}/.config"), "containers/auth.json"),
        (environ.get("DOCKER_CONFIG") or (home and f"{home}/.docker"), "config.json"),
        (home, ".dockercfg"),
    )
    for folder, name in folders:
        if folder:
            path = Path(folder, name)
            yield _Place(origin=str(path), path=path, bare=name == ".dockercfg")


def _read(place: _Place) -> Object:
    """The document, with its entries under `auths`; {} when there is no such file."""
    try:
        raw = place.path.read_bytes() if place.path else place.text.encode(errors="surrogateescape")
        document = strict_json.parse(raw, ceiling=_CEILING)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, FormatError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise _UnusableError(f"{place.origin}: cannot be read: {reason}") from error
    return {"auths": document} if place.bare else document


def _look_up(
    document: Object,
    origin: str,
    keys: tuple[str, ...],
    environ: Mapping[str, str],
    timeout: float,
) -> Credentials | None:
    helper = _entry(_objects(document, "credHelpers", origin), keys)
    if isinstance(helper, str) and helper:
        return _ask_helper(helper, _server(keys), environ, timeout)
    entry = _entry(_objects(document, "auths", origin), keys)
    if entry is not None and (found := _from_entry(entry, origin)):
        return found
    store = document.get("credsStore")
    if isinstance(store, str) and store:
        return _ask_helper(store, _server(keys), environ, timeout)
    return None


def _objects(document: Object, key: str, origin: str) -> Object:
    value = document.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _UnusableError(f"{origin}: {key} is not an object")
    return value


def _keys(host: str, repository: str) -> tuple[str, ...]:
    """What an entry for the repository may be called, most specific first."""
    name = DOCKER_HUB if api_host(host) == api_host(DOCKER_HUB) else host
    parts = [name, *repository.split("/")]
    return tuple("/".join(parts[:length]) for length in range(len(parts), 0, -1))


def _entry(auths: Object, keys: tuple[str, ...]) -> Any:
    """The most specific entry; one spelled exactly goes before one with a scheme or `/v1/`."""
    loose = {_normalised(key): value for key, value in auths.items()}
    for key in keys:
        if key in auths or key in loose:
            return auths.get(key, loose.get(key))
    return None


def _normalised(key: str) -> str:
    """`https://index.docker.io/v1/` → `docker.io`; a key without a scheme may name a namespace."""
    scheme, separator, rest = key.rpartition("://")
    host, _, path = rest.partition("/")
    if separator and scheme in ("http", "https") and path.strip("/") in ("", "v1", "v2"):
        path = ""
    if api_host(host) == api_host(DOCKER_HUB):
        host, path = DOCKER_HUB, "" if path.strip("/") in ("v1", "v2") else path
    return f"{host}/{path}".rstrip("/")


def _from_entry(entry: Any, origin: str) -> Credentials | None:
    if not isinstance(entry, dict) or not all(
        isinstance(entry.get(key, ""), str)
        for key in ("auth", "username", "password", "identitytoken")
    ):
        raise _UnusableError(f"{origin}: an entry of auths is not an object of strings")
    username, password = entry.get("username", ""), entry.get("password", "")
    if entry.get("auth"):
        username, password = _decoded(entry["auth"], origin)
    if entry.get("identitytoken"):
        return Credentials(identity_token=entry["identitytoken"], origin=origin)
    if not username:
        return None
    return Credentials(username=username, password=password, origin=origin)


def _decoded(auth: str, origin: str) -> tuple[str, str]:
    """User and password of an `auth` field: base64 of `USER:PASSWORD`, at times padded by NULs."""
    try:
        username, colon, password = base64.b64decode(auth, validate=True).decode().partition(":")
    except (binascii.Error, ValueError) as error:
        raise _UnusableError(f"{origin}: an auth field is not base64 of USER:PASSWORD") from error
    if not colon:
        raise _UnusableError(f"{origin}: an auth field is not base64 of USER:PASSWORD")
    return username, password.rstrip("\0")


def _server(keys: tuple[str, ...]) -> str:
    """What a credential store calls the registry."""
    return _HUB_KEY if keys[-1] == DOCKER_HUB else keys[-1]


def _ask_helper(
    name: str, server: str, environ: Mapping[str, str], timeout: float
) -> Credentials | None:
    """From `docker-credential-NAME get`; None when it says that it has none for `server`."""
    program = f"docker-credential-{name}"
    if not _HELPER_NAME.fullmatch(name):
        raise _UnusableError(f"{program!r} is not the name of a credential helper")
    try:
        done = subprocess.run(
            [program, "get"],
            input=server.encode(),
            capture_output=True,
            env=dict(environ),
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise _UnusableError(f"{program} gave no answer within {timeout:g} s") from error
    except OSError as error:
        raise _UnusableError(f"{program} cannot be run: {error.strerror}") from error
    if done.returncode != 0:
        said = (done.stdout + done.stderr).decode(errors="replace").strip()
        if _NOT_FOUND in said:
            return None
        raise _UnusableError(f"{program} failed: {said[:200] or f'exit code {done.returncode}'}")
    return _from_helper(done.stdout, program)


def _from_helper(raw: bytes, program: str) -> Credentials:
    try:
        answer = strict_json.parse(raw, ceiling=_CEILING)
    except FormatError as error:
        raise _UnusableError(f"{program} printed no JSON object") from error
    username, secret = answer.get("Username"), answer.get("Secret")
    if not isinstance(username, str) or not isinstance(secret, str) or not secret:
        raise _UnusableError(f"{program} printed no Username and Secret")
    if username == "<token>":  # docker-credential-helpers: the secret is an identity token
        return Credentials(identity_token=secret, origin=program)
    return Credentials(username=username, password=secret, origin=program)
