"""What an apk database says of its packages."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from careen.errors import FormatError
from careen.packages import apk
from careen.packages.apk import ApkRecords
from careen.packages.apk.checksum import identity
from careen.packages.package import Package
from careen.rootfs.rootfs import Rootfs
from tests.builders import Dir, Lnk, Node, Reg
from tests.packages.apk_root import HOME, WORLD, Pkg, alpine, archive, entry, installed
from tests.rootfs.hand_made import rootfs


def records(root: Rootfs) -> ApkRecords:
    found = apk.read(root)
    assert found is not None
    return found


def packages(root: Rootfs) -> dict[str, Package]:
    return {package.id: package for package in records(root).packages}


def test_an_image_without_a_database() -> None:
    assert apk.read(rootfs([Reg("etc/passwd")])) is None
    assert apk.read(rootfs([Reg(f"{HOME}/lock"), Reg(WORLD)])) is None


def test_an_empty_database() -> None:
    found = records(rootfs([Reg(f"{HOME}/installed")]))
    assert (found.packages, found.refused, found.notes) == ((), "", ())


def test_a_package_is_read_whole() -> None:
    more = (
        "o:src\nT:about: it\nD:musl>=1.2 !bad so:libz.so.1 /bin/sh cmd:ls~1 musl<2 x@edge\n"
        "p:so:liba.so.1=1 cmd:a=1.0-r0 other\nr:gone\nq:10\nk:100\ns:edge\ng:tag\n"
    )
    one = Pkg("a+b.1", files=["/usr/share/a b", "/top", "/usr/lib/"], more=more)
    assert packages(alpine([one])) == {
        "a+b.1": Package(
            id="a+b.1",
            name="a+b.1",
            version="1.0-r0",
            architecture="x86_64",
            database="apk",
            source="src",
            source_version="1.0-r0",
            paths=("top", "usr/lib", "usr/share", "usr/share/a b"),  # type: ignore[arg-type]
            provides=("so:liba.so.1", "cmd:a", "other"),
            depends=(("musl",), ("so:libz.so.1",), ("/bin/sh",), ("cmd:ls",), ("x",)),
        )
    }


def test_a_package_without_files_or_origin() -> None:
    found = packages(alpine([Pkg(".build-deps", version="20240101.101010", more="D:\np:\n")]))
    one = found[".build-deps"]
    assert (one.paths, one.depends, one.provides) == ((), (), ())
    assert one.source == ".build-deps"


def test_names_through_a_directory_link_are_canonical() -> None:
    links = [Lnk("bin", "usr/bin"), Dir("usr/bin"), Lnk("lib/x", "/bin/a"), Dir("lib")]
    one = Pkg("a")
    text = one.record.replace("\n\n", "\nF:bin\nR:a\nR:absent\nF:lib/x\nR:b\nF:none/c\nR:d\n\n")
    root = rootfs([Reg(f"{HOME}/installed", text), Reg("usr/bin/a"), *links])
    assert packages(root)["a"].paths == (
        "usr/bin",
        "usr/bin/a",
        "usr/bin/absent",
        "lib/x",  # a link that leads to no directory is what it is
        "lib/x/b",
        "none/c",
        "none/c/d",
    )


MERGED = [Lnk("lib", "usr/lib"), Dir("usr/lib")]


@pytest.mark.parametrize(
    ("home", "links"),
    [
        ("lib/apk/db", []),
        ("usr/lib/apk/db", []),
        ("usr/lib/apk/db", MERGED),
        ("srv/db", [Lnk("lib/apk/db", "/srv/db")]),
    ],
)
def test_where_a_database_may_be(home: str, links: Sequence[Node]) -> None:
    a, b = Pkg("a"), Pkg("b")
    found = records(alpine([a, b], home=home, nodes=links))
    assert not found.refused
    assert found.edit(frozenset(["a"]), frozenset()) == {
        f"{home}/installed": installed(b),
        WORLD: b"b\n",
    }
    hops = {node.name for node in links if node.linkname}
    assert {home, f"{home}/installed", f"{home}/lock", WORLD, *hops} <= found.files


def test_two_databases_of_one_kind_are_not_edited() -> None:
    other = [Reg("usr/lib/apk/db/installed", installed(Pkg("b")))]
    found = records(alpine([Pkg("a")], nodes=other))
    assert [one.id for one in found.packages] == ["a"]
    assert found.refused == (
        "its database is not sound: /usr/lib/apk/db is another one beside /lib/apk/db"
    )
    assert "usr/lib/apk/db/installed" in found.files


def test_the_databases_files_are_its_own() -> None:
    found = records(alpine([Pkg("a", ["/bin/a"])], nodes=[Reg("etc/shells")])).files
    assert {HOME, f"{HOME}/installed", f"{HOME}/scripts.tar", WORLD} <= found
    assert found.isdisjoint({"etc/shells", "bin/a", "lib/apk", "lib", "etc", ""})


def test_failed_installations_are_noted() -> None:
    table = [Pkg("a", more="f:fs\n"), Pkg("b", more="f:s\n"), Pkg("c", more="f:S\n")]
    assert records(alpine(table)).notes == (
        "not all files of it could be installed: a",
        "a script of it failed: a, b",
    )


B = Pkg("b", ["/usr/bin/b"])


def changed(old: str, new: str, package: Pkg = B) -> str:
    assert old in package.record
    return package.record.replace(old, new, 1)


UNSOUND: dict[str, tuple[str, str]] = {
    "no newline at the end": (B.record[:-2], "the last line has no newline"),
    "a record that breaks off": (B.record + "P:x\n", "installed: record 3: no V"),
    "a line without a colon": (changed("A:x86_64", "Nonsense"), "malformed line 'Nonsense'"),
    "a line of one letter": (changed("A:x86_64", "A"), "malformed line 'A'"),
    "a line of blanks": (changed("A:x86_64", "  "), "malformed line '  '"),
    "a letter that is none": (changed("A:", "1:"), "malformed line '1:x86_64'"),
    "a NUL": (changed("x86", "x\0"), "malformed line 'A:x\\x00_64'"),
    "a return": (changed("r0\n", "r0\r\n"), "V:1.0-r0\\r names nothing"),
    "no P": (changed("P:b\n", ""), "stands before the package's name"),
    "no P and no files": (changed("P:b\n", "", Pkg("b")), "no P"),
    "an empty P": (changed("P:b", "P:"), "no P"),
    "a P that is none": (changed("P:b", "P:b c"), "P:b c names nothing"),
    "no V": (changed("V:1.0-r0\n", ""), "no V"),
    "no C": (changed("C:", "c:"), "no C"),
    "a C that is no checksum": (changed("C:Q1", "C:Q3"), "is not a checksum"),
    "a short checksum": (changed("C:Q1", "C:Q1AAAA"), "is not a checksum"),
    "P twice": (changed("P:b\n", "P:b\nP:c\n"), "the field P stands twice"),
    "V twice alike": (changed("V:1.0-r0\n", "V:1.0-r0\nV:1.0-r0\n"), "the field V stands twice"),
    "a dependency without a name": (changed("A:", "D:>1\nA:"), "'>1' names no package"),
    "a provided nothing": (changed("A:", "p:=1\nA:"), "'=1' names no package"),
    "R before F": (changed("F:usr/bin\n", ""), "M:0:0:700 stands before the F it belongs to"),
    "files first": (
        "F:usr\n" + B.record,
        "F:usr stands before the package's name",
    ),
    "a before R": (changed("R:b\n", ""), "a:0:0:755 stands before the R it belongs to"),
    "Z of a directory": (changed("R:b\na:0:0:755\n", ""), "stands before the R it belongs to"),
    "Z after the next F": (changed("Z:", "F:x\nZ:"), "stands before the R it belongs to"),
    "a twice": (changed("a:0:0:755\n", "a:0:0:755\n" * 2), "the field a stands twice"),
    "M twice": (changed("M:0:0:700\n", "M:0:0:700\n" * 2), "the field M stands twice"),
    "a mode that is none": (changed("0:700", "0:800"), "M:0:0:800 is not user:group:mode"),
    "an owner by name": (changed("a:0", "a:root"), "a:root:0:755 is not user:group:mode"),
    "xattrs without a checksum": (changed("755", "755:x"), "'x' is not a checksum"),
    "a Z that is no checksum": (changed("Z:Q1", "Z:"), "is not a checksum"),
    "a file without a name": (changed("R:b", "R:"), "R: is not the name of a file"),
    "a file that leads away": (changed("R:b", "R:.."), "R:.. is not the name of a file"),
    "a file with a slash": (changed("R:b", "R:b/c"), "R:b/c is not the name of a file"),
    "a directory that leads away": (changed("F:usr", "F:../usr"), "is a name with .."),
    "a file twice": (
        B.record.replace("\n\n", f"\nF:usr/bin\n{entry('b')}\n"),
        "a file of usr/bin/ stands twice",
    ),
}


@pytest.mark.parametrize(("text", "reason"), UNSOUND.values(), ids=UNSOUND)
def test_an_unsound_database_is_read_and_never_edited(text: str, reason: str) -> None:
    a = Pkg("a", ["/usr/bin/a"])
    found = records(alpine([a, B], {"installed": a.record + text}))
    assert reason in found.refused
    assert {package.unreadable for package in found.packages} <= {found.refused}
    assert any(found.refused in note for note in found.notes)
    assert found.edit(frozenset(), frozenset(["usr/bin/a"])) == {}  # type: ignore[list-item]
    if found.packages:
        assert found.packages[0].paths == ("usr/bin", "usr/bin/a")
        with pytest.raises(ValueError, match="a must stay"):
            found.edit(frozenset(["a"]), frozenset())


@pytest.mark.parametrize(
    ("second", "reason"),
    [
        (Pkg("a", version="2"), "installed: a is recorded twice"),
        (Pkg("a"), "installed: a is recorded twice"),
        (None, "installed: b has the checksum of a"),
    ],
)
def test_packages_that_cannot_be_told_apart(second: Pkg | None, reason: str) -> None:
    a = Pkg("a")
    text = a.record + (second.record if second else a.record.replace("P:a", "P:b"))
    found = records(alpine([a], {"installed": text}))
    assert reason in found.refused
    assert len({package.id for package in found.packages}) == len(found.packages)


@pytest.mark.parametrize(
    ("files", "nodes", "reason"),
    [
        ({"triggers": "Nonsense\n"}, [], "triggers: 'Nonsense' is no trigger's line"),
        ({"triggers": "Q1x /bin\n"}, [], "triggers: 'Q1x' is not a checksum"),
        ({"scripts.tar": b"x" * 700}, [], "scripts.tar.tar header at byte 0"),
        ({"scripts.tar": archive(["a"] * 2)[:1400]}, [], "scripts.tar"),
        ({"scripts.tar.gz": archive(["a"])}, [], "scripts.tar.gz: not compressed with gzip"),
        ({"scripts.tar.gz": b"\x1f\x8b\x08 nonsense"}, [], "scripts.tar.gz: "),
        ({}, [Dir("lib/apk/db/scripts.tar.gz")], "scripts.tar.gz: no such regular file"),
        ({"installed": b""}, [Dir(WORLD)], "etc/apk/world: no such regular file"),
    ],
)
def test_unsound_files_beside_the_records(
    files: dict[str, bytes | str], nodes: Sequence[Node], reason: str
) -> None:
    found = records(alpine([Pkg("a")], files, nodes=nodes))
    assert reason in found.refused
    assert found.edit(frozenset(), frozenset()) == {}


def test_a_refusal_says_where() -> None:
    found = records(alpine([B], {"installed": B.record + changed("V:", "v:", Pkg("c"))}))
    assert found.refused == "its database is not sound: installed: record 2: no V"
    assert found.notes == (f"cannot be edited, {found.refused}: b",)


SHA1 = "a8a719fa3db7c6cb005e681086438ef1d1e76d6c"


@pytest.mark.parametrize(
    "text",
    [
        "Q1qKcZ+j23xssAXmgQhkOO8dHnbWw=",
        f"X1{SHA1}",
        "Q2qKcZ+j23xssAXmgQhkOO8dHnbWwAAAAAAAAAAAAAAAA=",
        f"X2{SHA1}{12 * '00'}",
    ],
)
def test_spellings_of_an_identity(text: str) -> None:
    assert identity(text).hex() == SHA1


@pytest.mark.parametrize("text", ["", "Q1", "x" * 32, "ab cd" * 8, "\udcff" * 32, "Q2" + "A" * 28])
def test_what_is_no_checksum(text: str) -> None:
    with pytest.raises(FormatError):
        identity(text)


def test_md5_is_an_identity_too() -> None:
    assert identity("d41d8cd98f00b204e9800998ecf8427e").hex() == "d41d8cd98f00b204e9800998ecf8427e"
