"""What would be loaded: judged by the loaders of this machine, and as tables of intent."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path as Disk
from typing import Any

import pytest

from careen import linkage
from careen.linkage import Found, Linkage, Missing, View
from careen.rootfs import facts
from careen.rootfs.path import Path
from tests import machine_rootfs
from tests.builders import Dir, Lnk, Node, Reg
from tests.elf_builder import AARCH64, I386, INTERP, elf
from tests.rootfs.hand_made import rootfs
from tests.rootfs.test_ld_cache import made

GLIBC, MUSL = INTERP["glibc"], INTERP["musl"]

needs_glibc = pytest.mark.skipif(not os.path.exists(GLIBC), reason=f"no {GLIBC} on this machine")
needs_gcc = pytest.mark.skipif(
    not (shutil.which("gcc") and os.path.exists(GLIBC)), reason="no gcc for x86-64 glibc here"
)
needs_musl = pytest.mark.skipif(
    not (shutil.which("musl-gcc") and os.path.exists(MUSL)), reason="no musl-gcc here (musl-tools)"
)

# --- by the loaders of this machine


def told(program: Disk, loader: str = GLIBC, **environment: str) -> tuple[set[str], set[str]]:
    """What the loader itself lists: the real paths of the libraries, and the missing names."""
    result = subprocess.run(
        [loader, *(["--list"] if loader == MUSL else []), program],
        capture_output=True, text=True, check=False, cwd="/",
        env={**environment, "LD_TRACE_LOADED_OBJECTS": "1"},
    )  # fmt: skip
    lines = result.stdout + result.stderr
    found = re.findall(r"^\t(?:\S+ => )?(/.*) \(0x", lines, re.MULTILINE)
    lost = re.findall(r"^\t(\S+) => not found|library (\S+): No such file", lines, re.MULTILINE)
    return {os.path.realpath(path) for path in found}, {a or b.rstrip(":") for a, b in lost}


def answered(program: Disk, **environment: str) -> tuple[set[str], set[str]]:
    """The same from careen."""
    view = machine(environment)
    answer = linkage.of(Path(os.path.realpath(program)[1:]), view)
    return {f"/{found.path}" for found in answer.found}, {lost.name for lost in answer.missing}


def machine(environment: dict[str, str] | None = None) -> View:
    root = machine_rootfs.MachineRootfs()
    return linkage.view(machine_rootfs.facts(), root.resolve, environment=environment)


@needs_glibc
def test_this_machines_programs_load_what_their_loader_lists() -> None:
    view = machine()
    programs = dict.fromkeys(
        os.path.realpath(path)
        for folder in ("/usr/bin", "/usr/sbin", "/usr/libexec")
        for path in sorted(Disk(folder).glob("*"))
    )
    dynamic = [
        path
        for path in programs
        if (found := view.facts.elf.get(Path(path[1:]))) and found.interpreter == GLIBC
    ]
    if len(dynamic) < 50:
        pytest.skip("fewer than fifty programs on this machine")
    for path in dynamic[:: max(1, len(dynamic) // 100)]:
        assert (path, answered(Disk(path))) == (path, told(Disk(path)))


class Workshop:
    """Builds small libraries and programs below a folder."""

    def __init__(self, folder: Disk, compiler: str = "gcc") -> None:
        self.folder, self.compiler = folder, compiler

    def shared(self, name: str, *needs: str, flags: Sequence[str] = ()) -> Disk:
        """A library with the file name as its soname."""
        soname = f"-Wl,-soname,{Disk(name).name}"
        return self._build(name, needs, ["-shared", "-nostdlib", soname, *flags])

    def program(self, name: str, *needs: str, flags: Sequence[str] = ()) -> Disk:
        return self._build(name, needs, [*flags, "-x", "c", self._source("int main(){return 0;}")])

    def _build(self, name: str, needs: Sequence[str], flags: Sequence[str]) -> Disk:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        linked = ["-Wl,--no-as-needed,--allow-shlib-undefined,--unresolved-symbols=ignore-all"]
        libraries = [part if part.startswith("-") else str(self.folder / part) for part in needs]
        empty = [] if any(flag.endswith(".c") for flag in flags) else ["-x", "c", "/dev/null"]
        subprocess.run(
            [self.compiler, "-o", path, *flags, *empty, "-x", "none", *linked, *libraries],
            check=True, capture_output=True, cwd=self.folder,
        )  # fmt: skip
        return path

    def _source(self, text: str) -> str:
        path = self.folder / "main.c"
        path.write_text(text)
        return str(path)


OLD, NEW = "-Wl,--disable-new-dtags", "-Wl,--enable-new-dtags"  # RPATH, RUNPATH


def rpath(text: str, kind: str = NEW) -> list[str]:
    return [kind, f"-Wl,-rpath,{text}"]


def plain_runpath(shop: Workshop) -> Disk:
    shop.shared("lib/liba.so.1")
    return shop.program("bin/p", "lib/liba.so.1", flags=rpath("$ORIGIN/../lib"))


def rpath_serves_the_libraries_below(shop: Workshop) -> Disk:
    shop.shared("lib/libb.so.1")
    shop.shared("lib/liba.so.1", "lib/libb.so.1")
    return shop.program("bin/p", "lib/liba.so.1", flags=rpath("$ORIGIN/../lib", OLD))


def runpath_does_not_serve_the_libraries_below(shop: Workshop) -> Disk:
    shop.shared("lib/libb.so.1")
    shop.shared("lib/liba.so.1", "lib/libb.so.1")
    return shop.program("bin/p", "lib/liba.so.1", flags=rpath("$ORIGIN/../lib"))


def a_runpath_below_switches_the_rpath_above_off(shop: Workshop) -> Disk:
    shop.shared("lib/libb.so.1")
    shop.shared("lib/liba.so.1", "lib/libb.so.1", flags=rpath("/nowhere"))
    return shop.program("bin/p", "lib/liba.so.1", flags=rpath("$ORIGIN/../lib", OLD))


def what_is_loaded_already_is_not_looked_up(shop: Workshop) -> Disk:
    shop.shared("lib/libb.so.1")
    shop.shared("lib/liba.so.1", "lib/libb.so.1")
    return shop.program("bin/p", "lib/liba.so.1", "lib/libb.so.1", flags=rpath("$ORIGIN/../lib"))


def what_is_loaded_is_known_by_its_soname(shop: Workshop) -> Disk:
    """liba.so.1 is no file, but the SONAME of libz.so, which was loaded before."""
    wanted = shop.shared("lib/liba.so.1")
    shop.shared("lib/libb.so.1", "lib/liba.so.1")
    shop.shared("lib/libz.so")
    flags = rpath("$ORIGIN/../lib")
    program = shop.program("bin/p", "lib/libz.so", "lib/libb.so.1", flags=flags)
    wanted.rename(shop.folder / "lib" / "libz.so")
    return program


def rpath_beside_runpath_is_off(shop: Workshop) -> Disk:
    """Linkers write one of the two, so RUNPATH's tag is put in the place of another."""
    shop.shared("lib/libb.so.1")
    shop.shared("lib/liba.so.1", "lib/libb.so.1")
    flags = rpath("$ORIGIN/../lib", OLD)
    program = shop.program("bin/p", "lib/liba.so.1", flags=flags)
    data = bytearray(program.read_bytes())
    rpath_entry = re.search(rb"\x0f\0{7}(.{8})", data, re.DOTALL)
    debug_entry = data.rindex(b"\x15" + bytes(15))  # DT_DEBUG, for debuggers alone
    assert rpath_entry
    data[debug_entry : debug_entry + 16] = b"\x1d" + bytes(7) + rpath_entry[1]
    program.write_bytes(data)
    return program


