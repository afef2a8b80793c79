"""What holds for every importer: it streams, and no log brings it down."""

from __future__ import annotations

import contextlib
import io
import json
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from careen.errors import CareenError, SourceError, UsageError
from careen.profile import profile as profiles
from careen.profile.importers import FORMATS
from careen.profile.importers.gather import Gathering
from careen.profile.importers.importer import Filters
from careen.profile.importers.log import Log
from careen.profile.importers.records import number
from careen.profile.observed import Run
from careen.profile.schema import Profile
from tests.builders import Lnk, Reg
from tests.profile.importers import (
    test_falco,
    test_fatrace,
    test_inspektor_gadget,
    test_kubescape,
    test_plain,
    test_runtime_trace,
    test_slim,
    test_tetragon,
    test_tracee,
)
from tests.profile.importers.support import gathered, lines, scenario, unread
from tests.rootfs.hand_made import rootfs

STRACE = """\
20476 execve("/usr/bin/cat", ["cat", "/etc/hosts"], 0x7ffd /* 35 vars */) = 0
20476 openat(AT_FDCWD</app>, "/lib/libc.so.6", O_RDONLY|O_CLOEXEC) = 3</usr/lib/libc.so.6>
20476 openat(AT_FDCWD</app>, "/etc/nothing", O_RDONLY) = -1 ENOENT (No such file or directory)
nonsense
20476 openat(AT_FDCWD</app>, "/etc/hosts", O_RDONLY) = 3</etc/hosts>
20476 +++ exited with 0 +++
"""
LOGS = {
    "strace": STRACE.encode(),
    "slim": json.dumps(test_slim.MINT).encode(),
    "inspektor-gadget": test_inspektor_gadget.NEW + test_inspektor_gadget.OLD,
    "tetragon": test_tetragon.LOG,
    "tracee": lines(
        test_tracee.old("security_file_open", pathname="/etc/hosts"),
        test_tracee.new("sched_process_exec", pathname="/bin/sh"),
    ),
    "kubescape": test_kubescape.YAML.encode(),
    "falco": test_falco.LOG,
    "fatrace": test_fatrace.TEXT.encode() + test_fatrace.JSON,
    "maps": test_plain.MAPS.encode(),
    "runtime-trace": json.dumps(test_runtime_trace.TETRAGON).encode(),
    "paths": test_plain.PATHS,
}
DOCUMENTS = ("slim", "kubescape", "runtime-trace")
TREE = [Reg("etc/hosts"), Lnk("lib", "usr/lib"), Reg("usr/lib/libc.so.6"), Lnk("loop", "loop")]


def test_every_format_has_a_log_here() -> None:
    assert set(LOGS) == set(FORMATS)


def survives(form: str, raw: bytes, *, image: bool) -> None:
    """Whatever is read makes a profile that can be loaded; else one clear error."""
    found = Gathering(rootfs(TREE) if image else None)
    with contextlib.suppress(CareenError):
        found.take(FORMATS[form], Log("log", io.BytesIO(raw)), Filters())
        made = found.scenario(Run(name="run"))
        profiles.load(profiles.dump(Profile(scenarios=(made,))), place="made")
    found.findings(["sha256:x"])


@st.composite
def mutated(draw: Any) -> tuple[str, bytes]:
    form = draw(st.sampled_from(sorted(LOGS)))
    raw = bytearray(LOGS[form])
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(raw)))
        end = min(len(raw), start + draw(st.integers(0, 40)))
        piece = st.sampled_from(
            [b"", b"\0", b"\xff", b"[" * 3000, b"{", b'"', b"\n", b"null", b"-1", b'"\\ud800"',
             b"..", b"/", b"*", b"1e999", b"9" * 5000, b"- " * 300, b"\xe2\x8b\xaf", b"&a ", b": "]
        ) | st.binary(max_size=12)  # fmt: skip
        raw[start:end] = draw(piece)
    return form, bytes(raw)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(mutated(), st.booleans())
def test_mutated_logs(case: tuple[str, bytes], image: bool) -> None:
    survives(*case, image=image)


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6) | st.just("/etc/hosts"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)


