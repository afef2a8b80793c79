"""gconv-modules and what is beside it."""

from __future__ import annotations

from careen.rootfs import gconv
from careen.rootfs.gconv import Gconv
from tests.builders import Lnk, Reg
from tests.rootfs.hand_made import rootfs

HERE = "usr/lib/x86_64-linux-gnu/gconv"
MODULES = """\
# from          to
alias   LATIN1//        ISO-8859-1//
module  ISO-8859-1//    INTERNAL        ISO8859-1       1
module  INTERNAL        ISO-8859-1//    ISO8859-1       1 # both ways
module  A//             B//             own.so
module  short
"""


def test_aliases_and_modules() -> None:
    found = gconv.read(rootfs([Reg(f"{HERE}/gconv-modules", MODULES)]))
    modules = {"ISO-8859-1": ("ISO8859-1",), "A": ("own.so",), "B": ("own.so",)}
    assert found == {
        f"{HERE}/gconv-modules": Gconv(aliases={"LATIN1": "ISO-8859-1"}, modules=modules)
    }


def test_which_files() -> None:
    image = rootfs(
        [
            Lnk("lib", "usr/lib"),
            Reg(f"{HERE}/gconv-modules.d/extra.conf"),
            Reg(f"{HERE}/gconv-modules.d/README"),
            Reg("usr/lib64/gconv/gconv-modules"),
            Reg("usr/lib/gconv/gconv-modules"),
            Reg("opt/gconv/gconv-modules"),
        ]
    )
    assert set(gconv.read(image)) == {
        f"{HERE}/gconv-modules.d/extra.conf",
        "usr/lib64/gconv/gconv-modules",
        "usr/lib/gconv/gconv-modules",
    }
