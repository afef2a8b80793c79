"""The named lists that decisions rest on: data that a reviewer can check, not code."""

from __future__ import annotations

import msgspec

from careen.rootfs.path import Path

__all__ = [
    "BASE_PACKAGES",
    "BUILTINS",
    "CACHES",
    "COMPANIONS",
    "DATA_PACKAGES",
    "IDENTITY",
    "LASTING_DIRECTORIES",
    "MULTI_CALL",
    "PAM_FILES",
    "SHELLS",
    "TOOL_CACHES",
    "TRANSIENT",
    "WRAPPERS",
    "Companion",
    "is_documentation",
    "is_notice",
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

_DEBIAN_DATA = {
    "ca-certificates": "the certificates that outgoing TLS trusts",
    "iana-etc": "/etc/protocols and /etc/services",
    "iso-codes": "names of countries and languages",
    "media-types": "/etc/mime.types",
    "mime-support": "/etc/mime.types",
    "netbase": "/etc/protocols and /etc/services",
    "publicsuffix": "the list of public suffixes",
    "shared-mime-info": "the database of file types",
    "tzdata": "time zones",
    "tzdata-legacy": "time zones under their old names",
}
_ALPINE_DATA = {
    "ca-certificates": "the certificates that outgoing TLS trusts",
    "ca-certificates-bundle": "the certificates that outgoing TLS trusts",
    "mailcap": "/etc/mime.types",
    "tzdata": "time zones",
}
_RPM_DATA = {
    "ca-certificates": "the certificates that outgoing TLS trusts",
    "ca-certificates-mozilla": "the certificates that outgoing TLS trusts",
    "crypto-policies": "what TLS libraries read their defaults from",
    "iana-etc": "/etc/protocols and /etc/services",
    "iso-codes": "names of countries and languages",
    "mailcap": "/etc/mime.types",
    "netcfg": "/etc/protocols and /etc/services",
    "publicsuffix-list": "the list of public suffixes",
    "publicsuffix-list-dafsa": "the list of public suffixes",
    "setup": "/etc/protocols and /etc/services",
    "shared-mime-info": "the database of file types",
    "timezone": "time zones",
    "tzdata": "time zones",
}

DATA_PACKAGES = {
    "apk": _ALPINE_DATA,
    "dpkg": _DEBIAN_DATA,
    "dpkg-status.d": _DEBIAN_DATA,
    "rpm": _RPM_DATA,
}
"""Packages of plain data that programs reach for silently, and what is in each, by database."""

BASE_PACKAGES = {
    "rpm": {"filesystem": "the directories and links by which other packages list their files"}
}
"""Packages without which the others' records are not true, by database: they stay whatever is used.

An rpm record keeps the names that it lists: /bin/x is missing when the link /bin goes.
"""


class Companion(msgspec.Struct, frozen=True, kw_only=True):
    """`package` is what the libraries of the packages `of` reach for without linking to it.

    Only where the image has the package `when` too, if that is given. `reaches` are the paths
    in it that they reach for; without any, all of it.
    """

    of: tuple[str, ...]
    package: str
    why: str
    when: str = ""
    reaches: tuple[str, ...] = ()


COMPANIONS = (
    Companion(
        of=("libc6",),
        package="libgcc-s1",
        why="libc6 loads libgcc_s.so.1 by name when a thread is cancelled or exits",
    ),
    Companion(
        of=("glibc",),
        package="libgcc",
        why="glibc loads libgcc_s.so.1 by name when a thread is cancelled or exits",
    ),
    Companion(
        of=("glibc",),
        package="libgcc_s1",
        why="glibc loads libgcc_s.so.1 by name when a thread is cancelled or exits",
    ),
    Companion(
        of=("gnutls",),
        package="p11-kit-trust",
        why="GnuTLS finds ca-certificates through its module p11-kit-trust.so",
        when="ca-certificates",
    ),
    Companion(
        of=("libssl1.1", "libssl3", "libssl3t64"),
        package="openssl",
        why="libssl finds ca-certificates through its link /usr/lib/ssl/certs",
        when="ca-certificates",
        reaches=(
            "etc/ssl/openssl.cnf",
            "usr/lib/ssl/cert.pem",
            "usr/lib/ssl/certs",
            "usr/lib/ssl/openssl.cnf",
        ),
    ),
    Companion(
        of=("libmagic1", "libmagic1t64"),
        package="libmagic-mgc",
        why="libmagic reads its database from there",
    ),
    Companion(
        of=("libfontconfig1",),
        package="fontconfig-config",
        why="libfontconfig reads its configuration from there",
    ),
)
"""What a recording need not show: certificates matter at the first outgoing connection, and without
libgcc_s glibc ends the program (`libgcc_s.so.1 must be installed for pthread_exit to work`)."""

PAM_FILES = {
    "pam_env.so": ("/etc/environment",),
    "pam_mkhomedir.so": ("/sbin/mkhomedir_helper",),
    "pam_pwhistory.so": ("/sbin/pwhistory_helper",),
    "pam_shells.so": ("/etc/shells",),
    "pam_unix.so": ("/etc/shadow", "/sbin/unix_chkpwd"),
}
"""What PAM modules have compiled in, by module: a process that is not root's checks a password
through unix_chkpwd."""

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

MULTI_CALL = frozenset(["bbsuid", "busybox", "busybox.static", "toybox"])
"""Base names of files that are many programs, each called by a link: a shell is one of them."""

BUILTINS = frozenset(
    [
        *(
            ".",
            ":",
            "[",
            "alias",
            "bg",
            "break",
            "cd",
            "continue",
            "echo",
            "eval",
            "exit",
            "export",
        ),
        *("false", "fg", "getopts", "hash", "jobs", "kill", "local", "printf", "pwd", "read"),
        *("readonly", "return", "set", "shift", "test", "times", "trap", "true", "type", "ulimit"),
        *("umask", "unalias", "unset", "wait"),
    ]
)
"""What dash and bash do themselves, whatever program of the name is on PATH."""

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

TRANSIENT = tuple(
    f"/{path}/" for path in ("dev", "proc", "run", "sys", "tmp", "var/run", "var/tmp")
)
"""What a runtime mounts or a run makes: that an image does not have it tells nothing."""

CACHES = (
    "/var/cache/apk/**",
    "/var/cache/apt/*.bin",
    "/var/cache/apt/archives/**",
    "/var/cache/dnf/**",
    "/var/cache/libdnf5/**",
    "/var/cache/tdnf/**",
    "/var/cache/yum/**",
    "/var/cache/zypp/**",
    "/var/lib/apt/lists/**",
    "/var/log/alternatives.log",
    "/var/log/apk.log",
    "/var/log/apt/**",
    "/var/log/bootstrap.log",
    "/var/log/dnf*.log*",
    "/var/log/dpkg.log",
    "/var/log/hawkey.log*",
    "/var/log/yum.log*",
    "/var/log/zypp/**",
    "/var/log/zypper.log*",
)
"""What a package manager left behind and no program reads: globs, gone from every image."""

TOOL_CACHES = {
    "debconf": ("/var/cache/debconf/**",),
    "libc-bin": ("/var/cache/ldconfig/**",),
    "libdnf": ("/var/lib/dnf/**",),
    "libdnf5": ("/var/lib/dnf/**", "/usr/lib/sysimage/libdnf5/**"),
    "libzypp": ("/var/lib/zypp/**",),
    "tdnf": ("/var/lib/tdnf/**", "/usr/lib/sysimage/tdnf/**"),
    "yum": ("/var/lib/yum/**",),
}
"""Caches and histories that only one package reads: gone with it."""

_DOCUMENTATION = (
    "usr/share/bug/",
    "usr/share/doc-base/",
    "usr/share/doc/",
    "usr/share/gtk-doc/",
    "usr/share/help/",
    "usr/share/info/",
    "usr/share/lintian/",
    "usr/share/locale/",
    "usr/share/man/",
    "usr/share/reportbug/",
)


_NOTICES = ("usr/share/common-licenses/", "usr/share/licenses/")


def is_notice(path: Path) -> bool:
    """A licence or a copyright notice: what must accompany the files that it is about."""
    is_copyright = path.startswith("usr/share/doc/") and path.endswith("/copyright")
    return is_copyright or path.startswith(_NOTICES)


def is_documentation(path: Path) -> bool:
    """Documentation, man pages and message catalogues: reading one is no use of a package."""
    return path.startswith(_DOCUMENTATION)
