"""What goes and what is left: one small image a row; then the shells, what people ask, refusals."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from careen.errors import SourceError
from careen.oci.config import Execution
from careen.plan.plan import Plan
from careen.profile.profile import Drop, Keep, Profile
from tests.builders import Dir, Hard, Lnk, Node, Reg, tar_layer
from tests.elf_builder import elf
from tests.packages.dpkg_root import HOME, Pkg
from tests.plan.scenes import decisions, drawn, dropped, pkg, profile, reasons, rules, scene, seen

APP = pkg("app", "/usr/bin/app")
SPARE = pkg("spare", "/usr/bin/spare")
PACKAGE = "its package spare goes"
EMPTY = "empty once its packages are gone"
CACHE = "a package manager's cache, list or log"
SPARE_GOES = {"/usr/bin/spare": PACKAGE}
PYC = "usr/lib/python3/__pycache__"


@dataclass(frozen=True)
class Row:
    """`spare` goes; `goes` are the other paths that go, each with its reason."""

    name: str
    packages: list[Pkg]
    nodes: list[Node]
    goes: dict[str, str]
    profile: Profile | None = None
    execution: Execution = field(default_factory=Execution)
    options: dict[str, Any] = field(default_factory=dict)


ROWS = [
    Row("nothing unowned", [APP, SPARE], [Reg("srv/data"), Lnk("srv/link", "data")], {}),
    Row(
        "conffiles go with their package",
        [APP, pkg("spare", "/usr/bin/spare", conffiles=["/etc/spare.conf"])],
        [],
        {"/etc/spare.conf": PACKAGE},
    ),
    Row(
        "a path of several packages stays while one owner stays",
        [
            pkg("app", "/usr/bin/app", "/usr/share/both"),
            pkg("spare", "/usr/bin/spare", "/usr/share/both"),
        ],
        [],
        {},
    ),
    Row(
        "a path of several packages goes with the last",
        [APP, pkg("spare", "/usr/bin/spare", "/usr/share/both"), pkg("spare2", "/usr/share/both")],
        [],
        {"/usr/share/both": PACKAGE},
    ),
    Row(
        "/bin/x is /usr/bin/x",
        [pkg("app", "/usr/bin/app", "/bin/both"), pkg("spare", "/bin/spare", "/usr/bin/both")],
        [],
        {},
    ),
    Row(
        "a listed path that is absent is passed over",
        [APP, pkg("spare", "/usr/bin/spare", dirs=["/usr/share/nowhere/x"])],
        [],
        {},
    ),
    Row(
        "directories: left empty, deepest first",
        [
            APP,
            pkg(
                "spare",
                "/usr/bin/spare",
                "/usr/share/s/t/x",
                dirs=["/usr/share/s", "/usr/share/s/t"],
            ),
        ],
        [],
        {"/usr/share/s": EMPTY, "/usr/share/s/t": EMPTY, "/usr/share/s/t/x": PACKAGE},
    ),
    Row(
        "directories: empty before",
        [APP, pkg("spare", "/usr/bin/spare", dirs=["/usr/share/s"])],
        [Dir("usr/share/s")],
        {"/usr/share/s": EMPTY},
    ),
    Row(
        "directories: not with something else inside, a kept owner, or no owner",
        [
            pkg("app", "/usr/bin/app", dirs=["/usr/share/kept"]),
            pkg("spare", "/usr/bin/spare", dirs=["/usr/share/s", "/usr/share/kept"]),
        ],
        [Reg("usr/share/s/own"), Dir("usr/share/kept"), Dir("usr/share/unowned")],
        {},
    ),
    Row(
        "directories: not what a runtime counts on",
        [
            APP,
            pkg(
                "spare",
                "/usr/bin/spare",
                dirs=[
                    "/srv/volume",
                    "/srv/work",
                    "/srv/home",
                    "/srv/opened",
                    "/mnt",
                    "/var/lib/dpkg",
                ],
            ),
        ],
        [
            *map(Dir, ("srv/volume", "srv/work", "srv/home", "srv/opened", "mnt")),
            Reg("etc/passwd", "me:x:7:7::/srv/home:/x\n"),
        ],
        {},
        profile(["/usr/bin/app"], opened=["/srv/opened"]),
        Execution(volumes=("/srv/volume",), working_dir="/srv/work", user="me"),
    ),
    Row(
        "leftover: bytecode of a removed module, and its directory",
        [APP, pkg("spare", "/usr/bin/spare", "/usr/lib/python3/s.py", dirs=["/usr/lib/python3"])],
        [Reg(f"{PYC}/s.cpython-311.pyc"), Reg(f"{PYC}/s.cpython-311.opt-1.pyc")],
        {
            "/usr/lib/python3": EMPTY,
            f"/{PYC}": EMPTY,
            f"/{PYC}/s.cpython-311.opt-1.pyc": "bytecode of /usr/lib/python3/s.py, which goes",
            f"/{PYC}/s.cpython-311.pyc": "bytecode of /usr/lib/python3/s.py, which goes",
            "/usr/lib/python3/s.py": PACKAGE,
        },
    ),
    Row(
        "leftover: no bytecode whose module stays, was never there, or has an owner",
        [
            pkg("app", "/usr/bin/app", "/usr/lib/python3/a.py", f"/{PYC}/s.cpython-311.pyc"),
            pkg("spare", "/usr/bin/spare", "/usr/lib/python3/s.py"),
        ],
        [Reg(f"{PYC}/a.cpython-311.pyc"), Reg(f"{PYC}/lone.cpython-311.pyc")],
        {"/usr/lib/python3/s.py": PACKAGE},
    ),
    Row(
        "leftover: links that a removal leaves dangling, link by link",
        [APP, SPARE],
        [Lnk("usr/local/bin/s", "/usr/bin/spare"), Lnk("srv/s", "../usr/local/bin/s")],
        {
            "/usr/local/bin/s": "leads to /usr/bin/spare, which goes",
            "/srv/s": "leads to /usr/bin/spare, which goes",
        },
    ),
    Row(
        "leftover: not links that dangled before, or lead where something stays",
        [APP, SPARE],
        [
            Lnk("srv/nowhere", "/usr/bin/none"),
            Lnk("srv/app", "/usr/bin/app"),
            Lnk("srv/loop", "loop"),
        ],
        {},
    ),
    Row(
        "leftover: caches, lists and logs of package managers, whoever stays",
        [APP, SPARE],
        [
            Reg("var/cache/apt/pkgcache.bin"),
            Reg("var/cache/apt/archives/x.deb"),
            Reg("var/lib/apt/lists/deb.debian.org_Packages"),
            Reg("var/lib/apt/lists/partial/x"),
            Reg("var/log/apt/history.log"),
            Reg("var/log/dpkg.log"),
            Reg("var/log/own.log"),
            Reg("var/cache/debconf/config.dat"),
        ],
        {
            f"/var/{path}": CACHE
            for path in (
                "cache/apt/pkgcache.bin",
                "cache/apt/archives/x.deb",
                "lib/apt/lists/deb.debian.org_Packages",
                "lib/apt/lists/partial/x",
                "log/apt/history.log",
                "log/dpkg.log",
            )
        },
    ),
    Row(
        "leftover: a tool's own cache, with the tool",
        [APP, SPARE, pkg("debconf", "/usr/bin/debconf"), pkg("libc-bin", "/sbin/ldconfig")],
        [
            Reg("var/cache/debconf/config.dat"),
            Reg("var/cache/ldconfig/aux-cache"),
            Reg("usr/sbin/ldconfig"),
        ],
        {
            "/usr/bin/debconf": "its package debconf goes",
            "/var/cache/debconf/config.dat": "a cache of debconf, which goes",
        },
        profile(["/usr/bin/app", "/sbin/ldconfig"]),
    ),
    Row(
        "leftover: not a cache that the profile saw used, or a package owns",
        [pkg("app", "/usr/bin/app", "/var/log/apt/owned"), SPARE],
        [Reg("var/log/apt/used")],
        {},
        profile(["/usr/bin/app"], opened=["/var/log/apt/used"]),
    ),
    Row(
        "a kept document makes its package partial",
        [APP, SPARE, pkg("docs", "/usr/share/doc/docs/copyright", "/usr/share/doc/docs/NEWS")],
        [],
        {"/usr/share/doc/docs/NEWS": "its package docs goes"},
        options={"keep": ("/usr/share/doc/*/copyright",)},
    ),
    Row(
        "what people drop, and the directories that it empties",
        [pkg("app", "/usr/bin/app", "/usr/share/app/x/1", "/usr/share/app/y"), SPARE],
        [Reg("srv/own")],
        {
            "/srv": "asked for: /srv",
            "/srv/own": "asked for: /srv",
            "/usr/share/app/x": "asked for: /usr/share/app/x",
            "/usr/share/app/x/1": "asked for: /usr/share/app/x",
        },
        options={"drop": ("/srv", "/usr/share/app/x")},
    ),
    Row(
        "a kept package's link to what people drop goes too",
        [pkg("app", "/usr/bin/app", "/usr/share/app/doc", "/usr/share/doc/app/x"), SPARE],
        [Lnk("usr/share/app/doc", "../doc/app/x")],
        {
            "/usr/share/app/doc": "leads to /usr/share/doc/app/x, which goes",
            "/usr/share/doc/app/x": "asked for: /usr/share/doc/**",
            "/usr/share/doc/app": "asked for: /usr/share/doc/**",
        },
        options={"drop": ("/usr/share/doc/**",)},
    ),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_what_goes(row: Row) -> None:
    plan = drawn(
        scene(row.packages, row.nodes, execution=row.execution),
        of=row.profile or profile(["/usr/bin/app"]),
        **row.options,
    )
    assert dropped(plan) == SPARE_GOES | row.goes


# -- alternatives

EDITOR = """\
auto
/usr/bin/editor
editor.1.gz
/usr/share/man/man1/editor.1.gz

