"""The names of everything that verify may say, each explained in `docs/findings.md`."""

from __future__ import annotations

__all__ = ["AGAINST", "ALONE"]

AGAINST = (
    # integrity
    "layer-count", "history-length", "history-lost", "created-malformed", "config-changed",
    "label-untrue",
    # promise
    "path-lost", "path-extra", "attribute-changed", "link-changed", "hard-link-changed",
    "content-changed",
    # records
    "package-lost", "package-extra", "record-changed", "record-broken", "record-without-file",
    "unlisted-file", "unowned-file", "file-of-removed-package", "database-fault",
    # working
    "program-lost", "program-lost-interpreter", "program-lost-library", "loader-lost",
    "library-lost", "script-without-interpreter", "dangling-link", "start-lost",
)  # fmt: skip
"""Of an image against its source and a plan."""

ALONE = (
    "claims", "start-not-found", "start-broken", "library-missing", "loader-missing",
    "script-without-interpreter", "dangling-link", "package-database", "database-unsupported",
    "database-fault", "record-without-file", "listed-file-absent", "listed-document-absent",
    "unowned-program",
)  # fmt: skip
"""Of an image by itself."""
