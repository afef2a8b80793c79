"""Telling what squash or harden did, and the exit code that follows from it."""

from __future__ import annotations

from careen.cli import console, files, report
from careen.cli.options import Common
from careen.errors import GateError
from careen.finding import errors
from careen.workflow import Outcome

__all__ = ["tell"]


def tell(outcome: Outcome, digest_file: str | None, common: Common, *, as_json: bool) -> int:
    """Print the result and write the digest file; 3 when verification found an error."""
    if digest_file is not None and outcome.image is not None:
        files.write(digest_file, outcome.image.digest.encode("ascii"))
    if as_json:
        console.print_json(report.outcome_json(outcome))
    else:
        parts = report.outcome_table(outcome, every=common.verbose)
        console.print_table(*parts, color=common.color)
    return GateError.exit_code if errors(outcome.findings) else 0
