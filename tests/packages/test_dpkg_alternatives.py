"""update-alternatives' records: read strictly, edited as update-alternatives would."""

from __future__ import annotations

import pytest

from careen.packages import dpkg
from careen.packages.dpkg import Alternative, DpkgRecords, alternatives
from careen.packages.dpkg.names import Names
from careen.rootfs.path import Path
from careen.rootfs.rootfs import Rootfs
from tests.builders import Lnk, Node, Reg
from tests.packages.dpkg_root import HOME, USRMERGE, Pkg, debian
from tests.rootfs.hand_made import rootfs

EDITOR = """\
auto
/usr/bin/editor
editor.1.gz
/usr/share/man/man1/editor.1.gz
editor.da.gz
/usr/share/man/da/editor.gz

/bin/nano
40
/usr/share/man/man1/nano.1.gz

/usr/bin/vim
30

/usr/share/man/da/vim.gz

"""
WITHOUT_VIM = """\
auto
/usr/bin/editor
editor.1.gz
/usr/share/man/man1/editor.1.gz

/bin/nano
40
/usr/share/man/man1/nano.1.gz

"""
WITHOUT_NANO = """\
auto
/usr/bin/editor
editor.da.gz
/usr/share/man/da/editor.gz

/usr/bin/vim
30
/usr/share/man/da/vim.gz

"""


def names() -> Names:
    return Names(rootfs(USRMERGE), ())


def read(text: str, current: str = "/bin/nano") -> Alternative:
    return alternatives.parse("editor", text.encode(), names(), current)


def test_a_record_is_read_whole() -> None:
    found = read(EDITOR)
    assert (found.name, found.link, found.mode) == ("editor", "/usr/bin/editor", "auto")
    assert [slave for slave, _ in found.slaves] == ["editor.1.gz", "editor.da.gz"]
    assert [(choice.path, choice.priority, choice.slaves) for choice in found.choices] == [
        ("usr/bin/nano", 40, ("/usr/share/man/man1/nano.1.gz", "")),
        ("usr/bin/vim", 30, ("", "/usr/share/man/da/vim.gz")),
    ]
    assert found.links == (
        "usr/bin/editor",
        "etc/alternatives/editor",
        "usr/share/man/man1/editor.1.gz",
        "etc/alternatives/editor.1.gz",
        "usr/share/man/da/editor.gz",
        "etc/alternatives/editor.da.gz",
    )
    assert alternatives.dump(found) == EDITOR.encode()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "auto\n",
        EDITOR.replace("auto", "automatic"),
        EDITOR.removesuffix("\n"),
        EDITOR + "more\n",
        EDITOR.replace("40", "forty"),
        EDITOR.replace("40", " 40"),
        EDITOR.replace("editor.1.gz\n", "", 1),
        EDITOR.replace("/usr/share/man/da/vim.gz\n", ""),
    ],
)
def test_anything_else_is_left_alone(text: str) -> None:
    root = debian([Pkg("a")], {"alternatives/editor": text})
    found = dpkg.read(root)
    assert isinstance(found, DpkgRecords)
    assert found.alternatives == ()
    assert found.notes == (
        "left as it is: alternatives/editor: not a record of update-alternatives",
    )
    assert found.edit(frozenset(), frozenset([Path("usr/bin/nano")])) == {}


@pytest.mark.parametrize(
    ("mode", "current", "dropped", "expected"),
    [
        ("auto", "/bin/nano", "usr/bin/nano", WITHOUT_NANO),
        ("auto", "/bin/nano", "usr/bin/vim", WITHOUT_VIM),
        ("manual", "/usr/bin/vim", "usr/bin/vim", WITHOUT_VIM),
        ("manual", "/bin/nano", "usr/bin/vim", WITHOUT_VIM.replace("auto", "manual")),
        ("auto", "/bin/nano", "usr/bin/other", EDITOR),
        ("auto", "/bin/nano", "usr/bin/nano usr/bin/vim", None),
    ],
)
def test_a_choice_goes(mode: str, current: str, dropped: str, expected: str | None) -> None:
    text = EDITOR.replace("auto", mode)
    files: list[Node] = [Reg("usr/bin/nano"), Reg("usr/bin/vim")]
    link = Lnk("etc/alternatives/editor", current)
    found = dpkg.read(debian([Pkg("a")], {"alternatives/editor": text}, nodes=[*files, link]))
    assert found is not None
    changes = found.edit(frozenset(), frozenset(map(Path, dropped.split())))
    after = changes.get(Path(f"{HOME}/alternatives/editor"), text.encode())
    assert after == (expected.encode() if expected is not None else None)


@pytest.mark.parametrize(
    ("priorities", "current", "best"),
    [
        ((40, 30), "", "/bin/nano"),
        ((30, 40), "/bin/nano", "/usr/bin/vim"),
        ((30, 30), "", "/bin/nano"),
        ((30, 30), "/usr/bin/vim", "/usr/bin/vim"),
        ((-5, -4), "/bin/nano", "/usr/bin/vim"),
    ],
)
def test_the_best_choice(priorities: tuple[int, int], current: str, best: str) -> None:
    text = EDITOR.replace("40", "one").replace("30", str(priorities[1]))
    found = read(text.replace("one", str(priorities[0])), current)
    assert alternatives.best(found).listed == best


def test_where_the_links_point_once_a_choice_went() -> None:
    left = alternatives.without(read(EDITOR), frozenset([Path("usr/bin/nano")]))
    assert left is not None
    assert alternatives.targets(left) == {
        "etc/alternatives/editor": "/usr/bin/vim",
        "etc/alternatives/editor.da.gz": "/usr/share/man/da/vim.gz",
    }


def test_the_current_choice_is_where_the_link_points() -> None:
    link = Lnk("etc/alternatives/editor", "/bin/nano")
    root: Rootfs = debian([Pkg("a")], {"alternatives/editor": EDITOR}, nodes=[link])
    found = dpkg.read(root)
    assert found is not None
    assert found.alternatives[0].current == "/bin/nano"
