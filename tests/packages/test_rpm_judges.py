"""rpm itself, Berkeley DB and syft judge a database: real packages, installed by rpm."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from careen.errors import FormatError
from careen.packages import rpm
from careen.packages.package import Package
from careen.packages.rpm import RpmRecords, record, sqlite
from careen.rootfs import path as paths
from tests.judges import needs
from tests.on_disk import merged
from tests.packages.rpm_root import ndb
from tests.rpm_image import HOME, Spec, berkeley, built, install, on, query, verified

pytestmark = [
    needs("rpmbuild"),
    pytest.mark.skipif(os.geteuid() != 0, reason="rpm enters another root only as root"),
]
SYFT = Path(sys.executable).with_name("syft")


def plain(name: str) -> Spec:
    return Spec(
        f"nato-{name}",
        [f"/usr/bin/{name}", f"%dir /usr/share/nato-{name}", f"/usr/share/nato-{name}/data"],
    )


WORDS = (
    "charlie delta echo foxtrot golf hotel india juliett kilo lima mike november oscar papa quebec "
    "romeo sierra tango uniform victor whiskey xray yankee zulu"
)
SHARED = ["%dir /usr/share/common", "/usr/share/common/both"]
SPECS = [
    *(plain(name) for name in WORDS.split()),
    Spec("nato-alfa", ["/usr/bin/alfa", *SHARED], ["Epoch: 3"], arch="x86_64"),
    Spec(
        "nato-bravo",
        ["/usr/bin/bravo", *SHARED],
        ["Requires: nato-alfa", "Requires: /usr/bin/alfa"],
    ),
    Spec("part-config", ["%config(noreplace) /etc/config.conf", "%ghost /var/log/config.log"]),
    Spec("part-ghost", ["%config /etc/ghost.conf", "%ghost /var/log/ghost.log", "%dir /var/log"]),
    Spec("part-script", ["/usr/bin/script"], scripts="%post -n {name}\necho {name} installed\n"),
    Spec(
        "part-trigger",
        ["/usr/bin/trigger"],
        scripts="%triggerin -n {name} -- part-kept\necho {name} triggered\n"
        "%filetriggerin -n {name} -- /usr/lib\necho {name} files\n",
    ),
    Spec("part-kept", ["/usr/bin/kept"], ["Provides: virtual = 1", "Recommends: nothing-else"]),
    Spec("part-empty", scripts="%postun -n {name}\n:\n"),
    Spec("part-docs", ["%doc /usr/share/doc/docs/README", "%doc /usr/share/doc/docs/NEWS"]),
    Spec("lib-z", ["/usr/lib64/libz.so.1"], arch="x86_64"),
    Spec("lib-z", ["/usr/lib/libz.so.1"], arch="i686"),
]
REMOVED = frozenset(
    ["nato-alfa", "part-ghost", "part-trigger", "part-docs", "part-empty", "lib-z.i686"]
    + [f"nato-{name}" for name in WORDS.split()[::2]]
)
KEPT = sorted(spec.id for spec in SPECS if spec.id not in REMOVED)


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return built(tmp_path_factory.mktemp("rpms"), SPECS)


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory, packages: list[Path]) -> Path:
    root = tmp_path_factory.mktemp("installed") / "root"
    root.mkdir()
    install(root, packages)
    return root


def records(root: Path) -> RpmRecords:
    found = rpm.read(merged(root))
    assert found is not None
    assert (found.unsupported, found.notes, found.faults) == ("", (), ())
    return found


def dropped(root: Path, found: RpmRecords) -> list[paths.Path]:
    """What a plan drops with REMOVED: files, then the directories left empty of theirs."""
    kept = {path for one in found.packages if one.id not in REMOVED for path in one.paths}
    gone = {path for one in found.packages if one.id in REMOVED for path in one.paths} - kept
    return sorted((path for path in gone if (root / path).exists()), reverse=True)


@pytest.fixture(scope="session")
def hardened(tmp_path_factory: pytest.TempPathFactory, installed: Path) -> Path:
    root = tmp_path_factory.mktemp("hardened") / "root"
    shutil.copytree(installed, root, symlinks=True)
    found = records(root)
    lost = dropped(root, found)
    changes = found.edit(REMOVED, frozenset(lost))
    for path in lost:
        (root / path).rmdir() if (root / path).is_dir() else (root / path).unlink()
    for path, content in changes.items():
        (root / path).unlink()
        if content is not None:
            (root / path).write_bytes(content)
    return root


def label(package: Package) -> str:
    return f"{package.name} {package.version} {package.architecture or '(none)'}"


def test_rpm_and_careen_read_the_same(installed: Path) -> None:
    assert len(SPECS) >= 30
    found = records(installed).packages
    assert query(installed) == sorted(map(label, found))
    for package in found:
        if not package.architecture:  # rpm -q finds no key by its architecture
            continue
        name = f"{package.name}.{package.architecture}"
        assert asked(installed, name, "%{FILENAMES}") == sorted(map(paths.absolute, package.paths))
        needed = asked(installed, name, "%{REQUIRENAME}")
        assert sorted(group[0] for group in package.depends) == [
            one for one in needed if not one.startswith("rpmlib(")
        ]
        assert sorted(package.provides) == asked(installed, name, "%{PROVIDENAME}")
        flagged = asked(installed, name, "%{FILENAMES} %{FILEFLAGS:fflags}")
        config = [line.split()[0] for line in flagged if "c" in line.partition(" ")[2]]
        assert sorted(map(paths.absolute, package.conffiles)) == config


def asked(root: Path, name: str, what: str) -> list[str]:
    lines = on(root, "-q", name, "--qf", f"[{what}\n]").splitlines()
    return sorted(set(lines) - {"(none)"})


def test_rpm_lists_exactly_what_is_kept(installed: Path, hardened: Path) -> None:
    kept = [label(one) for one in records(installed).packages if one.id not in REMOVED]
    assert query(hardened) == sorted(kept)
    assert sorted(one.id for one in records(hardened).packages if one.name != "gpg-pubkey") == KEPT
    assert len(KEPT) < len(SPECS)


def test_rpm_verifies_as_little_wrong_as_before(
    installed: Path, hardened: Path, tmp_path: Path
) -> None:
    assert verified(installed) == verified(hardened) == []
    root = tmp_path / "root"
    shutil.copytree(hardened, root, symlinks=True)
    (root / "usr/bin/kept").unlink()
    assert verified(root) == ["missing     /usr/bin/kept"]


def test_rpm_finds_packages_by_every_index(hardened: Path) -> None:
    assert on(hardened, "-qf", "/usr/share/common/both").split() == ["nato-bravo-1.0-1.noarch"]
    assert on(hardened, "-q", "--whatprovides", "virtual").split() == ["part-kept-1.0-1.noarch"]
    assert on(hardened, "-q", "--whatrecommends", "nothing-else").split() == [
        "part-kept-1.0-1.noarch"
    ]
    assert "installed" in on(hardened, "-q", "--scripts", "part-script")
    for question in (["--whatrequires", "part-kept"], ["--triggeredby", "part-kept"]):
        done = subprocess.run(
            ["rpm", "--root", hardened, "--dbpath", f"/{HOME}", "-q", *question],
            capture_output=True,
            check=False,
            text=True,
        )
        assert "no package" in done.stdout, question


def test_sqlite_finds_it_sound(hardened: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(hardened / HOME, tmp_path / "db")
    connection = sqlite3.connect(copy / "rpmdb.sqlite")
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    assert connection.execute("PRAGMA journal_mode").fetchall() == [("wal",)]
    connection.close()


def test_nothing_of_a_removed_package_is_left_in_the_bytes(installed: Path, hardened: Path) -> None:
    after = (hardened / HOME / "rpmdb.sqlite").read_bytes()
    before = (installed / HOME / "rpmdb.sqlite").read_bytes()
    names = {name.removesuffix(".i686") for name in REMOVED} - {"lib-z", "nato-alfa"}
    for name in names:
        assert name.encode() in before
        assert name.encode() not in after
    # nato-bravo goes on asking for nato-alfa; what else that had is gone
    assert b"It is nato-alfa" in before
    assert b"It is nato-alfa" not in after


def test_rpm_rebuilds_it_without_another_answer(hardened: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    shutil.copytree(hardened, root, symlinks=True)
    before = query(root), verified(root)
    on(root, "--rebuilddb")
    assert (query(root), verified(root)) == before
    assert records(root).packages == records(hardened).packages


def test_rpm_goes_on_working_with_it(hardened: Path, packages: list[Path], tmp_path: Path) -> None:
    root = tmp_path / "root"
    shutil.copytree(hardened, root, symlinks=True)
    again = next(file for file in packages if file.name.startswith("nato-charlie-"))
    on(root, "-i", "--nodeps", "--noscripts", "--nosignature", again)
    on(root, "-e", "--nodeps", "--noscripts", "nato-delta")
    left = {line.split()[0] for line in query(root)}
    assert "nato-charlie" in left
    assert "nato-delta" not in left


def test_the_same_bytes_whichever_sqlite_wrote_the_source(installed: Path) -> None:
    found = records(installed)
    assert found.database is not None
    rows = [found.database.rows[id] for id in REMOVED]
    content = found.database.content
    other = content[:96] + bytes(4)
    assert sqlite.without(other + content[100:], rows)[100:] == sqlite.without(content, rows)[100:]


def syft(root: Path) -> dict[str, list[str]]:
    done = subprocess.run(
        [SYFT, f"dir:{root}", "-o", "json", "-q", "--select-catalogers", "rpm"],
        capture_output=True,
        check=True,
        env={**os.environ, "SYFT_CHECK_FOR_APP_UPDATE": "false"},
    )
    return {
        f"{one['name']} {one['version']}": sorted(
            file["path"] for file in one["metadata"]["files"] or ()
        )
        for one in json.loads(done.stdout)["artifacts"]
        if one["metadata"].get("architecture") != "i686"
    }


def by_careen(root: Path) -> dict[str, list[str]]:
    return {
        f"{one.name} {one.version}": sorted(
            paths.absolute(path) for path in one.paths if (root / path).exists()
        )
        for one in records(root).packages
        if one.architecture != "i686"
    }


@pytest.mark.skipif(not SYFT.exists(), reason="syft is not installed")
def test_syft_lists_exactly_what_is_kept(hardened: Path) -> None:
    assert syft(hardened) == by_careen(hardened)


@pytest.mark.skipif(not SYFT.exists(), reason="syft is not installed")
def test_syft_and_careen_read_the_same_ndb(installed: Path, tmp_path: Path) -> None:
    before = records(installed)
    assert before.database is not None
    file = tmp_path / HOME / "Packages.db"
    file.parent.mkdir(parents=True)
    file.write_bytes(ndb([blob for _, blob in sqlite.headers(before.database.content)]))
    found = rpm.read(merged(tmp_path))
    assert found is not None
    assert [one.id for one in found.packages] == [one.id for one in before.packages]
    assert sorted(syft(tmp_path)) == sorted(by_careen(installed))


@needs("db_load")
@pytest.mark.parametrize("order", ["1234", "4321"])
def test_rpm_and_careen_read_the_same_berkeley_db(
    installed: Path, tmp_path: Path, order: str
) -> None:
    """Berkeley DB writes it, as rpm did: a header by its number, in the machine's byte order."""
    found = records(installed)
    assert found.database is not None
    rows = sqlite.headers(found.database.content)
    berkeley(rows, tmp_path / HOME / "Packages", order)
    read = rpm.read(merged(tmp_path))
    assert read is not None
    assert read.unsupported == ""
    assert "Berkeley DB" in read.refused
    assert [one.id for one in read.packages] == [one.id for one in found.packages]
    assert [one.depends for one in read.packages] == [one.depends for one in found.packages]
    backend = ["--define", "_db_backend bdb_ro"]
    assert query(tmp_path, *backend) == sorted(map(label, read.packages))
    if SYFT.exists():
        assert len(syft(tmp_path)) == len(
            [one for one in read.packages if one.architecture != "i686"]
        )


def test_damage_to_a_real_header_is_refused_or_read(installed: Path) -> None:
    found = records(installed)
    assert found.database is not None
    row, blob = sqlite.headers(found.database.content)[-3]
    refused = 0
    for place in range(0, len(blob), 7):
        damaged = blob[:place] + bytes([blob[place] ^ 0x80]) + blob[place + 1 :]
        try:
            assert record.parse(row, damaged).name
        except FormatError:
            refused += 1
    assert 0 < refused < len(blob) // 7
