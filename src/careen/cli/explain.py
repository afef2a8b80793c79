"""`careen explain`."""

from __future__ import annotations

from typing import Annotated

import typer

from careen.cli import options

__all__ = ["EXAMPLE", "explain"]

EXAMPLE = """
careen explain docker://registry.example/app:1.4 /usr/bin/perl bash libssl3 -p app.careen.yaml
careen explain oci:build/app '/usr/lib/**/libldap*' --profile app.careen.yaml --format json
careen explain oci:build/app --log failing-test.log --profile app.careen.yaml
"""

_What = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[WHAT…]",
        help="An absolute path, a package or a program on PATH; globs for the first two.",
    ),
]
_Log = Annotated[
    str | None,
    typer.Option(
        "--log", metavar="FILE", rich_help_panel="What to explain",
        help="A failing log, - for stdin: which removed path it points at, instead of WHAT.",
    ),
]  # fmt: skip


def explain(
    image: options.Image,
    rules: options.Rules,
    registry: options.SourceRegistry,
    common: options.Common,
    what: _What = None,
    log: _Log = None,
) -> int:
    """Say why paths and packages of an image stay or go.

    What stays has a chain: from what a scenario used, the config starts or you asked
    for, step by step. What goes has none, and the answer says what was looked for.
    With --log, which removed paths the log's lines point at, and what keeps them: the
    packages, or with --granularity file just the paths.
    """
    from careen import workflow
    from careen.cli import console, explain_report, files, images
    from careen.cli.choice import chosen
    from careen.cli.settings import load_profiles, plan_options, settings
    from careen.errors import UsageError

    as_json = chosen("--format", common.format, ("table", "json")) == "json"
    if not rules.profile:
        raise UsageError("missing; name what the application used", at="--profile FILE")
    if bool(what) == (log is not None):
        raise UsageError("say WHAT to explain, or the log that failed; one of them", at="--log")
    source = images.named(image)
    how = settings(common, registry, source)
    drawn_by = plan_options(rules)
    profile = load_profiles(rules.profile)
    if log is not None:
        raw = files.read(log, hint="name the failing test's log, or - for stdin")
        lines = raw.decode("utf-8", "surrogateescape").splitlines()
        suspects = workflow.blame(source, lines, profile, drawn_by, how)
        keep = explain_report.kept(suspects, by_file=drawn_by.granularity == "file")
        if as_json:
            console.print_json(explain_report.suspects_json(str(source), suspects, keep))
        else:
            parts = explain_report.suspects_table(suspects, keep, every=common.verbose)
            console.print_table(*parts, color=common.color)
        return 0
    answers = workflow.explain(source, what or [], profile, drawn_by, how)
    if as_json:
        console.print_json(explain_report.answers_json(str(source), answers))
    else:
        parts = explain_report.answers_table(answers, every=common.verbose)
        console.print_table(*parts, color=common.color)
    return 0
