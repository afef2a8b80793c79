"""What a registry asks for with a 401: the WWW-Authenticate header (RFC 9110, section 11.6.1)."""

from __future__ import annotations

import re

import msgspec

__all__ = ["Challenge", "choose", "parse"]

_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PART = re.compile(rf'[\s,]*({_WORD})(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*)))?')


class Challenge(msgspec.Struct, frozen=True, kw_only=True):
    """`scheme` is lower case (`bearer`, `basic`); keys of `parameters` are lower case too."""

    scheme: str
    parameters: dict[str, str] = {}


def parse(header: str) -> tuple[Challenge, ...]:
    """The challenges of a header (several headers joined by commas); what is malformed ends it."""
    found: list[tuple[str, dict[str, str]]] = []
    position = 0
    while match := _PART.match(header, position):
        position = match.end()
        name, quoted, bare = match.groups()
        if quoted is None and bare is None:
            found.append((name.lower(), {}))
        elif found:
            value = bare if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
            found[-1][1].setdefault(name.lower(), value)
    return tuple(Challenge(scheme=scheme, parameters=values) for scheme, values in found)


def choose(header: str) -> Challenge | None:
    """The challenge to answer: a bearer one that names its realm, else a basic one, else None."""
    challenges = parse(header)
    for challenge in challenges:
        if challenge.scheme == "bearer" and challenge.parameters.get("realm"):
            return challenge
    return next((challenge for challenge in challenges if challenge.scheme == "basic"), None)
