"""Package databases as images really have them, each hardened whole: one row, one promise.

The numbers are those of the project's list of reliability anchors. Every row goes through the
command line: planned, rewritten, verified; then umoci unpacks both images, and the database's own
tool says whether the result is as sound as the source.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from careen.cli import app
from careen.packages import rpm
from careen.rootfs.path import Path as Inside
from tests import alpine
from tests.builders import Dir, Lnk, Node, Reg, image_layout, tar_layer
from tests.e2e.hardened import syft_packages
from tests.judges import ROOT_ONLY, needs, umoci_unpack
from tests.packages import apk_root, rpm_root
from tests.packages.dpkg_root import HOME, Pkg, md5, table
from tests.rootfs.hand_made import rootfs

pytestmark = [ROOT_ONLY, needs("umoci"), needs("dpkg-query")]

APP = Pkg("app", ["/usr/bin/app", "/usr/share/app/data"])
SPARE = Pkg("spare", ["/usr/bin/spare", "/usr/share/spare/data"])
PROFILE = """\
schema: careen.profile/v1
scenarios:
- name: run
  executed: [USED]
"""


@dataclass(frozen=True)
class Result:
    """The image before and after, unpacked, and the plan that harden printed."""

    before: Path
    after: Path
    plan: dict[str, Any]

    def ids(self, decision: str) -> set[str]:
        return {item["id"] for item in self.plan["packages"] if item["decision"] == decision}

    @property
    def on_record(self) -> set[tuple[str, str, str]]:
        return {
            (item["name"], item["version"], item["arch"])
            for item in self.plan["packages"]
            if item["decision"] != "remove"
        }

    def said(self, rule: str) -> str:
        found = [item["message"] for item in self.plan["findings"] if item["rule"] == rule]
        return "\n".join(found)


def dpkg(root: Path, *arguments: str, error: bool = False) -> tuple[int, list[str]]:
    """dpkg's or dpkg-query's exit code on a root, and its lines: of its answer, or its `error`s."""
    query = arguments[0] in ("--show", "--listfiles", "--search")
    done = subprocess.run(
        ["dpkg-query" if query else "dpkg", f"--root={root}", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "LC_ALL": "C"},
    )
    return done.returncode, sorted((done.stderr if error else done.stdout).splitlines())


def sound(result: Result) -> None:
    """dpkg lists what the plan keeps, and audits and verifies as little wrong as before."""
    shape = "-f=${Package} ${Version} ${Architecture}\\n"
    code, listed = dpkg(result.after, "--show", shape)
    assert (code, {tuple(line.split(" ")) for line in listed}) == (0, result.on_record)
    for check in ("--audit", "--verify"):
        assert set(dpkg(result.after, check)[1]) <= set(dpkg(result.before, check)[1])


def distroless(result: Result) -> None:
    assert syft_packages(result.before) == {("app", "1"), ("spare", "1"), ("mute", "1")}
    assert syft_packages(result.after) == {(name, v) for name, v, _ in result.on_record}
    sums = (result.after / HOME / "status.d/stray.md5sums").read_text()
    assert sums == f"{md5('')}  usr/bin/stray\n"


def as_broken_as_before(result: Result) -> None:
    """dpkg refuses it, before and after, in the same words; not a byte of it changed."""
    code, words = dpkg(result.before, "--show", error=True)
    assert code != 0
    again, others = dpkg(result.after, "--show", error=True)
    before, after = str(result.before), str(result.after)
    assert (again, [line.replace(after, before) for line in others]) == (code, words)
    for file in (result.before / HOME).rglob("*"):
        if file.is_file():
            assert (result.after / file.relative_to(before)).read_bytes() == file.read_bytes()


def of_one_architecture(result: Result) -> None:
    sound(result)
    code, listed = dpkg(result.after, "--listfiles", "libz:amd64")
    assert (code, "/usr/lib/x86_64-linux-gnu/libz.so" in listed) == (0, True)
    assert dpkg(result.after, "--listfiles", "libz:i386")[0] == 1


def still_diverted(result: Result) -> None:
    sound(result)
    assert diversions(result.after) == diversions(result.before) != []
    assert dpkg(result.after, "--search", "/usr/bin/tool")[1] == [
        "app: /usr/bin/tool",
        "diversion by app from: /usr/bin/tool",
        "diversion by app to: /usr/bin/tool.real",
    ]


def diverted_no_more(result: Result) -> None:
    sound(result)
    assert diversions(result.before) != []
    assert diversions(result.after) == []


def diversions(root: Path) -> list[str]:
    command = ["dpkg-divert", "--admindir", str(root / HOME), "--list"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def alternative(root: Path, name: str) -> dict[str, str]:
    """What update-alternatives says of a generic name, {} where it knows none."""
    command = ["update-alternatives", "--root", str(root), "--log", os.devnull, "--query", name]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C"}
    )
    return dict(line.split(": ", 1) for line in done.stdout.splitlines() if ": " in line)


def turned_to_vim(result: Result) -> None:
    sound(result)
    assert alternative(result.before, "editor")["Value"] == "/usr/bin/nano"
    found = alternative(result.after, "editor")
    assert (found["Value"], found["Best"]) == ("/usr/bin/vim", "/usr/bin/vim")
    assert os.readlink(result.after / "etc/alternatives/editor") == "/usr/bin/vim"


def no_alternative(result: Result) -> None:
    sound(result)
    assert alternative(result.before, "editor")["Value"] == "/usr/bin/nano"
    assert alternative(result.after, "editor") == {}


def by_apk(result: Result) -> None:
    """apk itself, where there is a root of Alpine's to run it from."""
    if not alpine.ARCHIVE.exists():
        return
    with_tools = alpine.unpack(result.after.parent / "tools")
    listed = alpine.apk(with_tools, result.after, "info", "-v")
    assert set(listed) == {f"{name}-{version}" for name, version, _ in result.on_record}


