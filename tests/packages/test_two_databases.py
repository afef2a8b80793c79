"""One image, two databases that both record `busybox`: hardened, and each reader judges its own."""

from __future__ import annotations

import io
import subprocess
import tarfile
from collections.abc import Sequence
from pathlib import Path as FilePath

import pytest

from careen.packages import apk, catalog
from careen.packages.qualified import family, own_id
from careen.plan.closure import Scene
from careen.rootfs.path import Path
from careen.rootfs.rootfs import Rootfs
from careen.verify.promise import tree_kept
from careen.verify.records import records_true
from tests import alpine
from tests.builders import Dir, Lnk, Node, Reg, tar_layer
from tests.judges import needs
from tests.on_disk import merged
from tests.packages import apk_root
from tests.packages.dpkg_root import HOME as DPKG
from tests.packages.dpkg_root import Pkg, md5
from tests.plan.scenes import applied, decisions, drawn, pkg, rootfs, scene, seen

DEBIANS = [pkg("app", "/usr/bin/app"), pkg("busybox", "/usr/bin/busybox", "/usr/share/both")]
ALPINES = [
    apk_root.Pkg("busybox", files=["/opt/bin/busybox", "/usr/share/both"]),
    apk_root.Pkg("musl", files=["/opt/lib/ld-musl-x86_64.so.1"]),
]
BOTH = ["app", "busybox", "busybox (apk)", "musl (apk)"]


def alpine_nodes(packages: Sequence[apk_root.Pkg] = ALPINES) -> list[Node]:
    home = "usr/lib/apk/db"
    return [
        *(Reg(file[1:], file) for one in packages for file in one.files),
        Reg(f"{home}/installed", apk_root.installed(*packages)),
        Reg(f"{home}/triggers", ""),
        Reg(f"{home}/scripts.tar", apk_root.archive([])),
        Reg("etc/apk/world", "busybox\nmusl\n"),
    ]


def both() -> Scene:
    return scene(DEBIANS, alpine_nodes())


# What is used → which records stay.
CASES = {
    "neither": (["/usr/bin/app"], ["app"]),
    "dpkg's": (["/usr/bin/app", "/usr/bin/busybox"], ["app", "busybox"]),
    "apk's": (["/usr/bin/app", "/opt/bin/busybox"], ["app", "busybox (apk)"]),
    "both": (["/usr/bin/app", "/usr/bin/busybox", "/opt/bin/busybox"], BOTH[:3]),
    "apk's alone": (["/opt/bin/busybox"], ["busybox (apk)"]),
    "musl alone": (["/opt/lib/ld-musl-x86_64.so.1"], ["musl (apk)"]),
}


def unpacked(layer: bytes, folder: FilePath) -> FilePath:
    with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
        tar.extractall(folder, filter="fully_trusted")
    return folder


@pytest.mark.parametrize(("used", "stays"), CASES.values(), ids=CASES)
def test_each_database_loses_its_own_packages(used: list[str], stays: list[str]) -> None:
    before = both()
    assert sorted(before.catalog.packages) == BOTH
    plan = drawn(before, used)
    assert decisions(plan) == {id: "keep" if id in stays else "remove" for id in BOTH}
    after = seen(applied(before, plan))
    assert sorted(after.catalog.packages) == sorted(stays)
    assert list(records_true(after, before, plan)) == []
    assert list(tree_kept(after.rootfs, before.rootfs, plan)) == []
    assert (Path("usr/share/both") in after.rootfs) == any("busybox" in id for id in stays)


@needs("dpkg-query")
@pytest.mark.parametrize(("used", "stays"), CASES.values(), ids=CASES)
def test_dpkg_and_the_apk_reader_list_what_stays(
    used: list[str], stays: list[str], tmp_path: FilePath
) -> None:
    before = both()
    root = unpacked(applied(before, drawn(before, used)), tmp_path)
    done = subprocess.run(
        ["dpkg-query", f"--root={root}", "-W", "-f=${Package}\\n"],
        capture_output=True, check=False, text=True,
    )  # fmt: skip
    expected = [id for id in stays if "(" not in id]
    assert (done.stdout.split(), done.returncode) == (expected, 0), done.stderr
    records = apk.read(merged(root))
    assert records is not None
    assert records.refused == ""
    assert [one.id for one in records.packages] == [
        id.removesuffix(" (apk)") for id in stays if "(" in id
    ]


@alpine.NEEDED
@needs("bwrap")
def test_apk_lists_what_stays(tmp_path: FilePath) -> None:
    before = both()
    hardened = applied(before, drawn(before, ["/usr/bin/app", "/opt/bin/busybox"]))
    root = unpacked(hardened, tmp_path / "root")
    tools = alpine.unpack(tmp_path / "tools")
    (root / "lib").unlink()  # this apk knows only the older place, which a link leads to
    (root / "lib").mkdir()
    (root / "usr/lib/apk").rename(root / "lib/apk")
    assert alpine.apk(tools, root, "info", "-v") == ["busybox-1.0-r0"]


@pytest.mark.parametrize("name", ["busybox", "busybox*", "busybox (apk)", "* (apk)"])
def test_people_may_name_one_or_both(name: str) -> None:
    plan = drawn(both(), ["/usr/bin/app"], keep=(name,))
    kept = {id for id, decision in decisions(plan).items() if decision == "keep"} - {"app"}
    assert (
        kept
        == {
            "busybox": {"busybox", "busybox (apk)"},
            "busybox*": {"busybox", "busybox (apk)"},
            "busybox (apk)": {"busybox (apk)"},
            "* (apk)": {"busybox (apk)", "musl (apk)"},
        }[name]
    )


def test_an_equal_id_of_another_database_is_no_ones() -> None:
    databases = both().catalog.databases
    removed = frozenset(["busybox"])
    changed = [set(one.edit(removed, frozenset([Path("usr/bin/busybox")]))) for one in databases]
    assert f"{DPKG}/status" in changed[0]
    assert changed[1] == set()


def distroless() -> Rootfs:
    status = f"{DPKG}/status.d"
    return rootfs(
        tar_layer(
            [
                Dir("usr/lib"),
                Lnk("lib", "usr/lib"),
                Dir(status),
                Reg(f"{status}/busybox", Pkg("busybox").stanza),
                Reg(f"{status}/busybox.md5sums", f"{md5('x')}  usr/bin/busybox\n"),
                Reg("usr/bin/busybox"),
                *alpine_nodes(),
            ]
        )
    )


def test_ids_stay_when_the_other_database_has_lost_its_last_package() -> None:
    root = distroless()
    found = catalog.read(root)
    assert sorted(found.packages) == BOTH[1:]
    for path, content in found.databases[0].edit(frozenset(["busybox"]), frozenset()).items():
        assert content is None
        del root.nodes[path]
    assert sorted(catalog.read(root).packages) == BOTH[2:]


def test_a_package_knows_its_family_and_its_own_id() -> None:
    packages = catalog.read(distroless()).packages
    assert {id: (family(one), own_id(one)) for id, one in packages.items()} == {
        "busybox": ("dpkg", "busybox"),
        "busybox (apk)": ("apk", "busybox"),
        "musl (apk)": ("apk", "musl"),
    }
