"""A root of real rpm packages, hardened by the command line; rpm, SQLite, syft and a run judge."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from careen.packages.rpm import sqlite as databases
from tests import rpm_image
from tests.e2e.hardened import careen, skopeo
from tests.judges import ROOT_ONLY, needs, umoci_unpack
from tests.packages import rpm_root
from tests.rpm_image import HOME, KEPT, SYSIMAGE, USED, on, query, verified

pytestmark = [pytest.mark.e2e, ROOT_ONLY, needs("rpmbuild"), needs("bwrap"), rpm_image.X86_64]
DATABASE = f"{HOME}/rpmdb.sqlite"
SYFT = Path(sys.executable).with_name("syft")
VERSION = slice(96, 100)


@dataclass(frozen=True)
class Done:
    """`source` and `target` are layouts, `before` and `after` what umoci unpacks from them.

    `files` are those of the database after, before rpm opens it and makes more.
    """

    source: Path
    target: Path
    before: Path
    after: Path
    plan: dict[str, Any]
    files: list[str]

    @property
    def labels(self) -> list[str]:
        """What stays on record, as rpm prints it; a key has no architecture."""
        return sorted(
            f"{one['name']} {one['version']} {one['arch'] or '(none)'}"
            for one in self.plan["packages"]
            if one["decision"] != "remove"
        )

    @property
    def removed(self) -> set[str]:
        return {one["id"] for one in self.plan["packages"] if one["decision"] == "remove"}


def profile(folder: Path, *used: str) -> str:
    file = folder / "p.yaml"
    paths = ", ".join(sorted({*USED, *used}))
    file.write_text(
        f"schema: careen.profile/v1\nscenarios:\n- name: greeting\n  executed: [{paths}]\n"
    )
    return str(file)


def harden(root: Path, folder: Path, *options: str, used: tuple[str, ...] = ()) -> Done:
    """The root as an image, hardened."""
    folder.mkdir(parents=True, exist_ok=True)
    rpm_image.image_of(root, folder / "source")
    source, target = (f"oci:{folder}/{name}:x" for name in ("source", "target"))
    done = careen(
        "harden", source, target, "--profile", profile(folder, *used), "--format", "json",
        "--quiet", *options,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    after = umoci_unpack(folder / "target", "x", folder / "after")
    return Done(
        source=folder / "source",
        target=folder / "target",
        before=umoci_unpack(folder / "source", "x", folder / "before"),
        after=after,
        plan=json.loads(done.stdout),
        files=sorted(file.name for file in (after / HOME).iterdir()),
    )


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("rpms")
    return rpm_image.built(folder, rpm_image.specs(rpm_image.programs(folder / "programs")))


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory, packages: list[Path]) -> Path:
    return rpm_image.distribution(tmp_path_factory.mktemp("distribution") / "root", packages)


@pytest.fixture(scope="session")
def hardened(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Done:
    return harden(root, tmp_path_factory.mktemp("hardened"))


@pytest.fixture
def copy(root: Path, tmp_path: Path) -> Path:
    """The root, to be changed."""
    return Path(shutil.copytree(root, tmp_path / "root", symlinks=True))


def greeting(root: Path) -> str:
    done = subprocess.run(
        ["bwrap", "--bind", root, "/", "--dev", "/dev", "--unshare-net", "/usr/bin/greet"],
        capture_output=True,
        check=False,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def sound(file: Path, folder: Path) -> None:
    copied = shutil.copy(file, folder / "judged.sqlite")
    connection = sqlite3.connect(copied)
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    connection.close()


def answers(root: Path) -> list[str]:
    """What rpm says of each package: its files, what it asks for and provides."""
    questions = [["-l"], ["--requires"], ["--provides"], ["--scripts"], ["--triggers"], ["-i"]]
    return query(root) + [on(root, "-qa", *question) for question in questions]


def test_the_program_answers_as_before(hardened: Done) -> None:
    assert greeting(hardened.before) == greeting(hardened.after) == "hello from rpm\n"


def test_rpm_lists_exactly_what_stays(hardened: Done) -> None:
    assert len(query(hardened.before)) >= 30
    assert query(hardened.after) == hardened.labels
    keys = [line for line in hardened.labels if line.startswith("gpg-pubkey ")]
    names = [line.split()[0] for line in hardened.labels if line not in keys]
    assert names == list(KEPT)
    assert {"glibc.i686", "bash", "rpm", "dnf", "pair-two"} <= hardened.removed


def test_what_went_and_what_did_not(hardened: Done) -> None:
    for path in (
        "usr/bin/bash",
        "usr/bin/rpm",
        "usr/lib/libc.so.6",
        "usr/bin/pair-too",
        "etc/sp.cf",
    ):
        assert (hardened.before / path).exists(), path
        assert not (hardened.after / path).exists(), path
    for path in ("var/cache/dnf/updates.solv", "var/lib/dnf/history.sqlite", "var/log/dnf.rpm.log"):
        assert not (hardened.after / path).exists(), path
    assert not (hardened.after / "usr/bin/sh").is_symlink()
    for path in ("usr/share/pair/both", "usr/share/both/glibc", "etc/ld.so.cache", "srv/data"):
        assert (hardened.after / path).exists(), path
    assert os.readlink(hardened.after / "bin") == "usr/bin"
    # a package owns it, and its digest is in a signed header
    assert (hardened.after / "etc/shells").read_text() == "/usr/bin/bash\n/bin/sh\n"


def test_rpm_finds_nothing_wrong_that_was_not(hardened: Done) -> None:
    assert set(verified(hardened.after)) <= set(verified(hardened.before))
    assert not [line for line in verified(hardened.after) if line.startswith("missing")]


def test_sqlite_finds_it_sound(hardened: Done, tmp_path: Path) -> None:
    sound(hardened.after / DATABASE, tmp_path)
    assert hardened.files == [".rpm.lock", "rpmdb.sqlite"]


def test_rpm_rebuilds_it_without_another_answer(hardened: Done, tmp_path: Path) -> None:
    root = Path(shutil.copytree(hardened.after, tmp_path / "root", symlinks=True))
    before = answers(root)
    on(root, "--rebuilddb")
    assert answers(root) == before


def test_no_removed_name_is_left_in_the_bytes(hardened: Done) -> None:
    """Nor a text of its header, where its name is part of another's, or of rpm's own words."""
    before, after = ((root / DATABASE).read_bytes() for root in (hardened.before, hardened.after))
    assert len(hardened.removed) > 20
    for name in sorted(hardened.removed - {"glibc.i686"}):
        assert f"It is {name}.".encode() in before, name
        assert f"It is {name}.".encode() not in after, name
        if not any(name in words for words in (*KEPT, "rpmlib(CompressedFileNames)")):
            assert name.encode() not in after, name
    assert b"/usr/lib/\0" in before
    assert b"i686" not in after


def test_each_answer_of_a_kept_package_is_the_sources(hardened: Done) -> None:
    for name in KEPT:
        package = "glibc.x86_64" if name == "glibc" else name
        for question in (["-l"], ["--requires"], ["--provides"], ["--scripts"], ["-i"]):
            before, after = (
                on(r, "-q", *question, package) for r in (hardened.before, hardened.after)
            )
            assert before == after, (name, question)


def test_syft_lists_exactly_what_stays(hardened: Done, tmp_path: Path) -> None:
    skopeo("copy", "--quiet", f"oci:{hardened.target}:x", f"oci:{tmp_path}/alone:x")
    done = subprocess.run(
        [SYFT, "scan", f"oci-dir:{tmp_path}/alone", "-o", "syft-json"],
        capture_output=True,
        text=True,
        check=False,
        env=dict(os.environ) | {"SYFT_CHECK_FOR_APP_UPDATE": "false"},
    )
    assert done.returncode == 0, done.stderr
    found = [one for one in json.loads(done.stdout)["artifacts"] if one["type"] == "rpm"]
    labels = [
        f"{one['name']} {one['version']} {one['metadata']['architecture'] or '(none)'}"
        for one in found
    ]
    assert sorted(labels) == hardened.labels


def test_careen_verifies_it(hardened: Done, tmp_path: Path) -> None:
    source, plan = f"oci:{hardened.source}:x", str(tmp_path / "plan.json")
    drawn = careen("plan", source, "--profile", profile(tmp_path), "-o", plan, "--quiet")
    assert drawn.returncode == 0, drawn.stderr
    against = ["--source", source, "--plan", plan]
    for options in ([], against):
        done = careen("verify", f"oci:{hardened.target}:x", "--format", "json", "--quiet", *options)
        assert done.returncode == 0, done.stdout + done.stderr
        found = json.loads(done.stdout)
        assert (found["errors"], found["warnings"]) == (0, 0)


def test_hardened_again_nothing_goes(hardened: Done, tmp_path: Path) -> None:
    again = harden(hardened.after, tmp_path / "again")
    assert again.removed == set()
    assert [one for one in again.plan["paths"] if one["decision"] == "drop"] == []
    assert (again.after / DATABASE).read_bytes() == (hardened.after / DATABASE).read_bytes()


@pytest.mark.parametrize(
    "options", [["--granularity", "file"], ["--policy", "strict"], ["--policy", "conservative"]]
)
def test_whatever_is_asked_a_package_on_record_is_whole(
    root: Path, hardened: Done, tmp_path: Path, options: list[str]
) -> None:
    done = harden(root, tmp_path, *options)
    assert query(done.after) == done.labels
    assert set(verified(done.after)) <= set(verified(hardened.before))
    assert {one["decision"] for one in done.plan["packages"]} == {"keep", "remove"}
    assert greeting(done.after) == "hello from rpm\n"


def test_a_shell_that_is_used_stays_with_its_libraries(root: Path, tmp_path: Path) -> None:
    done = harden(root, tmp_path, used=("/bin/sh",))
    assert {"bash", "ncurses-libs"}.isdisjoint(done.removed)
    command = ["bwrap", "--bind", str(done.after), "/", "/bin/sh", "-c", "greet"]
    assert subprocess.run(command, capture_output=True, check=True).stdout == b"hello from rpm\n"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--drop", "/usr/share/pair/both"], "pair-one owns it and stays whole"),
        (["--drop", "gpg-pubkey*"], "it is a key that packages are checked with"),
        (["--drop", "spectre", "--keep", "/etc/sp.cf"], "it goes whole, and /etc/sp.cf is asked"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    root: Path, tmp_path: Path, options: list[str], message: str
) -> None:
    rpm_image.image_of(root, tmp_path / "source")
    if message.startswith("it is a key") and not shutil.which("gpg"):
        pytest.skip("gpg is not installed, so there is no key")
    done = careen(
        "harden", f"oci:{tmp_path}/source:x", f"oci:{tmp_path}/target:x",
        "--profile", profile(tmp_path), "--quiet", *options,
    )  # fmt: skip
    assert done.returncode == 4
    assert message in " ".join(done.stderr.split())
    assert not (tmp_path / "target").exists()


def test_the_bytes_tell_of_no_sqlite_but_the_sources(
    copy: Path, hardened: Done, tmp_path: Path
) -> None:
    """Bytes 96 to 99 name the SQLite that wrote the source last: they alone may differ."""
    content = bytearray((copy / DATABASE).read_bytes())
    content[VERSION] = (3_001_002).to_bytes(4, "big")
    (copy / DATABASE).write_bytes(content)
    one, other = (
        (r / DATABASE).read_bytes() for r in (harden(copy, tmp_path).after, hardened.after)
    )
    assert one[VERSION] == content[VERSION]
    assert other[VERSION] != content[VERSION]
    assert one[:96] + one[100:] == other[:96] + other[100:]


def test_the_database_at_its_newer_place(copy: Path, hardened: Done, tmp_path: Path) -> None:
    (copy / SYSIMAGE).parent.mkdir(parents=True)
    (copy / HOME).rename(copy / SYSIMAGE)
    (copy / HOME).symlink_to(f"../../{SYSIMAGE}")
    done = harden(copy, tmp_path)
    assert query(done.after) == hardened.labels
    assert set(verified(done.after)) <= set(verified(done.before))
    assert os.readlink(done.after / HOME) == f"../../{SYSIMAGE}"
    new = (done.after / SYSIMAGE / "rpmdb.sqlite").read_bytes()
    assert new == (hardened.after / DATABASE).read_bytes()


def test_a_log_beside_the_database(
    copy: Path, packages: list[Path], hardened: Done, tmp_path: Path
) -> None:
    """SQLite has not yet written back what rpm installed last."""
    on(copy, "-e", "--nodeps", "--noscripts", "--notriggers", "nato-golf", "greet-libs")
    reader = sqlite3.connect(copy / DATABASE)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM Packages").fetchall()  # so that none is written back
    wanted = [f for f in packages if f.name.startswith(("nato-golf-", "greet-libs-"))]
    passed = ["--nodeps", "--noscripts", "--notriggers", "--nosignature"]
    on(copy, "-i", *passed, *wanted)
    log = copy / f"{DATABASE}-wal"
    assert b"It is greet-libs" in log.read_bytes()
    assert b"It is greet-libs" not in (copy / DATABASE).read_bytes()
    done = harden(copy, tmp_path)
    reader.close()
    assert query(done.after) == hardened.labels
    assert done.files == [".rpm.lock", "rpmdb.sqlite"]
    assert b"nato-golf" not in (done.after / DATABASE).read_bytes()
    assert greeting(done.after) == "hello from rpm\n"


def ndb(root: Path) -> str:
    """Debian's rpm writes none."""
    rows = databases.headers((root / DATABASE).read_bytes())
    shutil.rmtree(root / HOME)
    (root / HOME).mkdir()
    (root / HOME / "Packages.db").write_bytes(rpm_root.ndb([blob for _, blob in rows]))
    return "rpm's ndb kind"