def rpath_of_the_middle_comes_before_that_of_the_program(shop: Workshop) -> Disk:
    shop.shared("one/libb.so.1")
    shop.shared("two/libb.so.1")
    shop.shared("one/liba.so.1", "one/libb.so.1", flags=rpath("$ORIGIN/../two", OLD))
    return shop.program("bin/p", "one/liba.so.1", flags=rpath("$ORIGIN/../one", OLD))


def origin_of_a_library_is_where_it_was_opened(shop: Workshop) -> Disk:
    shop.shared("real/libb.so.1")
    shop.shared("opened/libb.so.1")
    shop.shared("real/liba.so.1", "real/libb.so.1", flags=rpath("${ORIGIN}"))
    (shop.folder / "opened" / "liba.so.1").symlink_to("../real/liba.so.1")
    return shop.program("bin/p", "real/liba.so.1", flags=rpath("$ORIGIN/../opened"))


def a_needed_path_is_no_search(shop: Workshop) -> Disk:
    path = shop.folder / "lib" / "liba.so.1"
    shop.shared("lib/liba.so.1", flags=[f"-Wl,-soname,{path}"])
    return shop.program("bin/p", "lib/liba.so.1")


def another_class_is_passed_over(shop: Workshop) -> Disk:
    shop.shared("sixtyfour/liba.so.1")
    program = shop.program(
        "bin/p", "sixtyfour/liba.so.1", flags=rpath("$ORIGIN/../thirtytwo:$ORIGIN/../sixtyfour")
    )
    shop.shared("thirtytwo/liba.so.1", flags=["-m32"])
    return program


