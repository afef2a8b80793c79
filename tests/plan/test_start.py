"""Which programs a config starts: one row a config."""

from __future__ import annotations

import pytest

from careen.oci.config import Execution
from careen.plan import start


def found(execution: Execution, *, is_script: bool = False) -> list[str]:
    return [f"{word.field}:{word.text}" for word in start.words(execution, is_script=is_script)]


@pytest.mark.parametrize(
    ("execution", "words"),
    [
        (Execution(), []),
        (Execution(command=("redis-server", "--port", "1")), ["Cmd:redis-server"]),
        (Execution(entrypoint=("nginx",), command=("sh", "-c", "x")), ["Entrypoint:nginx"]),
        (
            Execution(entrypoint=("/usr/bin/tini", "--", "app", "x"), command=("arg",)),
            ["Entrypoint:/usr/bin/tini", "Entrypoint:app", "Cmd:arg"],
        ),
        (
            Execution(entrypoint=("tini", "-g", "--"), command=("app", "arg")),
            ["Entrypoint:tini", "Cmd:app"],
        ),
        (
            Execution(entrypoint=("gosu", "redis", "redis-server")),
            ["Entrypoint:gosu", "Entrypoint:redis-server"],
        ),
        (
            Execution(command=("env", "A=b", "-u", "C", "app")),
            ["Cmd:env", "Cmd:app"],
        ),
        (
            Execution(entrypoint=("/bin/sh", "-c", "exec redis-server --port 1")),
            ["Entrypoint:/bin/sh", "Entrypoint:redis-server"],
        ),
        (
            Execution(command=("/bin/sh", "-ec", "A=1 one x && two; (three) | four &\nfive")),
            [f"Cmd:{word}" for word in ("/bin/sh", "one", "two", "three", "four", "five")],
        ),
        (
            Execution(command=("bash", "-c", "if true; then a; else b; fi; $C d; 'quoted e' f")),
            [f"Cmd:{word}" for word in ("bash", "a", "b", "quoted e")],
        ),
        (Execution(command=("sh", "-c", "unclosed 'quote")), ["Cmd:sh", "Cmd:unclosed"]),
        (Execution(command=("sh", "/start.sh", "x")), ["Cmd:sh", "Cmd:/start.sh"]),
        (
            Execution(command=("a",), healthcheck=("CMD", "curl", "-f", "x")),
            ["Cmd:a", "Healthcheck:curl"],
        ),
        (
            Execution(command=("a",), healthcheck=("CMD-SHELL", "curl x || exit 1")),
            ["Cmd:a", "Healthcheck:/bin/sh", "Healthcheck:curl"],
        ),
        (
            Execution(command=("a",), healthcheck=("CMD-SHELL", "b"), shell=("/bin/bash", "-c")),
            ["Cmd:a", "Healthcheck:/bin/bash", "Healthcheck:b"],
        ),
        (Execution(command=("a",), healthcheck=("NONE",)), ["Cmd:a"]),
    ],
)
def test_words(execution: Execution, words: list[str]) -> None:
    assert found(execution) == words


def test_a_script_hands_over_to_cmd_and_a_program_does_not() -> None:
    execution = Execution(entrypoint=("/entry.sh",), command=("redis-server",))
    assert found(execution, is_script=True) == ["Entrypoint:/entry.sh", "Cmd:redis-server"]
    assert found(execution, is_script=False) == ["Entrypoint:/entry.sh"]
