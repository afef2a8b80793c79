"""`careen repair`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from careen.cli import options
from careen.cli.profile.arguments import Output
from careen.cli.running import How, What

if TYPE_CHECKING:
    from careen.record.request import Request

__all__ = ["EXAMPLE", "repair"]

EXAMPLE = """
careen repair oci:build/app --profile app.careen.yaml -o wider.careen.yaml \\
    --ready-port 8080 --test './test-suite.sh http://127.0.0.1:8080'
careen repair oci:build/app --profile app.careen.yaml --test-inside 'python3 -m unittest'
"""

_TEST = "The test"


class Tests(msgspec.Struct, frozen=True, kw_only=True):
    """The test, and how long to go on."""

    test: Annotated[
        str,
        typer.Option(
            "--test", metavar="CMD", rich_help_panel=_TEST,
            help="A command of the host, in the application's network, once it is ready.",
        ),
    ] = ""  # fmt: skip
    test_inside: Annotated[
        str,
        typer.Option(
            "--test-inside", metavar="CMD", rich_help_panel=_TEST,
            help="A command of the image, in place of the application.",
        ),
    ] = ""  # fmt: skip
    rounds: Annotated[
        int,
        typer.Option(
            "--rounds", metavar="N", rich_help_panel=_TEST,
            help="How often to widen the profile. [default: 3]",
        ),
    ] = 3  # fmt: skip
    minimise: Annotated[
        bool,
        typer.Option(
            "--minimise", rich_help_panel=_TEST,
            help="Then try without each package that came back, and leave out what green does "
            "not need.",
        ),
    ] = False  # fmt: skip


def repair(
    source: options.Source,
    tests: Tests,
    rules: options.Rules,
    what: What,
    how: How,
    registry: options.SourceRegistry,
    common: options.Common,
    output: Output = None,
) -> int:
    """Widen a profile until a test passes on the hardened image.

    The test runs on the source, traced, then on the hardened image. When it fails there,
    what it used on the source and the plan removed comes back, what was looked for in
    vain first; and again. The result is a difference of profiles, to be reviewed. Exit
    code 3: not green after --rounds; 4: the test fails on the source itself.
    """
    import datetime

    from careen import repair as repairing
    from careen.cli import console, files, images, repair_report
    from careen.cli.choice import chosen
    from careen.cli.settings import load_profiles, plan_options, settings
    from careen.errors import UsageError
    from careen.profile import profile as profiles

    as_json = chosen("--format", common.format, ("table", "json")) == "json"
    if not rules.profile:
        raise UsageError("missing; name what is to be widened", at="--profile FILE")
    if bool(tests.test) == bool(tests.test_inside):
        raise UsageError("say --test or --test-inside, one of them", at="--test CMD")
    if tests.rounds < 1:
        raise UsageError(f"1 or more, not {tests.rounds}", at="--rounds")
    image = images.named(source)
    drawn_by = plan_options(rules)
    asked = _request(tests, what, how)
    files.check_writable(output)
    found = repairing.repair(
        image,
        load_profiles(rules.profile),
        drawn_by,
        repairing.Test(
            request=asked,
            inside=tests.test_inside,
            rounds=tests.rounds,
            minimise=tests.minimise,
        ),
        settings(common, registry, image),
        recorded=datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        watch=_unheard if common.quiet else console.warn,
    )
    if output is not None:
        files.replace(output, profiles.dump(found.after))
    if as_json:
        console.print_json(repair_report.repaired_json(found))
    else:
        parts = repair_report.repaired_table(found, output, every=common.verbose)
        console.print_table(*parts, color=common.color)
    return 0


def _request(tests: Tests, what: What, how: How) -> Request:
    """What is run; UsageError for what goes with the other of the two kinds of test."""
    from careen.cli.running import of_host, request
    from careen.errors import UsageError

    asked = request(how, what, [], scenario="repair", exercise=None, execs=[])
    if asked.runner == "none":
        raise UsageError("runs nothing, and a test must run", at="--runner none")
    if not tests.test:
        if not tests.test_inside.strip():
            raise UsageError("an empty command", at="--test-inside")
        if asked.is_served or asked.overrides.entrypoint is not None:
            problem = "runs in place of the application: no --ready-…, --settle and --entrypoint"
            raise UsageError(problem, at="--test-inside")
        return asked
    return msgspec.structs.replace(asked, exercise=of_host(tests.test, "--test", asked.runner))


def _unheard(_: str) -> None:
    """--quiet says nothing of steps."""
