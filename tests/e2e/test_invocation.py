"""What the options of podman's names do to a tiny image, in both runners, and how it is stopped."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from careen.profile import profile as profiles
from tests import tiny
from tests.builders import Lnk
from tests.e2e.hardened import careen
from tests.judges import ROOT_ONLY, needs

pytestmark = [pytest.mark.e2e, ROOT_ONLY, *map(needs, ("musl-gcc", "strace", "bwrap"))]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("tiny")
    return tiny.image(folder, Lnk("var", "/srv/var"), WorkingDir="/job/dir", Env=["=x", "A=1"])


# What is asked for, what the application says of it; it ends with 9, so that its words are told.
SAYS = {
    "a WorkingDir that is not there": (("--", "where"), "/job/dir"),
    "--workdir": (("--workdir", "/etc", "--", "where"), "/etc"),
    "--env": (("--env", "A=2", "--", "env", "A"), "2"),
    "--env of the host": (("--env", "HOST_A", "--", "env", "HOST_A"), "of the host"),
    "--env of nobody": (("--env", "HOST_B", "--", "env", "HOST_B"), "unset"),
    "--env with a star": (("--env", "HOST_*", "--", "env", "HOST_A"), "of the host"),
    "--env-file": (("--env-file", "{FOLDER}/env", "--", "env", "A"), "of # a file"),
    "--env over --env-file": (("--env-file", "{FOLDER}/env", "-e", "A=3", "--", "env", "A"), "3"),
}  # fmt: skip
MOUNTED = {
    "a folder in a volume": (
        ("--volume", "{FOLDER}:/v", "--workdir", "/v/sub", "--", "where"), "/v/sub",
    ),
    "in a read-only root": (
        ("--volume", "{FOLDER}:/v/w", "--read-only", "--workdir", "/v/w/sub", "--", "where"),
        "/v/w/sub",
    ),
}  # fmt: skip


def refused(image: str, folder: Path, *words: str) -> str:
    """What careen says of an application that ended badly."""
    (folder / "env").write_text("# no\n  A=of # a file\nHOST_A\n")
    (folder / "sub").mkdir()
    given = [word.replace("{FOLDER}", str(folder)) for word in words]
    command = ("profile", "record", image, "--scenario", "x", "-q", *given)
    done = careen(*command, HOST_A="of the host")
    assert done.returncode == 3, done.stderr
    assert len(done.stderr.splitlines()) == 1
    return done.stderr.strip()


@pytest.mark.parametrize("runner", ["bubblewrap", "chroot"])
@pytest.mark.parametrize("what", SAYS)
def test_what_it_is_given(what: str, runner: str, image: str, tmp_path: Path) -> None:
    words, said = SAYS[what]
    error = refused(image, tmp_path, "--runner", runner, *words)
    assert error == f"careen: nothing was recorded: the application ended with 9: {said}"


@pytest.mark.parametrize("what", MOUNTED)
def test_what_is_mounted(what: str, image: str, tmp_path: Path) -> None:
    words, said = MOUNTED[what]
    error = refused(image, tmp_path, *words)
    assert error == f"careen: nothing was recorded: the application ended with 9: {said}"


WRITES = {":rw": 0, "": 0, ":ro": 3}


@pytest.mark.parametrize("mode", WRITES)
def test_a_volume_is_written_as_its_mode_says(mode: str, image: str, tmp_path: Path) -> None:
    options = ("--scenario", "x", "-q", "--volume", f"{tmp_path}:/v{mode}")
    done = careen("profile", "record", image, *options, "--", "write", "/v/made")
    assert done.returncode == WRITES[mode], done.stderr
    assert (tmp_path / "made").exists() == (WRITES[mode] == 0)


MISFITS = {
    "no such host path": (("--volume", "/no/such:/x"), "--volume: no such path on this host"),
    "a folder on a file": (("--volume", "/tmp:/bin/app"), "--volume: a directory on one side only"),
    "a link that leads nowhere": (("--volume", "/tmp:/var/x"), "--volume: a link of the image's"),
    "no such folder": (("--workdir", "/no"), "--workdir: the image has no such directory: /no"),
    "no such user": (("--user", "app"), "the image has no user 'app'"),
    "mounts in a chroot": (("--runner", "chroot", "--read-only"), "--volume and --read-only need"),
}


@pytest.mark.parametrize("command", ["record", "repair"])
@pytest.mark.parametrize("what", MISFITS)
def test_what_the_image_has_no_place_for(
    what: str, command: str, image: str, tmp_path: Path
) -> None:
    words, message = MISFITS[what]
    profile = tmp_path / "p.yaml"
    profile.write_text("schema: careen.profile/v1\nscenarios:\n- {name: a, executed: [/bin/app]}\n")
    start = ["profile", "record", image, "--scenario", "x", "-q"]
    if command == "repair":
        start = ["repair", image, "-p", str(profile), "--test", "true", "-q"]
    done = careen(*start, *words)
    assert done.returncode == (2 if "chroot" in words else 4), done.stderr
    assert done.stderr.startswith(f"careen: {message}")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("runner", ["bubblewrap", "chroot"])
def test_a_port_that_is_in_use(runner: str, image: str) -> None:
    """On any address of a network that is the host's; in one of its own every port is free."""
    with socket.create_server(("127.0.0.9", 0)) as taken:
        port = str(taken.getsockname()[1])
        options = ("--scenario", "x", "-q", "--ready-port", port, "--runner", runner)
        done = careen(
            "profile", "record", image, *options, "--network", "host", "--", "listen", port
        )
        assert done.returncode == 4
        assert done.stderr.startswith(f"careen: port {port} is in use on this host, whose network")
        if runner == "bubblewrap":
            done = careen("profile", "record", image, *options, "--", "listen", port)
            assert done.returncode == 0, done.stderr


def test_a_chroot_has_no_network_of_its_own(image: str) -> None:
    done = careen(
        "profile", "record", image, "--scenario", "x", "-q", "--runner", "chroot",
        "--network", "private", "--", "exit", "0",
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr == (
        "careen: --network: private needs namespaces, which the chroot runner has not\n"
    )


STOPS = {
    "SIGRTMIN+3": ("37", ()),
    "rtmin+3": ("37", ()),
    "SIGODD": ("15", ("stop-signal-unknown",)),
}


@pytest.mark.parametrize("signal", STOPS)
def test_it_is_stopped_as_it_asks(signal: str, tmp_path: Path) -> None:
    """By what ends it: SIGKILL, ten seconds later, would not be its own end."""
    number, rules = STOPS[signal]
    image = tiny.image(tmp_path, StopSignal=signal)
    target = tmp_path / "p.yaml"
    done = careen(
        "profile", "record", image, "--scenario", "x", "-q", "-o", str(target), "--format", "json",
        "--settle", "0.3", "--", "await", number,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["milliseconds"] < 8_000
    assert tuple(finding["rule"] for finding in found["findings"]) == rules


def test_what_one_id_means_is_said(tmp_path: Path) -> None:
    """An image that starts as another than root owns all of its files here."""
    image, target = tiny.image(tmp_path, User="user"), tmp_path / "p.yaml"
    done = careen(
        "profile", "record", image, "--scenario", "x", "-q", "-o", str(target), "--format", "json",
        "--", "write", "/etc/made",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert [f["rule"] for f in json.loads(done.stdout)["findings"]] == ["recorded-with-one-id"]
    (scenario,) = profiles.load(target.read_bytes(), place="p").scenarios
    assert scenario.tool.endswith(", one id")
