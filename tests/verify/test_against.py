"""A good hardened image, broken in every way that the proofs name: one row, one finding."""

from __future__ import annotations

import dataclasses
import functools
import io
import json
import tarfile
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest

from careen.finding import Finding
from careen.oci.config import Config
from careen.oci.image import Image
from careen.oci.manifest import Manifest
from careen.plan.closure import Scene
from careen.plan.plan import Plan
from careen.verify import integrity, judge, rules
from careen.verify.judge import Sight
from tests.builders import Chr, Dir, Hard, Lnk, Node, Reg, digest, tar_layer
from tests.elf_builder import INTERP, elf
from tests.packages.dpkg_root import HOME, table
from tests.plan.scenes import applied, drawn, pkg, seen

OCI = "application/vnd.oci.image."
CONFIG: dict[str, Any] = {
    "Entrypoint": ["/entry.sh"],
    "Cmd": ["app"],
    "Env": ["PATH=/usr/bin"],
    "User": "app",
    "Labels": {"one": "1", "org.opencontainers.image.base.name": "debian"},
}
LOADER = "usr/lib64/ld-linux-x86-64.so.2"
PACKAGES = [
    pkg("app", "/usr/bin/app", "/usr/bin/alias", "/usr/lib/libapp.so.1", "/usr/share/app/a"),
    pkg("libc6", f"/{LOADER}"),
    pkg("dash", "/usr/bin/dash", "/bin/sh", conffiles=["/etc/dash.conf"]),
    pkg("part", "/usr/share/doc/part/copyright", "/usr/share/doc/part/NEWS"),
    pkg("spare", "/usr/bin/spare", "/usr/lib/libspare.so", conffiles=["/etc/spare.conf"]),
    pkg("python3-x", "/usr/lib/python3/x.py"),
    pkg("nano", "/usr/bin/nano"),
    pkg("vim", "/usr/bin/vim"),
]
NODES = [
    Reg("usr/bin/app", elf(interpreter=INTERP["glibc"], needed=["libapp.so.1"]), 0o4755),
    Lnk("usr/bin/alias", "app"),
    Reg("usr/lib/libapp.so.1", elf(), pax={"SCHILY.xattr.user.x": "1"}),
    Reg("usr/lib/libspare.so", elf()),
    Reg(LOADER, elf(), 0o755),
    Reg("usr/bin/dash", elf(), 0o755),
    Lnk("usr/bin/sh", "dash"),
    Lnk("usr/bin/editor", "/etc/alternatives/editor"),
    Lnk("etc/alternatives/editor", "/usr/bin/nano"),
    Reg("entry.sh", "#!/bin/sh\n", 0o755, uid=7, gid=8),
    Reg("srv/one", "content"),
    Hard("srv/two", "srv/one"),
    Reg("srv/three", "another"),
    Reg("srv/tool", "#!/bin/sh\n", 0o755),
    Reg("srv/plugin.so", elf(needed=["libapp.so.1"])),
    Reg("srv/own", elf(interpreter=INTERP["glibc"]), 0o755),
    Chr("srv/null", 1, 3),
    Dir("srv/sub", 0o750),
    Lnk("srv/link", "sub"),
    Hard("srv/status", f"{HOME}/status"),  # keeps what the source's said
]
FILES = {"alternatives/editor": "auto\n/usr/bin/editor\n\n/usr/bin/nano\n9\n/usr/bin/vim\n5\n\n"}
DOCUMENT = {
    "architecture": "amd64",
    "os": "linux",
    "author": "somebody",
    "config": CONFIG,
    "rootfs": {"type": "layers", "diff_ids": [digest(b"layer")]},
    "history": [{"created_by": "one layer"}],
}
MANIFEST = {
    "schemaVersion": 2,
    "mediaType": f"{OCI}manifest.v1+json",
    "config": {"mediaType": f"{OCI}config.v1+json", "digest": digest(b"c"), "size": 1},
    "layers": [{"mediaType": f"{OCI}layer.v1.tar", "digest": digest(b"layer"), "size": 5}],
    "annotations": {"two": "2"},
}


def image(document: dict[str, Any], manifest: dict[str, Any]) -> Image:
    return Image(
        config=Config.parse(json.dumps(document).encode()),
        manifest=Manifest.parse(json.dumps(manifest).encode(), f"{OCI}manifest.v1+json"),
    )


