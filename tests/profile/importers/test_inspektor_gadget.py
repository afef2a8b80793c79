"""trace_open and trace_exec, of image-based gadgets and of the tools before them."""

from __future__ import annotations

from typing import Any

import pytest

from careen.profile.importers.importer import Filters
from tests.builders import Lnk, Reg
from tests.profile.importers.support import gathered, lines, scenario, unread

DIGEST = "sha256:" + "a" * 64


def event(container: str = "app", comm: str = "redis-server", **more: Any) -> dict[str, Any]:
    return {
        "k8s": {"containerName": container, "namespace": "prod", "podName": f"{container}-0"},
        "proc": {"comm": comm, "pid": 19588, "tid": 20673, "mntns_id": 4026534543},
        "runtime": {
            "containerId": "ba89979bd3ce494f4b997cac228185000598386fcb55aa9d0c236ccc203fe6a6",
            "containerImageDigest": DIGEST,
            "containerImageName": f"registry.example/{container}:1",
            "containerName": container,
            "runtimeName": "containerd",
        },
        "timestamp": "2026-11-23T10:00:00.000000000Z",
        **more,
    }


NEW = lines(
    event(fname="/etc/localtime", fpath="/usr/share/zoneinfo/UTC", error="", fd=3),
    event(fname="redis.conf", fpath="/etc/redis/redis.conf", error="", fd=4),
    event(fname="/etc/ld.so.preload", error="ENOENT", fd=0),
    event(fname="/etc/shadow", error="EACCES", fd=0),
    event(fname="/proc/stat", error="", fd=5, mode="----------"),
    event(args="/usr/bin/redis-server *:6379", exepath="/usr/bin/redis-check-rdb",
          file="/usr/bin/redis-server", cwd="/data", error="", upper_layer=False),
    event("sidecar", "envoy", fname="/etc/envoy.yaml", error="", fd=3),
)  # fmt: skip
OLD = lines(
    {"runtime": {"containerName": "mycontainer", "runtimeName": "docker"}, "type": "normal",
     "comm": "cat", "pid": 317300, "err": 0, "fd": 3, "flags": 524288, "fname": "/lib/libc.so.6"},
    {"node": "n1", "container": "mycontainer", "type": "normal", "pid": 11, "comm": "cat", "err": 2,
     "path": "/etc/nothing", "fd": 0},
    {"node": "n1", "container": "mycontainer", "type": "normal", "pid": 11, "comm": "cat",
     "ret": 0, "args": ["/bin/cat", "/dev/null"], "cwd": "/"},
)  # fmt: skip


def test_image_based_gadgets() -> None:
    assert scenario("inspektor-gadget", NEW, Filters(container="app")) == {
        "executed": ("/usr/bin/redis-check-rdb", "/usr/bin/redis-server"),
        "opened": ("/etc/localtime", "/etc/redis/redis.conf", "/usr/share/zoneinfo/UTC"),
        "missing": ("/etc/ld.so.preload",),
    }


def test_the_tools_before_them() -> None:
    assert scenario("inspektor-gadget", OLD) == {
        "executed": ("/bin/cat",),
        "opened": ("/lib/libc.so.6",),
        "missing": ("/etc/nothing",),
    }


def test_in_the_image() -> None:
    image = [Lnk("etc/localtime", "/usr/share/zoneinfo/UTC"), Reg("usr/share/zoneinfo/UTC")]
    assert scenario("inspektor-gadget", NEW, image=image) == {
        "opened": ("/usr/share/zoneinfo/UTC",),
        "links": {"/etc/localtime": "/usr/share/zoneinfo/UTC"},
        "missing": ("/etc/ld.so.preload",),
    }


@pytest.mark.parametrize(
    ("filters", "opened"),
    [
        (Filters(container="side*"), ("/etc/envoy.yaml",)),
        (Filters(image="registry.example/sidecar:1"), ("/etc/envoy.yaml",)),
        (Filters(process="envoy"), ("/etc/envoy.yaml",)),
        (Filters(process="envoy", container="app"), None),
        (Filters(container="ba89979bd3ce", process="env?y"), ("/etc/envoy.yaml",)),
    ],
)
def test_filters(filters: Filters, opened: tuple[str, ...] | None) -> None:
    found = gathered("inspektor-gadget", NEW, filters)
    if opened is None:
        assert found.reads[0].events == 0
    else:
        assert scenario("inspektor-gadget", NEW, filters) == {"opened": opened}


def test_a_name_that_may_be_cut_is_not_taken() -> None:
    cut = "/" + "x" * 253
    log = lines(event(fname=cut, error=""), event(fname=cut, fpath=cut + "y", error=""))
    assert scenario("inspektor-gadget", log) == {"opened": (cut, cut + "y")}
    assert unread(gathered("inspektor-gadget", log)) == [
        (1, "a name that may be cut short; run the gadget with --paths")
    ]


def test_several_containers_and_another_image_are_doubts() -> None:
    found = gathered("inspektor-gadget", NEW)
    assert [finding.rule for finding in found.findings()] == ["profile-several-containers"]
    assert [f.rule for f in found.findings(["sha256:other"])][1:] == ["profile-other-image"]
    assert len(found.findings([DIGEST])) == 1
