"""What to start, as whom and where: the image's config, and what the user overrides."""

from __future__ import annotations

import re
import shlex
import signal
from collections.abc import Mapping, Sequence

import msgspec

from careen.errors import SourceError, UsageError
from careen.oci.config import PATH, Config, Execution
from careen.rootfs.facts import Facts

__all__ = ["Invocation", "Overrides", "Volume", "health", "invocation", "plain", "split"]

_LAST_ID = (1 << 32) - 2
_FOR_A_SHELL = re.compile(r"[\n;&|<>()$`\\\"'*?\[\]#~=%{}!]")
_QUOTED = re.compile(r"""'[^']*'|"[^"$`\\]*\"""")


class Volume(msgspec.Struct, frozen=True):
    """A path of the host at a path of the image, as podman's `--volume HOST:IMAGE[:ro]`."""

    host: str
    inside: str
    read_only: bool = False

    @classmethod
    def parse(cls, text: str) -> Volume:
        """From `HOST:IMAGE[:ro|:rw]`; UsageError for anything else."""
        host, _, rest = text.partition(":")
        inside, _, mode = rest.partition(":")
        if not (host.startswith("/") and inside.startswith("/") and mode in ("", "ro", "rw")):
            raise UsageError(f"HOST:IMAGE[:ro] with absolute paths, not {text!r}", at="--volume")
        return cls(host, inside, mode == "ro")


class Overrides(msgspec.Struct, frozen=True, kw_only=True):
    """What the user says instead of the image's config; empty or None says nothing.

    `arguments` replace Cmd, as after the image's name in `podman run`; `entrypoint` "" means none.
    """

    arguments: tuple[str, ...] = ()
    entrypoint: str | None = None
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
    """SourceError when there is nothing to start, or no such user."""
    execution = config.execution
    uid, gid, groups = _user(overrides.user or execution.user, facts)
    argv = _argv(execution, overrides)
    if not argv:
        raise SourceError("the image says not what to start; name a program after --")
    return Invocation(
        argv=argv,
        env=_env(execution, overrides, facts, uid),
        uid=uid,
        gid=gid,
        groups=groups,
        cwd=overrides.workdir or f"/{execution.working_dir.lstrip('/')}",
        stop=_stop(config),
        volumes=overrides.volumes,
    )


def health(execution: Execution) -> tuple[str, ...]:
    """The Healthcheck as a command; () when there is none."""
    kind, *test = execution.healthcheck or ("NONE",)
    if kind == "CMD-SHELL":
        return (*(execution.shell or ("/bin/sh", "-c")), *test)
    return tuple(test) if kind == "CMD" else ()


def _argv(execution: Execution, overrides: Overrides) -> tuple[str, ...]:
    """As podman has it: an --entrypoint takes the image's Cmd away as well."""
    if overrides.entrypoint is None:
        return (*execution.entrypoint, *(overrides.arguments or execution.command))
    return (*shlex.split(overrides.entrypoint), *overrides.arguments)


def _env(execution: Execution, overrides: Overrides, facts: Facts, uid: int) -> dict[str, str]:
    home = next((user.home for user in facts.users if user.uid == uid), "/")
    env = {"PATH": PATH, "HOME": home or "/", "HOSTNAME": "careen"}
    for item in (*execution.env, *overrides.env):
        name, _, value = item.partition("=")
        env[name] = value
    return env


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


def _stop(config: Config) -> int:
    """StopSignal as Docker writes it: SIGQUIT, QUIT or 3."""
    inner = config.document.get("config") or {}
    text = str(inner.get("StopSignal") or "SIGTERM").upper()
    if text.isascii() and text.isdecimal() and 0 < int(text) < signal.NSIG:
        return int(text)
    found = getattr(signal, text if text.startswith("SIG") else f"SIG{text}", None)
    return int(found) if isinstance(found, signal.Signals) else int(signal.SIGTERM)


def split(command: str, option: str) -> Sequence[str]:
    """The words of a command line; UsageError naming the option for an unclosed quote."""
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise UsageError(f"{command!r}: {error}", at=option) from error
    if not words:
        raise UsageError("an empty command", at=option)
    return words


def plain(command: str) -> tuple[str, ...]:
    """The words of a command line that takes no shell to run; () when it does.

    A shell is for what is special outside of quotes, and for `$` and the like in double ones.
    """
    if _FOR_A_SHELL.search(_QUOTED.sub("", command)):
        return ()
    return tuple(shlex.split(command))