def unknown_fields_stay(result: Result) -> None:
    by_apk(result)
    (file,) = result.after.rglob("apk/db/installed")
    text = file.read_text()
    assert "z:another\nw:some:thing=1\n" in text
    assert text == text_of(result.before).replace(APK_SPARE.record, "")


def text_of(root: Path) -> str:
    (file,) = root.rglob("apk/db/installed")
    return file.read_text()


def both_agree(result: Result) -> None:
    names = {name for name, _, _ in result.on_record}
    assert names == {"app", "musl"}
    _, listed = dpkg(result.after, "--show", "-f=${Package}\\n")
    assert listed == ["app"]
    assert re.findall("^P:(.*)", text_of(result.after), re.MULTILINE) == ["musl"]


def nothing(_: Result) -> None:
    """No tool has a say: there is no database."""


APK_APP = apk_root.Pkg("app", ["/usr/bin/app"], more="z:another\nw:some:thing=1\n")
APK_SPARE = apk_root.Pkg("spare", ["/usr/bin/spare"])
APK_LINKS = [Lnk("lib", "usr/lib"), Dir("usr/lib")]


def apk(home: str, nodes: Sequence[Node] = ()) -> list[Node]:
    return [*nodes, *apk_root.table([APK_APP, APK_SPARE], home=home)]


def status_d(name: str, *files: str) -> dict[str, str]:
    digests = "".join(f"{md5(f'/{file}')}  {file}\n" for file in files)
    stanza = f"Package: {name}\nVersion: 1\nArchitecture: all\nMaintainer: Nobody <n@n.org>\n"
    return {f"{HOME}/status.d/{name}": stanza, f"{HOME}/status.d/{name}.md5sums": digests}


