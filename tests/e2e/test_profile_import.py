"""A profile imported from a plain list of paths hardens redis as the recorded profile does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from fixtures.build import Image

from tests.e2e.hardened import PROFILES, careen

pytestmark = pytest.mark.e2e
PROFILE = PROFILES / "redis.yaml"


def planned(image: Image, profile: Path) -> dict[str, Any]:
    done = careen("plan", str(image), "-p", str(profile), "--format", "json")
    assert done.returncode == 0, done.stderr
    plan: dict[str, Any] = json.loads(done.stdout)
    return plan


@pytest.mark.parametrize("bound", [True, False])
def test_the_same_goes_and_the_same_stays(
    redis_image: Image, tmp_path: Path, *, bound: bool
) -> None:
    (scenario,) = yaml.safe_load(PROFILE.read_text())["scenarios"]
    used = {*scenario["executed"], *scenario["opened"], *scenario["examined"], *scenario["links"]}
    (tmp_path / "paths").write_text("\n".join(sorted(used)))
    made = tmp_path / "made.yaml"
    image = ["--image", str(redis_image)] if bound else []
    done = careen("profile", "import", "paths", str(tmp_path / "paths"), *image, "-o", str(made))
    assert done.returncode == 0, done.stderr
    recorded, imported = planned(redis_image, PROFILE), planned(redis_image, made)
    for key in ("packages", "paths"):
        assert {(p.get("path") or p.get("name"), p["decision"]) for p in recorded[key]} == {
            (p.get("path") or p.get("name"), p["decision"]) for p in imported[key]
        }
    assert recorded["totals"] == imported["totals"]
    checked = careen("profile", "check", str(made), str(redis_image))
    assert checked.returncode == 0, checked.stdout
