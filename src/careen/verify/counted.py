"""One finding for many paths."""

from __future__ import annotations

from collections.abc import Sequence

from careen.finding import Finding, Severity, some
from careen.rootfs.path import Path, absolute

__all__ = ["counted"]


def counted(rule: str, severity: Severity, paths: Sequence[Path], message: str) -> Finding:
    """`paths`, of which there is one at least; the first few of them end the message."""
    named = tuple(map(absolute, paths))
    return Finding(
        rule=rule,
        severity=severity,
        path=named[0],
        message=f"{message}: {some(named, most=3)}",
        count=len(named),
        paths=named,
    )
