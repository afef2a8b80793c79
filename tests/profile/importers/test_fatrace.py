"""fatrace, as text and as JSON."""

from __future__ import annotations

from careen.profile.importers.importer import Filters
from tests.profile.importers.support import gathered, lines, scenario, unread

TEXT = """\
redis-server(875): RO /etc/redis/redis.conf
redis-server(875): RCO /usr/lib/x86_64-linux-gnu/libc.so.6
10:00:00.123456 sh (x)(876): O /usr/bin/dash
redis-server(875) [999:999]: W /var/lib/redis/a file
redis-server(875): + /var/lib/redis/temp.rdb
redis-server(875): <> /var/lib/redis/dump.rdb
redis-server(875): R /usr/lib/old.so (deleted)
unknown(1): O device 8:2 inode 658965
nonsense
"""
JSON = lines(
    {"timestamp": 1763892000.5, "comm": "redis-server", "pid": 875, "types": "RO",
     "path": "/etc/redis/redis.conf", "exe": "/usr/bin/redis-check-rdb", "device": {"major": 8}},
    {"comm": "redis-server", "pid": 875, "types": ["R", "C"], "path": "/etc/hosts"},
    {"comm": "redis-server", "pid": 875, "types": "D", "path": "/var/lib/redis/temp.rdb"},
    {"comm": "cat", "pid": 876, "types": "O", "path": "/etc/motd"},
)  # fmt: skip


def test_text() -> None:
    assert scenario("fatrace", TEXT) == {
        "opened": (
            "/etc/redis/redis.conf",
            "/usr/bin/dash",
            "/usr/lib/x86_64-linux-gnu/libc.so.6",
            "/var/lib/redis/a file",
        )
    }
    found = gathered("fatrace", TEXT)
    assert unread(found) == [(9, "not an event: 'nonsense'")]
    assert found.reads[0].relative == 1


def test_json() -> None:
    assert scenario("fatrace", JSON, Filters(process="redis-server")) == {
        "executed": ("/usr/bin/redis-check-rdb",),
        "opened": ("/etc/hosts", "/etc/redis/redis.conf"),
    }


def test_a_name_that_the_kernel_cut_is_found_by_the_whole() -> None:
    log = "a-very-long-pro(1): O /a\nother(2): O /b\n"
    assert scenario("fatrace", log, Filters(process="a-very-long-program")) == {"opened": ("/a",)}
    assert scenario("fatrace", log, Filters(process="o*r")) == {"opened": ("/b",)}
