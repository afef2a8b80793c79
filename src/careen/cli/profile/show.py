"""`careen profile show`."""

from __future__ import annotations

from careen.cli import options
from careen.cli.profile.arguments import Profiles

__all__ = ["EXAMPLE", "show"]

EXAMPLE = """
careen profile show app.careen.yaml
careen profile show smoke.yaml nightly.yaml --format json | jq '.paths[].path'
"""


def show(names: Profiles, common: options.Common) -> int:
    """Print a profile: its scenarios, and which of them used what.

    Several profiles are merged first. -v lists every path.
    """
    from careen.cli import console
    from careen.cli.choice import chosen
    from careen.cli.profile import report
    from careen.cli.settings import load_profiles

    as_json = chosen("--format", common.format, ("table", "json")) == "json"
    found = load_profiles(names)
    if as_json:
        console.print_json(report.profile_json(found))
    else:
        parts = report.profile_table(found, every=common.verbose)
        console.print_table(*parts, color=common.color)
    return 0
