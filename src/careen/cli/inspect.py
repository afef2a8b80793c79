"""`careen inspect`."""

from __future__ import annotations

from careen.cli import options

__all__ = ["EXAMPLE", "inspect"]

EXAMPLE = """
careen inspect docker://registry.example/app:1.4
careen inspect oci:build/app --format json | jq '.packages[0]'
"""


def inspect(
    image: options.Image,
    registry: options.SourceRegistry,
    common: options.Common,
) -> int:
    """Show what an image is made of.

    Layers, packages by size, shells and what each leads to, interactive tools,
    setuid files, file capabilities, world-writable paths, and programs that no
    package owns. Writes nothing.
    """
    from careen import inspection, workflow
    from careen.cli import console, images, inspection_report
    from careen.cli.choice import chosen
    from careen.cli.settings import settings

    as_json = chosen("--format", common.format, ("table", "json")) == "json"
    source = images.named(image)
    how = settings(common, registry, source)
    with workflow.opened(source, how) as opened:
        found = inspection.inspect(opened.image, opened.scan, opened.scene())
    if as_json:
        console.print_json(inspection_report.inspection_json(str(source), found))
    else:
        parts = inspection_report.inspection_table(str(source), found, every=common.verbose)
        console.print_table(*parts, color=common.color)
    return 0
