"""Patterns over package names and image paths, for `keep`, `drop` and their options.

A pattern that starts with `/` is about paths, any other about package names.

    *      any characters of one component        ?     one character
    **     as a whole component: any number of components, also none; at the end, at least one
    [a-z]  one character of the set               [!a]  one that is not in it

A pattern that matches a directory covers everything below it. `*` and `?` match a leading dot.
There is no escape: `[*]` is a star. No pattern makes matching slow (its length times the path's is
the bound): each piece is matched at its first place, in an atomic group, and never reconsidered.
That loses no match, since a later place leaves only less for the pieces that follow.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from careen.errors import FormatError
from careen.rootfs.path import Path, normal

__all__ = ["Glob", "parse"]

_END = r"(?=/|\Z)"  # the end of a component
_TOKEN = re.compile(
    r"\*|\?|\[(?P<not>[!^]?+)(?P<set>\]?+[^\]]*+)\]|(?P<open>\[)|[^*?\[]+", re.DOTALL
)


class Glob(msgspec.Struct, frozen=True, kw_only=True):
    """`text` is the pattern as written, `expression` matches from the start of a name or path."""

    text: str
    expression: re.Pattern[str]

    @property
    def is_path(self) -> bool:
        """Whether it is about paths; else about package names."""
        return self.text.startswith("/")

    def covers(self, path: Path) -> bool:
        """Whether it matches `path` or a directory above it; a package pattern never does."""
        return self.is_path and self.expression.match(path) is not None

    def names(self, package: str) -> bool:
        """Whether it matches the whole package name; a path pattern never does."""
        return not self.is_path and self.expression.match(package) is not None


def parse(text: str) -> Glob:
    """The pattern that `text` spells; FormatError that says how to write it otherwise."""
    if not text or "\0" in text:
        raise FormatError(f"not a pattern: {text[:100]!r}")
    if not text.startswith("/"):
        if "/" in text:
            raise FormatError(f"a path pattern starts with '/': {text[:100]!r}")
        return Glob(text=text, expression=re.compile(_component(text) + r"\Z"))
    plain = "/" + normal(text)
    if text != plain:
        raise FormatError(f"not a plain path: {text[:100]!r}; write {plain[:100]!r}")
    return Glob(text=text, expression=re.compile(_path(text[1:].split("/") if text[1:] else [])))


def _path(components: list[str]) -> str:
    """The expression for a path that the components match, or that lies below such a one."""
    first, *others = list(_runs(components))
    if not others:
        return first + _END if first else ""
    expression = f"{first}/" if first else ""
    for run in filter(None, others[:-1]):
        expression += f"(?>(?:[^/]+/)*?{run}/)"
    last = others[-1]
    return expression + (f"(?>(?:[^/]+/)*?{last}{_END})" if last else "[^/]")


def _runs(components: list[str]) -> Iterator[str]:
    """One expression for each run of components between two `**`, "" for an empty run."""
    run: list[str] = []
    for component in components:
        if component == "**":
            yield "/".join(run)
            run = []
        else:
            run.append(_component(component))
    yield "/".join(run)


def _component(text: str) -> str:
    """The expression for one component: the last piece stands at its end, the others anywhere."""
    first, *others = _pieces(text)
    if not others:
        return first
    start = first or "(?=[^/])"  # a component is never empty
    middle = "".join(f"(?>[^/]*?{piece})" for piece in others[:-1] if piece)
    return start + middle + (f"(?>[^/]*?{others[-1]}{_END})" if others[-1] else "[^/]*+")


def _pieces(text: str) -> list[str]:
    """The expressions between the stars, each of a fixed width."""
    if "**" in text:
        raise FormatError(f"'**' must stand alone between slashes: {text[:100]!r}")
    pieces = [""]
    for token in _TOKEN.finditer(text):
        if token["open"]:
            raise FormatError(f"'[' is never closed: {text[:100]!r}; a bracket itself is '[[]'")
        if token[0] == "*":
            pieces.append("")
        elif token[0] == "?":
            pieces[-1] += "[^/]"
        elif token["set"] is not None:
            pieces[-1] += _set(token["set"], negated=bool(token["not"]), text=text)
        else:
            pieces[-1] += re.escape(token[0])
    return pieces


def _set(members: str, *, negated: bool, text: str) -> str:
    """`a-z0` → `(?!/)[a-z0]`, every member escaped."""
    found, at = "", 0
    while at < len(members):
        first, last = members[at], members[at]
        if members[at + 1 : at + 2] == "-" and at + 2 < len(members):
            last = members[at + 2]
            at += 2
        at += 1
        if last < first:
            raise FormatError(f"range {first}-{last} runs backwards: {text[:100]!r}")
        found += f"{re.escape(first)}-{re.escape(last)}"
    return f"(?!/)[{'^' if negated else ''}{found}]"
