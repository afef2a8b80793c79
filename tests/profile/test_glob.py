"""Patterns over packages and paths, judged by tables, fnmatch, glob over real folders, and git."""

from __future__ import annotations

import fnmatch
import glob as stdlib_glob
import subprocess
from pathlib import Path as FilePath

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from careen.errors import FormatError
from careen.profile import glob
from careen.rootfs.path import Path

# pattern, then the paths that it covers, then some that it does not
PATHS: list[tuple[str, list[str], list[str]]] = [
    ("/etc/hosts", ["etc/hosts", "etc/hosts/below"], ["etc", "etc/hosts.allow", "x/etc/hosts"]),
    (
        "/usr/share/zoneinfo",
        ["usr/share/zoneinfo/Europe/Paris"],
        ["usr/share/zoneinfo2", "usr/share"],
    ),
    ("/a/**", ["a/b", "a/b/c", "a/.b"], ["a", "ab", ""]),
    ("/a/**/z", ["a/z", "a/b/z", "a/b/c/z", "a/b/z/below"], ["a/bz", "z", "a/zz", "a"]),
    ("/**/z", ["z", "a/z", "a/b/z"], ["az", "a/bz", ""]),
    ("/**/a/**/b/**", ["a/b/c", "x/a/y/b/z/w"], ["a/b", "b/a/c", "ab/c"]),
    ("/a/**/**/b", ["a/b", "a/x/b"], ["a/xb"]),
    ("/**", ["a", "a/b"], [""]),
    ("/", ["", "a", "a/b"], []),
    ("/*", ["a", "a/b", ".a"], [""]),
    ("/a/*", ["a/b", "a/b/c"], ["a", "ab/c"]),
    ("/a/*.py", ["a/x.py", "a/.py", "a/.x.py", "a/x.py/below"], ["a/b/x.py", "a/x.pyc", "a/xpy"]),
    ("/a/?", ["a/b", "a/é", "a/\udce9", "a/\n"], ["a/bc", "a"]),
    ("/a/lib*.so.*", ["a/libx.so.1", "a/lib.so."], ["a/libx.so", "a/alibx.so.1"]),
    ("/a/*a*b*", ["a/ab", "a/xaxbx"], ["a/ba", "a/a/b"]),
    ("/a/*ab", ["a/ab", "a/aab", "a/abab"], ["a/aba", "a/b"]),
    ("/p/[0-9]", ["p/5"], ["p/a", "p/55", "p/"]),
    ("/p/[!0-9]x", ["p/ax"], ["p/5x"]),
    ("/p/[^0-9]", ["p/a"], ["p/5"]),
    ("/p/[]a-]", ["p/]", "p/a", "p/-"], ["p/b"]),
    ("/p/[[]*[*]", ["p/[x*"], ["p/[x", "p/x*"]),
    ("/p/[!a]", ["p/b"], ["p", "p/a"]),
    ("/p[!a]q", ["pbq"], ["p/q", "paq"]),
    ("/p[--0]q", ["p.q"], ["p/q"]),
    ("/p/[+--]", ["p/,"], ["p/x"]),
    ("/p/a.b+(c)|d$", ["p/a.b+(c)|d$"], ["p/aXb+(c)|d$"]),
    ("/\udce9*", ["\udce9x"], ["éx"]),
]


@pytest.mark.parametrize(("pattern", "covered", "others"), PATHS)
def test_paths(pattern: str, covered: list[str], others: list[str]) -> None:
    found = glob.parse(pattern)
    assert [path for path in covered if not found.covers(Path(path))] == []
    assert [path for path in others if found.covers(Path(path))] == []
    assert found.is_path
    assert not found.names(pattern)


@pytest.mark.parametrize(
    ("pattern", "named", "others"),
    [
        ("perl", ["perl"], ["perl-base", "libperl", "Perl"]),
        ("perl*", ["perl", "perl-base"], ["libperl5.36"]),
        ("lib*:i386", ["libc6:i386"], ["libc6", "libc6:amd64"]),
        ("python3.[0-9]?", ["python3.11"], ["python3.9", "python3x11"]),
        ("*", ["a"], []),
    ],
)
def test_packages(pattern: str, named: list[str], others: list[str]) -> None:
    found = glob.parse(pattern)
    assert [name for name in named if not found.names(name)] == []
    assert [name for name in others if found.names(name)] == []
    assert not found.is_path
    assert not found.covers(Path(pattern))


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("", "not a pattern: ''"),
        ("/a\0", r"not a pattern: '/a\x00'"),
        ("a/b", "a path pattern starts with '/': 'a/b'"),
        ("/a/", "not a plain path: '/a/'; write '/a'"),
        ("/a//b", "not a plain path: '/a//b'; write '/a/b'"),
        ("/a/../b", "not a plain path: '/a/../b'; write '/b'"),
        ("/./a", "not a plain path: '/./a'; write '/a'"),
        ("/a**", "'**' must stand alone between slashes: 'a**'"),
        ("a**", "'**' must stand alone between slashes: 'a**'"),
        ("/a/***", "'**' must stand alone between slashes: '***'"),
        ("/a[b", "'[' is never closed: 'a[b'; a bracket itself is '[[]'"),
        ("/a[]", "'[' is never closed: 'a[]'; a bracket itself is '[[]'"),
        ("/a[!]", "'[' is never closed: 'a[!]'; a bracket itself is '[[]'"),
        ("/a[/]b", "'[' is never closed: 'a['; a bracket itself is '[[]'"),
        ("[z-a]", "range z-a runs backwards: '[z-a]'"),
    ],
)
def test_refused(pattern: str, message: str) -> None:
    with pytest.raises(FormatError) as caught:
        glob.parse(pattern)
    assert str(caught.value) == message


