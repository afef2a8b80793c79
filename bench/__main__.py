"""careen against a floor and against umoci, on the real images, as ratios measured in one run.

    python -m bench [NAME…] [--rounds N]

Each round runs every contender once, one after the other, so that a slow moment of the machine
falls on all of them; a ratio is taken within its round, and the median of the rounds is printed.

- floor: `floor.py --verify`, the least work that any squash must do: check, unpack, pack again,
  read back. Same codec, level and threads.
- umoci: Debian's umoci does the same job in the steps that it has: unpack, then insert the tree
  into a new image as one layer.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from fixtures.build import Image, build

from bench.timing import CAREEN, Run, timed

FLOOR = Path(__file__).with_name("floor.py")
PROFILES = Path("fixtures/profiles")
THREADS = os.cpu_count() or 1


class Row(NamedTuple):
    """One image and job, over all rounds."""

    name: str
    seconds: float
    to_floor: float
    to_umoci: float
    peak: float


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("names", nargs="*", default=["redis", "nginx", "flask", "postgres"])
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    images = {name: build(name) for name in options.names}
    start_up = statistics.median(timed([CAREEN, "--version"]).seconds for _ in range(5))
    print(f"{THREADS} threads, gzip (isal level 2), {options.rounds} rounds, medians")
    print(f"start-up of careen, contained in its seconds: {start_up:.2f} s\n")
    print(f"{'image':10} {'job':8} {'seconds':>8} {'to floor':>9} {'to umoci':>9} {'peak MiB':>9}")
    for name, image in images.items():
        for job, row in measured(name, image, options.rounds, start_up):
            print(
                f"{name:10} {job:8} {row.seconds:8.2f} {row.to_floor:8.2f}x "
                f"{row.to_umoci:8.2f}x {row.peak:9.0f}",
                flush=True,
            )


def measured(name: str, image: Image, rounds: int, start_up: float) -> Iterator[tuple[str, Row]]:
    """A row for each job that careen does on the image. Ratios leave start-up out."""
    jobs: dict[str, list[str]] = {"squash": []}
    profile = PROFILES / f"{name}.yaml"
    if profile.exists():
        jobs["harden"] = ["--profile", str(profile), "--no-debug"]
    runs: dict[str, list[tuple[Run, float, float]]] = {job: [] for job in jobs}
    for _ in range(rounds):
        floor = json.loads(timed(floor_command(image)).printed)["seconds"]
        umoci = umoci_squash(image)
        for job, options in jobs.items():
            with tempfile.TemporaryDirectory() as folder:
                target = f"oci:{folder}/out:x"
                done = timed([CAREEN, job, str(image), target, *options, "--quiet"])
            runs[job].append((done, floor, umoci))
    for job, found in runs.items():
        yield (
            job,
            Row(
                name=name,
                seconds=statistics.median(run.seconds for run, _, _ in found),
                to_floor=statistics.median((run.seconds - start_up) / f for run, f, _ in found),
                to_umoci=statistics.median((run.seconds - start_up) / u for run, _, u in found),
                peak=max(run.peak for run, _, _ in found),
            ),
        )


def floor_command(image: Image) -> list[str | Path]:
    """The floor, with careen's codec, level and threads."""
    argv: list[str | Path] = [sys.executable, FLOOR, image.layout, image.ref, "--verify"]
    return [*argv, "--codec", "gzip", "--level", "2", "--threads", str(THREADS)]


def umoci_squash(image: Image) -> float:
    """Seconds that umoci takes to make the image one layer."""
    with tempfile.TemporaryDirectory() as folder:
        bundle, layout = f"{folder}/bundle", f"{folder}/layout"
        started = time.perf_counter()
        timed(["umoci", "unpack", "--image", f"{image.layout}:{image.ref}", bundle])
        timed(["umoci", "init", "--layout", layout])
        timed(["umoci", "new", "--image", f"{layout}:x"])
        timed(["umoci", "insert", "--image", f"{layout}:x", f"{bundle}/rootfs", "/"])
        return time.perf_counter() - started


if __name__ == "__main__":
    if shutil.which("umoci") is None:
        sys.exit("umoci is not installed: make system")
    main()
