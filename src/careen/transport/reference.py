"""References: where an image is, as containers/image writes it (containers-transports(5)).

    docker://HOST[:PORT]/REPO[:TAG][@DIGEST]   a registry; `docker://` may be left out
    oci:DIR[:REF]                              an OCI layout in a folder; also `oci-dir:`
    oci-archive:FILE[:REF]                     an OCI layout in a tar
    docker-archive:FILE[:NAME:TAG|:@INDEX]     what `docker save` writes

A text is a transport or a registry, never a daemon's image. A file's name ends at the first
colon. Names are checked here, before they can become part of a URL or a path.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Literal

import msgspec

from careen.errors import FormatError, UsageError
from careen.formats import digest as digests
from careen.formats.digest import Digest
from careen.transport.endpoint import (
    DOCKER_HUB,
    api_host,
    check_repository,
    check_tag,
    full_name,
)

__all__ = ["Reference", "Transport", "debug_tag", "own_tag", "parse", "qualified", "with_tag"]

Transport = Literal["docker", "oci", "oci-archive", "docker-archive"]

_NAME_LENGTH = 255  # host and repository together; distribution-spec, "Pulling manifests"
_DEBUG = "-debug"

# distribution/reference, its grammar: domain-component, IPv6address, port-number
_LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_HOST = re.compile(
    rf"(?:{_LABEL}(?:\.{_LABEL})*|\[(?P<v6>[0-9A-Fa-f:]+)\])(?::(?P<port>[0-9]{{1,5}}))?"
)
_IMAGE_ID = re.compile("[0-9a-f]{64}")
_POSITION = re.compile("@[0-9]{1,6}")
# image-spec, annotations.md: the grammar of org.opencontainers.image.ref.name
_PART = "[A-Za-z0-9]+(?:(?:--|[-._:@+])[A-Za-z0-9]+)*"
_REF = re.compile(f"{_PART}(?:/{_PART})*")

_FILES: dict[str, Transport] = {
    "oci": "oci",
    "oci-dir": "oci",
    "oci-archive": "oci-archive",
    "docker-archive": "docker-archive",
}
_COPY = "not read; write it as a layout first, with `skopeo copy {0}:… oci:DIR`, then name oci:DIR"
_ELSEWHERE = {
    "docker-daemon": "careen uses no daemon; write docker-archive:FILE after `docker save -o FILE`",
    "containers-storage": "careen uses no engine; write oci-archive:FILE after "
    "`podman save --format oci-archive -o FILE`",
    **{name: _COPY.format(name) for name in ("dir", "ostree", "sif", "tarball")},
}


class Reference(msgspec.Struct, frozen=True, kw_only=True):
    """`host`, `repository`, `tag` and `digest` are a registry's; `path` and `ref` a file's.

    Names on Docker Hub are written out: `docker.io/library/redis`. At least one of `tag` and
    `digest` is there; with both, the digest says which image and the tag what it is called. A
    docker-archive's `ref` is `qualified`, or `@0` for its first image. `str()` gives a text that
    means the same.
    """

    transport: Transport
    host: str = ""
    repository: str = ""
    tag: str | None = None
    digest: Digest | None = None
    path: str = ""
    ref: str | None = None

    def __str__(self) -> str:
        if self.transport != "docker":
            return f"{self.transport}:{self.path}{_after(':', self.ref)}"
        name = f"{self.host}/{self.repository}"
        return f"docker://{name}{_after(':', self.tag)}{_after('@', self.digest)}"


def parse(text: str) -> Reference:
    """The reference that `text` spells; UsageError that says what to write instead."""
    scheme, colon, rest = text.partition(":")
    try:
        if colon and scheme in _FILES:
            return _file(_FILES[scheme], rest)
        if colon and scheme in _ELSEWHERE:
            raise UsageError(_ELSEWHERE[scheme])
        if not text.startswith("docker://"):
            _check_bare(text)
        return _registry(text.removeprefix("docker://"))
    except (FormatError, UsageError) as error:
        raise UsageError(error.message, at=repr(text[:200])) from error


def qualified(text: str) -> str:
    """`redis` → `docker.io/library/redis:latest`, as a docker-archive's names are compared.

    UsageError when it is no name, or one with a digest.
    """
    named = _registry(text)
    if named.digest is not None:
        raise UsageError(f"a docker-archive names images by tag, not by digest: {text[:200]!r}")
    return str(named).removeprefix("docker://")


def with_tag(reference: Reference, tag: str) -> Reference:
    """The same place under another tag, or REF; what a digest said is forgotten."""
    replace = msgspec.structs.replace
    if reference.transport == "docker":
        return replace(reference, tag=check_tag(tag), digest=None)
    if reference.transport == "docker-archive":
        if reference.ref is None or _POSITION.fullmatch(reference.ref):
            place = f"docker-archive:{reference.path}"
            raise UsageError(f"no name to put the tag {tag!r} to; write {place}:NAME:TAG")
        name, _ = _name_and_tag(reference.ref)
        return replace(reference, ref=f"{name}:{check_tag(tag)}")
    return replace(reference, ref=_check_ref(tag))


def own_tag(reference: Reference) -> str | None:
    """What `with_tag` would replace: the tag, or the REF of a layout."""
    if reference.transport == "docker":
        return reference.tag
    if reference.ref is None or reference.transport != "docker-archive":
        return reference.ref
    _, tag = _name_and_tag(reference.ref)
    return tag


def debug_tag(reference: Reference) -> str:
    """The tag, or REF, of the debug counterpart; UsageError when it cannot be derived."""
    tag = own_tag(reference)
    if tag is None:
        problem = "no tag to name the debug counterpart after; add --debug-tag TAG or --no-debug"
        raise UsageError(problem, at=str(reference))
    if reference.transport != "oci" and len(tag + _DEBUG) > 128:
        problem = f"tag too long to add {_DEBUG} to; add --debug-tag TAG or --no-debug"
        raise UsageError(problem, at=str(reference))
    return tag + _DEBUG


def _file(transport: Transport, rest: str) -> Reference:
    path, colon, ref = rest.partition(":")
    if rest.startswith("//"):
        raise UsageError(f"{transport}: names a file or folder; write docker:{rest} for a registry")
    if not path or "\0" in path:
        raise UsageError(f"no file name; write {transport}:PATH or {transport}:PATH:REF")
    if not colon:
        return Reference(transport=transport, path=path)
    if transport != "docker-archive":
        ref = _check_ref(ref)
    elif not _POSITION.fullmatch(ref):
        ref = qualified(ref)
    return Reference(transport=transport, path=path, ref=ref)


def _check_ref(ref: str) -> str:
    if not _REF.fullmatch(ref):
        raise UsageError(
            f"not a REF: {ref[:200]!r}; use letters and digits, with single . _ - : @ + / between"
        )
    return ref


def _check_bare(text: str) -> None:
    """What stands without a transport is a registry, unless it plainly means something else."""
    scheme, separator, rest = text.partition("://")
    if separator:
        raise UsageError(f"no such transport: {scheme[:40]!r}; write docker://{rest[:200]}")
    if text.startswith("docker:"):
        raise UsageError(
            f"write docker://{text[7:][:200]}, or docker://{text[:200]} for that image"
        )
    if text.startswith((".", "/", "~")) or text.endswith((".tar", ".tar.gz", ".tgz")):
        raise UsageError("for a file write oci:DIR, oci-archive:FILE or docker-archive:FILE")


def _registry(text: str) -> Reference:
    name, at, digest = text.partition("@")
    name, tag = _name_and_tag(name)
    if _IMAGE_ID.fullmatch(text):
        raise UsageError("an image id, not a name; write HOST/REPO@sha256:… for a digest")
    host, repository = _host_and_repository(name)
    if tag is not None:
        check_tag(tag)
    return Reference(
        transport="docker",
        host=host,
        repository=repository,
        tag="latest" if tag is None and not at else tag,
        digest=digests.parse(digest) if at else None,
    )


def _name_and_tag(text: str) -> tuple[str, str | None]:
    """A colon after the last slash begins the tag; one before it, a port."""
    head, slash, last = text.rpartition("/")
    last, colon, tag = last.partition(":")
    return f"{head}{slash}{last}", tag if colon else None


def _host_and_repository(name: str) -> tuple[str, str]:
    """As distribution/reference splits: without a `.`, a `:` or localhost it is Docker Hub's."""
    first, slash, rest = name.partition("/")
    if not slash or not (first == "localhost" or "." in first or ":" in first):
        first, rest = DOCKER_HUB, name
    elif api_host(first) == api_host(DOCKER_HUB):
        first = DOCKER_HUB
    repository = full_name(first, check_repository(rest))
    if len(f"{first}/{repository}") > _NAME_LENGTH:
        raise UsageError(f"a name of more than {_NAME_LENGTH} characters")
    return _check_host(first), repository


def _check_host(host: str) -> str:
    match = _HOST.fullmatch(host)
    if match is None or (match["port"] and not 0 < int(match["port"]) < 65536):
        raise UsageError(f"not a registry host: {host[:200]!r}; write HOST or HOST:PORT")
    if match["v6"]:
        try:
            ipaddress.IPv6Address(match["v6"])
        except ValueError as error:
            raise UsageError(f"not an IPv6 address: {host[:200]!r}") from error
    return host


def _after(separator: str, text: str | None) -> str:
    return "" if text is None else f"{separator}{text}"
