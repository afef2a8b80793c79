"""The options of commands that run an image, and the values that they stand for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

if TYPE_CHECKING:
    from careen.record.invocation import Overrides
    from careen.record.recording import Request

__all__ = ["How", "What", "overrides", "request"]

_WHAT = "What runs"
_HOW = "How it runs"


class What(msgspec.Struct, frozen=True, kw_only=True):
    """What is started, in podman's words, instead of what the image says."""

    env: Annotated[
        list[str],
        typer.Option(
            "--env", "-e", metavar="NAME[=VALUE]", rich_help_panel=_WHAT,
            help="A variable, of this environment without a value; repeatable.",
        ),
    ] = msgspec.field(default_factory=list)  # fmt: skip
    env_file: Annotated[
        list[str],
        typer.Option(
            "--env-file", metavar="FILE", rich_help_panel=_WHAT,
            help="Variables, one a line; repeatable.",
        ),
    ] = msgspec.field(default_factory=list)  # fmt: skip
    volume: Annotated[
        list[str],
        typer.Option(
            "--volume", metavar="HOST:IMAGE[:ro]", rich_help_panel=_WHAT,
            help="A path of this host in the image; repeatable.",
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
        typer.Option("--workdir", "-w", metavar="DIR", rich_help_panel=_WHAT, help="Where."),
    ] = ""
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
        str,
        typer.Option(
            "--network", metavar="WHICH", rich_help_panel=_HOW,
            help="private: its own, where every port is free. host. [default: private]",
        ),
    ] = "private"  # fmt: skip
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
        str,
        typer.Option(
            "--ready-cmd", metavar="CMD", rich_help_panel=_HOW,
            help="Ready when this command of the host succeeds in its network.",
        ),
    ] = ""  # fmt: skip
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

    from careen.cli import files
    from careen.record.invocation import Overrides, Volume

    variables = []
    for name in what.env_file:
        text = files.read(name, hint="write NAME=VALUE lines there").decode("utf-8", "replace")
        lines = (line.strip() for line in text.splitlines())
        variables += [line for line in lines if line and not line.startswith("#")]
    variables += what.env
    known = [item for item in variables if "=" in item or item in os.environ]
    return Overrides(
        arguments=tuple(arguments),
        entrypoint=what.entrypoint,
        env=tuple(item if "=" in item else f"{item}={os.environ[item]}" for item in known),
        user=what.user,
        workdir=what.workdir,
        volumes=tuple(Volume.parse(text) for text in what.volume),
    )


def request(
    how: How, what: What, arguments: list[str], *, scenario: str, exercise: str, execs: list[str]
) -> Request:
    """How to run the image and what to put it through."""
    from careen.cli.choice import chosen
    from careen.errors import UsageError
    from careen.record.host import RUNNERS
    from careen.record.recording import Request

    if how.ready_port is not None and not 0 < how.ready_port < 1 << 16:
        raise UsageError(f"a port from 1 to 65535, not {how.ready_port}", at="--ready-port")
    if how.timeout <= 0 or (how.settle or 0) < 0:
        raise UsageError("a number of seconds", at="--timeout" if how.timeout <= 0 else "--settle")
    return Request(
        scenario=scenario,
        overrides=overrides(what, arguments),
        runner=chosen("--runner", how.runner, ("auto", *RUNNERS)),
        private_network=chosen("--network", how.network, ("private", "host")) == "private",
        read_only=how.read_only,
        exercise=exercise,
        execs=tuple(execs),
        ready_port=how.ready_port,
        ready_command=how.ready_cmd,
        settle=how.settle,
        seconds=how.timeout,
    )
