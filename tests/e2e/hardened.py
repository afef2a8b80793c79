"""A real image, hardened from registry to registry, and unpacked by umoci before and after."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fixtures.build import Image, build

from tests.e2e.support import unpack
from tests.registries import RunningRegistry

PROFILES = Path(__file__).resolve().parents[2] / "fixtures" / "profiles"
CAREEN = str(Path(sys.executable).with_name("careen"))


@dataclass(frozen=True)
class Hardened:
    """`before` and `after` are umoci bundles; `plan` is what harden printed as JSON."""

    name: str
    image: Image
    host: str
    source: str
    destination: str
    plan: dict[str, Any]
    before: Path
    after: Path
    layout: Path

    def dropped(self) -> set[bytes]:
        """The paths that the plan drops, relative."""
        return {
            os.fsencode(item["path"]).lstrip(b"/")
            for item in self.plan["paths"]
            if item["decision"] == "drop"
        }

    def replaced(self) -> set[bytes]:
        """The paths that the plan replaces, relative."""
        return {
            os.fsencode(item["path"]).lstrip(b"/")
            for item in self.plan["paths"]
            if item["decision"] == "replace"
        }

    def staying(self) -> set[str]:
        """The names of the packages that stay on record."""
        return {p["name"] for p in self.plan["packages"] if p["decision"] != "remove"}


def careen(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run careen as a user would."""
    return subprocess.run(
        [CAREEN, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=dict(os.environ) | environment,
    )


def skopeo(*arguments: str) -> str:
    """Run skopeo; its output."""
    done = subprocess.run(["skopeo", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def registry_digest(reference: str) -> str:
    """What a tag in a registry names, asked of skopeo."""
    return skopeo("inspect", "--tls-verify=false", "--format", "{{.Digest}}", reference).strip()


def harden(name: str, registry: RunningRegistry, folder: Path) -> Hardened:
    """Push the fixture, harden it in the registry, and unpack both with umoci."""
    image = build(name)
    source = f"docker://{registry.host}/{name}:{image.ref}"
    destination = f"{source}-hardened"
    skopeo("copy", "--quiet", "--dest-tls-verify=false", str(image), source)
    done = careen(
        "harden", source, destination, "--profile", str(PROFILES / f"{name}.yaml"),
        "--format", "json", "--quiet",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    layout = folder / "pulled"
    skopeo("copy", "--quiet", "--src-tls-verify=false", destination, f"oci:{layout}:x")
    return Hardened(
        name=name,
        image=image,
        host=registry.host,
        source=source,
        destination=destination,
        plan=json.loads(done.stdout),
        before=unpack(image.layout, image.ref, folder / "before"),
        after=unpack(layout, "x", folder / "after"),
        layout=layout,
    )


def dpkg(root: Path, *arguments: str) -> list[str]:
    """What dpkg or dpkg-query says about an unpacked root, sorted lines."""
    program = "dpkg-query" if arguments[0] in ("-W", "--show") else "dpkg"
    done = subprocess.run(
        [program, f"--root={root}", *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return sorted((done.stdout + done.stderr).splitlines())


def syft_packages(root: Path) -> set[tuple[str, str]]:
    """Name and version of the Debian packages that syft finds."""
    done = subprocess.run(
        [str(Path(sys.executable).with_name("syft")), "scan", f"dir:{root}", "-o", "syft-json"],
        capture_output=True,
        text=True,
        check=False,
        env=dict(os.environ) | {"SYFT_CHECK_FOR_APP_UPDATE": "false"},
    )
    assert done.returncode == 0, done.stderr
    artifacts = json.loads(done.stdout)["artifacts"]
    return {(a["name"], a["version"]) for a in artifacts if a["type"] == "deb"}


@contextlib.contextmanager
def nothing_written(folder: Path):  # type: ignore[no-untyped-def]
    """What is in `folder` afterwards is what was there before."""
    before = sorted(folder.rglob("*")) if folder.exists() else None
    yield
    assert (sorted(folder.rglob("*")) if folder.exists() else None) == before
