"""`careen plan`."""

from __future__ import annotations

from typing import Annotated

import typer

from careen.cli import options

__all__ = ["EXAMPLE", "plan"]

EXAMPLE = """
careen plan docker://registry.example/app:1.4 --profile app.careen.yaml
careen plan oci:build/app --profile app.careen.yaml -o plan.json
"""

_Output = Annotated[
    str | None,
    typer.Option(
        "--output", "-o", metavar="FILE", help="Write the plan there, for harden --plan.",
        rich_help_panel="Result",
    ),
]  # fmt: skip


def plan(
    image: options.Image,
    rules: options.Rules,
    registry: options.SourceRegistry,
    common: options.Common,
    output: _Output = None,
) -> int:
    """Say what hardening would remove from an image, and why.

    Writes nothing but the plan, when asked to: a JSON file that can be reviewed,
    kept in git and applied later.
    """
    from careen import workflow
    from careen.cli import console, files, images, report
    from careen.cli.choice import chosen
    from careen.cli.settings import load_profiles, plan_options, settings
    from careen.errors import UsageError

    as_json = chosen("--format", common.format, ("table", "json")) == "json"
    if not rules.profile:
        raise UsageError("missing; name what the application used", at="--profile FILE")
    source = images.named(image)
    how = settings(common, registry, source)
    drawn_by = plan_options(rules)
    profile = load_profiles(rules.profile)
    files.check_writable(output)
    drawn = workflow.plan(source, profile, drawn_by, how, require_fresh=rules.require_fresh)
    if output is not None:
        files.write(output, drawn.dump())
    if as_json:
        console.print_json(drawn.dump())
    else:
        parts = report.plan_table(str(source), drawn, every=common.verbose)
        console.print_table(*parts, color=common.color)
    return 0
