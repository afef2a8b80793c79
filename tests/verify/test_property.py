"""Small random images, hardened: what verify proves, and what it means to be done."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from careen.errors import SourceError
from careen.oci.config import Execution
from careen.plan.closure import Scene
from careen.plan.plan import Plan
from careen.rootfs.path import Path
from careen.verify import judge
from careen.verify.judge import Sight
from tests.builders import Dir, Hard, Lnk, Node, Reg, tar_layer
from tests.elf_builder import elf
from tests.packages import apk_root, dpkg_root
from tests.packages.dpkg_root import Pkg, md5
from tests.plan.scenes import applied, drawn, profile, seen
from tests.verify.test_against import DOCUMENT, MANIFEST, image

FILES = [
    *(f"usr/bin/{name}" for name in ("app", "tool", "dash", "sh", "bash", "python3", "busybox")),
    *(f"usr/lib/lib{name}.so" for name in "abc"),
    *(f"usr/lib/python3/{name}.py" for name in "xy"),
    "usr/lib/python3/__pycache__/x.cpython-311.pyc",
    "usr/share/doc/p/copyright",
    "usr/share/doc/p/NEWS",
    "usr/share/d/e/1",
    "usr/share/d/2",
    "etc/a.conf",
    "etc/alternatives/editor",
    "opt/own",
    "var/log/dpkg.log",
    "var/lib/s/state",
]
DIRECTORIES = ["usr/share/d", "usr/share/d/e", "usr/lib/python3", "var/lib/s", "usr/share/doc/p"]
NAMES = ["app", "libc6", "libgcc-s1", "tzdata", "base"]
ALTERNATIVE = "auto\n/usr/bin/editor\n\n/usr/bin/tool\n9\n/usr/bin/app\n5\n\n"
paths = st.sampled_from(FILES)
some = st.lists(paths, max_size=4, unique=True)


@st.composite
def node(draw: st.DrawFn, path: str) -> Node:
    """A file of any kind at `path`."""
    kind = draw(st.sampled_from(["elf", "script", "link", "hard", "text", "text"]))
    if kind == "elf":
        needed = draw(st.lists(st.sampled_from(["liba.so", "libb.so", "libc.so"]), max_size=2))
        return Reg(path, elf(needed=needed), 0o755)
    if kind == "script":
        return Reg(path, f"#!/{draw(st.sampled_from(['bin/sh', 'usr/bin/python3']))}\n", 0o755)
    if kind == "link":
        return Lnk(path, f"/{draw(st.sampled_from([*FILES, *DIRECTORIES]))}")
    if kind == "hard":
        return replace(Hard(path, draw(paths)), mode=0o755)
    return Reg(path, path, 0o755)


@st.composite
def nodes(draw: st.DrawFn) -> list[Node]:
    """Files, each link's target before it; what leads nowhere stays out."""
    found: dict[str, Node] = {}
    for path in sorted(draw(st.sets(paths, min_size=4))):
        one = draw(node(path))
        if one.type == b"1" and found.get(one.linkname, one).type != b"0":
            one = Reg(path, path)
        found[path] = one
    return [*map(Dir, DIRECTORIES), *found.values()]


@st.composite
def package(draw: st.DrawFn, name: str) -> Pkg:
    listed = [f"/{path}" for path in draw(st.lists(paths, max_size=8, unique=True))]
    status = draw(st.sampled_from(["install ok installed"] * 8 + ["install reinstreq installed"]))
    lines = draw(st.sampled_from(["", "Essential: yes\n", "Depends: libc6\n", "Provides: mta\n"]))
    directories = [f"/{path}" for path in draw(st.lists(st.sampled_from(DIRECTORIES), unique=True))]
    digests = "".join(f"{md5(path)}  {path[1:]}\n" for path in listed)
    info = {"list": "".join(f"{path}\n" for path in ("/.", *directories, *listed))}
    return Pkg(name, listed, status=status, more=lines, info={**info, "md5sums": digests})


