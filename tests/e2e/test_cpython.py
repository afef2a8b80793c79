"""`careen repair` brings a hardened Python to where CPython's own test suite passes in it."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest
from fixtures.build import build

from careen.profile import profile as profiles
from tests import cpython
from tests.e2e.hardened import careen
from tests.e2e.support import running, unpack
from tests.judges import ROOT_ONLY

pytestmark = [pytest.mark.e2e, ROOT_ONLY]
RULES = ("--granularity", "file", "--policy", "strict")
SECONDS = 120.0
PACKAGES = {
    # of the standard library's modules, and what these load
    *("libpython3.11-stdlib", "libbz2-1.0", "libffi8", "liblzma5", "libreadline8", "libsqlite3-0"),
    *("libssl3", "libtinfo6"),
    # what tests of processes start, or look for
    *("bash", "coreutils", "dash", "libpcre2-8-0", "libselinux1"),
    # what readline asks of the terminal
    "ncurses-base",
}
# the modules' files without their platform, and one of a package that stays for something else
FEATURES = {
    "_sqlite3": "libpython3.11-stdlib",
    "libsqlite3.so.0": "libsqlite3-0",
    "_ssl": "libpython3.11-minimal",
    "libssl.so.3": "libssl3",
    "_zoneinfo": "libpython3.11-stdlib",
    "Vienna": "tzdata",
    "_ctypes": "libpython3.11-stdlib",
    "libffi.so.8": "libffi8",
    "dash": "dash",
}


def test_a_python_that_only_said_hello_passes_cpythons_own_suite(tmp_path: Path) -> None:
    source, small, wide = str(build("flask")), tmp_path / "small.yaml", tmp_path / "wide.yaml"
    run(
        "profile", "record", source, "-o", str(small), "--scenario", "hello",
        "--entrypoint", "", "--", "python3", "-c", "print(1)",
    )  # fmt: skip
    found = repaired(source, small, wide)
    passed = [one["passed"] for one in found["rounds"]]
    assert passed == [False] * (len(passed) - 1) + [True]
    assert 2 <= len(passed) <= 3
    assert set(found["packages"]) == PACKAGES
    brought = {item["path"]: item for one in found["rounds"] for item in one["found"]}
    files = {title(path): item["package"] for path, item in brought.items()}
    assert {name: files.get(name) for name in FEATURES} == FEATURES
    after = profiles.load(wide.read_bytes(), place="wide")
    assert not [path for path in profiles.used(after) if is_of_the_suite(f"/{path}")]
    assert {"/usr/bin/dash", "/usr/bin/true"} <= set(executed(after))
    run("harden", source, f"oci:{tmp_path}/out:x", "-p", str(wide), *RULES)
    assert_suite_passes(unpack(tmp_path / "out", "x", tmp_path / "bundle"))


def repaired(source: str, small: Path, wide: Path) -> dict[str, Any]:
    """What repair says in JSON, with the suite mounted over the image's own beginnings of it."""
    folder = cpython.suite()
    volumes = [f"{folder / name}:{inside}:ro" for name, inside in cpython.FOLDERS.items()]
    told = run(
        "repair", source, "-p", str(small), "-o", str(wide), *RULES, "--format", "json",
        *(word for volume in volumes for word in ("--volume", volume)),
        "--test-inside", shlex.join(cpython.command()),
    )  # fmt: skip
    found: dict[str, Any] = json.loads(told)
    return found


def run(command: str, *arguments: str) -> str:
    """Run careen, which must succeed; what it prints."""
    done = careen(command, *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def title(path: str) -> str:
    """A file's name; `_ssl` for `_ssl.cpython-311-x86_64-linux-gnu.so`."""
    return path.rpartition("/")[2].partition(".cpython-311-")[0]


def executed(profile: profiles.Profile) -> list[str]:
    return [path for scenario in profile.scenarios for path in scenario.executed]


def is_of_the_suite(path: str) -> bool:
    return any(f"{path}/".startswith(f"{inside}/") for inside in cpython.FOLDERS.values())


def assert_suite_passes(bundle: Path) -> None:
    """In the unpacked image, with no part of careen: the suite is copied to where it belongs."""
    for name, inside in cpython.FOLDERS.items():
        target = bundle / "rootfs" / inside[1:]
        shutil.copytree(cpython.suite() / name, target, dirs_exist_ok=True)
    (bundle / "rootfs/etc/hosts").write_text("127.0.0.1\tlocalhost\n")  # as a runtime does
    runtime = json.loads((bundle / "config.json").read_text())
    runtime["process"]["args"] = cpython.command()
    (bundle / "config.json").write_text(json.dumps(runtime))
    with running(bundle) as app:
        assert app.process.wait(SECONDS) == 0, app.printed()
        assert f"All {len(cpython.MODULES)} tests OK." in app.printed()
