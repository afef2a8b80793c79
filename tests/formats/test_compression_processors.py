"""The same bytes on other processors: this interpreter run by qemu as older and newer ones."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EVERY = ("gzip", "gzip:portable", "zstd")

# Run here and under qemu. The content is mixed: machine code, words, noise, zeros.
SCRIPT = """
import hashlib, random, sys
from careen.formats.compression import Encoding, compress

chance = random.Random(7)
words = [chance.randbytes(chance.randint(2, 12)) for _ in range(500)]
content = b"".join((
    open(sys.argv[1], "rb").read(1 << 20),
    b" ".join(chance.choices(words, k=100_000)),
    chance.randbytes(300_000),
    bytes(3 << 20),
))
for name in sys.argv[2:]:
    digest = hashlib.sha256()
    for piece in compress([content], Encoding.parse(name), jobs=2):
        digest.update(piece)
    print(name, len(content), digest.hexdigest())
"""


def digests(*prefix: str, encodings: tuple[str, ...]) -> list[str]:
    python = os.path.realpath(sys.executable)
    machine_code = max(Path(python).parent.parent.glob("lib/libpython*.so*"), default=Path(python))
    done = subprocess.run(
        [*prefix, python, "-c", SCRIPT, str(machine_code), *encodings],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.splitlines()


@pytest.mark.skipif(platform.machine() != "x86_64", reason="this interpreter is not for x86-64")
@pytest.mark.skipif(not shutil.which("qemu-x86_64"), reason="no qemu-x86_64 (apt: qemu-user)")
@pytest.mark.parametrize(
    ("processor", "encodings"),
    [
        ("core2duo", ("gzip:portable", "zstd")),  # no SSE4.2: isal's bytes are others there
        ("Nehalem", EVERY),  # SSE4.2 and no AVX
        ("Haswell", EVERY),  # AVX2
    ],
)
def test_another_processor_writes_the_same_bytes(
    processor: str, encodings: tuple[str, ...]
) -> None:
    here = digests(encodings=encodings)
    assert len(here) == len(encodings)
    assert digests("qemu-x86_64", "-cpu", processor, encodings=encodings) == here
