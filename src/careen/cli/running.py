"""The options of commands that run an image, and the values that they stand for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from careen.errors import SourceError, UsageError

if TYPE_CHECKING:
    from careen.record.command import Command
    from careen.record.invocation import Overrides
    from careen.record.request import Request

__all__ = ["How", "What", "of_host", "overrides", "request"]

_WHAT = "What runs"
_HOW = "How it runs"
_ESCAPE = "surrogateescape"
_TINY, _LONG = 0.001, 31_536_000.0  # seconds


class What(msgspec.Struct, frozen=True, kw_only=True):
    """What is started, in podman's words, instead of what the image says."""

    env: Annotated[
        list[str],
        typer.Option(
            "--env", "-e", metavar="NAME[=VALUE]", rich_help_panel=_WHAT,
            help="A variable, without a value as it is in this environment; NAME* all that begin "
            "so. Repeatable.",
        ),
    ] = msgspec.field(default_factory=list)  # fmt: skip
    env_file: Annotated[
        list[str],
        typer.Option(
            "--env-file", metavar="FILE", rich_help_panel=_WHAT,
            help="Variables, one a line as in --env; # begins a comment. Repeatable.",
        ),
    ] = msgspec.field(default_factory=list)  # fmt: skip
    volume: Annotated[
        list[str],
        typer.Option(
            "--volume", metavar="HOST:IMAGE[:ro]", rich_help_panel=_WHAT,
            help="A path of this host in the image, with :ro for reading only; repeatable.",
        ),
    ] = msgspec.field(default_factory=list)  # fmt: skip
    user: Annotated[
        str,
        typer.Option(
            "--user", "-u", metavar="USER[:GROUP]", rich_help_panel=_WHAT,
            help="Who runs it, by name or number in the image.",
        ),
    ] = ""  # fmt: skip
    workdir: Annotated[
        str,
        typer.Option(
            "--workdir", "-w", metavar="DIR", rich_help_panel=_WHAT,
            help="The folder of the image that it starts in.",
        ),
    ] = ""  # fmt: skip
    entrypoint: Annotated[
        str | None,
        typer.Option(
            "--entrypoint", metavar="CMD", rich_help_panel=_WHAT,
            help='Instead of the image\'s Entrypoint and Cmd; "" for none.',
        ),
    ] = None  # fmt: skip


class How(msgspec.Struct, frozen=True, kw_only=True):
    """In what it runs, and how to see that it is ready."""

    runner: Annotated[
        str,
        typer.Option(
            "--runner", metavar="NAME", rich_help_panel=_HOW,
            help="bubblewrap: in namespaces, as an ordinary user. chroot: as root, without. none: "
            "print how to record it elsewhere. [default: the first that works]",
        ),
    ] = "auto"  # fmt: skip
    network: Annotated[
        str | None,
        typer.Option(
            "--network", metavar="WHICH", rich_help_panel=_HOW,
            help="private: its own, where every port is free. host: this one's, as in a chroot. "
            "[default: private, where the runner can]",
        ),
    ] = None  # fmt: skip
    read_only: Annotated[
        bool,
        typer.Option(
            "--read-only", rich_help_panel=_HOW,
            help="The root cannot be written, as in deployments that are so; /tmp and /run can.",
        ),
    ] = False  # fmt: skip
    ready_port: Annotated[
        int | None,
        typer.Option(
            "--ready-port", metavar="N", rich_help_panel=_HOW,
            help="Ready when it listens on this TCP port.",
        ),
    ] = None  # fmt: skip
    ready_cmd: Annotated[
        str | None,
        typer.Option(
            "--ready-cmd", metavar="CMD", rich_help_panel=_HOW,
            help="Ready when this command of the host succeeds in its network.",
        ),
    ] = None  # fmt: skip
    ready_timeout: Annotated[
        float,
        typer.Option(
            "--ready-timeout", metavar="SECONDS", rich_help_panel=_HOW,
            help="How long it may take until the port or command says so. [default: 60]",
        ),
    ] = 60.0  # fmt: skip
    settle: Annotated[
        float | None,
        typer.Option(
            "--settle", metavar="SECONDS", rich_help_panel=_HOW,
            help="Ready after so long. [default: 2, unless a port or command says]",
        ),
    ] = None  # fmt: skip
    timeout: Annotated[
        float,
        typer.Option(
            "--timeout", metavar="SECONDS", rich_help_panel=_HOW,
            help="How long a command, or a program that ends, may take. [default: 600]",
        ),
    ] = 600.0  # fmt: skip


