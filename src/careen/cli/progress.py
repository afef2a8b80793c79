"""How far the work is: a bar where stderr is a terminal, else a line now and then."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import TextIO

from careen.cli.console import colored, is_terminal
from careen.cli.units import size
from careen.workflow import Progress

__all__ = ["Bars", "Lines", "Silent", "watch"]

_EVERY = 10.0  # seconds between two lines of one step
_WORTH_A_LINE = 1.0  # seconds; a step that was faster is not spoken of


def watch(*, quiet: bool, color: str) -> Progress:
    """Who is told, by what stderr is."""
    with_color = colored(sys.stderr, color)
    if quiet or sys.stderr is None:
        return Silent()
    return Bars(sys.stderr, with_color) if is_terminal(sys.stderr) else Lines(sys.stderr)


class Silent:
    """Nobody."""

    @contextlib.contextmanager
    def task(self, label: str, total: int) -> Iterator[Callable[[int], None]]:
        """Nothing is said."""
        yield lambda _: None


class Lines:
    """A log: a line every ten seconds, and one at the end of a step that took more than one."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def task(self, label: str, total: int) -> Iterator[Callable[[int], None]]:
        """What it yields may be called from any thread."""
        start = last = self._clock()
        done = 0

        def advance(count: int) -> None:
            nonlocal done, last
            with self._lock:
                done += count
                now = self._clock()
                if now - last >= _EVERY:
                    last = now
                    self._say(f"{label}: {_of(done, total)}")

        yield advance
        seconds = self._clock() - start
        if seconds >= _WORTH_A_LINE:
            self._say(f"{label}: {size(done)} in {seconds:.1f} s")

    def _say(self, text: str) -> None:
        with contextlib.suppress(OSError):  # a log that nobody reads any more stops no work
            self._stream.write(f"careen: {text}\n")
            self._stream.flush()


class Bars:
    """A terminal: one bar a step under way, gone when nothing is."""

    def __init__(self, stream: TextIO, with_color: bool) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            TextColumn,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )
        from rich.progress import Progress as Display

        self._console = Console(
            file=stream, color_system="standard" if with_color else None, force_terminal=True
        )
        self._display = Display(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
        )
        self._lock = threading.Lock()
        self._running = 0

    @contextlib.contextmanager
    def task(self, label: str, total: int) -> Iterator[Callable[[int], None]]:
        """What it yields may be called from any thread."""
        self._count(1)
        bar = self._display.add_task(label, total=total or None)
        try:
            yield lambda count: self._display.advance(bar, count)
        finally:
            self._display.remove_task(bar)
            self._count(-1)

    def _count(self, change: int) -> None:
        with self._lock:
            self._running += change
            if self._running == 1 and change == 1:
                self._display.start()
            elif self._running == 0:
                self._display.stop()


def _of(done: int, total: int) -> str:
    return f"{size(done)} of {size(total)}" if total else size(done)
