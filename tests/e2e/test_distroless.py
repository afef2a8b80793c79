"""A distroless image of Debian's packages, hardened every way; syft and the application judge.

What its records do not list (symlinks, configuration files) is measured against the archives.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from fixtures.build import Image

from tests import distroless
from tests.distroless import ANSWER, STATUS_D
from tests.e2e.hardened import careen
from tests.e2e.support import running, unpack
from tests.judges import ROOT_ONLY

pytestmark = [pytest.mark.e2e, ROOT_ONLY]
WAYS = [(policy, by) for policy in ("standard", "strict") for by in ("package", "file")]


class Way(NamedTuple):
    """The image hardened one way; `before` and `after` are root directories."""

    image: Image
    options: tuple[str, ...]
    plan: dict[str, Any]
    plan_file: Path
    result: Image
    before: Path
    after: Path

    def packages(self, *decisions: str) -> set[tuple[str, str]]:
        return {
            (item["name"], item["version"])
            for item in self.plan["packages"]
            if item["decision"] in decisions
        }

    def dropped(self) -> set[str]:
        return {item["path"] for item in self.plan["paths"] if item["decision"] == "drop"}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> tuple[Image, Path]:
    """The image, and the profile of a traced run of it."""
    folder = tmp_path_factory.mktemp("distroless")
    image = distroless.build(folder)
    profile = folder / "profile.yaml"
    profile.write_bytes(distroless.recorded(image, folder))
    unpack(image.layout, image.ref, folder / "source")
    return image, profile


@pytest.fixture(scope="module", params=WAYS, ids="-".join)
def way(
    source: tuple[Image, Path],
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
) -> Way:
    image, profile = source
    folder = tmp_path_factory.mktemp("way")
    policy, granularity = request.param
    options = ("--profile", str(profile), "--policy", policy, "--granularity", granularity, "-q")
    plan = folder / "plan.json"
    planned = careen("plan", str(image), *options, "-o", str(plan))
    assert planned.returncode == 0, planned.stderr
    result = Image(folder / "layout", "x")
    done = careen("harden", str(image), str(result), "--no-debug", "--plan", str(plan), "-q")
    assert done.returncode == 0, done.stderr
    return Way(
        image=image,
        options=options,
        plan=json.loads(plan.read_text()),
        plan_file=plan,
        result=result,
        before=profile.parent / "source/rootfs",
        after=unpack(result.layout, "x", folder / "bundle") / "rootfs",
    )


def test_the_program_answers(way: Way) -> None:
    with running(way.after.parent) as app:
        assert app.process.wait(60) == 0, app.printed()
        assert json.loads(app.printed()) == ANSWER


def test_syft_lists_exactly_what_is_on_record(way: Way) -> None:
    assert syft(way.image) == way.packages("keep", "partial", "remove")
    assert syft(way.result) == way.packages("keep", "partial")
    assert {name for name, _ in way.packages("remove")} >= {"bash", "dash", "libstdc++6"}


def test_no_file_on_record_of_a_removed_package_is_there(way: Way) -> None:
    for name, _ in way.packages("remove"):
        assert not (way.after / STATUS_D / name).exists()
        assert not (way.after / STATUS_D / f"{name}.md5sums").exists()
        for path in listed(way.before, name):
            assert not os.path.lexists(way.after / path), f"{name}: {path}"


def test_what_is_left_of_removed_packages_is_what_digests_do_not_list(way: Way) -> None:
    """By the archives: configuration files, and symlinks that still lead somewhere."""
    left: dict[str, set[str]] = {}
    for name, _ in way.packages("remove"):
        for path in shipped(way.image, name):
            if os.path.lexists(way.after / path):
                left.setdefault(name, set()).add(path)
    for paths in left.values():
        links = {path for path in paths if (way.after / path).is_symlink()}
        assert all(path.startswith("etc/") for path in paths - links)
        assert all(leads(way.after, path) for path in links)
    assert "etc/bash.bashrc" in left["bash"]
    (note,) = [item for item in way.plan["findings"] if item["rule"] == "package-database"]
    assert note["message"].startswith("status.d/ lists neither symlinks nor configuration files")


def test_records_that_stay_lose_exactly_the_lines_that_went(way: Way) -> None:
    dropped = way.dropped()
    for name, _ in way.packages("keep", "partial"):
        before, after = way.before / STATUS_D, way.after / STATUS_D
        assert (after / name).read_bytes() == (before / name).read_bytes()
        lines = (before / f"{name}.md5sums").read_text().splitlines(keepends=True)
        left = [line for line in lines if f"/{line.split(None, 1)[1].strip()}" not in dropped]
        assert (after / f"{name}.md5sums").read_text() == "".join(left), name
    assert bool(way.packages("partial")) == ("file" in way.options)


def test_a_package_that_only_its_documents_are_listed_of_stays(way: Way) -> None:
    """The program asks netbase's /etc/services, which nothing on record says."""
    assert "netbase" in {name for name, _ in way.packages("keep")}


