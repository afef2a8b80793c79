"""The life of an application that is recorded: ready, put through its load, stopped."""

from __future__ import annotations

from collections.abc import Sequence

from careen.errors import GateError
from careen.record.ports import listens
from careen.record.request import Request
from careen.record.session import Session

__all__ = ["load"]

_SETTLE = 2.0  # seconds that an application gets when nothing says how to see that it is ready

_CHECK = 30.0  # seconds for a health check, as runtimes give


def load(session: Session, request: Request, check: Sequence[str]) -> bool:
    """The whole life, at whose end no process is left; whether the health `check` passed.

    GateError when a command fails or does not end in time, and when the application never gets
    ready, ends too early, or never.
    """
    if not request.is_served:
        _run_to_end(session, request.seconds)
        return True
    wait_ready(session, request)
    for command in request.execs:
        _passed(session, f"--exec {command.text!r}", session.inside(command.argv, request.seconds))
    if request.exercise is not None:
        code = session.outside(request.exercise, request.seconds)
        _passed(session, f"the exercise {request.exercise.text!r}", code)
    is_healthy = not check or session.inside(tuple(check), min(_CHECK, request.seconds)) == 0
    if session.ended:
        raise GateError(f"the application ended before it was stopped; {session.last_words}")
    session.stop()
    return is_healthy


def wait_ready(session: Session, request: Request) -> None:
    """Until the application is ready, as the request says how to see that."""
    port, command, limit = request.ready_port, request.ready_command, request.ready_seconds
    if port is not None:
        session.wait_until(
            lambda _: listens(port, session.pid), f"it should listen on port {port}", limit
        )
    if command is not None:
        session.wait_until(
            lambda left: session.outside(command, left) == 0,
            f"{command.text!r} should succeed",
            limit,
        )
    if port is None and command is None:
        settle = _SETTLE if request.settle is None else request.settle
        if session.wait(settle):
            raise GateError(
                f"the application ended before {settle:g} seconds; {session.last_words}"
            )


def _run_to_end(session: Session, seconds: float) -> None:
    if not session.wait(seconds):
        raise GateError(
            f"{session.sandbox.process.argv[0]} did not end in {seconds:g} seconds; "
            "say how to load it (--exercise), or how long (--settle, --timeout)"
        )
    if session.process.returncode:
        raise GateError(_failed("the application", session.process.returncode, session.output))


def _passed(session: Session, what: str, code: int | None) -> None:
    if code is None:
        raise GateError(f"{what} did not end in time; --timeout gives it more")
    if code:
        raise GateError(_failed(what, code, session.said))


def _failed(what: str, code: int, output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    said = f": {' | '.join(lines[-3:])[-500:]}" if lines else ""
    how = f"was killed by signal {-code}" if code < 0 else f"ended with {code}"
    return f"{what} {how}{said}"
