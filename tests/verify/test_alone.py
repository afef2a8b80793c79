"""What can be said of an image without its source: nothing of a sound one."""

from __future__ import annotations

from careen.finding import Finding
from careen.verify import judge
from careen.verify.judge import Sight
from tests.builders import Lnk, Node, Reg, tar_layer
from tests.elf_builder import elf
from tests.packages.dpkg_root import Pkg, table
from tests.plan.scenes import pkg, seen
from tests.verify.test_against import DOCUMENT, MANIFEST, image


def alone(packages: list[Pkg], nodes: list[Node]) -> list[tuple[str, str, str]]:
    note = Finding(rule="odd-layer", severity="note", message="read before")
    scene = seen(tar_layer(table(packages, nodes=nodes)))
    sight = Sight(image=image(DOCUMENT, MANIFEST), scene=scene, notes=(note,))
    first, *others = judge.alone(sight)
    assert first == note
    return [(item.rule, item.severity, item.path) for item in others]


def test_a_sound_image() -> None:
    nodes = [Reg("usr/bin/app", elf(needed=["libz.so"]), 0o755), Reg("usr/lib/libz.so", elf())]
    assert alone([pkg("app", "/usr/bin/app")], [*nodes, Lnk("srv/x", "/usr/bin/app")]) == []


def test_what_is_wrong_by_itself() -> None:
    nodes = [Reg("usr/bin/app", elf(needed=["libz.so"]), 0o755), Lnk("srv/x", "gone")]
    lost = pkg("lost", dirs=["/usr/bin/lost"])
    mute = Pkg("mute", listed=False)
    assert alone([pkg("app", "/usr/bin/app"), lost, mute], [*nodes, Lnk("srv/y", "gone")]) == [
        ("library-missing", "warning", "/usr/bin/app"),
        ("dangling-link", "note", "/srv/x"),
        ("record-without-file", "warning", ""),
        ("package-database", "note", ""),
    ]
