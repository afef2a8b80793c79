"""What an apk database says once packages and paths are gone."""

from __future__ import annotations

import gzip
import tarfile
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from careen.packages import apk, catalog
from careen.rootfs.path import Path
from careen.rootfs.rootfs import Rootfs
from tests.builders import Lnk, Reg
from tests.packages import dpkg_root
from tests.packages.apk_root import (
    HOME,
    WORLD,
    Pkg,
    alpine,
    archive,
    entry,
    installed,
    members,
    section,
    triggers,
)
from tests.rootfs.hand_made import rootfs

MUSL = Pkg("musl", ["/lib/ld-musl.so.1"], more="p:so:libc.musl.so.1=1\n")
BUSYBOX = Pkg(
    "busybox",
    ["/bin/busybox", "/etc/securetty"],
    more="D:so:libc.musl.so.1\np:cmd:busybox=1.0-r0\n",
    scripts=["post-install", "trigger"],
    triggers="/bin /sbin",
)
BINSH = Pkg("busybox-binsh", ["/bin/sh"], more="D:busybox=1.0-r0\np:/bin/sh cmd:sh=1.0-r0\n")
UTILS = Pkg("musl-utils", ["/usr/bin/ldd", "/usr/bin/getent"], more="p:libc-utils=1.0-r0\n")
BASE = Pkg("baselayout", ["/etc/motd", "/etc/shadow"], scripts=["pre-install"], triggers="/etc")
TABLE = [BASE, BUSYBOX, BINSH, MUSL, UTILS]


def edit(root: Rootfs, removed: str = "", dropped: str = "") -> Mapping[str, bytes | None]:
    """The changes, by name inside the database where they are in it; words in, for brevity."""
    found = apk.read(root)
    assert found is not None
    assert not found.refused
    changes = found.edit(frozenset(removed.split()), frozenset(map(Path, dropped.split())))
    return {path.removeprefix(f"{HOME}/"): content for path, content in changes.items()}


def test_nothing_gone_changes_nothing() -> None:
    files = {"scripts.tar.gz": gzip.compress(archive([BUSYBOX.member("trigger")]))}
    nodes = [Reg("etc/shells", "/bin/sh"), Reg(WORLD, "a  b\n\nmusl@x>=1")]
    assert edit(alpine(TABLE, files, nodes=nodes)) == {}
    assert edit(rootfs([Reg(f"{HOME}/installed", "\n\n")]), "", "bin/sh") == {}


def test_a_removed_package_leaves_every_file() -> None:
    changes = dict(edit(alpine(TABLE), "busybox", "bin/busybox etc/securetty"))
    scripts = changes.pop("scripts.tar")
    assert scripts is not None
    assert members(scripts) == [BASE.member("pre-install")]
    assert changes == {
        "installed": installed(BASE, BINSH, MUSL, UTILS),
        "triggers": triggers(BASE),
        WORLD: b"baselayout\nbusybox-binsh\nmusl\nmusl-utils\n",
    }


def test_all_gone_leaves_empty_files() -> None:
    changes = dict(edit(alpine([BASE, MUSL]), "musl baselayout"))
    assert not (changes.pop("scripts.tar") or b"x").strip(b"\0")
    assert changes == {"installed": b"", "triggers": b"", WORLD: b""}


def test_a_partial_package_loses_lines() -> None:
    changes = edit(alpine(TABLE), dropped="etc/motd usr/bin/getent")
    motd, getent = entry("motd").encode(), entry("getent").encode()
    expected = installed(*TABLE).replace(motd, b"").replace(getent, b"")
    assert changes == {"installed": expected}
    assert section("etc", ["shadow"]).encode() in expected


def test_a_directory_goes_with_all_its_lines() -> None:
    one = Pkg("a", ["/usr/a/x", "/usr/a/absent", "/usr/a/b/y", "/usr/z"])
    changes = edit(alpine([one]), dropped="usr/a usr/a/x usr/a/b usr/a/b/y")
    assert changes == {"installed": installed(Pkg("a", ["/usr/z"]))}


