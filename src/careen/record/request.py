"""How to run an image and what to put it through, as the user asks."""

from __future__ import annotations

import msgspec

from careen.record.command import Command
from careen.record.invocation import Overrides

__all__ = ["NETWORKS", "Request"]

NETWORKS = ("private", "host")


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """How to record. `seconds` is the time that a command, or a program that ends, may take.

    It must be ready after `ready_seconds`; `settle` are those it gets where nothing else says when.
    `network` is one of NETWORKS; None is private where the runner can have that. Without
    `exercise`, `execs` and anything about readiness, the program itself is the load: it runs to its
    end.
    """

    scenario: str
    overrides: Overrides = Overrides()
    runner: str = "auto"
    network: str | None = None
    read_only: bool = False
    exercise: Command | None = None
    execs: tuple[Command, ...] = ()
    ready_port: int | None = None
    ready_command: Command | None = None
    ready_seconds: float = 60.0
    settle: float | None = None
    seconds: float = 600.0
    revision: str = ""

    @property
    def is_served(self) -> bool:
        """Whether the application is to be stopped once the load is over."""
        asked = (self.ready_port, self.ready_command, self.settle, self.exercise)
        return bool(self.execs) or any(one is not None for one in asked)
