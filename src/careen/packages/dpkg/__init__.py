"""dpkg's database: read from an image, and edited to the truth about what remains."""

from careen.packages.dpkg.alternatives import Alternative, Choice
from careen.packages.dpkg.records import DpkgRecords, read

__all__ = ["Alternative", "Choice", "DpkgRecords", "read"]
