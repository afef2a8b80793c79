"""The named lists that decisions rest on: data that a reviewer can check, not code."""

from __future__ import annotations

from careen.rootfs.path import Path

__all__ = [
    "CACHES",
    "DATA_PACKAGES",
    "IDENTITY",
    "LASTING_DIRECTORIES",
    "SHELLS",
    "TOOL_CACHES",
    "WRAPPERS",
    "is_documentation",
]

IDENTITY = (
    "etc/os-release",
    "usr/lib/os-release",
    "etc/passwd",
    "etc/group",
    "etc/nsswitch.conf",
    "etc/hosts",
)
"""What says which system this is and who runs on it: kept in every image."""

DATA_PACKAGES = {
    "dpkg": (
        "ca-certificates",  # outgoing TLS
        "iana-etc",
        "iso-codes",
        "media-types",  # /etc/mime.types
        "mime-support",
        "netbase",  # /etc/protocols, /etc/services
        "publicsuffix",
        "shared-mime-info",
        "tzdata",
        "tzdata-legacy",
    ),
}
"""Packages of plain data that programs reach for silently, by database: standard keeps them."""

SHELLS = frozenset(
    [
        "ash",
        "bash",
        "busybox",
        "csh",
        "dash",
        "elvish",
        "fish",
        "ksh",
        "ksh93",
        "lksh",
        "loksh",
        "mksh",
        "pdksh",
        "posh",
        "pwsh",
        "rbash",
        "rksh",
        "rzsh",
        "sash",
        "sh",
        "static-sh",
        "tcsh",
        "xonsh",
        "yash",
        "zsh",
    ]
)
"""Base names of programs that read commands; /etc/shells adds what it lists."""

WRAPPERS: dict[str, tuple[int, frozenset[str]]] = {
    "catatonit": (0, frozenset()),
    "docker-init": (0, frozenset(["-p", "-e"])),
    "dumb-init": (0, frozenset(["-r", "--rewrite"])),
    "env": (0, frozenset(["-u", "--unset", "-C", "--chdir"])),
    "gosu": (1, frozenset()),
    "su-exec": (1, frozenset()),
    "tini": (0, frozenset(["-p", "-e"])),
    "tini-static": (0, frozenset(["-p", "-e"])),
}
"""Programs that start another: the count of arguments before its name, and options with a value."""

LASTING_DIRECTORIES = frozenset(
    map(Path, ["dev", "etc", "home", "mnt", "proc", "root", "run", "sys", "tmp", "var", "var/tmp"])
)
"""Directories that a runtime or a program expects, empty or not."""

CACHES = (
    "var/cache/apt/*.bin",
    "var/lib/apt/lists/**",
    "var/cache/apt/archives/**",
    "var/log/apt/**",
    "var/log/dpkg.log",
    "var/log/alternatives.log",
    "var/log/bootstrap.log",
)
"""What a package manager left behind and no program reads: globs, gone whenever anything goes."""

TOOL_CACHES = {
    "debconf": ("var/cache/debconf/**",),
    "libc-bin": ("var/cache/ldconfig/**",),
}
"""Caches that only one package reads: gone with it."""

_DOCUMENTATION = (
    "usr/share/doc/",
    "usr/share/doc-base/",
    "usr/share/info/",
    "usr/share/lintian/",
    "usr/share/locale/",
    "usr/share/man/",
    "usr/share/bug/",
    "usr/share/reportbug/",
)


def is_documentation(path: Path) -> bool:
    """Documentation, man pages and message catalogues: reading one is no use of a package."""
    return path.startswith(_DOCUMENTATION)
