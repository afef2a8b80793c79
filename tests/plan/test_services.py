"""What used files load by name: one small image a rule. Whatever a row does not name goes."""

from __future__ import annotations

import os
import subprocess
import tarfile
from collections.abc import Callable
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from careen.oci.config import Execution
from careen.plan.closure import view
from careen.plan.services import Services
from careen.profile.profile import Profile
from tests.builders import Hard, Lnk, Node, Reg, tar_layer
from tests.elf_builder import I386, INTERP, elf
from tests.judges import needs, traced
from tests.packages.dpkg_root import Pkg, table
from tests.plan.scenes import applied, decisions, drawn, dropped, pkg, profile, reasons, scene

LOADER = "usr/lib64/ld-linux-x86-64.so.2"
LIBC = pkg("libc6", f"/{LOADER}", "/usr/lib/libc.so.6")
C_LIBRARY = [Reg(LOADER, elf(), 0o755), Reg("usr/lib/libc.so.6", elf(soname="libc.so.6"))]
APP = pkg("app", "/usr/bin/app")
SSS = pkg("libnss-sss", "/usr/lib/libnss_sss.so.2")
STUBS = pkg("stubs", "/usr/lib/libnss_dns.so.2", "/usr/lib/libnss_files.so.2")
SU = pkg("su", "/usr/bin/su", conffiles=["/etc/pam.d/su"])
PAM = pkg("libpam0g", "/usr/lib/libpam.so.0")
MODULES = pkg("libpam-modules", "/usr/lib/security/pam_unix.so")
RUNTIME = pkg("libpam-runtime", conffiles=["/etc/pam.d/other"])
HELPER = pkg("helper", "/usr/sbin/unix_chkpwd")
ACCESS = pkg("access", "/usr/lib/security/pam_access.so")
GCONV = "usr/lib/x86_64-linux-gnu/gconv"


def program(path: str, *needed: str, **more: Any) -> Node:
    return Reg(path, elf(needed=needed, interpreter=INTERP["glibc"], **more), 0o755)


def library(path: str, *needed: str, soname: str = "", **more: Any) -> Node:
    return Reg(path, elf(needed=needed, soname=soname, **more))


def module(name: str, *needed: str) -> Node:
    return library(f"usr/lib/security/{name}", "libpam.so.0", *needed)


GLIBC = [program("usr/bin/app", "libc.so.6"), *C_LIBRARY, library("usr/lib/libnss_sss.so.2")]
OLD = Lnk("usr/lib/libc.so.6", "libc-2.31.so")
LIBPAM = library("usr/lib/libpam.so.0", soname="libpam.so.0")
SU_NODES = [
    program("usr/bin/su", "libpam.so.0"),
    LIBPAM,
    module("pam_unix.so"),
    module("pam_access.so"),
    Reg("usr/sbin/unix_chkpwd"),
]


@dataclass(frozen=True)
class Row:
    """`stays`: packages that are kept, beside those of `given`, and the plan's reason."""

    name: str
    packages: list[Pkg]
    nodes: list[Node]
    stays: dict[str, str]
    profile: Profile
    given: frozenset[str] = frozenset(["app", "libc6", "su", "libpam0g"])
    execution: Execution = field(default_factory=Execution)


