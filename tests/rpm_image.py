"""A root of real rpm packages, made by rpmbuild and rpm, with a program of glibc to run in it.

    packages = built(folder, specs(programs(folder)))
    installed(root, packages)
    image_of(root, layout)

What is in it is in `specs`: a small distribution in Fedora's manner, an application with its
library, and many packages that the application never uses.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from tests.builders import image_layout

HOME = "var/lib/rpm"
SYSIMAGE = "usr/lib/sysimage/rpm"
LABEL = "%{NAME} %{EVR} %{ARCH}\n"
X86_64 = pytest.mark.skipif(
    platform.machine() != "x86_64", reason="the packages are built for x86-64"
)

PROGRAM = """\
#include <stdio.h>
const char *greeting(void);
int main(void) { FILE *file = fopen("/etc/greet.conf", "r"); char line[80];
  if (!file || !fgets(line, sizeof line, file)) return 1;
  printf("%s %s", greeting(), line); return 0; }
"""
LIBRARY = 'const char *greeting(void) { return "hello from"; }\n'


@dataclass(frozen=True)
class Spec:
    """A package as a spec file describes it; `files` are lines of its %files.

    A file's content is its name, or a copy of the file that `copies` gives; `links` are symlinks.
    """

    name: str
    files: Sequence[str] = ()
    tags: Sequence[str] = ()
    scripts: str = ""
    arch: str = "noarch"
    copies: Mapping[str, Path] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return f"{self.name}.{self.arch}" if self.arch == "i686" else self.name


def run(*command: str | Path) -> str:
    """What a tool prints; rpm -Va fails when it finds something."""
    done = subprocess.run(
        command, capture_output=True, check=False, text=True, env={**os.environ, "LC_ALL": "C"}
    )
    assert done.returncode == 0 or "-Va" in command, done.stderr
    return done.stdout


def on(root: Path, *arguments: str | Path) -> str:
    """What rpm says of the packages of `root`."""
    return run("rpm", "--root", root, "--dbpath", f"/{HOME}", *arguments)


def query(root: Path, *options: str) -> list[str]:
    """Each package on record: name, version with its epoch, architecture."""
    return sorted(on(root, "-qa", "--qf", LABEL, *options).splitlines())


def verified(root: Path) -> list[str]:
    """What rpm finds wrong with the files of packages on record."""
    return sorted(on(root, "-Va", "--nodeps", "--noscripts").splitlines())


def _spec_file(specs: Sequence[Spec]) -> str:
    """One spec file, with a subpackage for each: rpmbuild makes all at once."""
    head = (
        "Name: family\nVersion: 1.0\nRelease: 1\nSummary: all\nLicense: none\n%description\nall\n"
    )
    body, install = "", "%install\nmkdir -p %{buildroot}\n"
    for spec in specs:
        arch = "BuildArch: noarch\n" if spec.arch == "noarch" else ""
        tags = "".join(f"{tag}\n" for tag in spec.tags)
        body += f"%package -n {spec.name}\nSummary: {spec.name}\n{arch}{tags}"
        body += f"%description -n {spec.name}\nIt is {spec.name}.\n"
        body += spec.scripts.format(name=spec.name)
        body += f"%files -n {spec.name}\n" + "".join(f"{line}\n" for line in spec.files)
        install += "".join(_installing(spec, line) for line in spec.files)
    return head + body + install


def _installing(spec: Spec, line: str) -> str:
    name = line.rsplit(maxsplit=1)[-1]
    file = f"%{{buildroot}}{name}"
    if line.startswith("%dir"):
        return f"mkdir -p {file}\n"
    make = f"echo {name} > {file}"
    if name in spec.copies:
        make = f"install -m 755 {spec.copies[name]} {file}"
    elif name in spec.links:
        make = f"ln -sfn {spec.links[name]} {file}"
    return f"mkdir -p $(dirname {file})\n{make}\n"


def built(folder: Path, specs: Sequence[Spec]) -> list[Path]:
    """The package files, those of i686 by a run of their own."""
    found = _built(folder / "64", [spec for spec in specs if spec.arch != "i686"], "x86_64")
    return found + _built(folder / "32", [spec for spec in specs if spec.arch == "i686"], "i686")


def _built(folder: Path, specs: Sequence[Spec], target: str) -> list[Path]:
    folder.mkdir(parents=True)
    (folder / "family.spec").write_text(_spec_file(specs))
    define = ["_topdir " + str(folder), "debug_package %{nil}", "__os_install_post %{nil}"]
    define += ["_unpackaged_files_terminate_build 0"]  # what is listed by a name through a link
    options = [part for one in define for part in ("--define", one)]
    run("rpmbuild", "-bb", "--quiet", f"--target={target}-linux", *options, folder / "family.spec")
    return sorted(folder.rglob("*.rpm"))


def install(root: Path, packages: Sequence[Path], *options: str) -> None:
    """Install into `root`, in one transaction, and import a key where gpg can make one."""
    passed = ["--nodeps", "--noscripts", "--notriggers", "--ignorearch", "--nosignature"]
    on(root, "-i", *passed, *options, *packages)
    if shutil.which("gpg"):
        key = root.parent / "key.asc"
        if not key.exists():
            key.write_text(_public_key(root.parent))
        on(root, *options, "--import", key)


def _public_key(folder: Path) -> str:
    home = folder / "gpg"
    home.mkdir(mode=0o700)
    gpg = ["gpg", "--homedir", str(home), "--batch", "--quiet"]
    run(*gpg, "--passphrase", "", "--quick-gen-key", "nobody <n@example.org>", "rsa2048")
    armoured = run(*gpg, "--armor", "--export")
    run("gpgconf", "--homedir", str(home), "--kill", "all")
    return armoured


def berkeley(rows: Sequence[tuple[int, bytes]], file: Path, order: str = "1234") -> None:
    """`Packages` as Berkeley DB writes it: each header by its number, in the byte order."""
    endian: Literal["little", "big"] = "little" if order == "1234" else "big"
    text = (
        f"VERSION=3\nformat=bytevalue\ntype=hash\ndb_lorder={order}\ndb_pagesize=4096\nHEADER=END\n"
    )
    for number, blob in [(0, len(rows).to_bytes(4, endian)), *rows]:
        text += f" {number.to_bytes(4, endian).hex()}\n {blob.hex()}\n"
    file.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["db_load", file], input=f"{text}DATA=END\n".encode(), check=True)


def programs(folder: Path) -> dict[str, Path]:
    """By their base names: a program and its library, and this machine's shell and C library."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "greet.c").write_text(PROGRAM)
    (folder / "lib.c").write_text(LIBRARY)
    library, program = folder / "libgreeting.so.1", folder / "greet"
    run("gcc", "-shared", "-fPIC", "-Wl,-soname,libgreeting.so.1", "-o", library, folder / "lib.c")
    run("gcc", "-o", program, folder / "greet.c", library)
    found = {"greet": program, "libgreeting.so.1": library, "bash": Path("/bin/bash").resolve()}
    for line in run("ldd", found["bash"]).splitlines():
        path = next((word for word in line.split() if word.startswith("/")), None)
        if path is not None:
            found[Path(path).name] = Path(path).resolve()
    return found