def test_every_package_that_stays_has_its_copyright(way: Way) -> None:
    for name, _ in way.packages("keep", "partial"):
        assert leads(way.after, f"usr/share/doc/{name}/copyright"), name


def test_directories_go_with_the_packages_that_had_files_there(way: Way) -> None:
    gone, staying = (
        {str(folder) for name, _ in named for path in listed(way.before, name)
         for folder in Path(path).parents}
        for named in (way.packages("remove"), way.packages("keep", "partial"))
    )  # fmt: skip
    empty = {
        path
        for path in gone
        if (way.after / path).is_dir() and not any((way.after / path).iterdir())
    }
    assert empty <= staying
    assert not (way.after / "usr/share/doc/bash").exists()


def test_verify_finds_nothing_wrong(way: Way) -> None:
    done = careen(
        "verify", str(way.result), "--source", str(way.image), "--plan", str(way.plan_file),
        "--format", "json", "-q",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert {item["severity"] for item in json.loads(done.stdout)["findings"]} <= {"note"}


def test_hardened_again_nothing_goes(way: Way) -> None:
    done = careen("plan", str(way.result), *way.options, "--format", "json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["paths"] == []


def test_every_package_that_stays_is_explained_to_its_end(way: Way) -> None:
    done = careen("explain", str(way.image), "*", *way.options, "--format", "json")
    assert done.returncode == 0, done.stderr
    answers = {item["what"]: item for item in json.loads(done.stdout)["answers"]}
    for name, _ in way.packages("keep", "partial"):
        assert answers[name]["decision"] != "goes"
        assert answers[name]["chain"], name
    for name, _ in way.packages("remove"):
        assert (answers[name]["decision"], answers[name]["chain"]) == ("goes", [])
    assert answers["libexpat1"]["chain"][-1]["rule"] == "owner"


def syft(image: Image) -> set[tuple[str, str]]:
    """Name and version of each Debian package that syft finds in an image."""
    done = subprocess.run(
        [Path(sys.executable).with_name("syft"), f"oci-dir:{image.layout}", "-o", "json", "-q"],
        capture_output=True,
        check=True,
        env={**os.environ, "SYFT_CHECK_FOR_APP_UPDATE": "false"},
    )
    found = json.loads(done.stdout)["artifacts"]
    return {(one["name"], one["version"]) for one in found if one["type"] == "deb"}


def listed(root: Path, name: str) -> list[str]:
    """The paths in a package's digests."""
    lines = (root / STATUS_D / f"{name}.md5sums").read_text().splitlines()
    return [line.split(None, 1)[1] for line in lines]


def shipped(image: Image, name: str) -> list[str]:
    """All that a package's archive holds, but directories."""
    (archive,) = (image.layout.parent / "debs").glob(f"{name}_*.deb")
    done = subprocess.run(
        ["dpkg-deb", "--contents", archive], capture_output=True, text=True, check=True
    )
    rows = [line.split(None, 5) for line in done.stdout.splitlines()]
    return [row[5].partition(" -> ")[0].removeprefix("./") for row in rows if row[0][0] != "d"]


def leads(root: Path, path: str) -> bool:
    """Whether something is at a path, its links followed inside `root`."""
    here = root / path
    for _ in range(40):
        folder = here.parent.resolve()
        here = folder / here.name
        if not here.is_symlink():
            return here.exists()
        target = os.readlink(here)
        here = root / target.lstrip("/") if target.startswith("/") else folder / target
    return False
