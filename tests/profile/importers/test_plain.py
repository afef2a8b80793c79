"""Lists of paths, and /proc/PID/maps."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.profile.importers.support import gathered, scenario, told, unread

PATHS = b"""\
# what the nightly job read
/usr/bin/python3
/etc/caf\xe9
/srv/a b

relative/path
./usr/bin/x
/usr/lib//libz.so/../libz.so.1
"""
MAPS = r"""
55caf833b000-55caf8343000 r-xp 00002000 fe:00 260131                     /usr/bin/cat
7f0000000000-7f0000001000 rw-p 00000000 00:00 0
7f0000001000-7f0000002000 r--p 00000000 fe:00 9                          /usr/lib/a\012b (deleted)
7ffd00000000-7ffd00001000 r-xp 00000000 00:00 0                          [vdso]
7f0000003000-7f0000004000 rw-s 00000000 00:01 1024                       /dev/shm/x
not a mapping
"""


def test_a_list_of_paths() -> None:
    assert scenario("paths", PATHS) == {
        "opened": (
            "/etc/caf\udce9",
            "/srv/a b",
            "/usr/bin/python3",
            "/usr/lib/libz.so.1",
        )
    }
    assert unread(gathered("paths", PATHS)) == [
        (6, "not an absolute path: 'relative/path'"),
        (7, "not an absolute path: './usr/bin/x'"),
    ]


def test_the_ends_of_lines_are_no_part_of_a_path() -> None:
    assert scenario("paths", b"/a\r\n/b") == {"opened": ("/a", "/b")}


def test_maps() -> None:
    assert scenario("maps", MAPS) == {"opened": ("/usr/bin/cat", "/usr/lib/a\nb")}
    assert unread(gathered("maps", MAPS)) == [(7, "not a mapping: 'not a mapping'")]


def test_the_kernels_own_maps() -> None:
    done = subprocess.run(["cat", "/proc/self/maps"], stdout=subprocess.PIPE, check=True)
    found = gathered("maps", done.stdout)
    assert found.reads[0].unread == 0
    assert any(path.endswith("/cat") for path in told(found)["opened"])
    own = gathered("maps", Path(f"/proc/{os.getpid()}/maps").read_bytes())
    assert os.path.realpath(sys.executable) in told(own)["opened"]
