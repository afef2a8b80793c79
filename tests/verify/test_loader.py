"""The real loader judges what verify says of programs: a root made by gcc, and its ld.so in it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path as Disk

import msgspec
import pytest

from careen.finding import Finding
from careen.oci.config import Execution
from careen.packages import catalog
from careen.plan.closure import Scene
from careen.plan.plan import Plan
from careen.rootfs import facts
from careen.verify import working
from careen.verify.standing import linked, starts
from tests.elf_builder import INTERP
from tests.judges import needs
from tests.on_disk import merged
from tests.plan.scenes import SOURCE

LOADER = INTERP["glibc"]

pytestmark = [
    needs("gcc"),
    needs("bwrap"),
    pytest.mark.skipif(not os.path.exists(LOADER), reason=f"no {LOADER} on this machine"),
]


def gcc(*arguments: str | Disk) -> None:
    subprocess.run(["gcc", *arguments], check=True, capture_output=True)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Disk:
    """`/app/bin/app` needs `liba.so` by its RUNPATH, that needs `libb.so`; libc beside them."""
    folder = tmp_path_factory.mktemp("root")
    source = folder.parent / "x.c"
    source.write_text("int a(void); int main(void) { return a(); }\n")
    (folder.parent / "a.c").write_text("int b(void); int a(void) { return b(); }\n")
    (folder.parent / "b.c").write_text("int b(void) { return 0; }\n")
    for name in ("app/bin", "app/lib", "lib64", "lib/x86_64-linux-gnu"):
        (folder / name).mkdir(parents=True)
    lib = folder / "app/lib"
    gcc("-shared", "-fPIC", "-o", lib / "libb.so", folder.parent / "b.c")
    path = r"-Wl,--enable-new-dtags,-rpath,$ORIGIN" + "/{}"
    gcc("-shared", "-fPIC", "-o", lib / "liba.so", folder.parent / "a.c", f"-L{lib}", "-lb",
        path.format("."))  # fmt: skip
    gcc("-o", folder / "app/bin/app", source, f"-L{lib}", "-la", path.format("../lib"),
        f"-Wl,-rpath-link,{lib}")  # fmt: skip
    shutil.copy(LOADER, folder / "lib64")
    for libc in ("/lib/x86_64-linux-gnu/libc.so.6", "/lib64/libc.so.6"):
        if os.path.exists(libc):
            shutil.copy(libc, folder / "lib/x86_64-linux-gnu")
            break
    return folder


def not_found(root: Disk) -> set[str]:
    """The libraries that the loader of this root does not find for the program; {"ld"} without."""
    done = subprocess.run(
        ["bwrap", "--bind", root, "/", "--dev", "/dev", LOADER, "--list", "/app/bin/app"],
        capture_output=True,
        text=True,
        check=False,
    )
    if "execvp" in done.stderr:
        return {"ld"}
    lost = re.findall(r"(\S+) => not found|\s(\S+): cannot open shared", done.stdout + done.stderr)
    return {(a or b).rstrip(":") for a, b in lost}


def scene(root: Disk) -> Scene:
    rootfs = merged(root)
    return Scene(
        rootfs=rootfs,
        facts=facts.read(rootfs),
        catalog=catalog.of([]),
        execution=Execution(entrypoint=("/app/bin/app",)),
    )


def wanting(findings: list[Finding]) -> set[str]:
    """The base names of what programs are said to need."""
    texts = [re.search(r"needs (\S+),", item.message) for item in findings]
    return {"ld" if m[1] == LOADER else m[1] for m in texts if m}


def nothing(root: Disk) -> None:
    """The root as it is."""


def unlinked(*names: str) -> Callable[[Disk], None]:
    def damage(root: Disk) -> None:
        for name in names:
            (root / name).unlink()

    return damage


def moved(root: Disk) -> None:
    (root / "app/lib").rename(root / "app/other")


DAMAGES = [
    ("none", nothing),
    ("the program's library", unlinked("app/lib/liba.so")),
    ("its library's library", unlinked("app/lib/libb.so")),
    ("the C library", unlinked("lib/x86_64-linux-gnu/libc.so.6")),
    ("the loader", unlinked("lib64/ld-linux-x86-64.so.2")),
    ("the folder that RUNPATH names", moved),
]


@pytest.mark.parametrize("damage", [row[1] for row in DAMAGES], ids=[row[0] for row in DAMAGES])
def test_verify_misses_what_the_loader_misses(
    root: Disk, tmp_path: Disk, damage: Callable[[Disk], None]
) -> None:
    broken = tmp_path / "root"
    shutil.copytree(root, broken, symlinks=True)
    damage(broken)
    lost = not_found(broken)
    assert bool(lost) == (damage is not nothing)
    after, before = scene(broken), scene(root)

    # Alone: what the config starts cannot start.
    assert wanting([*starts(after)]) == lost
    assert {item.severity for item in starts(after)} <= {"error"}
    assert bool(lost) == any(item.severity == "warning" for item in linked(after))

    # Against the source: the program of the closed set lost it.
    plan = Plan(source=SOURCE, programs=("/app/bin/app",))
    found = [*working.still_working(after, before, plan)]
    programs = [item for item in found if item.rule.startswith("program-lost-")]
    assert wanting(programs) == lost
    assert {item.severity for item in programs} <= {"error"}

    # Gone before, nothing is lost.
    again = msgspec.structs.replace(plan, programs=("/app/bin/app", "/app/bin/never"))
    assert [*working.still_working(after, after, again)] == []