def nodes_of(layer: bytes) -> list[Node]:
    """A tar's entries, as the standard library reads them."""
    with tarfile.open(fileobj=io.BytesIO(layer), errors="surrogateescape") as archive:
        found = []
        for item in archive:
            source = archive.extractfile(item) if item.isreg() else None
            pax = {k: v for k, v in item.pax_headers.items() if k.startswith("SCHILY.")}
            node = Node(
                name=item.name,
                data=source.read() if source is not None else b"",
                mode=item.mode,
                type=item.type,
                linkname=item.linkname,
                uid=item.uid,
                gid=item.gid,
                mtime=item.mtime,
                pax=pax,
                device=(item.devmajor, item.devminor),
            )
            found.append(node)
        return found


def squashed(history: Any) -> list[dict[str, str]]:
    """One step of careen's, the others in its comment."""
    return [{"created_by": "careen harden 1", "comment": json.dumps({"history": history})}]


class Good(msgspec.Struct):
    """The source, its plan, and the hardened image's nodes and documents."""

    before: Sight
    plan: Plan
    nodes: list[Node]
    document: dict[str, Any]
    manifest: dict[str, Any]


@functools.cache
def good() -> Good:
    source = image(DOCUMENT, MANIFEST)
    before = seen(tar_layer(table(PACKAGES, FILES, nodes=NODES)), source.config.execution)
    plan = drawn(
        before,
        ["/usr/bin/app", "/usr/bin/vim", "/usr/lib/python3/x.py"],
        keep=("/usr/share/doc/part/copyright",),
        drop=("/usr/share/app/a",),
    )
    labels = {
        "one": "1",
        "io.careen.source.base.name": "debian",
        "io.careen.source.digest": source.manifest.digest,
        "io.careen.plan.digest": plan.digest,
    }
    return Good(
        before=Sight(image=source, scene=before),
        plan=plan,
        nodes=nodes_of(applied(before, plan)),
        document=DOCUMENT
        | {"config": CONFIG | {"Labels": labels}, "history": squashed(DOCUMENT["history"])},
        manifest=MANIFEST | {"annotations": {"two": "2", "io.careen.encoder": "x"}},
    )


def found(
    nodes: Sequence[Node] | None = None,
    *,
    document: dict[str, Any] | None = None,
    manifest: dict[str, Any] | None = None,
    plan: Plan | None = None,
) -> list[Finding]:
    whole = good()
    finished = image(document or whole.document, manifest or whole.manifest)
    layer = tar_layer(list(whole.nodes if nodes is None else nodes))
    after: Scene = seen(layer, finished.config.execution)
    sight = Sight(image=finished, scene=after)
    return list(judge.against(sight, whole.before, plan or whole.plan))


def hardened(before: Scene, plan: Plan) -> list[Finding]:
    """Of what careen makes of a source, whatever its documents say."""
    plain = image(DOCUMENT | {"config": {}}, MANIFEST)
    after = seen(applied(before, plan), before.execution)
    origin = Sight(image=plain, scene=before)
    return list(judge.against(Sight(image=plain, scene=after), origin, plan))


def errors(findings: list[Finding]) -> set[str]:
    """`rule /path` of each, or `rule` alone."""
    return {f"{item.rule} {item.path}".strip() for item in findings if item.severity == "error"}


Change = Callable[[list[Node]], list[Node]]


def less(*names: str) -> Change:
    return lambda nodes: [node for node in nodes if node.name not in names]


def with_(name: str, **fields: Any) -> Change:
    def change(nodes: list[Node]) -> list[Node]:
        assert name in {node.name for node in nodes}
        return [dataclasses.replace(n, **fields) if n.name == name else n for n in nodes]

    return change


def plus(*new: Node) -> Change:
    return lambda nodes: [*nodes, *new]


def edited(name: str, old: str, new: str) -> Change:
    def change(nodes: list[Node]) -> list[Node]:
        (node,) = [one for one in nodes if one.name == name]
        text = node.data.decode()
        assert old in text
        return with_(name, data=text.replace(old, new).encode())(nodes)

    return change


