"""dpkg itself, and syft, judge an edited database: a real root, real packages, real tools."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from careen.packages import dpkg
from careen.packages.dpkg import DpkgRecords
from careen.rootfs import path as paths
from tests.on_disk import merged

pytestmark = pytest.mark.skipif(not shutil.which("dpkg-deb"), reason="no dpkg on this machine")

# name → (architecture, Multi-Arch, files, DEBIAN/triggers)
PACKAGES: Mapping[str, tuple[str, str, list[str], str]] = {
    "alpha": ("all", "no", ["/bin/alpha", "/usr/share/doc/alpha/README", "/etc/alpha.conf"], ""),
    "beta": ("all", "no", ["/usr/bin/beta", "/usr/bin/top", "/etc/beta.conf"], ""),
    "gamma": ("all", "no", ["/usr/bin/gamma", "/usr/bin/top"], "interest-noawait /usr/share/x\n"),
    "delta": ("all", "no", ["/usr/bin/delta"], "interest-noawait named\n"),
    "libz:amd64": ("amd64", "same", ["/lib/x86_64-linux-gnu/libz.so"], ""),
    "libz:i386": ("i386", "same", ["/lib/i386-linux-gnu/libz.so"], ""),
}
REMOVED = ("beta", "delta", "libz:i386")
TRIMMED = ("usr/share/doc/alpha/README", "etc/alpha.conf")


def run(*command: str | Path) -> str:
    """What a tool prints, on both streams; it must succeed."""
    done = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
        text=True,
        env={**os.environ, "LC_ALL": "C", "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"},
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def on(root: Path, tool: str, *arguments: str | Path) -> str:
    if tool == "dpkg":
        arguments = ("--force-not-root", f"--log={os.devnull}", *arguments)
    if tool == "update-alternatives":
        return run(tool, "--root", root, "--log", os.devnull, *arguments)
    return run(tool, f"--root={root}", *arguments)


def deb(folder: Path, full: str) -> Path:
    """A package whose files hold their own names; those in /etc are conffiles."""
    name = full.partition(":")[0]
    architecture, multi_arch, files, triggers = PACKAGES[full]
    tree = folder / full.replace(":", "_")
    for file in files:
        target = tree / file[1:]
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(f"{full} {file}\n")
    control = tree / "DEBIAN"
    control.mkdir()
    (control / "control").write_text(
        f"Package: {name}\nVersion: 1.0-1\nArchitecture: {architecture}\n"
        f"Multi-Arch: {multi_arch}\nMaintainer: nobody <n@example.org>\nDescription: {name}\n"
    )
    conffiles = [file for file in files if file.startswith("/etc/")]
    (control / "conffiles").write_text("".join(f"{file}\n" for file in conffiles))
    sums = run("md5sum", "-z", *(tree / file[1:] for file in files if file not in conffiles))
    digests = sums.replace("\0", "\n").replace(f"{tree}/", "")
    (control / "md5sums").write_text(digests)
    if triggers:
        (control / "triggers").write_text(triggers)
    run("dpkg-deb", "--root-owner-group", "--nocheck", "--build", tree, folder / f"{tree.name}.deb")
    return folder / f"{tree.name}.deb"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A merged-/usr root with every package, a diversion, overrides and alternatives."""
    root, folder = tmp_path_factory.mktemp("root"), tmp_path_factory.mktemp("debs")
    for name in ("info", "updates", "triggers", "alternatives"):
        (root / "var/lib/dpkg" / name).mkdir(parents=True)
    for name in ("status", "available"):
        (root / "var/lib/dpkg" / name).touch()
    for name in ("bin", "lib"):
        (root / "usr" / name).mkdir(parents=True)
        (root / name).symlink_to(f"usr/{name}")
    (root / "etc/alternatives").mkdir(parents=True)
    (root / "etc/os-release").write_text('ID=debian\nVERSION_ID="12"\n')
    on(root, "dpkg", "--add-architecture", "amd64")
    on(root, "dpkg", "--add-architecture", "i386")
    divert = ("--divert", "/usr/bin/top.real", "--no-rename", "/usr/bin/top")
    on(root, "dpkg-divert", "--package", "beta", "--add", *divert)
    on(root, "dpkg", "--install", *(deb(folder, name) for name in PACKAGES))
    for file in ("/usr/bin/beta", "/usr/bin/gamma"):
        on(root, "dpkg-statoverride", "--add", "root", "root", "0755", file)
    for file, priority in (("beta", "20"), ("gamma", "10")):
        install = ("--install", "/usr/bin/greek", "greek", f"/usr/bin/{file}", priority)
        on(root, "update-alternatives", *install)
    install = ("--install", "/usr/bin/letter", "letter", "/usr/bin/delta", "5")
    on(root, "update-alternatives", *install)
    (root / "etc/shells").write_text("/bin/alpha\n/bin/beta\n/usr/bin/beta\n")
    return root


