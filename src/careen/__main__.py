"""`python -m careen`, the same as `careen`."""

from __future__ import annotations

import sys

from careen.cli.app import main

__all__: list[str] = []

if __name__ == "__main__":
    sys.exit(main())
