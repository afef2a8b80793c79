"""An image whose Entrypoint is a shell script: what becomes of its shell, and who says so."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from fixtures.build import build

from tests.e2e.hardened import PROFILES, careen
from tests.e2e.support import check_redis, running, unpack
from tests.judges import ROOT_ONLY

pytestmark = [pytest.mark.e2e, ROOT_ONLY]
SCRIPT = '#!/bin/sh\nset -e\nexec redis-server "$@"\n'
PROFILE = ("--profile", str(PROFILES / "redis.yaml"))


@pytest.fixture(scope="module")
def scripted(tmp_path_factory: pytest.TempPathFactory) -> str:
    """redis behind /entrypoint.sh, put there by umoci, whose layer ends inside its padding."""
    folder = tmp_path_factory.mktemp("scripted")
    image = build("redis")
    layout = shutil.copytree(image.layout, folder / "layout")
    script = folder / "entrypoint.sh"
    script.write_text(SCRIPT)
    script.chmod(0o755)
    name = f"{layout}:{image.ref}"
    for arguments in (
        ["insert", "--image", name, str(script), "/entrypoint.sh"],
        ["config", "--image", name, "--config.entrypoint", "/entrypoint.sh"],
    ):
        subprocess.run(["umoci", *arguments], check=True, capture_output=True)
    return f"oci:{name}"


def findings(output: str, rule: str) -> dict[str, Any]:
    return {item["path"]: item for item in json.loads(output)["findings"] if item["rule"] == rule}


def test_the_shell_stays_and_the_script_that_needs_it_is_named(
    scripted: str, tmp_path: Path
) -> None:
    done = careen("harden", scripted, f"oci:{tmp_path}/out:x", *PROFILE, "--format", "json", "-q")
    assert done.returncode == 0, done.stderr
    kept = findings(done.stdout, "shell-kept")
    assert kept["/usr/bin/sh"]["message"] == (
        "/bin/sh interprets /entrypoint.sh; started by the image's Entrypoint"
    )
    assert set(kept) == {"/usr/bin/sh", "/usr/bin/dash"}
    bundle = unpack(tmp_path / "out", "x", tmp_path / "bundle")
    assert not (bundle / "rootfs/usr/bin/bash").exists()
    with running(bundle) as app:
        check_redis(app)
        app.stop()


def test_shells_remove_is_refused_with_what_to_change(scripted: str, tmp_path: Path) -> None:
    done = careen("harden", scripted, f"oci:{tmp_path}/out:x", *PROFILE, "--shells", "remove", "-q")
    assert done.returncode == 4
    assert done.stdout == ""
    assert done.stderr.splitlines() == [
        "careen: the shell /usr/bin/sh is needed (--shells remove): /bin/sh interprets "
        "/entrypoint.sh; started by the image's Entrypoint; have the image start its program "
        "without a shell (a script's interpreter, the shell form of Cmd, Entrypoint or "
        "Healthcheck) and record again, or overrule with --force"
    ]
    assert not (tmp_path / "out").exists()


def test_by_force_it_goes_and_verify_reports_it(scripted: str, tmp_path: Path) -> None:
    options = (*PROFILE, "--shells", "remove", "--force", "--quiet")
    plan = str(tmp_path / "plan.json")
    assert careen("plan", scripted, *options, "-o", plan).returncode == 0
    done = careen(
        "harden", scripted, f"oci:{tmp_path}/out:x", "--plan", plan, "--format", "json", "-q"
    )
    assert done.returncode == 0, done.stderr
    assert set(findings(done.stdout, "shell-forced")) == {"/usr/bin/sh", "/usr/bin/dash"}
    bundle = unpack(tmp_path / "out", "x", tmp_path / "bundle")
    assert not (bundle / "rootfs/usr/bin/dash").exists()
    against = careen(
        "verify", f"oci:{tmp_path}/out:x", "--source", scripted, "--plan", plan,
        "--format", "json", "--quiet",
    )  # fmt: skip
    assert "its interpreter /bin/sh is gone" in against.stdout
    alone = careen("verify", f"oci:{tmp_path}/out:x", "--quiet")
    assert alone.returncode == 3
    assert "/bin/sh" in alone.stdout