def records(root: Path) -> DpkgRecords:
    found = dpkg.read(merged(root))
    assert found is not None
    return found


@pytest.fixture
def hardened(installed: Path, tmp_path: Path) -> Path:
    """A copy of the root without REMOVED and TRIMMED, its database edited."""
    root = tmp_path / "root"
    shutil.copytree(installed, root, symlinks=True)
    found = records(root)
    assert (found.refused, found.notes, found.faults) == ("", (), ())
    kept = {path for one in found.packages if one.id not in REMOVED for path in one.paths}
    gone = {path for one in found.packages if one.id in REMOVED for path in one.paths}
    dropped = {path for path in gone - kept if not (root / path).is_dir()}
    dropped |= {paths.normal(name) for name in TRIMMED}
    for path in dropped:
        (root / path).unlink()
    for path, content in found.edit(frozenset(REMOVED), frozenset(dropped)).items():
        if content is None:
            (root / path).unlink()
        else:
            (root / path).write_bytes(content)
    return root


def test_dpkg_finds_as_little_wrong_as_before(installed: Path, hardened: Path) -> None:
    for root in (installed, hardened):
        assert on(root, "dpkg", "--audit") == ""
        assert on(root, "dpkg", "--verify") == ""
        assert records(root).faults == ()


def damaged(installed: Path, tmp_path: Path) -> Path:
    root = tmp_path / "damaged"
    shutil.copytree(installed, root, symlinks=True)
    return root


@pytest.mark.parametrize(
    ("lost", "fault"),
    [
        ("gamma.list", "gamma is on record, and info/ has no list of its files"),
        ("gamma.md5sums", "gamma is on record, and info/ has no md5sums of its files"),
        ("libz:amd64.md5sums", "libz is on record, and info/ has no md5sums of its files"),
    ],
)
def test_what_dpkg_audits_is_a_fault(
    installed: Path, tmp_path: Path, lost: str, fault: str
) -> None:
    root = damaged(installed, tmp_path)
    (root / "var/lib/dpkg/info" / lost).unlink()
    package, _, extension = lost.rpartition(".")
    audited = on(root, "dpkg", "--audit")
    assert f"missing the {extension} control file" in audited
    assert f" {package.partition(':')[0]}" in audited
    native = f":{run('dpkg', '--print-architecture').strip()}"
    assert [one.replace(native, "") for one in records(root).faults] == [fault]


def test_what_dpkg_verifies_is_no_fault_of_the_database(installed: Path, tmp_path: Path) -> None:
    root = damaged(installed, tmp_path)
    (root / "usr/bin/gamma").unlink()
    assert on(root, "dpkg", "--verify").split() == ["missing", "/usr/bin/gamma"]
    assert records(root).faults == ()


def test_dpkg_does_not_see_what_its_lists_have_not(installed: Path, tmp_path: Path) -> None:
    """A digest of a path that the list has not is never compared: the fault is how it is known."""
    root = damaged(installed, tmp_path)
    listing = root / "var/lib/dpkg/info/gamma.list"
    listing.write_text(listing.read_text().replace("/usr/bin/gamma\n", ""))
    (root / "usr/bin/gamma").write_text("other")
    assert on(root, "dpkg", "--audit") == on(root, "dpkg", "--verify") == ""
    assert records(root).faults == (
        "gamma: its md5sums name /usr/bin/gamma, which its list does not",
    )