def test_a_good_image_has_no_error() -> None:
    assert errors(found()) == set()
    assert {item.severity for item in found()} <= {"note"}
    assert good().plan.programs == (
        "/entry.sh",
        "/usr/bin/app",
        "/usr/bin/dash",
        "/usr/lib/libapp.so.1",
        f"/{LOADER}",
    )
    decisions = {item.id: item.decision for item in good().plan.packages}
    assert decisions == {
        "app": "partial",
        "dash": "keep",
        "libc6": "keep",
        "nano": "remove",
        "part": "partial",
        "python3-x": "keep",
        "spare": "remove",
        "vim": "keep",
    }
    turned = [item for item in good().plan.paths if item.target is not None]
    assert [(item.path, item.target) for item in turned] == [
        ("/etc/alternatives/editor", "/usr/bin/vim")
    ]


STATUS = f"{HOME}/status"
LIST = f"{HOME}/info/app.list"
SPARE = "Package: spare\nStatus: install ok installed\nArchitecture: all\nVersion: 1\n\n"
VIM = "Package: vim\nStatus: install ok installed\nArchitecture: amd64\nVersion: "
ROWS: list[tuple[str, Change, set[str]]] = [
    ("path lost", less("srv/three"), {"path-lost /srv/three"}),
    ("directory lost", less("srv/sub", "srv/link"), {"path-lost /srv/sub", "path-lost /srv/link"}),
    ("path extra", plus(Reg("srv/new")), {"path-extra /srv/new"}),
    (
        "dropped path back",
        plus(Reg("usr/share/app/a")),
        {
            "path-extra /usr/share/app/a",
            "unlisted-file /usr/share/app/a",
            "unowned-file /usr/share/app/a",
        },
    ),
    ("mode", with_("usr/bin/app", mode=0o755), {"attribute-changed /usr/bin/app"}),
    ("directory's mode", with_("srv/sub", mode=0o755), {"attribute-changed /srv/sub"}),
    ("owner", with_("entry.sh", uid=0), {"attribute-changed /entry.sh"}),
    ("group", with_("entry.sh", gid=0), {"attribute-changed /entry.sh"}),
    ("mtime", with_("srv/three", mtime=1), {"attribute-changed /srv/three"}),
    ("mtime of a replaced file", with_(STATUS, mtime=1), {f"attribute-changed /{STATUS}"}),
    (
        "xattr lost",
        with_("usr/lib/libapp.so.1", pax={}),
        {"attribute-changed /usr/lib/libapp.so.1"},
    ),
    (
        "xattr new",
        with_("srv/three", pax={"SCHILY.xattr.user.y": "1"}),
        {"attribute-changed /srv/three"},
    ),
    ("device number", with_("srv/null", device=(1, 5)), {"attribute-changed /srv/null"}),
    ("kind", with_("srv/null", type=tarfile.FIFOTYPE), {"attribute-changed /srv/null"}),
    ("link target", with_("srv/link", linkname="../srv/sub"), {"link-changed /srv/link"}),
    (
        "a turned link",
        with_("etc/alternatives/editor", linkname="/usr/bin/app"),
        {"content-changed /etc/alternatives/editor"},
    ),
    ("content", with_("srv/three", data=b"ANOTHER"), {"content-changed /srv/three"}),
    ("content longer", with_("srv/three", data=b"another "), {"content-changed /srv/three"}),
    (
        "content of a replaced file",
        edited(STATUS, "Description: app", "Description: apq"),
        {f"content-changed /{STATUS}"},
    ),
    (
        "hard link parted",
        with_("srv/two", type=tarfile.REGTYPE, linkname="", data=b"content"),
        {"hard-link-changed /srv/two"},
    ),
    (
        "hard link new",
        with_("srv/three", type=tarfile.LNKTYPE, linkname="srv/one", data=b""),
        {"hard-link-changed /srv/three"},
    ),
    (
        "hard link to a replaced file",
        plus(Hard("srv/three", STATUS)),
        {"content-changed /srv/three", f"hard-link-changed /{STATUS}"},
    ),
    (
        "removed package on record",
        edited(STATUS, "Package: app", f"{SPARE}Package: app"),
        {f"content-changed /{STATUS}", "package-extra", "database-fault"},
    ),
    (
        "kept package not on record",
        edited(STATUS, "Package: vim", "Package: vi"),
        {
            f"content-changed /{STATUS}",
            "package-lost",
            "package-extra",
            "unowned-file /usr/bin/vim",
            "database-fault",
        },
    ),
    (
        "record changed",
        edited(STATUS, f"{VIM}1.0", f"{VIM}1.1"),
        {f"content-changed /{STATUS}", "record-changed"},
    ),
    (
        "record without file",
        edited(LIST, "/usr/bin/app\n", "/usr/bin/app\n/usr/share/app/a\n"),
        {f"content-changed /{LIST}", "record-without-file /usr/share/app/a"},
    ),
    (
        "program unowned",
        edited(LIST, "/usr/bin/app\n", ""),
        {
            f"content-changed /{LIST}",
            "unlisted-file /usr/bin/app",
            "unowned-file /usr/bin/app",
            "database-fault",
        },
    ),
    (
        "removed package's file left",
        plus(Reg("usr/lib/libspare.so", elf())),
        {"path-extra /usr/lib/libspare.so", "file-of-removed-package /usr/lib/libspare.so"},
    ),
    (
        "removed package's conffile left",
        plus(Reg("etc/spare.conf", "x")),
        {"path-extra /etc/spare.conf", "file-of-removed-package /etc/spare.conf"},
    ),
    (
        "list lost",
        less(f"{HOME}/info/vim.list"),
        {
            f"path-lost /{HOME}/info/vim.list",
            "record-broken",
            "unlisted-file /usr/bin/vim",
            "unowned-file /usr/bin/vim",
            "database-fault",
        },
    ),
    (
        "library lost",
        less("usr/lib/libapp.so.1"),
        {
            "path-lost /usr/lib/libapp.so.1",
            "record-without-file /usr/lib/libapp.so.1",
            "program-lost /usr/lib/libapp.so.1",
            "program-lost-library /usr/bin/app",
            "library-lost /srv/plugin.so",
        },
    ),
    (
        "loader lost",
        less(LOADER),
        {
            f"path-lost /{LOADER}",
            f"record-without-file /{LOADER}",
            f"program-lost /{LOADER}",
            "program-lost-interpreter /usr/bin/app",
            "loader-lost /srv/own",
        },
    ),
    (
        "dangling link",
        less("usr/bin/app"),
        {
            "path-lost /usr/bin/app",
            "record-without-file /usr/bin/app",
            "dangling-link /usr/bin/alias",
            "program-lost /usr/bin/app",
            "start-lost",
        },
    ),
    (
        "entrypoint lost",
        less("entry.sh"),
        {"path-lost /entry.sh", "program-lost /entry.sh", "start-lost"},
    ),
    (
        "entrypoint's interpreter lost",
        less("usr/bin/sh"),
        {
            "path-lost /usr/bin/sh",
            "record-without-file /usr/bin/sh",
            "program-lost-interpreter /entry.sh",
            "start-lost",
        },
    ),
    (
        "a list of no package",
        plus(Reg(f"{HOME}/info/ghost.list", "/.\n")),
        {f"path-extra /{HOME}/info/ghost.list", "database-fault"},
    ),
    (
        "digests lost",
        less(f"{HOME}/info/vim.md5sums"),
        {f"path-lost /{HOME}/info/vim.md5sums", "database-fault"},
    ),
    (
        "digest of what the list has not",
        with_(f"{HOME}/info/vim.md5sums", data=f"{'0' * 32}  usr/bin/other\n".encode()),
        {f"content-changed /{HOME}/info/vim.md5sums", "database-fault"},
    ),
    (
        "conffile that the list has not",
        edited(f"{HOME}/info/dash.list", "/etc/dash.conf\n", ""),
        {f"content-changed /{HOME}/info/dash.list", "database-fault"},
    ),
]