def _library(name: str, of: str, found: Mapping[str, Path], **more: Sequence[str]) -> Spec:
    path = f"/usr/lib64/{of}"
    return Spec(name, [path, *more.get("files", ())], arch="x86_64", copies={path: found[of]})


WORDS = (
    "charlie delta echo foxtrot golf hotel india juliett kilo lima mike november oscar papa quebec"
)
SETUP = ("passwd", "group", "hosts", "nsswitch.conf", "services", "protocols", "shells")


def specs(found: Mapping[str, Path]) -> list[Spec]:
    """The distribution; `found` are the `programs`."""
    loader = "/usr/lib64/ld-linux-x86-64.so.2"
    libc = ["/usr/lib64/libc.so.6", "/usr/lib64/ld-linux-x86-64.so.2"]
    ways = {"/bin": "usr/bin", "/sbin": "usr/sbin", "/lib64": "usr/lib64"}
    trigger = (
        "%triggerin -n {name} -- bash\necho {name} triggered\n"
        "%filetriggerin -n {name} -- /usr/lib\necho {name} files\n"
    )
    return [
        Spec(
            "filesystem",
            ["%dir /usr/bin", "%dir /usr/sbin", "%dir /usr/lib64", "%dir /var/log", *ways],
            links=ways,
        ),
        Spec("setup", [f"%config(noreplace) /etc/{name}" for name in SETUP]),
        Spec(
            "acme-release",
            ["/usr/lib/os-release", "/etc/os-release"],
            ["Provides: system-release"],
            links={"/etc/os-release": "../usr/lib/os-release"},
        ),
        Spec(
            "glibc",
            [*libc, "%config /etc/ld.so.conf", "%ghost /etc/ld.so.cache", "/usr/share/both/glibc"],
            arch="x86_64",
            copies={path: found[Path(path).name] for path in (*libc[:1], loader)},
        ),
        Spec("glibc", ["/usr/lib/libc.so.6", "/usr/share/both/glibc"], arch="i686"),
        Spec("libgcc", ["/usr/lib64/libgcc_s.so.1"]),
        Spec(
            "bash",
            ["/usr/bin/bash", "/usr/bin/sh", "/usr/share/doc/bash/FAQ"],
            ["Provides: /bin/sh"],
            "%post -n {name}\necho {name} installed\n",
            arch="x86_64",
            copies={"/usr/bin/bash": found["bash"]},
            links={"/usr/bin/sh": "bash"},
        ),
        _library("ncurses-libs", "libtinfo.so.6", found),
        Spec("ca-certificates", ["/etc/pki/tls/certs/ca-bundle.crt"]),
        Spec("tzdata", ["/usr/share/zoneinfo/UTC"]),
        Spec(
            "greet",
            ["/usr/bin/greet", "%config(noreplace) /etc/greet.conf", "%dir /usr/share/greet"],
            ["Epoch: 2", "Requires: glibc"],
            "%preun -n {name}\n:\n",
            arch="x86_64",
            copies={"/usr/bin/greet": found["greet"]},
        ),
        _library("greet-libs", "libgreeting.so.1", found),
        Spec(
            "greet-docs",
            ["%dir /usr/share/greet", "/usr/share/greet/manual", "%doc /usr/share/doc/greet/NEWS"],
        ),
        Spec("greet-lib", ["/usr/include/greet.h"], ["Requires: greet-docs", "Epoch: 1"]),
        Spec("oldways", ["/bin/oldways"], ["Requires: filesystem"]),
        Spec("pair-one", ["/usr/bin/pair", "%dir /usr/share/pair", "/usr/share/pair/both"]),
        Spec("pair-two", ["/usr/bin/pair-too", "%dir /usr/share/pair", "/usr/share/pair/both"]),
        Spec("watcher", ["/usr/bin/watcher"], scripts=trigger),
        Spec("spectre", ["/usr/bin/spectre", "%ghost /var/log/spectre.log", "%config /etc/sp.cf"]),
        Spec("nothing-in-it", scripts="%postun -n {name}\n:\n"),
        Spec("rpm", ["/usr/bin/rpm", f"%dir /{HOME}", f"%ghost /{HOME}/rpmdb.sqlite"]),
        Spec("libdnf", ["/usr/share/dnf/libdnf"]),
        Spec("dnf", ["/usr/bin/dnf", "%ghost /var/log/dnf.log"], ["Requires: libdnf"]),
        *(
            Spec(f"nato-{name}", [f"/usr/bin/{name}", "%dir /usr/share/n", f"/usr/share/n/{name}"])
            for name in WORDS.split()
        ),
    ]


