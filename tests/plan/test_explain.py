"""Why things stay or go: the chain from its beginning, the lack of one, and what is no answer."""

from __future__ import annotations

from typing import Any

import pytest

from careen.errors import SourceError
from careen.oci.config import Execution
from careen.plan.closure import Scene
from careen.plan.draw import drawn as draw
from careen.plan.explain import Answer, explain
from careen.plan.plan import Options
from careen.profile.profile import Profile
from tests.builders import Lnk, Node, Reg
from tests.elf_builder import elf
from tests.packages.dpkg_root import HOME
from tests.plan.scenes import SOURCE, pkg, profile, scene

PACKAGES = [
    pkg("app", "/usr/bin/app", "/usr/share/app/data", more="Depends: libone, perl\n"),
    pkg("bash", "/bin/bash", "/bin/rbash"),
    pkg("libone", "/usr/lib/libone.so.1", "/usr/lib/libone.so.1.2"),
    pkg("libtwo", "/usr/lib/libtwo.so.2"),
    pkg("perl", "/usr/bin/perl"),
    pkg("tzdata", "/usr/share/zoneinfo/UTC"),
]
NODES: list[Node] = [
    Reg("usr/bin/app", elf(needed=["libone.so.1"]), mode=0o755),
    Lnk("usr/lib/libone.so.1", "libone.so.1.2"),
    Reg("usr/lib/libone.so.1.2", elf(soname="libone.so.1", needed=["libtwo.so.2"])),
    Reg("usr/lib/libtwo.so.2", elf(soname="libtwo.so.2")),
    Reg("usr/bin/bash", elf(), mode=0o755),
    Lnk("usr/bin/rbash", "bash"),
    Reg("srv/own", "mine"),
]
USED = profile(["/usr/bin/app"])
LACK = (
    "nothing that it owns is used: no scenario of the profile executed, opened or examined a file "
    "of it, nothing used loads one, and the image's config starts none"
)


def image(**config: Any) -> Scene:
    return scene(PACKAGES, NODES, execution=Execution(**config))


def asked(*what: str, of: Profile = USED, source: Scene | None = None, **options: Any) -> Any:
    seen = source or image()
    return explain(seen, draw(seen, SOURCE, of, Options(**options)), what)


def told(answer: Answer) -> list[tuple[str, str]]:
    return [(link.what, link.why) for link in answer.chain]


CHAINS = {
    "/usr/bin/app": [("/usr/bin/app", "executed in run")],
    "app": [
        ("/usr/bin/app", "executed in run"),
        ("package app", "app owns /usr/bin/app"),
    ],
    "libtwo": [
        ("/usr/bin/app", "executed in run"),
        ("/usr/lib/libone.so.1.2", "libone.so.1 is loaded by /usr/bin/app"),
        ("/usr/lib/libtwo.so.2", "libtwo.so.2 is loaded by /usr/lib/libone.so.1.2"),
        ("package libtwo", "libtwo owns /usr/lib/libtwo.so.2"),
    ],
    "/usr/share/app/data": [
        ("/usr/bin/app", "executed in run"),
        ("package app", "app owns /usr/bin/app"),
        ("/usr/share/app/data", "it is a part of app, which stays"),
    ],
    "tzdata": [
        ("package tzdata", "time zones: programs reach for it silently (policy standard)"),
    ],
    "/srv/own": [("/srv/own", "no package owns it: the application's own")],
    f"/{HOME}/info/format": [(f"/{HOME}/info/format", "it is the package database's own")],
}


@pytest.mark.parametrize("what", CHAINS)
def test_what_stays_has_a_chain(what: str) -> None:
    (answer,) = asked(what)
    assert answer.decision == "stays"
    assert told(answer) == CHAINS[what]
    assert answer.reason == ""


def test_what_only_an_unowned_program_loads_begins_there() -> None:
    tool = Reg("srv/tool", elf(needed=["libtwo.so.2"]), mode=0o755)
    (answer,) = asked("libtwo", of=profile(["/srv/own"]), source=scene(PACKAGES, [*NODES, tool]))
    assert told(answer)[0] == ("/srv/tool", "no package owns it: the application's own")


