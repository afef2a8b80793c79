"""ld.so.cache follows what goes: the plan carries the cache of the rest, or says why not."""

from __future__ import annotations

from typing import Any

from careen.plan.plan import PathDecision, Plan
from careen.rootfs import facts, ld_cache
from tests.builders import Hard, Lnk, Node, Reg
from tests.cache_builder import Lib, cache
from tests.elf_builder import elf
from tests.plan.scenes import applied, drawn, pkg, profile, rootfs, scene

LIB = elf()
PLACE = "etc/ld.so.cache"
USED = Lib("libused.so", "/lib/libused.so")
SPARE = Lib("libspare.so", "/lib/libspare.so")
STALE = Lib("libnever.so", "/lib/libnever.so")
RAW = cache([USED, STALE, SPARE])
PACKAGES = [
    pkg("libused", "/usr/lib/libused.so", "/usr/lib/libused.so.1"),
    pkg("libspare", "/usr/lib/libspare.so", "/usr/lib/libspare.so.1"),
]
NODES = [
    Reg("usr/lib/libused.so.1", LIB),
    Lnk("usr/lib/libused.so", "libused.so.1"),
    Reg("usr/lib/libspare.so.1", LIB),
    Lnk("usr/lib/libspare.so", "libspare.so.1"),
    Lnk("lib", "usr/lib"),
]


def planned(*nodes: Node, **options: Any) -> Plan:
    of = profile(opened=["/lib/libused.so", "/etc/ld.so.cache"])
    return drawn(scene(PACKAGES, [*NODES, *nodes]), of=of, **options)


def changed(plan: Plan, path: str = PLACE) -> PathDecision | None:
    return next((item for item in plan.paths if item.path == f"/{path}"), None)


def notes(plan: Plan) -> list[tuple[str, int, str]]:
    found = [item for item in plan.findings if item.rule == "ld-cache-kept"]
    assert {item.severity for item in found} <= {"note"}
    return [(item.path, item.count, item.message) for item in found]


def test_entries_of_what_goes_go_and_nothing_else() -> None:
    plan = planned(Reg(PLACE, RAW))
    item = changed(plan)
    assert item is not None
    assert (item.decision, item.kind, item.bytes) == ("replace", "file", len(item.data()))
    assert item.data() == cache([USED, STALE])
    assert item.reason == "the loader's cache names what remains"
    assert notes(plan) == []


def test_a_link_or_its_target_alone_takes_the_entry() -> None:
    raw = cache([USED, Lib("libspare.so.1", "/usr/lib/libspare.so.1"), SPARE])
    plan = planned(Reg(PLACE, raw), keep=("libspare",), drop=("/usr/lib/libspare.so",))
    item = changed(plan)
    assert item is not None
    assert ld_cache.read(item.data()).keys() == {"libused.so", "libspare.so.1"}
    plan = planned(Reg(PLACE, raw), keep=("libspare",), drop=("/usr/lib/libspare.so.1",))
    item = changed(plan)
    assert item is not None
    assert ld_cache.read(item.data()).keys() == {"libused.so"}


def test_a_cache_of_nothing_that_stays_is_an_empty_one() -> None:
    item = changed(planned(Reg(PLACE, cache([SPARE]))))
    assert item is not None
    assert item.data() == cache([])
    assert ld_cache.read(item.data()) == {}


def test_an_alternative_that_turns_elsewhere_keeps_its_entry() -> None:
    text = "auto\n/usr/lib/libblas.so\n\n/usr/lib/libspare.so.1\n40\n/usr/lib/libused.so.1\n30\n\n"
    nodes = [
        *NODES,
        Lnk("usr/lib/libblas.so", "/etc/alternatives/libblas"),
        Lnk("etc/alternatives/libblas", "/usr/lib/libspare.so.1"),
        Reg(PLACE, cache([USED, Lib("libblas.so", "/lib/libblas.so"), SPARE])),
    ]
    image = scene(PACKAGES, nodes, files={"alternatives/libblas": text})
    item = changed(drawn(image, of=profile(opened=["/lib/libused.so"])))
    assert item is not None
    assert ld_cache.read(item.data()).keys() == {"libused.so", "libblas.so"}


def test_the_cache_stays_where_none_of_its_libraries_goes() -> None:
    plan = planned(Reg(PLACE, cache([USED, STALE])))
    assert (changed(plan), notes(plan)) == (None, [])
    plan = planned(Reg(PLACE, RAW), keep=("libspare",))
    assert (changed(plan), notes(plan)) == (None, [])


def test_a_cache_behind_a_link_or_with_other_names() -> None:
    plan = planned(Reg("srv/cache", RAW), Hard("srv/other", "srv/cache"), Lnk(PLACE, "/srv/cache"))
    assert changed(plan) is None
    item = changed(plan, "srv/cache")
    assert item is not None
    assert item.data() == cache([USED, STALE])
    assert changed(plan, "srv/other") is None


def test_a_cache_that_is_asked_to_be_kept_or_owned_stays_and_is_told() -> None:
    plan = planned(Reg(PLACE, RAW), keep=("/etc/*",))
    assert changed(plan) is None
    assert notes(plan) == [
        ("/etc/ld.so.cache", 1, "goes on naming libraries that go: asked for: /etc/*")
    ]
    image = scene([*PACKAGES, pkg("owner", f"/{PLACE}")], [*NODES, Reg(PLACE, RAW)])
    plan = drawn(image, of=profile(opened=["/lib/libused.so", f"/{PLACE}"]))
    assert changed(plan) is None
    assert notes(plan) == [
        ("/etc/ld.so.cache", 1, "goes on naming libraries that go: owner owns it")
    ]


def test_a_cache_that_goes_itself_is_not_written_again() -> None:
    plan = planned(Reg(PLACE, RAW), drop=(f"/{PLACE}",))
    item = changed(plan)
    assert item is not None
    assert item.decision == "drop"
    assert notes(plan) == []


def test_a_cache_that_cannot_be_read_or_written_again_stays_and_is_told() -> None:
    plan = planned(Reg(PLACE, "nonsense"))
    assert changed(plan) is None
    assert notes(plan) == [("/etc/ld.so.cache", 1, "stays as it is: not a cache in glibc's format")]
    plan = planned(Reg(PLACE, "nonsense"), keep=("libspare",))
    assert notes(plan) == []
    plan = planned(Reg(PLACE, RAW + b"more"))
    assert changed(plan) is None
    message = "its strings or extensions do not end where the file does"
    assert notes(plan) == [("/etc/ld.so.cache", 1, f"goes on naming libraries that go: {message}")]


def test_the_finished_image_names_what_is_there_and_nothing_is_left_to_do() -> None:
    source = scene(PACKAGES, [*NODES, Reg(PLACE, RAW)])
    plan = drawn(source, of=profile(opened=["/lib/libused.so"]))
    after = facts.read(rootfs(applied(source, plan)))
    assert after.ld_cache.keys() == {"libused.so", "libnever.so"}
    assert after.ld_cache_raw == cache([USED, STALE])
