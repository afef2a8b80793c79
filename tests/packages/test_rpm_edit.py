"""What an rpm database says once packages are gone."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from pathlib import Path

import pytest

from careen.errors import SourceError
from careen.packages import rpm
from careen.packages.rpm import RpmRecords, pages
from careen.rootfs import path as paths
from careen.rootfs.rootfs import Rootfs
from tests.builders import Reg
from tests.packages.rpm_root import DATABASE, Pkg, database, insert, redhat

PACKAGES = [
    Pkg(
        f"word-{name}",
        files=[f"/usr/bin/{name}", f"/usr/share/{name}/readme", "/usr/share/common"],
        requires=["libc.so.6()(64bit)"],
    )
    for name in ("alfa", "bravo", "charlie", "delta", "echo", "foxtrot", "golf", "hotel")
]
REMOVED = ("bravo", "delta", "golf", "hotel")
VERSION = slice(96, 100)


def records(root: Rootfs) -> RpmRecords:
    found = rpm.read(root)
    assert found is not None
    assert found.unsupported == ""
    return found


def removed(names: Iterable[str] = REMOVED) -> frozenset[str]:
    return frozenset(f"word-{name}" for name in names)


def edited(content: bytes, names: Iterable[str] = REMOVED) -> bytes:
    changes = records(redhat(PACKAGES, content=content)).edit(removed(names), frozenset())
    assert list(changes) == [DATABASE]
    result = changes[paths.Path(DATABASE)]
    assert result is not None
    return result


def rows(content: bytes, table: str, column: str) -> list[object]:
    with sqlite3.connect(":memory:") as connection:
        connection.deserialize(content[:18] + b"\1\1" + content[20:])
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        found = [value for (value,) in connection.execute(f"SELECT {column} FROM '{table}'")]
    connection.close()
    return found


def test_rows_of_removed_packages_leave_every_table() -> None:
    after = edited(database(PACKAGES))
    assert rows(after, "Packages", "hnum") == [1, 3, 5, 6]
    assert rows(after, "Name", "key") == [
        f"word-{n}" for n in ("alfa", "charlie", "echo", "foxtrot")
    ]
    for table in ("Basenames", "Requirename", "Sigmd5"):
        assert set(rows(after, table, "hnum")) == {1, 3, 5, 6}
    blobs = [one.blob for one in PACKAGES if one.name not in removed()]
    assert rows(after, "Packages", "blob") == blobs
    assert rows(after, "sqlite_sequence", "seq") == [8]


def test_nothing_of_a_removed_package_is_left_in_the_bytes() -> None:
    # india's rows were deleted before, and are still there to see
    india = Pkg("word-india", files=[f"/usr/share/india/{number}" for number in range(999)])
    before = database(
        [PACKAGES[0], india, *PACKAGES[1:]],
        "PRAGMA secure_delete = OFF",
        "DELETE FROM Packages WHERE hnum = 2",
        "DELETE FROM Name WHERE hnum = 2",
        "DELETE FROM Basenames WHERE hnum = 2",
    )
    after = edited(before)
    for name in (*REMOVED, "india"):
        assert name.encode() in before
        assert name.encode() not in after
    assert after[32:40] == bytes(8)  # no free pages


def test_a_row_that_points_at_no_package_goes() -> None:
    stale = "INSERT INTO Basenames VALUES ('stale', 77, 0)"
    after = edited(database(PACKAGES, stale))
    assert b"stale" not in after


def test_samples_of_keys_for_the_planner_go() -> None:
    content = database(PACKAGES, "ANALYZE")
    assert b"sqlite_stat1" in content
    with sqlite3.connect(":memory:") as connection:
        connection.deserialize(content[:18] + b"\1\1" + content[20:])
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("CREATE TABLE x(tbl,idx,neq,nlt,ndlt,sample)")
        connection.execute("INSERT INTO x VALUES ('Name', 'Name_key_idx', '1', '1', '1', 'golf')")
        connection.execute(
            "UPDATE sqlite_master SET name = 'sqlite_stat4', tbl_name = 'sqlite_stat4', "
            "sql = 'CREATE TABLE sqlite_stat4(tbl,idx,neq,nlt,ndlt,sample)' WHERE name = 'x'"
        )
        connection.commit()
        content = connection.serialize()
    connection.close()
    after = edited(content)
    assert b"golf" not in after
    assert rows(after, "sqlite_stat4", "sample") == []
    assert rows(after, "sqlite_stat1", "tbl") != []


def test_the_same_edit_gives_the_same_bytes() -> None:
    content = database(PACKAGES)
    assert edited(content) == edited(content)
    assert edited(content, reversed(REMOVED)) == edited(content)


def test_the_bytes_do_not_tell_which_sqlite_careen_ran_on() -> None:
    content = database(PACKAGES)
    after = edited(content)
    for place in (slice(18, 20), slice(24, 28), VERSION):
        assert after[place] == content[place]
    assert after[92:96] == content[24:28]
    other = bytearray(content)
    other[VERSION] = (3_099_001).to_bytes(4, "big")
    expected = bytearray(after)
    expected[VERSION] = other[VERSION]
    assert edited(bytes(other)) == expected


def test_room_that_no_cell_uses_is_cleared() -> None:
    content = edited(database(PACKAGES))
    leaf = 3 * 4096
    assert content[leaf] in (10, 13)
    count, used = (int.from_bytes(content[leaf + at : leaf + at + 2], "big") for at in (3, 5))
    room = slice(leaf + 8 + 2 * count, leaf + used)
    assert content[room] == bytes(used - 8 - 2 * count)
    stale = content[: room.start] + b"x" * (room.stop - room.start) + content[room.stop :]
    with sqlite3.connect(":memory:") as connection:
        connection.deserialize(content[:18] + b"\1\1" + content[20:])
        roots = [root for (root,) in connection.execute("SELECT rootpage FROM sqlite_master")]
    connection.close()
    assert pages.cleared(stale, 4096, [1, *roots]) == content


def test_a_log_is_in_the_edit_and_goes_with_it(tmp_path: Path) -> None:
    file = tmp_path / "rpmdb.sqlite"
    file.write_bytes(database(PACKAGES))
    connection = sqlite3.connect(file)
    insert(connection, Pkg("word-india"))
    connection.commit()
    content, log = file.read_bytes(), Path(f"{file}-wal").read_bytes()
    connection.close()
    assert b"india" in log
    assert b"india" not in content
    beside = [Reg(f"{DATABASE}-wal", log), Reg(f"{DATABASE}-shm", bytes(32768))]
    found = records(redhat(PACKAGES, *beside, content=content))
    changes = found.edit(removed(["golf"]), frozenset())
    assert list(changes) == [DATABASE, f"{DATABASE}-shm", f"{DATABASE}-wal"]
    after = changes[paths.Path(DATABASE)]
    assert after is not None
    assert [changes[paths.Path(f"{DATABASE}{end}")] for end in ("-shm", "-wal")] == [None, None]
    assert rows(after, "Name", "key")[-1] == "word-india"
    assert after[18:20] == b"\2\2"
    assert found.edit(frozenset(), frozenset()) == {}


def test_an_edited_database_is_read_like_the_source() -> None:
    before = records(redhat(PACKAGES))
    after = records(redhat(PACKAGES, content=edited(database(PACKAGES))))
    kept = tuple(one for one in before.packages if one.id not in removed())
    assert after.packages == kept


def test_nothing_changes_when_nothing_of_it_goes() -> None:
    found = records(redhat(PACKAGES))
    assert found.edit(frozenset(), frozenset()) == {}
    assert found.edit(frozenset(["of-another-database"]), frozenset()) == {}


def test_a_package_goes_whole_or_not_at_all() -> None:
    found = records(redhat(PACKAGES))
    assert found.whole
    gone = frozenset([paths.Path("usr/bin/bravo"), paths.Path("usr/share/bravo/readme")])
    assert list(found.edit(removed(["bravo"]), gone)) == [DATABASE]
    with pytest.raises(SourceError, match=r"word-alfa: /usr/bin/alfa cannot go alone"):
        found.edit(removed(["bravo"]), gone | {paths.Path("usr/bin/alfa")})
    with pytest.raises(SourceError, match="/usr/share/common"):
        found.edit(removed(), frozenset([paths.Path("usr/share/common")]))


def test_login_shells_that_went_leave_their_list_unless_a_package_owns_it() -> None:
    shells = Reg("etc/shells", "/usr/bin/alfa\n/usr/bin/bravo\n")
    gone = frozenset([paths.Path("usr/bin/bravo")])
    changes = records(redhat(PACKAGES, shells)).edit(removed(["bravo"]), gone)
    assert changes[paths.Path("etc/shells")] == b"/usr/bin/alfa\n"
    setup = Pkg("setup", files=["/etc/shells"], flags={"/etc/shells": 1})
    found = records(redhat([*PACKAGES, setup], shells))
    assert list(found.edit(removed(["bravo"]), gone)) == [DATABASE]