PIECES = st.sampled_from(["a", "b", ".", "-", "*", "?", "[ab]", "[!a]", "[a-c.]", "[]]", "[!]-]"])
PATTERNS = (
    st.lists(PIECES, min_size=1, max_size=6)
    .map("".join)
    .filter(lambda text: "**" not in text and text not in (".", ".."))
)
NAMES = st.text("abc.-]", min_size=1, max_size=6)


@given(PATTERNS, NAMES)
@settings(max_examples=400, deadline=None)
@example("*a*?b", "acab")
def test_a_component_matches_as_fnmatch_does(pattern: str, name: str) -> None:
    expected = fnmatch.fnmatchcase(name, pattern)
    assert glob.parse(pattern).names(name) == expected
    assert glob.parse(f"/d/{pattern}").covers(Path(f"d/{name}")) == expected
    assert glob.parse(f"/d/{pattern}/e").covers(Path(f"d/{name}/e")) == expected
    assert glob.parse(f"/**/{pattern}/e").covers(Path(f"{name}/e")) == expected


TREE = [
    "a",
    "a/b",
    "a/b/a",
    "a/b/a/b",
    "a/c.py",
    "b",
    "b/a",
    "b/a/c.py",
    ".h",
    ".h/a",
    ".h/a/b",
    "ab",
    "ab/b",
]
COMPONENTS = st.lists(
    st.sampled_from(["a", "b", "*", "**", "?", "*.py", "[!a]", ".h", "a*"]), min_size=1, max_size=4
)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> FilePath:
    root = tmp_path_factory.mktemp("tree")
    for path in TREE:
        (root / path).mkdir(parents=True, exist_ok=True)
    subprocess.run(["git", "init", "-q", root], check=True)
    return root


@given(components=COMPONENTS)
@settings(max_examples=60, deadline=None)
def test_the_standard_library_finds_the_same_in_a_real_tree(
    components: list[str], tree: FilePath
) -> None:
    """`glob` matches whole paths, so what is below is added; its last `**` may be none."""
    last = ["*"] if components[-1] == "**" else []
    text = "/".join(components + last)
    found = stdlib_glob.glob(text, root_dir=tree, recursive=True, include_hidden=True)
    tops = tuple(f"{path.rstrip('/')}/" for path in found)
    expected = {path for path in TREE if f"{path}/".startswith(tops)}
    pattern = glob.parse("/" + "/".join(components))
    assert {path for path in TREE if pattern.covers(Path(path))} == expected


ASKED = sorted({path for _, covered, others in PATHS for path in covered + others})


@pytest.mark.parametrize("pattern", [row[0] for row in PATHS if row[0].isascii() and row[0] != "/"])
def test_git_ignores_the_same(pattern: str, tree: FilePath) -> None:
    """An anchored line of .gitignore covers what a pattern covers."""
    paths = [path for path in ASKED if path.isascii() and path and not path.endswith("/")]
    file = tree / ".ignore"
    file.write_text(f"{pattern}\n")
    done = subprocess.run(
        ["git", "-c", f"core.excludesFile={file}", "check-ignore", "--no-index", "--stdin", "-z"],
        cwd=tree,
        input="\0".join(paths),
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    matched = glob.parse(pattern)
    expected = [path for path in paths if matched.covers(Path(path))]
    assert done.stdout.split("\0")[:-1] == expected


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("/" + "*a" * 60 + "*b", "a" * 4000),
        ("/" + "**/a/" * 60 + "b", "a/" * 2000 + "c"),
        ("/" + "**/*a*a*a/" * 20 + "b", "aaaaaa/" * 500 + "c"),
        ("/" + "[!b]*" * 60 + "b", "a" * 4000),
    ],
)
def test_no_pattern_is_slow(pattern: str, path: str) -> None:
    """A backtracking matcher would not return in a lifetime; the suite's timeout is the judge."""
    assert not glob.parse(pattern).covers(Path(path))