def test_a_directory_that_stays_keeps_its_lines() -> None:
    changes = edit(alpine([Pkg("a", ["/usr/a/x"])]), dropped="usr/a/x")
    assert changes == {"installed": installed(Pkg("a", ["/usr/a/"]))}


def test_a_kept_package_loses_a_shared_path_too() -> None:
    table = [Pkg("a", ["/bin/x", "/bin/y"]), Pkg("b", ["/bin/x"])]
    changes = edit(alpine(table), "b", "bin/x")
    assert changes["installed"] == installed(Pkg("a", ["/bin/y"]))


def test_paths_are_told_apart_by_where_they_really_are() -> None:
    one = Pkg("a", ["/bin/x", "/lib/x"])
    links = [Lnk("bin", "usr/bin"), Reg("usr/bin/x")]
    root = rootfs([Reg(f"{HOME}/installed", one.record), Reg("lib/x"), *links])
    assert edit(root, dropped="bin/x") == {}
    left = installed(Pkg("a", ["/bin/", "/lib/x"]))
    assert edit(root, dropped="usr/bin/x") == {"installed": left}


def test_unknown_fields_stay_byte_for_byte() -> None:
    odd = "y:\udcff\t \udc85 x\ny:again\nG:\u2028\n"
    one = Pkg("a", ["/bin/x", "/bin/y"], more=odd)
    text = one.record.encode(errors="surrogateescape").replace(b"\n\n", b"\nz:last\n\n\n")
    root = rootfs([Reg(f"{HOME}/installed", b"\n" + text + MUSL.record.encode())])
    assert edit(root, "musl") == {"installed": b"\n" + text}
    expected = b"\n" + text.replace(entry("x").encode(), b"") + MUSL.record.encode()
    assert edit(root, dropped="bin/x") == {"installed": expected}


def test_the_last_record_needs_no_empty_line() -> None:
    text = installed(BASE, BUSYBOX, MUSL)[:-1]
    root = alpine([BASE, BUSYBOX, MUSL], {"installed": text})
    assert edit(root, "busybox")["installed"] == installed(BASE, MUSL)[:-1]
    assert edit(root, "musl")["installed"] == installed(BASE, BUSYBOX)


LONG = Pkg("a-name-that-does-not-fit-" + 80 * "x", scripts=["post-install"])


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("gone", [[], ["busybox"], [LONG.name], ["baselayout"], ["musl"]])
def test_other_scripts_keep_their_bytes(form: int, gone: list[str]) -> None:
    owned = [
        ("baselayout", BASE.member("pre-install")),
        ("busybox", BUSYBOX.member("post-install")),
        (LONG.name, LONG.member("post-install")),
        ("", "README"),
        ("", "stale-1.Q1AAAAAAAAAAAAAAAAAAAAAAAAAAA=.trigger"),
        ("busybox", BUSYBOX.member("trigger", hexadecimal=True)),
        ("musl", "musl-1.0-r0.Q1AAAAAAAAAAAAAAAAAAAAAAAAAAA=.trigger"),
    ]
    before = archive([name for _, name in owned], form=form)
    after = archive([name for owner, name in owned if owner not in gone], form=form)
    packages = [*TABLE, LONG]
    plain = edit(alpine(packages, {"scripts.tar": before}), " ".join(gone))
    assert (plain.get("scripts.tar", before) or b"").rstrip(b"\0") == after.rstrip(b"\0")
    files = {"scripts.tar.gz": gzip.compress(before)}
    zipped = edit(alpine(packages, files), " ".join(gone)).get("scripts.tar.gz")
    assert (zipped is None) == (not gone)
    assert zipped is None or gzip.decompress(zipped).rstrip(b"\0") == after.rstrip(b"\0")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("busybox\nmusl\n", "musl\n"),
        ("musl busybox  libc-utils\n", "musl libc-utils\n"),
        ("busybox>=1 busybox@edge\nbusybox><Q1x=\nbusybox@edge~1\nmusl=1\n", "musl=1\n"),
        ("!busybox\nnot-there\nbusybox-extras\n", "!busybox\nnot-there\nbusybox-extras\n"),
        ("cmd:busybox\ncmd:sh\n", "cmd:sh\n"),
        ("busybox", ""),
    ],
)
def test_what_people_asked_for(text: str, expected: str) -> None:
    changes = edit(alpine(TABLE, nodes=[Reg(WORLD, text)]), "busybox")
    assert changes.get(WORLD, text.encode()) == expected.encode()