@pytest.mark.parametrize(
    ("change", "expected"), [row[1:] for row in ROWS], ids=[r[0] for r in ROWS]
)
def test_broken_tree(change: Change, expected: set[str]) -> None:
    assert errors(found(change(good().nodes))) == expected


def labelled(**changed: str | None) -> dict[str, Any]:
    labels = good().document["config"]["Labels"] | {
        key.replace("__", "."): value for key, value in changed.items()
    }
    labels = {key: value for key, value in labels.items() if value is not None}
    return good().document | {"config": good().document["config"] | {"Labels": labels}}


def configured(**changed: Any) -> dict[str, Any]:
    return good().document | {"config": good().document["config"] | changed}


WRONG_LENGTH = [*good().document["history"], {"created_by": "one layer more"}]
BARE = [{"created_by": "careen harden 1"}]
NO_DAY = "2024-02-30T00:00:00Z"
LAYER = MANIFEST["layers"][0]  # type: ignore[index]
DOCUMENTS: list[tuple[str, dict[str, Any], str]] = [
    ("Entrypoint", {"document": configured(Entrypoint=["/usr/bin/app"])}, "config-changed"),
    ("Env", {"document": configured(Env=["PATH=/bin"])}, "config-changed"),
    ("User", {"document": configured(User="root")}, "config-changed"),
    ("a field more", {"document": configured(StopSignal="SIGQUIT")}, "config-changed"),
    ("unknown field", {"document": good().document | {"author": "nobody"}}, "config-changed"),
    ("platform", {"document": good().document | {"architecture": "arm64"}}, "config-changed"),
    ("label changed", {"document": labelled(one="2")}, "config-changed"),
    ("label lost", {"document": labelled(one=None)}, "config-changed"),
    ("label new", {"document": labelled(new="1")}, "config-changed"),
    (
        "base label lost",
        {"document": labelled(io__careen__source__base__name=None)},
        "config-changed",
    ),
    ("source's digest", {"document": labelled(io__careen__source__digest="x")}, "label-untrue"),
    ("plan's digest", {"document": labelled(io__careen__plan__digest="x")}, "label-untrue"),
    ("history length", {"document": good().document | {"history": WRONG_LENGTH}}, "history-length"),
    ("history gone", {"document": good().document | {"history": BARE}}, "history-lost"),
    ("history short", {"document": good().document | {"history": squashed([])}}, "history-lost"),
    ("created", {"document": good().document | {"created": "yesterday"}}, "created-malformed"),
    ("created", {"document": good().document | {"created": NO_DAY}}, "created-malformed"),
    ("annotation lost", {"manifest": good().manifest | {"annotations": {}}}, "config-changed"),
    (
        "manifest field",
        {"manifest": good().manifest | {"subject": MANIFEST["config"]}},
        "config-changed",
    ),
]