def test_libraries_that_need_each_other_lead_to_the_beginning() -> None:
    packages = [
        pkg("p", "/usr/bin/a", "/usr/lib/libb.so.1"),
        pkg("q", "/usr/lib/libc9.so.1"),
    ]
    nodes = [
        Reg("usr/bin/a", elf(), mode=0o755),
        Reg("usr/lib/libb.so.1", elf(soname="libb.so.1", needed=["libc9.so.1"])),
        Reg("usr/lib/libc9.so.1", elf(soname="libc9.so.1", needed=["libb.so.1"])),
    ]
    (answer,) = asked("q", of=profile(["/usr/bin/a"]), source=scene(packages, nodes))
    assert told(answer)[:3] == [
        ("/usr/bin/a", "executed in run"),
        ("package p", "p owns /usr/bin/a"),
        ("/usr/lib/libb.so.1", "/usr/lib/libb.so.1 is a part of p"),
    ]
    assert told(answer)[-1] == ("package q", "q owns /usr/lib/libc9.so.1")


def test_what_people_keep_begins_with_their_pattern() -> None:
    (answer,) = asked("perl", keep=("pe*",))
    assert told(answer) == [("package perl", "asked for: pe*")]


def test_what_the_config_starts_begins_there() -> None:
    (answer,) = asked("perl", source=image(command=("perl", "-v")))
    assert told(answer)[0] == ("/usr/bin/perl", "started by the image's Cmd")


def test_what_goes_has_no_chain_and_says_what_was_looked_for() -> None:
    package, path = asked("perl", "/usr/bin/perl")
    assert (package.kind, package.decision, package.chain) == ("package", "goes", ())
    assert package.reason == LACK
    assert (path.kind, path.decision, path.package) == ("path", "goes", ("perl",))
    assert path.reason == f"its package perl goes; {LACK}"


def test_what_people_drop_goes_for_their_pattern() -> None:
    (answer,) = asked("app", drop=("app",))
    assert (answer.decision, answer.reason) == ("goes", "asked for: app")


def test_who_loads_it_and_who_declares_it() -> None:
    (library,) = asked("libone")
    assert library.loaded_by == ("/usr/bin/app",)
    assert library.declared_by == ("app",)
    (perl,) = asked("perl")
    assert (perl.loaded_by, perl.declared_by) == ((), ("app",))


def test_a_path_through_links_is_answered_link_by_link() -> None:
    answers = asked("/bin/rbash")
    assert [(one.what, one.leads_to) for one in answers] == [
        ("/usr/bin/rbash", "/usr/bin/bash"),
        ("/usr/bin/bash", ""),
    ]


def test_a_program_is_found_on_path_when_no_package_has_the_name() -> None:
    assert [answer.what for answer in asked("rbash")] == ["/usr/bin/rbash", "/usr/bin/bash"]
    assert [answer.kind for answer in asked("bash")] == ["package"]


def test_globs_answer_for_all_that_they_cover() -> None:
    assert [answer.what for answer in asked("lib*")] == ["libone", "libtwo"]
    assert [answer.what for answer in asked("/usr/lib/libone*")] == [
        "/usr/lib/libone.so.1",
        "/usr/lib/libone.so.1.2",
    ]


def test_what_is_asked_twice_is_answered_once() -> None:
    assert len(asked("app", "app", "/usr/bin/app", "/usr/bin/app")) == 2


def test_a_partial_package_says_how_much_of_it_goes() -> None:
    (answer,) = asked("app", granularity="file")
    assert (answer.decision, answer.files, answer.dropped) == ("partial", 2, 1)
    assert told(answer) == CHAINS["app"]


def test_a_removed_package_of_which_something_is_kept_says_what() -> None:
    (answer,) = asked("perl", of=profile(["/usr/bin/app"]), keep=("/usr/bin/perl",))
    assert told(answer)[0] == ("/usr/bin/perl", "asked for: /usr/bin/perl")


def test_a_file_that_is_edited_says_that_it_changes() -> None:
    (answer,) = asked(f"/{HOME}/status")
    assert answer.decision == "changes"
    assert answer.reason == "the package database tells of what remains"


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("/nowhere", "/nowhere: not in the image, and as a pattern it covers nothing"),
        ("/nowhere/**", "/nowhere/\\*\\*: not in the image"),
        ("libtwoo", "libtwoo names no package of the image, and no program .*mean libtwo, libone"),
        ("/usr/[", "explain: '\\[' is never closed"),
    ],
)
def test_what_the_image_does_not_have_is_refused(what: str, message: str) -> None:
    with pytest.raises(SourceError, match=message) as refusal:
        asked(what)
    assert refusal.value.exit_code == 4
