"""tar, strictly: what Go's archive/tar would see, or refused.

Container runtimes read layers with Go's archive/tar, so an entry is here what it is there. Where
well-known readers see different entries in the same bytes, a file could hide from one of them:
such an archive is refused. (POSIX pax, ustar, GNU and old formats are read; pax and ustar written.)
"""

from careen.formats.tar.entry import Entry, Kind
from careen.formats.tar.header import END, header, padding
from careen.formats.tar.reader import Limits, Reader

__all__ = ["END", "Entry", "Kind", "Limits", "Reader", "header", "padding"]
