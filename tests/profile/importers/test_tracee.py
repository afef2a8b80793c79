"""Tracee in both of its schemas tells the same."""

from __future__ import annotations

from typing import Any

import pytest

from careen.profile.importers.importer import Filters
from tests.profile.importers.support import gathered, lines, scenario, unread


def old(name: str, result: int = 0, **arguments: Any) -> dict[str, Any]:
    return {
        "timestamp": 1657292314817581000,
        "processName": "redis-server",
        "executable": {"path": "/usr/bin/redis-server"},
        "containerId": "4d84a2d3f1e0aaaa",
        "container": {"id": "4d84a2d3f1e0aaaa", "name": "redis", "image": "redis:7",
                      "imageDigest": "sha256:" + "d" * 64},
        "eventId": "730",
        "eventName": name,
        "returnValue": result,
        "args": [{"name": key, "type": "const char*", "value": value}
                 for key, value in arguments.items()],
    }  # fmt: skip


def new(name: str, result: int = 0, **arguments: Any) -> dict[str, Any]:
    data: list[dict[str, Any]] = [{"name": key, "str": value} for key, value in arguments.items()]
    data.append({"name": "argv", "str_array": {"value": ["redis-server"]}})
    data.append({"name": "returnValue", "value": str(result)})
    return {
        "timestamp": "2026-11-23T10:00:00.81Z",
        "id": 2011,
        "name": name,
        "workload": {
            "process": {"executable": {"path": "/usr/bin/redis-server"},
                        "thread": {"name": "redis-server"}, "host_pid": 9},
            "container": {"id": "4d84a2d3f1e0aaaa", "name": "redis",
                          "image": {"id": "9", "name": "redis:7",
                                    "repo_digests": ["redis@sha256:" + "d" * 64]}},
        },
        "data": data,
    }  # fmt: skip


@pytest.mark.parametrize("event", [old, new])
def test_either_schema(event: Any) -> None:
    log = lines(
        event("sched_process_exec", pathname="/usr/bin/redis-check-rdb", cmdpath="redis-server",
              interpreter_pathname="/usr/lib/ld-linux-x86-64.so.2"),
        event("security_file_open", pathname="/usr/share/zoneinfo/UTC",
              syscall_pathname="/etc/localtime", flags="O_RDONLY"),
        event("security_file_open", pathname="/etc/redis.conf", syscall_pathname="redis.conf"),
        event("shared_object_loaded", pathname="/usr/lib/libssl.so.3"),
        event("openat", -2, pathname="/etc/nothing"),
        event("openat", -13, pathname="/etc/shadow"),
        event("newfstatat", pathname="/etc/hosts"),
        event("security_inode_unlink", pathname="/var/lib/redis/temp.rdb"),
        event("net_packet", src="10.0.0.1"),
    )  # fmt: skip
    assert scenario("tracee", log) == {
        "executed": ("/usr/bin/redis-check-rdb",),
        "opened": (
            "/etc/localtime",
            "/etc/redis.conf",
            "/usr/lib/ld-linux-x86-64.so.2",
            "/usr/lib/libssl.so.3",
            "/usr/share/zoneinfo/UTC",
        ),
        "examined": ("/etc/hosts",),
        "missing": ("/etc/nothing",),
    }
    found = gathered("tracee", log)
    assert not found.findings(["sha256:" + "d" * 64])
    assert [f.rule for f in found.findings(["sha256:" + "e" * 64])] == ["profile-other-image"]
    for filters in (
        Filters(container="redis", image="redis:7", process="redis-server"),
        Filters(container="4d84a2d3f1e0", process="/usr/bin/redis-*"),
    ):
        assert scenario("tracee", log, filters) == scenario("tracee", log)
    assert gathered("tracee", log, Filters(container="other")).reads[0].events == 0


def test_other_json_is_unread() -> None:
    log = lines({"a": 1}, old("security_file_open", pathname="/a"))
    assert unread(gathered("tracee", log)) == [
        (1, "no `eventName` and no `name`: not an event of Tracee's")
    ]
