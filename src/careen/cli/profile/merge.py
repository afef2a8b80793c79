"""`careen profile merge`."""

from __future__ import annotations

from careen.cli import options
from careen.cli.profile.arguments import Output, Profiles

__all__ = ["EXAMPLE", "merge"]

EXAMPLE = """
careen profile merge smoke.yaml nightly.yaml -o app.careen.yaml
"""


def merge(names: Profiles, common: options.Common, output: Output = None) -> int:
    """Unite profiles into one file.

    The result is what several --profile give: scenarios of one name on one image
    become one, everything else stays side by side. The order does not matter.
    Comments in the files are not kept.
    """
    from careen.cli import console, files
    from careen.cli.choice import chosen
    from careen.cli.profile import report
    from careen.cli.settings import load_profiles
    from careen.profile import profile as profiles

    as_json = chosen("--format", common.format, ("table", "json")) == "json"
    merged = load_profiles(names)
    raw = profiles.dump(merged)
    if output is None:
        console.print_bytes(raw)
        return 0
    files.replace(output, raw)
    if as_json:
        console.print_json(report.profile_json(merged))
    else:
        parts = report.profile_table(merged, every=common.verbose)
        console.print_table(*parts, color=common.color)
    return 0