def lib_and_platform(shop: Workshop) -> Disk:
    shop.shared("lib/x86_64-linux-gnu/liba.so.1")
    shop.shared("lib64/liba.so.1")
    shop.shared("x86_64/libb.so.1")
    flags = rpath("$ORIGIN/../$LIB:$ORIGIN/../${PLATFORM}")
    return shop.program("bin/p", "lib64/liba.so.1", "x86_64/libb.so.1", flags=flags)


def a_missing_library(shop: Workshop) -> Disk:
    library = shop.shared("lib/liba.so.1")
    program = shop.program("bin/p", "lib/liba.so.1", flags=rpath("$ORIGIN/../lib"))
    library.unlink()
    return program


def a_filter_is_loaded_too(shop: Workshop) -> Disk:
    shop.shared("lib/libf.so.1")
    shop.shared("lib/liba.so.1", flags=["-Wl,-F,libf.so.1", *rpath("$ORIGIN")])
    return shop.program("bin/p", "lib/liba.so.1", flags=rpath("$ORIGIN/../lib"))


def a_static_pie(shop: Workshop) -> Disk:
    return shop.program("bin/p", flags=["-static-pie"])


CASES = [
    plain_runpath,
    rpath_serves_the_libraries_below,
    runpath_does_not_serve_the_libraries_below,
    a_runpath_below_switches_the_rpath_above_off,
    what_is_loaded_already_is_not_looked_up,
    what_is_loaded_is_known_by_its_soname,
    rpath_beside_runpath_is_off,
    rpath_of_the_middle_comes_before_that_of_the_program,
    origin_of_a_library_is_where_it_was_opened,
    a_needed_path_is_no_search,
    another_class_is_passed_over,
    a_missing_library,
    a_filter_is_loaded_too,
]


@needs_gcc
@pytest.mark.parametrize("build", CASES, ids=lambda build: build.__name__)
def test_built_programs_load_what_the_loader_lists(
    build: Callable[[Workshop], Disk], tmp_path: Disk
) -> None:
    program = build(Workshop(tmp_path))
    assert answered(program) == told(program)


@needs_gcc
def test_of_several_values_of_lib_and_platform_every_one_counts(tmp_path: Disk) -> None:
    program = lib_and_platform(Workshop(tmp_path))
    found, lost = answered(program)
    assert (found >= told(program)[0], lost) == (True, set())


@needs_gcc
def test_a_static_pie_needs_nothing(tmp_path: Disk) -> None:
    assert answered(a_static_pie(Workshop(tmp_path))) == (set(), set())


@needs_gcc
def test_the_environment_comes_between_rpath_and_runpath(tmp_path: Disk) -> None:
    shop = Workshop(tmp_path)
    for name in ("own/liba.so.1", "env/liba.so.1", "env/libpre.so"):
        shop.shared(name)
    env = {"LD_LIBRARY_PATH": f"/x;{tmp_path}/env", "LD_PRELOAD": "libpre.so nothing.so"}
    for kind, winner in ((OLD, "own"), (NEW, "env")):
        program = shop.program("bin/p", "own/liba.so.1", flags=rpath("$ORIGIN/../own", kind))
        found, lost = answered(program, **env)
        assert {f"{tmp_path}/{winner}/liba.so.1", f"{tmp_path}/env/libpre.so"} <= found
        assert (found, lost) == (told(program, **env)[0], set())


