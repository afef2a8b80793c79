"""An image config: how to run the image, its diff_ids and history (image-spec, config.md)."""

from __future__ import annotations

import msgspec

from careen.errors import FormatError, within
from careen.formats import digest as digests
from careen.formats import strict_json
from careen.formats.digest import Digest
from careen.formats.strict_json import Object
from careen.oci.fields import nested, objects, text, texts
from careen.oci.platform import Platform

__all__ = ["CEILING", "PATH", "Config", "Execution"]

CEILING = 8 << 20  # bytes
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""What container runtimes set where Env has no PATH."""


class Execution(msgspec.Struct, frozen=True, kw_only=True):
    """What a runtime starts: the inner `config` object's fields that careen reads.

    `healthcheck` is the `Test` list as written (`CMD`, `CMD-SHELL`, `NONE` first), () when absent.
    `volumes` are the keys as written.
    """

    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    user: str = ""
    working_dir: str = ""
    shell: tuple[str, ...] = ()
    healthcheck: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    labels: dict[str, str] = {}

    def variable(self, name: str) -> str | None:
        """The value that Env gives `name`; the last one wins, as in runtimes."""
        for item in reversed(self.env):
            key, _, value = item.partition("=")
            if key == name:
                return value
        return None


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """`document` is the JSON as read; the fields beside it are its typed view."""

    raw: bytes
    platform: Platform
    execution: Execution
    diff_ids: tuple[Digest, ...]
    history: tuple[Object, ...]
    document: Object

    @classmethod
    def parse(cls, raw: bytes) -> Config:
        """From raw bytes; FormatError with a breadcrumb when a field is wrong."""
        document = strict_json.parse(raw, ceiling=CEILING)
        platform = Platform.parse(document)
        if not platform.os or not platform.architecture:
            raise FormatError("no `os` and `architecture`: not an image config")
        diff_ids = []
        for i, item in enumerate(objects(nested(document, "rootfs"), "diff_ids")):
            with within(f"rootfs.diff_ids[{i}]"):
                diff_ids.append(digests.parse(item))
        history = objects(document, "history")
        if not all(isinstance(item, dict) for item in history):
            raise FormatError("not a list of objects", at="history")
        with within("config"):
            execution = _execution(nested(document, "config"))
        return cls(
            raw=raw,
            platform=platform,
            execution=execution,
            diff_ids=tuple(diff_ids),
            history=tuple(history),
            document=document,
        )


def _execution(inner: Object) -> Execution:
    return Execution(
        entrypoint=_strings(inner, "Entrypoint"),
        command=_strings(inner, "Cmd"),
        env=_strings(inner, "Env"),
        user=text(inner, "User"),
        working_dir=text(inner, "WorkingDir"),
        shell=_strings(inner, "Shell"),
        healthcheck=_strings(nested(inner, "Healthcheck"), "Test"),
        volumes=tuple(nested(inner, "Volumes")),
        labels=texts(inner, "Labels"),
    )


def _strings(document: Object, key: str) -> tuple[str, ...]:
    items = objects(document, key)
    if not all(isinstance(item, str) for item in items):
        raise FormatError("not a list of strings", at=key)
    return tuple(items)
