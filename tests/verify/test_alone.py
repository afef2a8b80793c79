"""What can be said of an image without its source: a row for each rule, nothing of a sound one."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import pytest

from careen.finding import Finding
from careen.formats import digest as digests
from careen.verify import judge, rules
from careen.verify.judge import Sight
from tests.builders import Lnk, Node, Reg, tar_layer
from tests.elf_builder import INTERP, elf
from tests.packages import apk_root
from tests.packages.dpkg_root import HOME, USRMERGE, Pkg, table
from tests.plan.scenes import pkg, seen
from tests.verify.test_against import DOCUMENT, MANIFEST, image

LOADER = "usr/lib64/ld-linux-x86-64.so.2"
PACKAGES = [
    pkg("app", "/usr/bin/app", "/usr/bin/tool", "/usr/lib/libz.so", "/usr/share/doc/app/NEWS"),
    pkg("libc6", f"/{LOADER}"),
    pkg("dash", "/usr/bin/sh"),
]
NODES = [
    Reg("usr/bin/app", elf(interpreter=INTERP["glibc"], needed=["libz.so"]), 0o755),
    Reg("usr/bin/tool", "#!/bin/sh\n", 0o755),
    Reg("usr/lib/libz.so", elf()),
    Reg(LOADER, elf(), 0o755),
    Reg("usr/bin/sh", elf(), 0o755),
    Lnk("srv/x", "/usr/bin/app"),
]
SOUND = [*table(PACKAGES), *NODES]
DOCS = pkg("docs", dirs=["/usr/share/doc/d", "/usr/share/doc/d/a"])
CONFIG = {"Entrypoint": ["app"], "Env": ["PATH=/usr/bin"]}


def alone(nodes: Sequence[Node], config: dict[str, Any] | None = None) -> list[Finding]:
    about = image(DOCUMENT | {"config": config or CONFIG}, MANIFEST)
    scene = seen(tar_layer(list(nodes)), about.config.execution)
    note = Finding(rule="odd-layer", severity="note", message="read before")
    first, *others = judge.alone(Sight(image=about, scene=scene, notes=(note,)))
    assert first == note
    return others


def told(findings: list[Finding]) -> set[str]:
    """`severity rule /path` of each, and the count where it is more than one."""
    return {
        f"{one.severity} {one.rule} {one.path}{f' {one.count}' * (one.count > 1)}".strip()
        for one in findings
    }


def less(*names: str) -> list[Node]:
    return [node for node in SOUND if node.name not in names]


def with_(name: str, **fields: Any) -> list[Node]:
    return [dataclasses.replace(node, **fields) if node.name == name else node for node in SOUND]


def database(extension: str, old: str, new: str) -> list[Node]:
    name = f"{HOME}/info/{extension}"
    (node,) = [one for one in SOUND if one.name == name]
    assert old in node.data.decode()
    return with_(name, data=node.data.decode().replace(old, new).encode())


def labelled(**labels: str) -> dict[str, Any]:
    return CONFIG | {
        "Labels": {f"io.careen.{key.replace('_', '.')}": v for key, v in labels.items()}
    }


def alpine() -> list[Node]:
    one = apk_root.Pkg("musl", ["/lib/ld-musl-x86_64.so.1"])
    return [
        Reg("lib/apk/db/installed", apk_root.installed(one)),
        Reg("lib/ld-musl-x86_64.so.1", elf()),
    ]


DIGEST = digests.of(b"x")
ROWS: list[tuple[str, list[Node], dict[str, Any], set[str]]] = [
    ("sound", SOUND, CONFIG, set()),
    ("a script starts it", SOUND, CONFIG | {"Entrypoint": ["tool"], "Cmd": ["app"]}, set()),
    ("labels", SOUND, labelled(source_digest=DIGEST, plan_digest=DIGEST), {"note claims"}),
    ("labels of others", SOUND, CONFIG | {"Labels": {"io.careening": "x"}}, set()),
    ("nothing to start", SOUND, CONFIG | {"Entrypoint": ["gone"]}, {"error start-not-found"}),
    ("nothing that Cmd names", SOUND, {"Cmd": ["/gone"]}, {"error start-not-found"}),
    (
        "behind a wrapper",
        [*SOUND, Reg("usr/bin/tini", elf(), 0o755)],
        CONFIG | {"Entrypoint": ["tini", "--"], "Cmd": ["gone"]},
        {"error start-not-found", "note unowned-program /usr/bin/tini"},
    ),
    (
        "a word that a script is handed",
        SOUND,
        CONFIG | {"Entrypoint": ["tool"], "Cmd": ["serve"]},
        {"warning start-not-found"},
    ),
    (
        "a health check's",
        SOUND,
        CONFIG | {"Healthcheck": {"Test": ["CMD", "curl"]}},
        {"warning start-not-found"},
    ),
    (
        "a script given to a shell, in the working directory",
        [*SOUND, Reg("srv/go.sh", "exec app\n")],
        CONFIG | {"Entrypoint": ["sh", "go.sh"], "WorkingDir": "/srv"},
        set(),
    ),
    ("a library that starting needs", less("usr/lib/libz.so"), CONFIG, {
        "error start-broken",
        "warning library-missing /usr/bin/app",
        "note listed-file-absent /usr/lib/libz.so",
    }),
    ("the loader that starting needs", less(LOADER), CONFIG, {
        "error start-broken",
        "warning loader-missing /usr/bin/app",
        "warning record-without-file",
        f"note listed-file-absent /{LOADER}",
    }),
    ("the interpreter that starting needs", less("usr/bin/sh"), CONFIG | {"Entrypoint": ["tool"]}, {
        "error start-broken",
        "note script-without-interpreter /usr/bin/tool",
        "warning record-without-file",
        "note listed-file-absent /usr/bin/sh",
    }),
    (
        "the library of an interpreter",
        with_("usr/bin/sh", data=elf(needed=["libgone.so"])),
        CONFIG | {"Entrypoint": ["tool"]},
        {"error start-broken", "warning library-missing /usr/bin/sh"},
    ),
    (
        "links that lead nowhere",
        [*SOUND, Lnk("srv/a", "gone"), Lnk("srv/b", "b")],
        CONFIG,
        {"note dangling-link /srv/a 2"},
    ),
    ("no database", [*USRMERGE, *NODES], CONFIG, {"note package-database"}),
    ("two databases", [*SOUND, *alpine()], CONFIG, {"note package-database"}),
    (
        "a database that cannot be read",
        [*SOUND, Reg("var/lib/rpm/rpmdb.sqlite", "x")],
        CONFIG,
        {"note package-database", "warning database-unsupported"},
    ),
    (
        "a database that contradicts itself",
        [*SOUND, Reg(f"{HOME}/info/ghost.list", "/.\n")],
        CONFIG,
        {"warning database-fault"},
    ),
    (
        "a package without its list",
        less(f"{HOME}/info/dash.list"),
        CONFIG,
        {
            "note package-database",
            "warning database-fault",
            "note unowned-program /usr/bin/sh",
        },
    ),
    (
        "a record of nothing that is there",
        table([*PACKAGES, pkg("lost", dirs=["/usr", "/usr/bin", "/usr/bin/lost"])], nodes=NODES),
        CONFIG,
        {"warning record-without-file", "note listed-file-absent /usr/bin/lost"},
    ),
    (
        "a record of documents that are not there",
        table([*PACKAGES, DOCS], nodes=NODES),
        CONFIG,
        {"note listed-document-absent /usr/share/doc/d 2"},
    ),
    ("a document less", less("usr/share/doc/app/NEWS"), CONFIG, {
        "note listed-document-absent /usr/share/doc/app/NEWS",
    }),
    (
        "a program of nobody's",
        [*SOUND, Reg("opt/a", elf()), Reg("opt/b", "#!/bin/sh\n"), Reg("opt/c", "text")],
        CONFIG,
        {"note unowned-program /opt/a 2"},
    ),
    (
        "a maintainer script",
        [*SOUND, Reg(f"{HOME}/info/app.postinst", "#!/bin/sh\n")],
        CONFIG,
        set(),
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("nodes", "config", "expected"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS]
)
def test_by_itself(nodes: list[Node], config: dict[str, Any], expected: set[str]) -> None:
    assert told(alone(nodes, config)) == expected


def test_every_rule_has_its_row() -> None:
    assert {line.split()[1] for _, _, _, row in ROWS for line in row} == set(rules.ALONE)


def test_a_counted_finding_names_the_first_and_holds_all() -> None:
    links = [Lnk(f"srv/{letter}", "gone") for letter in "abcde"]
    (finding,) = alone([*SOUND, *links])
    assert finding.message == "symlinks lead nowhere: /srv/a, /srv/b, /srv/c and 2 more"
    assert finding.paths == tuple(f"/srv/{letter}" for letter in "abcde")
    assert finding.count == len(finding.paths)


def test_labels_are_told_as_claims() -> None:
    (finding,) = alone(SOUND, labelled(source_digest=DIGEST, version="9"))
    assert finding.message == (
        f"its labels name careen 9, the source {DIGEST}; only --source and --plan prove that"
    )


def test_why_it_cannot_start() -> None:
    (finding, *_) = alone(less("usr/bin/sh"), CONFIG | {"Entrypoint": ["tool"]})
    assert finding.message == (
        "Entrypoint starts 'tool': /usr/bin/tool needs /bin/sh, which is not in the image"
    )


def test_a_mute_package() -> None:
    findings = alone(table([*PACKAGES, Pkg("mute", listed=False)], nodes=NODES))
    assert [(one.rule, one.message) for one in findings] == [
        ("package-database", "cannot be edited, it has no list of files: mute"),
        ("database-fault", "mute is on record, and info/ has no list of its files"),
    ]
