"""Why packages stay: one small image a rule. Whatever a row does not name goes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from careen.oci.config import Execution
from careen.packages.dpkg.records import DpkgRecords
from careen.plan import seeds, selection
from careen.plan.closure import Going, Scene, close, told
from careen.plan.plan import Options
from careen.profile.profile import Keep, Profile
from careen.rootfs.path import Path
from tests.builders import Dir, Lnk, Node, Reg
from tests.elf_builder import INTERP, elf
from tests.packages.dpkg_root import Pkg
from tests.plan.scenes import decisions, drawn, dropped, pkg, profile, reasons, rules, scene
from tests.rootfs.test_ld_cache import made as ld_cache

APP = pkg("app", "/usr/bin/app")
SPARE = pkg("spare", "/usr/bin/spare")
LOADER = "usr/lib64/ld-linux-x86-64.so.2"
LIBC = pkg("libc6", f"/{LOADER}", "/usr/lib/libc.so.6")
C_LIBRARY = [Reg(LOADER, elf(), 0o755), Reg("usr/lib/libc.so.6", elf(soname="libc.so.6"))]


def program(path: str, *needed: str, **more: Any) -> Node:
    more = {"interpreter": INTERP["glibc"], **more}
    return Reg(path, elf(needed=needed, **more), 0o755)


def library(path: str, *needed: str) -> Node:
    return Reg(path, elf(needed=needed))


@dataclass(frozen=True)
class Row:
    """`stays`: each package that is kept, and the reason that the plan gives."""

    name: str
    packages: list[Pkg]
    nodes: list[Node]
    stays: dict[str, str]
    profile: Profile | None = None
    execution: Execution = field(default_factory=Execution)
    options: dict[str, Any] = field(default_factory=dict)


ROWS = [
    Row(
        "profile: executed says more than opened",
        [APP, SPARE],
        [],
        {"app": "/usr/bin/app: executed in run"},
        profile(["/usr/bin/app"], opened=["/usr/bin/app"]),
    ),
    Row(
        "profile: a path through /bin is the same path",
        [APP, SPARE],
        [],
        {"app": "/usr/bin/app: executed in run"},
        profile(["/bin/app"]),
    ),
    Row(
        "profile: documents, man pages and catalogues are no use",
        [
            APP,
            pkg("a", "/usr/share/doc/a/copyright"),
            pkg("b", "/usr/share/man/man1/b.1.gz"),
            pkg("c", "/usr/share/locale/de/LC_MESSAGES/c.mo"),
        ],
        [],
        {"app": "/usr/bin/app: executed in run"},
        profile(
            ["/usr/bin/app"],
            opened=[
                "/usr/share/doc/a/copyright",
                "/usr/share/man/man1/b.1.gz",
                "/usr/share/locale/de/LC_MESSAGES/c.mo",
            ],
        ),
    ),
    Row(
        "link: both the link's package and the target's",
        [pkg("wrap", "/usr/bin/tool"), pkg("real", "/usr/libexec/tool"), SPARE],
        [Lnk("usr/bin/tool", "../libexec/tool")],
        {
            "wrap": "/usr/bin/tool: executed in run",
            "real": "/usr/libexec/tool: executed in run",
        },
        profile(["/usr/bin/tool"]),
    ),
    Row(
        "link: an unowned link of the application keeps what it leads to",
        [pkg("real", "/usr/libexec/tool"), SPARE],
        [Lnk("app/tool", "/usr/libexec/tool")],
        {"real": "/usr/libexec/tool: followed as a link in run"},
        profile(links={"/app/tool": "/usr/libexec/tool"}),
    ),
    Row(
        "link: a kept package's own links keep their targets' packages",
        [pkg("app", "/usr/bin/app", "/usr/share/app/data"), pkg("data", "/usr/share/d"), SPARE],
        [Lnk("usr/share/app/data", "/usr/share/d")],
        {
            "app": "/usr/bin/app: executed in run",
            "data": "/usr/share/app/data, a link of app, leads to it",
        },
    ),
    Row(
        "link: its target directory keeps the one package that owns it",
        [
            pkg("app", "/usr/bin/app", "/usr/share/doc/app"),
            pkg("common", "/usr/share/doc/common/copyright", dirs=["/usr/share/doc/common"]),
            SPARE,
        ],
        [Lnk("usr/share/doc/app", "common")],
        {
            "app": "/usr/bin/app: executed in run",
            "common": "/usr/share/doc/app, a link of app, leads to it",
        },
    ),
    Row(
        "link: a script that one leads to, but not its interpreter; no single document",
        [
            pkg("app", "/usr/bin/app", "/usr/bin/run", "/usr/share/doc/app/README"),
            pkg("common", "/usr/share/common/run"),
            pkg("perl-base", "/usr/bin/perl"),
            pkg("docs", "/usr/share/doc/docs/README"),
        ],
        [
            Lnk("usr/bin/run", "../share/common/run"),
            Reg("usr/share/common/run", "#!/usr/bin/perl\n", 0o755),
            program("usr/bin/perl", interpreter=""),
            Lnk("usr/share/doc/app/README", "../docs/README"),
        ],
        {
            "app": "/usr/bin/app: executed in run",
            "common": "/usr/bin/run, a link of app, leads to it",
        },
    ),
    Row(
        "link: a copyright that one leads to",
        [
            pkg("app", "/usr/bin/app", "/usr/share/doc/app/copyright"),
            pkg("docs", "/usr/share/doc/docs/copyright"),
        ],
        [Lnk("usr/share/doc/app/copyright", "../docs/copyright")],
        {
            "app": "/usr/bin/app: executed in run",
            "docs": "/usr/share/doc/app/copyright, a link of app, leads to it",
        },
    ),
    Row(
        "data: libssl's certificates, where there are any",
        [
            pkg("libssl3", "/usr/lib/libssl.so.3"),
            pkg("openssl", "/usr/bin/openssl"),
            pkg("ca-certificates", "/usr/share/ca-certificates/x"),
        ],
        [],
        {
            "libssl3": "/usr/lib/libssl.so.3: opened in run",
            "openssl": "libssl finds ca-certificates through its link /usr/lib/ssl/certs",
            "ca-certificates": "the certificates that outgoing TLS trusts: programs reach for it "
            "silently (policy standard)",
        },
        profile(opened=["/usr/lib/libssl.so.3"]),
    ),
    Row(
        "data: no openssl for libssl without certificates",
        [pkg("libssl3", "/usr/lib/libssl.so.3"), pkg("openssl", "/usr/bin/openssl")],
        [],
        {"libssl3": "/usr/lib/libssl.so.3: opened in run"},
        profile(opened=["/usr/lib/libssl.so.3"]),
    ),
    Row(
        "link: a target directory that several own keeps none of them",
        [
            pkg("app", "/usr/bin/app", "/usr/share/app"),
            pkg("a", "/usr/share/common/a", dirs=["/usr/share/common"]),
            pkg("b", "/usr/share/common/b", dirs=["/usr/share/common"]),
        ],
        [Lnk("usr/share/app", "common")],
        {"app": "/usr/bin/app: executed in run"},
    ),
    Row(
        "bytecode: a compiled module stands for its source",
        [APP, pkg("python3-x", "/usr/lib/python3/x.py"), SPARE],
        [Reg("usr/lib/python3/__pycache__/x.cpython-311.pyc")],
        {
            "app": "/usr/bin/app: executed in run",
            "python3-x": "/usr/lib/python3/x.py: the same module as "
            "/usr/lib/python3/__pycache__/x.cpython-311.pyc",
        },
        profile(["/usr/bin/app"], opened=["/usr/lib/python3/__pycache__/x.cpython-311.pyc"]),
    ),
    Row(
        "bytecode: a source for its compiled module",
        [APP, pkg("pyc", "/usr/lib/python3/__pycache__/x.cpython-311.opt-1.pyc"), SPARE],
        [Reg("usr/lib/python3/x.py")],
        {
            "app": "/usr/bin/app: executed in run",
            "pyc": "/usr/lib/python3/__pycache__/x.cpython-311.opt-1.pyc: the same module as "
            "/usr/lib/python3/x.py",
        },
        profile(["/usr/bin/app"], opened=["/usr/lib/python3/x.py"]),
    ),
    Row(
        "linkage: the interpreter and each library, and theirs",
        [
            APP,
            LIBC,
            pkg("libssl", "/usr/lib/libssl.so.3"),
            pkg("libz", "/usr/lib/libz.so.1"),
            SPARE,
        ],
        [
            *C_LIBRARY,
            program("usr/bin/app", "libssl.so.3", "libc.so.6"),
            library("usr/lib/libssl.so.3", "libz.so.1"),
            library("usr/lib/libz.so.1"),
        ],
        {
            "app": "/usr/bin/app: executed in run",
            "libc6": "/usr/lib64/ld-linux-x86-64.so.2: /lib64/ld-linux-x86-64.so.2 is loaded by "
            "/usr/bin/app",
            "libssl": "/usr/lib/libssl.so.3: libssl.so.3 is loaded by /usr/bin/app",
            "libz": "/usr/lib/libz.so.1: libz.so.1 is loaded by /usr/lib/libssl.so.3",
        },
    ),
    Row(
        "linkage: for what a used package has beside the used program",
        [
            pkg("app", "/usr/bin/app", "/usr/bin/app-admin"),
            pkg("libz", "/usr/lib/libz.so.1"),
            SPARE,
        ],
        [
            program("usr/bin/app-admin", "libz.so.1", interpreter=""),
            library("usr/lib/libz.so.1"),
        ],
        {
            "app": "/usr/bin/app: executed in run",
            "libz": "/usr/lib/libz.so.1: libz.so.1 is loaded by /usr/bin/app-admin",
        },
    ),
    Row(
        "linkage: for what no package owns",
        [APP, pkg("libz", "/usr/lib/libz.so.1"), SPARE],
        [program("opt/own", "libz.so.1", interpreter=""), library("usr/lib/libz.so.1")],
        {
            "app": "/usr/bin/app: executed in run",
            "libz": "/usr/lib/libz.so.1: libz.so.1 is loaded by /opt/own",
        },
    ),
    Row(
        "shebang: the interpreter",
        [pkg("app", "/usr/bin/app"), pkg("perl-base", "/usr/bin/perl"), SPARE],
        [
            Reg("usr/bin/app", "#!/usr/bin/perl -w\n", 0o755),
            program("usr/bin/perl", interpreter=""),
        ],
        {
            "app": "/usr/bin/app: executed in run",
            "perl-base": "/usr/bin/perl: /usr/bin/perl interprets /usr/bin/app",
        },
    ),
    Row(
        "shebang: env, and what it finds on the image's PATH",
        [
            APP,
            pkg("coreutils", "/usr/bin/env"),
            pkg("python3", "/opt/py/bin/python3"),
            pkg("other", "/usr/bin/python3"),
        ],
        [
            Reg("usr/bin/app", "#!/usr/bin/env python3\n", 0o755),
            program("usr/bin/env", interpreter=""),
            program("opt/py/bin/python3", interpreter=""),
            program("usr/bin/python3", interpreter=""),
        ],
        {
            "app": "/usr/bin/app: executed in run",
            "coreutils": "/usr/bin/env: /usr/bin/env interprets /usr/bin/app",
            "python3": "/opt/py/bin/python3: python3 interprets /usr/bin/app",
        },
        execution=Execution(env=("PATH=/opt/py/bin:/usr/bin",)),
    ),
    Row(
        "shebang: not of a script that nothing used",
        [pkg("app", "/usr/bin/app", "/usr/bin/helper"), pkg("perl-base", "/usr/bin/perl")],
        [
            Reg("usr/bin/helper", "#!/usr/bin/perl\n", 0o755),
            program("usr/bin/perl", interpreter=""),
        ],
        {"app": "/usr/bin/app: executed in run"},
    ),
    Row(
        "config: Entrypoint and Healthcheck; Cmd of a program is an argument",
        [pkg("server", "/usr/sbin/server"), pkg("curl", "/usr/bin/curl"), SPARE],
        [program("usr/sbin/server", interpreter="")],
        {
            "server": "/usr/sbin/server: started by the image's Entrypoint",
            "curl": "/usr/bin/curl: started by the image's Healthcheck",
        },
        profile(),
        Execution(
            entrypoint=("server",), command=("spare",), healthcheck=("CMD", "curl", "localhost")
        ),
    ),
    Row(
        "config: Cmd behind a script, relative to WorkingDir",
        [APP, pkg("dash", "/usr/bin/dash"), SPARE],
        [
            Reg("srv/start", "#!/bin/dash\n", 0o755),
            program("usr/bin/dash", interpreter=""),
        ],
        {
            "dash": "/usr/bin/dash: /bin/dash interprets /srv/start",
            "app": "/usr/bin/app: started by the image's Cmd",
        },
        profile(opened=["/srv/start"]),
        Execution(entrypoint=("./start",), command=("app",), working_dir="/srv"),
    ),
    Row(
        "config: the shell form, but not what the shell does itself",
        [APP, pkg("dash", "/usr/bin/sh"), pkg("coreutils", "/usr/bin/echo", "/usr/bin/test")],
        [program("usr/bin/sh", interpreter="")],
        {
            "dash": "/usr/bin/sh: started by the image's Cmd",
            "app": "/usr/bin/app: started by the image's Cmd",
        },
        profile(),
        Execution(command=("/bin/sh", "-c", "test -e /x || echo no; exec app")),
    ),
    Row(
        "identity: os-release and its package",
        [APP, pkg("base-files", "/usr/lib/os-release", "/etc/os-release"), SPARE],
        [Lnk("etc/os-release", "../usr/lib/os-release")],
        {
            "app": "/usr/bin/app: executed in run",
            "base-files": "/etc/os-release: says which system and which users this is",
        },
    ),
    Row(
        "locale: the one that Env names",
        [
            APP,
            pkg("libc-bin", "/usr/lib/locale/C.utf8/LC_CTYPE", dirs=["/usr/lib/locale/C.utf8"]),
            pkg("german", "/usr/lib/locale/de_DE.utf8/LC_CTYPE"),
        ],
        [],
        {
            "app": "/usr/bin/app: executed in run",
            "libc-bin": "/usr/lib/locale/C.utf8/LC_CTYPE: the locale that Env names: C.UTF-8",
        },
        execution=Execution(env=("LANG=C.UTF-8", "LC_ALL=C")),
    ),
    Row(
        "locale: C is built in",
        [APP, pkg("locales-all", "/usr/lib/locale/locale-archive")],
        [],
        {"app": "/usr/bin/app: executed in run"},
        execution=Execution(env=("LANG=C",)),
    ),
    Row(
        "keep: packages by name, paths with their packages",
        [APP, SPARE, pkg("libx", "/usr/lib/x/a", "/usr/lib/x/b"), pkg("gone", "/usr/bin/gone")],
        [],
        {
            "app": "/usr/bin/app: executed in run",
            "spare": "asked for: sp*",
            "libx": "/usr/lib/x/a: asked for: /lib/x/*",
        },
        options={"keep": ("sp*", "/lib/x/*")},
    ),
    Row(
        "data: what programs reach for silently",
        [APP, pkg("tzdata", "/usr/share/zoneinfo/UTC"), pkg("netbase", "/etc/services"), SPARE],
        [],
        {
            "app": "/usr/bin/app: executed in run",
            "netbase": "/etc/protocols and /etc/services: programs reach for it silently "
            "(policy standard)",
            "tzdata": "time zones: programs reach for it silently (policy standard)",
        },
    ),
    Row(
        "data: not under strict",
        [APP, pkg("tzdata", "/usr/share/zoneinfo/UTC")],
        [],
        {"app": "/usr/bin/app: executed in run"},
        options={"policy": "strict"},
    ),
    Row(
        "data: what a used library reaches for without linking to it",
        [LIBC, pkg("libgcc-s1", "/usr/lib/libgcc_s.so.1"), pkg("openssl", "/usr/bin/openssl")],
        C_LIBRARY,
        {
            "libc6": "/usr/lib/libc.so.6: opened in run",
            "libgcc-s1": "libc6 loads libgcc_s.so.1 by name when a thread is cancelled or exits",
        },
        profile(opened=["/usr/lib/libc.so.6"]),
    ),
    Row(
        "depends: only under conservative, virtual names too",
        [
            pkg("app", "/usr/bin/app", more="Depends: mta, libx (>= 1) | liby\nPre-Depends: pre\n"),
            pkg("exim", "/usr/sbin/exim", more="Provides: mta\n"),
            pkg("liby", "/usr/lib/liby"),
            pkg("pre", "/usr/bin/pre"),
            pkg("recommended", "/usr/bin/recommended"),
        ],
        [],
        {
            "app": "/usr/bin/app: executed in run",
            "exim": "app depends on it",
            "liby": "app depends on it",
            "pre": "app depends on it",
        },
        options={"policy": "conservative"},
    ),
    Row(
        "depends: not under standard",
        [pkg("app", "/usr/bin/app", more="Depends: spare\n"), SPARE],
        [],
        {"app": "/usr/bin/app: executed in run"},
    ),
    Row(
        "unreadable: a package without a list stays",
        [APP, Pkg("mute", listed=False), SPARE],
        [],
        {
            "app": "/usr/bin/app: executed in run",
            "mute": "its record cannot be edited: it has no list of files",
        },
    ),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_what_stays(row: Row) -> None:
    plan = drawn(
        scene(row.packages, row.nodes, execution=row.execution),
        of=row.profile or profile(["/usr/bin/app"]),
        **row.options,
    )
    kept = {id: reason for id, reason in reasons(plan).items() if decisions(plan)[id] != "remove"}
    assert kept == row.stays
    gone = {id for id, decision in decisions(plan).items() if decision == "remove"}
    assert {reasons(plan)[id] for id in gone} <= {"nothing that it owns is used"}
    assert gone == {item.id for item in plan.packages} - set(row.stays)


def closed(image: Scene, of: Profile, **more: Any) -> Any:
    keep = selection.of([*of.keep.packages, *of.keep.paths], "keep", image.rootfs)
    options = Options(policy=more.pop("policy", "standard"))
    begin = seeds.paths(image, of, keep)
    stay = seeds.packages(image, keep, options.policy)
    return close(image, begin, stay, Going(**more), options)


def test_the_loader_cache_that_led_to_a_library_stays() -> None:
    cache = ld_cache(b"libz.so.1\0/odd/libz.so.1\0", path=10)
    image = scene(
        [APP, pkg("libz", "/odd/libz.so.1")],
        [
            *C_LIBRARY,
            program("usr/bin/app", "libz.so.1"),
            library("odd/libz.so.1"),
            Reg("etc/ld.so.cache", cache),
        ],
    )
    found = closed(image, profile(["/usr/bin/app"]))
    assert (
        found.paths[Path("etc/ld.so.cache")].phrase == "says where libz.so.1 is, for /usr/bin/app"
    )
    plan = drawn(image, ["/usr/bin/app"])
    assert decisions(plan) == {"app": "keep", "libz": "keep"}
    assert dropped(plan) == {}


def test_a_chain_of_reasons_is_told_to_its_end() -> None:
    image = scene(
        [pkg("app", "/usr/bin/app", "/usr/bin/other"), pkg("libz", "/usr/lib/libz.so.1")],
        [
            program("usr/bin/other", "libz.so.1", interpreter=""),
            library("usr/lib/libz.so.1"),
        ],
    )
    found = closed(image, profile(["/usr/bin/app"]))
    assert told(found.packages["libz"], found, image.catalog) == (
        "libz owns /usr/lib/libz.so.1; libz.so.1 is loaded by /usr/bin/other; "
        "/usr/bin/other is a part of app; app owns /usr/bin/app; executed in run"
    )


def test_every_chain_ends_where_something_was_seen_or_said() -> None:
    rows = [row for row in ROWS if row.profile is None]
    ends = (
        "executed in run",
        "asked for",
        "says which",
        "the locale",
        "programs reach",
        "its record",
    )
    for row in rows:
        image = scene(row.packages, row.nodes, execution=row.execution)
        keep = row.options.get("keep", ())
        asked = Keep(
            packages=tuple(k for k in keep if k[0] != "/"),
            paths=tuple(k for k in keep if k[0] == "/"),
        )
        policy = row.options.get("policy", "standard")
        found = closed(image, profile(["/usr/bin/app"], keep=asked), policy=policy)
        for because in (*found.paths.values(), *found.packages.values()):
            last = told(because, found, image.catalog).rpartition("; ")[2]
            assert last.startswith(ends) or "programs reach" in last or "loaded by /opt/own" in last


def test_what_people_drop_needs_nothing() -> None:
    image = scene(
        [pkg("app", "/usr/bin/app", "/usr/bin/other"), pkg("libz", "/usr/lib/libz.so.1")],
        [program("usr/bin/other", "libz.so.1", interpreter=""), library("usr/lib/libz.so.1")],
    )
    plan = drawn(image, ["/usr/bin/app"], drop=("/usr/bin/other",))
    assert decisions(plan) == {"app": "partial", "libz": "remove"}


def test_a_directory_that_a_kept_link_leads_to_stays() -> None:
    row = next(row for row in ROWS if "several own" in row.name)
    plan = drawn(scene(row.packages, row.nodes), ["/usr/bin/app"])
    assert set(dropped(plan)) == {"/usr/share/common/a", "/usr/share/common/b"}


def test_data_packages_of_a_distroless_image() -> None:
    status = {
        f"status.d/{name}": f"Package: {name}\nVersion: 1\nArchitecture: all\n"
        for name in ("tzdata", "spare")
    }
    sums = {f"status.d/{name}.md5sums": f"{'0' * 32}  usr/{name}\n" for name in ("tzdata", "spare")}
    image = scene([], [Reg("usr/tzdata"), Reg("usr/spare")], files={**status, **sums})
    assert decisions(drawn(image, ["/x"])) == {"spare": "remove", "tzdata": "keep"}


def test_what_a_distroless_record_does_not_tell_stays_unless_people_drop_it() -> None:
    """netbase's files in /etc are configuration files, which its digests do not list."""
    document = "usr/share/doc/netbase/copyright"
    files = {
        "status.d/netbase": "Package: netbase\nVersion: 1\nArchitecture: all\n",
        "status.d/netbase.md5sums": f"{'0' * 32}  {document}\n",
    }
    image = scene([], [Reg(document), Reg("etc/services")], files=files)
    plan = drawn(image, ["/x"], policy="strict")
    assert reasons(plan) == {
        "netbase": "it may be in use: status.d/ lists no file of it beside documentation"
    }
    assert decisions(drawn(image, ["/x"], drop=("netbase",))) == {"netbase": "remove"}


