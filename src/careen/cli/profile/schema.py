"""`careen profile schema`."""

from __future__ import annotations

__all__ = ["EXAMPLE", "schema"]

EXAMPLE = """
careen profile schema > careen.profile.v1.schema.json
"""


def schema() -> int:
    """Print the JSON Schema of profiles, for editors and CI."""
    from careen.cli import console
    from careen.profile.schema import document

    console.print_bytes(document())
    return 0
