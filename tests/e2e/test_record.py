"""Recording real images, as an ordinary user and in a chroot, and hardening by what came of it."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from fixtures.build import build

from careen.profile import profile as profiles
from tests import tiny
from tests.e2e.hardened import CAREEN, careen
from tests.e2e.support import SUITE, check_flask, check_nginx, check_redis, running, unpack
from tests.judges import ROOT_ONLY

pytestmark = [pytest.mark.e2e, ROOT_ONLY]
UID = 23456  # of nobody here
EXERCISE = Path(__file__).with_name("exercise.py")
CHECKS = {"redis": check_redis, "nginx": check_nginx, "flask": check_flask}
LOADS = {
    "redis": ("--ready-port", "6379", "--exercise", f"{sys.executable} {EXERCISE} redis"),
    "nginx": ("--ready-port", "80", "--exercise", f"{sys.executable} {EXERCISE} nginx"),
    "flask": (
        "--ready-port", "8000", "--exercise", f"{sys.executable} {SUITE} http://127.0.0.1:8000",
    ),
}  # fmt: skip


def as_user(*, subordinate: bool) -> list[str]:
    """What runs a command as an ordinary user, with a range of subordinate ids or without.

    The tables of those are bound over in a mount namespace, so that the host's stay.
    """
    mount = 'printf "%s" "$1" > "$0/ids"; (cat /etc/passwd; echo "$2") > "$0/passwd";'
    mount += ' for f in subuid subgid; do mount --bind "$0/ids" /etc/$f; done;'
    mount += ' mount --bind "$0/passwd" /etc/passwd; shift 2; exec "$@"'
    ids = "recorder:200000:65536\n" if subordinate else ""
    line = f"recorder:x:{UID}:{UID}::/:/bin/false"
    user = ["setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups", "--inh-caps=-all"]
    return ["unshare", "-m", "sh", "-c", mount, os.environ["RECORD_TEST_FOLDER"], ids, line, *user]


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of the ordinary user's, outside of root's; nothing is in it when careen is done."""
    path = Path(tempfile.mkdtemp(prefix="careen-record-"))
    scratch = path / "scratch"
    scratch.mkdir()
    for one in (path, scratch):
        os.chown(one, UID, UID)
        one.chmod(0o755)
    monkeypatch.setenv("RECORD_TEST_FOLDER", str(path))
    monkeypatch.setenv("TMPDIR", str(scratch))
    monkeypatch.setenv("HOME", str(path))
    for table in ("/etc/subuid", "/etc/subgid"):
        Path(table).touch()
    yield path
    left = list(scratch.iterdir())
    shutil.rmtree(path)
    assert left == []


def reachable() -> str:
    """Why an ordinary user cannot run the tests' Python, "" when one can."""
    user = ["setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups"]
    done = subprocess.run(
        [*user, sys.executable, "-c", "import careen"], capture_output=True, check=False
    )
    return "" if done.returncode == 0 else f"an ordinary user cannot run {sys.executable}"


UNREACHABLE = reachable()
ORDINARY = pytest.mark.skipif(bool(UNREACHABLE), reason=UNREACHABLE)