@needs_musl
@pytest.mark.parametrize(
    "build",
    [
        plain_runpath,
        rpath_serves_the_libraries_below,
        runpath_does_not_serve_the_libraries_below,
        what_is_loaded_is_known_by_its_soname,
        rpath_of_the_middle_comes_before_that_of_the_program,
        origin_of_a_library_is_where_it_was_opened,
        a_needed_path_is_no_search,
        a_missing_library,
    ],
    ids=lambda build: build.__name__,
)
def test_musls_loader_lists_the_same(build: Callable[[Workshop], Disk], tmp_path: Disk) -> None:
    program = build(Workshop(tmp_path, "musl-gcc"))
    assert answered(program) == told(program, MUSL)


# --- as tables of intent


def looked_at(nodes: Sequence[Node], **config: Any) -> View:
    image = rootfs(nodes)
    return linkage.view(facts.read(image), image.resolve, **config)


def opened(answer: Linkage) -> list[str]:
    """`name → path (via)`, and `name → -` for what is missing."""
    lines = [f"{found.name} → {found.path} ({found.via})" for found in answer.found]
    return lines + [f"{lost.name} → -" for lost in answer.missing]


LOADER = Reg("lib64/ld-linux-x86-64.so.2", elf(soname="ld-linux-x86-64.so.2"))
LIBC = Reg("usr/lib/x86_64-linux-gnu/libc.so.6", elf(needed=["ld-linux-x86-64.so.2"]))
PROGRAM = elf(interpreter=GLIBC, needed=["libc.so.6"])


def test_by_a_name_of_no_header_the_cache_and_the_directories_are_searched() -> None:
    nodes = [
        Reg("usr/lib/libc.so.6", elf(soname="libc.so.6")),
        Reg("usr/lib/libnss_x.so.2", elf()),
        Reg("lib64/libnss_old.so.2", elf(bits=32, machine=I386)),
    ]
    view = looked_at(nodes)
    (found,) = linkage.named("libnss_x.so.2", Path("usr/lib/libc.so.6"), view)
    assert (found.path, found.via, found.needed_by) == (
        "usr/lib/libnss_x.so.2",
        "default",
        "usr/lib/libc.so.6",
    )
    assert linkage.named("libnss_old.so.2", Path("usr/lib/libc.so.6"), view) == ()


