"""`careen explain` on the real redis image: ten answers, and every step of each checked by hand."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.hardened import PROFILES, Hardened, careen, dpkg
from tests.judges import ROOT_ONLY

pytestmark = [pytest.mark.e2e, ROOT_ONLY]
PROFILE = PROFILES / "redis.yaml"
LACK = (
    "nothing that it owns is used: no scenario of the profile executed, opened or examined a file "
    "of it, nothing used loads one, and the image's config starts none"
)
LIBRARIES = "/usr/lib/x86_64-linux-gnu"
GOLDEN = f"""\
/usr/bin/perl goes: its package perl-base goes; {LACK}
bash goes: {LACK}
libssl3 stays
  {LIBRARIES}/libcrypto.so.3: opened in redis-load
  package libssl3: libssl3 owns {LIBRARIES}/libcrypto.so.3
{LIBRARIES}/libssl.so.3 stays
  {LIBRARIES}/libssl.so.3: opened in redis-load
/usr/bin/sh goes: its package dash goes; {LACK}
/usr/bin/dash goes: its package dash goes; {LACK}
tzdata stays
  package tzdata: time zones: programs reach for it silently (policy standard)
/etc/passwd stays
  /etc/passwd: says which system and which users this is
gcc-12-base stays
  {LIBRARIES}/libatomic.so.1: followed as a link in redis-load
  package libatomic1: libatomic1 owns {LIBRARIES}/libatomic.so.1
  package gcc-12-base: /usr/share/doc/libatomic1, a link of libatomic1, leads to it
/usr/share/doc/redis-server/copyright stays
  /usr/bin/redis-server: followed as a link in redis-load
  package redis-server: redis-server owns /usr/bin/redis-server
  /usr/share/doc/redis-server/copyright: it is a part of redis-server, which stays
libpam0g goes: {LACK}
/usr/bin/redis-server stays
  /usr/bin/redis-server: followed as a link in redis-load
/usr/bin/redis-check-rdb stays
  /usr/bin/redis-check-rdb: executed in redis-load
"""
ASKED = (
    "/usr/bin/perl", "bash", "libssl3", f"{LIBRARIES}/libssl.so.3", "/bin/sh", "tzdata",
    "/etc/passwd", "gcc-12-base", "/usr/share/doc/redis-server/copyright", "libpam0g",
    "/usr/bin/redis-server",
)  # fmt: skip


@pytest.fixture(scope="module")
def redis(hardened: Callable[[str], Hardened]) -> Hardened:
    return hardened("redis")


def explained(image: Hardened, profile: Path, *asked: str) -> list[dict[str, Any]]:
    done = careen(
        "explain", image.source, *asked, "--profile", str(profile), "--format", "json", "-q"
    )
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)["answers"]
    return found


def written(answer: dict[str, Any]) -> str:
    reason = f": {answer['reason']}" if answer["reason"] else ""
    chain = [f"  {link['what']}: {link['why']}" for link in answer["chain"]]
    return "\n".join([f"{answer['what']} {answer['decision']}{reason}", *chain, ""])


def test_ten_answers(redis: Hardened) -> None:
    assert "".join(map(written, explained(redis, PROFILE, *ASKED))) == GOLDEN


def test_what_goes_is_gone_and_what_stays_is_there(redis: Hardened) -> None:
    root = redis.after / "rootfs"
    for answer in explained(redis, PROFILE, *ASKED):
        if answer["kind"] == "path":
            there = (root / answer["what"][1:]).is_symlink() or (root / answer["what"][1:]).exists()
        else:
            there = answer["what"] in redis.staying()
        assert there == (answer["decision"] != "goes"), answer["what"]


def test_every_step_of_every_kept_package_holds_when_checked_by_hand(
    redis: Hardened, tmp_path: Path
) -> None:
    """With a profile of the program alone, so that the libraries are found and not recorded."""
    short = tmp_path / "short.yaml"
    short.write_text(
        "schema: careen.profile/v1\nscenarios:\n- name: run\n  executed: [/usr/bin/redis-server]\n"
    )
    root = redis.before / "rootfs"
    recorded = yaml.safe_load(short.read_text())["scenarios"][0]
    rules = set()
    for answer in explained(redis, short, "*"):
        for link in answer["chain"]:
            rules.add(link["rule"])
            check(link, root, recorded)
    assert rules >= {"profile", "linkage", "owner", "data", "link"}


def check(link: dict[str, str], root: Path, recorded: dict[str, Any]) -> None:
    """One step of a chain, by dpkg, by the file's own bytes, by the profile."""
    what, why = link["what"], link["why"]
    if link["rule"] == "owner":
        package, path = re.fullmatch(r"(\S+) owns (\S+)", why).groups()  # type: ignore[union-attr]
        assert any(line.startswith(package) for line in owners(root, path)), why
    elif link["rule"] == "linkage" and " is loaded by " in why:
        library, by = why.split(" is loaded by ")
        assert library.encode() in (root / by[1:]).read_bytes(), why
        assert Path(what).name.startswith(Path(library).name.split(".so")[0]), why
    elif " in run" in why:
        assert what in recorded["executed"], why
    elif why.endswith("leads to it"):
        path = re.match(r"(/[^\s,]+)", why).group(1)  # type: ignore[union-attr]
        assert (root / path[1:]).is_symlink(), why


def owners(root: Path, path: str) -> list[str]:
    """dpkg lists some paths by the name that they had before /usr was merged."""
    found = dpkg(root, "-S", f"*{path.removeprefix('/usr')}")
    return [line for line in found if line.endswith(path.removeprefix("/usr"))]