USED = ("/usr/bin/greet", "/etc/greet.conf", "/bin/oldways", "/usr/bin/pair")
KEPT = (
    *("acme-release", "ca-certificates", "filesystem", "glibc", "greet", "greet-libs", "libgcc"),
    *("oldways", "pair-one", "setup", "tzdata"),
)
"""What stays by the profile of USED; and keys."""

UNOWNED = {
    "srv/data": "of the application",
    "var/cache/dnf/updates.solv": "solv",
    "var/lib/dnf/history.sqlite": "nato-golf",
    "var/log/dnf.rpm.log": "installed nato-golf",
}


def distribution(root: Path, packages: Sequence[Path]) -> Path:
    """The root with everything installed, the loader's cache made, and what no package owns."""
    root.mkdir(parents=True)
    install(root, packages)
    (root / "etc/greet.conf").write_text("rpm\n")
    (root / "etc/ld.so.conf").write_text("/usr/lib64\n")
    (root / "etc/shells").write_text("/usr/bin/bash\n/bin/sh\n")
    run("/sbin/ldconfig", "-r", root)
    for name, text in UNOWNED.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def image_of(root: Path, layout: Path) -> None:
    """The root as an image of one layer, which starts `greet`."""
    command = ["tar", "--sort=name", "--numeric-owner", "-C", str(root), "-cf", "-", "."]
    layer = subprocess.run(command, capture_output=True, check=True).stdout
    image_layout(layout, [layer], tag="x", config={"Cmd": ["greet"]})
