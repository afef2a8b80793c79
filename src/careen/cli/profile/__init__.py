"""`careen profile`: what an application used, from tracers to a manifest in git."""

from __future__ import annotations

import typer

from careen.cli.command import declare, group
from careen.cli.profile import check, export, import_, merge, record, schema, show

__all__ = ["declare_all"]

_ABOUT = "Make, merge and check profiles: what an application used."
_EXAMPLE = """
careen profile import slim creport.json -o app.careen.yaml \\
    --image docker://registry.example/app:1.4
careen profile check app.careen.yaml docker://registry.example/app:1.5
"""


def declare_all(app: typer.Typer) -> None:
    """The group and its commands."""
    profile = group(app, "profile", about=_ABOUT, example=_EXAMPLE)
    declare(profile, record.record, example=record.EXAMPLE)
    declare(profile, import_.import_, example=import_.EXAMPLE)
    declare(profile, merge.merge, example=merge.EXAMPLE)
    declare(profile, show.show, example=show.EXAMPLE)
    declare(profile, check.check, example=check.EXAMPLE)
    declare(profile, export.export, example=export.EXAMPLE)
    declare(profile, schema.schema, example=schema.EXAMPLE)
