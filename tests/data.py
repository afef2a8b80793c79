"""Real records of public projects, which the tests read where they are and never copy.

The folder is `CAREEN_TEST_DATA`, else `../shared/data` beside the checkout.
"""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["DATA"]

DATA = Path(os.environ.get("CAREEN_TEST_DATA", Path(__file__).parents[2] / "shared/data"))