@st.composite
def installed(draw: st.DrawFn) -> list[Node]:
    """Packages on record in a database of one kind or another, or in none, with their files.

    A table makes every listed file; those of `nodes` win.
    """
    names = draw(st.lists(st.sampled_from(NAMES), unique=True))
    listed = [draw(package(name)) for name in names]
    found = draw(nodes())
    match draw(st.sampled_from(["status", "status", "status.d", "apk", "none"])):
        case "status":
            files = {"alternatives/editor": ALTERNATIVE} if draw(st.booleans()) else {}
            return dpkg_root.table(listed, files, nodes=found)
        case "status.d":
            records = {f"status.d/{one.name}": one.stanza for one in listed}
            sums = {f"status.d/{one.name}.md5sums": one.info["md5sums"] for one in listed}
            rows = dpkg_root.table(listed, records | sums, nodes=found)
            alone = ("var/lib/dpkg/status", *(f"{dpkg_root.HOME}/info/{n}." for n in names))
            return [row for row in rows if not row.name.startswith(alone) or "status.d" in row.name]
        case "apk":
            packages = [
                apk_root.Pkg(one.name, one.files, more=draw(st.sampled_from(["", "D:libc6\n"])))
                for one in listed
            ]
            return apk_root.table(packages, nodes=found)
    return [*dpkg_root.USRMERGE, *found]


@st.composite
def scenes(draw: st.DrawFn) -> Scene:
    rows = draw(installed())
    absent = set(draw(some)) - {one.linkname for one in rows if one.type == b"1"}
    first = draw(st.sampled_from(["app", "sh", "/opt/own", "none"]))
    execution = Execution(
        entrypoint=draw(st.sampled_from([(), (first,), ("sh", "-c", "tool x")])),
        command=draw(st.sampled_from([(), ("tool",)])),
        working_dir=draw(st.sampled_from(["", "/var/lib/s"])),
        volumes=draw(st.sampled_from([(), ("/usr/share/d/e",)])),
    )
    return seen(tar_layer([one for one in rows if one.name not in absent]), execution)


wishes = st.lists(
    st.sampled_from(["/usr/share/**", "/usr/bin/s*", "/etc/*.conf", "tzdata", "base", "/opt/own"]),
    max_size=1,
).map(tuple)
options = st.fixed_dictionaries(
    {
        "policy": st.sampled_from(["conservative", "standard", "strict"]),
        "shells": st.sampled_from(["auto", "auto", "keep", "remove"]),
        "force": st.booleans(),
        "keep": wishes,
        "drop": wishes,
        "granularity": st.sampled_from(["package", "file"]),
    }
)


def planned(scene: Scene, used: list[str], chosen: dict[str, Any]) -> Plan:
    try:
        return drawn(scene, of=profile([f"/{path}" for path in used]), **chosen)
    except SourceError:  # a shell that is needed, a wish against another
        assume(False)
        raise


@settings(
    max_examples=80,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
@given(scenes(), some, options)
def test_what_harden_made_is_sound_and_done(
    before: Scene, used: list[str], chosen: dict[str, Any]
) -> None:
    plan = planned(before, used, chosen)
    after = seen(applied(before, plan), before.execution)
    source = image(DOCUMENT | {"config": {}}, MANIFEST)
    broken_by_wish = any(item.rule in ("drop-needed", "shell-forced") for item in plan.findings)

    # Verify finds no error: what people took though it was needed is a warning.
    findings = judge.against(
        Sight(image=source, scene=after), Sight(image=source, scene=before), plan
    )
    wrong = [item for item in findings if item.severity == "error"]
    assert not wrong

    # No removed package has a file of its own left, and no kept one lost any.
    dropped = {Path(item.path[1:]) for item in plan.paths if item.decision == "drop"}
    for item in plan.packages:
        for path in before.catalog.packages[item.id].paths:
            there = path in before.rootfs and before.rootfs.nodes[path].kind != "directory"
            if there and item.decision == "remove":
                assert path not in after.rootfs or path in after.catalog.owners
            elif there and item.decision == "keep":
                assert path in after.rootfs
            elif there:
                assert (path in after.rootfs) is (path not in dropped)

    # Hardened again with the same profile, nothing more goes.
    again = drawn(after, of=profile([f"/{path}" for path in used]), **chosen)
    if not broken_by_wish:
        assert again.paths == ()
        assert {item.decision for item in again.packages} <= {"keep", "partial"}
