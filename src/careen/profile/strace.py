"""strace's log as events, in one pass over its lines.

Best is a log of `strace -f -yy -s 4096 -e trace=%file,clone,clone3,fork,vfork,fchdir`: paths of
descriptors are shown, and where each process began. A line without them is read as well as it can
be. Times, `[pid N]` and one file a process (-ff) are understood; calls that others interrupted
are put together again.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator

from careen.profile.observed import Event, How

__all__ = ["CALLS", "Reader"]

CALLS = "%file,clone,clone3,fork,vfork,fchdir"
"""What strace must trace (`-e trace=`) for a whole log."""

_EXECUTES = frozenset([b"execve", b"execveat"])
_OPENS = frozenset([b"open", b"openat", b"openat2", b"creat", b"uselib"])
_EXAMINES = frozenset(
    [
        *(b"stat", b"stat64", b"lstat", b"lstat64", b"newfstatat", b"fstatat64", b"statx"),
        *(b"access", b"faccessat", b"faccessat2", b"readlink", b"readlinkat", b"chdir", b"chroot"),
        *(b"statfs", b"statfs64", b"getxattr", b"lgetxattr", b"listxattr", b"llistxattr"),
        *(b"inotify_add_watch", b"name_to_handle_at", b"quotactl", b"fanotify_mark"),
        # what changes a file that is there, and fails without it
        *(b"chmod", b"fchmodat", b"fchmodat2", b"chown", b"lchown", b"fchownat", b"chown32"),
        *(b"lchown32", b"truncate", b"truncate64", b"utime", b"utimes", b"utimensat"),
        *(b"futimesat", b"setxattr", b"lsetxattr", b"removexattr", b"lremovexattr"),
    ]
)
_MAKES = frozenset(
    [
        *(b"mkdir", b"mkdirat", b"mknod", b"mknodat", b"symlink", b"symlinkat", b"link", b"linkat"),
        *(b"rename", b"renameat", b"renameat2", b"unlink", b"unlinkat", b"rmdir"),
    ]
)
_TAKES = frozenset(
    [b"link", b"linkat", b"rename", b"renameat", b"renameat2"]
)  # a file that is there
_BIRTHS = frozenset([b"clone", b"clone3", b"fork", b"vfork"])
_NEVER_FOLLOW = _MAKES | {b"lstat", b"lstat64", b"readlink", b"readlinkat"}
_NEVER_FOLLOW |= {b"lgetxattr", b"llistxattr", b"lsetxattr", b"lremovexattr"}
_NEVER_FOLLOW |= {b"lchown", b"lchown32"}
_KINDS: dict[bytes, How] = {
    **dict.fromkeys(_EXECUTES, "executed"),
    **dict.fromkeys(_OPENS, "opened"),
    **dict.fromkeys(_EXAMINES, "examined"),
    **dict.fromkeys(_MAKES, "made"),
}
_ABSENT = (b"ENOENT", b"ENOTDIR")
# Failures that say that the file is there: no link, or without that attribute.
_PRESENT = {
    b"EINVAL": (b"readlink", b"readlinkat"),
    b"ENODATA": (b"getxattr", b"lgetxattr"),
    b"EEXIST": (b"mkdir", b"mkdirat"),
}
_MOVES = (b"chdir", b"chroot")
_STATEFUL = (b"exec", b"chdir", b"chroot")

_QUOTED = rb'"((?:[^"\\]|\\.)*)"'
_TIME = rb"(?:\d\d:\d\d:\d\d(?:\.\d+)? |\d+\.\d+ )?"
_PREFIX = re.compile(rb"(?:\[pid +(\d+)\] +|(\d+) +)?" + _TIME)
# A process, a call's name, the directory that it starts from, and its first path.
_CALL = re.compile(
    rb"(?:\[pid +(\d+)\] +|(\d+) +)?"
    + _TIME
    + rb"(\w+)\((?:(AT_FDCWD|\d+)(?:<([^>\\]*(?:\\.[^>\\]*)*)>"
    + rb"(?:\(deleted\))?)?, )?"
    + rb'(?:"([^"\\]*(?:\\.[^"\\]*)*)")?(\.\.\.)?'
)
_RESULT = re.compile(
    rb"(-?\d+|0x[0-9a-f]+|\?)(?:<([^>\\]*(?:\\.[^>\\]*)*)>>?)?(?:\(deleted\))?(?: (E[A-Z]+))?"
)
_PATHS = re.compile(
    rb"(?:(?:AT_FDCWD|(?<!\d)\d++)<((?:[^<>\\]|\\.)*+)>(?:\(deleted\))?, )?" + _QUOTED
)
_RESUMED = re.compile(rb"<\.\.\. (\w+) resumed>")
_DIRECTORY = re.compile(rb"\d+<((?:[^>\\]|\\.)*)>")
_TRANSLATED = re.compile(rb" /\* (\d+) in strace's PID NS \*/")
_ESCAPE = re.compile(rb"\\([0-7]{1,3}|x[0-9a-f]{2}|.)")
_LETTERS = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"v": b"\v", b"f": b"\f"}
_UNFINISHED = b" <unfinished ...>"
_SUPERSEDES = re.compile(rb" <pid changed to (\d+) \.\.\.>\n")
_ENDS = (b"+++ exited", b"+++ killed")
_AFTER_RESULT = (b"", b"\n", b" ")
_LONGEST = 4096  # bytes of a path in an image (PATH_MAX)
_REMEMBERED = 200_000  # lines that need no second look; forgotten together, to stay flat


class _Place:
    """Where processes are: threads are in one, and move together."""

    __slots__ = ("cwd", "root")

    def __init__(self, cwd: str, root: str) -> None:
        self.cwd = cwd
        self.root = root


class _Process:
    """What is known of a process: where it is, what it runs, how often it has executed.

    `is_born`: whether the call that made it has been read.
    """

    __slots__ = ("executions", "is_born", "place", "program")

    def __init__(self, place: _Place, program: str = "", executions: int = 0) -> None:
        self.place = place
        self.program = program
        self.executions = executions
        self.is_born = False

    def child(self, birth: bytes) -> _Process:
        """What a call that gives birth makes; CLONE_FS is a thread's (clone(2))."""
        here = self.place
        place = here if b"CLONE_FS" in birth else _Place(here.cwd, here.root)
        return _Process(place, self.program, self.executions)


