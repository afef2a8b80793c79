"""in-toto's runtime trace, v0.1 and v0.2: a Statement, or the predicate alone.

What careen exports carries, beside the standard's fields, how each file was used; of others a
file access is an opened file.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote_to_bytes

from careen.errors import FormatError, within
from careen.formats import strict_json
from careen.profile.importers.importer import Filter, Filters, Item, Link, Origin, Unread
from careen.profile.importers.log import CEILING, Log
from careen.profile.importers.records import at, items, text
from careen.profile.observed import Event, How

__all__ = ["FILTERS", "read"]

FILTERS: tuple[Filter, ...] = ()

_TYPE = "https://in-toto.io/attestation/runtime-trace/"
_FILE = "file://"
_HOWS: Mapping[str, How] = {"executed": "executed", "examined": "examined"}


def read(log: Log, filters: Filters) -> Iterator[Item]:
    """The processes and file accesses of its monitor log; SourceError for another document."""
    with within(log.name):
        document = strict_json.parse(log.document(), ceiling=CEILING)
        kind = text(document, "predicateType")
        if "payload" in document:
            raise FormatError("a DSSE envelope; give its payload, decoded from base64")
        if kind and not kind.startswith(_TYPE):
            raise FormatError(f"not a runtime trace: {kind[:100]!r}", at="predicateType")
        trace = at(document, "predicate", "monitorLog") or at(document, "monitorLog")
        if not isinstance(trace, dict):
            raise FormatError("no `predicate.monitorLog`")
    for subject in items(document, "subject"):
        if digest := text(subject, "digest", "sha256"):
            yield Origin(image=text(subject, "name"), digest=f"sha256:{digest}")
    for process in log.records(items(trace, "process")):
        if text(process, "eventType") in ("", "process") and text(process, "processBinary"):
            yield Event("executed", text(process, "processBinary"))
    for access in log.records(items(trace, "fileAccess")):
        yield from _access(access)


def _access(access: Any) -> Iterator[Item]:
    path, use = _path(access), at(access, "annotations", "careen")
    if not path:
        yield Unread("a file access without a path in `name` or `uri`")
    elif text(use, "leadsTo"):
        yield Link(path, _plain(text(use, "leadsTo")))
    else:
        yield Event(_HOWS.get(text(use, "use"), "opened"), path)


def _path(access: Any) -> str:
    """From `uri`, where bytes stand as they are, else from `name`."""
    for uri in (text(access, "uri"), text(access, "downloadLocation")):
        if uri.startswith(f"{_FILE}/"):
            return _plain(uri)
    name = text(access, "name")
    return name if name.startswith("/") else ""


def _plain(uri: str) -> str:
    return os.fsdecode(unquote_to_bytes(uri.removeprefix(_FILE)))
