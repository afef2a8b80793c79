"""Volumes over an image's files: what of a run is the image's."""

from __future__ import annotations

import pytest

from careen.profile.observed import Event
from careen.record.invocation import Volume
from careen.record.mounts import of_image
from tests.builders import Dir, Lnk, Reg
from tests.rootfs.hand_made import rootfs

ROOT = [
    Lnk("lib", "usr/lib"),
    Dir("usr/lib/test"),
    Reg("usr/lib/test/a.py"),
    Reg("usr/lib/tests.py"),
    Reg("usr/bin/app"),
    Lnk("etc/app.conf", "/srv/app.conf"),
    Reg("srv/app.conf"),
]
VOLUMES = (
    Volume("/host/test", "/lib/test", read_only=True),
    Volume("/host/app.conf", "/srv/app.conf"),
)

ROWS = {
    "the image's own": ([Event("executed", "/usr/bin/app")], [Event("executed", "/usr/bin/app")]),
    "over a file of the image": ([Event("opened", "/usr/lib/test/a.py")], []),
    "the mount itself": ([Event("opened", "/usr/lib/test")], []),
    "a name that only begins so": (
        [Event("opened", "/usr/lib/tests.py")],
        [Event("opened", "/usr/lib/tests.py")],
    ),
    "what only the volume has, and what it lacks": (
        [Event("executed", "/usr/lib/test/b"), Event("missing", "/usr/lib/test/c")],
        [],
    ),
    "the links that lead into it": (
        [Event("opened", "/lib/test/a.py", process="/usr/bin/app")],
        [Event("examined", "/lib", process="/usr/bin/app", follows=False)],
    ),
    "a link to a file that is mounted": (
        [Event("opened", "/etc/app.conf", "/srv/app.conf")],
        [Event("examined", "/etc/app.conf", follows=False)],
    ),
    "that link alone": (
        [Event("examined", "/etc/app.conf", follows=False)],
        [Event("examined", "/etc/app.conf", follows=False)],
    ),
    "a link of the volume that leads out": (
        [Event("opened", "/usr/lib/test/out", "/usr/bin/app")],
        [Event("opened", "/usr/bin/app")],
    ),
    "a link of the volume that leads on in it": (
        [Event("opened", "/usr/lib/test/on", "/usr/lib/test/a.py")],
        [],
    ),
    "what the run makes there": (
        [Event("made", "/lib/test/x"), Event("made", "/srv/y")],
        [Event("made", "/srv/y")],
    ),
}


@pytest.mark.parametrize("row", ROWS)
def test_of_the_image(row: str) -> None:
    events, expected = ROWS[row]
    assert list(of_image(events, rootfs(ROOT), VOLUMES)) == expected


def test_without_a_volume_all_is_the_images() -> None:
    events = [Event("opened", "/usr/lib/test/a.py"), Event("missing", "x")]
    assert list(of_image(events, rootfs(ROOT), ())) == events


def test_a_volume_over_the_root_leaves_nothing() -> None:
    volumes = [Volume("/host", "/")]
    assert list(of_image([Event("executed", "/usr/bin/app")], rootfs(ROOT), volumes)) == []