def test_the_reason_names_who_asks_and_every_link_on_the_way() -> None:
    view = looked_at(
        [
            Lnk("lib", "usr/lib"),
            Lnk("lib64", "usr/lib64"),
            Reg("usr/lib64/ld.so", elf(soname="ld-linux-x86-64.so.2")),
            Lnk("usr/lib64/ld-linux-x86-64.so.2", "ld.so"),
            LIBC,
            Reg("usr/lib/libz.so.1.3", elf(needed=["libc.so.6"], soname="libz.so.1")),
            Lnk("usr/lib/libz.so.1", "libz.so.1.3"),
            Reg("app/p", elf(interpreter=GLIBC, needed=["libz.so.1"])),
        ]
    )
    answer = linkage.of(Path("app/p"), view)
    assert answer.missing == ()
    assert answer.found == (
        Found(
            name=GLIBC, needed_by=Path("app/p"), via="interpreter", opened=GLIBC,
            path=Path("usr/lib64/ld.so"),
            hops=(Path("lib64"), Path("usr/lib64/ld-linux-x86-64.so.2")),
        ),
        Found(
            name="libz.so.1", needed_by=Path("app/p"), via="default", opened="/lib/libz.so.1",
            path=Path("usr/lib/libz.so.1.3"), hops=(Path("lib"), Path("usr/lib/libz.so.1")),
        ),
        Found(
            name="libc.so.6", needed_by=Path("usr/lib/libz.so.1.3"), via="default",
            opened="/lib/x86_64-linux-gnu/libc.so.6",
            path=Path("usr/lib/x86_64-linux-gnu/libc.so.6"), hops=(Path("lib"),),
        ),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        pytest.param([Reg("p", elf(static=True))], [], id="a static program needs nothing"),
        pytest.param([Reg("p", "text")], [], id="nor does a file that nothing loads"),
        pytest.param(
            [Reg("p", PROGRAM)],
            [f"{GLIBC} → -", "libc.so.6 → -"],
            id="an empty image lacks the interpreter and the library",
        ),
        pytest.param(
            [Reg("p", PROGRAM), LOADER, Reg("lib/libc.so.6", "INPUT(libc.a)")],
            [f"{GLIBC} → lib64/ld-linux-x86-64.so.2 (interpreter)", "libc.so.6 → -"],
            id="a text in a library's place stops the loader",
        ),
        pytest.param(
            [Reg("p", elf(needed=["liba.so"])), Reg("lib/liba.so", b"\x7fELF broken")],
            ["liba.so → lib/liba.so (default)"],
            id="a damaged library is there",
        ),
        pytest.param(
            [Reg("p", elf(needed=["a.so"])), Reg("lib/a.so", elf(bits=32, machine=I386))],
            ["a.so → -"],
            id="a library of another class is not",
        ),
        pytest.param(
            [
                Reg("p", elf(machine=AARCH64, needed=["a.so", "b.so"])),
                Reg("usr/lib/x86_64-linux-gnu/a.so", elf(machine=AARCH64)),
                Reg("usr/lib/aarch64-linux-gnu/b.so", elf(machine=AARCH64)),
            ],
            ["b.so → usr/lib/aarch64-linux-gnu/b.so (default)", "a.so → -"],
            id="each machine trusts its own directories",
        ),
        pytest.param(
            [
                Reg("p", elf(needed=["a.so"], flags_1=0x800)),
                Reg("usr/lib/a.so", elf()),
                Reg("etc/ld.so.cache", made(b"a.so\0/usr/lib/a.so\0", name=0, path=5)),
            ],
            ["a.so → -"],
            id="nodeflib shuts the trusted directories, in the cache too",
        ),
        pytest.param(
            [
                Reg("p", elf(needed=["a.so"])),
                Reg("opt/a.so", elf()),
                Reg("usr/lib/a.so", elf()),
                Reg("etc/ld.so.cache", made(b"a.so\0/opt/a.so\0", name=0, path=5)),
            ],
            ["a.so → opt/a.so (ld.so.cache)"],
            id="the cache comes before the trusted directories",
        ),
        pytest.param(
            [
                Reg("p", elf(needed=["a.so"])),
                Reg("usr/lib/a.so", elf()),
                Reg("etc/ld.so.cache", made(b"a.so\0/opt/a.so\0", name=0, path=5)),
            ],
            ["a.so → usr/lib/a.so (default)"],
            id="a stale cache entry is passed over",
        ),
        pytest.param(
            [
                Reg("p", elf(needed=["a.so"])),
                Reg("opt/a.so", elf()),
                Reg("etc/ld.so.conf", "/opt\n"),
            ],
            ["a.so → opt/a.so (ld.so.conf)"],
            id="ld.so.conf counts last",
        ),
        pytest.param(
            [
                Reg("p", elf(needed=["a.so"], rpath="/nowhere::/opt//")),
                Reg("w/a.so", elf()),
                Reg("opt/a.so", elf()),
            ],
            ["a.so → w/a.so (rpath)"],
            id="an empty element is the working directory",
        ),
        pytest.param(
            [Reg("p", elf(needed=["sub/a.so"])), Reg("w/sub/a.so", elf())],
            ["sub/a.so → w/sub/a.so (path)"],
            id="a relative path starts there too",
        ),
        pytest.param(
            [
                Reg("p", elf(needed=["a.so"], runpath="/opt")),
                Reg("opt/a.so", elf()),
                Reg("opt/glibc-hwcaps/x86-64-v3/a.so", elf(needed=["b.so"])),
                Reg("opt/haswell/avx512_1/a.so", elf()),
                Reg("usr/lib/glibc-hwcaps/x86-64-v3/b.so", elf()),
            ],
            [
                "a.so → opt/glibc-hwcaps/x86-64-v3/a.so (runpath)",
                "a.so → opt/haswell/avx512_1/a.so (runpath)",
                "a.so → opt/a.so (runpath)",
                "b.so → usr/lib/glibc-hwcaps/x86-64-v3/b.so (default)",
            ],
            id="every processor's variant counts, and what it needs",
        ),
        pytest.param(
            [
                Reg("p", elf(interpreter=GLIBC)),
                LOADER,
                Reg("opt/pre.so", elf()),
                Reg("etc/ld.so.preload", "/opt/pre.so /opt/gone.so\n"),
            ],
            [
                f"{GLIBC} → lib64/ld-linux-x86-64.so.2 (interpreter)",
                "/opt/pre.so → opt/pre.so (path)",
            ],
            id="ld.so.preload counts where it is there",
        ),
        pytest.param(
            [
                Reg("p", elf(auxiliary=["a.so", "b.so"])),
                Reg("lib/a.so", elf()),
            ],
            ["a.so → lib/a.so (default)"],
            id="an auxiliary library may be absent",
        ),
        pytest.param(
            [
                Reg("p", elf(needed=["a.so"])),
                Reg("lib/a.so", elf(needed=["b.so"])),
                Reg("lib/b.so", elf(needed=["a.so", "b.so"])),
            ],
            ["a.so → lib/a.so (default)", "b.so → lib/b.so (default)"],
            id="a circle ends",
        ),
    ],
)
def test_what_glibc_would_load(nodes: list[Node], expected: list[str]) -> None:
    view = looked_at(nodes, working_dir="/w")
    assert opened(linkage.of(Path("p"), view)) == expected


