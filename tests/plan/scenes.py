"""Small images for plan and verify, in memory: a table of packages and nodes → a `Scene` → a plan.

seen = scene([Pkg("app", ["/usr/bin/app"]), Pkg("spare", ["/usr/bin/spare"])])
plan = drawn(seen, used=["/usr/bin/app"])
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from careen.formats import digest as digests
from careen.formats import tar
from careen.oci.config import Execution
from careen.packages import catalog
from careen.plan.closure import Scene
from careen.plan.draw import draw
from careen.plan.plan import Options, Plan, Source
from careen.profile.profile import Drop, Image, Keep, Profile, Scenario
from careen.rewrite.layer import Blocks
from careen.rewrite.merge import merge
from careen.rootfs import facts
from careen.rootfs.rootfs import Rootfs
from careen.rootfs.tree import Tree
from tests.builders import Node, tar_layer
from tests.packages.dpkg_root import HOME, Pkg, table
from tests.rootfs.hand_made import Memory

SOURCE = Source(digest=digests.of(b"the source"), platform="linux/amd64")


def pkg(name: str, *files: str, dirs: Sequence[str] = (), **more: Any) -> Pkg:
    """A package that lists `dirs` as well; their directories are for `nodes` to make."""
    conffiles = more.get("conffiles", ())
    listed = "".join(f"{path}\n" for path in ("/.", *dirs, *files, *conffiles))
    return Pkg(name, files, info={"list": listed}, **more)


def rootfs(layer: bytes) -> Rootfs:
    """One layer's merged view, by careen's own reader."""
    tree = Tree()
    tree.apply(0, tar.Reader(iter([layer]), tar.Limits()))
    nodes, links = tree.finish()
    return Rootfs(nodes, (Memory(layer),), links)


def seen(layer: bytes, execution: Execution | None = None) -> Scene:
    root = rootfs(layer)
    return Scene(
        rootfs=root,
        facts=facts.read(root),
        catalog=catalog.read(root),
        execution=execution or Execution(),
    )


def scene(
    packages: Sequence[Pkg],
    nodes: Sequence[Node] = (),
    *,
    files: Mapping[str, Any] | None = None,
    execution: Execution | None = None,
) -> Scene:
    return seen(tar_layer(table(packages, files, nodes=nodes)), execution)


def profile(
    used: Iterable[str] = (),
    *,
    opened: Iterable[str] = (),
    examined: Iterable[str] = (),
    links: Mapping[str, str] | None = None,
    keep: Keep | None = None,
    drop: Drop | None = None,
    name: str = "run",
    digest: str | None = None,
) -> Profile:
    scenario = Scenario(
        name=name,
        image=Image(digest=digests.parse(digest) if digest else None),
        executed=tuple(used),
        opened=tuple(opened),
        examined=tuple(examined),
        links=dict(links or {}),
    )
    return Profile(scenarios=(scenario,), keep=keep or Keep(), drop=drop or Drop())


def drawn(
    source: Scene, used: Iterable[str] = (), *, of: Profile | None = None, **options: Any
) -> Plan:
    return draw(source, SOURCE, of or profile(used), Options(**options))


def applied(source: Scene, plan: Plan) -> bytes:
    """The one layer of the hardened image, by careen's own writer."""
    return b"".join(Blocks(source.rootfs, merge(source.rootfs, plan)))


def decisions(plan: Plan) -> dict[str, str]:
    return {item.id: item.decision for item in plan.packages}


def reasons(plan: Plan) -> dict[str, str]:
    return {item.id: item.reason for item in plan.packages}


def dropped(plan: Plan) -> dict[str, str]:
    """Paths that go, with their reason; the database's own aside."""
    return {
        item.path: item.reason
        for item in plan.paths
        if item.decision == "drop" and not item.path.startswith(f"/{HOME}/")
    }


def rules(plan: Plan) -> dict[str, str]:
    return {item.rule: item.message for item in plan.findings}
