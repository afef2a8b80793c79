"""File granularity: what goes of packages that stay, and which of them stay whole."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from careen.errors import SourceError
from careen.plan.closure import Scene
from careen.plan.plan import Plan
from careen.profile.profile import Image, Keep, Profile
from tests.builders import Lnk, Node, Reg
from tests.elf_builder import elf
from tests.packages.dpkg_root import Pkg
from tests.plan.scenes import decisions, drawn, dropped, pkg, profile, reasons, rules, scene

UNUSED = "nothing uses it in app (--granularity file)"
APP = pkg(
    "app",
    "/usr/bin/app",
    "/usr/bin/app-tool",
    "/usr/include/app.h",
    "/usr/share/app/data",
    "/usr/share/app/examined",
    "/usr/share/bash-completion/completions/app",
    "/usr/share/doc/app/README",
    "/usr/share/doc/app/copyright",
    dirs=["/usr/share/app", "/usr/share/doc/app"],
    conffiles=["/etc/app.conf"],
)
USED = profile(["/usr/bin/app"], examined=["/usr/share/app/examined"])


def by_file(source: Scene, of: Profile = USED, **options: Any) -> Plan:
    return drawn(source, of=of, granularity="file", **options)


def test_what_nothing_uses_goes_and_the_package_is_partial() -> None:
    plan = by_file(scene([APP]))
    assert dropped(plan) == dict.fromkeys(
        [
            "/etc/app.conf",
            "/usr/bin/app-tool",
            "/usr/include/app.h",
            "/usr/share/app/data",
            "/usr/share/bash-completion/completions/app",
            "/usr/share/doc/app/README",
        ],
        UNUSED,
    )
    assert decisions(plan) == {"app": "partial"}
    assert reasons(plan) == {"app": "/usr/bin/app: executed in run"}


def test_at_package_granularity_the_same_package_stays_whole() -> None:
    plan = drawn(scene([APP]), of=USED)
    assert (decisions(plan), dropped(plan)) == ({"app": "keep"}, {})


def test_the_record_of_a_partial_package_loses_what_went() -> None:
    plan = by_file(scene([APP]))
    replaced = [item for item in plan.paths if item.decision == "replace"]
    changed = {item.path.rpartition("/")[2]: item.data() for item in replaced}
    assert b"/usr/bin/app\n" in changed["app.list"]
    assert b"app-tool" not in changed["app.list"] + changed["app.md5sums"]
    assert b"/etc/app.conf" not in changed["app.conffiles"] + changed["status"]


PROGRAM: list[Node] = [
    Reg("usr/bin/app", elf(needed=["libuse.so.1"]), mode=0o755),
    Reg("usr/bin/app-tool", elf(needed=["libtool.so.1"]), mode=0o755),
    Reg("usr/lib/libuse.so.1", elf(soname="libuse.so.1")),
    Reg("usr/lib/libtool.so.1", elf(soname="libtool.so.1")),
]
LIBRARIES = [pkg("libuse", "/usr/lib/libuse.so.1"), pkg("libtool", "/usr/lib/libtool.so.1")]


def test_an_unused_program_of_a_used_package_keeps_no_library() -> None:
    source = scene([APP, *LIBRARIES], PROGRAM)
    assert decisions(by_file(source)) == {"app": "partial", "libuse": "keep", "libtool": "remove"}
    assert decisions(drawn(source, of=USED))["libtool"] == "keep"


STAY: dict[str, tuple[list[Pkg], list[Node], Profile, dict[str, Any]]] = {
    "asked to be kept": ([APP], [], profile(keep=Keep(packages=("app",))), {}),
    "a data package": (
        [APP, pkg("tzdata", "/usr/share/zoneinfo/UTC", "/usr/share/zoneinfo/GMT")],
        [],
        profile(["/usr/bin/app"], opened=["/usr/share/zoneinfo/UTC"]),
        {},
    ),
    "depended on, policy conservative": (
        [
            pkg("app", "/usr/bin/app", more="Depends: needed\n"),
            pkg("needed", "/usr/bin/n", "/usr/share/n"),
        ],
        [],
        profile(["/usr/bin/app", "/usr/bin/n"]),
        {"policy": "conservative"},
    ),
    "its record cannot be edited": (
        [APP, Pkg("broken", ["/usr/bin/broken"], info={"list": "/usr/bin/broken"})],
        [],
        USED,
        {},
    ),
}


@pytest.mark.parametrize("case", STAY)
def test_packages_that_stay_by_decision_stay_whole(case: str) -> None:
    packages, nodes, of, options = STAY[case]
    plan = by_file(scene(packages, nodes), of, **options)
    assert decisions(plan)[packages[-1].name] == "keep"


def test_a_path_of_several_packages_stays_while_a_whole_one_owns_it() -> None:
    app = pkg("app", "/usr/bin/app", "/usr/share/both")
    tz = pkg("tzdata", "/usr/share/zoneinfo/UTC", "/usr/share/both")
    assert dropped(by_file(scene([app, tz]))) == {}


def test_roads_stay_whether_or_not_somebody_walked_them() -> None:
    app = pkg("app", "/usr/bin/app", "/usr/lib/road", "/usr/lib/dead", "/usr/lib/x/y")
    links = [Lnk("usr/lib/road", "x"), Lnk("usr/lib/dead", "x/y"), Reg("srv/own", "mine")]
    plan = by_file(scene([app], links))
    assert set(dropped(plan)) == {"/usr/lib/dead", "/usr/lib/x/y"}


def test_what_a_companion_is_needed_for_stays_of_it() -> None:
    ssl = pkg("libssl3", "/usr/lib/libssl.so.3")
    certificates = pkg("ca-certificates", "/etc/ssl/certs/ca.crt")
    openssl = pkg("openssl", "/usr/bin/openssl", "/usr/lib/ssl/certs", "/usr/lib/ssl/misc/CA.pl")
    links = [Lnk("usr/lib/ssl/certs", "/etc/ssl/certs")]
    plan = by_file(scene([ssl, certificates, openssl], links), profile(["/usr/lib/libssl.so.3"]))
    assert set(dropped(plan)) == {"/usr/bin/openssl", "/usr/lib/ssl/misc/CA.pl"}


def test_an_application_that_no_package_owns_stays() -> None:
    source = scene([APP], [Reg("srv/app/unused.py"), Reg("srv/app/used.py")])
    assert not [path for path in dropped(by_file(source)) if path.startswith("/srv")]


def test_hardening_the_result_again_drops_nothing() -> None:
    first = by_file(scene([APP]))
    left = [path for path in APP.files if path not in dropped(first)]
    assert dropped(by_file(scene([pkg("app", *left)]))) == {}


def elsewhere(platform: str, *opened: str) -> Profile:
    (one,) = profile(["/usr/bin/app"], opened=opened).scenarios
    return Profile(scenarios=(msgspec.structs.replace(one, image=Image(platform=platform)),))


TRANSLATED = {
    "/usr/lib/aarch64-linux-gnu/libz.so.1": "/usr/lib/x86_64-linux-gnu/libz.so.1",
    "/usr/lib/python3/_x.cpython-311-aarch64-linux-gnu.so": (
        "/usr/lib/python3/_x.cpython-311-x86_64-linux-gnu.so"
    ),
    "/lib/ld-musl-aarch64.so.1": "/lib/ld-musl-x86_64.so.1",
    "/lib/libc.musl-aarch64.so.1": "/lib/libc.musl-x86_64.so.1",
}


@pytest.mark.parametrize("there", TRANSLATED)
def test_a_path_of_another_platform_counts_as_this_ones(there: str) -> None:
    source = scene([APP, pkg("other", TRANSLATED[there])])
    plan = drawn(source, of=elsewhere("linux/arm64/v8", there))
    assert decisions(plan)["other"] == "keep"
    assert "profile-other-platform" in rules(plan)


@pytest.mark.parametrize("there", ["/srv/aarch64-linux-gnu2/x", "/srv/xaarch64-linux-gnu/x"])
def test_a_name_that_only_looks_like_a_platforms_is_left_alone(there: str) -> None:
    plan = drawn(scene([APP]), of=elsewhere("linux/arm64", there))
    assert plan.absent == (there,)


def test_a_variant_of_the_same_architecture_is_the_same_platform() -> None:
    plan = by_file(scene([APP]), elsewhere("linux/amd64/v2"))
    assert "profile-other-platform" not in rules(plan)


def test_by_file_is_refused_with_a_profile_of_another_platform() -> None:
    with pytest.raises(SourceError, match=r"run was recorded on linux/arm64, .*leave out --gran"):
        by_file(scene([APP]), elsewhere("linux/arm64"))
