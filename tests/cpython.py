"""CPython's own test suite, of Debian's packages, as a folder to mount: no part of any image.

`libpython3.11-testsuite` holds the tests, `libpython3.11-stdlib` what runs them. Two modules are
added: Debian's package lacks test_sqlite3, and test_zoneinfo brings time zones of its own.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from fixtures.build import PYTHON, cache_folder, kept

from tests.debs import fetched

__all__ = ["FOLDERS", "MODULES", "command", "suite"]

LIBRARY = f"/usr/lib/python{PYTHON}"
FOLDERS = {"test": f"{LIBRARY}/test", "ctypes": f"{LIBRARY}/ctypes/test"}
"""Where each folder of the suite belongs in an image."""

MODULES = (
    *("test_json", "test_sqlite3", "test_ssl", "test_zoneinfo", "test_zones", "test_subprocess"),
    "test_ctypes",
)
IGNORED = (
    # they fail on the source: in careen's sandbox an image's user is the only one that there is
    *("test_user", "test_group"),
    # for an image without compiler and linker
    *("test_find_library_with_gcc", "test_find_library_with_ld"),
    # only long: a handshake or a process each, of which others remain; seconds of sleep each
    *("*.ThreadedTests.*", "*.ProcessTestCase*", "*.TestTool.*", "*fds*", "*cloexec*"),
    *("*timeout*", "*_dead", "*after_stdout_close"),
)
OWN = {
    "test_sqlite3": """\
import sqlite3, unittest
class TestDatabase(unittest.TestCase):
    def test_rows_come_back(self):
        database = sqlite3.connect(":memory:")
        self.addCleanup(database.close)
        database.execute("create table t (a)")
        database.executemany("insert into t values (?)", [(1,), (2,)])
        self.assertEqual(list(database.execute("select sum(a) from t")), [(3,)])
        self.assertIn('INSERT INTO "t" VALUES(2);', list(database.iterdump()))
""",
    "test_zones": """\
import datetime, unittest, zoneinfo
class TestZones(unittest.TestCase):
    def test_summer_time_of_the_system(self):
        zone = zoneinfo.ZoneInfo("Europe/Vienna")
        names = [datetime.datetime(2024, month, 1, tzinfo=zone).tzname() for month in (1, 7)]
        self.assertEqual(names, ["CET", "CEST"])
""",
}


def command() -> list[str]:
    """What runs the suite, in an image where its folders are."""
    ignored = [word for pattern in IGNORED for word in ("--ignore", pattern)]
    return ["python3", "-m", "test", "-j2", *ignored, *MODULES]


def suite() -> Path:
    """The suite's folders, by the names of `FOLDERS`; fetched on first use, then kept."""
    place = cache_folder().absolute() / "cpython-suite"
    with kept(place, [Path(__file__)]) as folder:
        if folder is not None:
            make(folder)
    return place


def make(folder: Path) -> None:
    """Unpack the packages, and leave the suite's folders alone in `folder`."""
    root, debs = folder / "root", folder / "debs"
    packages = (f"libpython{PYTHON}-testsuite", f"libpython{PYTHON}-stdlib")
    for archive in fetched(debs, *packages):
        subprocess.run(["dpkg-deb", "--extract", archive, root], check=True)
    for name, inside in FOLDERS.items():
        shutil.move(root / inside[1:], folder / name)
    for name, text in OWN.items():
        (folder / "test" / f"{name}.py").write_text(text)
    shutil.rmtree(root)
    shutil.rmtree(debs)
