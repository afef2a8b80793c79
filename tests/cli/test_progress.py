"""A bar on a terminal, a line now and then elsewhere, nothing when asked for nothing."""

from __future__ import annotations

import contextlib
import io
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from careen.cli.progress import Bars, Lines, Silent, watch


class Clock:
    """Time that moves when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_lines_every_ten_seconds_and_at_the_end() -> None:
    stream, clock = io.StringIO(), Clock()
    with Lines(stream, clock).task("pull a", 100_000_000) as advance:
        for _ in range(25):
            clock.now += 1
            advance(1_000_000)
    assert stream.getvalue().splitlines() == [
        "careen: pull a: 10.0 MB of 100 MB",
        "careen: pull a: 20.0 MB of 100 MB",
        "careen: pull a: 25.0 MB in 25.0 s",
    ]


def test_a_quick_step_is_not_spoken_of() -> None:
    stream, clock = io.StringIO(), Clock()
    with Lines(stream, clock).task("read", 10) as advance:
        clock.now += 0.9
        advance(10)
    assert stream.getvalue() == ""


def test_a_step_that_failed_is_not_said_to_be_done() -> None:
    stream, clock = io.StringIO(), Clock()
    step = Lines(stream, clock).task("read", 10)
    with contextlib.suppress(ZeroDivisionError), step:
        clock.now += 5
        raise ZeroDivisionError
    assert stream.getvalue() == ""


def test_lines_from_many_threads() -> None:
    stream, clock = io.StringIO(), Clock()
    with Lines(stream, clock).task("read", 0) as advance, ThreadPoolExecutor(8) as pool:
        list(pool.map(advance, [1] * 10_000))
        clock.now += 2
    assert stream.getvalue() == "careen: read: 10.0 kB in 2.0 s\n"


def test_a_closed_log_stops_no_work() -> None:
    class Broken(io.StringIO):
        def write(self, _: str) -> int:
            raise BrokenPipeError

    clock = Clock()
    with Lines(Broken(), clock).task("read", 0) as advance:
        clock.now += 20
        advance(1)


def test_bars_come_and_go() -> None:
    stream = io.StringIO()
    bars = Bars(stream, with_color=False)
    with bars.task("pull", 2_000_000) as pull, bars.task("[b]read", 0) as read:
        pull(1_000_000)
        read(5)
        bars._display.refresh()
    text = stream.getvalue()
    assert "pull" in text
    assert "[b]read" in text
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")  # the cursor is back


@pytest.mark.parametrize(
    ("quiet", "terminal", "kind"),
    [(False, True, Bars), (False, False, Lines), (True, True, Silent), (True, False, Silent)],
)
def test_watch(
    monkeypatch: pytest.MonkeyPatch, quiet: bool, terminal: bool, kind: type[object]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    assert type(watch(quiet=quiet, color="auto")) is kind


def test_no_stderr_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    with watch(quiet=False, color="auto").task("read", 1) as advance:
        advance(1)
