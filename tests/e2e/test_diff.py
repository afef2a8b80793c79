"""The real redis image against its hardened self: the plan's drops, and umoci's two trees."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from fixtures.build import Image

from tests.e2e.hardened import PROFILES, careen
from tests.judges import ROOT_ONLY, hard_links, snapshot, umoci_unpack

pytestmark = [pytest.mark.e2e, ROOT_ONLY]


@pytest.fixture(scope="module")
def folder(redis_image: Image, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The hardened image in `made`, what harden said in `plan.json`."""
    made = tmp_path_factory.mktemp("diff")
    done = careen(
        "harden", str(redis_image), f"oci:{made}/made:x", "--profile",
        str(PROFILES / "redis.yaml"), "--no-debug", "--format", "json", "--quiet",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (made / "plan.json").write_text(done.stdout)
    return made


@pytest.fixture(scope="module")
def found(redis_image: Image, folder: Path) -> Any:
    done = careen(
        "diff", str(redis_image), f"oci:{folder}/made:x", "--format", "json", "--quiet",
        "--exit-code",
    )  # fmt: skip
    assert done.returncode == 3, done.stderr
    return json.loads(done.stdout)


def paths(items: list[dict[str, Any]]) -> set[str]:
    return {item["path"] for item in items}


def test_it_is_the_plan(found: Any, folder: Path) -> None:
    plan = json.loads((folder / "plan.json").read_text())
    decided: dict[str, set[str]] = {"drop": set(), "replace": set()}
    for item in plan["paths"]:
        decided[item["decision"]].add(item["path"])
    assert paths(found["paths"]["removed"]) == decided["drop"]
    assert paths(found["paths"]["changed"]) == decided["replace"]
    assert found["paths"]["added"] == found["paths"]["touched"] == []
    removed = {item["id"] for item in plan["packages"] if item["decision"] == "remove"}
    assert {item["id"] for item in found["packages"]["removed"]} == removed
    assert found["packages"]["added"] == found["packages"]["changed"] == []
    totals = plan["totals"]
    for word in ("packages", "bytes", "shells"):
        assert [found[side][word] for side in ("before", "after")] == totals[word], word


def test_the_config_changes_by_labels_alone(found: Any) -> None:
    assert {item["name"] for item in found["config"]} == {
        f"config.Labels.io.careen.{fact}"
        for fact in ("plan.digest", "profile.digest", "source.digest", "version")
    }
    assert all(item["before"] is None for item in found["config"])


def test_umoci_unpacks_the_same_difference(
    found: Any, redis_image: Image, folder: Path, tmp_path: Path
) -> None:
    roots = [
        umoci_unpack(redis_image.layout, redis_image.ref, tmp_path / "before"),
        umoci_unpack(folder / "made", "x", tmp_path / "after"),
    ]
    before, after = map(snapshot, roots)
    both = before.keys() & after.keys()
    assert absolute(after.keys() - before.keys()) == paths(found["paths"]["added"])
    assert absolute(before.keys() - after.keys()) == paths(found["paths"]["removed"])
    changed = paths(found["paths"]["changed"]) | paths(found["paths"]["touched"])
    assert absolute({path for path in both if before[path] != after[path]}) == changed
    sizes = {item["path"]: item["changes"][0] for item in found["paths"]["changed"]}
    for path, change in sizes.items():
        on_disk = [os.lstat(root / path[1:]).st_size for root in roots]
        assert (change["what"], change["before"], change["after"]) == ("content", *on_disk)
    kept = {frozenset(group & both) for group in hard_links(roots[0]) if len(group & both) > 1}
    assert hard_links(roots[1]) == kept


def absolute(found: set[bytes]) -> set[str]:
    return {f"/{os.fsdecode(path)}" for path in found}


def test_an_image_is_itself(redis_image: Image) -> None:
    done = careen("diff", str(redis_image), str(redis_image), "--exit-code", "--quiet")
    assert done.returncode == 0, done.stderr
    assert "in nothing, the images are one" in done.stdout
