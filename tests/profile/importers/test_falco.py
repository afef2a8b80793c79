"""Falco's JSON alerts: what the rule's output names."""

from __future__ import annotations

from typing import Any

from careen.profile.importers.importer import Filters
from tests.profile.importers.support import gathered, lines, scenario, unread


def alert(fields: dict[str, Any], container: str = "redis") -> dict[str, Any]:
    return {
        "hostname": "n1",
        "output": "10:00:00.000000000: Notice a file was opened",
        "priority": "Notice",
        "rule": "Every file",
        "source": "syscall",
        "tags": ["careen"],
        "time": "2026-11-23T10:00:00.000000000Z",
        "output_fields": {
            "container.id": "host" if container == "host" else "4d84a2d3f1e0",
            "container.name": container,
            "container.image.repository": "docker.io/library/redis",
            "container.image.tag": "7",
            "container.image.digest": "sha256:" + "d" * 64,
            "proc.name": "redis-server",
            "proc.exepath": "/usr/bin/redis-check-rdb",
            "evt.time": 1763892000000000000,
            **fields,
        },
    }


LOG = lines(
    alert({"evt.type": "execve", "evt.res": "SUCCESS"}),
    alert({"evt.type": "openat", "evt.res": "SUCCESS", "fd.name": "/etc/redis/redis.conf",
           "fd.type": "file"}),
    alert({"evt.type": "openat", "evt.res": "ENOENT", "fs.path.name": "/etc/nothing"}),
    alert({"evt.type": "openat", "evt.res": "EACCES", "fs.path.name": "/etc/shadow"}),
    alert({"evt.type": "newfstatat", "fs.path.name": "/etc/hosts", "fd.name": None}),
    alert({"evt.type": "unlink", "fs.path.name": "/var/lib/redis/temp.rdb"}),
    alert({"evt.type": "connect", "fd.name": "10.0.0.1:5000->10.0.0.2:6379", "fd.type": "ipv4"}),
    alert({"evt.type": "connect", "fd.name": "/etc/some.sock", "fd.type": "unix"}),
    alert({"evt.type": "openat", "fd.name": "<NA>"}),
    alert({"evt.type": "openat", "fd.name": "/etc/machine-id"}, "host"),
    {"output": "10:00:00: Notice", "rule": "x"},
)  # fmt: skip


def test_alerts() -> None:
    assert scenario("falco", LOG) == {
        "executed": ("/usr/bin/redis-check-rdb",),
        "opened": ("/etc/redis/redis.conf",),
        "examined": ("/etc/hosts",),
        "missing": ("/etc/nothing",),
    }
    assert unread(gathered("falco", LOG)) == [(11, "no `output_fields`")]


def test_filters() -> None:
    every = Filters(container="redis", image="docker.io/library/redis:7", process="redis-server")
    assert scenario("falco", LOG, every) == scenario("falco", LOG)
    for filters in (Filters(container="x"), Filters(image="x"), Filters(process="x")):
        assert gathered("falco", LOG, filters).reads[0].events == 0
