"""Every command counts the same files: names that are no directories, as find(1) does."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from fixtures.build import build

from tests.builders import Dir, Hard, Lnk, Reg, image_layout, tar_layer
from tests.e2e.hardened import PROFILES, careen
from tests.e2e.support import unpack
from tests.judges import ROOT_ONLY, needs
from tests.packages.dpkg_root import Pkg, table

pytestmark = [pytest.mark.e2e, ROOT_ONLY, needs("umoci")]


def counted(command: str, *arguments: str) -> dict[str, object]:
    done = careen(command, *arguments, "--format", "json", "--quiet")
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout)
    return found


def find(root: Path, *tests: str) -> int:
    printed = subprocess.run(
        ["find", str(root), "!", "-type", "d", *tests, "-printf", "."],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return len(printed.stdout)


def linked(folder: Path) -> tuple[str, str]:
    """An image with hard links inside a package, out of it, in a later layer, to a symlink."""
    first = [
        *table([Pkg("app", ["/usr/bin/app", "/usr/bin/alias"])]),
        Dir("srv"),
        Hard("usr/bin/alias", "usr/bin/app"),
        Hard("srv/app", "usr/bin/app"),
        Lnk("srv/link", "app"),
        Hard("srv/link2", "srv/link"),
        Reg("srv/gone", "x"),
    ]
    layers = [tar_layer(first), tar_layer([Hard("srv/later", "srv/gone")])]
    image_layout(folder / "linked", layers)
    (folder / "p.yaml").write_text(
        "schema: careen.profile/v1\nscenarios: [{name: a, executed: [/usr/bin/app]}]\n"
    )
    return f"{folder}/linked:latest", str(folder / "p.yaml")


@pytest.mark.parametrize("real", [False, True], ids=["hard links", "redis"])
def test_plan_inspect_and_diff_count_what_find_counts(tmp_path: Path, real: bool) -> None:
    if real:
        image = build("redis")
        name, profile = f"{image.layout}:{image.ref}", str(PROFILES / "redis.yaml")
    else:
        name, profile = linked(tmp_path)
    source = f"oci:{name}"
    layout, _, ref = name.rpartition(":")
    root = unpack(Path(layout), ref, tmp_path / "bundle") / "rootfs"
    plan = counted("plan", source, "--profile", profile)
    inspected = counted("inspect", source)
    compared = counted("diff", source, source)
    files, size = plan["totals"]["files"][0], plan["totals"]["bytes"][0]  # type: ignore[index]
    assert files == find(root)
    assert inspected["files"] == files
    assert inspected["bytes"] == size
    assert sum(layer["files"] for layer in inspected["layers"]) == files  # type: ignore[attr-defined]
    assert compared["before"]["files"] == files  # type: ignore[index]
    assert compared["before"]["bytes"] == size  # type: ignore[index]
