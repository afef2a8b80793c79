"""One word of several, as options take it."""

from __future__ import annotations

from typing import TypeVar

from careen.errors import UsageError

__all__ = ["chosen"]

T = TypeVar("T", bound=str)


def chosen(option: str, value: str, choices: tuple[T, ...]) -> T:
    """`value` as one of `choices`; UsageError when it is none."""
    for choice in choices:
        if choice == value:
            return choice
    raise UsageError(f"no such choice: {value!r}; choose {_either(choices)}", at=option)


def _either(choices: tuple[str, ...]) -> str:
    return " or ".join(filter(None, (", ".join(choices[:-1]), choices[-1])))
