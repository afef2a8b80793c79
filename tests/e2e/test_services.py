"""A real Debian image of which only su and getent are used: what those load by name is still there.

strace says what they opened in the source; the same must be in the hardened image.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from fixtures.build import build

from tests.e2e.hardened import careen
from tests.judges import ROOT_ONLY, needs, traced, umoci_unpack

pytestmark = [pytest.mark.e2e, ROOT_ONLY, needs("bwrap"), needs("strace")]
PROFILE = """\
schema: careen.profile/v1
scenarios:
- name: by hand
  executed: [/usr/bin/su, /usr/bin/true, /usr/bin/getent]
"""
COMMANDS = [
    ("/usr/bin/su", "-s", "/bin/true", "www-data"),
    ("/usr/bin/getent", "initgroups", "root"),
    ("/usr/bin/getent", "ahosts", "127.0.0.1"),
]
# Opened where they are, and not missed: settings of an unused package, and what getaddrinfo with
# AI_IDN needs for names that are not ASCII (a recording of such names would show it).
EXTRA = {"login.defs", "libidn2.so.0", "libunistring.so.2", "gconv-modules.cache"}


@pytest.mark.parametrize("granularity", ["package", "file"])
def test_what_they_open_by_name_is_there(tmp_path: Path, granularity: str) -> None:
    image = build("redis")
    (tmp_path / "p.yaml").write_text(PROFILE)
    target = tmp_path / "target"
    done = careen(
        "harden", f"oci:{image.layout}:{image.ref}", f"oci:{target}:y", "--no-debug", "--quiet",
        "--profile", str(tmp_path / "p.yaml"), "--granularity", granularity,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    before = umoci_unpack(image.layout, image.ref, tmp_path / "before")
    after = umoci_unpack(target, "y", tmp_path / "after")
    for command in COMMANDS:
        printed, opened = traced(before, *command)
        lost = {Path(path).name for path in opened if not (after / path[1:]).exists()}
        assert lost <= EXTRA
        assert traced(after, *command)[0] == printed
