"""The real Alpine root with a small musl program as the application, hardened; apk is the judge."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests import alpine
from tests.builders import image_layout
from tests.e2e.hardened import careen
from tests.judges import ROOT_ONLY, needs, umoci_unpack

pytestmark = [pytest.mark.e2e, ROOT_ONLY]
PROFILE = """\
schema: careen.profile/v1
scenarios:
- name: greeting
  executed: [/usr/local/bin/greet]
  opened: [/etc/greeting]
"""


@alpine.NEEDED
@needs("musl-gcc")
def test_a_musl_program_on_the_real_root(tmp_path: Path) -> None:
    layers = [alpine.layer(), alpine.application(tmp_path)]
    image_layout(tmp_path / "source", layers, tag="x", config={"Cmd": ["greet"]})
    (tmp_path / "p.yaml").write_text(PROFILE)
    target = tmp_path / "target"
    done = careen(
        "harden", f"oci:{tmp_path}/source:x", f"oci:{target}:y",
        "--profile", str(tmp_path / "p.yaml"), "--format", "json", "--quiet",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    staying = {
        (item["name"], item["version"])
        for item in json.loads(done.stdout)["packages"]
        if item["decision"] != "remove"
    }
    before = alpine.unpack(tmp_path / "before")
    after = umoci_unpack(target, "y", tmp_path / "bundle")
    assert alpine.inside(after, "/usr/local/bin/greet") == "hello from musl\n"
    assert sorted(alpine.apk(before, after, "info", "-v")) == sorted(
        f"{name}-{version}" for name, version in staying
    )
    audited = set(alpine.apk(before, before, "audit", "--system"))
    assert set(alpine.apk(before, after, "audit", "--system")) <= audited
    assert alpine.syft(after) == staying
    assert not (after / "bin/busybox").exists()
    assert not (after / "bin/sh").is_symlink()