def test_dpkg_lists_exactly_what_is_kept(installed: Path, hardened: Path) -> None:
    def listed(root: Path) -> list[str]:
        return on(root, "dpkg-query", "-W", "-f", "${binary:Package}\n").split()

    before = ["alpha", "beta", "delta", "gamma", "libz:amd64", "libz:i386"]
    assert listed(installed) == before
    assert listed(hardened) == [name for name in before if name not in REMOVED]
    native = run("dpkg", "--print-architecture").strip()
    assert {one.id for one in records(hardened).packages} == {
        name.removesuffix(f":{native}") for name in before if name not in REMOVED
    }


def test_what_dpkg_lists_is_there_and_in_its_place(hardened: Path) -> None:
    listed = on(hardened, "dpkg-query", "-L", "alpha", "gamma", "libz:amd64").splitlines()
    assert "/usr/bin/top" in listed
    assert not [name for name in listed if name[1:] in TRIMMED]
    assert [name for name in listed if name.startswith("/") and not there(hardened, name)] == []
    assert (hardened / "usr/bin/top.real").read_text() == "gamma /usr/bin/top\n"
    assert on(hardened, "dpkg-query", "-W", "-f", "${Conffiles}", "alpha") == ""


def there(root: Path, name: str) -> bool:
    # the kept package's file lies where the removed package's diversion sent it
    return (root / name[1:]).exists() or name == "/usr/bin/top"


def test_the_databases_other_tools_read_theirs(hardened: Path) -> None:
    assert on(hardened, "dpkg-statoverride", "--list") == "root root 755 /usr/bin/gamma\n"
    assert on(hardened, "dpkg-divert", "--list") == (
        "diversion of /usr/bin/top to /usr/bin/top.real by beta\n"
    )
    query = on(hardened, "update-alternatives", "--query", "greek")
    assert "Status: auto\nBest: /usr/bin/gamma\n" in query
    assert "/usr/bin/beta" not in query.partition("Alternative:")[2]
    assert on(hardened, "update-alternatives", "--get-selections").split()[0] == "greek"
    assert not (hardened / "var/lib/dpkg/alternatives/letter").exists()
    assert (hardened / "etc/shells").read_text() == "/bin/alpha\n"
    assert not (hardened / "var/lib/dpkg/triggers/named").exists()


def test_dpkg_goes_on_working_with_it(hardened: Path, tmp_path: Path) -> None:
    said = on(hardened, "dpkg", "--install", deb(tmp_path, "delta"))
    said += on(hardened, "dpkg", "--purge", "gamma", "alpha")
    warnings = [line for line in said.splitlines() if "warning" in line]
    assert [line for line in warnings if "not empty so not removed" not in line] == []
    assert not (hardened / "usr/bin/top.real").exists()
    assert on(hardened, "dpkg", "--audit") == ""
    left = on(hardened, "dpkg-query", "-W", "-f", "${binary:Package}\n").split()
    assert left == ["delta", "libz:amd64"]


@pytest.mark.skipif(
    not Path(sys.executable).with_name("syft").exists(), reason="syft is not installed"
)
def test_syft_lists_exactly_what_is_kept(hardened: Path) -> None:
    syft = str(Path(sys.executable).with_name("syft"))
    done = subprocess.run(
        [syft, f"dir:{hardened}", "-o", "json", "-q", "--select-catalogers", "dpkg"],
        capture_output=True,
        check=True,
        env={**os.environ, "SYFT_CHECK_FOR_APP_UPDATE": "false"},
    )
    found = json.loads(done.stdout)["artifacts"]
    assert sorted((one["name"], one["metadata"]["architecture"]) for one in found) == [
        ("alpha", "all"),
        ("gamma", "all"),
        ("libz", "amd64"),
    ]
    files = {file["path"] for one in found for file in one["metadata"]["files"]}
    assert not [name for name in files if name[1:] in TRIMMED]
