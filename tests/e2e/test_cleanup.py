"""Nothing of a run is left: no process, no mount, no scratch folder, however the run ends."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests import tiny
from tests.builders import Dir, Reg
from tests.e2e.hardened import CAREEN
from tests.judges import ROOT_ONLY, needs

pytestmark = [
    pytest.mark.e2e,
    ROOT_ONLY,
    *map(needs, ("musl-gcc", "strace", "bwrap")),
]
MARK = "CAREEN_TEST_MARK"
PROFILE = "schema: careen.profile/v1\nscenarios:\n- name: a\n  executed: [/bin/app]\n"


class Place(NamedTuple):
    """Where careen runs: `mark` is in the environment of all that it starts."""

    folder: Path
    scratch: Path
    mark: str
    image: str
    port: str

    def start(self, *words: str) -> subprocess.Popen[str]:
        said = [word.format(PORT=self.port) for word in words]
        return subprocess.Popen(
            [CAREEN, *said],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=dict(os.environ) | {"TMPDIR": str(self.scratch), MARK: self.mark},
        )

    def processes(self) -> list[str]:
        """The command lines of what has the mark."""
        return [line for pid in filter(str.isdigit, os.listdir("/proc")) for line in self._of(pid)]

    def _of(self, pid: str) -> Iterator[str]:
        with contextlib.suppress(OSError):
            if self.mark.encode() in Path(f"/proc/{pid}/environ").read_bytes():
                yield Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ").strip()


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tiny.image(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def place(image: str, tmp_path: Path) -> Iterator[Place]:
    """Nothing is in it at the end."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    (tmp_path / "p.yaml").write_text(PROFILE)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    found = Place(tmp_path, scratch, secrets.token_hex(8), image, port)
    yield found
    assert found.processes() == []
    assert str(scratch) not in Path("/proc/self/mountinfo").read_text()
    assert list(scratch.iterdir()) == []


def recorded(place: Place, *words: str) -> list[str]:
    target = str(place.folder / "out.yaml")
    given = ("-o", target, "-q", "--env", MARK)
    return ["profile", "record", place.image, "--scenario", "x", *given, *words]


def repaired(place: Place, *words: str) -> list[str]:
    given = ("--profile", str(place.folder / "p.yaml"), "-q", "--env", MARK)
    return ["repair", place.image, *given, *words]


SERVED = ("--ready-port", "{PORT}")
BESIDE = ("--settle", "0.1")
RUNS = {
    # how, what is asked of it, exit code, what the line says
    "success": ("record", (*SERVED, "--exercise", "true", "--", "listen", "{PORT}"), 0, ""),
    "it ends": ("record", ("--", "exit", "0"), 0, ""),
    "it ends badly": ("record", ("--", "exit", "4"), 3, "the application ended with 4: it ends"),
    "failing load": ("record", (*BESIDE, "--exercise", "false"), 3, "'false' ended with 1"),
    "load without end": (
        "record", (*BESIDE, "--exercise", "sleep 4321", "--timeout", "0.3"), 3,
        "'sleep 4321' did not end in time",
    ),
    "exec without end": (
        "record", (*BESIDE, "--exec", "/bin/app sleep", "--timeout", "0.3"), 3,
        "--exec '/bin/app sleep' did not end in time",
    ),
    "exec leaves a process": ("record", (*BESIDE, "--exec", "/bin/app detach"), 0, ""),
    "it dies at once": ("record", (*SERVED, "--", "exit", "0"), 3, "ended before it was ready"),
    "never ready": ("record", (*SERVED, "--ready-timeout", "0.3"), 3, "not ready after 0.3 s"),
    "it leaves a process": ("record", ("--", "detach"), 0, ""),
    "it leaves one and serves": (
        "record", (*SERVED, "--exercise", "true", "--", "spawn", "{PORT}"), 0, "",
    ),
    "no end": ("record", ("--timeout", "0.3"), 3, "/bin/app did not end in 0.3 seconds"),
    "test passes": ("repair", (*BESIDE, "--test", "true"), 0, ""),
    "test fails": ("repair", (*BESIDE, "--test", "false"), 4, "the exercise 'false' ended with 1"),
    "test without end": (
        "repair", (*BESIDE, "--test", "sleep 4321", "--timeout", "0.3"), 4, "did not end in time",
    ),
    "never ready for a test": (
        "repair", (*SERVED, "--ready-timeout", "0.3", "--test", "true"), 4, "not ready after 0.3 s",
    ),
    "inside passes": ("repair", ("--test-inside", "/bin/app exit 0"), 0, ""),
    "inside fails": ("repair", ("--test-inside", "/bin/app exit 4"), 4, "ended with 4: it ends"),
    "inside leaves a process": ("repair", ("--test-inside", "/bin/app detach"), 0, ""),
    "inside without end": (
        "repair", ("--test-inside", "/bin/app sleep", "--timeout", "0.3"), 4, "did not end in 0.3",
    ),
}  # fmt: skip
IN_BUBBLEWRAP = [("bubblewrap", what) for what in RUNS]
IN_A_CHROOT = [
    ("chroot", what)
    for what, (command, *_) in RUNS.items()
    if command == "record" or what in ("test without end", "inside leaves a process")
]
COMMANDS: dict[str, Callable[..., list[str]]] = {"record": recorded, "repair": repaired}


