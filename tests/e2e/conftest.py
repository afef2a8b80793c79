"""Hardened fixtures, made once for all tests of a worker."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.e2e.hardened import Hardened, harden
from tests.registries import RunningRegistry, running_registry


@pytest.fixture(scope="session")
def local_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningRegistry]:
    with running_registry(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture(scope="session")
def hardened(
    local_registry: RunningRegistry, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Hardened]:
    """`hardened("redis")`: each fixture is hardened once."""
    made: dict[str, Hardened] = {}

    def get(name: str) -> Hardened:
        if name not in made:
            made[name] = harden(name, local_registry, tmp_path_factory.mktemp(name))
        return made[name]

    return get