def test_a_name_stays_while_another_package_answers_to_it() -> None:
    other = Pkg("glibc-utils", more="p:libc-utils\n")
    nodes = [Reg(WORLD, "libc-utils\n")]
    assert WORLD not in edit(alpine([UTILS, other], nodes=nodes), "musl-utils")
    assert edit(alpine([UTILS, other], nodes=nodes), "musl-utils glibc-utils")[WORLD] == b""


def test_a_virtual_package_goes() -> None:
    virtual = Pkg(".build-deps", version="20240101.101010", more="D:gcc make\n")
    nodes = [Reg(WORLD, ".build-deps=20240101.101010\nmusl\n")]
    assert edit(alpine([virtual, MUSL], nodes=nodes), ".build-deps") == {
        "installed": installed(MUSL),
        WORLD: b"musl\n",
    }


def test_shells_that_went_are_no_login_shells() -> None:
    nodes = [Reg("etc/shells", "# shells\n/bin/sh\n/bin/ash\n"), Lnk("bin/ash", "/bin/busybox")]
    changes = edit(alpine(TABLE, nodes=nodes), "busybox", "bin/busybox bin/ash")
    assert changes["etc/shells"] == b"# shells\n/bin/sh\n"


def test_what_a_rule_took_is_not_brought_back() -> None:
    nodes = [Reg("etc/shells", "/bin/sh\n")]
    dropped = f"etc/shells bin/sh {WORLD}"
    changes = edit(alpine(TABLE, nodes=nodes), "busybox-binsh", dropped)
    assert set(changes) == {"installed"}


def test_two_databases_in_one_image() -> None:
    bash = dpkg_root.Pkg("bash", ["/bin/bash"])
    stanza = Reg(f"{dpkg_root.HOME}/status", bash.stanza)
    shells = Reg("etc/shells", "/bin/bash\n/bin/sh\n")
    nodes = [stanza, *bash.nodes, Reg("bin/bash"), shells]
    found = catalog.read(alpine(TABLE, nodes=nodes))
    assert set(found.packages) == {"bash", *(f"{one.name} (apk)" for one in TABLE)}
    assert found.unsupported == ()
    removed, dropped = frozenset(["bash", "busybox-binsh (apk)"]), frozenset([Path("bin/bash")])
    one, other = (database.edit(removed, dropped) for database in found.databases)
    assert set(one) & set(other) == {"etc/shells"}
    assert one[Path("etc/shells")] == other[Path("etc/shells")] == b"/bin/sh\n"


FILES = st.lists(
    st.sampled_from(["/bin/a", "/usr/bin/a", "/usr/share/x", "/usr/x", "/y", "/usr/lib/"]),
    max_size=4,
    unique=True,
)
PACKAGES = st.lists(
    st.builds(
        Pkg,
        st.from_regex(r"[a-z.][a-z0-9+._-]{0,6}", fullmatch=True),
        files=FILES,
        more=st.sampled_from(["", "D:x y=1\n", "n:\N{SNOWMAN}\nn:z\n"]),
        scripts=st.lists(st.sampled_from(["trigger", "post-install"]), max_size=2, unique=True),
        triggers=st.sampled_from(["", "/bin"]),
    ),
    unique_by=lambda package: package.name,
    max_size=6,
)


