"""Real Debian images hardened from a real registry, judged by skopeo, umoci, dpkg, syft and use."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.hardened import (
    PROFILES,
    Hardened,
    careen,
    dpkg,
    registry_digest,
    skopeo,
    syft_packages,
)
from tests.e2e.support import check_flask, check_nginx, check_redis, running
from tests.judges import ROOT_ONLY, differences, hard_links, snapshot

pytestmark = [pytest.mark.e2e, ROOT_ONLY]
NAMES = ["redis", "nginx", "flask"]
CHECKS = {"redis": check_redis, "nginx": check_nginx, "flask": check_flask}
# What each profile leaves out of the shop's suite: it was recorded without these.
PROFILED = {"flask": ()}


@pytest.fixture(params=NAMES)
def image(request: pytest.FixtureRequest, hardened: Callable[[str], Hardened]) -> Hardened:
    return hardened(request.param)


def test_both_tags_exist_and_the_debug_tag_is_the_source(image: Hardened) -> None:
    source = registry_digest(image.source)
    assert registry_digest(f"{image.destination}-debug") == source
    assert registry_digest(image.destination) not in ("", source)


def test_the_tree_is_the_sources_less_the_plans_drops(image: Hardened) -> None:
    dropped, replaced = image.dropped(), image.replaced()
    before = {p: f for p, f in snapshot(image.before / "rootfs").items() if p not in dropped}
    after = snapshot(image.after / "rootfs")
    assert dropped.isdisjoint(after)
    found = differences(before, after)
    assert [line for line in found if not line.startswith(tuple(map(repr, replaced)))] == []
    about_replaced = [line for line in found if ": content " not in line]
    assert about_replaced == []
    links = {
        kept for group in hard_links(image.before / "rootfs") if len(kept := group - dropped) > 1
    }
    assert hard_links(image.after / "rootfs") == links


def test_the_application_works(image: Hardened) -> None:
    with running(image.after) as app:
        CHECKS[image.name](app, *PROFILED.get(image.name, ()))
        app.stop()


def test_dpkg_lists_the_kept_packages_and_finds_nothing_new(image: Hardened) -> None:
    before, after = image.before / "rootfs", image.after / "rootfs"
    listed = dpkg(after, "-W", "-f=${Package}\\n")
    assert set(listed) == image.staying()
    assert dpkg(after, "--audit") == dpkg(before, "--audit")
    assert set(dpkg(after, "--verify")) <= set(dpkg(before, "--verify"))


def test_syft_lists_the_same_set(image: Hardened) -> None:
    staying = {
        (item["name"], item["version"])
        for item in image.plan["packages"]
        if item["decision"] != "remove"
    }
    assert syft_packages(image.after / "rootfs") == staying


def test_no_shell_perl_or_package_manager_is_left(image: Hardened) -> None:
    found = [
        path
        for path in (image.after / "rootfs").rglob("*")
        if path.parent.name in ("bin", "sbin")
        and path.name.startswith(("sh", "bash", "dash", "rbash", "perl", "apt", "dpkg"))
    ]
    assert [path for path in found if not path.name.startswith(("sha", "shuf", "shred"))] == []
    assert image.plan["totals"]["shells"][1] == 0


def test_redis_keeps_few_packages(hardened: Callable[[str], Hardened]) -> None:
    packages = hardened("redis").plan["totals"]["packages"]
    assert packages[0] >= 100
    assert packages[1] <= 28


def test_verify_agrees(image: Hardened, tmp_path: Path) -> None:
    """The pushed image, read again with the plan that `careen plan` draws for the same source."""
    plan = tmp_path / "plan.json"
    profile = str(PROFILES / f"{image.name}.yaml")
    done = careen("plan", image.source, "--profile", profile, "-o", str(plan), "--quiet")
    assert done.returncode == 0, done.stderr
    drawn = json.loads(plan.read_bytes())
    assert {key: drawn[key] for key in ("packages", "totals", "options")} == {
        key: image.plan[key] for key in ("packages", "totals", "options")
    }
    arguments = ["verify", image.destination, "--source", image.source, "--plan", str(plan)]
    done = careen(*arguments, "--format", "json", "--quiet")
    assert done.returncode == 0, done.stdout
    findings = json.loads(done.stdout)["findings"]
    assert [finding for finding in findings if finding["severity"] == "error"] == []
    done = careen("verify", image.destination, "--source", image.source, "--quiet")
    assert done.returncode == 3


def test_config_and_labels(image: Hardened) -> None:
    before = json.loads(skopeo("inspect", "--config", "--tls-verify=false", image.source))
    after = json.loads(skopeo("inspect", "--config", "--tls-verify=false", image.destination))
    labels = after["config"].pop("Labels")
    expected = before["config"].pop("Labels")
    assert {k: v for k, v in labels.items() if not k.startswith("io.careen.")} == expected
    assert labels["io.careen.source.digest"] == registry_digest(image.source)
    assert labels["io.careen.debug"] == registry_digest(image.source)
    assert after["config"] == before["config"]
    assert after["created"] == before["created"]
    assert len(after["rootfs"]["diff_ids"]) == len(after["history"]) == 1
    assert json.loads(after["history"][0]["comment"])["history"] == before["history"]


def test_hardening_again_pushes_nothing_and_changes_nothing(image: Hardened) -> None:
    before = registry_digest(image.destination)
    profile = str(PROFILES / f"{image.name}.yaml")
    done = careen("harden", image.source, image.destination, "--profile", profile, "--quiet")
    assert done.returncode == 0, done.stderr
    assert registry_digest(image.destination) == before


def test_hardening_the_hardened_image_removes_nothing(image: Hardened) -> None:
    profile = str(PROFILES / f"{image.name}.yaml")
    done = careen("plan", image.destination, "--profile", profile, "--format", "json", "--quiet")
    assert done.returncode == 0, done.stderr
    plan = json.loads(done.stdout)
    assert plan["totals"]["packages"][0] == plan["totals"]["packages"][1]
    assert plan["paths"] == []
