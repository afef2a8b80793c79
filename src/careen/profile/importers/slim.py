"""slim's and mint's container report, `creport.json`, of any version.

The report lists the files that slim put into the small image: what was opened or run, the links
that lead there, and what was only looked at. It is of one container, so nothing is to be chosen.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from careen.errors import FormatError, within
from careen.formats import strict_json
from careen.profile.importers.importer import Filter, Filters, Item, Link, Started, Unread
from careen.profile.importers.log import CEILING, Log
from careen.profile.importers.records import at, items, number, text, texts
from careen.profile.observed import Event

__all__ = ["FILTERS", "read"]

FILTERS: tuple[Filter, ...] = ()


def read(log: Log, filters: Filters) -> Iterator[Item]:
    """The report's files; SourceError for another document."""
    with within(log.name):
        report = strict_json.parse(log.document(), ceiling=CEILING)
        listed = items(report, "image", "files")
        processes = at(report, "monitors", "fan", "process_files")
        if not listed and not isinstance(processes, dict):
            raise FormatError("not slim's container report: it has no `image.files`")
    yield from _started(report)
    opened = dict(_opened(processes)) if isinstance(processes, dict) else {}
    for path, runs in opened.items():
        yield Event("executed" if runs else "opened", path)
    looked = at(report, "monitors", "pt", "fs_activity")
    for artifact in log.records(listed):
        yield from _artifact(artifact, opened, looked)


def _started(report: Any) -> Iterator[Item]:
    start = at(report, "start_command")
    entrypoint = texts(start, "app_entrypoint"), texts(start, "app_cmd")
    command = (*entrypoint[0], *entrypoint[1])
    if not command and text(start, "app_name"):
        command = (text(start, "app_name"), *texts(start, "app_args"))
    if command:
        yield Started(command)


def _opened(processes: Mapping[str, Any]) -> Iterator[tuple[str, bool]]:
    """Each path that fanotify reported, and whether it was executed."""
    run = set()
    for files in processes.values():
        for path, counts in files.items() if isinstance(files, dict) else ():
            if number(counts, "execs"):
                run.add(path)
            yield path, path in run


def _artifact(artifact: Any, opened: Mapping[str, bool], looked: Any) -> Iterator[Item]:
    path, flags = text(artifact, "file_path"), at(artifact, "flags")
    if not path:
        yield Unread("no `file_path`")
    elif text(artifact, "file_type").lower() == "symlink":
        yield _link(path, text(artifact, "link_ref"))
    elif flags and isinstance(flags, dict):
        yield Event("executed" if flags.get("X") else "opened", path)
    elif path not in opened:
        used = number(looked, path, "ops_all") > number(looked, path, "ops_checkfile")
        yield Event("opened" if used else "examined", path)


def _link(path: str, target: str) -> Item:
    if not target:
        return Event("examined", path)
    return Link(path, target if target.startswith("/") else f"{path.rpartition('/')[0]}/{target}")
