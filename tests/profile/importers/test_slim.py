"""slim's container report: a real one of an old version, and mint's newer shape."""

from __future__ import annotations

import json
from typing import Any

import pytest

from careen.errors import FormatError
from tests.builders import Lnk, Reg
from tests.data import DATA
from tests.profile.importers.support import gathered, scenario

REAL = DATA / "profiles/nginx.slim.creport.json"


def artifact(path: str, kind: str = "file", **more: Any) -> dict[str, Any]:
    return {"file_type": kind, "file_path": path, "mode": "-rwxr-xr-x", "file_size": 1, **more}


MINT: dict[str, Any] = {
    "document": "doc.report.container",
    "start_command": {
        "app_name": "/entry.sh",
        "app_args": ["redis-server"],
        "app_entrypoint": ["/entry.sh"],
        "app_cmd": ["redis-server"],
    },
    "sensor": {"version": "linux|Aurora|1.41.7", "args": ["sensor", "-m=e"]},
    "system": {"type": "", "release": "6.5.0", "distro": {"name": "debian"}},
    "monitors": {
        "fan": {
            "event_count": 3,
            "main_process": {"pid": 8, "name": "redis-server", "path": "/usr/bin/redis-server"},
            "processes": {"8": {"pid": 8, "name": "redis-server", "ppid": 1}},
            "process_files": {
                "8": {
                    "/usr/bin/redis-server": {"event_count": 2, "first_eid": 1, "execs": 1},
                    "/etc/passwd": {"event_count": 1, "first_eid": 2},
                },
                "9": {"/usr/bin/redis-server": {"event_count": 1, "first_eid": 3, "reads": 1}},
            },
        },
        "pt": {
            "enabled": True,
            "syscall_stats": {"257": {"num": 257, "name": "openat", "count": 30}},
            "fs_activity": {
                "/etc/nsswitch.conf": {"ops_all": 1, "ops_checkfile": 1},
                "/lib/libc.so.6": {"ops_all": 3, "ops_checkfile": 1, "pids": {"8": {}}},
            },
        },
    },
    "image": {
        "files": [
            artifact("/usr/bin/redis-server", flags={"R": True, "X": True}, sha1_hash="ab"),
            artifact("/etc/passwd"),
            artifact("/etc/nsswitch.conf"),
            artifact("/lib/libc.so.6"),
            artifact("/var/lib/redis/dump.rdb", flags={"W": True}),
            artifact("/usr/bin/redis", "symlink", link_ref="redis-server"),
            artifact("/srv", "dir"),
        ]
    },
}


def test_mints_report() -> None:
    assert scenario("slim", json.dumps(MINT)) == {
        "executed": ("/usr/bin/redis-server",),
        "opened": (
            "/etc/passwd",
            "/lib/libc.so.6",
            "/var/lib/redis/dump.rdb",
        ),
        "examined": ("/etc/nsswitch.conf", "/srv"),
        "links": {"/usr/bin/redis": "/usr/bin/redis-server"},
        "command": ("/entry.sh", "redis-server"),
    }


def test_in_the_image_links_lead_where_they_do_there() -> None:
    image = [Reg("usr/bin/redis-server"), Lnk("usr/bin/redis", "redis-server"), Reg("etc/passwd")]
    assert scenario("slim", json.dumps(MINT), image=image) == {
        "executed": ("/usr/bin/redis-server",),
        "opened": ("/etc/passwd",),
        "links": {"/usr/bin/redis": "/usr/bin/redis-server"},
        "command": ("/entry.sh", "redis-server"),
    }


@pytest.mark.skipif(not REAL.exists(), reason=f"no {REAL}")
def test_a_real_report_of_nginx() -> None:
    found = gathered("slim", REAL.read_bytes())
    listed = json.loads(REAL.read_text())["image"]["files"]
    (read,) = found.reads
    assert (read.lines, read.unread, read.relative) == (len(listed), 0, 0)
    told = scenario("slim", REAL.read_bytes())
    assert told["executed"] == ("/usr/sbin/nginx",)
    used = {*told["executed"], *told["opened"], *told["links"]}
    assert used == {item["file_path"] for item in listed}
    links = {item["file_path"] for item in listed if item["file_type"] == "Symlink"}
    assert set(told["links"]) == links
    assert told["links"]["/lib/x86_64-linux-gnu/libz.so.1"] == "/lib/x86_64-linux-gnu/libz.so.1.2.8"


@pytest.mark.parametrize("text", ["{}", '{"image": {"files": []}}', "[]", "", '{"a": 1'])
def test_what_is_no_report_is_refused(text: str) -> None:
    with pytest.raises(FormatError, match="log"):
        gathered("slim", text)