RUN = profile(["/usr/bin/app"])
SU_RUN = profile(["/usr/bin/su"])
ROWS = [
    Row(
        "name service: what nsswitch.conf names, and what that loads",
        [APP, LIBC, SSS, pkg("libidmap", "/usr/lib/libidmap.so.0"), STUBS],
        [
            program("usr/bin/app", "libc.so.6"),
            *C_LIBRARY,
            library("usr/lib/libnss_sss.so.2", "libidmap.so.0"),
            library("usr/lib/libidmap.so.0"),
            Reg("etc/nsswitch.conf", "passwd: files sss\ngroup: sss [NOTFOUND=return]\n"),
        ],
        {
            "libnss-sss": "/usr/lib/libnss_sss.so.2: libnss_sss.so.2 is named by "
            "/etc/nsswitch.conf (group, passwd)",
            "libidmap": "/usr/lib/libidmap.so.0: libidmap.so.0 is loaded by "
            "/usr/lib/libnss_sss.so.2",
        },
        RUN,
    ),
    Row(
        "name service: nothing for a database of another program, an absent module, a path",
        [APP, LIBC, SSS],
        [*GLIBC, Reg("etc/nsswitch.conf", "sudoers: sss\npasswd: gone ../sss x/sss\n")],
        {},
        RUN,
    ),
    Row(
        "name service: nothing without a C library",
        [APP, SSS],
        [*GLIBC[3:], program("usr/bin/app"), Reg("etc/nsswitch.conf", "passwd: sss\n")],
        {},
        RUN,
    ),
    Row(
        "name service: not a module of another machine",
        [APP, LIBC, SSS],
        [
            *GLIBC[:3],
            library("usr/lib/libnss_sss.so.2", bits=32, machine=I386),
            Reg("etc/nsswitch.conf", "passwd: sss\n"),
        ],
        {},
        RUN,
    ),
    Row(
        "name service: what an older glibc asks by itself",
        [APP, pkg("libc6", f"/{LOADER}", "/usr/lib/libc.so.6", "/usr/lib/libc-2.31.so"), STUBS],
        [
            program("usr/bin/app", "libc.so.6"),
            C_LIBRARY[0],
            OLD,
            library("usr/lib/libc-2.31.so", soname="libc.so.6"),
            library("usr/lib/libnss_dns.so.2"),
            library("usr/lib/libnss_files.so.2"),
        ],
        {
            "stubs": "/usr/lib/libnss_files.so.2: libnss_files.so.2 is what glibc asks by itself "
            "(hosts, aliases, ethers, group, group_compat, gshadow, initgroups, netgroup, "
            "networks, passwd, passwd_compat, protocols, publickey, rpc, services, shadow, "
            "shadow_compat)"
        },
        RUN,
    ),
    Row(
        "name service: dns reads resolv.conf",
        [APP, LIBC, pkg("resolver", conffiles=["/etc/resolv.conf"])],
        [*GLIBC[:3], Reg("etc/nsswitch.conf", "hosts: files dns\n")],
        {"resolver": "/etc/resolv.conf: tells libnss_dns.so.2 which servers to ask"},
        RUN,
    ),
    Row(
        "name service: no configuration that it can do without",
        [APP, LIBC, pkg("libc-bin", "/usr/bin/ldd", conffiles=["/etc/gai.conf"])],
        GLIBC[:3],
        {},
        RUN,
    ),
    Row(
        "PAM: the service of the program's name, its modules, their files, and the fallback",
        [SU, PAM, MODULES, RUNTIME, HELPER, ACCESS, pkg("cron", conffiles=["/etc/pam.d/cron"])],
        [
            *SU_NODES,
            Reg("etc/pam.d/su", "auth required pam_unix.so\n"),
            Reg("etc/pam.d/other", "@include common-auth\n"),
            Reg("etc/pam.d/common-auth", "auth required pam_access.so accessfile=/opt/access\n"),
            Reg("etc/pam.d/cron", "auth required pam_access.so\n"),
        ],
        {
            "libpam-modules": "/usr/lib/security/pam_unix.so: pam_unix.so is named by "
            "/etc/pam.d/su",
            "libpam-runtime": "/etc/pam.d/other: is PAM's fallback for /usr/bin/su",
            "helper": "/usr/sbin/unix_chkpwd: pam_unix.so opens or runs it",
            "access": "/usr/lib/security/pam_access.so: pam_access.so is named by "
            "/etc/pam.d/common-auth",
        },
        SU_RUN,
    ),
    Row(
        "PAM: a service that the recording saw, whatever asked for it",
        [PAM, MODULES, pkg("login", conffiles=["/etc/pam.d/login"])],
        [LIBPAM, module("pam_unix.so"), Reg("etc/pam.d/login", "auth include x\n"),
         Reg("usr/lib/pam.d/x", "auth optional /usr/lib/security/$ISA/pam_unix.so\n")],
        {
            "login": "/etc/pam.d/login: opened in run",
            "libpam-modules": "/usr/lib/security/pam_unix.so: "
            "/usr/lib/security/$ISA/pam_unix.so is named by /usr/lib/pam.d/x",
        },
        profile(opened=["/etc/pam.d/login", "/usr/lib/libpam.so.0"]),
    ),
    Row(
        "PAM: the services of a program's package, else whatever no package owns",
        [
            PAM,
            pkg("mail", "/usr/lib/mail/auth", conffiles=["/etc/pam.d/imap"]),
            pkg("python3-pam", "/usr/lib/python3/PAM.so"),
            MODULES,
            ACCESS,
            pkg("cron", conffiles=["/etc/pam.d/cron"]),
        ],
        [
            LIBPAM,
            program("usr/lib/mail/auth", "libpam.so.0"),
            library("usr/lib/python3/PAM.so", "libpam.so.0"),
            module("pam_unix.so"),
            module("pam_access.so"),
            Reg("etc/pam.d/imap", "auth required pam_unix.so\n"),
            Reg("etc/pam.d/web", "auth required pam_access.so\n"),
        ],
        {
            "mail": "/usr/lib/mail/auth: executed in run",
            "python3-pam": "/usr/lib/python3/PAM.so: opened in run",
            "libpam-modules": "/usr/lib/security/pam_unix.so: pam_unix.so is named by "
            "/etc/pam.d/imap",
            "access": "/usr/lib/security/pam_access.so: pam_access.so is named by /etc/pam.d/web",
        },
        profile(["/usr/lib/mail/auth"], opened=["/usr/lib/python3/PAM.so"]),
    ),
    Row(
        "PAM: pam.conf where there is no pam.d",
        [pkg("su", "/usr/bin/su"), PAM, MODULES, HELPER],
        [*SU_NODES, Reg("etc/pam.conf", "su auth required pam_unix.so\n")],
        {
            "libpam-modules": "/usr/lib/security/pam_unix.so: pam_unix.so is named by "
            "/etc/pam.conf",
            "helper": "/usr/sbin/unix_chkpwd: pam_unix.so opens or runs it",
        },
        SU_RUN,
    ),
    Row(
        "PAM: a module's files in /etc/security, and what it is given",
        [
            SU, PAM, ACCESS,
            pkg("a", conffiles=["/etc/security/access.conf"]),
            pkg("b", "/usr/share/given"),
            pkg("c", conffiles=["/etc/security/limits.conf"]),
        ],
        [*SU_NODES, Reg("etc/pam.d/su", "auth required pam_access.so accessfile=/usr/share/given")],
        {
            "access": "/usr/lib/security/pam_access.so: pam_access.so is named by /etc/pam.d/su",
            "a": "/etc/security/access.conf: configures pam_access.so",
            "b": "/usr/share/given: is given to pam_access.so by /etc/pam.d/su",
        },
        SU_RUN,
    ),
    Row(
        "gconv: the lists beside a used converter, and the one that names it",
        [
            pkg("extra", f"/{GCONV}/EUC-KR.so", f"/{GCONV}/libKSC.so"),
            pkg("lists", f"/{GCONV}/gconv-modules"),
            pkg("cache", f"/{GCONV}/gconv-modules.cache"),
            pkg("more", f"/{GCONV}/gconv-modules.d/more.conf"),
            pkg("unused", f"/{GCONV}/gconv-modules.d/unused.conf"),
        ],
        [
            library(f"{GCONV}/EUC-KR.so", "libKSC.so", runpath="$ORIGIN"),
            library(f"{GCONV}/libKSC.so"),
            Reg(f"{GCONV}/gconv-modules.d/more.conf", "module EUC-KR// INTERNAL EUC-KR 1\n"),
            Reg(f"{GCONV}/gconv-modules.d/unused.conf", "module BIG5// INTERNAL BIG5 1\n"),
        ],
        {
            "extra": f"/{GCONV}/EUC-KR.so: opened in run",
            "lists": f"/{GCONV}/gconv-modules: tells iconv what /{GCONV}/EUC-KR.so converts",
            "cache": f"/{GCONV}/gconv-modules.cache: tells iconv what /{GCONV}/EUC-KR.so converts",
            "more": f"/{GCONV}/gconv-modules.d/more.conf: tells iconv what /{GCONV}/EUC-KR.so "
            "converts",
        },
        profile(opened=[f"/{GCONV}/EUC-KR.so"]),
    ),
    Row(
        "locale: below LOCPATH too, and what converts to its codeset",
        [
            APP,
            pkg("german", "/opt/locale/de_DE.iso88591/LC_CTYPE"),
            pkg("latin1", f"/{GCONV}/ISO8859-1.so"),
            pkg("greek", f"/{GCONV}/ISO8859-7.so"),
        ],
        [
            Reg(
                f"{GCONV}/gconv-modules",
                "alias ISO88591// ISO-8859-1//\n"
                "module ISO-8859-1// INTERNAL ISO8859-1 1\nmodule X// INTERNAL ISO8859-7 1\n",
            )
        ],
        {
            "german": "/opt/locale/de_DE.iso88591/LC_CTYPE: the locale that Env names: "
            "de_DE.ISO-8859-1",
            "latin1": f"/{GCONV}/ISO8859-1.so: converts to and from ISO-8859-1, of the locale "
            "that Env names",
        },
        RUN,
        execution=Execution(env=("LANG=de_DE.ISO-8859-1", "LOCPATH=/opt/locale", "LANGUAGE=el")),
    ),
    Row(
        "linkage: the path file of musl's loader",
        [
            pkg("app", "/usr/bin/app"),
            pkg("musl", "/usr/lib/ld-musl-x86_64.so.1"),
            pkg("paths", conffiles=["/etc/ld-musl-x86_64.path"]),
            pkg("others", conffiles=["/etc/ld-musl-armhf.path"]),
        ],
        [
            Reg("usr/bin/app", elf(interpreter=INTERP["musl"]), 0o755),
            Reg("usr/lib/ld-musl-x86_64.so.1", elf(soname="libc.musl-x86_64.so.1"), 0o755),
        ],
        {
            "musl": "/usr/lib/ld-musl-x86_64.so.1: /lib/ld-musl-x86_64.so.1 is loaded by "
            "/usr/bin/app",
            "paths": "/etc/ld-musl-x86_64.path: tells /usr/lib/ld-musl-x86_64.so.1 where "
            "libraries are",
        },
        RUN,
    ),
]  # fmt: skip


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_what_stays(row: Row) -> None:
    plan = drawn(scene(row.packages, row.nodes, execution=row.execution), of=row.profile)
    kept = {id: reason for id, reason in reasons(plan).items() if decisions(plan)[id] != "remove"}
    assert {id: why for id, why in kept.items() if id not in row.given} == row.stays
    assert row.given & set(reasons(plan)) <= set(kept)


