"""A log in, a scenario out: what every importer's table of intent is written with."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from typing import Any

from careen.profile.importers import FORMATS
from careen.profile.importers.gather import Gathering
from careen.profile.importers.importer import Filters
from careen.profile.importers.log import Log
from careen.profile.observed import Run
from tests.builders import Node
from tests.rootfs.hand_made import rootfs

LISTS = ("executed", "opened", "examined", "links", "missing", "command")


def lines(*records: Any) -> bytes:
    """JSON objects, one a line."""
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


def gathered(
    form: str, log: bytes | str, filters: Filters | None = None, image: Sequence[Node] = ()
) -> Gathering:
    raw = log.encode() if isinstance(log, str) else log
    found = Gathering(rootfs(image) if image else None)
    found.take(FORMATS[form], Log("log", io.BytesIO(raw)), filters or Filters())
    return found


def scenario(
    form: str, log: bytes | str, filters: Filters | None = None, image: Sequence[Node] = ()
) -> dict[str, Any]:
    """What of the scenario is not empty; patterns that stay under `keep`."""
    return told(gathered(form, log, filters, image))


def told(found: Gathering) -> dict[str, Any]:
    made = found.scenario(Run(name="run"))
    lists = {name: value for name in LISTS if (value := getattr(made, name))}
    return lists | ({"keep": tuple(found.kept)} if found.kept else {})


def unread(found: Gathering) -> list[tuple[int, str]]:
    return [(sample.line, sample.problem) for read in found.reads for sample in read.samples]
