"""Registries that the tests of this folder share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from careen.transport.access import Access
from careen.transport.repository import Repository
from tests.registries import RunningRegistry, running_registry
from tests.transport.common import HASTY, Naps
from tests.transport.registry_simulator import Simulator, self_signed


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningRegistry]:
    """A real registry that lets everybody in."""
    with running_registry(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture(scope="session")
def registry_with_login(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningRegistry]:
    """A real registry that lets only ada in, whose password is `s3cret:with colon`."""
    folder = tmp_path_factory.mktemp("registry-with-login")
    with running_registry(folder, htpasswd=("ada", "s3cret:with colon")) as running:
        yield running


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator() as running:
        yield running


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return self_signed(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def naps() -> Naps:
    return Naps()


@pytest.fixture
def repository(simulator: Simulator, naps: Naps) -> Iterator[Repository]:
    with Repository(simulator.host, "a/b", Access(timeouts=HASTY), sleep=naps) as opened:
        yield opened
