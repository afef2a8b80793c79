"""Real images for every test: built on first use, then kept (fixtures/README.md).

    def test_something(redis_image): layout, ref = redis_image

They are shared: a test that changes a layout works on a copy.
"""

from __future__ import annotations

import pytest
from fixtures.build import Image, build


@pytest.fixture(scope="session")
def redis_image() -> Image:
    """`redis:7`: User by name, Entrypoint a symbolic link to a binary, no shell needed."""
    return build("redis")


@pytest.fixture(scope="session")
def nginx_image() -> Image:
    """`nginx:1`: no Entrypoint, workers of another user, modules by links."""
    return build("nginx")


@pytest.fixture(scope="session")
def flask_image() -> Image:
    """`flask:1`: an application from pip, a health check, whiteouts of the base's documentation."""
    return build("flask")


@pytest.fixture(scope="session")
def postgres_image() -> Image:
    """`postgres:15`: over 400 MB, an entrypoint script that needs the shell."""
    return build("postgres")