/bin/nano
40
/usr/share/man/man1/nano.1.gz
/usr/bin/vim
30


"""
ALTERNATIVES = [
    Lnk("usr/bin/editor", "/etc/alternatives/editor"),
    Lnk("etc/alternatives/editor", "/bin/nano"),
    Lnk("usr/share/man/man1/editor.1.gz", "/etc/alternatives/editor.1.gz"),
    Lnk("etc/alternatives/editor.1.gz", "/usr/share/man/man1/nano.1.gz"),
]
NANO = pkg("nano", "/bin/nano", "/usr/share/man/man1/nano.1.gz")
VIM = pkg("vim", "/usr/bin/vim")


def edited(used: list[str], text: str = EDITOR) -> Plan:
    image = scene([NANO, VIM], ALTERNATIVES, files={"alternatives/editor": text})
    return drawn(image, used)


def test_an_alternative_turns_to_the_choice_that_stays() -> None:
    plan = edited(["/usr/bin/vim"])
    assert dropped(plan) == {
        "/usr/bin/nano": "its package nano goes",
        "/usr/share/man/man1/nano.1.gz": "its package nano goes",
        "/etc/alternatives/editor.1.gz": "the alternative that it stands for goes",
        "/usr/share/man/man1/editor.1.gz": "the alternative that it stands for goes",
    }
    (turned,) = [item for item in plan.paths if item.target is not None]
    assert (turned.path, turned.target) == ("/etc/alternatives/editor", "/usr/bin/vim")
    assert (turned.kind, turned.decision) == ("symlink", "replace")
    (record,) = [item for item in plan.paths if item.path == f"/{HOME}/alternatives/editor"]
    assert record.data() == b"auto\n/usr/bin/editor\n\n/usr/bin/vim\n30\n\n"


def test_an_alternative_stays_when_the_choice_that_goes_was_not_chosen() -> None:
    plan = edited(["/usr/bin/nano"])
    assert set(dropped(plan)) == {"/usr/bin/vim"}
    assert not [item for item in plan.paths if item.target is not None]


def test_an_alternative_goes_with_its_last_choice() -> None:
    plan = edited(["/x"])
    gone = {"/usr/bin/editor", "/etc/alternatives/editor", "/etc/alternatives/editor.1.gz"}
    assert gone <= set(dropped(plan))
    (record,) = [item for item in plan.paths if item.path == f"/{HOME}/alternatives/editor"]
    assert record.decision == "drop"


def test_an_alternative_that_the_profile_used_keeps_its_choice() -> None:
    plan = edited(["/usr/bin/editor"])
    assert decisions(plan) == {"nano": "keep", "vim": "remove"}


def test_an_alternatives_link_that_a_kept_package_owns_is_not_turned() -> None:
    owner = pkg("owner", "/usr/bin/o", "/etc/alternatives/editor.1.gz")
    image = scene([NANO, VIM, owner], ALTERNATIVES, files={"alternatives/editor": EDITOR})
    plan = drawn(image, ["/usr/bin/vim", "/usr/bin/o"])
    assert decisions(plan) == {"nano": "keep", "owner": "keep", "vim": "keep"}


def test_an_alternative_that_an_administrator_turned_away_is_left_alone() -> None:
    image = scene(
        [NANO, VIM],
        [*ALTERNATIVES, Lnk("etc/alternatives/editor", "/srv/ed"), Reg("srv/ed")],
        files={"alternatives/editor": EDITOR},
    )
    plan = drawn(image, ["/usr/bin/vim"])
    assert not [item for item in plan.paths if item.target is not None]
    assert "/etc/alternatives/editor" not in dropped(plan)


# -- shells

PROGRAM = elf()
BASH = pkg("bash", "/bin/bash", "/bin/rbash", "/etc/bash.bashrc")
DASH = pkg("dash", "/bin/dash", "/bin/sh")
SHELLS = [
    Reg("usr/bin/bash", PROGRAM, 0o755),
    Lnk("usr/bin/rbash", "bash"),
    Reg("usr/bin/dash", PROGRAM, 0o755),
    Lnk("usr/bin/sh", "dash"),
    Reg("etc/shells", "# shells\n/bin/sh\n/bin/bash\n/usr/bin/dash\n"),
]
ENTRY = Reg("entry.sh", "#!/bin/sh\n", 0o755)


def with_shells(used: list[str], *nodes: Node, **options: Any) -> Plan:
    execution = options.pop("execution", Execution())
    return drawn(scene([APP, BASH, DASH], [*SHELLS, *nodes], execution=execution), used, **options)


def shells_left(plan: Plan) -> set[str]:
    gone = dropped(plan)
    return {p for p in ("bash", "dash", "rbash", "sh") if f"/usr/bin/{p}" not in gone}


def test_shells_go_when_nothing_uses_them() -> None:
    plan = with_shells(["/usr/bin/app"])
    assert decisions(plan) == {"app": "keep", "bash": "remove", "dash": "remove"}
    assert shells_left(plan) == set()
    assert plan.totals.shells == (4, 0)
    (listed,) = [item for item in plan.paths if item.path == "/etc/shells"]
    assert listed.data() == b"# shells\n"


@pytest.mark.parametrize(
    ("used", "execution", "evidence"),
    [
        (["/bin/sh"], Execution(), "executed in run"),
        (["/entry.sh"], Execution(), "/bin/sh interprets /entry.sh; executed in run"),
        (
            [],
            Execution(entrypoint=("/entry.sh",)),
            "/bin/sh interprets /entry.sh; started by the image's Entrypoint",
        ),
        ([], Execution(command=("sh", "-c", "x")), "started by the image's Cmd"),
        (
            [],
            Execution(healthcheck=("CMD-SHELL", "x")),
            "started by the image's Healthcheck",
        ),
    ],
)
def test_a_shell_that_is_needed_stays_with_the_evidence(
    used: list[str], execution: Execution, evidence: str
) -> None:
    plan = with_shells(["/usr/bin/app", *used], ENTRY, execution=execution)
    assert shells_left(plan) == {"sh", "dash"}
    kept = {item.path: item.message for item in plan.findings if item.rule == "shell-kept"}
    behind = evidence if "interprets" in evidence else f"/usr/bin/sh leads to it; {evidence}"
    assert kept == {"/usr/bin/sh": evidence, "/usr/bin/dash": behind}


def test_an_unused_shell_of_a_used_package_goes_and_the_package_is_partial() -> None:
    plan = with_shells(["/usr/bin/app", "/etc/bash.bashrc"])
    assert decisions(plan) == {"app": "keep", "bash": "partial", "dash": "remove"}
    assert dropped(plan)["/usr/bin/bash"] == "a shell that nothing uses"
    assert dropped(plan)["/usr/bin/rbash"] == "a shell that nothing uses"
    (listed,) = [item for item in plan.paths if item.path == f"/{HOME}/info/bash.list"]
    assert listed.data() == b"/.\n/etc/bash.bashrc\n"


def test_what_only_an_unused_shell_loads_goes_with_it() -> None:
    nodes = [
        *SHELLS,
        Reg("usr/bin/bash", elf(needed=["libtinfo.so"]), 0o755),
        Reg("usr/lib/libtinfo.so", PROGRAM),
    ]
    image = scene([BASH, pkg("libtinfo", "/usr/lib/libtinfo.so")], nodes)
    assert decisions(drawn(image, ["/etc/bash.bashrc"])) == {
        "bash": "partial",
        "libtinfo": "remove",
    }
    assert decisions(drawn(image, ["/bin/bash"])) == {"bash": "keep", "libtinfo": "keep"}


def test_a_shell_that_a_kept_link_leads_to_stays_with_what_it_loads() -> None:
    nodes = [
        *SHELLS,
        Reg("usr/bin/dash", elf(needed=["libedit.so"]), 0o755),
        Reg("usr/lib/libedit.so", PROGRAM),
        Lnk("usr/share/app", "/usr/bin/dash"),
    ]
    libedit = pkg("libedit", "/usr/lib/libedit.so")
    image = scene([pkg("app", "/usr/bin/app", "/usr/share/app"), DASH, libedit], nodes)
    plan = drawn(image, ["/usr/bin/app"])
    assert decisions(plan) == {"app": "keep", "dash": "keep", "libedit": "keep"}
    assert rules(plan)["shell-kept"] == (
        "/usr/share/app, a link of app, leads to it; app owns /usr/bin/app; executed in run"
    )


def test_a_shell_of_nobody_goes() -> None:
    plan = with_shells(["/usr/bin/app"], Reg("usr/local/bin/zsh", PROGRAM, 0o755))
    assert dropped(plan)["/usr/local/bin/zsh"] == "a shell that nothing uses"


def test_another_name_of_a_shells_file_is_told() -> None:
    plan = with_shells(
        ["/usr/bin/app"],
        Reg("opt/bin/sh", PROGRAM, 0o755),
        replace(Hard("opt/bin/box", "opt/bin/sh"), mode=0o755),
    )
    (inside,) = [item for item in plan.findings if item.rule == "shell-inside"]
    assert (inside.path, inside.severity) == ("/opt/bin/box", "warning")
    assert inside.message == "is the same file as /opt/bin/sh: that shell's code stays inside"


def test_shells_keep() -> None:
    plan = with_shells(["/usr/bin/app"], shells="keep")
    assert shells_left(plan) == {"bash", "dash", "rbash", "sh"}
    assert set(decisions(plan).values()) == {"keep"}
    assert rules(plan)["shell-kept"] == "asked for: --shells keep"


@pytest.mark.parametrize("option", ["auto", "remove"])
def test_a_package_that_people_keep_keeps_its_shell(option: str) -> None:
    if option == "auto":
        plan = with_shells(["/usr/bin/app"], keep=("bash",))
        assert shells_left(plan) == {"bash", "rbash"}
        assert rules(plan)["shell-kept"] == "asked for: bash"
        return
    with pytest.raises(SourceError, match=r"^/usr/bin/bash cannot go with --shells remove: asked"):
        with_shells(["/usr/bin/app"], keep=("bash",), shells=option, force=True)


def test_shells_remove_is_refused_when_one_is_needed() -> None:
    with pytest.raises(SourceError) as refusal:
        with_shells(["/usr/bin/app", "/entry.sh"], ENTRY, shells="remove")
    assert refusal.value.exit_code == 4
    assert str(refusal.value) == (
        "the shell /usr/bin/sh is needed (--shells remove): /bin/sh interprets /entry.sh; executed "
        "in run; have the image start its program without a shell (a script's interpreter, the "
        "shell form of Cmd, Entrypoint or Healthcheck) and record again, or overrule with --force"
    )


def test_shells_remove_with_force() -> None:
    plan = with_shells(["/usr/bin/app", "/entry.sh"], ENTRY, shells="remove", force=True)
    assert shells_left(plan) == set()
    assert decisions(plan) == {"app": "keep", "bash": "remove", "dash": "remove"}
    forced = {item.path: item for item in plan.findings if item.rule == "shell-forced"}
    assert set(forced) == {"/usr/bin/sh", "/usr/bin/dash"}
    assert forced["/usr/bin/sh"].severity == "warning"


def test_a_shell_whose_record_cannot_be_edited_stays() -> None:
    image = scene([APP, Pkg("dash", ["/bin/dash"], status="install reinstreq installed")], SHELLS)
    plan = drawn(image, ["/usr/bin/app"])
    assert shells_left(plan) >= {"dash", "sh"}
    with pytest.raises(SourceError, match="its installation broke off"):
        drawn(image, ["/usr/bin/app"], shells="remove", force=True)


# -- what people ask


def test_a_link_that_people_drop_keeps_nothing() -> None:
    packages = [pkg("app", "/usr/bin/app", "/usr/share/app"), pkg("data", "/usr/share/data")]
    image = scene(packages, [Lnk("usr/share/app", "data")])
    assert decisions(drawn(image, ["/usr/bin/app"])) == {"app": "keep", "data": "keep"}
    plan = drawn(image, ["/usr/bin/app"], drop=("/usr/share/app",))
    assert decisions(plan) == {"app": "partial", "data": "remove"}


def test_a_link_that_people_keep_stays_though_they_drop_its_target() -> None:
    image = scene([APP], [Lnk("srv/link", "target"), Reg("srv/target")])
    plan = drawn(image, ["/usr/bin/app"], keep=("/srv/link",), drop=("/srv/target",))
    assert set(dropped(plan)) == {"/srv/target"}


def test_a_link_whose_record_cannot_be_edited_stays() -> None:
    mute = Pkg("mute", ["/usr/share/mute"], status="install reinstreq installed")
    image = scene([APP, mute], [Lnk("usr/share/mute", "/srv/x"), Reg("srv/x")])
    plan = drawn(image, ["/usr/bin/app"], drop=("/srv/x",))
    assert set(dropped(plan)) == {"/srv/x"}
    assert rules(plan)["drop-needed"].startswith("goes (/srv/x), though needed: /usr/share/mute, a")


def test_what_another_package_has_too_stays_used_when_people_drop_one() -> None:
    image = scene([pkg("a", "/usr/share/both"), pkg("b", "/usr/share/both", "/usr/share/b")])
    plan = drawn(image, ["/usr/share/both"], drop=("a",))
    assert decisions(plan) == {"a": "remove", "b": "keep"}
    assert dropped(plan) == {}


def test_what_people_drop_goes_though_needed_and_is_told() -> None:
    image = scene([APP, pkg("lib", "/usr/lib/a", "/usr/lib/b"), SPARE])
    used = ["/usr/bin/app", "/usr/lib/a", "/usr/lib/b"]
    plan = drawn(image, used, drop=("app", "/lib/*"))
    assert decisions(plan) == {"app": "remove", "lib": "remove", "spare": "remove"}
    assert reasons(plan)["app"] == "asked for: app"
    told = [(item.path, item.count, item.message) for item in plan.findings]
    assert told == [
        ("", 1, "app goes (app), though needed: executed in run"),
        ("/usr/lib/a", 2, "goes (/lib/*), though needed: executed in run"),
    ]


@pytest.mark.parametrize(("drop", "named"), [("app", "app"), ("/usr/bin/a*", "/usr/bin/a*")])
def test_what_the_config_starts_is_dropped_by_force_alone(drop: str, named: str) -> None:
    image = scene([APP, SPARE], execution=Execution(entrypoint=("app",)))
    with pytest.raises(SourceError) as refusal:
        drawn(image, ["/usr/bin/spare"], drop=(drop,))
    assert refusal.value.exit_code == 4
    assert str(refusal.value) == (
        f"/usr/bin/app cannot be dropped ({named}): started by the image's Entrypoint, and the "
        "image would not start; leave it out, or overrule with --force"
    )
    plan = drawn(image, ["/usr/bin/spare"], drop=(drop,), force=True)
    assert "/usr/bin/app" in dropped(plan)


def test_what_people_keep_of_a_package_that_they_drop_keeps_what_it_loads() -> None:
    nodes = [
        Reg("usr/bin/tool", elf(needed=["libq.so.1"]), 0o755),
        Reg("usr/lib/libq.so.1", elf(soname="libq.so.1")),
    ]
    packages = [APP, pkg("p", "/usr/bin/tool", "/usr/share/p"), pkg("q", "/usr/lib/libq.so.1")]
    plan = drawn(scene(packages, nodes), ["/usr/bin/app"], drop=("p",), keep=("/usr/bin/tool",))
    assert decisions(plan) == {"app": "keep", "p": "partial", "q": "keep"}
    assert set(dropped(plan)) == {"/usr/share/p"}
    assert "/usr/bin/tool" in plan.programs
    assert rules(plan)["drop-needed"] == (
        "p goes but for what is kept of it (p), though needed: p owns /usr/bin/tool; asked for: "
        "/usr/bin/tool"
    )


def test_shells_that_people_keep_stay_with_what_they_load() -> None:
    nodes = [*SHELLS, Reg("usr/bin/bash", elf(needed=["libtinfo.so"]), 0o755)]
    tinfo = pkg("libtinfo", "/usr/lib/libtinfo.so")
    image = scene([APP, BASH, DASH, tinfo], [*nodes, Reg("usr/lib/libtinfo.so", PROGRAM)])
    plan = drawn(image, ["/usr/bin/app"], shells="keep", drop=("bash",))
    assert decisions(plan)["libtinfo"] == "keep"
    assert "/usr/bin/bash" not in dropped(plan)


def test_an_essential_package_that_goes_is_told_once() -> None:
    packages = [
        pkg(name, f"/usr/bin/{name}", more="Essential: yes\n") for name in ("a", "b", "app")
    ]
    (note,) = drawn(scene(packages), ["/usr/bin/app"]).findings
    assert (note.rule, note.severity, note.count) == ("essential-removed", "note", 2)
    assert note.message == "packages marked Essential go: a, b"


def test_a_pattern_that_names_nothing_is_told() -> None:
    plan = drawn(scene([APP]), ["/usr/bin/app"], keep=("ap", "/usr/bin/*"), drop=("/nowhere/*",))
    found = [(item.severity, item.message) for item in plan.findings]
    assert found == [
        ("warning", "ap (to keep) names nothing in the image"),
        ("note", "/nowhere/* (to drop) names nothing in the image"),
    ]


def test_an_image_without_a_database_loses_shells_and_leftovers_alone() -> None:
    nodes = [Reg("bin/sh", PROGRAM, 0o755), Reg("app", PROGRAM, 0o755), Reg("var/log/dpkg.log")]
    plan = drawn(seen(tar_layer(nodes)), ["/app"])
    assert dropped(plan) == {"/bin/sh": "a shell that nothing uses", "/var/log/dpkg.log": CACHE}
    assert rules(plan) == {
        "package-database": "the image has no package database; its files stay, but shells and "
        "leftovers"
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"keep": ("app",), "drop": ("a*",)},
            "app is to be kept (app) and dropped (a*); take one away",
        ),
        (
            {"keep": ("/usr/bin/app",), "drop": ("/usr",)},
            "/usr/bin/app is to be kept (/usr/bin/app) and dropped (/usr); take one away",
        ),
        (
            {"drop": ("mute",)},
            "mute cannot be dropped (mute): its record cannot be edited, its installation broke "
            "off (install reinstreq installed)",
        ),
        (
            {"drop": ("/usr/bin/m*",)},
            "/usr/bin/mute cannot be dropped (/usr/bin/m*): the record of mute cannot be edited, "
            "its installation broke off (install reinstreq installed)",
        ),
        (
            {"drop": ("/var/lib/dpkg/status",)},
            "/var/lib/dpkg/status cannot be dropped (/var/lib/dpkg/status): it is the package "
            "database's, which changes only with the packages",
        ),
        ({"drop": ("/usr/[",)}, "drop: '[' is never closed: '['; a bracket itself is '[[]'"),
    ],
)
def test_what_is_refused(options: dict[str, Any], message: str) -> None:
    image = scene([APP, Pkg("mute", ["/usr/bin/mute"], status="install reinstreq installed")])
    with pytest.raises(SourceError) as refusal:
        drawn(image, ["/usr/bin/app"], **options)
    assert str(refusal.value) == message
    assert refusal.value.exit_code == 4


def test_an_unsupported_database_is_refused() -> None:
    with pytest.raises(SourceError) as refusal:
        drawn(scene([APP], [Reg("var/lib/rpm/rpmdb.sqlite", "x")]), ["/usr/bin/app"])
    assert "rpmdb.sqlite" in str(refusal.value)
    assert str(refusal.value).endswith("so nothing can be removed; squash works without it")


def test_the_profiles_keep_and_drop_count_like_the_options() -> None:
    of = profile(
        ["/usr/bin/app"],
        keep=Keep(packages=("spare",)),
        drop=Drop(paths=("/srv/x",)),
    )
    plan = drawn(scene([APP, SPARE], [Reg("srv/x"), Reg("srv/y")]), of=of)
    assert decisions(plan) == {"app": "keep", "spare": "keep"}
    assert dropped(plan) == {"/srv/x": "asked for: /srv/x"}


def test_a_recording_of_another_image_is_told() -> None:
    of = profile(["/usr/bin/app"], digest=f"sha256:{'0' * 64}")
    (warning,) = drawn(scene([APP]), of=of).findings
    assert (warning.rule, warning.severity) == ("profile-other-image", "warning")
    assert warning.message == "recorded on another digest than the source's: run"


def test_a_kept_document_is_kept_though_the_profile_opened_it() -> None:
    image = scene([APP, pkg("docs", "/usr/share/doc/d", "/usr/share/doc/e")])
    of = profile(["/usr/bin/app"], opened=["/usr/share/doc/d"])
    plan = drawn(image, of=of, keep=("/usr/share/doc/d",))
    assert decisions(plan) == {"app": "keep", "docs": "partial"}
    assert reasons(plan)["docs"] == "/usr/share/doc/d stays: asked for: /usr/share/doc/d"
    (docs,) = [item for item in plan.packages if item.id == "docs"]
    assert (docs.files, docs.dropped) == (2, 1)


def test_totals_count_what_was_and_what_is_left() -> None:
    image = scene([APP, SPARE], [Reg("srv/a", b"12345"), Hard("srv/b", "srv/a")])
    plan = drawn(image, ["/usr/bin/app"])
    assert plan.totals.packages == (2, 1)
    database = [item for item in plan.paths if item.path.startswith(f"/{HOME}/")]
    gone = sum(item.decision == "drop" for item in database) + 1
    before, after = plan.totals.files
    assert before - after == gone
    bytes_before, bytes_after = plan.totals.bytes
    status = next(item for item in database if item.path.endswith("/status"))
    lists = sum(item.bytes for item in database if item.decision == "drop")
    size = image.rootfs.nodes
    shrunk = next(inode.entry.size for path, inode in size.items() if path.endswith("/status"))
    assert bytes_before - bytes_after == len("/usr/bin/spare") + lists + shrunk - status.bytes


CODE = """
from tests.plan.test_draw import with_shells, edited, ENTRY
used = ["/usr/bin/app", "/etc/bash.bashrc"]
print(with_shells(used, ENTRY, keep=("b*",)).digest, edited(["/x"]).digest)
"""


def test_the_same_plan_whatever_the_hash_seed() -> None:
    digests = {
        subprocess.run(
            [sys.executable, "-c", CODE],
            env={"PYTHONHASHSEED": seed, "PATH": ""},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "2")
    }
    assert len(digests) == 1
