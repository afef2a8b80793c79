"""Packages that go whole or stay whole: rpm's, whose signed records cannot lose single files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from careen.errors import SourceError
from careen.oci.config import Execution
from careen.plan.closure import Scene
from careen.plan.plan import Plan
from careen.profile.profile import Keep
from tests.builders import Dir, Lnk, Node, Reg, tar_layer
from tests.elf_builder import elf
from tests.packages.rpm_root import DATABASE, HOME, Pkg, ndb, table
from tests.plan.scenes import decisions, drawn, dropped, profile, reasons, rules, seen

APP = Pkg("app", files=["/usr/bin/app", "/usr/share/app/data", "/usr/share/app/more"])
SPARE = Pkg("spare", files=["/usr/bin/spare", "/usr/share/doc/spare/README"])
BASH = Pkg("bash", files=["/usr/bin/bash", "/usr/bin/bashbug"])
SHELL: list[Node] = [
    Reg("usr/bin/bash", elf(needed=["libtinfo.so.6"]), mode=0o755),
    Reg("usr/lib64/libtinfo.so.6", elf(soname="libtinfo.so.6")),
    Lnk("usr/bin/sh", "bash"),
]
TINFO = Pkg("ncurses-libs", files=["/usr/lib64/libtinfo.so.6"])
WHOLE = ["/usr/bin/spare", "/usr/share/doc/spare/README"]


def scene(
    packages: Sequence[Pkg], *nodes: Node, execution: Execution | None = None, **more: Any
) -> Scene:
    return seen(tar_layer(table(packages, *nodes, **more)), execution)


def gone(plan: Plan) -> list[str]:
    return [path for path in dropped(plan) if not path.startswith(f"/{HOME}")]


def test_what_nothing_uses_goes_whole() -> None:
    plan = drawn(scene([APP, SPARE]), ["/usr/bin/app"])
    assert decisions(plan) == {"app": "keep", "spare": "remove"}
    assert gone(plan) == WHOLE
    assert [item.path for item in plan.paths if item.decision == "replace"] == [f"/{DATABASE}"]


def test_by_file_a_used_package_stays_whole_too() -> None:
    plan = drawn(scene([APP, SPARE]), ["/usr/bin/app"], granularity="file")
    assert decisions(plan) == {"app": "keep", "spare": "remove"}
    assert gone(plan) == WHOLE


def test_a_path_asked_to_keep_keeps_its_package_even_if_it_is_a_document() -> None:
    plan = drawn(scene([APP, SPARE]), ["/usr/bin/app"], keep=("/usr/share/doc/spare/*",))
    assert (decisions(plan)["spare"], gone(plan)) == ("keep", [])
    assert reasons(plan)["spare"] == (
        "it stays whole or not at all, and /usr/share/doc/spare/README is asked for "
        "(/usr/share/doc/spare/*)"
    )


def test_a_file_of_the_database_keeps_the_package_that_owns_it() -> None:
    rpm = Pkg("rpm", files=["/usr/bin/rpm", f"/{HOME}/note"])
    plan = drawn(scene([APP, rpm]), ["/usr/bin/app"])
    assert (decisions(plan)["rpm"], gone(plan)) == ("keep", [])
    assert f"/{HOME}/note is the package database's" in reasons(plan)["rpm"]
    with pytest.raises(SourceError, match=r"rpm cannot be dropped .*: it goes whole, and /var"):
        drawn(scene([APP, rpm]), ["/usr/bin/app"], drop=("rpm",))


def test_a_dropped_package_of_which_a_file_is_asked_for_is_refused() -> None:
    of = profile(["/usr/bin/app"], keep=Keep(paths=("/usr/bin/spare",)))
    with pytest.raises(SourceError, match=r"spare cannot be dropped .*: it goes whole"):
        drawn(scene([APP, SPARE]), of=of, drop=("spare",))


def test_a_path_of_a_package_that_stays_is_not_dropped() -> None:
    with pytest.raises(SourceError) as caught:
        drawn(scene([APP, SPARE]), ["/usr/bin/app"], drop=("/usr/share/app/more",))
    assert str(caught.value) == (
        "/usr/share/app/more cannot be dropped (/usr/share/app/more): app owns it and stays whole, "
        "/usr/bin/app: executed in run; drop the package, or leave the path"
    )


def test_a_path_goes_with_its_package() -> None:
    for path in ("/usr/bin/spare", "/usr/share/doc/spare/**"):
        plan = drawn(scene([APP, SPARE]), ["/usr/bin/app"], drop=(path,))
        assert decisions(plan)["spare"] == "remove", path


def test_a_directory_of_a_package_that_stays_is_passed_over() -> None:
    app = Pkg("app", files=["/usr/bin/app", "/usr/share/app/"])
    source = scene([app, SPARE], Dir("usr/share/app"), Reg("usr/share/app/own"))
    plan = drawn(source, ["/usr/bin/app"], drop=("/usr/share/app",))
    assert gone(plan) == ["/usr/bin/spare", "/usr/share/app/own", "/usr/share/doc/spare/README"]


def test_a_document_that_a_link_leads_to_keeps_its_package() -> None:
    app = Pkg("app", files=["/usr/bin/app", "/usr/share/man/man1/app.1"])
    link = Lnk("usr/share/man/man1/app.1", "../../doc/spare/README")
    plan = drawn(scene([app, SPARE], link), ["/usr/bin/app"])
    assert decisions(plan) == {"app": "keep", "spare": "keep"}


def test_a_shell_that_nothing_uses_goes_with_its_package() -> None:
    plan = drawn(scene([APP, BASH, TINFO], *SHELL), ["/usr/bin/app"])
    assert decisions(plan) == {"app": "keep", "bash": "remove", "ncurses-libs": "remove"}
    assert gone(plan) == [
        "/usr/bin/bash",
        "/usr/bin/bashbug",
        "/usr/bin/sh",
        "/usr/lib64/libtinfo.so.6",
    ]


def test_a_shell_stays_with_a_package_that_is_used_and_keeps_its_libraries() -> None:
    source = scene([APP, BASH, TINFO], *SHELL)
    plan = drawn(source, ["/usr/bin/bashbug"])
    assert decisions(plan) == {"app": "remove", "bash": "keep", "ncurses-libs": "keep"}
    assert rules(plan)["shell-kept"] == "it stays with bash, of which no file can go alone"
    with pytest.raises(
        SourceError, match="it stays with bash, of which no file can go alone; bash"
    ):
        drawn(source, ["/usr/bin/bashbug"], shells="remove")
    with pytest.raises(SourceError, match="no file can go alone"):
        drawn(source, ["/usr/bin/bashbug"], shells="remove", force=True)


def test_a_shell_that_is_needed_goes_by_force_with_its_package() -> None:
    execution = Execution(command=("/usr/bin/bash",))
    source = scene([APP, BASH, TINFO], *SHELL, execution=execution)
    assert decisions(drawn(source, ["/usr/bin/app"]))["bash"] == "keep"
    with pytest.raises(SourceError, match="is needed"):
        drawn(source, ["/usr/bin/app"], shells="remove")
    plan = drawn(source, ["/usr/bin/app"], shells="remove", force=True)
    assert decisions(plan) == {"app": "keep", "bash": "remove", "ncurses-libs": "remove"}
    assert "shell-forced" in rules(plan)


def test_a_cache_on_record_of_a_package_that_stays_is_kept() -> None:
    data = Pkg("dnf-data", files=["/etc/dnf.conf", "/var/log/dnf.log"])
    caches = [Reg("var/log/dnf.rpm.log"), Reg("var/cache/dnf/x.solv"), Reg("var/lib/dnf/history")]
    source = scene([APP, data, Pkg("libdnf")], *caches)
    plan = drawn(source, ["/usr/bin/app", "/etc/dnf.conf"])
    assert gone(plan) == ["/var/cache/dnf/x.solv", "/var/lib/dnf/history", "/var/log/dnf.rpm.log"]
    plan = drawn(source, ["/etc/dnf.conf"], keep=("libdnf",))
    assert "/var/lib/dnf/history" not in gone(plan)


def test_the_links_that_others_are_listed_by_stay() -> None:
    base = Pkg("filesystem", files=["/bin"])
    source = scene([APP, base, SPARE], Lnk("bin", "usr/bin"), Dir("usr/bin"))
    for policy in ("conservative", "standard", "strict"):
        plan = drawn(source, ["/usr/bin/app"], policy=policy)
        assert decisions(plan)["filesystem"] == "keep"
        assert reasons(plan)["filesystem"].startswith("the directories and links by which")
    assert (
        decisions(drawn(source, ["/usr/bin/app"], drop=("filesystem",)))["filesystem"] == "remove"
    )


def test_a_database_that_is_not_edited_keeps_its_packages_shells_and_caches() -> None:
    data = Pkg("dnf-data", files=["/var/log/dnf.log"])
    content = ndb([one.blob for one in (APP, SPARE, BASH, TINFO, data)])
    source = scene(
        [APP, SPARE, BASH, TINFO, data], *SHELL, content=content, file=f"{HOME}/Packages.db"
    )
    plan = drawn(source, ["/usr/bin/app"])
    assert set(decisions(plan).values()) == {"keep"}
    assert plan.paths == ()
    assert "rpm's ndb kind, which is not edited" in rules(plan)["database-refused"]
    assert "ndb" in rules(plan)["shell-kept"]
    for pattern in ("spare", "/usr/bin/spare", "/usr/bin/bash"):
        with pytest.raises(SourceError, match="ndb kind"):
            drawn(source, ["/usr/bin/app"], drop=(pattern,))


def test_a_path_that_a_package_asks_for_is_answered_by_its_owner() -> None:
    shell, app = (
        Pkg("bash", files=["/usr/bin/sh"]),
        Pkg("app", ["/usr/bin/app"], requires=["/bin/sh"]),
    )
    source = scene([shell, app], Lnk("bin", "usr/bin"), Dir("usr/bin"))
    assert decisions(drawn(source, ["/usr/bin/app"]))["bash"] == "remove"
    assert decisions(drawn(source, ["/usr/bin/app"], policy="conservative"))["bash"] == "keep"