STATUS_D = [
    Reg(name, text)
    for name, text in {
        **status_d("app", "usr/bin/app"),
        **status_d("spare", "usr/bin/spare", "usr/share/spare/data"),
        f"{HOME}/status.d/mute": "Package: mute\nVersion: 1\nArchitecture: all\n",
        f"{HOME}/status.d/stray.md5sums": f"{md5('')}  usr/bin/stray\n",
    }.items()
]
FILES = [Reg(f"usr/{name}", f"/usr/{name}") for name in ("bin/app", "bin/spare", "bin/stray")]
FILES += [Reg("usr/share/spare/data"), Lnk("usr/lib/libspare.so", "../bin/spare")]
DIVERTED = {"diversions": "/usr/bin/tool\n/usr/bin/tool.real\napp\n"}
WRAPPED = {"diversions": "/usr/bin/app\n/usr/bin/app.real\nwrap\n"}
EDITOR = "auto\n/usr/bin/editor\n\n/usr/bin/nano\n9\n"
LINKS = [Lnk("usr/bin/editor", "/etc/alternatives/editor")]
LINKS += [Lnk("etc/alternatives/editor", "/usr/bin/nano")]
NANO, VIM = Pkg("nano", ["/usr/bin/nano"]), Pkg("vim", ["/usr/bin/vim"])
BROKEN = Pkg("broken", ["/usr/bin/broken"], more="no field\n")
LEFT = Pkg("left", status="deinstall ok config-files", conffiles=["/etc/left.conf"])
LEFT_ABSENT = Pkg("absent", status="deinstall ok config-files", conffiles=["/etc/absent.conf"])
ABSENT = "/.\n/usr/bin/app\n/usr/absent\n"
LIBZ = Pkg("libz", ["/usr/lib/x86_64-linux-gnu/libz.so"], same=True)
LIBZ_I386 = Pkg("libz", ["/usr/lib/i386-linux-gnu/libz.so"], same=True, arch="i386")
MOVED = "usr/lib/sysimage/dpkg"


def moved(link: str) -> list[Node]:
    """dpkg's directory elsewhere, and a link to it in its place."""
    rows = table([APP, SPARE], {"updates/": ""})
    elsewhere = [
        Node(**{**vars(row), "name": row.name.replace(HOME, MOVED, 1)})
        for row in rows
        if not row.name.endswith("/")
    ]
    return [*elsewhere, Lnk(HOME, link)]


@dataclass(frozen=True)
class Row:
    """An image, and what becomes of it; packages that are not named stay whole.

    `said` are parts of findings' sentences, by rule.
    """

    name: str
    nodes: Sequence[Node]
    removed: Sequence[str] = ()
    gone: Sequence[str] = ()
    there: Sequence[str] = ()
    said: Mapping[str, str] = field(default_factory=dict)
    used: str = "/usr/bin/app"
    judge: Callable[[Result], None] = sound