def bdb(root: Path) -> str:
    rows = databases.headers((root / DATABASE).read_bytes())
    shutil.rmtree(root / HOME)
    rpm_image.berkeley(rows, root / HOME / "Packages")
    return "a Berkeley DB"


@pytest.mark.parametrize("make", [ndb, pytest.param(bdb, marks=needs("db_load"))])
def test_a_database_that_is_not_edited(make: Any, copy: Path, tmp_path: Path) -> None:
    """All packages stay, shells and what they own as well; what no package owns may go."""
    total = len(query(copy))
    kind = make(copy)
    done = harden(copy, tmp_path)
    assert done.removed == set()
    assert len(done.labels) == total
    refused = next(one for one in done.plan["findings"] if one["rule"] == "database-refused")
    assert (kind in refused["message"], refused["count"]) == (True, total)
    assert any(one["rule"] == "shell-kept" for one in done.plan["findings"])
    gone = sorted(one["path"] for one in done.plan["paths"])
    assert gone == ["/var/cache/dnf/updates.solv", "/var/log/dnf.rpm.log"]
    assert (done.after / "usr/bin/bash").exists()
    assert greeting(done.after) == "hello from rpm\n"

    refusal = careen(
        "harden", f"oci:{done.source}:x", f"oci:{tmp_path}/none:x", "--quiet",
        "--profile", profile(tmp_path), "--drop", "bash",
    )  # fmt: skip
    assert (refusal.returncode, kind in " ".join(refusal.stderr.split())) == (4, True)
    squashed = careen("squash", f"oci:{done.source}:x", f"oci:{tmp_path}/squashed:x", "--quiet")
    assert squashed.returncode == 0, squashed.stderr
    seen = careen("inspect", f"oci:{tmp_path}/squashed:x", "--format", "json")
    assert len(json.loads(seen.stdout)["packages"]) == total


def test_a_database_that_cannot_be_read_in_full(copy: Path, tmp_path: Path) -> None:
    content = (copy / DATABASE).read_bytes()
    (copy / DATABASE).write_bytes(content[: len(content) // 2])
    rpm_image.image_of(copy, tmp_path / "source")
    done = careen(
        "harden", f"oci:{tmp_path}/source:x", f"oci:{tmp_path}/target:x",
        "--profile", profile(tmp_path), "--quiet",
    )  # fmt: skip
    assert done.returncode == 4
    assert "rpm database cannot be read in full" in " ".join(done.stderr.split())