MUSL_LOADER = Reg("lib/ld-musl-x86_64.so.1", elf(soname="libc.musl-x86_64.so.1"))
FOUND_MUSL = f"{MUSL} → lib/ld-musl-x86_64.so.1 (interpreter)"


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        pytest.param(
            [
                Reg("p", elf(interpreter=MUSL, needed=["libc.musl-x86_64.so.1", "libm.so.6"])),
                MUSL_LOADER,
            ],
            [FOUND_MUSL],
            id="the C library is the loader",
        ),
        pytest.param(
            [
                Reg("p", elf(interpreter=MUSL, needed=["a.so"])),
                MUSL_LOADER,
                Reg("usr/local/lib/a.so", elf()),
                Reg("usr/lib/a.so", elf()),
            ],
            [FOUND_MUSL, "a.so → usr/local/lib/a.so (default)"],
            id="its own default directories",
        ),
        pytest.param(
            [
                Reg("p", elf(interpreter=MUSL, needed=["a.so"])),
                MUSL_LOADER,
                Reg("etc/ld-musl-x86_64.path", "/opt"),
                Reg("opt/a.so", elf()),
                Reg("usr/lib/a.so", elf()),
            ],
            [FOUND_MUSL, "a.so → opt/a.so (ld-musl.path)"],
            id="a path file takes their place",
        ),
        pytest.param(
            [
                Reg("p", elf(interpreter=MUSL, needed=["a.so"], runpath="/opt")),
                MUSL_LOADER,
                Reg("opt/a.so", elf(needed=["b.so"])),
                Reg("opt/b.so", elf()),
            ],
            [FOUND_MUSL, "a.so → opt/a.so (rpath)", "b.so → opt/b.so (rpath)"],
            id="a RUNPATH serves the libraries below",
        ),
        pytest.param(
            [
                Reg("p", elf(interpreter=MUSL, needed=["a.so"], runpath="/opt:/$LIB")),
                MUSL_LOADER,
                Reg("opt/a.so", elf()),
                Reg("lib/b.so", elf()),
            ],
            [FOUND_MUSL, "a.so → opt/a.so (rpath)"],
            id="$LIB is unknown",
        ),
        pytest.param(
            [
                Reg("p", elf(interpreter=MUSL, needed=["a.so"])),
                MUSL_LOADER,
                Reg("lib/a.so", elf(bits=32, machine=I386)),
                Reg("usr/lib/a.so", elf()),
            ],
            [FOUND_MUSL, "a.so → -"],
            id="the first file is taken, whatever its class",
        ),
        pytest.param(
            [
                Reg("p", elf(needed=["libc.musl-x86_64.so.1", "a.so"])),
                Reg("usr/local/lib/a.so", elf()),
                MUSL_LOADER,
            ],
            ["a.so → usr/local/lib/a.so (default)"],
            id="a library is musl's where the image is",
        ),
        pytest.param(
            [
                Reg("p", elf(needed=["libm.so.6"])),
                Reg("usr/lib/x86_64-linux-gnu/libm.so.6", elf()),
                MUSL_LOADER,
            ],
            ["libm.so.6 → usr/lib/x86_64-linux-gnu/libm.so.6 (default)"],
            id="but a library of glibc's stays one beside musl",
        ),
        pytest.param(
            [
                Reg("p", elf(interpreter=GLIBC, needed=["libc.so.6", "a.so"])),
                Lnk("lib64/ld-linux-x86-64.so.2", "/lib/ld-musl-x86_64.so.1"),
                MUSL_LOADER,
                Reg("usr/local/lib/a.so", elf()),
            ],
            [
                f"{GLIBC} → lib/ld-musl-x86_64.so.1 (interpreter)",
                "a.so → usr/local/lib/a.so (default)",
            ],
            id="a glibc name that leads to musl's loader",
        ),
    ],
)
def test_what_musl_would_load(nodes: list[Node], expected: list[str]) -> None:
    assert opened(linkage.of(Path("p"), looked_at(nodes))) == expected


