"""What common programs write is read as what was on the disk, whatever the format."""

from __future__ import annotations

import io
import os
import shutil
import stat
import subprocess
import tarfile
from pathlib import Path

import pytest

from careen.formats.tar import Entry, Kind, Reader
from tests.builders import Chr, Dir, Fifo, Hard, Lnk, Node, Reg, tar_layer
from tests.formats.tar_blocks import content, read
from tests.judges import ROOT_ONLY, needs

CAPABILITY = bytes.fromhex("0100000200040000000000000000000000000000")  # v2, cap_net_bind_service
LONG = "n" * 120
KINDS: dict[int, Kind] = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "directory",
    stat.S_IFLNK: "symlink",
    stat.S_IFIFO: "fifo",
    stat.S_IFCHR: "char",
}


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What every format can say."""
    root = tmp_path_factory.mktemp("plain")
    (root / "d" / "empty").mkdir(parents=True)
    (root / "d" / "file").write_bytes(bytes(range(256)) * 5)
    (root / "d" / "nothing").touch()
    (root / "d" / "block").write_bytes(b"b" * 512)
    (root / "link").symlink_to("d/file")
    os.link(root / "d" / "file", root / "hard")
    os.chmod(root / "d" / "file", 0o4711)
    os.chmod(root / "d", 0o1777)
    os.utime(root / "d" / "file", (1_600_000_000, 1_600_000_000))
    for path in (root / "d", root / "d" / "empty", root / "d" / "nothing", root / "d" / "block"):
        os.utime(path, (1_500_000_000, 1_500_000_000))
    os.utime(root / "link", (1_400_000_000, 1_400_000_000), follow_symlinks=False)
    return root


@pytest.fixture(scope="module")
def rich(plain: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What only the newer formats can say."""
    root = tmp_path_factory.mktemp("rich")
    (root / LONG / LONG).mkdir(parents=True)
    (root / LONG / LONG / LONG).write_bytes(b"deep")
    (root / "longlink").symlink_to(f"{LONG}/{LONG}/{LONG}")
    (root / "é").write_bytes(b"utf-8")
    (root / "a\nb").write_bytes(b"newline")
    os.mkfifo(root / "fifo")
    (root / "old").write_bytes(b"before 1970")
    if os.geteuid() == 0:
        os.mknod(root / "null", 0o600 | stat.S_IFCHR, os.makedev(1, 3))
        os.chown(root / "old", 3_000_000_000, 4_000_000_000)
    for path in (root, *root.rglob("*")):
        os.utime(path, (1_500_000_000, 1_500_000_000), follow_symlinks=False)
    os.utime(root / "old", (-2, -2))
    return root


