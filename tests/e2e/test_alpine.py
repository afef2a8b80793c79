"""The real Alpine root with a small musl program as the application, hardened; apk is the judge."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests import alpine
from tests.builders import Reg, image_layout, tar_layer
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
@pytest.mark.parametrize("granularity", ["package", "file"])
def test_a_musl_program_on_the_real_root(tmp_path: Path, granularity: str) -> None:
    after, staying, _ = hardened(tmp_path, PROFILE, "--granularity", granularity)
    assert alpine.inside(after, "/usr/local/bin/greet") == "hello from musl\n"
    judged(tmp_path, after, staying)
    assert not (after / "bin/busybox").exists()
    assert not [link for link in alpine.links(after) if link.startswith(("bin/", "sbin/"))]


@alpine.NEEDED
@needs("musl-gcc")
def test_busybox_stays_with_the_one_applet_that_is_used(tmp_path: Path) -> None:
    profile = f"{PROFILE}- name: listing\n  executed: [/bin/ls]\n"
    after, staying, findings = hardened(tmp_path, profile)
    assert alpine.inside(after, "/bin/ls", "/etc/greeting") == "/etc/greeting\n"
    judged(tmp_path, after, staying)
    kept = {link for link in alpine.links(after) if alpine.links(after)[link] == "/bin/busybox"}
    assert kept == {"bin/ls"}
    assert "busybox" in {name for name, _ in staying}
    assert "busybox-binsh" not in {name for name, _ in staying}
    assert findings["shell-inside"].startswith("stays for another of its programs")


@alpine.NEEDED
@needs("musl-gcc")
def test_an_entrypoint_script_keeps_the_shell_and_names_it(tmp_path: Path) -> None:
    script = tar_layer([Reg("entry.sh", "#!/bin/sh\nread -r x < /etc/greeting; echo $x\n", 0o755)])
    after, staying, findings = hardened(
        tmp_path, PROFILE, layers=[script], config={"Entrypoint": ["/entry.sh"]}
    )
    assert alpine.inside(after, "/entry.sh") == "hello from musl\n"
    judged(tmp_path, after, staying)
    assert "/bin/sh interprets /entry.sh" in findings["shell-kept"]


def hardened(
    tmp_path: Path, profile: str, *options: str, layers: Sequence[bytes] = (), **image: Any
) -> tuple[Path, set[tuple[str, str]], dict[str, str]]:
    """The hardened root, the packages that stay, and the findings' sentences by rule."""
    image = {"config": {"Cmd": ["greet"]}, **image}
    below = [alpine.layer(), alpine.application(tmp_path), *layers]
    image_layout(tmp_path / "source", below, tag="x", **image)
    (tmp_path / "p.yaml").write_text(profile)
    done = careen(
        "harden", f"oci:{tmp_path}/source:x", f"oci:{tmp_path}/target:y",
        "--profile", str(tmp_path / "p.yaml"), "--format", "json", "--quiet", *options,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    staying = {
        (item["name"], item["version"]) for item in said["packages"] if item["decision"] != "remove"
    }
    findings = {item["rule"]: item["message"] for item in said["findings"]}
    return umoci_unpack(tmp_path / "target", "y", tmp_path / "bundle"), staying, findings


def judged(tmp_path: Path, after: Path, staying: set[tuple[str, str]]) -> None:
    """apk and syft agree with the plan, and `apk audit` finds nothing that the source lacked."""
    before = alpine.unpack(tmp_path / "before")
    assert sorted(alpine.apk(before, after, "info", "-v")) == sorted(
        f"{name}-{version}" for name, version in staying
    )
    audited = set(alpine.apk(before, before, "audit", "--system"))
    assert set(alpine.apk(before, after, "audit", "--system")) <= audited
    assert alpine.syft(after) == staying