def replaced(draw: Any, value: Any) -> Any:
    """`value` with something in it that is not what it should be."""
    if isinstance(value, dict) and value and draw(st.booleans()):
        key = draw(st.sampled_from(sorted(value)))
        return {**value, key: replaced(draw, value[key])}
    if isinstance(value, list) and value and draw(st.booleans()):
        i = draw(st.integers(0, len(value) - 1))
        return [*value[:i], replaced(draw, value[i]), *value[i + 1 :]]
    return draw(JUNK)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_json_with_other_types_in_it(data: Any) -> None:
    form = data.draw(st.sampled_from(sorted(set(LOGS) - {"maps", "paths", "kubescape"})))
    whole = form in DOCUMENTS
    records = [json.loads(line) for line in LOGS[form].splitlines() if line.startswith(b"{")]
    changed = [replaced(data.draw, record) for record in records]
    raw = json.dumps(changed[0]).encode() if whole else lines(*changed)
    survives(form, raw, image=data.draw(st.booleans()))


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(sorted(LOGS)), st.binary(max_size=400))
def test_random_bytes(form: str, raw: bytes) -> None:
    survives(form, raw, image=False)


class Endless(io.RawIOBase):
    """A file that is made while it is read."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, target: Any) -> int:
        self._rest = self._rest or next(self._chunks, b"")
        piece, self._rest = self._rest[: len(target)], self._rest[len(target) :]
        target[: len(piece)] = piece
        return len(piece)


@pytest.mark.parametrize("form", sorted(set(LOGS) - set(DOCUMENTS)))
def test_logs_are_streamed(form: str) -> None:
    log = LOGS[form] if LOGS[form].endswith(b"\n") else LOGS[form] + b"\n"
    times = (6 << 20) // len(log)
    file = io.BufferedReader(Endless(log for _ in range(times)))
    found = Gathering()
    tracemalloc.start()
    try:
        read = found.take(FORMATS[form], Log("log", file), Filters())
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()
    assert read.lines == times * log.count(b"\n")
    assert len(read.samples) <= 3


def test_a_line_without_an_end_is_one_line_of_bounded_length() -> None:
    file = io.BufferedReader(Endless(b"x" * (1 << 20) for _ in range(64)))
    tracemalloc.start()
    try:
        read = Gathering().take(FORMATS["paths"], Log("log", file), Filters())
        assert tracemalloc.get_traced_memory()[1] < 20 << 20
    finally:
        tracemalloc.stop()
    assert (read.lines, read.unread) == (1, 1)


@pytest.mark.parametrize("form", FORMATS)
def test_only_filters_that_a_format_has(form: str) -> None:
    for name in ("container", "image", "process"):
        filters = Filters(**{name: "nobody"})
        if name in FORMATS[form].FILTERS:
            assert gathered(form, LOGS[form], filters).reads[0].events == 0
        else:
            with pytest.raises(UsageError, match="this format does not tell of it; it has"):
                gathered(form, LOGS[form], filters)


@pytest.mark.parametrize(
    ("log", "problem"),
    [
        (b"", "log: empty"),
        (
            b"nothing\nof this\n",
            "log: nothing could be read: line 1: not an absolute path: 'nothing'",
        ),
        (b"/proc/cpuinfo\n", "log: none of 1 lines tells of a file of an image that was used"),
    ],
)
def test_a_log_that_tells_nothing_is_an_error(log: bytes, problem: str) -> None:
    with pytest.raises(SourceError) as caught:
        gathered("paths", log).scenario(Run(name="run"))
    assert str(caught.value).startswith(problem)


def test_the_first_three_unread_lines_are_shown() -> None:
    found = gathered("paths", "/a\n" + "x\n" * 5)
    assert (found.reads[0].events, found.reads[0].unread) == (1, 5)
    assert [line for line, _ in unread(found)] == [2, 3, 4]


def test_paths_that_no_file_has_are_unread() -> None:
    log = lines({"fname": "/\ud800"}, {"fname": "/x/" + "y" * 200, "fpath": "/" + "z" * 5000},
                {"fname": "/ok"})  # fmt: skip
    found = gathered("inspektor-gadget", log)
    assert [line for line, _ in unread(found)] == [1, 2]
    assert found.reads[0].events == 1


def test_straces_log() -> None:
    assert scenario("strace", STRACE) == {
        "executed": ("/usr/bin/cat",),
        "opened": ("/etc/hosts", "/lib/libc.so.6", "/usr/lib/libc.so.6"),
        "missing": ("/etc/nothing",),
    }
    assert unread(gathered("strace", STRACE)) == [(4, "not a line of strace: 'nonsense'")]


@pytest.mark.parametrize("said", ["--5", "-", "5-", "٣-", "9" * 30, None, [], 1.5])
def test_what_is_no_number_is_none(said: object) -> None:
    assert number({"ret": said}, "ret") == 0
