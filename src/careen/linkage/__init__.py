"""What starting a file would load: the facts of an image → interpreters and libraries.

Pure: the facts were read before, and paths are looked up through a `resolve` that is handed in.
glibc's loader is followed as ld.so(8) and its elf/dl-load.c go, musl's as its ldso/dynlink.c.
Where the answer depends on the machine that runs the image (hwcaps directories, `$LIB`,
`$PLATFORM`), every file that some machine would load counts.
"""

from careen.linkage.values import Found, Linkage, Missing, Resolve, Via, View, view
from careen.linkage.walk import missing, named, of

__all__ = [
    "Found",
    "Linkage",
    "Missing",
    "Resolve",
    "Via",
    "View",
    "missing",
    "named",
    "of",
    "view",
]