@pytest.fixture(scope="module")
def holes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sparse files: few regions, more than one header holds, one hole, data up to the end."""
    root = tmp_path_factory.mktemp("holes")
    for name, offsets, size in (
        ("few", [1 << 20], 2 << 20),
        ("many", list(range(0, 60 << 16, 1 << 16)), 61 << 16),
        ("hole", [], 1 << 20),
        ("end", [1 << 20], (1 << 20) + 5),
    ):
        with (root / name).open("wb") as file:
            for offset in offsets:
                file.seek(offset)
                file.write(b"%d" % offset)
            file.truncate(size)
    return root


def packed(program: str, *options: str, root: Path) -> bytes:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed (make system)")
    done = subprocess.run(
        [program, *options, "-C", str(root), "-cf", "-", "."],
        capture_output=True,
        check=False,
        env={**os.environ, "LC_ALL": "C.UTF-8"},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def check(archive: bytes, root: Path) -> list[Entry]:
    """Every path below `root`, once, with its attributes and content; and Python agrees."""
    reader = Reader([archive])
    entries = list(reader)
    assert reader.warnings == []
    found = [os.path.normpath(root / entry.name) for entry in entries]
    assert sorted(found) == sorted([str(root), *map(str, root.rglob("*"))])
    for entry in entries:
        _check_entry(archive, entry, root)
    assert summary(entries) == python_summary(archive)
    return entries


def _check_entry(archive: bytes, entry: Entry, root: Path) -> None:
    path = root / entry.name
    status = path.lstat()
    assert (entry.mode, entry.uid, entry.gid) == (
        stat.S_IMODE(status.st_mode),
        status.st_uid,
        status.st_gid,
    )
    assert entry.mtime // 10**9 == status.st_mtime_ns // 10**9
    if entry.kind == "link":
        assert (root / entry.linkname).samefile(path)
        return
    assert entry.kind == KINDS[stat.S_IFMT(status.st_mode)]
    if entry.kind == "file":
        assert content(archive, entry) == path.read_bytes()
    if entry.kind == "symlink":
        assert entry.linkname == str(path.readlink())
    if entry.kind == "char":
        assert (entry.devmajor, entry.devminor) == (1, 3)


def summary(entries: list[Entry]) -> list[tuple[object, ...]]:
    return [
        (e.name.rstrip("/"), e.size, e.mode, e.uid, e.gid, e.linkname, e.mtime // 10**9)
        for e in entries
    ]


def python_summary(archive: bytes) -> list[tuple[object, ...]]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        return [
            (m.name, m.size, m.mode & 0o7777, m.uid, m.gid, m.linkname, int(m.mtime // 1))
            for m in opened
        ]


@pytest.mark.parametrize("form", ["v7", "oldgnu", "gnu", "ustar", "pax"])
def test_gnu_tar(form: str, plain: Path) -> None:
    assert check(packed("tar", f"--format={form}", root=plain), plain)


@pytest.mark.parametrize("form", ["oldgnu", "gnu", "pax"])
def test_gnu_tar_says_what_is_long_odd_or_huge(form: str, rich: Path) -> None:
    assert check(packed("tar", f"--format={form}", root=rich), rich)


@pytest.mark.parametrize(
    "options",
    [
        ["--format=gnu"],
        ["--format=oldgnu"],
        ["--format=pax", "--sparse-version=0.0"],
        ["--format=pax", "--sparse-version=0.1"],
        ["--format=pax", "--sparse-version=1.0"],
    ],
    ids=" ".join,
)
def test_gnu_tar_sparse(options: list[str], holes: Path) -> None:
    entries = check(packed("tar", "--sparse", *options, root=holes), holes)
    regions = {entry.name[2:]: len(entry.sparse or ()) for entry in entries if entry.sparse}
    assert regions["many"] > 60, "the regions must not fit in one header block"
    assert {"few", "hole", "end"} <= regions.keys()


@pytest.mark.parametrize("form", ["ustar", "gnutar", "pax"])
def test_bsdtar(form: str, plain: Path) -> None:
    assert check(packed("bsdtar", "--format", form, root=plain), plain)


def test_bsdtar_says_what_is_long_odd_or_huge(rich: Path) -> None:
    assert check(packed("bsdtar", "--format=pax", root=rich), rich)


def test_bsdtar_sparse(holes: Path) -> None:
    assert any(entry.sparse for entry in check(packed("bsdtar", "--format=pax", root=holes), holes))


@pytest.mark.parametrize("form", ["v7", "ustar", "gnu", "pax"])
def test_names_that_are_not_utf8(form: str, tmp_path: Path) -> None:
    name = b"caf\xe9 \xff"
    try:
        Path(os.fsdecode(bytes(tmp_path) + b"/" + name)).touch()
    except OSError:
        pytest.skip("this file system wants names in UTF-8")
    found = {entry.name for entry in read(packed("tar", f"--format={form}", root=tmp_path))}
    assert os.fsdecode(b"./" + name) in found


@pytest.mark.parametrize("program", ["tar", "bsdtar"])
def test_fractions_of_a_second(program: str, tmp_path: Path) -> None:
    times = {"before": -1_500_000_000, "just": -1, "after": 1_700_000_000_123_456_789}
    for name, nanoseconds in times.items():
        (tmp_path / name).touch()
        os.utime(tmp_path / name, ns=(0, nanoseconds))
    if program == "bsdtar":
        times = {"after": times["after"]}  # it writes other times before 1970
    found = {e.name[2:]: e.mtime for e in read(packed(program, "--format=pax", root=tmp_path))}
    assert {name: found[name] for name in times} == times


@ROOT_ONLY
@pytest.mark.parametrize("program", ["tar", "bsdtar"])
def test_extended_attributes(program: str, tmp_path: Path) -> None:
    """File capabilities hold NULs; bsdtar says each attribute twice."""
    attributes = {"user.bytes": b"a\0b=\nc", "security.capability": CAPABILITY}
    (tmp_path / "file").write_bytes(b"x")
    try:
        for name, value in attributes.items():
            os.setxattr(tmp_path / "file", name, value)
    except OSError as error:
        pytest.skip(f"no extended attributes here: {error}")
    extra = ["--xattrs-include=*"] if program == "tar" else []
    archive = packed(program, "--format=pax", "--xattrs", *extra, root=tmp_path)
    (entry,) = (entry for entry in read(archive) if entry.name == "./file")
    assert entry.xattrs == attributes


@needs("git")
def test_git_archive(tmp_path: Path) -> None:
    """It starts with a global header that names the commit."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "file").write_bytes(b"content")
    (tmp_path / LONG).write_bytes(b"long")
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@example.org"]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-qm", "first"], check=True)
    archive = subprocess.run([*git, "archive", "HEAD"], capture_output=True, check=True).stdout
    assert archive[156:157] == b"g"
    entries = read(archive)
    assert [entry.name for entry in entries] == [LONG, "sub/", "sub/file"]
    assert content(archive, entries[2]) == b"content"


NODES: list[Node] = [
    Dir("d"),
    Reg("d/file", bytes(range(200)) * 9, mode=0o4755),
    Hard("hard", "d/file"),
    Lnk("link", "../x"),
    Chr("null", 1, 3),
    Fifo("fifo"),
    Reg("p" * 90 + "/" + "n" * 90, b"prefixed"),
]
RICH_NODES: list[Node] = [
    Reg("n" * 300, b"x", uid=(1 << 32) - 2, gid=3_000_000),
    Lnk("longlink", "t" * 300),
    Hard("h" * 200, "n" * 300),
    Reg("caf\udce9/é", b"y"),
]


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_python(form: int) -> None:
    nodes = NODES if form == tarfile.USTAR_FORMAT else NODES + RICH_NODES
    archive = tar_layer(nodes, form=form)
    entries = read(archive)
    assert summary(entries) == python_summary(archive)
    assert [content(archive, e) for e in entries if e.kind == "file"] == [
        node.data for node in nodes if node.type == tarfile.REGTYPE
    ]
