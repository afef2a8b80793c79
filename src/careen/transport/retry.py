"""When a request is made again, and after how long.

Passing failures are raised as `PassingError`; `persist` runs the work again until it succeeds or
its attempts are used up. RFC 9110, section 10.2.3, gives the two forms of Retry-After.
"""

from __future__ import annotations

import email.utils
import random
import time
from collections.abc import Callable, Mapping
from typing import TypeVar

from careen.errors import RegistryError

__all__ = ["PASSING", "PassingError", "backoff", "persist", "retry_after"]

T = TypeVar("T")

# Timeout, too many requests, and a server or a gateway in trouble (522 is Cloudflare's).
PASSING = frozenset({408, 429, 500, 502, 503, 504, 522})

_UNREACHABLE_TRIES = 3


class PassingError(RegistryError):
    """A failure that may pass. `wait` is what the registry asks for, in seconds, if it does.

    `unreachable`: no connection was made at all, so few and quick tries will do.
    """

    def __init__(
        self, message: str, *, wait: float | None = None, unreachable: bool = False
    ) -> None:
        super().__init__(message)
        self.wait = wait
        self.unreachable = unreachable


def persist(work: Callable[[], T], *, attempts: int, sleep: Callable[[float], None]) -> T:
    """What `work` returns, run up to `attempts` times while it raises PassingError.

    The last failure rises as a plain RegistryError, so that an outer `persist` does not multiply.
    """
    attempt = 1
    while True:
        try:
            return work()
        except PassingError as failure:
            limit = min(attempts, _UNREACHABLE_TRIES) if failure.unreachable else attempts
            if attempt >= limit:
                raise given_up(failure, attempt) from failure
            sleep(_pause(failure, attempt))
            attempt += 1


def given_up(failure: PassingError, attempts: int) -> RegistryError:
    """The final word on a failure that did not pass."""
    times = "" if attempts == 1 else f" ({attempts} attempts)"
    return RegistryError(f"{failure.message}{times}", at=failure.at)


def backoff(attempt: int) -> float:
    """Seconds to wait after the failed attempt number `attempt` (from 1): 0.5 → 30, jittered."""
    return float(min(30.0, 0.5 * 2 ** min(attempt - 1, 10)) * random.uniform(0.5, 1.0))  # noqa: S311 - no secret


def retry_after(headers: Mapping[str, str], *, cap: float) -> float | None:
    """Seconds that a Retry-After header asks for, at most `cap`; None without a readable one."""
    text = headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:10]), cap)
    then = _seconds(text)
    if then is None:
        return None
    # The server's own Date is the clock that its Retry-After was read from.
    now = _seconds(headers.get("Date", ""))
    return min(max(0.0, then - (time.time() if now is None else now)), cap)


def _seconds(date: str) -> float | None:
    try:
        return email.utils.parsedate_to_datetime(date).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def _pause(failure: PassingError, attempt: int) -> float:
    if failure.wait is not None:
        return failure.wait
    return 0.3 * attempt if failure.unreachable else backoff(attempt)