def test_what_the_profile_and_the_config_name_in_vain() -> None:
    image = scene([APP], [Dir("data")], execution=Execution(entrypoint=("gone",)))
    used = [
        "/usr/bin/app",
        "/opt/b",
        "/opt/a",
        "/tmp/x",
        "/proc/self/maps",
        "/dev/null",
        "/run/pid",
    ]
    plan = drawn(image, used)
    assert plan.absent == ("/opt/a", "/opt/b")
    found = {item.rule: item for item in plan.findings}
    gone = found["profile-path-gone"]
    assert (gone.severity, gone.count, gone.path) == ("note", 2, "/opt/a")
    assert gone.message == "the profile names what is not in this image: /opt/a, /opt/b"
    assert rules(plan)["start-not-found"] == (
        "'gone' is not in the image; started by the image's Entrypoint"
    )


def test_a_database_that_refuses_edits_loses_nothing() -> None:
    image = scene(
        [APP, SPARE, pkg("dash", "/usr/bin/sh")],
        [
            Reg("usr/bin/sh", "", 0o755),
            Reg("usr/local/bin/zsh", "", 0o755),  # of nobody, as far as could be read
            Reg("var/lib/dpkg/updates/0001", "x"),
        ],
    )
    assert isinstance(image.catalog.databases[0], DpkgRecords)
    plan = drawn(image, ["/usr/bin/app"])
    assert set(decisions(plan).values()) == {"keep"}
    assert plan.paths == ()
    (warning,) = [item for item in plan.findings if item.rule == "database-refused"]
    assert warning.severity == "warning"
    assert warning.message == (
        "nothing is removed from the package database: its database is not sound: updates/ holds "
        "changes that dpkg has not merged"
    )
    assert "package-database" not in rules(plan)
