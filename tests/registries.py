"""A real registry (Debian's docker-registry) on a free port of 127.0.0.1, for tests to talk to."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["RunningRegistry", "running_registry"]


@dataclass(frozen=True)
class RunningRegistry:
    """`host` is `127.0.0.1:PORT`; `storage` is the folder that holds what was pushed."""

    host: str
    storage: Path
    log: Path


@contextlib.contextmanager
def running_registry(
    folder: Path, *, htpasswd: tuple[str, str] | None = None, delete: bool = True
) -> Iterator[RunningRegistry]:
    """A registry with its files in `folder`; `htpasswd` (user, password) makes it ask for Basic."""
    folder.mkdir(parents=True, exist_ok=True)
    for _ in range(5):  # the port is free when it is chosen, and may be taken when it is bound
        registry = RunningRegistry(
            host=f"127.0.0.1:{_free_port()}", storage=folder / "storage", log=folder / "log"
        )
        config = _write_config(registry, folder, htpasswd, delete)
        with registry.log.open("ab") as log:
            process = subprocess.Popen(
                ["docker-registry", "serve", str(config)], stdout=log, stderr=subprocess.STDOUT
            )
        try:
            if _is_up(registry, process):
                yield registry
                return
        finally:
            process.terminate()
            process.wait(timeout=20)
    raise RuntimeError(f"docker-registry does not start: {registry.log.read_text()[-2000:]}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _write_config(
    registry: RunningRegistry, folder: Path, htpasswd: tuple[str, str] | None, delete: bool
) -> Path:
    document: dict[str, object] = {
        "version": 0.1,
        "log": {"level": "warn", "accesslog": {"disabled": True}},
        "storage": {
            "filesystem": {"rootdirectory": str(registry.storage)},
            "delete": {"enabled": delete},
        },
        "http": {"addr": registry.host},
    }
    if htpasswd:
        users = folder / "htpasswd"
        with users.open("wb") as out:
            subprocess.run(["htpasswd", "-Bbn", *htpasswd], stdout=out, check=True)
        document["auth"] = {"htpasswd": {"realm": "tests", "path": str(users)}}
    config = folder / "config.yml"
    config.write_text(json.dumps(document))  # JSON is YAML
    return config


def _is_up(registry: RunningRegistry, process: subprocess.Popen[bytes]) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    for _ in range(200):
        if process.poll() is not None:
            return False
        try:
            opener.open(f"http://{registry.host}/v2/", timeout=5).close()
        except urllib.error.HTTPError as answer:
            answer.close()
            return answer.code == 401
        except OSError:
            time.sleep(0.05)
        else:
            return True
    return False
