"""What a dpkg database says of its packages."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from careen.packages import dpkg
from careen.packages.dpkg import DpkgRecords
from careen.packages.package import Package
from careen.rootfs.rootfs import Rootfs
from tests.builders import Dir, Lnk, Node, Reg
from tests.packages.dpkg_root import HOME, Pkg, debian, md5
from tests.rootfs.hand_made import rootfs


def records(root: Rootfs) -> DpkgRecords:
    found = dpkg.read(root)
    assert found is not None
    return found


def packages(root: Rootfs) -> dict[str, Package]:
    return {package.id: package for package in records(root).packages}


def test_an_image_without_a_database() -> None:
    assert dpkg.read(rootfs([Reg("etc/passwd")])) is None
    assert dpkg.read(rootfs([Dir(f"{HOME}/info")])) is None


def test_a_package_is_read_whole() -> None:
    more = (
        "Source: src (2:3)\nEssential: yes\nProvides: p (= 1), q\n"
        "Pre-Depends: libc6 (>= 2) | libc6.1\nDepends: x:any, y [amd64],\n z | w <!nocheck>\n"
    )
    one = Pkg("a+b.1", files=["/usr/share/a b", "/usr/lib/"], conffiles=["/etc/a"], more=more)
    assert packages(debian([one], nodes=[Dir("usr/lib")])) == {
        "a+b.1": Package(
            id="a+b.1",
            name="a+b.1",
            version="1.0",
            architecture="amd64",
            database="dpkg",
            source="src",
            source_version="2:3",
            essential=True,
            status="install ok installed",
            paths=("usr/share/a b", "usr/lib", "etc/a"),  # type: ignore[arg-type]
            conffiles=("etc/a",),  # type: ignore[arg-type]
            provides=("p", "q"),
            depends=(("libc6", "libc6.1"), ("x",), ("y",), ("z", "w")),
        )
    }


@pytest.mark.parametrize(
    ("field", "expected"),
    [("", ("a", "1.0")), ("Source: s\n", ("s", "1.0")), ("Source: s (3)\n", ("s", "3"))],
)
def test_the_source_package(field: str, expected: tuple[str, str]) -> None:
    found = packages(debian([Pkg("a", more=field)]))["a"]
    assert (found.source, found.source_version) == expected


def test_two_architectures_have_lists_of_their_own() -> None:
    amd = Pkg("libz", ["/usr/lib/x86_64/libz.so"], same=True)
    i386 = Pkg("libz", ["/usr/lib/i386/libz.so"], arch="i386", same=True)
    alone = Pkg("libq", ["/usr/lib/i386/libq.so"], arch="i386", same=True)
    found = packages(debian([i386, amd, alone], {"arch": "amd64\ni386\n"}))
    assert {id: package.paths for id, package in found.items()} == {
        "libz:i386": ("usr/lib/i386/libz.so",),
        "libz": ("usr/lib/x86_64/libz.so",),
        "libq:i386": ("usr/lib/i386/libq.so",),
    }


@pytest.mark.parametrize("removed", ["libz", "libz:i386"])
def test_an_id_outlives_the_removal_of_another_architecture(removed: str) -> None:
    both = [Pkg("libz", same=True), Pkg("libz", arch="i386", same=True)]
    files = {"arch": "amd64\ni386\n"}
    root = debian(both, files)
    change = records(root).edit(frozenset([removed]), frozenset())
    rest = [one for one in both if f"{HOME}/info/{one.base}.list" not in change]
    assert set(packages(debian(rest, files))) == {"libz", "libz:i386"} - {removed}


AMD, I386 = Pkg("a"), Pkg("b", arch="i386")


@pytest.mark.parametrize(
    ("others", "files", "known", "native"),
    [
        pytest.param([], {"arch": "i386\namd64\n"}, "amd64", "i386", id="arch says it"),
        pytest.param([], {}, "i386", "i386", id="the image it was made of says it"),
        pytest.param([Pkg("dpkg", arch="i386")], {}, "", "i386", id="dpkg's own"),
        pytest.param([Pkg("dpkg", arch="i386")], {}, "amd64", "amd64", id="the image before dpkg"),
        pytest.param([Pkg("dpkg", arch="all")], {}, "", "amd64", id="a dpkg that does not tell"),
        pytest.param([], {}, "", "amd64", id="the commonest"),
    ],
)
def test_which_architecture_is_native(
    others: list[Pkg], files: dict[str, str], known: str, native: str
) -> None:
    found = dpkg.read(debian([AMD, Pkg("c"), Pkg("e"), I386, *others], files), native=known)
    assert found is not None
    assert found.native == native
    assert {"a", "b"} & {one.id for one in found.packages} == {"a" if native == "amd64" else "b"}


def test_an_unqualified_list_of_an_old_database_is_found() -> None:
    root = debian(
        [Pkg("libz", same=True, listed=False)], {"info/libz.list": "/.\n/usr/lib/libz.so\n"}
    )
    assert packages(root)["libz"].paths == ("usr/lib/libz.so",)


def test_names_through_a_directory_link_are_canonical() -> None:
    found = packages(debian([Pkg("a", ["/bin/ls", "/lib/x/absent", "/usr/bin/ls2"])]))
    assert found["a"].paths == ("usr/bin/ls", "usr/lib/x/absent", "usr/bin/ls2")


def test_a_diverted_path_lies_elsewhere() -> None:
    diversions = "/bin/sh\n/bin/sh.distrib\ndash\n/usr/bin/top\n/usr/bin/top.real\n:\n"
    table = [
        Pkg("dash", ["/bin/sh"]),
        Pkg("bash", ["/bin/sh", "/usr/bin/top"]),
        Pkg("merged", ["/usr/bin/sh"]),  # dpkg compares names, not paths
    ]
    found = packages(debian(table, {"diversions": diversions}))
    assert {id: package.paths for id, package in found.items()} == {
        "dash": ("usr/bin/sh",),
        "bash": ("usr/bin/sh.distrib", "usr/bin/top.real"),
        "merged": ("usr/bin/sh",),
    }


def test_obsolete_and_unlisted_conffiles_are_the_packages() -> None:
    field = (
        f"Conffiles:\n /etc/a b {md5('x')} obsolete\n /etc/new newconffile\n"
        f" /etc/old {md5('y')} remove-on-upgrade\n"
    )
    found = packages(
        debian([Pkg("a", more=field, info={"conffiles": "remove-on-upgrade /etc/z\n"})])
    )["a"]
    assert found.conffiles == ("etc/a b", "etc/new", "etc/old", "etc/z")
    assert set(found.conffiles) <= set(found.paths)


def test_a_removed_package_keeps_its_conffiles() -> None:
    gone = Pkg("a", status="deinstall ok config-files", conffiles=["/etc/a"], listed=False)
    found = packages(debian([gone]))["a"]
    assert found.status == "deinstall ok config-files"
    assert (found.paths, found.unreadable) == (("etc/a",), "")


def test_a_selection_is_no_package() -> None:
    status = "Package: a\nStatus: install ok not-installed\nPriority: optional\n\n"
    root = rootfs([Reg(f"{HOME}/status", status + Pkg("b").stanza), *Pkg("b").nodes])
    assert set(packages(root)) == {"b"}
    assert records(root).edit(frozenset(["b"]), frozenset())[f"{HOME}/status"] == status.encode()  # type: ignore[index]


def test_a_database_behind_a_link() -> None:
    real = "usr/lib/sysimage/dpkg"
    nodes = [
        Lnk("var/lib/dpkg", "../../usr/lib/sysimage/dpkg"),
        Reg(f"{real}/status", Pkg("a").stanza),
        Lnk(f"{real}/info", "/usr/share/info-db"),
        Reg("usr/share/info-db/a.list", "/.\n/usr/bin/a\n"),
    ]
    found = records(rootfs(nodes))
    assert found.packages[0].paths == ("usr/bin/a",)
    assert {"var/lib/dpkg", real, f"{real}/status", f"{real}/info"} <= found.files
    changes = found.edit(frozenset(["a"]), frozenset())
    assert changes == {f"{real}/status": b"", "usr/share/info-db/a.list": None}


def test_the_databases_files_are_its_own() -> None:
    root = debian([Pkg("a", ["/bin/a"])], nodes=[Reg("etc/shells"), Reg("var/lib/apt/x")])
    found = records(root).files
    assert {HOME, f"{HOME}/status", f"{HOME}/info", f"{HOME}/info/a.list"} <= found
    assert found.isdisjoint({"etc/shells", "usr/bin/a", "var/lib/apt/x", "var/lib", ""})


@pytest.mark.parametrize(
    ("package", "reason", "note"),
    [
        (Pkg("a", listed=False), "it has no list of files", "cannot be edited, it has no list"),
        (Pkg("a", info={"list": "/.\n\n"}), "info/a.list", "cannot be edited, info/a.list"),
        (Pkg("a", info={"list": "/.\n/x/../../y\n"}), "..", "cannot be edited"),
        (Pkg("a", info={"list": "/."}), "no newline", "cannot be edited"),
        (Pkg("a", status="install ok half-installed"), "broke off", "cannot be edited"),
        (Pkg("a", status="install reinstreq installed"), "broke off", "cannot be edited"),
        (Pkg("a", status="hold ok installed"), "", "on hold: a"),
        (Pkg("a", status="install ok unpacked"), "", "not configured (unpacked): a"),
        (Pkg("a"), "", ""),
    ],
)
def test_an_odd_package_is_reported(package: Pkg, reason: str, note: str) -> None:
    found = records(debian([package, Pkg("b")]))
    one, other = found.packages
    assert reason in one.unreadable if reason else one.unreadable == ""
    assert other.unreadable == found.refused == ""
    assert [note in text for text in found.notes] == [True] * bool(note)
    if reason:
        with pytest.raises(ValueError, match="a must stay"):
            found.edit(frozenset(["a"]), frozenset())


def test_a_list_that_is_a_link_is_not_trusted() -> None:
    root = debian([Pkg("a", listed=False)], nodes=[Lnk(f"{HOME}/info/a.list", "/etc/passwd")])
    assert packages(root)["a"].unreadable


def test_strange_files_in_info_are_faults_and_stay() -> None:
    root = debian([Pkg("a")], {"info/zzz.list": "/.\n", "info/.hidden.list": "x"})
    found = records(root)
    assert found.faults == tuple(
        f"info/{name}.* is of no package on record" for name in (".hidden", "zzz")
    )
    assert f"{HOME}/info/zzz.list" not in found.edit(frozenset(["a"]), frozenset())


B = Pkg("b", ["/usr/bin/b"])
UNSOUND: dict[str, tuple[str, Sequence[Node]]] = {
    "a malformed stanza": (Pkg("a").stanza + "Nonsense\n\n" + B.stanza, []),
    "no Package": ("Status: install ok installed\n\n" + B.stanza, []),
    "no Version": (Pkg("a").stanza.replace("Version: 1.0\n", "") + B.stanza, []),
    "no Architecture": (Pkg("a").stanza.replace("Architecture", "Arch") + B.stanza, []),
    "no Status": (Pkg("a").stanza.replace("Status", "State") + B.stanza, []),
    "an unknown status": (Pkg("a", status="install ok here").stanza + B.stanza, []),
    "a name that leads away": (Pkg("../a").stanza + B.stanza, []),
    "a malformed conffile": (Pkg("a", more="Conffiles:\n /etc/a\n").stanza + B.stanza, []),
    "a package twice": (B.stanza + B.stanza, []),
    "a package twice, otherwise": (B.stanza + Pkg("b", more="X: y\n").stanza, []),
    "broken diversions": (B.stanza, [Reg(f"{HOME}/diversions", "/a\n/b\n")]),
    "broken status-old": (B.stanza, [Reg(f"{HOME}/status-old", "Nonsense\n")]),
    "broken available": (B.stanza, [Reg(f"{HOME}/available", "Package: x")]),
    "available is a directory": (B.stanza, [Dir(f"{HOME}/available")]),
    "a journal": (B.stanza, [Reg(f"{HOME}/updates/0001", B.stanza)]),
    "an unknown layout": (B.stanza, [Reg(f"{HOME}/info/format", "7\n")]),
}


@pytest.mark.parametrize(("status", "nodes"), UNSOUND.values(), ids=UNSOUND)
def test_an_unsound_database_is_read_and_never_edited(status: str, nodes: Sequence[Node]) -> None:
    table = [Reg(f"{HOME}/status", status), *B.nodes, *Pkg("a").nodes, *nodes]
    found = records(rootfs(table))
    assert found.refused
    by_id = {package.id: package for package in found.packages}
    assert by_id["b"].paths == ("usr/bin/b",)
    assert all(package.unreadable == found.refused for package in found.packages)
    assert found.edit(frozenset(), frozenset(by_id["b"].paths)) == {}
    assert any(found.refused in note for note in found.notes)


def test_a_refusal_says_where() -> None:
    status = B.stanza + Pkg("a", status="install ok here").stanza
    found = records(rootfs([Reg(f"{HOME}/status", status)]))
    assert found.refused == (
        "its database is not sound: status: stanza 2: "
        "'install ok here' is not a status that dpkg knows"
    )


DISTROLESS = [
    Reg(
        f"{HOME}/status.d/bGliYzY=",
        "Package: libc6\nVersion: 2\nArchitecture: amd64\nDepends: x\nDescription: c",
    ),
    Reg(f"{HOME}/status.d/bGliYzY=.md5sums", f"{md5('')}  usr/lib/libc.so.6\n"),
    Reg(f"{HOME}/status.d/base", "Package: base\nVersion: 1\nArchitecture: all\n\n"),
]


def test_distroless_has_a_file_a_package() -> None:
    found = records(rootfs(DISTROLESS))
    libc, base = found.packages
    assert (libc.id, libc.database, libc.status) == ("libc6", "dpkg-status.d", "")
    assert (libc.paths, libc.unreadable) == (("usr/lib/libc.so.6",), "")
    assert (base.id, base.unreadable) == ("base", "it has no list of files")
    assert found.edit(frozenset(["libc6"]), frozenset(libc.paths)) == {
        f"{HOME}/status.d/bGliYzY=": None,
        f"{HOME}/status.d/bGliYzY=.md5sums": None,
    }


def test_distroless_packages_that_lose_a_path() -> None:
    changes = records(rootfs(DISTROLESS)).edit(
        frozenset(),
        frozenset(["usr/lib/libc.so.6"]),  # type: ignore[list-item]
    )
    assert changes == {f"{HOME}/status.d/bGliYzY=.md5sums": b""}


def test_distroless_packages_own_the_directories_of_their_files() -> None:
    found = records(rootfs([*DISTROLESS, Reg("usr/lib/libc.so.6"), Dir("usr/lib/empty")]))
    assert set(found.packages[0].paths) == {"usr/lib/libc.so.6", "usr/lib", "usr"}


def test_a_link_to_documents_is_its_packages_by_name() -> None:
    nodes = [Lnk("usr/share/doc/libc6", "base"), Lnk("usr/lib/libc.so", "libc.so.6")]
    libc, base = records(rootfs([*DISTROLESS, *nodes])).packages
    assert "usr/share/doc/libc6" in libc.paths
    assert "usr/lib/libc.so" not in libc.paths
    assert base.paths == ()


@pytest.mark.parametrize(
    ("listed", "partly"),
    [
        ([], True),
        (["usr/share/doc/base/copyright", "usr/share/lintian/overrides/base"], True),
        (["usr/share/doc/base/copyright", "usr/lib/os-release"], False),
        (["usr/share/doc/other/copyright"], False),
    ],
)
def test_a_package_of_which_documents_alone_are_listed(listed: list[str], partly: bool) -> None:
    sums = "".join(f"{md5(path)}  {path}\n" for path in listed)
    found = records(rootfs([*DISTROLESS, Reg(f"{HOME}/status.d/base.md5sums", sums)]))
    assert [bool(package.partly_listed) for package in found.packages] == [False, partly]
    assert found.packages[1].unreadable == ""


@pytest.mark.parametrize("content", ["", "Nonsense\n", "Package: x\n", Pkg("a").stanza * 2])
def test_an_unsound_file_in_status_d(content: str) -> None:
    found = records(rootfs([*DISTROLESS, Reg(f"{HOME}/status.d/zz", content)]))
    assert "status.d/zz" in found.refused
    assert len(found.packages) == 2


def test_both_layouts_in_one_image() -> None:
    found = records(debian([Pkg("a", ["/usr/bin/a"])], nodes=DISTROLESS))
    assert [package.id for package in found.packages] == ["a", "libc6", "base"]
    assert not found.refused
