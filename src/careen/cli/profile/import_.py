"""`careen profile import`."""

from __future__ import annotations

from typing import Annotated

import msgspec
import typer

from careen.cli import options
from careen.cli.profile.arguments import Output

__all__ = ["EXAMPLE", "import_"]

EXAMPLE = """
careen profile import slim creport.json -o app.careen.yaml \\
    --image docker://registry.example/app:1.4
careen profile import tetragon tetragon.log --container app -o app.careen.yaml
kubectl get applicationprofile app -o yaml | careen profile import kubescape - -o app.careen.yaml
"""

_RUN = "What ran"
_COUNTS = "What counts"

_Format = Annotated[
    str,
    typer.Argument(
        metavar="FORMAT",
        help="strace, slim, inspektor-gadget, tetragon, tracee, kubescape, falco, fatrace, maps "
        "(of /proc/PID), runtime-trace (in-toto) or paths (one a line).",
    ),
]
_Logs = Annotated[
    list[str], typer.Argument(metavar="LOG…", help="Of that format, one run; - for stdin.")
]


class Ran(msgspec.Struct, frozen=True, kw_only=True):
    """What is said of the run."""

    scenario: Annotated[
        str | None,
        typer.Option(
            "--scenario", metavar="NAME", rich_help_panel=_RUN,
            help="What was exercised. [default: FORMAT and the log's name]",
        ),
    ] = None  # fmt: skip
    image: Annotated[
        str | None,
        typer.Option(
            "--image", metavar="IMAGE", rich_help_panel=_RUN,
            help="The image that ran: paths are resolved in it, link by link, and the scenario "
            "is bound to its digest.",
        ),
    ] = None  # fmt: skip
    revision: Annotated[
        str,
        typer.Option(
            "--revision", metavar="TEXT", help="The application's own version.",
            rich_help_panel=_RUN,
        ),
    ] = ""  # fmt: skip
    recorded: Annotated[
        str,
        typer.Option(
            "--recorded", metavar="TIME", rich_help_panel=_RUN,
            help="When, as 2026-11-23T10:00:00Z; `profile check --max-age` goes by it.",
        ),
    ] = ""  # fmt: skip


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """Which records of the log count."""

    container: Annotated[
        str,
        typer.Option(
            "--container", metavar="GLOB", rich_help_panel=_COUNTS,
            help="Only what is of the container of this name, or id.",
        ),
    ] = ""  # fmt: skip
    filter_image: Annotated[
        str,
        typer.Option(
            "--filter-image", metavar="GLOB", rich_help_panel=_COUNTS,
            help="Only what is of an image that the log calls so.",
        ),
    ] = ""  # fmt: skip
    process: Annotated[
        str,
        typer.Option(
            "--process", metavar="GLOB", rich_help_panel=_COUNTS,
            help="Only what a program of this name or path did.",
        ),
    ] = ""  # fmt: skip


def import_(
    form: _Format,
    logs: _Logs,
    ran: Ran,
    choice: Choice,
    registry: options.SourceRegistry,
    common: options.Common,
    output: Output = None,
) -> int:
    """Turn another tracer's log into a scenario of a profile.

    With -o, a profile that is there keeps what it has: the scenario is added, or takes
    the place of the one of its name and platform. Without --image every name that the log
    has is taken, and links are resolved when a plan is drawn.
    """
    from careen.cli import console, files, images
    from careen.cli.choice import chosen
    from careen.cli.profile import importing, report
    from careen.cli.settings import settings
    from careen.profile import profile as profiles

    as_json = chosen("--format", common.format, ("table", "json")) == "json"
    how = settings(common, registry)
    files.check_writable(output)
    before = importing.existing(output)
    found = importing.gathered(
        importing.importer(form),
        logs,
        importing.filters(choice),
        None if ran.image is None else images.named(ran.image),
        how,
    )
    scenario = found.gathering.scenario(importing.run(form, logs[0], ran, found.image))
    raw = importing.extended(before, scenario, tuple(found.gathering.kept), form, output)
    findings = found.gathering.findings(found.digests)
    if output is None:
        console.print_bytes(raw)
        for line in report.doubts(found.gathering.reads, findings):
            console.warn(line)
        return 0
    files.replace(output, raw)
    digest = profiles.digest(profiles.load(raw, place=output))
    result = report.Imported(
        profile=output, digest=digest, scenario=scenario,
        kept=len(found.gathering.kept), reads=tuple(found.gathering.reads), findings=findings,
    )  # fmt: skip
    if as_json:
        console.print_json(report.import_json(result))
    else:
        console.print_table(*report.import_table(result), color=common.color)
    return 0
