"""Command lines that are wrong: one line on stderr, nothing on stdout, the contract's code."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from careen.cli import app

COMMANDS = ("inspect", "squash", "plan", "explain", "harden", "repair", "verify", "diff", "profile")

RUNNING = (
    "profile record oci:a:1 --scenario x",
    "repair oci:a:1 -p good.yaml --test true",
)
ASKED = [
    # of every command that runs an image; podman refuses the same
    ("--volume /a", 2, "--volume: host:image[:ro], not '/a'"),
    ("--volume /a:", 2, "--volume: host:image[:ro], not '/a:'"),
    ("--volume :/a", 2, "--volume: host:image[:ro], not ':/a'"),
    ("--volume /a:b", 2, "--volume: an absolute path below /, not 'b'"),
    ("--volume /a:/b/..", 2, "--volume: an absolute path below /, not '/b/..'"),
    ("--volume /a:/b:exec", 2, "--volume: ro or rw, not 'exec'"),
    ("--volume /a:/b:ro:rw", 2, "--volume: ro or rw, not 'ro:rw'"),
    ("--volume data:/b", 2, "--volume: 'data' is no path"),
    ("--workdir app", 2, "--workdir: an absolute path, not 'app'"),
    ("--user :", 2, "--user: user[:group], not ':'"),
    ("--user :daemon", 2, "--user: user[:group]"),
    ("--env =x", 2, "--env: name or name=value, not '=x'"),
    ("--env-file missing", 4, "missing: no such file"),
    ("--env-file folder", 4, "folder: cannot be read"),
    ("--env-file odd.env", 2, "odd.env: line 3: name or name=value, not '=c'"),
    ("--entrypoint 'x", 2, '--entrypoint: "\'x": no closing quotation'),
    ("--ready-cmd 'x", 2, '--ready-cmd: "\'x": no closing quotation'),
    ("--ready-cmd no-such-program", 4, "--ready-cmd: this host has no such program"),
    ("--ready-port 0", 2, "--ready-port: a port from 1 to 65535"),
    ("--ready-timeout 0", 2, "--ready-timeout: a number of seconds"),
    ("--timeout nan", 2, "--timeout: a number of seconds"),
    ("--settle -1", 2, "--settle: a number of seconds"),
    ("--network bridge", 2, "private or host"),
    ("--runner docker", 2, "auto, bubblewrap, chroot or none"),
]
WRONG = [
    # command line, exit code, what the line says
    ("", 2, "missing command"),
    ("hardn", 2, "did you mean 'harden'"),
    ("harden", 2, "missing argument 'src'"),
    ("harden oci:a:1", 2, "missing argument 'dst'"),
    ("harden oci:a:1 oci:b:1 --profil x", 2, "or --profile?"),
    ("harden oci:a:1 oci:b:1 --evidence x", 2, "no such option: --evidence"),
    ("harden oci:a:1 oci:b:1 extra", 2, "unexpected extra argument"),
    ("harden oci:a:1 oci:b:1", 2, "--profile or --plan: one of them is needed"),
    ("harden oci:a:1 oci:b:1 --plan p --profile q", 2, "not both"),
    ("harden oci:a:1 oci:b:1 --plan p --policy strict", 2, "--policy: a plan was drawn"),
    ("harden oci:a:1 oci:b:1 --profile x --policy lax", 2, "conservative, standard or strict"),
    ("harden oci:a:1 oci:b:1 --profile x --shells some", 2, "auto, keep or remove"),
    (
        "plan oci:a:1 --profile x --keep usr/bin",
        2,
        "--keep: a path pattern starts with '/': 'usr/b",
    ),
    ("plan oci:a:1 --profile x --drop [a", 2, "--drop: '[' is never closed: '[a'; a bracket itse"),
    ("harden oci:a:1 oci:b:1 --profile x --keep /a//b", 2, "'/a//b'; write '/a/b'"),
    ("explain oci:a:1 x --profile x --keep a**", 2, "stand alone between slashes: 'a**'"),
    ("repair oci:a:1 --profile x --test y --drop [z-a]", 2, "range z-a runs backwards: '[z-a]'"),
    ("plan good.yaml oci:a:1", 2, "extra argument(s) (oci:a:1); write --profile good.yaml"),
    ("plan good.yaml --profile oci:a:1", 2, "a file here, not an image; write --profile good.yaml"),
    ("plan oci:a:1 --profile oci:b:1", 2, "'oci:b:1': an image, and a file is asked for here"),
    ("harden oci:a:1 good.yaml --profile x", 2, "not an image; write --profile good.yaml"),
    ("harden good.yaml oci:a:1 oci:b:1", 2, "write --profile good.yaml"),
    ("harden oci:a:1 oci:b:1 plan.json", 2, "write --plan plan.json"),
    ("harden oci:a:1 oci:b:1 --plan oci:c:1", 2, "'oci:c:1': an image, and a file"),
    (
        "verify plan.json --source oci:a:1",
        2,
        "'plan.json': a file here, not an image; write --plan",
    ),
    ("verify oci:a:1 --source good.yaml", 2, "'good.yaml': a file here, not an image"),
    (
        "explain oci:a:1 --log nope --profile good.yaml",
        4,
        "nope: no such file; name the failing test",
    ),
    ("profile check oci:a:1 good.yaml", 2, "'oci:a:1': an image, and a file is asked for here"),
    ("harden oci:a:1 oci:b --profile x", 2, "--debug-tag tag or --no-debug"),
    ("harden oci:a:1 oci:b:1 --profile x --debug-tag 1", 2, "choose another"),
    ("harden oci:a:1 oci:b:1 --profile x --debug-tag 2 --no-debug", 2, "not both"),
    ("harden oci:a:1 r.example/b@sha256:aa --profile x", 2, "r.example/b@sha256:aa"),
    ("harden oci:a:1 oci:b:1 --profile x --compression gzip:9", 2, "zstd:level"),
    ("harden oci:a:1 oci:b:1 --profile x --source-date-epoch -1", 2, "seconds since 1970"),
    ("harden oci:a:1 oci:b:1 --profile missing.yaml", 4, "missing.yaml: no such file"),
    ("harden oci:a:1 oci:b:1 --plan missing.json", 4, "missing.json: no such file"),
    ("harden oci:a:1 oci:b:1 --profile folder", 4, "folder: cannot be read"),
    ("harden oci:a:1 oci:b:1 --profile odd.yaml", 4, "odd.yaml"),
    ("harden oci:a:1 oci:b:1 --plan odd.yaml", 4, "odd.yaml"),
    ("harden oci:a:1 oci:b:1 --profile good.yaml --digest-file no/such", 1, "no/such: cannot"),
    ("harden oci:a:1 oci:b:1 --profile good.yaml", 4, "not an oci layout"),
    ("squash oci:a:1 oci:b:1 --profile x", 2, "no such option: --profile"),
    ("squash oci:a:1 oci:b:1 --manifest-format docker", 2, "keep or oci"),
    ("plan oci:a:1", 2, "--profile file: missing"),
    ("plan oci:a:1 --profile missing.yaml", 4, "missing.yaml"),
    ("inspect ./app", 2, "oci:dir"),
    ("inspect oci:missing", 4, "missing"),
    ("inspect oci:a --platform linux", 2, "os/arch"),
    ("inspect oci:a --format yaml", 2, "table or json"),
    ("inspect oci:a --color blue", 2, "auto, always or never"),
    ("inspect oci:a --jobs 0", 2, "at least 1"),
    ("inspect oci:a --jobs many", 2, "--jobs"),
    ("inspect oci:a --tls-verify=maybe", 2, "true or false"),
    ("inspect oci:a --dest-creds a:b", 2, "no such option: --dest-creds"),
    ("inspect r.example/a --src-creds me", 2, "--password-stdin"),
    ("inspect r.example/a --password-stdin", 2, "add --src-creds user"),
    ("inspect r.example/a --src-creds me --password-stdin", 2, "no password on stdin"),
    ("inspect r.example/a --offline", 2, "--offline"),
    ("squash a.example/a b.example/b --src-creds u --dest-creds u --password-stdin", 2, "two reg"),
    ("verify oci:a:1 --plan p", 2, "needs --source"),
    ("verify a.example/a --source b.example/b --src-creds u:p", 2, "one login"),
    *((f"{command} {words}", code, says) for command in RUNNING for words, code, says in ASKED),
    ("repair oci:a:1 -p good.yaml", 2, "--test or --test-inside"),
    ("repair oci:a:1 -p good.yaml --test x --test-inside y", 2, "one of them"),
    ("repair oci:a:1 -p good.yaml --test no-such-program", 4, "this host has no such program"),
    (
        "repair oci:a:1 -p good.yaml --test-inside x --ready-port 1",
        2,
        "in place of the application",
    ),
    ("repair oci:a:1 -p good.yaml --test-inside x --settle 1", 2, "in place of the application"),
    ("repair oci:a:1 -p good.yaml --test-inside x --runner none", 2, "a test must run"),
    ("profile record oci:a:1", 2, "--scenario name: missing"),
    ("profile record oci:a:1 --scenario x --exercise no-such-program", 4, "no such program"),
    ("profile record oci:a:1 --scenario x --exec 'y", 2, '--exec: "\'y": no closing quotation'),
    ("diff oci:a:1", 2, "missing argument 'b'"),
    ("diff oci:missing:1 oci:a:1", 4, "missing"),
    ("diff a.example/a b.example/b --src-creds u:p", 2, "one login"),
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a profile, one that is none, and a folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin", None)
    (tmp_path / "folder").mkdir()
    (tmp_path / "odd.yaml").write_text("schema: other/v1\n")
    (tmp_path / "plan.json").write_text("{}")
    (tmp_path / "odd.env").write_text("A=1\n  # no\n=c\n")
    (tmp_path / "good.yaml").write_text(
        "schema: careen.profile/v1\nscenarios:\n  - name: a\n    executed: [/bin/a]\n"
    )
    return tmp_path


@pytest.mark.parametrize(("line", "code", "says"), WRONG, ids=[row[0] or "-" for row in WRONG])
def test_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str], line: str, code: int, says: str
) -> None:
    before = sorted(folder.rglob("*"))
    assert app.main(line.split()) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("careen: ")
    assert err.count("\n") == 1
    assert says in err.lower()
    assert sorted(folder.rglob("*")) == before


def test_control_characters_in_arguments_stay_on_the_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert app.main(["inspect", "--a\nb\x1b[31m"]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "\x1b" not in err


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example(capsys: pytest.CaptureFixture[str], command: str) -> None:
    assert app.main([command, "--help"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    form = "COMMAND [OPTIONS]" if command == "profile" else "[OPTIONS]"
    assert f"Usage: careen {command} {form}" in out
    assert f"  careen {command} " in out.partition("Examples:")[2]
    assert "NODEFAULT" not in out


def test_help_lists_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert app.main(["-h"]) == 0
    out = capsys.readouterr().out
    listed = out.partition("Commands:\n")[2].partition("\n\n")[0]
    assert tuple(line.split()[0] for line in listed.splitlines()) == COMMANDS
    assert "..." not in listed


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert app.main(["--version"]) == 0
    assert capsys.readouterr().out == "careen 0.1.0\n"


def test_python_runs_it_as_a_module() -> None:
    for arguments, code, out in ((["--version"], 0, "careen 0.1.0\n"), (["harden"], 2, "")):
        command = [sys.executable, "-m", "careen", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (code, out)


def test_help_loads_nothing_heavy() -> None:
    """What costs start-up time is imported when a command runs."""
    heavy = ("careen.workflow", "debian", "oras", "pydantic", "requests", "rich", "yaml")
    code = (
        "import sys; from careen.cli import app; app.main(['--help']);"
        f"sys.exit(' '.join(name for name in {heavy} if name in sys.modules) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_debug_errors_prints_a_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert app.main(["inspect", "oci:/no/such", "--debug-errors"]) == 4
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("Traceback")
    assert lines[-1].startswith("careen: ")


def test_as_a_process(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import sys; from careen.cli.app import main; sys.exit(main())",
         "inspect", "oci:missing"],
        cwd=tmp_path, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr.count("\n") == 1