class Reader:
    """Reads one log. `lines` and `unread` count; `samples` are the first lines not understood.

    `after` is the number of successful executions, in a process and those it descends from, up to
    which nothing counts: a launcher's own. `cwd` is where the first process starts, `root` a
    directory that stands for the image's root in the paths of descriptors (chroot).
    """

    def __init__(self, *, after: int = 0, cwd: str = "/", root: str = "") -> None:
        self.lines = 0
        self.unread = 0
        self.samples: list[tuple[int, str]] = []
        self._after = after
        self._cwd = cwd
        self._root = root.rstrip("/")
        self._processes: dict[bytes, _Process] = {}
        self._halves: dict[bytes, bytes] = {}
        self._births: dict[bytes, None] = {}
        self._last_birth: tuple[_Process, bytes] | None = None
        self._seen: set[bytes] = set()
        self._chrooted = False

    def events(self, lines: Iterable[bytes]) -> Iterator[Event]:
        """The uses of files, in order; what is said again, in the same words, may be left out."""
        seen = self._seen
        for line in lines:
            self.lines += 1
            key = line[line.find(b" ") :]
            if key in seen or (same := _unnumbered(key)) in seen:
                continue
            found = self._line(line)
            if found is None:
                continue
            if isinstance(found, Event):
                self._remember(key, same)
                yield found
            else:
                yield from found

    def _line(self, line: bytes) -> Event | list[Event] | None:
        call = _CALL.match(line)
        if call is None or line.endswith(b" <unfinished ...>\n"):
            return self._broken(line)
        if line.endswith(b" ...>\n") and (superseded := _SUPERSEDES.search(line)) is not None:
            return self._superseded(call, superseded, line)
        return self._call(call, line)

    def _superseded(
        self, call: re.Match[bytes], found: re.Match[bytes], line: bytes
    ) -> Event | list[Event] | None:
        """A thread that executes another program takes its process' number: it has succeeded."""
        pid = call[1] or call[2] or b""
        self._processes[found[1]] = self._process(pid)
        whole = _CALL.match(line[: found.start()] + b") = 0\n")
        return None if whole is None else self._call(whole, whole.string)

    def _broken(self, line: bytes) -> Event | list[Event] | None:
        """Half a call, or no call at all."""
        prefix = _PREFIX.match(line)
        assert prefix is not None  # noqa: S101  # it may be empty
        pid = prefix[1] or prefix[2] or b""
        rest = line[prefix.end() :].rstrip(b"\n")
        if rest.endswith(_UNFINISHED):
            self._halves[pid] = line.rstrip(b"\n")[: -len(_UNFINISHED)]
            if rest.partition(b"(")[0] in _BIRTHS:
                self._births[pid] = None
            return None
        resumed = _RESUMED.match(rest)
        if resumed is not None:
            half = self._halves.pop(pid, None)
            self._births.pop(pid, None)  # which began before the log does, when half is None
            return None if half is None else self._line(half + rest[resumed.end() :] + b"\n")
        if rest.startswith(_ENDS):
            self._processes.pop(pid, None)  # its number may be another's soon
        if rest and not rest.startswith((b"+++", b"---", b"strace: ")):
            self._not_read(line)
        return None

    def _process(self, pid: bytes) -> _Process:
        """What is known of a process; one not heard of is a child of who last gave birth.

        In a pid namespace a birth tells another number than the log has, unless it is translated.
        """
        process = self._processes.get(pid)
        if process is None:
            births = [
                (self._processes[one], self._halves.get(one, b""))
                for one in self._births
                if one in self._processes
            ]
            parent, birth = births[-1] if births else self._last_birth or (None, b"")
            process = _Process(_Place(self._cwd, "")) if parent is None else parent.child(birth)
            self._processes[pid] = process
        return process

    def _call(self, call: re.Match[bytes], line: bytes) -> Event | list[Event] | None:
        at, result = _result(line)
        if result is None:
            self._not_read(line)
            return None
        process = self._process(call[1] or call[2] or b"")
        name, error = call[3], result[3]
        kind = _KINDS.get(name)
        if kind is None:
            self._beside(name, result, line, process)
            return None
        if result[1] == b"?":
            return None
        if kind == "executed" and not error:
            process.executions += 1
        counts = process.executions > self._after or not self._after
        found: Event | list[Event] | None = None
        if counts and kind == "made":
            found = self._made(name, result[3], line[:at], process)
        elif counts and call[6] is not None and call[7] is None:
            found = self._event(kind, call, result, line[call.end() : at], process)
        if kind == "executed" and not error:
            process.program = self._path(call, process)
        if call[4] == b"AT_FDCWD" and call[5]:
            process.place.cwd = self._inside(_plain(call[5]))
        if name in _MOVES and call[6] and not error:
            self._moved(name, self._path(call, process), process)
        return found

    def _beside(self, name: bytes, result: re.Match[bytes], line: bytes, process: _Process) -> None:
        """Calls that use no file, but say where a process is, or begins."""
        if name in _BIRTHS and result[1].isdigit():
            translated = _TRANSLATED.match(line, result.end())
            child = translated[1] if translated is not None else result[1]
            known = self._processes.get(child)
            if known is None or known.is_born:  # else its own lines came first
                known = self._processes[child] = process.child(line)
            known.is_born = True
            self._last_birth = process, line
        elif name == b"fchdir" and not result[3]:
            found = _DIRECTORY.match(line, line.find(b"(") + 1)
            if found is not None:
                process.place.cwd = self._inside(_plain(found[1]))

    def _event(
        self,
        kind: How,
        call: re.Match[bytes],
        result: re.Match[bytes],
        rest: bytes,
        process: _Process,
    ) -> Event | None:
        """What one call says, `rest` what follows its path; None when it says nothing of it."""
        if not call[6] and call[4] is not None:
            return None  # the descriptor itself, which was opened before
        error = result[3]
        if error and error not in _ABSENT and call[3] not in _PRESENT.get(error, ()):
            return None
        path = self._path(call, process)
        follows = call[3] not in _NEVER_FOLLOW
        if kind != "executed":  # what follows are arguments, of any words
            follows = follows and b"NOFOLLOW" not in rest
        led_to = ""
        if error in _ABSENT:
            kind = "missing"
        elif kind == "opened":
            led_to = self._inside(_plain(result[2])) if result[2] else ""
            if b"O_CREAT" in rest and (b"O_EXCL" in rest or b"O_TRUNC" in rest):
                kind = "made"
        return Event(kind, path, led_to, process.program, follows)

    def _made(
        self, name: bytes, error: bytes | None, call: bytes, process: _Process
    ) -> list[Event]:
        """Every path of a call that makes, renames or removes, and what it needs there first."""
        found: list[Event] = []
        for base, quoted in _PATHS.findall(call):
            start = self._inside(_plain(base)) if base else process.place.cwd
            path = self._absolute(_plain(quoted), start, process)
            how: How = "made"
            if name in _PRESENT.get(error or b"", ()) or (name in _TAKES and not found):
                how = "missing" if error in _ABSENT else "examined"
            found.append(Event(how, path, "", process.program, follows=False))
        return found

    def _moved(self, name: bytes, path: str, process: _Process) -> None:
        if name == b"chdir":
            process.place.cwd = _bounded(path)
        elif process.executions > self._after or not self._after:
            process.place.root = path.rstrip("/")  # a launcher's own is where the image begins
            self._chrooted = True
            self._seen.clear()  # the same words mean another file there

    def _path(self, call: re.Match[bytes], process: _Process) -> str:
        """The first path of a call, absolute."""
        start = self._inside(_plain(call[5])) if call[5] else process.place.cwd
        return self._absolute(_plain(call[6] or b""), start, process)

    def _absolute(self, text: str, start: str, process: _Process) -> str:
        if text.startswith("/"):
            return process.place.root + text
        return posixpath.join(start, text)

    def _inside(self, shown: str) -> str:
        """A path as /proc shows it to strace, from the image's root."""
        if self._root and shown.startswith(f"{self._root}/"):
            return shown[len(self._root) :]
        return "/" if self._root and shown == self._root else shown

    def _remember(self, key: bytes, same: bytes) -> None:
        """A line that says the same again says nothing new, unless it moves its process.

        Only a path that stands for itself, or with its directory, says the same.
        """
        if self._chrooted or key.lstrip().startswith(_STATEFUL):
            return
        if b'("/' in key or b"(AT_FDCWD<" in key:
            if len(self._seen) >= _REMEMBERED:
                self._seen.clear()
            self._seen.update((key, same))

    def _not_read(self, raw: bytes) -> None:
        self.unread += 1
        if len(self.samples) < 3:
            self.samples.append((self.lines, raw.decode("utf-8", "replace").rstrip("\n")[:200]))


