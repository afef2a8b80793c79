"""A file that is many programs: which of its links go, what becomes of its shell, what is told."""

from __future__ import annotations

from typing import Any

import pytest

from careen.errors import SourceError
from careen.oci.config import Execution
from careen.plan.plan import Plan
from careen.profile.profile import Profile
from tests.builders import Lnk, Node, Reg
from tests.elf_builder import elf
from tests.plan.scenes import decisions, drawn, dropped, pkg, profile, scene

BOX = pkg("busybox", "/usr/bin/busybox")
BOX_SH = pkg("busybox-binsh", "/usr/bin/sh")
APP = pkg("app", "/usr/bin/app")
LINKS: list[Node] = [
    Reg("usr/bin/busybox", elf(), mode=0o755),
    Reg("usr/bin/app", elf(), mode=0o755),
    Lnk("usr/bin/sh", "busybox"),
    *(Lnk(f"usr/bin/{name}", "/usr/bin/busybox") for name in ("ash", "cat", "ls")),
    Lnk("usr/sbin/httpd", "../bin/busybox"),
    Lnk("srv/box", "/usr/bin/busybox"),
]
NAMES = ("sh", "ash", "cat", "ls")
UNUSED = "an applet of /usr/bin/busybox that nothing uses"
SHELL = "a shell that nothing uses"


def boxed(used: list[str], *nodes: Node, **options: Any) -> Plan:
    execution = options.pop("execution", Execution())
    image = scene([APP, BOX, BOX_SH], [*LINKS, *nodes], execution=execution)
    return drawn(image, of=profile(["/usr/bin/app", *used], **options.pop("of", {})), **options)


def told(plan: Plan) -> list[tuple[str, str]]:
    return sorted((item.rule, item.path) for item in plan.findings)


def test_without_a_use_all_of_it_goes() -> None:
    plan = boxed([])
    assert decisions(plan) == {"app": "keep", "busybox": "remove", "busybox-binsh": "remove"}
    gone = dropped(plan)
    assert {f"/usr/bin/{name}" for name in ("busybox", *NAMES)} < set(gone)
    assert gone["/usr/sbin/httpd"] == "leads to /usr/bin/busybox, which goes"


def test_one_applet_in_use_keeps_the_file_and_its_own_link() -> None:
    plan = boxed(["/usr/bin/ls"])
    assert decisions(plan) == {"app": "keep", "busybox": "keep", "busybox-binsh": "remove"}
    assert dropped(plan) == {
        "/usr/bin/sh": "its package busybox-binsh goes",
        "/usr/bin/ash": SHELL,
        "/usr/bin/cat": UNUSED,
        "/usr/sbin/httpd": UNUSED,
    }
    (inside,) = [item for item in plan.findings if item.rule == "shell-inside"]
    assert inside.path == "/usr/bin/busybox"
    assert inside.message == (
        "stays for another of its programs, with a shell's code inside: "
        "/usr/bin/ls leads to it; executed in run"
    )
    assert plan.totals.shells == (3, 1)


def test_the_shell_in_use_keeps_its_name_alone() -> None:
    plan = boxed(["/usr/bin/sh"])
    assert decisions(plan)["busybox-binsh"] == "keep"
    assert set(dropped(plan)) == {
        "/usr/bin/ash",
        "/usr/bin/cat",
        "/usr/bin/ls",
        "/usr/sbin/httpd",
    }
    assert told(plan) == [("shell-kept", "/usr/bin/busybox"), ("shell-kept", "/usr/bin/sh")]


def test_a_script_keeps_the_shell_with_the_evidence() -> None:
    entry = Reg("entry.sh", "#!/bin/sh\n", mode=0o755)
    plan = boxed([], entry, execution=Execution(entrypoint=("/entry.sh",)))
    kept = {item.path: item.message for item in plan.findings if item.rule == "shell-kept"}
    assert kept["/usr/bin/sh"] == (
        "/bin/sh interprets /entry.sh; started by the image's Entrypoint"
    )


def test_a_file_started_by_its_own_name_needs_no_link() -> None:
    plan = boxed([], execution=Execution(command=("busybox", "httpd")))
    assert set(dropped(plan)) == {f"/usr/bin/{name}" for name in NAMES}
    assert ("shell-inside", "/usr/bin/busybox") in told(plan)


def test_a_file_that_a_tracer_saw_by_its_own_name_keeps_every_link() -> None:
    plan = boxed(["/usr/bin/busybox"])
    assert dropped(plan) == {}
    (kept,) = [item for item in plan.findings if item.rule == "applets-kept"]
    assert (kept.path, kept.count) == ("/usr/bin/busybox", 5)


def test_a_scenario_that_knows_its_links_says_nothing_of_another() -> None:
    told, untold = profile(["/usr/bin/cat"], name="a"), profile(["/usr/bin/busybox"], name="b")
    both = Profile(scenarios=(*told.scenarios, *untold.scenarios))
    assert dropped(drawn(scene([APP, BOX, BOX_SH], LINKS), of=both)) == {
        "/usr/bin/app": "its package app goes"
    }


@pytest.mark.parametrize("path", ["/usr/bin/cat", "/usr/bin/ash"])
def test_a_link_that_people_keep_stays(path: str) -> None:
    assert path not in dropped(boxed(["/usr/bin/ls"], keep=(path,)))


def test_people_who_keep_the_package_keep_its_applets() -> None:
    plan = boxed([], keep=("busybox",))
    assert dropped(plan) == {}
    assert ("shell-kept", "/usr/bin/sh") in told(plan)


def test_a_link_of_a_package_that_stays_stays() -> None:
    owner = pkg("owner", "/usr/bin/owner", "/usr/bin/cat")
    image = scene([APP, BOX, owner], LINKS)
    plan = drawn(image, ["/usr/bin/ls", "/usr/bin/owner"])
    assert "/usr/bin/cat" not in dropped(plan)


def test_shells_remove_leaves_the_file_for_another_applet() -> None:
    plan = boxed(["/usr/bin/ls"], shells="remove")
    assert {"/usr/bin/sh", "/usr/bin/ash"} < set(dropped(plan))
    assert decisions(plan)["busybox"] == "keep"


def test_shells_remove_is_refused_when_the_name_is_needed() -> None:
    with pytest.raises(SourceError, match="the shell /usr/bin/sh is needed"):
        boxed(["/usr/bin/sh", "/usr/bin/ls"], shells="remove")


def test_by_force_the_name_goes_and_the_file_stays_for_another_applet() -> None:
    plan = boxed(["/usr/bin/sh", "/usr/bin/ls"], shells="remove", force=True)
    assert "/usr/bin/sh" in dropped(plan)
    assert "/usr/bin/ls" not in dropped(plan)
    assert ("shell-forced", "/usr/bin/sh") in told(plan)
    assert ("shell-inside", "/usr/bin/busybox") in told(plan)


def test_by_force_all_of_it_goes_when_only_the_shell_was_used() -> None:
    plan = boxed(["/usr/bin/sh"], shells="remove", force=True)
    assert decisions(plan)["busybox"] == "remove"


def test_shells_keep_keeps_the_shells_and_no_other_applet() -> None:
    plan = boxed([], shells="keep")
    assert set(dropped(plan)) == {"/usr/bin/cat", "/usr/bin/ls", "/usr/sbin/httpd"}