def test_by_file_the_modules_alone_stay() -> None:
    big = pkg("libpam-modules", "/usr/lib/security/pam_unix.so", "/usr/lib/security/pam_access.so")
    nodes = [*SU_NODES, Reg("etc/pam.d/su", "auth required pam_unix.so\n")]
    plan = drawn(scene([SU, PAM, big], nodes), of=SU_RUN, granularity="file")
    assert set(dropped(plan)) == {"/usr/lib/security/pam_access.so"}


def test_empty_stubs_of_a_modern_glibc_go_by_file() -> None:
    stubs = ("libnss_files.so.2", "libnss_dns.so.2", "libnss_compat.so.2")
    libc = pkg("libc6", f"/{LOADER}", "/usr/lib/libc.so.6", *(f"/usr/lib/{it}" for it in stubs))
    nodes = [
        *GLIBC[:3],
        *(library(f"usr/lib/{it}", "libc.so.6") for it in stubs),
        Reg("etc/nsswitch.conf", "passwd: files compat\nhosts: files dns\n"),
    ]
    plan = drawn(scene([APP, libc], nodes), of=RUN, granularity="file")
    assert set(dropped(plan)) == {"/usr/lib/libnss_files.so.2", "/usr/lib/libnss_dns.so.2"}


def _searched_by_name(count: int) -> list[Node]:
    words = " ".join(f"s{number}" for number in range(count))
    return [
        *GLIBC[:3],
        Reg("etc/nsswitch.conf", f"passwd: {words} sss\n"),
        library("opt/elsewhere/libnss_sss.so.2"),
    ]


