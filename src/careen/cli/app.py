"""`careen`: from arguments to an exit code. The only place that catches a CareenError.

0 done · 1 failed · 2 wrong usage · 3 a gate or a finding says no
4 input missing, unreadable or refused · 5 registry, authentication or network
129/130/143 stopped by a signal
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, NoReturn

import typer

from careen import __version__
from careen.cli import diff, explain, harden, inspect, plan, profile, repair, squash, verify
from careen.cli.command import Group, declare
from careen.errors import CareenError, UsageError, printable

__all__ = ["main"]

_EPILOG = """
An image is named as containers/image does:
  docker://HOST[:PORT]/REPO[:TAG][@DIGEST]   in a registry; `docker://` may be left out
  oci:DIR[:REF]                              in an OCI layout on disk
  oci-archive:FILE[:REF]                     in an OCI layout that is packed in a tar
  docker-archive:FILE[:NAME:TAG]             in a tar that `docker save` wrote

Every option of a command can be set by a variable: --src-creds is CAREEN_SRC_CREDS; one
that is repeatable takes several, parted by spaces: CAREEN_KEEP="tzdata /usr/share/zoneinfo".
Exit codes: 0 done, 1 failed, 2 wrong usage, 3 a gate or a finding says no,
4 input missing or refused, 5 registry or network, 129/130/143 stopped by a signal.

Examples:
  careen inspect docker://registry.example/app:1.4
  careen harden docker://registry.example/app:1.4 \\
      docker://registry.example/app:1.4-hardened --profile app.careen.yaml
"""
_FLAGS = re.compile("--((?:src-|dest-)?tls-verify)=(.*)")
_STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_BOOLEANS = {
    **dict.fromkeys(("true", "t", "1", "yes", "on"), True),
    **dict.fromkeys(("false", "f", "0", "no", "off"), False),
}


class _StoppedError(BaseException):
    """A signal, as an exception: what is open gets closed on the way up."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the process' exit code. `arguments` default to the process' own."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        with _stoppable(), _traced(words):
            return _run(words)
    except CareenError as error:
        text, code = str(error), error.exit_code
    except typer.TyperException as error:
        text, code = _usage(error, words), UsageError.exit_code
    except _StoppedError as error:
        text, code = f"stopped by {signal.Signals(error.number).name}", 128 + error.number
    except OSError as error:
        text, code = _system(error), 1
    except MemoryError:
        text, code = "out of memory; try fewer --jobs", 1
    except Exception as error:  # noqa: BLE001  # a defect of careen's own: say so, in one line
        defect = f"{type(error).__name__}: {error}; this is a defect, please report it"
        text, code = f"{defect} with what --debug-errors prints", 1
    return _fail(text, code)


def _run(words: list[str]) -> int:
    app = typer.Typer(
        name="careen",
        cls=Group,
        help="Harden container images without a Docker daemon.",
        epilog=_EPILOG,
        add_completion=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_careen)
    declare(app, inspect.inspect, example=inspect.EXAMPLE)
    declare(app, squash.squash, example=squash.EXAMPLE)
    profile.declare_all(app)
    declare(app, plan.plan, example=plan.EXAMPLE)
    declare(app, explain.explain, example=explain.EXAMPLE)
    declare(app, harden.harden, example=harden.EXAMPLE)
    declare(app, repair.repair, example=repair.EXAMPLE)
    declare(app, verify.verify, example=verify.EXAMPLE)
    declare(app, diff.diff, example=diff.EXAMPLE)
    careen = typer.main.get_command(app)
    return int(careen.main(_plain_flags(words), prog_name="careen", standalone_mode=False) or 0)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"careen {__version__}")
        raise typer.Exit


def _careen(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    pass


def _plain_flags(words: list[str]) -> list[str]:
    """`--tls-verify=false`, as podman and skopeo write it → `--no-tls-verify`."""
    return [_plain_flag(word) for word in words]


def _plain_flag(word: str) -> str:
    match = _FLAGS.fullmatch(word)
    if match is None:
        return word
    value = _BOOLEANS.get(match[2].lower())
    if value is None:
        raise UsageError(f"true or false, not {match[2]!r}", at=f"--{match[1]}")
    return f"--{match[1]}" if value else f"--no-{match[1]}"


@contextlib.contextmanager
def _stoppable() -> Iterator[None]:
    """A signal that stops raises inside the block, unless the caller had it ignored.

    After that no other is heard: the process cleans up and ends. Handlers belong to a process' main
    thread alone.
    """
    former = {number: signal.getsignal(number) for number in _STOPS}
    if threading.current_thread() is not threading.main_thread():
        former = {}
    for number, handler in former.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, _stop)
    try:
        yield
    except _StoppedError:
        former = {}
        raise
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def _stop(number: int, frame: Any) -> NoReturn:
    for one in _STOPS:  # a second one must not stop the cleaning up
        signal.signal(one, signal.SIG_IGN)
    raise _StoppedError(number)


@contextlib.contextmanager
def _traced(words: Sequence[str]) -> Iterator[None]:
    """With --debug-errors, what rises through the block leaves a traceback on stderr."""
    try:
        yield
    except BaseException:
        if "--debug-errors" in words or os.environ.get("CAREEN_DEBUG_ERRORS"):
            import traceback

            traceback.print_exc()
        raise


def _fail(text: str, code: int) -> int:
    """One line on stderr."""
    if sys.stderr is not None:
        with contextlib.suppress(OSError):  # nobody reads it
            print(f"careen: {printable(text)}", file=sys.stderr)  # noqa: T201
    return code


def _usage(error: typer.TyperException, words: Sequence[str]) -> str:
    """What the parser has to say, in one line, with what to do."""
    message = " ".join(error.format_message().split()).replace("Value error, ", "").rstrip(".")
    meant = getattr(error, "possibilities", None)
    if meant:
        message = f"{error.message.rstrip('.')}; did you mean {' or '.join(sorted(meant))}?"
    from careen.cli import images  # what is right costs no start-up time

    hint = images.misplaced(words) if "extra argument" in message else ""
    message += f"; {hint}" if hint else ""
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "careen"
    end = " See" if message.endswith("?") else "; see"
    return f"{message[:1].lower()}{message[1:]}{end} `{command} --help`"


def _system(error: OSError) -> str:
    """What the system refused, and what to do about the usual cases."""
    text = f"{error.filename}: " if isinstance(error.filename, str) else ""
    text += error.strerror or str(error)
    if error.errno == errno.ENOSPC:
        text += "; make room, or set TMPDIR to a larger folder"
    return text
