"""`careen repair` on real images: what a test misses comes back, and no more than that."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fixtures.build import build

from careen.profile import profile as profiles
from tests.e2e.hardened import PROFILES, careen
from tests.e2e.support import SUITE, check_flask, running, unpack
from tests.judges import ROOT_ONLY

pytestmark = [pytest.mark.e2e, ROOT_ONLY]
FETCH = "import urllib.request as r; assert r.urlopen('http://127.0.0.1:8081').read() == b'hi\\n'"
SITE = "server { listen 8081; location / { echo hi; } }\n"


def repaired(*arguments: str) -> dict[str, Any]:
    done = careen("repair", *arguments, "--format", "json", "-q")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def suite(*names: str) -> str:
    return f"{sys.executable} {SUITE} http://127.0.0.1:8000 {' '.join(names)}"


def test_a_module_that_only_a_glob_names_is_brought_back(tmp_path: Path) -> None:
    """nginx names no module: modules-enabled/*.conf does, and without one it fails on `echo`."""
    image = build("nginx")
    layout = shutil.copytree(image.layout, tmp_path / "layout")
    (tmp_path / "echo").write_text(SITE)
    inserted = ["umoci", "insert", "--image", f"{layout}:{image.ref}", str(tmp_path / "echo")]
    subprocess.run([*inserted, "/etc/nginx/sites-enabled/echo"], check=True, capture_output=True)
    lines = (PROFILES / "nginx.yaml").read_text().splitlines(keepends=True)
    without = [line for line in lines if "http-echo" not in line and "http_echo" not in line]
    (tmp_path / "p.yaml").write_text("".join(without))
    found = repaired(
        f"oci:{layout}:{image.ref}", "-p", str(tmp_path / "p.yaml"), "-o", str(tmp_path / "q.yaml"),
        "--granularity", "file", "--ready-port", "8081", "--test", f'{sys.executable} -c "{FETCH}"',
    )  # fmt: skip
    assert [one["passed"] for one in found["rounds"]] == [False, True]
    brought = {item["path"]: item for one in found["rounds"] for item in one["found"]}
    module = brought["/usr/lib/nginx/modules/ngx_http_echo_module.so"]
    assert module["package"] == "libnginx-mod-http-echo"
    assert module["process"] == "/usr/sbin/nginx"
    assert module["in_vain"] is False
    after = profiles.load((tmp_path / "q.yaml").read_bytes(), place="q")
    assert [scenario.name for scenario in after.scenarios] == ["nginx-load", "repair-1"]


def test_a_suite_that_the_profile_does_not_know_gets_to_green(tmp_path: Path) -> None:
    """The shop was recorded without its database, time zone and subprocess features."""
    source, rules = str(build("flask")), ("--granularity", "file", "--policy", "strict")
    small, wide = tmp_path / "small.yaml", tmp_path / "wide.yaml"
    done = careen(
        "profile", "record", source, "-o", str(small), "--scenario", "smoke", "-q",
        "--ready-port", "8000", "--exercise", suite("hello", "health", "missing"),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = repaired(
        source, "-p", str(small), "-o", str(wide), *rules, "--ready-port", "8000",
        "--test", suite(), "--rounds", "3", "--minimise",
    )  # fmt: skip
    assert found["rounds"][0]["passed"] is False
    assert found["rounds"][-1]["passed"] is True
    assert len(found["rounds"]) <= 4
    assert set(found["packages"]) - set(found["needless"]) == NEEDED
    brought = {item["path"]: item["package"] for one in found["rounds"] for item in one["found"]}
    assert {path: brought.get(path) for path in FEATURES} == FEATURES
    done = careen("harden", source, f"oci:{tmp_path}/out:x", "-p", str(wide), *rules, "-q")
    assert done.returncode == 0, done.stderr
    with running(unpack(tmp_path / "out", "x", tmp_path / "bundle")) as app:
        check_flask(app)
        app.stop()
    diff = "\n".join(found["diff"])
    assert "+  - name: repair-1" in diff
    assert "+      - /usr/bin/uname" in diff
    assert "\n-  " not in diff


NEEDED = {"coreutils"}
# of packages that stay on record for something else: the zone, and the driver of the database
FEATURES = {
    "/usr/bin/uname": "coreutils",
    "/usr/share/zoneinfo/Europe/Vienna": "tzdata",
}


def test_a_test_inside_the_image_runs_by_a_shell_of_its_own(tmp_path: Path) -> None:
    """Its shell is no use of the image's: what the commands use comes back, and no shell."""
    profile = tmp_path / "p.yaml"
    profile.write_text(
        "schema: careen.profile/v1\nscenarios:\n- name: a\n  executed: [/usr/bin/python3]\n"
    )
    found = repaired(
        str(build("flask")), "-p", str(profile), "-o", str(tmp_path / "q.yaml"),
        "--test-inside", "cd /; python3 -c 'import json' && uname > /dev/null && ls /etc",
    )  # fmt: skip
    assert "coreutils" in found["packages"]
    assert not {"dash", "bash"} & set(found["packages"])
    after = profiles.load((tmp_path / "q.yaml").read_bytes(), place="q")
    used = [path for one in after.scenarios for path in (*one.executed, *one.opened)]
    assert "/usr/bin/uname" in used
    assert not [path for path in used if ".careen" in path or path.endswith("/dash")]


def test_a_test_that_fails_on_the_source_is_told(tmp_path: Path) -> None:
    done = careen(
        "repair", str(build("flask")), "-p", str(PROFILES / "flask.yaml"), "-q",
        "--test-inside", "/usr/bin/python3 -c 'raise SystemExit(3)'",
    )  # fmt: skip
    assert done.returncode == 4
    assert done.stderr.startswith("careen: the test fails on the source itself, so no removal")
    assert len(done.stderr.splitlines()) == 1


def test_a_failure_that_removal_does_not_explain_is_told(tmp_path: Path) -> None:
    """The test counts the packages of the image, so that any hardening fails it."""
    counts = "import glob; assert len(glob.glob('/var/lib/dpkg/info/*.list')) > 90"
    done = careen(
        "repair", str(build("flask")), "-p", str(PROFILES / "flask.yaml"), "-q",
        "--test-inside", f'/usr/bin/python3 -c "{counts}"',
    )  # fmt: skip
    assert done.returncode == 3
    assert "removal does not explain it" in done.stderr
    assert len(done.stderr.splitlines()) == 1
