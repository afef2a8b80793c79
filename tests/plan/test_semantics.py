"""Sentences of the semantics that no other table of this folder names; each test is one of them.

The others: test_closure (what is used, policies), test_services (name service, PAM, converters),
test_draw (what goes, leftovers, shells), test_granularity, test_applets.
"""

from __future__ import annotations

import pytest

from careen.plan.rules import IDENTITY, LASTING_DIRECTORIES
from tests.builders import Dir, Lnk, Node, Reg
from tests.elf_builder import elf
from tests.plan.scenes import decisions, drawn, dropped, pkg, profile, reasons, scene

APP = pkg("app", "/usr/bin/app")
IDENTITIES = ("os-release", "passwd", "group", "nsswitch.conf", "hosts")
LASTING = ("proc", "sys", "dev", "run", "tmp", "var/tmp", "etc", "root", "home", "mnt")


@pytest.mark.parametrize("name", IDENTITIES)
def test_identity_stays_always(name: str) -> None:
    plan = drawn(scene([APP, pkg("owner", f"/etc/{name}")]), ["/usr/bin/app"], policy="strict")
    assert reasons(plan)["owner"] == f"/etc/{name}: says which system and which users this is"
    assert f"etc/{name}" in IDENTITY


def test_an_opened_compiled_locale_is_a_use_and_a_message_catalogue_is_none() -> None:
    packages = [
        pkg("compiled", "/usr/lib/locale/de/LC_TIME"),
        pkg("spoken", "/usr/share/locale/de"),
    ]
    opened = profile(opened=["/usr/lib/locale/de/LC_TIME", "/usr/share/locale/de"])
    assert decisions(drawn(scene(packages), of=opened)) == {"compiled": "keep", "spoken": "remove"}


@pytest.mark.parametrize("path", LASTING)
def test_a_directory_that_every_system_has_stays_though_its_package_goes(path: str) -> None:
    image = scene([APP, pkg("spare", "/usr/bin/spare", dirs=[f"/{path}"])], [Dir(path)])
    assert dropped(drawn(image, ["/usr/bin/app"])).keys() == {"/usr/bin/spare"}
    assert path in LASTING_DIRECTORIES


def test_diversions_are_mapped_first() -> None:
    diverted = "/usr/bin/tool\n/usr/bin/tool.real\napp\n"
    packages = [pkg("app", "/usr/bin/tool"), pkg("spare", "/usr/bin/tool")]
    image = scene(packages, [Reg("usr/bin/tool.real")], files={"diversions": diverted})
    plan = drawn(image, ["/usr/bin/tool"])
    assert dropped(plan) == {"/usr/bin/tool.real": "its package spare goes"}
    assert decisions(plan) == {"app": "keep", "spare": "remove"}


SHELLS: dict[str, list[Node]] = {
    "by name": [Reg("opt/bin/zsh", elf(), 0o755)],
    "by /etc/shells": [Reg("opt/talk", elf(), 0o755), Reg("etc/shells", "/opt/talk\n")],
    "by what the name resolves to": [Reg("opt/talk", elf(), 0o755), Lnk("opt/bin/sh", "../talk")],
}


@pytest.mark.parametrize("nodes", SHELLS.values(), ids=SHELLS)
def test_a_shell_is_known(nodes: list[Node]) -> None:
    plan = drawn(scene([APP], nodes), ["/usr/bin/app"])
    assert set(dropped(plan)) == {f"/{node.name}" for node in nodes if node.name != "etc/shells"}
    assert plan.totals.shells[1] == 0
