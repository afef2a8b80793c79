"""`careen profile record`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from careen.cli import options
from careen.cli.profile.arguments import Output
from careen.cli.running import How, What

if TYPE_CHECKING:
    from careen.record.request import Request

__all__ = ["EXAMPLE", "record"]

EXAMPLE = """
careen profile record oci:build/app -o app.careen.yaml --scenario load \\
    --ready-port 8080 --exercise './load-test.sh http://127.0.0.1:8080'
careen profile record oci:build/app -o app.careen.yaml --scenario migrate -- app migrate
"""

_LOAD = "What it is put through"

_Arguments = Annotated[
    list[str] | None,
    typer.Argument(metavar="[-- ARGS…]", help="Instead of the image's Cmd."),
]


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """The scenario and its load."""

    scenario: Annotated[
        str | None,
        typer.Option(
            "--scenario", metavar="NAME", rich_help_panel=_LOAD,
            help="Its name in the profile, where it takes the place of one of that name.",
        ),
    ] = None  # fmt: skip
    exercise: Annotated[
        str | None,
        typer.Option(
            "--exercise", metavar="CMD", rich_help_panel=_LOAD,
            help="A command of the host, in the application's network, once it is ready.",
        ),
    ] = None  # fmt: skip
    execs: Annotated[
        list[str],
        typer.Option(
            "--exec", metavar="CMD", rich_help_panel=_LOAD,
            help="A command of the image, run beside the application; repeatable.",
        ),
    ] = msgspec.field(default_factory=list)  # fmt: skip
    revision: Annotated[
        str,
        typer.Option(
            "--revision", metavar="TEXT", rich_help_panel=_LOAD,
            help="The application's own version.",
        ),
    ] = ""  # fmt: skip


def record(
    source: options.Source,
    load: Load,
    what: What,
    how: How,
    registry: options.SourceRegistry,
    common: options.Common,
    arguments: _Arguments = None,
    output: Output = None,
) -> int:
    """Run an image under strace and write down what it used.

    Without a daemon, and without root: in bubblewrap, or as root in a chroot. Its load is
    --exercise, --exec, or the program itself, which then runs to its end. Exit code 3, and
    nothing written: the load fails, or the application never gets ready, ends too early,
    or does not end. Where only one id is at hand, as an ordinary user's, all files are the
    application's own, and it may write what elsewhere is refused; the profile says so.
    """
    import datetime

    from careen import workflow
    from careen.cli import console, files, images
    from careen.cli.choice import chosen
    from careen.cli.profile import importing, report
    from careen.cli.settings import settings
    from careen.profile import profile as profiles

    as_json = chosen("--format", common.format, ("table", "json")) == "json"
    image = images.named(source)
    asked = _request(load, what, how, arguments or [])
    ways = settings(common, registry, image)
    if asked.runner == "none":
        console.print_bytes(workflow.by_hand(image, asked, ways).encode("utf-8", "replace"))
        return 0
    files.check_writable(output)
    before = importing.existing(output)
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    found = workflow.record(image, asked, ways, recorded=now)
    raw = importing.extended(before, found.scenario, (), "record", output)
    if output is None:
        for line in () if common.quiet else report.doubts((), found.findings):
            console.warn(line)
        console.print_bytes(raw)
        return 0
    files.replace(output, raw)
    digest = profiles.digest(profiles.load(raw, place=output))
    if as_json:
        console.print_json(report.record_json(output, digest, found))
    else:
        console.print_table(*report.record_table(output, digest, found), color=common.color)
    return 0


def _request(load: Load, what: What, how: How, arguments: list[str]) -> Request:
    """What is run; UsageError without a scenario's name."""
    from careen.cli.running import request
    from careen.errors import UsageError

    if not load.scenario:
        raise UsageError("missing; say what this run is of, as load-test", at="--scenario NAME")
    asked = request(
        how,
        what,
        arguments,
        scenario=load.scenario,
        exercise=load.exercise,
        execs=load.execs,
    )
    return msgspec.structs.replace(asked, revision=load.revision)
