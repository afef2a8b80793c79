"""Two architectures in a database that does not say which is native: ids outlive the edit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.builders import Reg, image_layout, tar_layer
from tests.e2e.hardened import careen, dpkg
from tests.e2e.support import unpack
from tests.elf_builder import I386, elf
from tests.judges import ROOT_ONLY, needs
from tests.packages.dpkg_root import Pkg, table

pytestmark = [pytest.mark.e2e, ROOT_ONLY, needs("dpkg"), needs("umoci")]

SAID = "Maintainer: nobody <n@example.org>\n"
USED = [Pkg(f"used{n}", [f"/usr/bin/used{n}"], arch="i386", more=SAID) for n in range(2)]
UNUSED = [Pkg(f"spare{n}", [f"/usr/bin/spare{n}"], more=SAID) for n in range(3)]
LIBZ = Pkg("libz", ["/usr/lib/a/libz"], same=True, more=SAID)
LIBZ32 = Pkg("libz", ["/usr/lib/b/libz"], arch="i386", same=True, more=SAID)
DPKG = Pkg("dpkg", ["/usr/bin/dpkg"], arch="i386", more=SAID)
PROGRAM = elf(bits=32, machine=I386)


@pytest.mark.parametrize(
    ("dpkg_itself", "ids"),
    [
        ([], {"used0:i386", "used1:i386", "libz:i386"}),
        ([DPKG], {"used0", "used1", "libz"}),
    ],
    ids=["the commonest goes", "dpkg's own goes"],
)
def test_verify_and_dpkg_agree_when_the_native_packages_go(
    tmp_path: Path, dpkg_itself: list[Pkg], ids: set[str]
) -> None:
    nodes = [Reg(f"usr/bin/used{n}", PROGRAM, 0o755) for n in range(2)]
    layer = tar_layer(table([*USED, *UNUSED, LIBZ, LIBZ32, *dpkg_itself], nodes=nodes))
    image_layout(tmp_path / "source", [layer], config={"Entrypoint": ["/usr/bin/used0"]})
    source, made = f"oci:{tmp_path}/source:latest", f"oci:{tmp_path}/made:x"
    plan = str(tmp_path / "plan.json")
    keep = ("--keep", "/usr/bin/used1", "--keep", "/usr/lib/b/libz")
    used = "scenarios: [{name: run, executed: [/usr/bin/used0]}]"
    (tmp_path / "p.yaml").write_text(f"schema: careen.profile/v1\n{used}\n")
    profile = ("--profile", str(tmp_path / "p.yaml"))
    for arguments in (
        ["plan", source, *profile, *keep, "-o", plan],
        ["harden", source, made, "--plan", plan],
        ["verify", made, "--source", source, "--plan", plan],
    ):
        done = careen(*arguments, "--quiet")
        assert done.returncode == 0, done.stdout + done.stderr
    done = careen("verify", source, "--source", made, "--quiet")
    assert (done.returncode, done.stdout) == (2, "")
    assert f"write {source} --source" not in done.stderr
    assert f"not the other way round; write {made} --source {source}" in done.stderr
    decided = json.loads(Path(plan).read_text())["packages"]
    assert {one["id"] for one in decided if one["decision"] != "remove"} == ids
    difference = json.loads(careen("diff", source, made, "--format", "json").stdout)
    assert not difference["packages"]["added"]
    before = unpack(tmp_path / "source", "latest", tmp_path / "before") / "rootfs"
    after = unpack(tmp_path / "made", "x", tmp_path / "after") / "rootfs"
    listed = dpkg(after, "-W", "-f", "${Package} ${Architecture}\n")
    assert listed == ["libz i386", "used0 i386", "used1 i386"]
    assert set(dpkg(after, "--audit")) <= set(dpkg(before, "--audit"))