@pytest.mark.parametrize(("words", "stays"), [(10, False), (600, True)])
def test_of_too_many_services_a_module_stays_wherever_it_lies(words: int, stays: bool) -> None:
    far = pkg("far", "/opt/elsewhere/libnss_sss.so.2")
    plan = drawn(scene([APP, LIBC, far], _searched_by_name(words)), of=RUN)
    assert (decisions(plan)["far"] == "keep") is stays


def _services(count: int) -> tuple[list[Pkg], list[Node], Profile]:
    """Programs of one name and of one package, and a service of that name for each."""
    programs = [f"usr/lib/p{number}/su" for number in range(count)]
    files = [f"etc/pam.d/su-{number}" for number in range(count)]
    modules = [f"usr/lib/security/pam_m.{number}.so" for number in range(count)]
    settings = [f"etc/security/m.{number}" for number in range(count)]
    nodes = [
        LIBPAM,
        *(program(path, "libpam.so.0") for path in programs),
        *(library(path, "libpam.so.0") for path in modules),
        *(Reg(path, "auth required pam_m.0.so\n") for path in files),
        *(Reg(path) for path in settings),
    ]
    owner = pkg("many", *(f"/{path}" for path in (*programs, *files)))
    used = profile([f"/{path}" for path in programs], opened=[f"/{path}" for path in modules])
    return [PAM, owner], nodes, used


