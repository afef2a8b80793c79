"""`careen diff`."""

from __future__ import annotations

import contextlib
from typing import Annotated

import msgspec
import typer

from careen.cli import options

__all__ = ["EXAMPLE", "diff"]

EXAMPLE = """
careen diff docker://registry.example/app:1.4 docker://registry.example/app:1.4-hardened
careen diff oci:build/app:1 oci:rebuilt/app:1 --ignore-times --exit-code
careen diff oci:build/app:1 oci:build/app:2 --format json | jq '.packages.changed'
"""

_PANEL = "What counts"

Before = Annotated[str, typer.Argument(metavar="A", help="The image to start from.")]
After = Annotated[str, typer.Argument(metavar="B", help="The image to compare with it.")]


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """What counts as a difference, and what follows from one."""

    ignore_times: Annotated[
        bool,
        typer.Option(
            "--ignore-times", rich_help_panel=_PANEL,
            help="Files' mtimes, and the times of creation in config, labels and annotations, "
            "play no part.",
        ),
    ] = False  # fmt: skip
    exit_code: Annotated[
        bool,
        typer.Option(
            "--exit-code", rich_help_panel=_PANEL,
            help="Exit 3 when there is a difference. Layers, their compression and history are "
            "none.",
        ),
    ] = False  # fmt: skip


def diff(
    before: Before,
    after: After,
    judgement: Judgement,
    registry: options.SourceRegistry,
    common: options.Common,
) -> int:
    """Show what differs between two images.

    Packages, config, annotations and files: contents, types, modes, owners,
    capabilities, links. --platform chooses from both. Writes nothing.
    """
    from careen import difference, workflow
    from careen.cli import console, diff_report, images
    from careen.cli.choice import chosen
    from careen.cli.settings import one_login, settings
    from careen.errors import GateError

    as_json = chosen("--format", common.format, ("table", "json")) == "json"
    references = images.named(before), images.named(after)
    one_login(registry, *references)
    how = settings(common, registry, *references)
    with contextlib.ExitStack() as stack:
        old, new = (stack.enter_context(workflow.opened(one, how)) for one in references)
        former = workflow.sight(old)
        alike = old.bound.platform == new.bound.platform
        latter = workflow.sight(new, former.scene if alike else None)
        found = difference.compare(former, latter, ignore_times=judgement.ignore_times)
    names = str(references[0]), str(references[1])
    if as_json:
        console.print_json(diff_report.difference_json(names, found))
    else:
        parts = diff_report.difference_table(names, found, every=common.verbose)
        console.print_table(*parts, color=common.color)
    return GateError.exit_code if judgement.exit_code and found.differs else 0
