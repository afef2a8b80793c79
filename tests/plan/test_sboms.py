"""SBOM documents about what goes go, each row a document; what is used, owned or kept stays."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from careen.plan.plan import Plan
from tests.builders import Lnk, Node, Reg
from tests.packages.dpkg_root import Pkg
from tests.plan.scenes import applied, drawn, dropped, pkg, profile, scene
from tests.sbom_documents import cyclonedx, spdx, syft, tags

APP = pkg("app", "/usr/bin/app", version="1:2-3")
TAR = pkg("tar", "/usr/bin/tar", version="1.34+dfsg-1")
DOCUMENT = "srv/x.spdx.json"
GOES = "describes tar, which goes"


def planned(
    text: str,
    *nodes: Node,
    packages: list[Pkg] | None = None,
    path: str = DOCUMENT,
    **options: Any,
) -> Plan:
    image = scene(packages or [APP, TAR], [Reg(path, text), *nodes])
    return drawn(image, ["/usr/bin/app"], **options)


@pytest.mark.parametrize(
    ("purls", "goes"),
    [
        (["pkg:deb/debian/tar@1.34%2Bdfsg-1"], True),
        (["pkg:deb/debian/app@1:2-3", "pkg:deb/debian/tar@1.34+dfsg-1?arch=amd64"], True),
        (["pkg:deb/debian/tar"], True),
        (["pkg:deb/ubuntu/tar@1.34+dfsg-1"], True),
        (["pkg:deb/debian/tar@1.35"], False),
        (["pkg:deb/debian/app@1%3A2-3"], False),
        (["pkg:npm/tar@1.34+dfsg-1", "pkg:apk/alpine/tar@1.34+dfsg-1"], False),
        (["pkg:rpm/fedora/tar@1.34+dfsg-1", "pkg:generic/tar@1.34+dfsg-1"], False),
        (["pkg:deb/debian/nowhere@1"], False),
        (["pkg:deb/debian/tar@1.34+dfsg-1?arch=source"], False),
        ([], False),
    ],
    ids=range(11),
)
@pytest.mark.parametrize("form", ["spdx.json", "spdx", "cdx.json", "syft.json"])
def test_a_document_goes_with_a_package_that_it_describes(
    form: str, purls: list[str], goes: bool
) -> None:
    write = {"spdx.json": spdx, "spdx": tags, "cdx.json": cyclonedx, "syft.json": syft}[form]
    plan = planned(write(*purls), path=f"srv/x.{form}")
    assert dropped(plan).get(f"/srv/x.{form}") == (GOES if goes else None)
    told = [(one.severity, one.count) for one in plan.findings if one.rule == "sbom-dropped"]
    assert told == ([("note", 1)] if goes else [])


@pytest.mark.parametrize(
    ("purl", "goes"),
    [
        ("pkg:deb/debian/spare@1:5-1", True),
        ("pkg:deb/debian/spare@5-1", True),
        ("pkg:deb/debian/spare@5-1?epoch=1", True),
        ("pkg:deb/debian/spare@5-1?epoch=2", False),
        ("pkg:deb/debian/spare@2:5-1", False),
    ],
)
def test_the_epoch_may_stand_apart(purl: str, goes: bool) -> None:
    spare = pkg("spare", "/usr/bin/spare", version="1:5-1")
    plan = planned(spdx(purl), packages=[APP, spare])
    assert (f"/{DOCUMENT}" in dropped(plan)) is goes


@pytest.mark.parametrize(
    ("architecture", "goes"), [("i386", True), ("amd64", False), ("riscv64", True)]
)
def test_the_architecture_tells_packages_of_one_name_apart(architecture: str, goes: bool) -> None:
    packages = [
        pkg("lib", "/usr/lib/a", version="1", same=True),
        pkg("lib", "/usr/lib/b", version="1", arch="i386", same=True),
    ]
    image = scene(packages, [Reg(DOCUMENT, spdx(f"pkg:deb/debian/lib@1?arch={architecture}"))])
    plan = drawn(image, ["/usr/lib/a"])
    assert (f"/{DOCUMENT}" in dropped(plan)) is goes


def test_names_without_urls_count_only_where_apko_writes() -> None:
    text = spdx(names={"tar": "1.34+dfsg-1"})
    assert f"/{DOCUMENT}" not in dropped(planned(text))
    place = "var/lib/db/sbom/tar-1.34.spdx.json"
    assert dropped(planned(text, path=place))[f"/{place}"] == GOES
    other = spdx(names={"tar": "1.35"})
    assert f"/{place}" not in dropped(planned(other, path=place))


ABOUT_TAR = spdx("pkg:deb/debian/tar@1.34+dfsg-1")


def stale(plan: Plan) -> list[tuple[str, str, str]]:
    found = [one for one in plan.findings if one.rule == "sbom-stale"]
    return [(one.severity, one.path, one.message) for one in found]


def test_a_document_that_people_keep_stays_with_a_warning() -> None:
    plan = planned(ABOUT_TAR, keep=("/srv/*",))
    assert f"/{DOCUMENT}" not in dropped(plan)
    message = f"{GOES}; scanners may count it: asked for: /srv/*"
    assert stale(plan) == [("warning", f"/{DOCUMENT}", message)]


def test_a_document_that_the_profile_saw_opened_stays_with_a_warning() -> None:
    image = scene([APP, TAR], [Reg(DOCUMENT, ABOUT_TAR)])
    plan = drawn(image, of=profile(["/usr/bin/app"], opened=[f"/{DOCUMENT}"]))
    message = f"{GOES}; scanners may count it: opened in run"
    assert stale(plan) == [("warning", f"/{DOCUMENT}", message)]


def test_a_document_of_a_package_on_record_stays_with_it_and_goes_with_it() -> None:
    owner = pkg("owner", "/usr/bin/owner", f"/{DOCUMENT}")
    image = scene([APP, TAR, owner], [Reg(DOCUMENT, ABOUT_TAR)])
    plan = drawn(image, ["/usr/bin/app", "/usr/bin/owner"])
    assert f"/{DOCUMENT}" not in dropped(plan)
    message = f"{GOES}; scanners may count it: owner owns it"
    assert stale(plan) == [("warning", f"/{DOCUMENT}", message)]
    plan = drawn(image, ["/usr/bin/app"])
    assert dropped(plan)[f"/{DOCUMENT}"] == "its package owner goes"
    assert stale(plan) == []


def test_a_package_that_stays_on_record_for_one_file_keeps_its_document() -> None:
    tar = pkg("tar", "/usr/bin/tar", "/usr/share/doc/tar/copyright", version="1.34+dfsg-1")
    plan = planned(ABOUT_TAR, packages=[APP, tar], keep=("/usr/share/doc/*/copyright",))
    assert f"/{DOCUMENT}" not in dropped(plan)
    assert stale(plan) == []


def test_what_leads_to_a_document_or_holds_it_goes_with_it() -> None:
    tar = pkg("tar", "/usr/bin/tar", version="1.34+dfsg-1", dirs=["/usr/share/sboms"])
    path = "usr/share/sboms/tar.cdx.json"
    about = cyclonedx("pkg:deb/debian/tar@1.34+dfsg-1")
    plan = planned(about, Lnk("srv/link", f"/{path}"), packages=[APP, tar], path=path)
    assert dropped(plan) == {
        "/usr/bin/tar": "its package tar goes",
        f"/{path}": GOES,
        "/srv/link": f"leads to /{path}, which goes",
        "/usr/share/sboms": "empty once its packages are gone",
    }


def test_a_document_that_cannot_be_read_stays_and_is_told() -> None:
    plan = planned("{", Reg("srv/y.cdx.json", "{"))
    (note,) = [one for one in plan.findings if one.rule == "sbom-unread"]
    assert (note.severity, note.count) == ("note", 2)
    assert note.message.startswith("may describe what goes, and stays unread: not JSON")
    plan = planned("{", keep=("tar",))
    assert [one for one in plan.findings if one.rule == "sbom-unread"] == []


# -- syft as a judge: documents made by it, in an image that it reads


def syft_run(*arguments: str) -> str:
    program = str(Path(sys.executable).with_name("syft"))
    environment = dict(os.environ) | {"SYFT_CHECK_FOR_APP_UPDATE": "false"}
    done = subprocess.run(
        [program, "scan", "-q", *arguments],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def told_by_documents(root: Path) -> set[str]:
    """The packages that syft finds in SBOM documents."""
    only = ["--override-default-catalogers", "sbom-cataloger"]
    found = json.loads(syft_run(f"dir:{root}", *only, "-o", "syft-json"))["artifacts"]
    return {one["name"] for one in found}


def untarred(layer: bytes, root: Path) -> Path:
    root.mkdir()
    subprocess.run(["tar", "-C", root, "-x"], input=layer, check=True)
    return root


@pytest.mark.parametrize(
    ("form", "name"),
    [
        ("spdx-json", "x.spdx.json"),
        ("spdx-tag-value", "x.spdx"),
        ("cyclonedx-json", "bom"),
        ("syft-json", "x.syft.json"),
    ],
)
def test_syft_finds_no_removed_package_in_a_document(form: str, name: str, tmp_path: Path) -> None:
    packages = [APP, TAR]
    release = Reg("etc/os-release", "ID=debian\nVERSION_ID=12\n")  # without it, syft makes no URLs
    before = scene(packages, [release])
    bare = untarred(
        applied(before, drawn(before, ["/usr/bin/app", "/usr/bin/tar"])), tmp_path / "bare"
    )
    text = syft_run(f"dir:{bare}", "-o", form)
    source = scene(packages, [release, Reg(f"srv/{name}", text)])
    whole = untarred(applied(source, drawn(source, keep=("*",))), tmp_path / "whole")
    assert {"app", "tar"} <= told_by_documents(whole)
    hardened = untarred(applied(source, drawn(source, ["/usr/bin/app"])), tmp_path / "hardened")
    assert told_by_documents(hardened) == set()
