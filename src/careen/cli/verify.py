"""`careen verify`."""

from __future__ import annotations

from typing import Annotated

import msgspec
import typer

from careen.cli import options

__all__ = ["EXAMPLE", "verify"]

EXAMPLE = """
careen verify docker://registry.example/app:1.4-hardened
careen verify oci:build/hard:1 --source oci:build/app:1 --plan plan.json
"""

_PANEL = "What to compare with"


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """What the image is compared with."""

    source: Annotated[
        str | None,
        typer.Option(
            "--source", metavar="SRC", rich_help_panel=_PANEL, help="The image it was made of."
        ),
    ] = None
    plan: Annotated[
        str | None,
        typer.Option(
            "--plan", metavar="FILE", rich_help_panel=_PANEL,
            help="What may be gone from SRC: a plan. Without one, nothing.",
        ),
    ] = None  # fmt: skip


def verify(
    image: options.Image,
    against: Comparison,
    registry: options.SourceRegistry,
    common: options.Common,
) -> int:
    """Read an image again and list what is wrong with it.

    Checks digests, programs, links and the package database, from the image's bytes;
    with --source, that nothing is gone or changed but what the plan says. The exit
    code is 3 when there is an error. docs/findings.md explains each finding.
    """
    from careen import workflow
    from careen.cli import console, images, report
    from careen.cli.choice import chosen
    from careen.cli.settings import load_plan, one_login, settings
    from careen.errors import GateError, UsageError
    from careen.finding import errors

    as_json = chosen("--format", common.format, ("table", "json")) == "json"
    if against.plan is not None and against.source is None:
        raise UsageError("needs --source: what the plan was drawn for", at="--plan")
    read = images.named(image)
    origin = None if against.source is None else images.named(against.source)
    one_login(registry, read, origin)
    how = settings(common, registry, read)
    drawn = None if against.plan is None else load_plan(against.plan)
    found = workflow.verify(read, how, source=origin, plan=drawn)
    if as_json:
        console.print_json(report.findings_json(str(read), found))
    else:
        parts = report.findings_table(str(read), found, every=common.verbose)
        console.print_table(*parts, color=common.color)
    return GateError.exit_code if errors(found) else 0
