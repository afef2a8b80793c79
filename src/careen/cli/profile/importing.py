"""What `careen profile import` does, step by step."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from pathlib import Path

import msgspec

from careen import workflow
from careen.cli import files
from careen.cli.choice import chosen
from careen.cli.profile.import_ import Choice, Ran
from careen.errors import FormatError, SourceError, UsageError
from careen.formats.digest import Digest
from careen.profile import edit
from careen.profile import profile as profiles
from careen.profile.importers import FORMATS, gather
from careen.profile.importers.gather import Gathering
from careen.profile.importers.importer import Filters, Importer
from careen.profile.importers.log import Log
from careen.profile.observed import Run
from careen.profile.profile import Image, Profile, Scenario
from careen.profile.schema import TIME
from careen.transport.reference import Reference
from careen.workflow import Settings

__all__ = ["Found", "existing", "extended", "filters", "gathered", "importer", "run"]


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What the logs said, and the image that ran. `digests` are all that may name that image."""

    gathering: Gathering
    image: Image = Image()
    digests: tuple[Digest, ...] = ()


def importer(form: str) -> Importer:
    """The importer of that name; UsageError that lists them."""
    return FORMATS[chosen("FORMAT", form, tuple(FORMATS))]


def filters(choice: Choice) -> Filters:
    """Which records count."""
    return Filters(container=choice.container, image=choice.filter_image, process=choice.process)


def run(form: str, log: str, ran: Ran, image: Image) -> Run:
    """What is said of the run; UsageError for a time that is none."""
    if ran.recorded and not re.fullmatch(TIME, ran.recorded):
        problem = f"not a time such as 2026-11-23T10:00:00Z: {ran.recorded!r}"
        raise UsageError(problem, at="--recorded")
    return Run(
        name=ran.scenario or _named(form, log),
        image=image,
        tool=form,
        recorded=ran.recorded,
        revision=ran.revision,
    )


def existing(output: str | None) -> Profile:
    """The profile that is there already, an empty one else."""
    if output is None or not Path(output).is_file() or not Path(output).stat().st_size:
        return Profile()
    return profiles.load(files.read(output, hint="name another"), place=output)


def gathered(
    form: Importer,
    logs: Sequence[str],
    wanted: Filters,
    image: Reference | None,
    settings: Settings,
) -> Found:
    """Every log, read in the tree of the image where one is named."""
    gather.check(form, wanted)
    with contextlib.ExitStack() as stack:
        if image is None:
            found = Found(gathering=Gathering())
        else:
            opened = stack.enter_context(workflow.opened(image, settings))
            own = (opened.bound.digest, opened.image.manifest.config.digest, image.digest)
            found = Found(
                gathering=Gathering(opened.scan.rootfs),
                image=Image(
                    name=str(image), digest=opened.bound.digest, platform=opened.bound.platform
                ),
                digests=tuple(digest for digest in own if digest is not None),
            )
        for name in logs:
            with files.opened(name) as file:
                found.gathering.take(form, Log(name, file), wanted)
    return found


def extended(
    before: Profile, scenario: Scenario, kept: Sequence[str], form: str, output: str | None
) -> bytes:
    """The manifest with the scenario in it, read again: what is written can be loaded."""
    profile = edit.with_scenario(before, scenario)
    if kept:
        profile = edit.with_kept(profile, kept, f"{form} {scenario.name}")
    raw = profiles.dump(profile)
    try:
        profiles.load(raw, place=output or "profile")
    except FormatError as error:
        problem = f"what would be written is no profile: {error.message}"
        raise SourceError(problem, at=error.at) from error
    return raw


def _named(form: str, log: str) -> str:
    if log == "-":
        return form
    name = re.sub(r"[\x00-\x1f\x7f]", "?", Path(log).name)
    return f"{form} {name}"
