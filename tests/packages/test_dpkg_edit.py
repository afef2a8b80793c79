"""What a dpkg database says once packages and paths are gone."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from careen.packages import dpkg
from careen.packages.dpkg import DpkgRecords
from careen.rootfs.path import Path
from careen.rootfs.rootfs import Rootfs
from tests.builders import Lnk, Reg
from tests.packages.dpkg_root import HOME, Pkg, debian, md5
from tests.rootfs.hand_made import rootfs

BASH = Pkg("bash", ["/bin/bash", "/usr/share/doc/bash"], info={"postinst": "#!/bin/sh\n"})
DASH = Pkg("dash", ["/bin/dash", "/bin/sh"], conffiles=["/etc/dash", "/etc/dash2"])
LIBZ = Pkg("libz", ["/usr/lib/amd64/libz"], same=True)
LIBZ32 = Pkg("libz", ["/usr/lib/i386/libz"], arch="i386", same=True)
TABLE = [BASH, DASH, LIBZ, LIBZ32]
ARCH = {"arch": "amd64\ni386\n"}


def edit(root: Rootfs, removed: str = "", dropped: str = "") -> Mapping[str, bytes | None]:
    """The changes, by name inside the database where they are in it; words in, for brevity."""
    found = dpkg.read(root)
    assert found is not None
    assert not found.refused
    changes = found.edit(frozenset(removed.split()), frozenset(map(Path, dropped.split())))
    return {path.removeprefix(f"{HOME}/"): content for path, content in changes.items()}


def stanzas(*packages: Pkg) -> bytes:
    return "".join(package.stanza for package in packages).encode()


def test_nothing_gone_changes_nothing() -> None:
    files = {
        **ARCH,
        "available": stanzas(*TABLE),
        "diversions": "/a\n/b\nbash\n",
        "triggers/Lock": "",
        "triggers/File": "/x bash\n",
        "triggers/Unincorp": "",
        "statoverride": "root root 755 /bin/bash\n",
    }
    nodes = [Reg("etc/shells", "/bin/bash")]
    assert edit(debian(TABLE, files, nodes=nodes)) == {}


def test_a_removed_package_leaves_status_and_info() -> None:
    assert edit(debian(TABLE, ARCH), "bash", "usr/bin/bash usr/share/doc/bash") == {
        "status": stanzas(DASH, LIBZ, LIBZ32),
        "info/bash.list": None,
        "info/bash.md5sums": None,
        "info/bash.postinst": None,
    }


def test_of_two_architectures_one_goes() -> None:
    files = {
        **ARCH,
        "status-old": stanzas(*TABLE),
        "available": stanzas(LIBZ, LIBZ32),
        "triggers/File": "/a libz:i386/noawait\n/b libz:amd64\n",
    }
    assert edit(debian(TABLE, files), "libz:i386") == {
        "status": stanzas(BASH, DASH, LIBZ),
        "status-old": stanzas(BASH, DASH, LIBZ),
        "available": stanzas(LIBZ),
        "info/libz:i386.list": None,
        "info/libz:i386.md5sums": None,
        "triggers/File": b"/b libz:amd64\n",
    }


def test_a_partial_package_loses_lines() -> None:
    changes = edit(debian(TABLE, ARCH), dropped="usr/bin/sh etc/dash usr/bin/dash")
    assert changes == {
        "status": stanzas(BASH, Pkg("dash", conffiles=["/etc/dash2"]), LIBZ, LIBZ32),
        "info/dash.list": b"/.\n/etc/dash2\n",
        "info/dash.md5sums": b"",
        "info/dash.conffiles": b"/etc/dash2\n",
    }


def test_the_last_conffile_takes_its_field_along() -> None:
    changes = edit(debian([DASH]), dropped="etc/dash etc/dash2")
    assert changes["status"] == stanzas(Pkg("dash"))
    assert changes["info/dash.conffiles"] == b""


def test_directories_that_went_leave_the_list() -> None:
    one = Pkg("a", info={"list": "/.\n/usr\n/usr/share\n/usr/share/a\n/usr/share/a/b\n"})
    assert edit(debian([one]), dropped="usr/share/a usr/share/a/b") == {
        "info/a.list": b"/.\n/usr\n/usr/share\n"
    }


def test_a_list_keeps_what_it_says_of_a_path_that_others_lost() -> None:
    files = {"diversions": "/usr/bin/top\n/usr/bin/top.real\nprocps\n"}
    table = [Pkg("procps", ["/usr/bin/top"]), Pkg("busybox", ["/usr/bin/top"])]
    changes = edit(debian(table, files), dropped="usr/bin/top.real")
    assert changes == {"info/busybox.list": b"/.\n", "info/busybox.md5sums": b""}


@pytest.mark.parametrize(
    ("line", "stays"),
    [
        (f"{md5('/bin/bash')}  bin/bash\n", False),
        (f"{md5('/bin/bash')}  ./bin/bash\n", False),
        (f"{md5('/bin/bash')} *usr/bin/bash\n", False),
        (f"{md5('/bin/bash')}  bin/bash2\n", True),
        ("not a digest\n", True),
    ],
)
def test_digests_are_of_the_same_paths(line: str, stays: bool) -> None:
    changes = edit(debian([Pkg("a", ["/bin/bash"], info={"md5sums": line})]), "", "usr/bin/bash")
    assert changes.get("info/a.md5sums", line.encode()) == (line.encode() if stays else b"")


def test_the_same_package_elsewhere_goes_too() -> None:
    marks = "Package: bash\nArchitecture: amd64\nAuto-Installed: 1\n\n"
    other = "Package: gone\nArchitecture: amd64\nAuto-Installed: 1\n\n"
    docs = Pkg("docs", arch="all")
    native = "Package: docs\nArchitecture: amd64\nAuto-Installed: 0\n\n"
    states = [Reg("var/lib/apt/extended_states", marks + other + native)]
    files = {"status-old": stanzas(BASH, Pkg("older")), "available": stanzas(DASH, BASH)}
    changes = edit(debian([BASH, DASH, docs], files, nodes=states), "bash docs")
    assert changes["status-old"] == stanzas(Pkg("older"))
    assert changes["available"] == stanzas(DASH)
    assert changes["var/lib/apt/extended_states"] == other.encode()


def test_what_a_rule_took_is_not_brought_back() -> None:
    states = [
        Reg("var/lib/apt/extended_states", "Package: bash\nAuto-Installed: 1\n\n"),
        Reg("etc/shells", "/bin/bash\n"),
    ]
    dropped = "var/lib/apt/extended_states etc/shells usr/bin/bash"
    changes = edit(debian([BASH], nodes=states), "bash", dropped)
    assert {"var/lib/apt/extended_states", "etc/shells"}.isdisjoint(changes)


@pytest.mark.parametrize(
    ("removed", "expected"),
    [
        ("bash", "/bin/sh\n/bin/sh.distrib\ndash\n/l\n/m\n:\n"),
        ("dash", "/x\n/y\nbash\n/l\n/m\n:\n"),
        ("dash bash", "/l\n/m\n:\n"),
    ],
)
def test_diversions_go_with_their_package(removed: str, expected: str) -> None:
    text = "/bin/sh\n/bin/sh.distrib\ndash\n/x\n/y\nbash\n/l\n/m\n:\n"
    changes = edit(debian([BASH, DASH], {"diversions": text, "diversions-old": text}), removed)
    assert changes["diversions"] == changes["diversions-old"] == expected.encode()


def test_a_diversion_that_moved_a_kept_file_stays() -> None:
    text = "/usr/bin/top\n/usr/bin/top.real\nprocps\n"
    table = [Pkg("procps", ["/usr/bin/top"]), Pkg("busybox", ["/usr/bin/top"])]
    changes = edit(debian(table, {"diversions": text}), "procps", "usr/bin/top")
    assert "diversions" not in changes
    assert "info/busybox.list" not in changes


def test_overrides_of_paths_that_went_go() -> None:
    text = (
        "root root 4755 /bin/bash\nroot root 755 /bin/dash\n"
        "root mail 2755 /usr/lib/absent\nroot root 0700 /srv/local\n"
    )
    one = Pkg("a", ["/bin/bash"], info={"list": "/.\n/bin/bash\n/usr/lib/absent\n"})
    changes = edit(debian([one, DASH], {"statoverride": text}), "a", "usr/bin/bash")
    assert changes["statoverride"] == (b"root root 755 /bin/dash\nroot root 0700 /srv/local\n")


def test_triggers_lose_interest() -> None:
    files = {
        "triggers/File": "/usr/lib bash\n/usr/share dash/noawait\n",
        "triggers/ldconfig": "bash\n",
        "triggers/menu": "bash/noawait\ndash\n",
        "triggers/Unincorp": "ldconfig bash\nmenu bash dash\nother -\n",
        "triggers/Lock": "",
    }
    changes = edit(debian([BASH, DASH], files), "bash")
    assert {name: data for name, data in changes.items() if name.startswith("triggers")} == {
        "triggers/File": b"/usr/share dash/noawait\n",
        "triggers/ldconfig": None,
        "triggers/menu": b"dash\n",
        "triggers/Unincorp": b"ldconfig -\nmenu dash\nother -\n",
    }


def test_shells_that_went_are_no_login_shells() -> None:
    text = "# /etc/shells: valid login shells\n/bin/sh\n/usr/bin/bash\n/bin/bash\n/bin/zsh"
    nodes = [Reg("etc/shells", text), Reg("var/lib/shells.state", "/bin/bash\n")]
    changes = edit(debian([BASH, DASH], nodes=nodes), "bash", "usr/bin/bash")
    assert changes["etc/shells"] == b"# /etc/shells: valid login shells\n/bin/sh\n/bin/zsh"
    assert changes["var/lib/shells.state"] == b""


def test_unsound_files_beside_the_database_stay_as_they_are() -> None:
    nodes = [Reg("var/lib/apt/extended_states", "Nonsense\n"), Lnk("etc/shells", "/usr/share")]
    root = debian([BASH], nodes=[*nodes, Reg("usr/share/x")])
    found = dpkg.read(root)
    assert isinstance(found, DpkgRecords)
    assert [note.split(": ")[0] for note in found.notes] == [
        "/var/lib/apt/extended_states is left as it is",
        "/etc/shells is left as it is",
    ]
    files = {f"info/bash.{kind}" for kind in ("list", "md5sums", "postinst")}
    assert set(edit(root, "bash")) == {"status", *files}


NAMES = st.from_regex(r"[a-z][a-z0-9+.-]{0,6}", fullmatch=True)
PACKAGES = st.lists(
    st.builds(
        Pkg,
        NAMES,
        files=st.lists(
            st.sampled_from(["/bin/a", "/usr/bin/a", "/usr/share/x", "/usr/x"]), max_size=3
        ),
        conffiles=st.lists(st.sampled_from(["/etc/x", "/etc/y"]), max_size=2, unique=True),
        more=st.sampled_from(["", "Depends: x,\n y\n", "X-Odd: \N{SNOWMAN}\n .\n z\n"]),
    ),
    unique_by=lambda package: package.name,
    max_size=6,
)


@settings(max_examples=60, deadline=None)
@given(PACKAGES, st.sets(st.integers(0, 5)))
def test_other_stanzas_keep_their_bytes_and_order(packages: list[Pkg], chosen: set[int]) -> None:
    removed = [package for place, package in enumerate(packages) if place in chosen]
    kept = [package for place, package in enumerate(packages) if place not in chosen]
    root = debian(packages)
    found = dpkg.read(root)
    assert found is not None
    paths = {package.id: set(package.paths) for package in found.packages}
    gone = set[Path]().union(*(paths[package.name] for package in removed))
    gone = gone.difference(*(paths[package.name] for package in kept))
    names = frozenset(package.name for package in removed)
    changes = dict(found.edit(names, frozenset(gone)))
    assert changes.pop(Path(f"{HOME}/status"), stanzas(*packages)) == stanzas(*kept)
    assert changes == {
        Path(f"{HOME}/info/{package.name}.{kind}"): None
        for package in removed
        for kind in ("list", "md5sums", *(["conffiles"] if package.conffiles else []))
    }
    assert edit(root) == {}


LINES = st.sampled_from(
    [
        *(line + "\n" for line in Pkg("a", conffiles=["/etc/x"], same=True).stanza.split("\n")),
        "/usr/bin/a\n",
        "a\n",
        ":\n",
        "auto\n",
        "10\n",
        "root root 755 /bin/a\n",
        "\udcff\udc85\x1c\n",
        "\r\n",
        "Package: ../b\n",
        "/",
        "..",
        " ",
    ]
)
TEXTS = st.lists(LINES, max_size=16).map(
    lambda parts: "".join(parts).encode(errors="surrogateescape")
)
FILES = [
    "status",
    "status-old",
    "available",
    "arch",
    "diversions",
    "statoverride",
    "updates/1",
    "info/format",
    "info/a.list",
    "info/a:amd64.list",
    "info/a.md5sums",
    "info/a.conffiles",
    "triggers/File",
    "triggers/Unincorp",
    "triggers/t",
    "alternatives/a",
    "status.d/a",
    "status.d/a.md5sums",
]


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.sampled_from(FILES), TEXTS), st.sets(st.sampled_from(["usr/bin/a"])))
def test_any_bytes_are_read_or_refused(files: dict[str, bytes], dropped: set[str]) -> None:
    files.setdefault("status", Pkg("a").stanza.encode())
    found = dpkg.read(rootfs([Reg(f"{HOME}/{name}", data) for name, data in files.items()]))
    assert found is not None
    removed = frozenset(one.id for one in found.packages if not one.unreadable)
    changes = found.edit(removed, frozenset(map(Path, dropped)))
    assert set(changes) <= {Path(f"{HOME}/{name}") for name in files}
    assert not (found.refused and changes)
    assert found.edit(frozenset(), frozenset()) == {}
