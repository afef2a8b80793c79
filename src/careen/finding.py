"""A finding: what a check of an image has to say, as a value. Errors stop a push, notes do not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

__all__ = ["Finding", "Severity", "errors", "some"]

Severity = Literal["error", "warning", "note"]


class Finding(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`rule` is a stable name (`dangling-link`); `path` is absolute, or "" for the whole image.

    `count` says how many things it stands for; where those are paths, `paths` are all of them, and
    `path` is the first.
    """

    rule: str
    severity: Severity
    path: str = ""
    message: str
    count: int = 1
    paths: tuple[str, ...] = ()


def errors(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """Those that stop the push."""
    return tuple(finding for finding in findings if finding.severity == "error")


def some(names: Sequence[str], most: int = 5) -> str:
    """`a, b and 7 more`: enough of a list to know what it is about."""
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")
