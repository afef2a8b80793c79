"""Where volumes and the folder to start in lie; what podman refuses is refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from careen.errors import SourceError
from careen.record import places
from careen.record.invocation import Invocation, Volume
from careen.rootfs.rootfs import Rootfs
from tests.builders import Dir, Lnk, Reg
from tests.rootfs.hand_made import rootfs


def image() -> Rootfs:
    return rootfs(
        [
            *(Dir("srv"), Dir("srv/data"), Reg("srv/file"), Dir("run"), Dir("var")),
            *(
                Lnk("var/run", "/run"),
                Lnk("out", "/../../../../srv"),
                Lnk("lost", "/../../etc"),
                Lnk("top", "/"),
            ),
        ]
    )


def process(*volumes: Volume, cwd: str = "/") -> Invocation:
    return Invocation(
        argv=("/a",), env={}, uid=0, gid=0, groups=(), cwd=cwd, stop=15, volumes=volumes
    )


PLACES = {
    # the image's path as asked for: as it is mounted
    "/srv/data": "/srv/data",
    "/new/place": "/new/place",
    "/var/run/x": "/run/x",
    "/var/run": "/run",
    "/out/x": "/srv/x",
}


@pytest.mark.parametrize("inside", PLACES)
def test_a_mount_goes_through_no_link(inside: str, tmp_path: Path) -> None:
    settled = places.settled(process(Volume(str(tmp_path), inside)), image())
    assert [volume.inside for volume in settled.volumes] == [PLACES[inside]]


@pytest.mark.parametrize("inside", ["/lost", "/lost/x", "/lost/x/y"])
def test_a_link_that_leads_nowhere_here_may_lead_somewhere_on_the_host(inside: str) -> None:
    with pytest.raises(SourceError, match="leads nowhere is on the way: /lost"):
        places.settled(process(Volume("/", inside)), image())


REFUSED = {
    "no such host path": ("none", "/srv/data", "", "no such path on this host"),
    "a file over a directory": ("file", "/srv/data", "", "a directory on one side only"),
    "a directory over a file": ("", "/srv/file", "", "a directory on one side only"),
    "a link to the root": ("", "/top", "", "leads to /"),
    "no such folder": ("", "/v", "/nope", "--workdir: the image has no such directory: /nope"),
    "a file": ("", "/v", "/srv/file", "no such directory: /srv/file"),
    "not in the volume": ("", "/v", "/v/none", "no such directory: /v/none"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_refused(what: str, tmp_path: Path) -> None:
    host, inside, workdir, message = REFUSED[what]
    (tmp_path / "file").touch()
    asked = places.settled(process(Volume(str(tmp_path / host), inside)), image())
    with pytest.raises(SourceError, match=message):
        places.check(asked, image(), workdir)


@pytest.mark.parametrize("workdir", ["", "/srv/data", "/var/run", "/v", "/v/deep", "/srv/../srv"])
def test_a_folder_of_the_image_or_of_a_volume(workdir: str, tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    asked = places.settled(process(Volume(str(tmp_path), "/v")), image())
    places.check(asked, image(), workdir)


def test_what_is_made(tmp_path: Path) -> None:
    """As runtimes do: the config's WorkingDir, what is mounted in any case, and no more."""
    places.make(process(cwd="/out/job/dir"), image(), tmp_path)
    made = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*"))
    assert made == ["dev", "proc", "srv", "srv/job", "srv/job/dir"]


def test_a_mount_point_is_made_where_the_image_has_none(tmp_path: Path) -> None:
    root, folder, file = (tmp_path / name for name in ("root", "folder", "file"))
    root.mkdir()
    folder.mkdir()
    file.touch()
    volumes = [
        Volume(str(folder), "/lib/new/deep"),
        Volume(str(file), "/opt/file"),
        Volume(str(folder), "/usr/lib/test"),  # the image has it
        Volume(str(file), "/etc/app.conf"),
    ]
    here = rootfs([Lnk("lib", "usr/lib"), Dir("usr/lib/test"), Dir("etc"), Reg("etc/app.conf")])
    places.make(process(*volumes), here, root)
    made = [
        os.path.normpath(f"{os.path.relpath(place, root)}/{name}")
        for place, folders, files in os.walk(root)
        for name in (*files, *(one for one in folders if not os.listdir(Path(place) / one)))
    ]
    assert sorted(made) == ["dev", "opt/file", "proc", "usr/lib/new/deep"]
    assert (root / "usr/lib/new/deep").is_dir()
