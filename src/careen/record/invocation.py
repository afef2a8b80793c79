"""What to start, as whom and where: the image's config, and what the user overrides."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Mapping

import msgspec

from careen.errors import SourceError, UsageError
from careen.oci.config import PATH, Config, Execution
from careen.oci.fields import nested
from careen.record import stop_signal
from careen.rootfs.facts import Facts

__all__ = ["HOSTNAME", "Invocation", "Overrides", "Volume", "health", "invocation", "stop_text"]

HOSTNAME = "careen"

_LAST_ID = (1 << 32) - 2
_VOLUME = "--volume"


class Volume(msgspec.Struct, frozen=True):
    """A path of the host at a path of the image, as podman's `--volume HOST:IMAGE[:ro]`."""

    host: str
    inside: str
    read_only: bool = False

    @classmethod
    def parse(cls, text: str) -> Volume:
        """From `HOST:IMAGE[:ro|rw]`; UsageError for anything else.

        As podman has it, HOST is a path from its first character on: `/…`, `./…` or `../…`.
        """
        host, colon, rest = text.partition(":")
        inside, _, mode = rest.partition(":")
        if not (host and colon and inside):
            raise UsageError(f"HOST:IMAGE[:ro], not {text!r}", at=_VOLUME)
        if not host.startswith(("/", "./", "../")) and host not in (".", ".."):
            problem = f"{host!r} is no path; there are no named volumes, so say /… or ./…"
            raise UsageError(problem, at=_VOLUME)
        place = posixpath.normpath(inside).lstrip("/")
        if not inside.startswith("/") or not place:
            raise UsageError(f"an absolute path below /, not {inside!r}", at=_VOLUME)
        if mode not in ("", "ro", "rw"):
            raise UsageError(f"ro or rw, not {mode!r}", at=_VOLUME)
        return cls(host, f"/{place}", mode == "ro")


class Overrides(msgspec.Struct, frozen=True, kw_only=True):
    """What the user says instead of the image's config; empty or None says nothing.

    `arguments` replace Cmd, as after the image's name in `podman run`; `entrypoint` () means none.
    """

    arguments: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] | None = None
    env: tuple[str, ...] = ()
    user: str = ""
    workdir: str = ""
    volumes: tuple[Volume, ...] = ()


class Invocation(msgspec.Struct, frozen=True, kw_only=True):
    """A process to start: `env` in the order it is set, `stop` the signal that ends it."""

    argv: tuple[str, ...]
    env: Mapping[str, str]
    uid: int
    gid: int
    groups: tuple[int, ...]
    cwd: str
    stop: int
    volumes: tuple[Volume, ...] = ()


def invocation(config: Config, facts: Facts, overrides: Overrides) -> Invocation:
    """SourceError when there is nothing to start, no such user, or what no program can be given."""
    execution = config.execution
    uid, gid, groups = _user(overrides.user or execution.user, facts)
    argv = _argv(execution, overrides)
    if not argv:
        raise SourceError("the image says not what to start; name a program after --")
    env = _env(execution, overrides, facts, uid)
    cwd = overrides.workdir or f"/{execution.working_dir.lstrip('/')}"
    for text in (*argv, *env, *env.values(), cwd):
        _check_text(text)
    return Invocation(
        argv=argv,
        env=env,
        uid=uid,
        gid=gid,
        groups=groups,
        cwd=cwd,
        stop=stop_signal.number(stop_text(config)) or stop_signal.TERM,
        volumes=overrides.volumes,
    )


def health(execution: Execution) -> tuple[str, ...]:
    """The Healthcheck as a command; () when there is none."""
    kind, *test = execution.healthcheck or ("NONE",)
    if kind == "CMD-SHELL":
        return (*(execution.shell or ("/bin/sh", "-c")), *test)
    return tuple(test) if kind == "CMD" else ()


def stop_text(config: Config) -> str:
    """StopSignal as the image says it, SIGTERM where it says nothing."""
    said = nested(config.document, "config").get("StopSignal")
    return "SIGTERM" if said in (None, "") else str(said)


def _argv(execution: Execution, overrides: Overrides) -> tuple[str, ...]:
    """As podman has it: an --entrypoint takes the image's Cmd away as well."""
    if overrides.entrypoint is None:
        return (*execution.entrypoint, *(overrides.arguments or execution.command))
    return (*overrides.entrypoint, *overrides.arguments)


def _env(execution: Execution, overrides: Overrides, facts: Facts, uid: int) -> dict[str, str]:
    home = next((user.home for user in facts.users if user.uid == uid), "/")
    env = {"PATH": PATH, "HOME": home or "/", "HOSTNAME": HOSTNAME}
    for item in (*execution.env, *overrides.env):
        name, _, value = item.partition("=")
        if name:
            env[name] = value
    return env


def _check_text(text: str) -> None:
    try:
        raw = os.fsencode(text)
    except UnicodeEncodeError:
        raw = b"\0"
    if b"\0" in raw:
        raise SourceError(f"the image's config has what no program can be given: {text[:60]!r}")


def _user(text: str, facts: Facts) -> tuple[int, int, tuple[int, ...]]:
    """uid, gid and further groups of `USER[:GROUP]`, names or numbers (image-spec, config.md)."""
    who, _, group = text.partition(":")
    known = next((user for user in facts.users if who in (user.name, str(user.uid))), None)
    if not who:
        uid, gid = 0, 0
    elif known is not None:
        uid, gid = known.uid, known.gid
    elif _is_id(who):
        uid, gid = int(who), 0
    else:
        raise SourceError(f"the image has no user {who!r}")
    if group:
        gid = _group(group, facts)
        return uid, gid, ()
    name = known.name if known is not None else ""
    return uid, gid, tuple(one.gid for one in facts.groups if name and name in one.members)


def _group(text: str, facts: Facts) -> int:
    for group in facts.groups:
        if text in (group.name, str(group.gid)):
            return group.gid
    if _is_id(text):
        return int(text)
    raise SourceError(f"the image has no group {text!r}")


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdecimal() and int(text[:11]) <= _LAST_ID
