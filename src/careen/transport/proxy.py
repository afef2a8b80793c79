"""Which proxy stands before a URL: HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY, in
either case, from the environment that the caller hands in."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit

from careen.transport.endpoint import is_loopback

__all__ = ["select"]


def select(url: str, environ: Mapping[str, str]) -> str:
    """The URL of the proxy for `url`, "" for none. This machine is never asked through one."""
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    if is_loopback(host) or _is_excepted(host, parts.port, _variable(environ, "no_proxy")):
        return ""
    named = _variable(environ, f"{parts.scheme}_proxy") or _variable(environ, "all_proxy")
    return named if not named or "://" in named else f"http://{named}"


def _variable(environ: Mapping[str, str], name: str) -> str:
    return environ.get(name) or environ.get(name.upper()) or ""


def _is_excepted(host: str, port: int | None, exceptions: str) -> bool:
    for entry in exceptions.replace(",", " ").lower().split():
        name, _, only_port = entry.partition(":") if entry.count(":") == 1 else (entry, "", "")
        if only_port and only_port != str(port):
            continue
        bare = name.removeprefix("*").lstrip(".")
        if name == "*" or host == bare or host.endswith(f".{bare}") or _is_in_network(host, name):
            return True
    return False


def _is_in_network(host: str, network: str) -> bool:
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False
