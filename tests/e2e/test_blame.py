"""`careen explain --log`: programs that fail in a hardened flask, and the package each misses."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from fixtures.build import build

from tests.e2e.hardened import PROFILES, careen
from tests.e2e.support import unpack
from tests.judges import ROOT_ONLY

pytestmark = [pytest.mark.e2e, ROOT_ONLY]
OPTIONS = (
    "--profile", str(PROFILES / "flask.yaml"), "--granularity", "file", "--policy", "strict", "-q",
)  # fmt: skip
PYTHON = "/usr/bin/python3.11"
# what is run in the hardened image, the line it fails with, and the package and path it misses
FAILURES = {
    "xml": (
        [PYTHON, "-c", "import xml.dom.minidom"],
        "ModuleNotFoundError: No module named 'xml.dom.minidom'",
        ("libpython3.11-stdlib", "/usr/lib/python3.11/xml/dom/minidom.py"),
    ),
    "extension": (
        [PYTHON, "-c", "import _ctypes"],
        "ModuleNotFoundError: No module named '_ctypes'",
        (
            "libpython3.11-stdlib",
            "/usr/lib/python3.11/lib-dynload/_ctypes.cpython-311-x86_64-linux-gnu.so",
        ),
    ),
    "package": (
        [PYTHON, "-c", "import wsgiref.util"],
        "ModuleNotFoundError: No module named 'wsgiref.util'",
        ("libpython3.11-stdlib", "/usr/lib/python3.11/wsgiref/util.py"),
    ),
    "zone": (
        [PYTHON, "-c", "import zoneinfo; zoneinfo.ZoneInfo('Europe/Paris')"],
        "ZoneInfoNotFoundError: 'No time zone found with key Europe/Paris'",
        ("tzdata", "/usr/share/zoneinfo/Europe/Paris"),
    ),
    "encoding": (
        [PYTHON, "-c", "'x'.encode('utf-7')"],
        "LookupError: unknown encoding: utf-7",
        ("libpython3.11-minimal", "/usr/lib/python3.11/encodings/utf_7.py"),
    ),
    "data": (
        [PYTHON, "-c", "open('/etc/mime.types')"],
        "FileNotFoundError: [Errno 2] No such file or directory: '/etc/mime.types'",
        ("media-types", "/etc/mime.types"),
    ),
    "command": (
        [PYTHON, "-c", "import subprocess; subprocess.run(['ls'])"],
        "FileNotFoundError: [Errno 2] No such file or directory: 'ls'",
        ("coreutils", "/usr/bin/ls"),
    ),
    "shell": (
        [PYTHON, "-c", "import subprocess; subprocess.run('x', shell=True)"],
        "FileNotFoundError: [Errno 2] No such file or directory: '/bin/sh'",
        ("dash", "/usr/bin/sh"),
    ),
    "program": (
        ["/usr/bin/env", "true"],
        "execvp /usr/bin/env: No such file or directory",
        ("coreutils", "/usr/bin/env"),
    ),
    "library": (
        ["/usr/bin/put-back", "--version"],
        "libacl.so.1: cannot open shared object file: No such file or directory",
        ("libacl1", "/usr/lib/x86_64-linux-gnu/libacl.so.1"),
    ),
    "script": (
        ["/put-back.pl"],
        "/put-back.pl: No such file or directory",
        ("perl-base", "/usr/bin/perl"),
    ),
}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> str:
    """flask with a Perl script, which the profile does not know."""
    folder = tmp_path_factory.mktemp("source")
    image = build("flask")
    layout = shutil.copytree(image.layout, folder / "layout")
    script = folder / "put-back.pl"
    script.write_text("#!/usr/bin/perl\nprint 1;\n")
    script.chmod(0o755)
    inserted = ["umoci", "insert", "--image", f"{layout}:{image.ref}"]
    subprocess.run([*inserted, str(script), "/put-back.pl"], check=True, capture_output=True)
    return f"oci:{layout}:{image.ref}"


@pytest.fixture(scope="module")
def root(source: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The hardened image's files, with one program of a removed package put back."""
    folder = tmp_path_factory.mktemp("hardened")
    done = careen("harden", source, f"oci:{folder}/out:x", *OPTIONS)
    assert done.returncode == 0, done.stderr
    bundle = unpack(folder / "out", "x", folder / "bundle")
    shutil.copy("/usr/bin/tar", bundle / "rootfs/usr/bin/put-back")
    return bundle / "rootfs"


def failed(root: Path, command: list[str]) -> str:
    """What a program prints that fails in the hardened image."""
    argv = ["bwrap", "--bind", str(root), "/", "--proc", "/proc", "--dev", "/dev", *command]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, env={"LC_ALL": "C"})
    assert done.returncode != 0
    return done.stdout + done.stderr


def explained(source: str, log: Path, options: tuple[str, ...] = OPTIONS) -> dict[str, Any]:
    done = careen("explain", source, "--log", str(log), *options, "--format", "json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("name", FAILURES)
def test_a_failure_names_what_it_misses(name: str, source: str, root: Path, tmp_path: Path) -> None:
    command, line, missing = FAILURES[name]
    printed = failed(root, command)
    assert line in printed
    (tmp_path / "log").write_text(printed)
    found = explained(source, tmp_path / "log")
    suspects = [(one["package"], one["path"]) for one in found["suspects"]]
    assert missing in suspects
    assert {package for package, _ in suspects} == {missing[0]}
    paths = sorted({one["path"] for one in found["suspects"]})
    assert found["keep"] == {"packages": [], "paths": paths}
    by_package = OPTIONS[:2] + OPTIONS[4:]
    found = explained(source, tmp_path / "log", by_package)
    assert set(found["keep"]["packages"]) <= {missing[0]}


def test_what_it_says_brings_back_just_what_was_missed(source: str, tmp_path: Path) -> None:
    (tmp_path / "log").write_text(FAILURES["zone"][1])
    done = careen("explain", source, "--log", str(tmp_path / "log"), *OPTIONS)
    advice = done.stdout.partition("in the profile\n")[2]
    assert advice == "keep:\n  paths:\n    - /usr/share/zoneinfo/Europe/Paris\n"
    (tmp_path / "more.yaml").write_text(f"schema: careen.profile/v1\n{advice}")
    plans = []
    for more in ([], ["--profile", str(tmp_path / "more.yaml")]):
        done = careen("plan", source, *OPTIONS, *more, "--format", "json")
        assert done.returncode == 0, done.stderr
        plans.append({item["path"] for item in json.loads(done.stdout)["paths"]})
    back = plans[0] - plans[1]
    assert "/usr/share/zoneinfo/Europe/Paris" in back
    assert len([path for path in back if path.startswith("/usr/share/zoneinfo/")]) < 5


def test_a_log_of_something_else_points_at_nothing(source: str, tmp_path: Path) -> None:
    (tmp_path / "log").write_text(
        "AssertionError: 3 != 4\n/nowhere/at/all: No such file\n\0\x1b[1m"
    )
    assert explained(source, tmp_path / "log")["suspects"] == []
