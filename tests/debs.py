"""Debian packages as files, from the mirrors that this machine's apt has."""

from __future__ import annotations

import subprocess
from pathlib import Path

__all__ = ["fetched"]


def fetched(folder: Path, *packages: str) -> list[Path]:
    """The packages' archives in the new `folder`; apt's lists are renewed if too old."""
    folder.mkdir()
    folder.chmod(0o777)  # apt fetches as a user of its own
    command = ["apt-get", "-qq", "-o", "Dir::Log=/dev/null", "download", *packages]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        subprocess.run(["apt-get", "-qq", "update"], check=True, capture_output=True)
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = sorted(folder.glob("*.deb"))
    assert len(found) == len(packages)
    return found
