"""strace's log as events: a table of lines, and a real strace as the judge of what was used."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from careen.profile.observed import Event, Observed, Run
from careen.profile.strace import CALLS, Reader
from careen.rootfs.path import normal
from tests.builders import Lnk, Reg
from tests.rootfs.hand_made import rootfs

ROWS: dict[str, tuple[list[str], list[tuple[str, ...]]]] = {
    "executed": (
        ['7 execve("/usr/bin/app", ["app", "x"], 0x7ff /* 3 vars */) = 0'],
        [("executed", "/usr/bin/app")],
    ),
    "executed in vain": (
        ['7 execve("/bin/app", ["app"], 0x7ff /* 3 vars */) = -1 ENOENT (No such file)'],
        [("missing", "/bin/app")],
    ),
    "opened, and where it led": (
        ['7 openat(AT_FDCWD</srv>, "/lib/libc.so.6", O_RDONLY|O_CLOEXEC) = 3</usr/lib/libc.so.6>'],
        [("opened", "/lib/libc.so.6", "/usr/lib/libc.so.6")],
    ),
    "relative to the shown directory": (
        ['7 openat(AT_FDCWD</srv>, "x/y", O_RDONLY) = 3</srv/x/y>'],
        [("opened", "/srv/x/y", "/srv/x/y")],
    ),
    "relative to a descriptor": (
        ['7 newfstatat(5</srv/d>, "x", {st_mode=S_IFREG|0644, st_size=1, ...}, 0) = 0'],
        [("examined", "/srv/d/x")],
    ),
    "the descriptor itself": (
        ['7 newfstatat(5</srv/d>, "", {st_mode=S_IFREG|0644}, AT_EMPTY_PATH) = 0'],
        [],
    ),
    "relative to where the process went": (
        [
            '7 chdir("/srv") = 0',
            '7 access("x", R_OK) = 0',
            '7 chdir("d") = 0',
            '7 stat("y", {}) = 0',
        ],
        [
            ("examined", "/srv"),
            ("examined", "/srv/x"),
            ("examined", "/srv/d"),
            ("examined", "/srv/d/y"),
        ],
    ),
    "to a descriptor's directory": (
        ["7 fchdir(3</opt>) = 0", '7 access("x", R_OK) = 0'],
        [("examined", "/opt/x")],
    ),
    "a child is where its parent is": (
        [
            '7 chdir("/srv") = 0',
            "7 clone(child_stack=NULL, flags=SIGCHLD) = 8",
            '8 stat("x", {}) = 0',
        ],
        [("examined", "/srv"), ("examined", "/srv/x")],
    ),
    "a child in a pid namespace": (
        [
            '7 chdir("/srv") = 0',
            "7 clone(child_stack=NULL, flags=SIGCHLD) = 2 /* 8 in strace's PID NS */",
            '8 stat("x", {}) = 0',
        ],
        [("examined", "/srv"), ("examined", "/srv/x")],
    ),
    "a child that is heard of before its birth is told": (
        ['7 chdir("/srv") = 0', "7 vfork( <unfinished ...>", '8 stat("x", {}) = 0'],
        [("examined", "/srv"), ("examined", "/srv/x")],
    ),
    "a call that another interrupts": (
        [
            '7 openat(AT_FDCWD</>, "/a", O_RDONLY <unfinished ...>',
            '8 openat(AT_FDCWD</>, "/b", O_RDONLY) = 3</b>',
            "7 <... openat resumed>) = 3</a>",
        ],
        [("opened", "/b", "/b"), ("opened", "/a", "/a")],
    ),
    "half a call from before the log": (["7 <... openat resumed>) = 3</a>"], []),
    "missing is missing": (
        ['7 openat(AT_FDCWD</>, "/a", O_RDONLY) = -1 ENOENT (No such file or directory)'],
        [("missing", "/a")],
    ),
    "another failure is nothing": (
        ['7 openat(AT_FDCWD</>, "/a", O_RDONLY) = -1 EACCES (Permission denied)'],
        [],
    ),
    "what is created is made": (
        [
            '7 openat(AT_FDCWD</>, "/a", O_WRONLY|O_CREAT|O_TRUNC, 0644) = 3</a>',
            '7 rename("/a", "/b") = 0',
            '7 symlinkat("/c", AT_FDCWD</>, "/d") = 0',
        ],
        [
            ("made", "/a", "/a"),
            ("examined", "/a"),
            ("made", "/b"),
            ("made", "/c"),
            ("made", "/d"),
        ],
    ),
    "what is renamed or linked must be there, and what is changed": (
        [
            '7 rename("/etc/app.default", "/etc/app.conf") = 0',
            '7 linkat(3</srv>, "x", AT_FDCWD</>, "/y", 0) = 0',
            '7 renameat2(AT_FDCWD</srv>, "gone", AT_FDCWD</>, "/z", 0) = -1 ENOENT (No such file)',
            '7 fchmodat(AT_FDCWD</>, "/etc/key", 0600) = 0',
            '7 lchown("/etc/link", 33, 33) = 0',
            '7 truncate("/var/lib/app/db", 0) = 0',
            '7 utimensat(AT_FDCWD</>, "/var/lib/app/stamp", NULL, 0) = 0',
        ],
        [
            ("examined", "/etc/app.default"),
            ("made", "/etc/app.conf"),
            ("examined", "/srv/x"),
            ("made", "/y"),
            ("missing", "/srv/gone"),
            ("made", "/z"),
            ("examined", "/etc/key"),
            ("examined", "/etc/link"),
            ("examined", "/var/lib/app/db"),
            ("examined", "/var/lib/app/stamp"),
        ],
    ),
    "failures that say that it is there": (
        [
            '7 readlink("/a", 0x7ffc, 1023) = -1 EINVAL (Invalid argument)',
            '7 getxattr("/b", "user.x", 0x1, 255) = -1 ENODATA (No data available)',
            '7 mkdir("/c", 0777) = -1 EEXIST (File exists)',
            '7 symlink("/x", "/d") = -1 EEXIST (File exists)',
        ],
        [
            ("examined", "/a"),
            ("examined", "/b"),
            ("examined", "/c"),
            ("made", "/x"),
            ("made", "/d"),
        ],
    ),
    "a thread that executes": (
        [
            '7 execve("/a", ["a"], 0x1 /* 1 var */) = 0',
            "7 clone3({flags=CLONE_VM|CLONE_FS|CLONE_THREAD}, 88) = 8",
            '8 execve("/b", ["b"], 0x1 /* 1 var */ <pid changed to 7 ...>',
            "7 +++ superseded by execve in pid 8 +++",
            "7 <... execve resumed>)             = -1 (errno 18446744073709551595)",
            '7 stat("/x", {}) = 0',
        ],
        [("executed", "/a"), ("executed", "/b"), ("examined", "/x")],
    ),
    "threads go together, also one that is heard of before its birth is told": (
        [
            "7 clone3({flags=CLONE_VM|CLONE_FS|CLONE_THREAD}, 88) = 8",
            "7 clone3({flags=CLONE_VM|CLONE_FS|CLONE_THREAD} <unfinished ...>",
            '9 access("x", R_OK) = 0',
            "7 <... clone3 resumed>, 88) = 9",
            '7 chdir("/srv") = 0',
            '8 access("y", R_OK) = 0',
            '9 access("z", R_OK) = 0',
        ],
        [("examined", "/x"), ("examined", "/srv"), ("examined", "/srv/y"), ("examined", "/srv/z")],
    ),
    "a number that is given again": (
        [
            "7 clone(child_stack=NULL, flags=SIGCHLD) = 8",
            '8 chdir("/old") = 0',
            "8 +++ exited with 0 +++",
            "7 clone(child_stack=NULL, flags=SIGCHLD) = 8",
            '8 access("x", R_OK) = 0',
        ],
        [("examined", "/old"), ("examined", "/x")],
    ),
    "flags are flags, not words in a name": (
        [
            '7 openat(AT_FDCWD</>, "/O_CREATO_TRUNC", O_RDONLY) = 3</O_CREATO_TRUNC>',
            '7 openat(AT_FDCWD</>, "/a = b", O_RDONLY) = 3</a = b>',
            '7 openat(AT_FDCWD</>, "/a = 5", O_RDONLY) = 3</a = 5>',
            '7 openat(AT_FDCWD</>, "/dev/null", O_RDONLY) = 3</dev/null<char 1:3>>',
        ],
        [
            ("opened", "/O_CREATO_TRUNC", "/O_CREATO_TRUNC"),
            ("opened", "/a = b", "/a = b"),
            ("opened", "/a = 5", "/a = 5"),
            ("opened", "/dev/null", "/dev/null<char 1:3"),
        ],
    ),
    "what is appended to is opened": (
        ['7 openat(AT_FDCWD</>, "/a", O_WRONLY|O_CREAT|O_APPEND, 0644) = 3</a>'],
        [("opened", "/a", "/a")],
    ),
    "chroot moves the root": (
        ['7 chroot("/srv/jail") = 0', '7 openat(AT_FDCWD</>, "/a", O_RDONLY) = 3</srv/jail/a>'],
        [("examined", "/srv/jail"), ("opened", "/srv/jail/a", "/srv/jail/a")],
    ),
    "escapes": (
        [r'7 stat("/a\n\"\\\303\274\x01\377", {}) = 0'],
        [("examined", '/a\n"\\ü\x01\udcff')],
    ),
    "arguments that look like results": (
        ['7 execve("/bin/sh", ["sh", "-c", "x(\\"/y\\") = 0"], 0x1 /* 1 var */) = 0'],
        [("executed", "/bin/sh")],
    ),
    "a path that was cut short": (['7 stat("/aaa"..., {}) = 0'], []),
    "times": (
        ['7 12:00:00.123456 stat("/a", {}) = 0', '7 1700000000.5 stat("/b", {}) = 0'],
        [("examined", "/a"), ("examined", "/b")],
    ),
    "the form without -o, and without -f": (
        ['[pid 12] stat("/a", {}) = 0', 'stat("/b", {}) = 0'],
        [("examined", "/a"), ("examined", "/b")],
    ),
    "exits, signals and strace's own words": (
        ["7 +++ exited with 0 +++", "7 --- SIGCHLD {si_signo=SIGCHLD} ---", "strace: attached"],
        [],
    ),
    "deleted": (
        ['7 openat(AT_FDCWD</>, "/a", O_RDONLY) = 3</a>(deleted)'],
        [("opened", "/a", "/a")],
    ),
}


def read(*lines: str, **how: int | str) -> list[tuple[str, ...]]:
    reader = Reader(**how)  # type: ignore[arg-type]
    raw = [f"{line}\n".encode("utf-8", "surrogateescape") for line in lines]
    found = [(event.how, event.path, event.led_to) for event in reader.events(raw)]
    assert reader.unread == 0
    assert reader.lines == len(lines)
    return [row if row[2] else row[:2] for row in found]


@pytest.mark.parametrize("row", ROWS)
def test_a_log(row: str) -> None:
    lines, events = ROWS[row]
    assert read(*lines) == events


LAUNCHED = [
    '7 execve("/usr/bin/bwrap", ["bwrap"], 0x1 /* 1 var */) = 0',
    '7 openat(AT_FDCWD</>, "/etc/passwd", O_RDONLY) = 3</etc/passwd>',
    "7 clone(child_stack=NULL, flags=SIGCHLD) = 8",
    '8 openat(AT_FDCWD</>, "/etc/group", O_RDONLY) = 3</etc/group>',
    '8 execve("/usr/bin/none", ["none"], 0x1 /* 1 var */) = -1 ENOENT (No such file or directory)',
    '8 execve("/app", ["app"], 0x1 /* 1 var */) = 0',
    '8 openat(AT_FDCWD</>, "/etc/app", O_RDONLY) = 3</etc/app>',
    "8 clone(child_stack=NULL, flags=SIGCHLD) = 9",
    '9 openat(AT_FDCWD</>, "/etc/child", O_RDONLY) = 3</etc/child>',
    '7 openat(AT_FDCWD</>, "/etc/late", O_RDONLY) = 3</etc/late>',
]


def test_what_a_launcher_does_is_no_use() -> None:
    assert [path for _, path, *_ in read(*LAUNCHED, after=1)] == ["/app", "/etc/app", "/etc/child"]


def test_paths_below_a_chroot_are_the_images() -> None:
    line = '7 openat(AT_FDCWD</scratch/root/srv>, "x", O_RDONLY) = 3</scratch/root/srv/x>'
    assert read(line, root="/scratch/root") == [("opened", "/srv/x", "/srv/x")]


@pytest.mark.parametrize(
    ("line", "follows"),
    [
        ('7 execve("/usr/bin/python3", ["python3", "os.O_NOFOLLOW"], 0x1 /* 1 var */) = 0', True),
        ('7 stat("/NOFOLLOW", {}) = 0', True),
        ('7 newfstatat(AT_FDCWD</>, "/a", {}, AT_SYMLINK_NOFOLLOW) = 0', False),
        ('7 lchown("/a", 1, 1) = 0', False),
    ],
)
def test_whether_a_link_is_followed(line: str, *, follows: bool) -> None:
    assert [event.follows for event in Reader().events([f"{line}\n".encode()])] == [follows]


def test_a_process_that_goes_up_and_down_for_ever_stays_within_a_path() -> None:
    lines = [b'7 chdir("..") = 0\n', b'7 chdir("srv") = 0\n'] * 10_000
    paths = [event.path for event in Reader().events([*lines, b'7 access("x", R_OK) = 0\n'])]
    assert max(map(len, paths)) < 5000
    assert normal(paths[-1]) == "srv/x"


def test_who_used_it() -> None:
    lines = [
        '7 execve("/bin/a", ["a"], 0x1 /* 1 var */) = 0',
        '7 execve("/bin/b", ["b"], 0x1 /* 1 var */) = 0',
        '7 stat("/x", {}) = 0',
    ]
    events = list(Reader().events(f"{line}\n".encode() for line in lines))
    assert [(event.path, event.process) for event in events] == [
        ("/bin/a", ""),
        ("/bin/b", "/bin/a"),
        ("/x", "/bin/b"),
    ]


OPENED = '7 openat(AT_FDCWD</>, "{}", O_RDONLY) = {}<{}>'


def test_a_file_is_told_once_whatever_its_descriptor() -> None:
    lines = [OPENED.format(path, number, path) for number in (3, 11) for path in ("/a", "/b")]
    assert read(*lines) == [("opened", "/a", "/a"), ("opened", "/b", "/b")]
    assert len(read(OPENED.format("/a", 3, "/x"), OPENED.format("/a", 4, "/y"))) == 2


def test_the_same_words_in_a_chroot_are_another_file() -> None:
    stat = '7 stat("/etc/x", {}) = 0'
    lines = [
        stat,
        '7 chroot("/jail") = 0',
        stat,
        '7 stat("/etc/y", {}) = 0',
        '8 stat("/z", {}) = 0',
    ]
    paths = [path for _, path in read(*lines)]
    assert paths == ["/etc/x", "/jail", "/jail/etc/x", "/jail/etc/y", "/z"]


def test_what_is_not_understood_is_counted_and_shown() -> None:
    reader = Reader()
    lines = [b"no strace at all\n"] * 4 + [b'7 stat("/a", {}) = 0\n', b"7 stat(\xff\n"]
    assert [event.path for event in reader.events(lines)] == ["/a"]
    assert (reader.lines, reader.unread) == (6, 5)
    assert reader.samples == [(number, "no strace at all") for number in (1, 2, 3)]


PIECES = [
    *(b'"', b"/", b"\\", b"<", b">", b" = ", b"3", b"(", b")", b"AT_FDCWD", b", ", b"open", b"7 "),
    *(b"execve", b"ENOENT", b"...", b" <unfinished ...>", b"<... stat resumed>", b"\xff", b"\0"),
]
pieces = st.sampled_from(PIECES)


@given(st.lists(st.lists(pieces, max_size=12).map(b"".join), max_size=8))
@settings(deadline=None, max_examples=300)
def test_any_bytes_are_read(lines: list[bytes]) -> None:
    reader = Reader()
    for event in reader.events([line + b"\n" for line in lines]):
        assert isinstance(event, Event)
    assert reader.lines == len(lines)


def test_a_long_log_takes_no_more_memory() -> None:
    def lines() -> Iterator[bytes]:
        for i in range(300_000):
            yield b'%d openat(AT_FDCWD</>, "/a/%d", O_RDONLY) = 3</a/%d>\n' % (i % 50, i, i)

    tracemalloc.start()
    try:
        count = sum(1 for _ in Reader().events(lines()))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == 300_000
    assert peak < 64 << 20


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_a_real_log(tmp_path: Path) -> None:
    """Python in a child process of a shell: what strace says was opened is all there."""
    (tmp_path / "module.py").write_text("import os; os.listdir('.')")
    script = f"cd {tmp_path} && {sys.executable} -S -c 'import module'; cat nowhere; mkdir made"
    log = tmp_path / "log"
    argv = ["strace", "-f", "-yy", "-s", "4096", "--seccomp-bpf", "-e", f"trace={CALLS}"]
    subprocess.run(
        [*argv, "-o", log, "sh", "-c", script],
        check=False,
        capture_output=True,
        env={"PATH": "/bin"},
    )
    reader = Reader()
    with log.open("rb") as lines:
        found = {(event.how, event.path) for event in reader.events(lines)}
    assert reader.unread == 0, reader.samples
    opened = {path for how, path in found if how == "opened"}
    assert str(tmp_path / "module.py") in opened
    assert ("missing", str(tmp_path / "nowhere")) in found
    assert ("made", str(tmp_path / "made")) in found
    assert {how for how, path in found if path.endswith(("/sh", "/cat", "/mkdir"))} >= {"executed"}


TRACE = r"""
10 execve("/usr/bin/bwrap", ["bwrap", "app"], 0x1 /* 1 var */) = 0
10 openat(AT_FDCWD</>, "/etc/secret", O_RDONLY) = 3</etc/secret>
10 clone(child_stack=NULL, flags=SIGCHLD) = 11
11 execve("/usr/local/bin/app", ["app", "-x"], 0x1 /* 1 var */) = -1 ENOENT (No such file)
11 execve("/bin/app", ["app", "-x"], 0x1 /* 1 var */) = 0
11 openat(AT_FDCWD</srv>, "data", O_RDONLY) = 3</srv/data>
11 openat(4</usr>, "lib/libx.so", O_RDONLY <unfinished ...>
11 clone(child_stack=NULL, flags=CLONE_VM|CLONE_THREAD) = 12
12 access("/etc/absent", R_OK) = -1 ENOENT (No such file or directory)
11 <... openat resumed>) = 5</usr/lib/libx.so.1>
12 newfstatat(AT_FDCWD</srv>, "/usr/lib/libx.so", {…}, AT_SYMLINK_NOFOLLOW) = 0
12 openat(AT_FDCWD</srv>, "/srv/made", O_RDWR|O_CREAT, 0600) = 6</srv/made>
12 access("/srv/renamed", F_OK) = -1 ENOENT (No such file or directory)
12 rename("/srv/made", "/srv/renamed") = 0
12 openat(AT_FDCWD</srv>, "/proc/self/maps", O_RDONLY) = 6</proc/11/maps>
12 readlink("/bin", "usr/bin", 100) = 7
12 openat(AT_FDCWD</srv>, "/srv/caf\303\251", O_RDONLY) = 6</srv/café>
12 openat(AT_FDCWD</srv>, "/srv/denied", O_RDONLY) = -1 EACCES (Permission denied)
12 newfstatat(6</srv/data>, "", {st_mode=S_IFREG|0644, …}, AT_EMPTY_PATH) = 0
"""


def test_a_trace_becomes_sets_of_resolved_paths() -> None:
    files = ("usr/bin/app", "usr/lib/libx.so.1", "srv/data", "srv/café", "srv/denied", "etc/secret")
    links = [Lnk("bin", "usr/bin"), Lnk("usr/lib/libx.so", "libx.so.1")]
    reader = Reader(after=1, cwd="/srv")
    lines = [f"{line}\n".encode() for line in TRACE.strip().splitlines()]
    observed = Observed(rootfs([*map(Reg, files), *links])).take(reader.events(lines))
    seen = observed.scenario(Run(name="run"))
    assert seen.executed == ("/usr/bin/app",)
    assert seen.opened == ("/srv/café", "/srv/data", "/usr/lib/libx.so.1")
    assert seen.examined == ("/bin", "/usr/lib/libx.so")
    assert seen.links == {"/bin": "/usr/bin", "/usr/lib/libx.so": "/usr/lib/libx.so.1"}
    assert seen.missing == ("/etc/absent",)
