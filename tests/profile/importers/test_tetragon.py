"""Tetragon's export: executions, libraries, and what a TracingPolicy tells of files."""

from __future__ import annotations

from typing import Any

from careen.profile.importers.importer import Filters
from tests.profile.importers.support import gathered, lines, scenario, unread

IMAGE = "docker.io/library/redis@sha256:" + "b" * 64


def process(binary: str, container: str = "redis") -> dict[str, Any]:
    return {
        "exec_id": "bjE6MTIzOjQyNDI=",
        "pid": 4242,
        "binary": binary,
        "arguments": "--port 6379",
        "cwd": "/",
        "flags": "execve rootcwd",
        "pod": {
            "namespace": "default",
            "container": {
                "id": "containerd://0123456789abcdef0123",
                "name": container,
                "image": {"id": IMAGE, "name": "docker.io/library/redis:7"},
            },
        },
    }


def kprobe(function: str, *args: dict[str, Any], **more: Any) -> dict[str, Any]:
    body = {"process": process("/usr/bin/redis-server"), "function_name": function,
            "args": list(args), "policy_name": "files", **more}  # fmt: skip
    return {"process_kprobe": body, "node_name": "n", "time": "2026-11-23T10:00:00Z"}


def path(name: str, **more: str) -> dict[str, Any]:
    return {"file_arg": {"path": name, "permission": "-rw-r--r--", **more}}


LOG = lines(
    {"process_exec": {"process": process("/usr/bin/redis-server"),
                      "parent": {"binary": "/usr/bin/containerd-shim"}}},
    {"process_loader": {"process": process("/usr/bin/redis-server"), "path": "/usr/lib/libssl.so.3",
                        "buildid": "aa=="}},
    kprobe("security_file_permission", path("/etc/redis/redis.conf"), {"int_arg": 4}),
    kprobe("security_mmap_file", path("/usr/lib/libc.so.6"), {"uint_arg": 1}),
    kprobe("sys_openat", {"int_arg": -100}, {"string_arg": "/etc/nothing"},
           **{"return": {"int_arg": -2}}),
    kprobe("sys_openat", {"int_arg": -100}, {"string_arg": "relative"}),
    kprobe("security_path_unlink", {"path_arg": {"path": "/var/lib/redis/temp.rdb"}}),
    kprobe("security_file_open", path("/a/b", flags="unresolvedPathComponents")),
    kprobe("security_bprm_check", {"linux_binprm_arg": {"path": "/usr/bin/redis-cli"}}),
    kprobe("tcp_connect", {"sock_arg": {"family": "AF_INET", "dport": 6379}}),
    {"process_exit": {"process": process("/usr/bin/redis-server"), "signal": "SIGTERM"}},
    {"rate_limit_info": {"number_of_dropped_process_events": "12"}},
    {"process_exec": {"process": process("/usr/bin/envoy", "sidecar")}},
)  # fmt: skip


def test_events() -> None:
    assert scenario("tetragon", LOG, Filters(container="redis")) == {
        "executed": ("/usr/bin/redis-cli", "/usr/bin/redis-server"),
        "opened": ("/etc/redis/redis.conf", "/usr/lib/libc.so.6", "/usr/lib/libssl.so.3"),
        "missing": ("/etc/nothing",),
    }


def test_filters() -> None:
    only = {"executed": ("/usr/bin/envoy",)}
    assert scenario("tetragon", LOG, Filters(process="envoy")) == only
    assert scenario("tetragon", LOG, Filters(process="/usr/bin/env*")) == only
    assert "executed" in scenario("tetragon", LOG, Filters(container="0123456789ab"))
    assert "executed" in scenario("tetragon", LOG, Filters(image="*/redis:7"))


def test_what_tetragon_could_not_resolve_is_not_taken() -> None:
    assert unread(gathered("tetragon", LOG)) == [
        (8, "a path that Tetragon could not resolve: '/a/b'")
    ]


def test_the_image_that_the_log_names() -> None:
    found = gathered("tetragon", LOG, Filters(container="redis"))
    (finding,) = found.findings(["sha256:" + "c" * 64])
    assert finding.rule == "profile-other-image"
    assert "b" * 20 in finding.message
