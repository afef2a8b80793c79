"""Where an invocation's folder and volumes lie in an image: refused, or settled, or made."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from careen.errors import SourceError
from careen.record.invocation import Invocation, Volume
from careen.rootfs.extract import beneath, put
from careen.rootfs.path import Path as ImagePath
from careen.rootfs.path import absolute, ancestors, parent
from careen.rootfs.rootfs import Rootfs

__all__ = ["check", "make", "settled"]

_OWN = ("proc", "dev")  # mounted in every sandbox


def settled(process: Invocation, rootfs: Rootfs) -> Invocation:
    """The invocation with volumes at the places that their names lead to, through no link.

    A mount through a link of the image's could end anywhere, outside of it too. SourceError for a
    name on whose way a link leads nowhere.
    """
    volumes = tuple(
        Volume(volume.host, absolute(_mount(rootfs, volume.inside)), volume.read_only)
        for volume in process.volumes
    )
    return msgspec.structs.replace(process, volumes=volumes)


def check(process: Invocation, rootfs: Rootfs, workdir: str) -> None:
    """SourceError for what podman refuses as well, with settled volumes.

    A volume's host path that is not there, one of another kind than the image's, and a `workdir`
    of the user's, "" for none, that neither the image nor a volume has.
    """
    for volume in process.volumes:
        if volume.inside == "/":
            raise SourceError("leads to / in the image, where no volume can be", at="--volume")
        if not os.path.exists(volume.host):
            raise SourceError(f"no such path on this host: {volume.host}", at="--volume")
        there = rootfs.nodes.get(ImagePath(volume.inside[1:]))
        if there is not None and (there.kind == "directory") != os.path.isdir(volume.host):
            raise SourceError(
                f"a directory on one side only: {volume.host} and the image's {volume.inside}",
                at="--volume",
            )
    if workdir and not rootfs.is_road(workdir) and not _in_volume(process, rootfs, workdir):
        raise SourceError(f"the image has no such directory: {workdir}", at="--workdir")


def make(process: Invocation, rootfs: Rootfs, root: Path) -> None:
    """In the extracted `root`, as runtimes do where the image has nothing.

    What every sandbox mounts, what volumes are mounted on, and the process' folder.
    """
    folders = [ImagePath(name) for name in _OWN]
    files: list[ImagePath] = []
    for volume in process.volumes:
        (folders if os.path.isdir(volume.host) else files).append(rootfs.end(volume.inside))
    if not _in_volume(process, rootfs, process.cwd):
        folders.append(rootfs.end(process.cwd))
    for folder in (path for path in folders if path not in rootfs):
        with beneath(root, folder):
            pass
    for file in (path for path in files if path not in rootfs):
        put(root, file, b"")


def _mount(rootfs: Rootfs, text: str) -> ImagePath:
    place = rootfs.end(text)
    for path in (place, *ancestors(place)):
        if path in rootfs and rootfs.nodes[path].kind == "symlink":
            raise SourceError(
                f"a link of the image's that leads nowhere is on the way: {absolute(path)}",
                at="--volume",
            )
    return place


def _in_volume(process: Invocation, rootfs: Rootfs, text: str) -> bool:
    """Whether a volume brings the directory: a later one covers an earlier one."""
    place = rootfs.end(text)
    for volume in reversed(process.volumes):
        mount, above = ImagePath(volume.inside[1:]), place
        while above and above != mount:
            above = parent(above)
        if above == mount:
            return os.path.isdir(f"{volume.host}/{place[len(mount) :]}")
    return False