@pytest.mark.parametrize(
    ("documents", "rule"), [row[1:] for row in DOCUMENTS], ids=[row[0] for row in DOCUMENTS]
)
def test_broken_documents(documents: dict[str, Any], rule: str) -> None:
    assert errors(found(**documents)) == {rule}


def two_layers() -> list[Finding]:
    layers = {"rootfs": {"type": "layers", "diff_ids": [digest(b"1"), digest(b"2")]}}
    return found(
        document=good().document | layers,
        manifest=good().manifest | {"layers": [LAYER, LAYER]},
    )


def test_two_layers_are_no_squash() -> None:
    assert errors(two_layers()) == {"layer-count", "history-length"}


def test_a_script_that_nothing_used_is_a_note() -> None:
    findings = found(less("usr/bin/sh")(good().nodes))
    (note,) = [item for item in findings if item.rule == "script-without-interpreter"]
    assert (note.severity, note.count, note.path) == ("note", 1, "/srv/tool")
    assert note.paths == ("/srv/tool",)


def test_every_rule_has_its_row() -> None:
    seen = {rule.partition(" ")[0] for _, _, row in ROWS for rule in row}
    seen |= {rule for _, _, rule in DOCUMENTS} | errors(two_layers())
    assert seen | {"script-without-interpreter"} == set(rules.AGAINST)


CAREENS = {"created_by": "careen squash 1", "comment": json.dumps({"history": [{"comment": "x"}]})}
HISTORIES: list[tuple[str, list[dict[str, Any]], Any]] = [
    ("several steps", [{"created_by": "a"}, {"created_by": "b", "empty_layer": True}], None),
    ("none", [], None),
    ("a comment that is none of careen's", [{"created_by": "a", "comment": "{"}], None),
    (
        "an earlier squash",
        [CAREENS, {"created_by": "b"}],
        [{"comment": "x"}, {"created_by": "careen squash 1"}, {"created_by": "b"}],
    ),
    (
        "an earlier squash of nothing",
        [{**CAREENS, "comment": '{"history":[]}'}],
        [{"created_by": "careen squash 1"}],
    ),
]


