"""rpm's database: read from an image, and edited to the truth about what remains."""

from careen.packages.rpm.records import RpmRecords, read

__all__ = ["RpmRecords", "read"]