ENV = "/usr/bin/env → usr/bin/env (shebang)"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("/bin/sh -e", ["/bin/sh → usr/bin/dash (shebang)"]),
        ("/bin/bash", ["/bin/bash → -"]),
        ("/usr/bin/env run", [ENV, "run → opt/bin/run (PATH)"]),
        ("/usr/bin/env -S run -x", [ENV, "run → opt/bin/run (PATH)"]),
        ("/usr/bin/env gone", [ENV, "gone → -"]),
        ("/usr/bin/env /bin/sh", [ENV, "/bin/sh → usr/bin/dash (path)"]),
        ("/opt/bin/data", ["/opt/bin/data → -"]),
        ("run", ["run → opt/bin/run (shebang)"]),
    ],
)
def test_what_a_script_starts(line: str, expected: list[str]) -> None:
    view = looked_at(
        [
            Reg("p", f"#!{line}\n"),
            Lnk("bin", "usr/bin"),
            Lnk("usr/bin/sh", "dash"),
            Reg("usr/bin/dash", elf(static=True)),
            Reg("usr/bin/env", elf(static=True)),
            Dir("usr/local/bin/run"),
            Reg("opt/bin/run", "#!/bin/sh\n"),
            Reg("opt/bin/data", "data"),
        ],
        environment={"PATH": "/nowhere:/usr/local/bin::/usr/bin"},
        working_dir="/opt/bin",
    )
    assert opened(linkage.of(Path("p"), view)) == expected


def test_without_a_path_in_the_config_the_runtimes_default_counts() -> None:
    view = looked_at(
        [
            Reg("p", "#!/usr/bin/env x\n"),
            Reg("usr/bin/env", elf(static=True)),
            Reg("usr/local/sbin/x", "#!/x\n"),
        ]
    )
    assert opened(linkage.of(Path("p"), view))[1:] == ["x → usr/local/sbin/x (PATH)"]


def test_missing_lists_what_each_file_lacks_by_itself() -> None:
    view = looked_at(
        [
            LOADER,
            LIBC,
            Reg("bin/whole", PROGRAM),
            Reg("bin/lost", elf(interpreter=GLIBC, needed=["libc.so.6", "gone.so", "a.so"])),
            Reg("bin/arm", elf(machine=AARCH64, interpreter="/lib/ld-linux-aarch64.so.1")),
            Reg("bin/script", "#!/usr/bin/perl\n"),
            Reg("bin/conf", elf(needed=["c.so"])),
            Reg("lib/a.so", elf(needed=["deeper.so"], auxiliary=["maybe.so"])),
            Reg("opt/c.so", elf()),
            Reg("etc/ld.so.conf", "/opt\n"),
            Reg("etc/issue", "text"),
        ]
    )
    paths = ["bin/whole", "bin/lost", "bin/arm", "bin/script", "bin/conf", "lib/a.so", "etc/issue"]
    assert linkage.missing([Path(path) for path in paths], view) == (
        Missing(name="gone.so", needed_by=Path("bin/lost")),
        Missing(name="/lib/ld-linux-aarch64.so.1", needed_by=Path("bin/arm")),
        Missing(name="/usr/bin/perl", needed_by=Path("bin/script")),
        Missing(name="c.so", needed_by=Path("bin/conf")),
        Missing(name="deeper.so", needed_by=Path("lib/a.so")),
    )