def overrides(what: What, arguments: list[str]) -> Overrides:
    """What the user says instead of the image's config; UsageError for what has no meaning."""
    import os

    from careen.record.command import Command
    from careen.record.invocation import Overrides, Volume

    if what.workdir and not what.workdir.startswith("/"):
        raise UsageError(f"an absolute path, not {what.workdir!r}", at="--workdir")
    if what.user.startswith(":") or what.user.endswith(":"):
        raise UsageError(f"USER[:GROUP], not {what.user!r}", at="--user")
    entrypoint: tuple[str, ...] | None = None if what.entrypoint is None else ()
    if what.entrypoint:
        entrypoint = Command.parse(what.entrypoint, "--entrypoint").argv
    volumes = [Volume.parse(text) for text in what.volume]
    return Overrides(
        arguments=tuple(arguments),
        entrypoint=entrypoint,
        env=tuple(_variables(what)),
        user=what.user,
        workdir=what.workdir,
        volumes=tuple(
            msgspec.structs.replace(volume, host=os.path.abspath(volume.host)) for volume in volumes
        ),
    )


def _variables(what: What) -> Iterator[str]:
    """`NAME=VALUE` of files and then of options, as podman reads them."""
    from careen.cli import files

    for name in what.env_file:
        text = files.read(name, hint="write NAME=VALUE lines there").decode("utf-8", _ESCAPE)
        for number, line in enumerate(text.splitlines(), 1):
            item = line.lstrip()
            if item and not item.startswith("#"):
                yield from _variable(item, f"{name}: line {number}")
    for item in what.env:
        yield from _variable(item, "--env")


def _variable(item: str, place: str) -> Iterator[str]:
    import os

    name, equals, _ = item.partition("=")
    if not name.strip() or "\0" in item:
        raise UsageError(f"NAME or NAME=VALUE, not {item!r}", at=place)
    if equals:
        yield item
    elif name.endswith("*"):
        yield from (f"{n}={v}" for n, v in os.environ.items() if n.startswith(name[:-1]))
    elif name in os.environ:
        yield f"{name}={os.environ[name]}"


def request(
    how: How,
    what: What,
    arguments: list[str],
    *,
    scenario: str,
    exercise: str | None,
    execs: list[str],
) -> Request:
    """How to run the image and what to put it through."""
    from careen.cli.choice import chosen
    from careen.record.command import Command
    from careen.record.host import RUNNERS
    from careen.record.request import NETWORKS, Request

    if how.ready_port is not None and not 0 < how.ready_port < 1 << 16:
        raise UsageError(f"a port from 1 to 65535, not {how.ready_port}", at="--ready-port")
    _check_seconds("--timeout", how.timeout, least=_TINY)
    _check_seconds("--ready-timeout", how.ready_timeout, least=_TINY)
    _check_seconds("--settle", how.settle or 0, least=0)
    runner = chosen("--runner", how.runner, ("auto", *RUNNERS))
    return Request(
        scenario=scenario,
        overrides=overrides(what, arguments),
        runner=runner,
        network=None if how.network is None else chosen("--network", how.network, NETWORKS),
        read_only=how.read_only,
        exercise=_asked(exercise, "--exercise", runner),
        execs=tuple(Command.parse(text, "--exec") for text in execs),
        ready_port=how.ready_port,
        ready_command=_asked(how.ready_cmd, "--ready-cmd", runner),
        ready_seconds=how.ready_timeout,
        settle=how.settle,
        seconds=how.timeout,
    )


def _asked(text: str | None, option: str, runner: str) -> Command | None:
    """The command where one is given: an empty one, as of a variable that is not set, is wrong."""
    return None if text is None else of_host(text, option, runner)


def of_host(text: str, option: str, runner: str) -> Command:
    """A command whose program this host has; SourceError when it has not, and is to run it."""
    import shutil

    from careen.record.command import Command

    command = Command.parse(text, option)
    if runner != "none" and shutil.which(command.argv[0]) is None:
        raise SourceError(f"this host has no such program: {command.argv[0]}", at=option)
    return command


def _check_seconds(option: str, value: float, *, least: float) -> None:
    if not least <= value <= _LONG:
        raise UsageError(f"a number of seconds, not {value:g}", at=option)