@pytest.mark.parametrize(
    ("before", "told"), [row[1:] for row in HISTORIES], ids=[row[0] for row in HISTORIES]
)
def test_the_whole_history_is_kept(before: list[dict[str, Any]], told: Any) -> None:
    source = image(DOCUMENT | {"history": before}, MANIFEST)
    moved = before if told is None else told

    def rules_of(history: Any, **more: Any) -> list[str]:
        made = image(DOCUMENT | {"history": history, **more}, MANIFEST)
        return [item.rule for item in integrity.past_kept(made, source)]

    assert rules_of(squashed(moved)) == rules_of(before) == []
    assert rules_of(squashed(moved), created="2024-05-01T10:00:00.5+02:00") == []
    assert rules_of(squashed([*moved, {"created_by": "c"}])) == ["history-lost"]
    assert rules_of([{**squashed(moved)[0], "created_by": "other"}]) == ["history-lost"]


def test_a_fault_of_the_sources_is_a_note() -> None:
    files = {"info/ghost.list": "/.\n"}
    packages = [pkg("app", "/usr/bin/app"), pkg("spare", "/usr/bin/spare")]
    before = seen(tar_layer(table(packages, files)))
    plan = drawn(before, ["/usr/bin/app"])
    assert [(item.rule, item.severity, item.message) for item in hardened(before, plan)] == [
        ("database-fault", "note", "info/ghost.* is of no package on record")
    ]


def test_a_forced_shell_is_a_warning_where_it_was_needed() -> None:
    used = ["/usr/bin/app", "/usr/bin/sh"]
    rows = table(PACKAGES, FILES, nodes=[*NODES, Lnk("srv/sh", "/usr/bin/sh")])
    before = seen(tar_layer(rows), good().before.scene.execution)
    plan = drawn(before, used, shells="remove", force=True)
    about = [item for item in hardened(before, plan) if item.severity != "note"]
    assert {item.severity for item in about} == {"warning"}
    assert [(item.rule, item.path) for item in about] == [
        ("program-lost-interpreter", "/entry.sh"),
        ("start-lost", ""),
    ]
    assert about[1].message == "Entrypoint starts '/entry.sh': its interpreter /bin/sh is gone"


WISHES: list[tuple[str, str, list[tuple[str, str]]]] = [
    ("a library", "/usr/lib/libapp.so.1", [
        ("program-lost-library", "/usr/bin/app"),
        ("library-lost", "/srv/plugin.so"),
    ]),
    ("a package", "libc6", [
        ("program-lost-interpreter", "/usr/bin/app"),
        ("loader-lost", "/srv/own"),
    ]),
    ("a program that the config starts", "/usr/bin/app", [
        ("start-lost", ""),
    ]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("wish", "expected"), [row[1:] for row in WISHES], ids=[row[0] for row in WISHES]
)
def test_what_people_drop_though_needed_is_a_warning(
    wish: str, expected: list[tuple[str, str]]
) -> None:
    before = good().before.scene
    findings = hardened(before, drawn(before, ["/usr/bin/app"], drop=(wish,)))
    assert errors(findings) == set()
    warnings = [(item.rule, item.path) for item in findings if item.severity == "warning"]
    assert warnings == expected


def test_a_program_of_an_edited_plan_may_have_been_gone_before() -> None:
    plan = msgspec.structs.replace(good().plan, programs=("/never/there",))
    assert "program-lost" not in {item.rule for item in found(plan=plan)}


def test_an_argument_that_names_a_removed_program_is_no_loss() -> None:
    packages = [pkg("app", "/usr/bin/app"), pkg("spare", "/usr/bin/spare")]
    source = image(DOCUMENT | {"config": {"Entrypoint": ["app"], "Cmd": ["spare"]}}, MANIFEST)
    program = Reg("usr/bin/app", elf(), 0o755)
    before = seen(tar_layer(table(packages, nodes=[program])), source.config.execution)
    plan = drawn(before)
    assert {item.id: item.decision for item in plan.packages} == {"app": "keep", "spare": "remove"}
    after = Sight(image=source, scene=seen(applied(before, plan), before.execution))
    assert errors(list(judge.against(after, Sight(image=source, scene=before), plan))) == set()


def test_what_was_absent_before_may_be_absent() -> None:
    packages = [pkg("app", "/usr/bin/app", dirs=["/usr/share/doc/app/excluded"])]
    source = image(DOCUMENT | {"config": {}}, MANIFEST)
    before = seen(tar_layer(table([*packages, pkg("spare", "/usr/bin/spare")])))
    plan = drawn(before, ["/usr/bin/app"])
    after = Sight(image=source, scene=seen(applied(before, plan)))
    assert list(judge.against(after, Sight(image=source, scene=before), plan)) == []
