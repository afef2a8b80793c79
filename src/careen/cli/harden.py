"""`careen harden`."""

from __future__ import annotations

from careen.cli import options

__all__ = ["EXAMPLE", "harden"]

EXAMPLE = """
careen harden docker://registry.example/app:1.4 \\
    docker://registry.example/app:1.4-hardened --profile app.careen.yaml
careen harden oci:build/app:1 oci:build/hard:1 --plan plan.json --no-debug
"""


def harden(
    source: options.Source,
    destination: options.Destination,
    decision: options.Decision,
    new: options.HardenedImage,
    registries: options.Registries,
    common: options.Common,
) -> int:
    """Remove what the application never used, verify, and push.

    Goes by profiles of the application's runs, or by a plan. Unused packages and
    shells go, the package database says so, and one layer is left. The result is
    verified from its bytes before it is pushed. The source goes beside it under a
    debug tag.
    """
    from careen import workflow
    from careen.cli import files, images, outcome
    from careen.cli.choice import chosen
    from careen.cli.settings import decided, plan_options, settings
    from careen.cli.target import destination as place
    from careen.cli.target import target

    as_json = chosen("--format", common.format, ("table", "json")) == "json"
    src, dst = images.named(source), place(destination)
    how = settings(common, registries, src, dst)
    where = target(dst, new)
    drawn_by = plan_options(decision)
    decide = decided(decision)
    files.check_writable(new.digest_file)
    done = workflow.harden(
        src, where, how, decide=decide, options=drawn_by, require_fresh=decision.require_fresh
    )
    return outcome.tell(done, new.digest_file, common, as_json=as_json)
