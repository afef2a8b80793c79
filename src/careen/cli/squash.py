"""`careen squash`."""

from __future__ import annotations

from careen.cli import options

__all__ = ["EXAMPLE", "squash"]

EXAMPLE = """
careen squash docker://registry.example/app:1.4 docker://registry.example/app:1.4-flat
careen squash oci:build/app:latest oci:build/flat:latest --compression zstd
"""


def squash(
    source: options.Source,
    destination: options.Destination,
    new: options.NewImage,
    registries: options.Registries,
    common: options.Common,
) -> int:
    """Flatten an image to one layer; nothing is removed.

    The result is read again and compared with the source before it is pushed.
    """
    from careen import workflow
    from careen.cli import files, images, outcome
    from careen.cli.choice import chosen
    from careen.cli.settings import settings
    from careen.cli.target import destination as place
    from careen.cli.target import target

    as_json = chosen("--format", common.format, ("table", "json")) == "json"
    src, dst = images.named(source), place(destination)
    how = settings(common, registries, src, dst)
    where = target(dst, new)
    files.check_writable(new.digest_file)
    done = workflow.squash(src, where, how)
    return outcome.tell(done, new.digest_file, common, as_json=as_json)
