"""What may stand in a registry URL, and which URL may be asked: names, hosts, schemes.

distribution-spec, "Pulling manifests", gives the grammar of repository names and tags. Names are
checked before they become part of a URL, so that `..`, `?` and `#` never reach one. URLs that a
registry names (redirects, upload locations, token realms) are checked before they are asked.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from urllib.parse import SplitResult, urlsplit

from careen.errors import RegistryError, UsageError
from careen.formats import digest as digests

__all__ = [
    "DOCKER_HUB",
    "api_host",
    "authority",
    "check_host",
    "check_reference",
    "check_repository",
    "check_tag",
    "check_url",
    "full_name",
    "is_loopback",
    "shown",
]

DOCKER_HUB = "docker.io"
_HUB_NAMES = (DOCKER_HUB, "index.docker.io", "registry-1.docker.io")
_HUB_API = "registry-1.docker.io"

_HOST = re.compile(r"([A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?")
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_PART}(?:/{_PART})*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")


def api_host(host: str) -> str:
    """Where the API of a registry is served: Docker Hub's is not at docker.io."""
    return _HUB_API if host in _HUB_NAMES else host


def full_name(host: str, repository: str) -> str:
    """The repository's name in the API: Docker Hub keeps names of one part under `library/`."""
    is_hub = api_host(host) == _HUB_API
    return f"library/{repository}" if is_hub and "/" not in repository else repository


def check_host(host: str) -> str:
    """`host` itself, `NAME[:PORT]`; UsageError when it is something else."""
    if not _HOST.fullmatch(host):
        raise UsageError(f"not a registry host: {host!r}; write HOST or HOST:PORT")
    return host


def check_repository(name: str) -> str:
    """`name` itself; UsageError when it is no repository name of the distribution-spec."""
    if len(name) > 255 or not _REPOSITORY.fullmatch(name):
        raise UsageError(
            f"not a repository name: {name[:100]!r}; use lower-case letters, digits and . _ - /"
        )
    return name


def check_tag(tag: str) -> str:
    """`tag` itself; UsageError when it is no tag of the distribution-spec."""
    if not _TAG.fullmatch(tag):
        raise UsageError(
            f"not a tag: {tag[:150]!r}; use up to 128 letters, digits and . _ - (first: no . or -)"
        )
    return tag


def check_reference(reference: str) -> str:
    """`reference` itself, a tag or a digest; UsageError or FormatError when it is neither."""
    return digests.parse(reference) if ":" in reference else check_tag(reference)


def authority(url: str) -> tuple[str, str, int]:
    """Scheme, host and port of `url`: what must be equal for credentials to go along."""
    parts = urlsplit(url)
    default = 443 if parts.scheme == "https" else 80
    return parts.scheme, (parts.hostname or "").lower(), parts.port or default


def is_loopback(host: str) -> bool:
    """Whether `host` (without a port) is this machine by its spelling; nothing is resolved."""
    address = _address(host)
    if address is not None:
        return address.is_loopback
    return host == "localhost" or host.endswith(".localhost")


def check_url(url: str, *, origin: str, insecure: bool, what: str) -> None:
    """RegistryError unless `url`, which the registry at URL `origin` named, may be asked.

    https is, except at addresses that only this machine can see: a remote registry could reach
    a cloud's metadata service or a local daemon through us. http is only for what began with
    http: a loopback registry that names loopback again, or (`insecure`) any host.
    """
    parts = _split(url, what)
    start = urlsplit(origin)
    host = (parts.hostname or "").lower()
    local = is_loopback(start.hostname or "")
    if authority(url) == authority(origin):
        return
    if _is_private_to_machine(host) and not (local and is_loopback(host)):
        raise RegistryError(f"{what} names {shown(url)}, an address of this machine or its cloud")
    if parts.scheme == "http" and start.scheme == "https":
        raise RegistryError(f"{what} leaves https for {shown(url)}; refused")
    if parts.scheme == "http" and not (local and is_loopback(host)) and not insecure:
        raise RegistryError(f"{what} names {shown(url)}, which is not https; refused")


def shown(url: str) -> str:
    """`url` for a message: without query (upload states and signatures are secrets) or user."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"[:200]


def _split(url: str, what: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        port_is_a_number = parts.port is None or parts.port > 0
    except ValueError as error:
        raise RegistryError(f"{what} is not a URL: {url[:100]!r}") from error
    if parts.scheme not in ("http", "https") or not parts.hostname or not port_is_a_number:
        raise RegistryError(f"{what} is not an http or https URL: {url[:100]!r}")
    if "@" in parts.netloc:
        raise RegistryError(f"{what} carries a user name: {shown(url)}; refused")
    return parts


def _is_private_to_machine(host: str) -> bool:
    address = _address(host)
    if address is None:
        return is_loopback(host) or host == "metadata.google.internal"
    fixed = ("fd00:ec2::254", "100.100.100.200", "192.0.0.192")  # AWS, Alibaba, Oracle metadata
    return (
        address.is_loopback
        or address.is_link_local
        or address.is_unspecified
        or address.is_multicast
        or str(address) in fixed
    )


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address that `host` spells, in any spelling that the C library takes (0x7f.1)."""
    try:
        found = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        try:
            return ipaddress.IPv4Address(socket.inet_aton(host))
        except (OSError, UnicodeEncodeError, ValueError):
            return None
    mapped = getattr(found, "ipv4_mapped", None)
    return mapped or found
