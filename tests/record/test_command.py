"""Which command lines take a shell."""

from __future__ import annotations

import pytest

from careen.record.command import plain

ROWS = {
    "python3 -m test -j2": ("python3", "-m", "test", "-j2"),
    "a\tb  c": ("a", "b", "c"),
    "python3 -c 'import a; print(\"b\")'": ("python3", "-c", 'import a; print("b")'),
    "test -i \"*fds*\" -x it's so'": ("test", "-i", "*fds*", "-x", "its so"),
    "": (),
    "a; b": (),
    "a\nb": (),
    "a *.py": (),
    "A=b c": (),
    "a $b": (),
    'a "$b"': (),
    'a "b\\n"': (),
    "a 'b": (),
    "\"a'$b\" 'c'": (),
    "a \\'b'c'": (),
}


@pytest.mark.parametrize("command", ROWS)
def test_a_shell_is_for_what_is_special_outside_of_quotes(command: str) -> None:
    assert plain(command) == ROWS[command]
