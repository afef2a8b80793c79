"""`careen profile export`."""

from __future__ import annotations

from typing import Annotated

import typer

from careen.cli import options
from careen.cli.profile.arguments import Profiles

__all__ = ["EXAMPLE", "export"]

EXAMPLE = """
careen profile export runtime-trace app.careen.yaml > trace.json
careen profile export runtime-trace app.careen.yaml --scenario checkout-load > trace.json
"""

_Format = Annotated[
    str, typer.Argument(metavar="FORMAT", help="runtime-trace: an in-toto Statement.")
]
_Scenario = Annotated[
    list[str] | None,
    typer.Option(
        "--scenario", metavar="NAME", rich_help_panel="What is exported",
        help="Only this one; repeatable. [default: all]",
    ),
]  # fmt: skip


def export(
    form: _Format, names: Profiles, common: options.Common, scenario: _Scenario = None
) -> int:
    """Write a profile in another tool's format, to stdout, as JSON.

    A runtime trace is about the images that the scenarios ran, and lists every file
    that they used; `careen profile import runtime-trace` reads it again.
    """
    from careen.cli import console
    from careen.cli.choice import chosen
    from careen.cli.profile import report
    from careen.cli.settings import load_profiles
    from careen.formats import strict_json
    from careen.profile import export as exporting

    chosen("FORMAT", form, exporting.FORMATS)
    found = report.only(load_profiles(names), scenario or [])
    console.print_json(strict_json.dump(exporting.runtime_trace(found)))
    return 0