def _result(line: bytes) -> tuple[int, re.Match[bytes] | None]:
    """Where a call's result begins, and the result: a path that it shows may have ` = ` in it."""
    at = line.rfind(b" = ")
    while at >= 0:
        result = _RESULT.match(line, at + 3)
        if result is not None and line[result.end() : result.end() + 1] in _AFTER_RESULT:
            return at, result
        at = line.rfind(b" = ", 0, at)
    return at, None


def _bounded(cwd: str) -> str:
    """A place that many steps led to, one relative to the other; nowhere when it is too deep.

    Only what is too long is shortened, as `..` after a link is not the link's parent.
    """
    if len(cwd) <= _LONGEST:
        return cwd
    cwd = posixpath.normpath(cwd)
    return cwd if len(cwd) <= _LONGEST else ""


def _unnumbered(call: bytes) -> bytes:
    """A call without the number of the descriptor that it gave: the same file gets many."""
    at = call.rfind(b" = ")
    path = call.find(b"<", at)
    return call[:at] + call[path:] if at < path and call[at + 3 : path].isdigit() else call


def _plain(quoted: bytes) -> str:
    """Undo strace's escapes."""
    if b"\\" in quoted:
        quoted = _ESCAPE.sub(_character, quoted)
    return quoted.decode("utf-8", "surrogateescape")


def _character(match: re.Match[bytes]) -> bytes:
    code = match[1]
    if code[:1] in b"01234567":
        return bytes([int(code, 8) & 0xFF])
    return bytes([int(code[1:], 16)]) if len(code) == 3 else _LETTERS.get(code, code)