def record(name: str, output: Path, *options: str, before: Sequence[str] = ()) -> dict[str, Any]:
    done = subprocess.run(
        [
            *before, CAREEN, "profile", "record", str(build(name)), "-o", str(output),
            "--scenario", "load", *LOADS[name], "--format", "json", "-q", *options,
        ],
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def check(name: str, profile: Path, folder: Path) -> None:
    """The image that the profile makes passes its functional test."""
    done = careen(
        "harden", str(build(name)), f"oci:{folder}/out:x", "-p", str(profile), "-q",
        TMPDIR="/tmp",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    bundle = unpack(folder / "out", "x", folder / "bundle")
    with running(bundle) as app:
        CHECKS[name](app)
        app.stop()


@ORDINARY
@pytest.mark.parametrize("name", CHECKS)
def test_an_ordinary_user_records_what_hardens(name: str, folder: Path, tmp_path: Path) -> None:
    profile = folder / "app.yaml"
    said = record(name, profile, before=as_user(subordinate=True))
    assert said["runner"] == "bubblewrap"
    assert said["ids"] == ("mapped" if name == "nginx" else "single")
    again = record(name, folder / "again.yaml", before=as_user(subordinate=True))
    assert again["digest"] == said["digest"]
    check(name, profile, tmp_path)


@ORDINARY
def test_without_subordinate_ids_strace_answers(folder: Path, tmp_path: Path) -> None:
    said = record("nginx", folder / "app.yaml", before=as_user(subordinate=False))
    assert said["ids"] == "single"
    (scenario,) = profiles.load((folder / "app.yaml").read_bytes(), place="p").scenarios
    assert {"setuid", "setgid", "chown"} <= set(scenario.answered)
    assert scenario.tool.endswith(", one id")
    assert [finding["rule"] for finding in said["findings"]] == ["recorded-with-one-id"]
    check("nginx", folder / "app.yaml", tmp_path)


@pytest.mark.parametrize("name", CHECKS)
def test_the_chroot_runner(name: str, folder: Path, tmp_path: Path) -> None:
    """As root with namespaces switched off; its network is the host's, so one runs at a time."""
    lock = ["flock", "/tmp/careen-test-ports", "unshare", "-n", "sh", "-c"]
    alone = [*lock, 'ip link set lo up 2>/dev/null || true; exec "$@"', "sh"]
    said = record(name, folder / "app.yaml", "--runner", "chroot", before=alone)
    assert (said["runner"], said["ids"]) == ("chroot", "real")
    check(name, folder / "app.yaml", tmp_path)


def test_a_scenario_takes_the_place_of_one_of_its_name(folder: Path) -> None:
    profile, image = folder / "app.yaml", tiny.image(folder)
    for scenario, path in (("load", "passwd"), ("other", "passwd"), ("load", "group")):
        done = careen(
            "profile", "record", image, "-o", str(profile), "--scenario", scenario, "-q",
            "--", "read", f"/etc/{path}",
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    found = profiles.load(profile.read_bytes(), place="p")
    used = [(scenario.name, scenario.opened) for scenario in found.scenarios]
    assert used == [("load", ("/etc/group",)), ("other", ("/etc/passwd",))]


def test_a_program_that_ends_is_its_own_load(folder: Path) -> None:
    done = careen(
        "profile", "record", str(build("flask")), "-o", str(folder / "p.yaml"),
        "--scenario", "once", "--entrypoint", "", "-q", "--settle", "0.5",
        "--exec", "/usr/bin/python3 -c 'import csv'",
        "--", "/usr/bin/python3", "-c", "import time; time.sleep(60)",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (scenario,) = profiles.load((folder / "p.yaml").read_bytes(), place="p").scenarios
    assert any(path.endswith(("/csv.py", "/csv.cpython-311.pyc")) for path in scenario.opened)
    done = careen(
        "profile", "record", str(build("flask")), "-o", str(folder / "p.yaml"),
        "--scenario", "twice", "--entrypoint", "", "-q",
        "--", "/usr/bin/python3", "-c", "import xml.dom",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


MOUNTS = (
    "import ctypes, sys; sys.exit(not ctypes.CDLL(None).mount(b'none', b'/mnt', b'tmpfs', 0, None))"
)


@pytest.mark.parametrize("runner", ["bubblewrap", "chroot"])
def test_the_hosts_root_mounts_nothing_in_an_image(runner: str, folder: Path) -> None:
    done = careen(
        "profile", "record", str(build("flask")), "-o", str(folder / "p.yaml"), "-q",
        "--scenario", "x", "--entrypoint", "", "--user", "0", "--runner", runner,
        "--", "/usr/bin/python3", "-c", MOUNTS,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "careen-scratch" not in Path("/proc/self/mountinfo").read_text(encoding="utf-8")


WRONG = {
    "the exercise fails": (("--exercise", "false"), 3, "the exercise 'false' ended with 1"),
    "no such exercise": (("--exercise", "/no/such"), 4, "has no such program: /no/such"),
    "no such user": (("--user", "nobody-here", "--settle", "1"), 4, "no user 'nobody-here'"),
    "no name": (("--scenario", "", "--settle", "1"), 2, "--scenario NAME"),
    "it ends at once": (("--settle", "1", "--", "exit", "0"), 3, "ended before"),
    "it cannot start": (("--settle", "1", "--entrypoint", "/no/such"), 3, "/no/such"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_fails_is_one_line_and_no_profile(what: str, folder: Path) -> None:
    options, code, message = WRONG[what]
    done = careen(
        "profile", "record", tiny.image(folder), "-o", str(folder / "p.yaml"),
        "--scenario", "x", "-q", *options,
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (folder / "p.yaml").exists()


def test_what_the_host_lacks_is_said(folder: Path) -> None:
    empty = folder / "bin"
    empty.mkdir()
    options = ("profile", "record", tiny.image(folder), "--scenario", "x", "-q")
    done = careen(*options, PATH=str(empty))
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "careen: nothing here can run the image (bubblewrap: strace is not there; install it; "
        "chroot: strace is not there; install it); --runner none says how to run it elsewhere"
    ]
    (empty / "strace").symlink_to(shutil.which("strace") or "")
    done = careen(*options, "--runner", "bubblewrap", PATH=str(empty))
    assert "bubblewrap: bwrap is not there; install bubblewrap" in done.stderr
    (empty / "bwrap").symlink_to(shutil.which("bwrap") or "")
    done = careen(*options, "--runner", "bubblewrap", PATH=str(empty))
    assert "bubblewrap: nsenter is not there; install util-linux" in done.stderr


def test_the_runner_that_runs_nothing_says_how(folder: Path) -> None:
    """Its lines are run as they are, and the program is stopped as a container's would be."""
    image = tiny.image(folder, Cmd=["await", "15"])
    done = careen("profile", "record", image, "--scenario", "x", "--runner", "none", "-q")
    assert done.returncode == 0
    traced, imported = (line for line in done.stdout.splitlines() if not line.startswith("#"))
    layer = ["--bind", "/", "/", "--tmpfs", "/usr/bin", "--dev", "/dev", "--proc", "/proc"]
    for program, place in ((shutil.which("strace"), "strace"), (f"{folder}/app", "app")):
        layer += ["--ro-bind", str(program), f"/usr/bin/{place}"]
    with subprocess.Popen(["bwrap", *layer, "--", *shlex.split(traced)], cwd=folder) as process:
        log = folder / "x.strace"
        while not log.exists() or not log.read_bytes():
            assert process.poll() is None
        time.sleep(0.3)  # until it listens to signals
        os.kill(int(log.read_text().split()[0]), signal.SIGTERM)
        assert process.wait(30) == 0
    command = [CAREEN, *shlex.split(imported)[1:]]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (scenario,) = profiles.load((folder / "x.careen.yaml").read_bytes(), place="p").scenarios
    assert scenario.executed == ("/bin/app",)
