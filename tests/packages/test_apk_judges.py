"""apk itself, and syft, judge an edited database: Alpine's own root, and its own program."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from careen.packages import apk
from careen.packages.apk import ApkRecords
from careen.rootfs.path import Path as Inside
from careen.rootfs.path import parent
from careen.rootfs.rootfs import Rootfs
from tests import alpine
from tests.judges import needs
from tests.on_disk import merged

pytestmark = [alpine.NEEDED, needs("bwrap")]

SHELL = ("busybox", "busybox-binsh", "ssl_client")
MANAGER = ("apk-tools", "alpine-keys", "libssl3", "libcrypto3", "zlib", "ca-certificates-bundle")
ALL_BUT_MUSL = (*SHELL, *MANAGER, "musl-utils", "scanelf", "alpine-baselayout")
TRIMMED = ("etc/motd", "etc/profile.d/README", "usr/bin/ldd")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return alpine.unpack(tmp_path_factory.mktemp("alpine"))


def records(root: Path) -> ApkRecords:
    found = apk.read(merged(root))
    assert found is not None
    assert (found.refused, found.notes, found.faults) == ("", (), ())
    return found


def gone(rootfs: Rootfs, found: ApkRecords, removed: tuple[str, ...]) -> set[Inside]:
    """What goes with `removed`: their files, the links that lead there, the directories emptied."""
    kept = {path for one in found.packages if one.id not in removed for path in one.paths}
    owned = {path for one in found.packages if one.id in removed for path in one.paths} - kept
    kinds = {path: inode.kind for path, inode in rootfs.nodes.items()}
    files = {path for path in owned if path in kinds and kinds[path] != "directory"}
    links = {path for path, kind in kinds.items() if kind == "symlink" and path not in kept}
    files |= {path for path in links if rootfs.resolve(path).path in files}
    for path in reversed(rootfs.nodes):
        if path in owned and kinds[path] == "directory" and files >= set(rootfs.children(path)):
            files.add(path)
    return files


def hardened(root: Path, folder: Path, removed: tuple[str, ...]) -> Path:
    """A copy of the root without `removed` and TRIMMED, its database edited."""
    copy = alpine.copied(root, folder)
    rootfs, found = merged(root), records(root)
    dropped = gone(rootfs, found, removed) | {Inside(name) for name in TRIMMED}
    for path in sorted(dropped, reverse=True):
        target = copy / path
        target.rmdir() if target.is_dir() and not target.is_symlink() else target.unlink()
    for path, content in found.edit(frozenset(removed), frozenset(dropped)).items():
        assert content is not None
        (copy / path).write_bytes(content)
    return copy


Hardened = Callable[[tuple[str, ...]], Path]


@pytest.fixture(scope="module")
def make(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Hardened:
    """`make(removed)`: each once."""
    made: dict[tuple[str, ...], Path] = {}

    def get(removed: tuple[str, ...]) -> Path:
        if removed not in made:
            made[removed] = hardened(root, tmp_path_factory.mktemp("hardened") / "root", removed)
        return made[removed]

    return get


def test_the_real_database_is_read_whole(root: Path) -> None:
    found = records(root)
    assert {f"{one.name}-{one.version}" for one in found.packages} == set(
        alpine.apk(root, root, "info", "-v")
    )
    for one in found.packages:
        listed = {line for line in alpine.apk(root, root, "info", "-qL", one.name) if line}
        assert {path for path in one.paths if there(root / path)} == listed, one.name
    assert found.edit(frozenset(), frozenset()) == {}


def there(file: Path) -> bool:
    return file.is_symlink() or file.is_file()


CASES = [(), SHELL, (*SHELL, *MANAGER), ALL_BUT_MUSL, ("musl-utils",)]


@pytest.mark.parametrize("removed", CASES, ids=len)
def test_apk_lists_exactly_what_is_kept(
    root: Path, make: Hardened, removed: tuple[str, ...]
) -> None:
    before = {one.id: f"{one.name}-{one.version}" for one in records(root).packages}
    kept = {text for id, text in before.items() if id not in removed}
    assert set(alpine.apk(root, make(removed), "info", "-v")) == kept
    assert {f"{one.name}-{one.version}" for one in records(make(removed)).packages} == kept


@pytest.mark.parametrize("removed", CASES, ids=len)
@pytest.mark.parametrize("check", [("audit", "--system"), ("verify",)], ids=lambda check: check[0])
def test_apk_finds_nothing_new(
    root: Path, make: Hardened, removed: tuple[str, ...], check: tuple[str, ...]
) -> None:
    before = alpine.apk(root, root, *check)
    assert [line for line in alpine.apk(root, make(removed), *check) if line not in before] == []


def test_apk_audit_can_tell(root: Path, make: Hardened, tmp_path: Path) -> None:
    copy = alpine.copied(make(SHELL), tmp_path / "root")
    (copy / "lib/apk/db/installed").write_bytes((root / "lib/apk/db/installed").read_bytes())
    assert "X usr/bin/ssl_client" in alpine.apk(root, copy, "audit", "--system")


def test_what_apk_lists_is_there(root: Path, make: Hardened) -> None:
    copy = make(SHELL)
    for one in records(copy).packages:
        listed = [line for line in alpine.apk(root, copy, "info", "-qL", one.name) if line]
        assert [name for name in listed if not there(copy / name)] == []
        assert not set(listed) & set(TRIMMED)


def test_nothing_of_the_removed_is_left_in_the_database(make: Hardened) -> None:
    copy = make(SHELL)
    for file in (copy / "lib/apk/db").iterdir():
        assert b"P:busybox" not in file.read_bytes()
        assert b"busybox-1.36" not in file.read_bytes()
    world = (copy / "etc/apk/world").read_text().split()
    assert world == ["alpine-baselayout", "alpine-keys", "apk-tools", "libc-utils"]
    assert "libc-utils" not in (make(("musl-utils",)) / "etc/apk/world").read_text()


def test_shells_follow_their_links(make: Hardened) -> None:
    assert "/bin" not in (make(SHELL) / "etc/shells").read_text()
    assert "/bin/sh\n/bin/ash\n" in (make(("musl-utils",)) / "etc/shells").read_text()


def test_apk_goes_on_working_with_it(root: Path, make: Hardened, tmp_path: Path) -> None:
    copy = alpine.copied(make(("musl-utils",)), tmp_path / "root")
    before = set(alpine.apk(root, copy, "info"))
    alpine.apk(root, copy, "del", "--no-scripts", "alpine-keys")
    left = set(alpine.apk(root, copy, "info"))
    assert before - left == {"alpine-keys", "scanelf"}  # musl-utils, which went, wanted scanelf
    assert {one.id for one in records(copy).packages} == left  # apk wrote all of it anew


@pytest.mark.skipif(not alpine.SYFT.exists(), reason="syft is not installed")
@pytest.mark.parametrize("removed", [SHELL, ALL_BUT_MUSL], ids=len)
def test_syft_lists_exactly_what_is_kept(make: Hardened, removed: tuple[str, ...]) -> None:
    copy = make(removed)
    assert alpine.syft(copy) == {(one.name, one.version) for one in records(copy).packages}


def test_nothing_that_is_kept_stands_in_a_directory_that_went(make: Hardened) -> None:
    for one in records(make(ALL_BUT_MUSL)).packages:
        assert {parent(path) for path in one.paths} - {Inside(""), *one.paths} == set()


@needs("musl-gcc")
def test_a_program_of_musl_runs_in_the_root(root: Path, tmp_path: Path) -> None:
    copy = alpine.copied(root, tmp_path / "root")
    with tarfile.open(fileobj=io.BytesIO(alpine.application(tmp_path))) as layer:
        layer.extractall(copy, filter="fully_trusted")
    assert alpine.inside(copy, "/usr/local/bin/greet") == "hello from musl\n"


def test_apk_too_misses_what_the_world_asks_for(root: Path, tmp_path: Path) -> None:
    copy = alpine.copied(root, tmp_path / "root")
    alpine.apk(root, copy, "add", "--simulate")
    with (copy / "etc/apk/world").open("a") as world:
        world.write("never-made>1\n")
    with pytest.raises(AssertionError, match=r"required by: world\[never-made>1\]"):
        alpine.apk(root, copy, "add", "--simulate")
    found = apk.read(merged(copy))
    assert found is not None
    assert found.faults == (
        "/etc/apk/world asks for never-made>1, and no package on record is or provides it",
    )
