"""The named rules of leftovers, each name of their lists; `test_draw` has how they act together."""

from __future__ import annotations

import pytest

from careen.oci.config import Execution
from careen.plan.rules import CACHES, LASTING_DIRECTORIES, TOOL_CACHES
from tests.builders import Dir, Lnk, Reg
from tests.plan.scenes import decisions, drawn, dropped, pkg, profile, scene

APP = pkg("app", "/usr/bin/app")
SPARE = pkg("spare", "/usr/bin/spare", "/usr/lib/python3/spare.py")
PYC = "usr/lib/python3/__pycache__/spare.cpython-311.pyc"


def sample(pattern: str) -> str:
    """A path that the pattern covers."""
    return pattern.replace("**", "some/thing").replace("*", "some").lstrip("/")


@pytest.mark.parametrize("pattern", CACHES)
def test_caches_of_package_managers(pattern: str) -> None:
    path = sample(pattern)
    image = scene([APP], [Reg(path), Reg(f"srv/{path}"), Reg("var/cache/own"), Reg("var/log/own")])
    plan = drawn(image, ["/usr/bin/app"])
    assert dropped(plan) == {f"/{path}": "a package manager's cache, list or log"}
    assert dropped(drawn(image, ["/usr/bin/app"], keep=("/var/**",))) == {}


@pytest.mark.parametrize("tool", TOOL_CACHES)
def test_a_cache_of_a_tool_goes_with_it_alone(tool: str) -> None:
    paths = [sample(pattern) for pattern in TOOL_CACHES[tool]]
    image = scene([APP, pkg(tool, f"/usr/bin/{tool}")], [Reg(path) for path in paths])
    assert dropped(drawn(image, ["/usr/bin/app"])) == {
        f"/usr/bin/{tool}": f"its package {tool} goes",
        **{f"/{path}": f"a cache of {tool}, which goes" for path in paths},
    }
    assert dropped(drawn(image, [f"/usr/bin/{tool}", "/usr/bin/app"])) == {}


@pytest.mark.parametrize("tool", TOOL_CACHES)
def test_a_cache_of_a_tool_of_which_something_stays_is_kept(tool: str) -> None:
    paths = [sample(pattern) for pattern in TOOL_CACHES[tool]]
    readme = f"/usr/share/doc/{tool}/README"
    half = pkg(tool, f"/usr/bin/{tool}", readme)
    image = scene([APP, half], [Reg(path) for path in paths])
    plan = drawn(image, ["/usr/bin/app"], keep=(readme,))
    assert decisions(plan)[tool] == "partial"
    assert set(dropped(plan)) == {f"/usr/bin/{tool}"}
    foreign = pkg(tool, f"/usr/bin/{tool}32", arch="i386", same=True)
    both = scene([APP, half, foreign], [Reg(path) for path in paths], files={"arch": "amd64\n"})
    plan = drawn(both, ["/usr/bin/app", f"/usr/bin/{tool}"])
    assert decisions(plan) == {"app": "keep", tool: "keep", f"{tool}:i386": "remove"}
    assert set(dropped(plan)) == {f"/usr/bin/{tool}32"}


@pytest.mark.parametrize(
    ("place", "kept", "goes"),
    [
        (PYC, (), True),
        (PYC.replace("spare.", "spare.extra."), (), True),
        (PYC.replace("spare.", "spared."), (), False),
        (PYC.replace("__pycache__", "cache"), (), False),
        (f"srv/{PYC}", (), False),
        (PYC, (f"/{PYC}",), False),
    ],
    ids=range(6),
)
def test_bytecode(place: str, kept: tuple[str, ...], goes: bool) -> None:
    plan = drawn(scene([APP, SPARE], [Reg(place)]), ["/usr/bin/app"], keep=kept)
    reason = "bytecode of /usr/lib/python3/spare.py, which goes" if goes else None
    assert dropped(plan).get(f"/{place}") == reason


@pytest.mark.parametrize(
    ("link", "kept", "lost"),
    [
        ("/usr/bin/spare", (), "/usr/bin/spare"),
        ("../usr/bin/spare", (), "/usr/bin/spare"),
        ("/bin/spare", (), "/usr/bin/spare"),
        ("between", (), "/srv/between"),
        ("/usr/bin/app", (), None),
        ("/usr/bin", (), None),
        ("/usr/bin/never", (), None),
        ("/usr/bin/spare", ("/srv/link",), None),
    ],
    ids=range(8),
)
def test_links(link: str, kept: tuple[str, ...], lost: str | None) -> None:
    nodes = [Lnk("srv/link", link), Lnk("srv/between", "/usr/bin/spare"), Lnk("bin", "usr/bin")]
    plan = drawn(
        scene([APP, pkg("spare", "/usr/bin/spare")], nodes),
        ["/usr/bin/app"],
        keep=kept,
        drop=("/usr/bin/spare",) if kept else (),
    )
    reason = f"leads to {lost}, which goes" if lost else None
    assert dropped(plan).get("/srv/link") == reason


@pytest.mark.parametrize("path", sorted(LASTING_DIRECTORIES))
def test_directories_that_last(path: str) -> None:
    spare = pkg("spare", "/usr/bin/spare", dirs=[f"/{path}", "/opt/spare"])
    plan = drawn(scene([APP, spare], [Dir(path), Dir("opt/spare")]), ["/usr/bin/app"])
    assert f"/{path}" not in dropped(plan)
    assert dropped(plan)["/opt/spare"] == "empty once its packages are gone"


@pytest.mark.parametrize(
    ("execution", "lasts"),
    [
        (Execution(), False),
        (Execution(volumes=("/link/",)), True),
        (Execution(working_dir="/opt/spare"), True),
        (Execution(user="7:0"), True),
        (Execution(user="other"), False),
    ],
    ids=range(5),
)
def test_directories_that_the_config_counts_on(execution: Execution, lasts: bool) -> None:
    spare = pkg("spare", "/usr/bin/spare", dirs=["/opt/spare"])
    nodes = [
        Dir("opt/spare"),
        Lnk("link", "opt/spare"),
        Reg("etc/passwd", "me:x:7:7::/opt/spare:/x\nother:x:8:8::/:/x\n"),
    ]
    plan = drawn(scene([APP, spare], nodes, execution=execution), of=profile(["/usr/bin/app"]))
    assert ("/opt/spare" not in dropped(plan)) is lasts
