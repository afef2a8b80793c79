"""What recording costs, and how fast its logs are read.

    python -m bench.recording [--rounds N] [--megabytes N]

The first table runs programs of the real images in bubblewrap, without strace and under it, one
after the other in each round, as root (nginx has users of its own); the ratio is the median of the
rounds. strace has the arguments that `careen profile record` gives it. The second reads logs of the
given size with `careen profile import strace`: a real one over and over, and one of unlike lines.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from fixtures.build import build
from tests.e2e.support import unpack

from bench.timing import CAREEN, timed
from careen.record.sandbox import tracing

__all__ = ["main"]

_SERVED = "redis-server --save '' --unixsocket /tmp/s >/dev/null & "
_ASK = "redis-benchmark -s /tmp/s -q -n 100000 -t get,set >/dev/null; redis-cli -s /tmp/s shutdown"
_UP = "until redis-cli -s /tmp/s ping >/dev/null 2>&1; do sleep 0.1; done; "
_SITE = "nginx -g 'daemon on; error_log /dev/null;' >/dev/null; "
_ASKED = "GET / HTTP/1.1\\r\\nHost: a\\r\\n"
_LAST = f"{_ASKED}Connection: close\\r\\n\\r\\n"
_GETS = (  # on three connections, as nginx closes one after 1,000 requests
    "for c in 1 2 3; do exec 3<>/dev/tcp/127.0.0.1/80; "
    f"for i in $(seq 899); do printf '{_ASKED}\\r\\n' >&3; done; printf '{_LAST}' >&3; "
    "cat <&3 >/dev/null; done; nginx -s quit 2>/dev/null"
)


class Job(NamedTuple):
    """A shell command of an image."""

    image: str
    what: str
    command: str


JOBS = (
    Job("redis", "200,000 requests, served from memory", _SERVED + _UP + _ASK),
    Job("nginx", "2,700 requests, a file opened for each", _SITE + _GETS),
    Job(
        "flask",
        "20 starts of Python, with its imports",
        "for i in $(seq 20); do "
        "PYTHONPATH=/app/site-packages python3 -c 'import flask, sqlite3, zoneinfo'; done",
    ),
    Job("redis", "500 short programs", "for i in $(seq 500); do /bin/true; done"),
)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--megabytes", type=int, default=200)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        print(f"{'image':8} {'program':38} {'alone, s':>8} {'recorded':>9} {'log lines':>10}")
        logs = [recorded(job, folder, options.rounds) for job in JOBS]
        print(f"\n{'log':38} {'MB':>6} {'lines':>10} {'lines/s':>9} {'peak MiB':>9}")
        for what, lines in (("a real one, over and over", again(logs)), ("no two alike", alone())):
            read(what, lines, folder / "log", options.megabytes * 1_000_000)


def recorded(job: Job, folder: Path, rounds: int) -> Path:
    """Run the job without and under strace, print its row; the last log."""
    bundle = folder / job.image
    if not bundle.exists():
        image = build(job.image)
        unpack(image.layout, image.ref, bundle)
    log = folder / f"{len(list(folder.iterdir()))}.log"
    box = ["bwrap", "--bind", str(bundle / "rootfs"), "/", "--proc", "/proc", "--dev", "/dev"]
    box += ["--unshare-pid", "--unshare-net", "--unshare-ipc", "--cap-add", "ALL"]
    box += ["--die-with-parent", "--", "/bin/bash", "-c", job.command]
    pairs = [(timed(box).seconds, timed([*tracing(log), *box]).seconds) for _ in range(rounds)]
    with log.open("rb") as lines:
        count = sum(1 for _ in lines)
    seconds = statistics.median(before for before, _ in pairs)
    ratio = statistics.median(after / before for before, after in pairs)
    print(f"{job.image:8} {job.what:38} {seconds:8.2f} {ratio:8.2f}x {count:10,}", flush=True)
    return log


def again(logs: list[Path]) -> Iterator[bytes]:
    """The lines of real logs without end; each time the processes are others."""
    lines = [line for log in logs for line in log.read_bytes().splitlines(keepends=True)]
    for turn in itertools.count(1):
        for line in lines:
            yield b"%d%s" % (turn, line)  # it begins with the process


def alone() -> Iterator[bytes]:
    """Opened files without end: 100,003 of them, and no line twice."""
    for number in itertools.count(1):
        name = number % 100_003
        path = b"/usr/lib/python3/dist-packages/a%d/b%d.so" % (name % 977, name)
        yield (
            b'%d openat(AT_FDCWD</srv/app>, "%s", O_RDONLY|O_CLOEXEC) = %d<%s>\n'
            % (number % 50 + 100, path, number % 997, path)
        )


def read(what: str, lines: Iterator[bytes], log: Path, size: int) -> None:
    """Import a log of `size` bytes; print how fast it went."""
    count = written = 0
    with log.open("wb") as file:
        for line in lines:
            if written >= size:
                break
            written += file.write(line)
            count += 1
    run = timed(
        [CAREEN, "profile", "import", "strace", log, "--quiet", "-o", log.with_suffix(".p")]
    )
    rate = count / run.seconds
    print(f"{what:38} {written / 1e6:6.0f} {count:10,} {rate:9,.0f} {run.peak:9.0f}", flush=True)


if __name__ == "__main__":
    main()
