"""Events of a tracer gathered into a scenario: without the image, and resolved in it."""

from __future__ import annotations

from typing import Any

import pytest

from careen.profile.observed import Event, Observed, Run
from careen.profile.schema import Scenario
from tests.builders import Dir, Lnk, Reg
from tests.rootfs.hand_made import rootfs

ROOT = [
    Lnk("lib", "usr/lib"),
    Reg("usr/lib/libz.so.1.2"),
    Lnk("usr/lib/libz.so.1", "libz.so.1.2"),
    Reg("usr/bin/app"),
    Dir("var/lib/app"),
    Lnk("etc/localtime", "/usr/share/zoneinfo/UTC"),
    Reg("usr/share/zoneinfo/UTC"),
    Lnk("var/run", "/run"),
]


def gathered(*events: Event, image: bool = True) -> dict[str, Any]:
    observed = Observed(rootfs(ROOT) if image else None).take(events)
    found = observed.scenario(Run(name="run"))
    names = ("executed", "opened", "examined", "links", "missing")
    return {name: value for name in names if (value := getattr(found, name))}


ROWS = {
    "a path of the image": ([Event("executed", "/usr/bin/app")], {"executed": ("/usr/bin/app",)}),
    "links are followed hop by hop": (
        [Event("opened", "/lib/libz.so.1", "/usr/lib/libz.so.1.2")],
        {
            "opened": ("/usr/lib/libz.so.1.2",),
            "links": {"/lib": "/usr/lib", "/usr/lib/libz.so.1": "/usr/lib/libz.so.1.2"},
        },
    ),
    "a link that is only looked at": (
        [Event("examined", "/etc/localtime", follows=False)],
        {"examined": ("/etc/localtime",)},
    ),
    "opened counts more than examined": (
        [Event("examined", "/usr/bin/app"), Event("opened", "/usr/bin/app")],
        {"opened": ("/usr/bin/app",)},
    ),
    "executed and opened are both listed": (
        [Event("executed", "/usr/bin/app"), Event("opened", "/usr/bin/app")],
        {"executed": ("/usr/bin/app",), "opened": ("/usr/bin/app",)},
    ),
    "looked for in vain, through a link": (
        [Event("missing", "/lib/nowhere.so")],
        {"links": {"/lib": "/usr/lib"}, "missing": ("/usr/lib/nowhere.so",)},
    ),
    "what the run makes is neither used nor missing": (
        [
            Event("missing", "/var/lib/app/x"),
            Event("made", "/var/lib/app/x"),
            Event("opened", "/var/lib/app/x"),
        ],
        {},
    ),
    "not what is missing and yet in the image": ([Event("missing", "/usr/bin/app")], {}),
    "not the kernel's and the run's own file systems": (
        [Event("opened", path) for path in ("/proc/1/maps", "/dev/null", "/tmp/x", "/run/a", "/")],
        {},
    ),
    "nor through a link to one": (
        [Event("opened", "/var/run/app.pid")],
        {"links": {"/var/run": "/run"}},
    ),
}


@pytest.mark.parametrize("row", ROWS)
def test_resolved_in_the_image(row: str) -> None:
    events, expected = ROWS[row]
    assert gathered(*events) == expected


def test_without_the_image_both_names_are_kept() -> None:
    assert gathered(
        Event("opened", "/lib/a/../libz.so.1", "/usr/lib/libz.so.1.2"), image=False
    ) == {"opened": ("/lib/libz.so.1", "/usr/lib/libz.so.1.2")}


@pytest.mark.parametrize("asked", ["/var/lib/app/made-link/plugin", "/usr/bin/app"])
def test_where_a_link_that_the_run_made_led_is_used(asked: str) -> None:
    led_to = "/usr/lib/libz.so.1.2"
    assert led_to in gathered(Event("opened", asked, led_to))["opened"]


def test_the_same_event_of_another_process_is_no_news() -> None:
    observed = Observed().take([Event("opened", "/a", process="x"), Event("opened", "/a")])
    assert observed.scenario(Run(name="r")) == Scenario(name="r", opened=("/a",))


@pytest.mark.parametrize("path", ["relative", "", "/a\0b"])
def test_what_has_no_place_in_an_image_is_counted(path: str) -> None:
    observed = Observed()
    observed.add(Event("opened", path))
    assert observed.skipped == 1
    assert observed.scenario(Run(name="r")) == Scenario(name="r")


def test_what_is_said_of_the_run_is_in_the_scenario() -> None:
    run = Run(name="r", command=("app", "-x"), exercise="./load", tool="t", answered=("chown",))
    found = Observed().scenario(run)
    assert (found.command, found.exercise, found.tool) == (("app", "-x"), "./load", "t")
    assert found.answered == ("chown",)