def _libraries(count: int) -> tuple[list[Pkg], list[Node], Profile]:
    """C libraries, and a word of nsswitch.conf for each."""
    libraries = [f"usr/lib/c{number}/libc.so.6" for number in range(count)]
    words = " ".join(f"s{number}" for number in range(count))
    nodes = [
        *(library(path, soname="libc.so.6") for path in libraries),
        *(library(f"usr/lib/libnss_s{number}.so.2") for number in range(count)),
        Reg("etc/nsswitch.conf", f"passwd: {words}\n" + f"shadow: {words}\n"),
    ]
    return [], nodes, profile(opened=[f"/{path}" for path in libraries])


def _linked_services(count: int) -> tuple[list[Pkg], list[Node], Profile]:
    """One large file of a service under many names."""
    lines = "".join(f"auth required pam_{number}.so\n" for number in range(count * 10))
    names = [f"etc/pam.d/z{number}" for number in range(count)]
    nodes = [Reg("etc/pam.d/a", lines), *(Hard(path, "etc/pam.d/a") for path in names), LIBPAM]
    nodes.append(library("usr/lib/security/pam_0.so"))
    return [], nodes, profile(opened=["/usr/lib/libpam.so.0", *(f"/{path}" for path in names)])


HOSTILE = {"PAM": _services, "name service": _libraries, "hard links": _linked_services}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("build", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_image_costs_no_more_than_it_is_large(
    build: Callable[[int], tuple[list[Pkg], list[Node], Profile]],
) -> None:
    packages, nodes, used = build(3_000)
    seen = scene(packages, nodes)
    services = Services(seen.rootfs, seen.catalog, view(seen))
    answers = sum(1 for path in seen.rootfs.nodes for _ in services.of(path))
    assert 0 < answers < 10 * len(nodes)
    assert drawn(seen, of=used).totals.files[0] >= len(nodes)


MODULE = """\
#include <errno.h>
#include <nss.h>
#include <pwd.h>
#include <string.h>
extern char *careen_home(void);
enum nss_status _nss_careen_getpwnam_r(const char *name, struct passwd *user, char *buffer,
                                       size_t size, int *error) {
  if (strcmp(name, "invented")) return NSS_STATUS_NOTFOUND;
  *user = (struct passwd){"invented", "x", 4711, 4711, "", careen_home(), "/bin/false"};
  return NSS_STATUS_SUCCESS;
}
"""
GETENT = "/usr/bin/getent"


def _real(path: str) -> list[Node]:
    """A program of this machine and all that ldd says it loads."""
    output = subprocess.run(["ldd", path], capture_output=True, text=True, check=True).stdout
    words = [word for line in output.splitlines() for word in line.split() if word[0] == "/"]
    return [Reg(it[1:], Path(it).read_bytes(), 0o755) for it in dict.fromkeys([path, *words])]


@needs("gcc")
@needs("bwrap")
@needs("strace")
@pytest.mark.skipif(not os.path.exists(GETENT), reason=f"no {GETENT} here")
@pytest.mark.parametrize("granularity", ["package", "file"])
def test_a_real_glibc_finds_its_module_afterwards(tmp_path: Path, granularity: str) -> None:
    (tmp_path / "home.c").write_text('char *careen_home(void) { return "/far/away"; }\n')
    (tmp_path / "nss.c").write_text(MODULE)
    cc = ["gcc", "-shared", "-fPIC", "-o"]
    home, nss = tmp_path / "libhome.so", tmp_path / "libnss_careen.so.2"
    subprocess.run([*cc, home, tmp_path / "home.c", "-Wl,-soname,libhome.so"], check=True)
    subprocess.run([*cc, nss, tmp_path / "nss.c", home], check=True)
    real = _real(GETENT)
    packages = [
        pkg("getent", *(f"/{node.name}" for node in real)),
        pkg("libnss-careen", "/usr/lib/libnss_careen.so.2"),
        pkg("libhome", "/usr/lib/libhome.so"),
        pkg("spare", "/usr/lib/libnss_spare.so.2"),
    ]
    nodes = [
        *real,
        Reg("usr/lib/libnss_careen.so.2", nss.read_bytes(), 0o755),
        Reg("usr/lib/libnss_spare.so.2", nss.read_bytes(), 0o755),
        Reg("usr/lib/libhome.so", home.read_bytes(), 0o755),
        Reg("etc/nsswitch.conf", "passwd: files careen\n"),
        Reg("etc/passwd", "root:x:0:0::/root:/bin/sh\n"),
    ]
    source = scene(packages, nodes)
    plan = drawn(source, [GETENT], granularity=granularity)
    assert decisions(plan)["spare"] == "remove"
    before, after = tmp_path / "before", tmp_path / "after"
    for root, layer in (
        (before, tar_layer(table(packages, nodes=nodes))),
        (after, applied(source, plan)),
    ):
        with tarfile.open(fileobj=BytesIO(layer)) as archive:
            archive.extractall(root, filter="fully_trusted")
    printed, opened = traced(before, GETENT, "passwd", "invented")
    assert printed == "invented:x:4711:4711::/far/away:/bin/false\n"
    assert {path.rpartition("/")[2] for path in opened} >= {"libnss_careen.so.2", "libhome.so"}
    assert [path for path in opened if not (after / path[1:]).exists()] == []
    assert traced(after, GETENT, "passwd", "invented") == (printed, opened)