ROWS = [
    Row(
        "86 status.d: a stanza without digests stays, digests without a stanza are noted",
        [*STATUS_D, *FILES],
        removed=["spare"],
        gone=["usr/bin/spare", "usr/share/spare", "usr/lib/libspare.so"],
        there=["usr/bin/stray"],
        said={"package-database": "status.d/stray.md5sums is of no package on record"},
        judge=distroless,
    ),
    Row(
        "87 a malformed stanza: no edit, every byte kept, reported",
        table([APP, SPARE, BROKEN]),
        there=["usr/bin/spare", "usr/bin/broken"],
        said={"database-refused": "malformed line 'no field'"},
        judge=as_broken_as_before,
    ),
    Row(
        "87 a stanza without its Package field: no edit, every byte kept, reported",
        table([APP], {"status": f"{APP.stanza}Status: install ok installed\nVersion: 1\n\n"}),
        said={"database-refused": "status: stanza 2: no Package"},
        judge=as_broken_as_before,
    ),
    Row(
        "88 no .list: the package stays, reported",
        table([APP, SPARE, Pkg("mute", ["/usr/bin/mute"], listed=False)]),
        removed=["spare"],
        there=["usr/bin/mute"],
        said={"package-database": "cannot be edited, it has no list of files: mute"},
    ),
    Row(
        "89 two architectures of one package: each has a list of its own",
        table([APP, LIBZ, LIBZ_I386], {"arch": "amd64\ni386\n"}),
        used="/usr/lib/x86_64-linux-gnu/libz.so",
        removed=["app", "libz:i386"],
        gone=["usr/lib/i386-linux-gnu/libz.so"],
        there=["usr/lib/x86_64-linux-gnu/libz.so"],
        judge=of_one_architecture,
    ),
    Row(
        "90 a diverted file goes from where it was sent; the name is another package's",
        table(
            [Pkg("app", ["/usr/bin/tool"]), Pkg("spare", ["/usr/bin/tool"])],
            DIVERTED,
            nodes=[Reg("usr/bin/tool.real", "/usr/bin/tool")],
        ),
        used="/usr/bin/tool",
        removed=["spare"],
        gone=["usr/bin/tool.real"],
        there=["usr/bin/tool"],
        judge=still_diverted,
    ),
    Row(
        "90 a used file that a removed package diverted stays, and its diversion",
        table(
            [Pkg("app", ["/usr/bin/app"]), Pkg("wrap", ["/usr/bin/app"])],
            WRAPPED,
            nodes=[Reg("usr/bin/app.real", "/usr/bin/app")],
        ),
        used="/usr/bin/app.real",
        removed=["wrap"],
        gone=["usr/bin/app"],
        there=["usr/bin/app.real"],
    ),
    Row(
        "90 a diversion of a file that goes leaves with its package",
        table(
            [APP, Pkg("spare", ["/usr/bin/x"]), Pkg("wrap", ["/usr/bin/x"])],
            {"diversions": "/usr/bin/x\n/usr/bin/x.real\nwrap\n"},
            nodes=[Reg("usr/bin/x.real", "/usr/bin/x")],
        ),
        removed=["spare", "wrap"],
        gone=["usr/bin/x", "usr/bin/x.real"],
        judge=diverted_no_more,
    ),
    Row(
        "91 an alternative turns to the choice that stays",
        table(
            [APP, NANO, VIM],
            {"alternatives/editor": f"{EDITOR}/usr/bin/vim\n5\n\n"},
            nodes=LINKS,
        ),
        used="/usr/bin/vim",
        removed=["app", "nano"],
        there=["usr/bin/editor"],
        judge=turned_to_vim,
    ),
    Row(
        "91 an alternative goes with its last choice, and no link dangles",
        table([APP, NANO], {"alternatives/editor": f"{EDITOR}\n"}, nodes=LINKS),
        removed=["nano"],
        gone=["usr/bin/editor", "etc/alternatives/editor", f"{HOME}/alternatives/editor"],
        judge=no_alternative,
    ),
    Row(
        "92 /bin/x and /usr/bin/x are one path where /bin is a link",
        table([Pkg("app", ["/usr/bin/app", "/usr/bin/both"]),
               Pkg("spare", ["/bin/both", "/bin/spare", "/lib/spare.so"])]),
        removed=["spare"],
        gone=["usr/bin/spare", "usr/lib/spare.so"],
        there=["usr/bin/both", "bin"],
    ),
    Row(
        "93 conffiles go with their package; what only a list still names is no matter",
        table(
            [
                Pkg("app", ["/usr/bin/app", "/etc/hosts.app"], info={"md5sums": ""}),
                Pkg("gone", ["/usr/bin/gone"], conffiles=["/etc/gone.conf", "/etc/gone/two"]),
                Pkg("doc", ["/usr/bin/doc"], info={"list": "/.\n/usr/bin/doc\n/usr/absent\n"}),
            ]
        ),
        removed=["gone", "doc"],
        gone=["etc/gone.conf", "etc/gone/two", "usr/bin/doc"],
    ),
    Row(
        "93 a package that stays may list what is absent",
        table([Pkg("app", ["/usr/bin/app"], info={"list": ABSENT}), SPARE]),
        removed=["spare"],
        gone=["usr/bin/spare"],
    ),
    Row(
        "93 configuration files are all that is left of a removed package: its record goes too",
        table([APP, LEFT, LEFT_ABSENT], {"info/left.list": "/etc/left.conf\n"}),
        removed=["left", "absent"],
        gone=["etc/left.conf"],
    ),
    Row(
        "94 a path of two packages stays while one of them does",
        table([Pkg("app", ["/usr/bin/app", "/usr/share/x/a"]),
               Pkg("spare", ["/usr/share/x/a", "/usr/share/x/b"])]),
        removed=["spare"],
        gone=["usr/share/x/b"],
        there=["usr/share/x/a"],
    ),
    Row(
        "94 a path of two packages goes with both",
        table([APP, Pkg("spare", ["/usr/share/x/a"]), Pkg("other", ["/usr/share/x/a"])]),
        removed=["spare", "other"],
        gone=["usr/share/x/a"],
    ),
    Row(
        "95 half-installed: stays whole, reported",
        table([APP, Pkg("half", ["/usr/bin/half"], status="install reinstreq half-installed")]),
        there=["usr/bin/half"],
        said={
            "package-database": "cannot be edited, its installation broke off "
            "(install reinstreq half-installed): half"
        },
    ),
    Row(
        "95 on hold, not configured: go when unused, reported",
        table(
            [
                APP,
                Pkg("held", ["/usr/bin/held"], status="hold ok installed"),
                Pkg("raw", ["/usr/bin/raw"], status="install ok unpacked"),
            ]
        ),
        removed=["held", "raw"],
        gone=["usr/bin/held", "usr/bin/raw"],
        said={"package-database": "on hold: held\nnot configured (unpacked): raw"},
    ),
    Row(
        "95 Essential: goes when unused, reported",
        table([APP, Pkg("spare", ["/usr/bin/spare"], more="Essential: yes\n")]),
        removed=["spare"],
        gone=["usr/bin/spare"],
        said={"essential-removed": "packages marked Essential go: spare"},
    ),
    Row(
        "96 the database behind a relative link",
        moved("../../usr/lib/sysimage/dpkg"),
        removed=["spare"],
        gone=["usr/bin/spare", f"{MOVED}/info/spare.list"],
        there=[HOME],
    ),
    Row(
        "96 the database behind a link that would climb out of the root",
        moved("../../../../../../usr/lib/sysimage/dpkg"),
        removed=["spare"],
        gone=["usr/bin/spare", f"{MOVED}/info/spare.list"],
        there=[HOME],
        judge=nothing,  # dpkg would follow it out of the root
    ),
    Row(
        "97 apk's database in lib, unknown fields kept byte for byte",
        apk("lib/apk/db"),
        removed=["spare"],
        gone=["usr/bin/spare"],
        judge=unknown_fields_stay,
    ),
    Row(
        "97 apk's database in usr/lib, behind the link /lib",
        apk("usr/lib/apk/db", APK_LINKS),
        removed=["spare"],
        gone=["usr/bin/spare"],
        judge=unknown_fields_stay,
    ),
    Row(
        "99 no database: files stay, reported",
        [Reg("usr/bin/app", "", 0o755), Reg("usr/bin/tool", "", 0o755)],
        there=["usr/bin/app", "usr/bin/tool"],
        said={"package-database": "the image has no package database"},
        judge=nothing,
    ),
    Row(
        "99 two databases, dpkg and apk: both are served",
        [
            *table([APP, SPARE]),
            *apk_root.table(
                [apk_root.Pkg("musl", ["/srv/musl"]), apk_root.Pkg("busybox", ["/srv/busybox"])],
                home="usr/lib/apk/db",
            ),
        ],
        used="/usr/bin/app, /srv/musl",
        removed=["spare", "busybox (apk)"],
        gone=["usr/bin/spare", "srv/busybox"],
        there=["srv/musl"],
        judge=both_agree,
    ),
    Row(
        "99 two databases, each with a package of one name: told apart",
        [
            *table([APP]),
            *apk_root.table([apk_root.Pkg("app", ["/srv/app"]), apk_root.Pkg("musl", ["/srv/x"])],
                            home="usr/lib/apk/db"),
        ],
        used="/usr/bin/app, /srv/x",
        removed=["app (apk)"],
        gone=["srv/app"],
        there=["usr/bin/app", "srv/x"],
        judge=both_agree,
    ),
    Row(
        "99 two databases, status and status.d: both are served",
        [*table([APP, Pkg("old", ["/usr/bin/old"])]), Reg("usr/bin/new"),
         *(Reg(name, text) for name, text in status_d("new", "usr/bin/new").items())],
        removed=["old", "new"],
        gone=["usr/bin/old", "usr/bin/new", f"{HOME}/status.d/new"],
    ),
    Row(
        "99 one package in status and in status.d: no edit, reported",
        [*table([APP, SPARE]),
         *(Reg(name, text) for name, text in status_d("spare", "usr/bin/spare").items())],
        there=["usr/bin/spare"],
        said={"database-refused": "spare is recorded twice"},
    ),
]  # fmt: skip


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_hardened_whole(row: Row, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = f"oci:{tmp_path}/target:x"
    image(tmp_path, row.nodes)
    plan = json.loads(done("harden", tmp_path, target, "--no-debug", used=row.used, of=capsys))
    result = Result(
        before=umoci_unpack(tmp_path / "source", "x", tmp_path / "before"),
        after=umoci_unpack(tmp_path / "target", "x", tmp_path / "after"),
        plan=plan,
    )
    assert result.ids("remove") == set(row.removed)
    assert result.ids("partial") == set()
    for path in row.gone:
        assert os.path.lexists(result.before / path), path
        assert not os.path.lexists(result.after / path), path
    for path in row.there:
        assert os.path.lexists(result.after / path), path
    for rule, part in row.said.items():
        assert part in result.said(rule)
    row.judge(result)
    shutil.rmtree(tmp_path / "source")
    (tmp_path / "target").rename(tmp_path / "source")
    assert json.loads(done("plan", tmp_path, used=row.used, of=capsys))["paths"] == []


def image(folder: Path, nodes: Sequence[Node]) -> None:
    image_layout(folder / "source", [tar_layer([*nodes])], tag="x", codec="plain")


def done(command: str, folder: Path, *more: str, used: str, of: pytest.CaptureFixture[str]) -> str:
    """What the command line prints about the image of `folder`; it must succeed."""
    (folder / "p.yaml").write_text(PROFILE.replace("USED", used))
    options = ("--profile", f"{folder}/p.yaml", "--format", "json", "--quiet")
    code = app.main([command, f"oci:{folder}/source:x", *more, *options])
    printed = of.readouterr()
    assert (code, printed.err) == (0, "")
    return printed.out


# Where nothing can be decided, nothing is made: exit 4, one line.
REFUSED: dict[str, tuple[Sequence[Node], str]] = {
    "98 rpm: Berkeley DB that is none": (
        [Reg(f"{rpm_root.HOME}/Packages", b"x" * 4096)],
        "/var/lib/rpm/Packages",
    ),
}


@pytest.mark.parametrize(("nodes", "words"), REFUSED.values(), ids=REFUSED)
def test_refused_in_one_line(
    nodes: Sequence[Node], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image(tmp_path, nodes)
    (tmp_path / "p.yaml").write_text(PROFILE.replace("USED", "/usr/bin/app"))
    source, target = f"oci:{tmp_path}/source:x", f"oci:{tmp_path}/target:x"
    assert app.main(["harden", source, target, "--profile", f"{tmp_path}/p.yaml", "-q"]) == 4
    out, err = capsys.readouterr()
    assert out == ""
    (line,) = err.splitlines()
    assert words in line
    assert not (tmp_path / "target").exists()


RPMS = [rpm_root.Pkg("app", ["/usr/bin/app"]), rpm_root.Pkg("spare", ["/usr/bin/spare"])]


def load(file: Path) -> None:
    """Packages as Berkeley DB writes it: a header by its number."""
    rows = [(0, len(RPMS).to_bytes(4, "little"))]
    rows += [(number, one.blob) for number, one in enumerate(RPMS, 1)]
    text = "VERSION=3\nformat=bytevalue\ntype=hash\ndb_lorder=1234\ndb_pagesize=4096\nHEADER=END\n"
    for number, blob in rows:
        text += f" {number.to_bytes(4, 'little').hex()}\n {blob.hex()}\n"
    subprocess.run(["db_load", file], input=f"{text}DATA=END\n".encode(), check=True)


def with_log(folder: Path) -> list[Node]:
    """A database with the first package, and the log in which the second came."""
    file = folder / "rpmdb.sqlite"
    file.write_bytes(rpm_root.database(RPMS[:1]))
    connection = sqlite3.connect(file)
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    rpm_root.insert(connection, RPMS[1])
    connection.commit()
    log = file.with_name("rpmdb.sqlite-wal").read_bytes()
    nodes = [Reg(rpm_root.DATABASE, file.read_bytes()), Reg(f"{rpm_root.DATABASE}-wal", log)]
    connection.close()
    return nodes


def test_98_rpm_in_sqlite_with_a_log(tmp_path: Path) -> None:
    found = rpm.read(rootfs(with_log(tmp_path)))
    assert found is not None
    assert (found.refused, found.unsupported) == ("", "")
    assert [one.id for one in found.packages] == ["app", "spare"]
    changes = found.edit(frozenset(["app"]), frozenset(found.packages[0].paths))
    content = changes[Inside(rpm_root.DATABASE)]
    assert changes[Inside(f"{rpm_root.DATABASE}-wal")] is None
    assert content is not None
    (tmp_path / "edited").write_bytes(content)
    connection = sqlite3.connect(tmp_path / "edited")
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert connection.execute("SELECT key FROM Name").fetchall() == [("spare",)]
    connection.close()


def test_98_rpm_in_ndb_is_read_and_never_edited() -> None:
    """rpm and syft judge how it is read in test_rpm_judges."""
    never_edited([Reg(f"{rpm_root.HOME}/Packages.db", rpm_root.ndb([one.blob for one in RPMS]))])


@needs("rpm")
@needs("db_load")
def test_98_rpm_in_berkeley_db_is_read_and_never_edited(tmp_path: Path) -> None:
    file = tmp_path / rpm_root.HOME / "Packages"
    file.parent.mkdir(parents=True)
    load(file)
    never_edited([Reg(f"{rpm_root.HOME}/Packages", file.read_bytes())])
    done = subprocess.run(
        ["rpm", "--root", tmp_path, "--define", "_db_backend bdb_ro", "-qa", "--qf", "%{NAME}\\n",
         "--define", f"_dbpath /{rpm_root.HOME}"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert sorted(done.stdout.split()) == ["app", "spare"]


def never_edited(nodes: Sequence[Node]) -> None:
    """Both packages are read, and none may go."""
    found = rpm.read(rootfs(nodes))
    assert found is not None
    assert found.refused
    assert all(one.unreadable for one in found.packages)
    with pytest.raises(ValueError, match="spare must stay"):
        found.edit(frozenset(["spare"]), frozenset())
    assert [one.id for one in found.packages] == ["app", "spare"]
