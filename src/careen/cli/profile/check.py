"""`careen profile check`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from careen.cli import options
from careen.cli.profile.arguments import Profile

if TYPE_CHECKING:
    from careen.staleness import Limits

__all__ = ["EXAMPLE", "check"]

EXAMPLE = """
careen profile check app.careen.yaml docker://registry.example/app:1.5
careen profile check app.careen.yaml oci:build/app --max-age 90 --revision "$CI_COMMIT_SHA"
"""

_PANEL = "What is stale"
_CENTURY = 36_500  # days


class Freshness(msgspec.Struct, frozen=True, kw_only=True):
    """How far a profile may have fallen behind."""

    max_gone: Annotated[
        float,
        typer.Option(
            "--max-gone", metavar="PERCENT", rich_help_panel=_PANEL,
            help="Of a scenario's paths that may be gone for good; one that is there under "
            "another version's name is not. [default: 5]",
        ),
    ] = 5.0  # fmt: skip
    max_age: Annotated[
        int | None,
        typer.Option(
            "--max-age", metavar="DAYS", rich_help_panel=_PANEL,
            help="Since a scenario was recorded. [default: any]",
        ),
    ] = None  # fmt: skip
    revision: Annotated[
        str,
        typer.Option(
            "--revision", metavar="TEXT", rich_help_panel=_PANEL,
            help="The application's version now; a scenario of another is stale.",
        ),
    ] = ""  # fmt: skip
    require_fresh: Annotated[
        bool,
        typer.Option(
            "--require-fresh", rich_help_panel=_PANEL,
            help="A scenario that was recorded on another digest is stale too.",
        ),
    ] = False  # fmt: skip


def check(
    name: Profile,
    image: options.Image,
    freshness: Freshness,
    registry: options.SourceRegistry,
    common: options.Common,
) -> int:
    """Say how far a profile has fallen behind an image.

    Stale is one whose paths or programs are gone, that ran what the image does not start,
    or that is of another platform, revision or age than asked: record it again. Upgraded
    packages and another digest are told, and are no reason by themselves. The exit code
    is 3 when it is stale.
    """
    from careen import staleness, workflow
    from careen.cli import console, images
    from careen.cli.choice import chosen
    from careen.cli.profile import report
    from careen.cli.settings import load_profiles, settings
    from careen.errors import GateError
    from careen.finding import errors

    as_json = chosen("--format", common.format, ("table", "json")) == "json"
    limits = _limits(freshness)
    profile = load_profiles([name])
    source = images.named(image)
    how = settings(common, registry, source)
    with workflow.opened(source, how) as opened:
        found = staleness.check(profile, opened.scene(), opened.bound, limits)
    if as_json:
        console.print_json(report.check_json(name, str(source), found))
    else:
        parts = report.check_table(name, str(source), found, every=common.verbose)
        console.print_table(*parts, color=common.color)
    return GateError.exit_code if errors(found.findings) else 0


def _limits(freshness: Freshness) -> Limits:
    from datetime import UTC, datetime

    from careen.errors import UsageError
    from careen.staleness import Limits

    if not 0 <= freshness.max_gone <= 100:
        raise UsageError(f"0 to 100, not {freshness.max_gone:g}", at="--max-gone")
    if freshness.max_age is not None and not 0 <= freshness.max_age <= _CENTURY:
        raise UsageError(f"0 to {_CENTURY} days, not {freshness.max_age}", at="--max-age")
    return Limits(
        max_gone=freshness.max_gone,
        max_age=freshness.max_age,
        now=datetime.now(UTC),
        revision=freshness.revision,
        same_image=freshness.require_fresh,
    )
