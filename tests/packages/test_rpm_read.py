"""What an rpm database says of its packages."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from careen.errors import FormatError
from careen.packages import catalog, rpm
from careen.packages.package import Package
from careen.packages.rpm import RpmRecords, wal
from careen.packages.rpm import ndb as readers
from careen.rootfs.rootfs import Rootfs
from tests.builders import Dir, Lnk, Node, Reg
from tests.packages.rpm_root import DATABASE, HOME, Pkg, database, insert, ndb, redhat
from tests.rootfs.hand_made import rootfs

A = Pkg("alfa", files=["/usr/bin/alfa", "/etc/alfa.conf"], flags={"/etc/alfa.conf": 1})
B = Pkg("bravo", files=["/usr/bin/bravo"])
SYSIMAGE = "usr/lib/sysimage/rpm"


def records(root: Rootfs) -> RpmRecords:
    found = rpm.read(root)
    assert found is not None
    return found


def packages(root: Rootfs) -> dict[str, Package]:
    found = records(root)
    assert found.unsupported == ""
    return {package.id: package for package in found.packages}


def unsupported(root: Rootfs) -> str:
    found = records(root)
    assert found.packages == ()
    assert found.edit(frozenset(["alfa"]), frozenset()) == {}
    return found.unsupported


def test_an_image_without_a_database() -> None:
    assert rpm.read(rootfs([Reg("etc/passwd"), Reg(f"{HOME}/.rpm.lock")])) is None


def test_an_empty_database() -> None:
    found = records(redhat([]))
    assert (found.packages, found.refused, found.unsupported, found.notes) == ((), "", "", ())


def test_a_package_is_read_whole() -> None:
    one = Pkg(
        "alfa",
        files=["/usr/bin/alfa", "/etc/alfa.conf", "/etc/gone.conf", "/usr/share/alfa/"],
        epoch=1,
        flags={"/etc/alfa.conf": 1, "/etc/gone.conf": 1 | 64},
        provides=["liba.so()(64bit)"],
        requires=["/usr/bin/bravo", "bravo", "/none"],
    )
    assert packages(redhat([one, B], Dir("usr/share/alfa")))["alfa"] == Package(
        id="alfa",
        name="alfa",
        version="1:1.0-1",
        architecture="x86_64",
        database="rpm",
        source="src",
        source_version="2.0-3",
        paths=("usr/bin/alfa", "etc/alfa.conf", "etc/gone.conf", "usr/share/alfa"),  # type: ignore[arg-type]
        conffiles=("etc/alfa.conf",),  # type: ignore[arg-type]
        provides=("alfa", "liba.so()(64bit)"),
        depends=(("/usr/bin/bravo",), ("bravo",), ("/none",)),
    )


def test_a_package_without_a_source_is_its_own() -> None:
    one = packages(redhat([Pkg("alfa", source="", epoch=4)]))["alfa"]
    assert (one.source, one.source_version) == ("alfa", "4:1.0-1")


def test_names_through_a_directory_link_are_canonical() -> None:
    links = [Lnk("bin", "usr/bin"), Dir("usr/bin"), Lnk("var/run", "../run"), Dir("run")]
    links += [Lnk("usr/bin/link", "x")]
    one = Pkg("alfa", files=["/bin/x", "/bin/absent", "/var/run/", "/bin/link", "/var/run/y"])
    root = rootfs([*links, Reg("usr/bin/x"), Reg(DATABASE, database([one]))])
    assert packages(root)["alfa"].paths == (
        "usr/bin/x",
        "usr/bin/absent",
        "run",
        "usr/bin/link",
        "run/y",
    )


def test_what_a_package_asks_for_does_not_depend_on_what_else_is_there() -> None:
    shell, alfa = Pkg("bash", files=["/usr/bin/sh"]), Pkg("alfa", requires=["/usr/bin/sh"])
    for there in ([shell, alfa], [alfa]):
        assert packages(redhat(there))["alfa"].depends == (("/usr/bin/sh",),)


def test_ids_do_not_depend_on_what_else_is_there() -> None:
    pair = [Pkg("glibc"), Pkg("glibc", arch="i686")]
    assert list(packages(redhat(pair))) == ["glibc", "glibc.i686"]
    assert list(packages(redhat(pair[1:]))) == ["glibc.i686"]


def test_several_of_one_name_stay() -> None:
    kernels = [Pkg("kernel", version="5", epoch=1), Pkg("kernel", version="6"), A]
    found = records(redhat(kernels))
    ids = [package.id for package in found.packages]
    assert ids == ["kernel-5-1.x86_64", "kernel-6-1.x86_64", "alfa"]
    assert [bool(package.unreadable) for package in found.packages] == [True, True, False]
    assert found.notes == (
        "cannot be edited, several of its name are on record: kernel-5-1.x86_64, kernel-6-1.x86_64",
    )
    with pytest.raises(ValueError, match="must stay"):
        found.edit(frozenset(["kernel-5-1.x86_64"]), frozenset())


def test_the_same_package_twice_has_two_ids() -> None:
    assert len(packages(redhat([A, A]))) == 2


def test_keys_stay_without_a_note() -> None:
    keys = [Pkg("gpg-pubkey", version="1", arch=""), Pkg("gpg-pubkey", version="2", arch="")]
    for some in (keys, keys[:1]):
        found = records(redhat([A, *some]))
        assert [package.unreadable != "" for package in found.packages] == [False] + [True] * len(
            some
        )
        assert found.notes == ()


def test_the_database_is_nobodys_file() -> None:
    """rpm lists its database as ghosts: rpm could never go."""
    listed = ["/usr/bin/rpm", f"/{DATABASE}", f"/{HOME}/", f"/{HOME}/absent"]
    one = Pkg("rpm", files=listed, flags={f"/{DATABASE}": 64, f"/{HOME}/absent": 64})
    files = [Reg(DATABASE, database([one])), Reg(f"{HOME}/.rpm.lock")]
    found = records(rootfs(files))
    assert found.packages[0].paths == ("usr/bin/rpm", HOME, f"{HOME}/absent")
    assert found.files == {HOME, DATABASE, f"{HOME}/.rpm.lock"}


@pytest.mark.parametrize(
    ("nodes", "files"),
    [
        ([Lnk(HOME, f"../../{SYSIMAGE}")], {HOME, SYSIMAGE, f"{SYSIMAGE}/rpmdb.sqlite"}),
        ([Lnk("var", "/private")], {"var", SYSIMAGE, f"{SYSIMAGE}/rpmdb.sqlite"}),
        ([Lnk(HOME, f"../../{SYSIMAGE}"), Lnk(SYSIMAGE, "../../share/rpm")], None),
    ],
)
def test_a_database_behind_links(nodes: list[Node], files: set[str] | None) -> None:
    file = f"{SYSIMAGE}/rpmdb.sqlite" if files else "usr/share/rpm/rpmdb.sqlite"
    found = records(redhat([A], *nodes, file=file))
    assert [package.id for package in found.packages] == ["alfa"]
    expected = files or {HOME, SYSIMAGE, "usr/share/rpm", file}
    assert found.files - {"var"} == expected - {"var"}
    assert list(found.edit(frozenset(["alfa"]), frozenset())) == [file]


def test_ndb_is_read_and_refused_for_editing() -> None:
    found = records(redhat([A, B], content=ndb([A.blob, B.blob]), file=f"{HOME}/Packages.db"))
    assert [package.name for package in found.packages] == ["alfa", "bravo"]
    assert "ndb" in found.refused
    assert found.notes == (f"cannot be edited, {found.refused}: alfa, bravo",)
    assert found.edit(frozenset(), frozenset()) == {}
    with pytest.raises(ValueError, match="must stay"):
        found.edit(frozenset(["alfa"]), frozenset())


def broken(kind: str) -> Iterator[tuple[str, bytes]]:
    sound = database([A]) if kind == "rpmdb.sqlite" else ndb([A.blob])
    yield "empty", b""
    yield "another", b"nothing of the sort" * 1000
    yield "short", sound[: len(sound) // 2]
    yield "damaged", sound.replace(b"alfa.conf", b"alfa\xffconf" * 2)


@pytest.mark.parametrize("kind", ["rpmdb.sqlite", "Packages.db"])
def test_a_database_that_is_none(kind: str) -> None:
    for name, content in broken(kind):
        root = redhat([A], content=content, file=f"{HOME}/{kind}")
        start = f"the image's rpm database cannot be read in full: /{HOME}/{kind}"
        assert unsupported(root).startswith(start), name


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE VIEW x AS WITH n(i) AS (VALUES(1) UNION ALL SELECT * FROM n) SELECT * FROM n",
        "CREATE TABLE x (a)",
        "CREATE TRIGGER x AFTER DELETE ON Name BEGIN DELETE FROM Packages; END",
        "CREATE INDEX x ON Name (zeroblob(1000000))",
        "ALTER TABLE Packages ADD COLUMN more",
    ],
)
def test_a_schema_that_rpm_does_not_make(statement: str) -> None:
    assert unsupported(redhat([A], content=database([A], statement)))


def test_an_index_that_does_not_fit_its_table() -> None:
    content = database([Pkg("word-one"), Pkg("word-two")])
    place = content.rindex(b"word-two")
    damaged = content[:place] + b"word-tvo" + content[place + 8 :]
    assert "SQLite finds it damaged" in unsupported(redhat([], content=damaged))


SLOT, SECOND = 32, 48  # in an ndb file; the header of the first package is at block 256
NDB = ndb([A.blob, B.blob])
BLOCKS = int.from_bytes(NDB[SLOT + 12 : SLOT + 16], "little")
SIZE = (256 + BLOCKS) * 16


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (4, 1, "no ndb database"),
        (12, 0, "0 pages of slots"),
        (12, 99, "99 pages of slots"),
        (SLOT, 1, "a slot is none"),
        (SLOT + 4, 0, "taken twice"),
        (SLOT + 4, 2, "package 2"),
        (SLOT + 8, 255, "taken twice"),
        (SLOT + 8, 0x7FFFFFFF, "cut short"),
        (SLOT + 12, 1, "cut short"),
        (SLOT + 12, 0xFFFFFFFF, "cut short"),
        (SLOT + 12, BLOCKS + 1, "taken twice|not where"),
        (SECOND + 8, 256, "package"),
        (4096, 0, "not where its slot says"),
        (4096 + 4, 2, "not where its slot says"),
        (4096 + 8, 7, "is damaged"),
        (4096 + 12, 1, "not where its slot says"),
        (4096 + 100, 0xABCDEF, "is damaged"),
        (SIZE - 12, 1, "is damaged"),
        (SIZE - 4, 1, "not where its slot says"),
    ],
)
def test_a_lie_in_an_ndb_database(place: int, value: int, message: str) -> None:
    lie = NDB[:place] + value.to_bytes(4, "little") + NDB[place + 4 :]
    with pytest.raises(FormatError, match=message):
        readers.headers(lie)


def test_the_catalog_has_its_packages_or_the_reason() -> None:
    found = catalog.read(redhat([A, B]))
    assert list(found.packages) == ["alfa", "bravo"]
    assert found.unsupported == ()
    assert found.indivisible == {"alfa", "bravo"}
    found = catalog.read(redhat([A], content=b"x" * 1000))
    assert found.packages == {}
    assert [reason.rpartition(": ")[2] for reason in found.unsupported] == ["no SQLite database"]


def test_a_header_that_is_damaged() -> None:
    root = redhat([A], content=database([A, B], "UPDATE Packages SET blob = x'00' WHERE hnum = 2"))
    assert "package 2: a header of 1 bytes" in unsupported(root)


def test_a_database_that_is_a_directory() -> None:
    assert "no such regular file" in unsupported(rootfs([Dir(DATABASE)]))


@pytest.mark.parametrize(
    "other", [f"{HOME}/Packages", f"{SYSIMAGE}/rpmdb.sqlite", f"{SYSIMAGE}/Packages.db"]
)
def test_two_databases(other: str) -> None:
    assert f"/{other}" in unsupported(redhat([A], Reg(other, database([A]))))


def test_a_change_that_broke_off() -> None:
    begun = Reg(f"{DATABASE}-journal", b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7" + bytes(504))
    assert "broke off" in unsupported(redhat([A], begun))
    assert list(packages(redhat([A], Reg(f"{DATABASE}-journal", bytes(512))))) == ["alfa"]


def logged(folder: Path, changes: Sequence[str]) -> tuple[bytes, bytes]:
    """A database with alfa, and the log in which bravo came and `changes` were made."""
    file = folder / "rpmdb.sqlite"
    file.write_bytes(database([A]))
    connection = sqlite3.connect(file)
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    insert(connection, B)
    connection.commit()
    for change in changes:
        connection.execute(change)
        connection.commit()
    found = file.read_bytes(), Path(f"{file}-wal").read_bytes()
    connection.close()
    return found


def by_sqlite(folder: Path, content: bytes, log: bytes) -> bytes:
    """The database once SQLite has replayed the log."""
    file = folder / "judge.sqlite"
    file.write_bytes(content)
    Path(f"{file}-wal").write_bytes(log)
    connection = sqlite3.connect(file)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    return file.read_bytes()


@pytest.mark.parametrize(
    "changes", [[], ["DELETE FROM Name", "VACUUM"], ["DROP TABLE Name", "VACUUM"]]
)
def test_a_log_is_replayed_as_sqlite_does(tmp_path: Path, changes: list[str]) -> None:
    content, log = logged(tmp_path, changes)
    assert len(log) > 32
    assert wal.replayed(content, log) == by_sqlite(tmp_path, content, log)


def test_a_log_that_is_cut_or_damaged_ends_there(tmp_path: Path) -> None:
    content, log = logged(tmp_path, ["DELETE FROM Basenames", "DELETE FROM Sigmd5"])
    frame = 24 + 4096
    commits = set()
    for length in (0, 31, 32, 32 + frame - 1, 32 + frame, 32 + 3 * frame, len(log) - 1, len(log)):
        replayed = wal.replayed(content, log[:length])
        assert replayed == by_sqlite(tmp_path, content, log[:length])
        commits.add(replayed)
    assert len(commits) > 2
    for place in (3, 8, 20, 24, 33, 40, 48, 60, len(log) - 1):
        bad = log[:place] + bytes([log[place] ^ 1]) + log[place + 1 :]
        assert wal.replayed(content, bad) == by_sqlite(tmp_path, content, bad), place


def test_a_package_that_only_the_log_has(tmp_path: Path) -> None:
    content, log = logged(tmp_path, [])
    beside = [Reg(f"{DATABASE}-wal", log), Reg(f"{DATABASE}-shm", bytes(32768))]
    assert list(packages(redhat([A], *beside, content=content))) == ["alfa", "bravo"]
    assert list(packages(redhat([A], content=content))) == ["alfa"]


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(["sqlite", "ndb"]), st.data())
def test_damage_is_refused_or_read(kind: str, data: st.DataObject) -> None:
    file, sound = DAMAGED[kind]
    content = bytearray(sound)
    for _ in range(data.draw(st.integers(1, 5))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    found = records(rootfs([Reg(f"{HOME}/{file}", bytes(content))]))
    assert found.unsupported or len({package.id for package in found.packages}) == 2
    if not found.unsupported and not found.refused:
        found.edit(frozenset(package.id for package in found.packages), frozenset())


DAMAGED = {
    "sqlite": ("rpmdb.sqlite", database([A, B])),
    "ndb": ("Packages.db", ndb([A.blob, B.blob])),
}
