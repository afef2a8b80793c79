"""apk's database: read from an image, and edited to the truth about what remains."""

from careen.packages.apk.records import ApkRecords, read

__all__ = ["ApkRecords", "read"]
