"""`careen explain`."""

from __future__ import annotations

from typing import Annotated

import typer

from careen.cli import options

__all__ = ["EXAMPLE", "explain"]

EXAMPLE = """
careen explain docker://registry.example/app:1.4 /usr/bin/perl bash libssl3 -p app.careen.yaml
careen explain oci:build/app '/usr/lib/**/libldap*' --profile app.careen.yaml --format json
"""

_What = Annotated[
    list[str],
    typer.Argument(
        metavar="WHAT…",
        help="An absolute path, a package or a program on PATH; globs for the first two.",
    ),
]


def explain(
    image: options.Image,
    what: _What,
    rules: options.Rules,
    registry: options.SourceRegistry,
    common: options.Common,
) -> int:
    """Say why paths and packages of an image stay or go.

    What stays has a chain: from what a scenario used, the config starts or you asked
    for, step by step. What goes has none, and the answer says what was looked for.
    """
    from careen import workflow
    from careen.cli import console, explain_report
    from careen.cli.choice import chosen
    from careen.cli.settings import load_profiles, plan_options, settings
    from careen.errors import UsageError
    from careen.transport import reference

    as_json = chosen("--format", common.format, ("table", "json")) == "json"
    if not rules.profile:
        raise UsageError("missing; name what the application used", at="--profile FILE")
    source = reference.parse(image)
    how = settings(common, registry, source)
    profile = load_profiles(rules.profile)
    answers = workflow.explain(source, what, profile, plan_options(rules), how)
    if as_json:
        console.print_json(explain_report.answers_json(str(source), answers))
    else:
        parts = explain_report.answers_table(answers, every=common.verbose)
        console.print_table(*parts, color=common.color)
    return 0