@pytest.mark.parametrize(("runner", "what"), [*IN_BUBBLEWRAP, *IN_A_CHROOT])
def test_a_run_leaves_nothing(runner: str, what: str, place: Place) -> None:
    command, words, code, message = RUNS[what]
    process = place.start(*COMMANDS[command](place, "--runner", runner, *words))
    _, error = process.communicate(timeout=30)
    assert process.returncode == code, error
    assert message in error
    assert "recorded" not in error or command == "record"
    assert len(error.splitlines()) == bool(message)
    assert (place.folder / "out.yaml").exists() == (command == "record" and code == 0)


LOADS = {
    "record": ("record", (*BESIDE, "--exercise", "sleep 4321"), "sleep 4321"),
    "record, detached": (
        "record", (*SERVED, "--exec", "/bin/app sleep", "--", "spawn", "{PORT}"), "/bin/app sleep",
    ),
    "test": ("repair", (*BESIDE, "--test", "sleep 4321"), "sleep 4321"),
    "inside": ("repair", ("--test-inside", "/bin/app sleep"), "/bin/app sleep"),
}  # fmt: skip


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("runner", ["bubblewrap", "chroot"])
@pytest.mark.parametrize("what", LOADS)
def test_a_signal_leaves_nothing(
    what: str, runner: str, number: signal.Signals, place: Place
) -> None:
    command, words, awaited = LOADS[what]
    process = place.start(*COMMANDS[command](place, "--runner", runner, *words))
    wait_for(process, lambda: awaited in place.processes())
    check_stopped(process, number)


def test_a_second_signal_does_not_stop_the_cleaning_up(place: Place) -> None:
    """They come as fast as they can, all the while."""
    words = (*BESIDE, "--exercise", "sleep 4321")
    process = place.start(*recorded(place, "--runner", "chroot", *words))
    wait_for(process, lambda: "sleep 4321" in place.processes())
    process.send_signal(signal.SIGINT)
    while process.poll() is None and (place.processes() or any(place.scratch.iterdir())):
        process.send_signal(signal.SIGINT)
        time.sleep(0.001)
    _, error = process.communicate(timeout=30)
    assert (process.returncode, error) == (130, "careen: stopped by SIGINT\n")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_while_the_image_is_extracted(
    number: signal.Signals, tmp_path: Path, place: Place
) -> None:
    many = [Dir("many"), *(Reg(f"many/{i}", b"x") for i in range(4000))]
    folder = tmp_path / "image"
    folder.mkdir()
    process = place.start(*recorded(place._replace(image=tiny.image(folder, *many))))
    wait_for(process, lambda: any(place.scratch.glob("*/root/many/9")))
    check_stopped(process, number)
    shutil.rmtree(folder)


def wait_for(process: subprocess.Popen[str], true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)


def check_stopped(process: subprocess.Popen[str], number: signal.Signals) -> None:
    process.send_signal(number)
    _, error = process.communicate(timeout=30)
    assert process.returncode == 128 + number
    assert error == f"careen: stopped by {number.name}\n"