@settings(max_examples=60, deadline=None)
@given(PACKAGES, st.sets(st.integers(0, 5)))
def test_other_records_keep_their_bytes_and_order(packages: list[Pkg], chosen: set[int]) -> None:
    removed = [package for place, package in enumerate(packages) if place in chosen]
    kept = [package for place, package in enumerate(packages) if place not in chosen]
    root = alpine(packages)
    found = apk.read(root)
    assert found is not None
    paths = {package.id: set(package.paths) for package in found.packages}
    gone = set[Path]().union(*(paths[package.name] for package in removed))
    gone = gone.difference(*(paths[package.name] for package in kept))
    changes = edit(root, " ".join(one.name for one in removed), " ".join(gone))
    after = {
        "installed": installed(*kept),
        "triggers": triggers(*kept),
        WORLD: "".join(f"{one.name}\n" for one in kept).encode(),
    }
    before = {
        "installed": installed(*packages),
        "triggers": triggers(*packages),
        WORLD: "".join(f"{one.name}\n" for one in packages).encode(),
    }
    assert {**before, **changes}.items() >= after.items()
    scripts = [one.member(action) for one in kept for action in one.scripts]
    if "scripts.tar" in changes:
        assert members(changes["scripts.tar"] or b"") == scripts
    assert set(changes) == {
        *(name for name in after if after[name] != before[name]),
        *(["scripts.tar"] if any(one.scripts for one in removed) else []),
    }
    assert edit(root) == {}


@settings(max_examples=60, deadline=None)
@given(PACKAGES, st.sets(st.sampled_from(["bin/a", "usr/bin/a", "y", "usr/share"])))
def test_a_trimmed_database_lists_all_but_what_went(packages: list[Pkg], dropped: set[str]) -> None:
    root = alpine(packages)
    before = apk.read(root)
    changes = edit(root, dropped=" ".join(dropped))
    after = apk.read(
        alpine(packages, {"installed": changes.get("installed", installed(*packages))})
    )
    assert before is not None
    assert after is not None
    assert not after.refused

    def left(path: str) -> bool:
        return path not in dropped and path.rpartition("/")[0] not in dropped

    for one, other in zip(before.packages, after.packages, strict=True):
        assert other.paths == tuple(path for path in one.paths if left(path))


LINES = st.sampled_from(
    [
        *(line + "\n" for line in Pkg("a", ["/bin/x"], more="D:b\n").record.split("\n")),
        *(line + "\n" for line in Pkg("b", ["/bin/y"]).record.split("\n")[:4]),
        "F:\n",
        "R:..\n",
        "n:?\n",
        "\udcff\udc85\x1c\n",
        "\r\n",
        "a b\n",
        ":",
        "P",
        " ",
    ]
)
TEXTS = st.lists(LINES, max_size=16).map(
    lambda parts: "".join(parts).encode(errors="surrogateescape")
)
WHOLE = st.one_of(TEXTS, st.binary(max_size=64))
SCRIPTS = st.builds(
    lambda cut, tail: archive([Pkg("a").member("trigger")])[:cut] + tail,
    st.sampled_from([0, 100, 512, 1024, 2048, None]),
    st.binary(max_size=8),
)


@settings(max_examples=150, deadline=None)
@given(WHOLE, st.dictionaries(st.sampled_from(["triggers", "scripts.tar.gz"]), WHOLE), SCRIPTS)
def test_any_bytes_are_read_or_refused(
    records: bytes, files: dict[str, bytes], scripts: bytes
) -> None:
    names = {"installed": records, "scripts.tar": scripts, **files}
    nodes = [Reg(f"{HOME}/{name}", data) for name, data in names.items()]
    found = apk.read(rootfs([*nodes, Reg(WORLD, records)]))
    assert found is not None
    removed = frozenset(one.id for one in found.packages if not one.unreadable)
    changes = found.edit(removed, frozenset([Path("bin/x")]))
    assert set(changes) <= {Path(f"{HOME}/{name}") for name in names} | {Path(WORLD)}
    assert not (found.refused and changes)
    assert found.edit(frozenset(), frozenset()) == {}
