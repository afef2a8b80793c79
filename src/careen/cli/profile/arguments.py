"""Arguments and options that the commands of `careen profile` share."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["Output", "Profile", "Profiles"]

Profile = Annotated[str, typer.Argument(metavar="PROFILE", help="The profile to read.")]
Profiles = Annotated[
    list[str], typer.Argument(metavar="PROFILE…", help="The profiles to read; several are merged.")
]
Output = Annotated[
    str | None,
    typer.Option(
        "--output", "-o", metavar="FILE", rich_help_panel="Result",
        help="Write the profile there; without, to stdout.",
    ),
]  # fmt: skip
