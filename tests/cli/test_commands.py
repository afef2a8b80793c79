"""What each command hands to workflow, and what it prints of the answer."""

from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from careen import workflow
from careen.cli import app
from careen.plan.explain import Answer, Link
from careen.plan.plan import Options, Plan
from careen.profile.profile import Profile
from tests.cli.values import HARDENED, OUTCOME, PLAN, WRONG

PROFILE = "schema: careen.profile/v1\nscenarios:\n  - name: a\n    executed: [/bin/a]\n"


def careen(line: str) -> int:
    """One command line without quoting."""
    return app.main(line.split())


class Calls:
    """Stands in for workflow and keeps what it was told."""

    def __init__(self) -> None:
        self.arguments: tuple[Any, ...] = ()
        self.options: dict[str, Any] = {}
        self.answer: Any = None

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        self.arguments, self.options = arguments, options
        return self.answer


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Calls:
    """Every command of workflow is replaced by one recorder."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("CAREEN_")]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    (tmp_path / "a.yaml").write_text(PROFILE)
    (tmp_path / "b.yaml").write_text(
        PROFILE.replace("/bin/a", "/bin/b").replace("name: a", "name: b")
    )
    found = Calls()
    found.answer = OUTCOME
    for name in ("harden", "squash", "plan", "explain", "verify"):
        monkeypatch.setattr(workflow, name, found)
    return found


def test_harden_by_default(calls: Calls) -> None:
    assert careen("harden oci:app:1 r.example/app:2 --profile a.yaml") == 0
    source, target, settings = calls.arguments
    assert str(source) == "oci:app:1"
    assert str(target.destination) == "docker://r.example/app:2"
    assert target.debug_tag == "2-debug"
    assert target.encoding.codec == "gzip"
    assert (target.oci_manifest, target.dry_run, target.source_date_epoch) == (False, False, None)
    assert settings.jobs >= 1
    assert settings.source.tls_verify is settings.destination.tls_verify is True
    assert settings.source.credentials is settings.destination.credentials is None
    assert calls.options["options"] == Options()
    assert calls.options["require_fresh"] is False
    assert isinstance(calls.options["decide"], Profile)


def test_harden_with_everything(calls: Calls) -> None:
    line = (
        "harden a.example/app:1 b.example/app:2 -p a.yaml --profile b.yaml --policy strict "
        "--shells remove --granularity file --keep curl --keep /etc/** --drop nano --force "
        "--require-fresh "
        "--debug-tag why --compression zstd:9 --manifest-format oci --source-name app "
        "--source-date-epoch 1700000000 --platform linux/arm64/v8 --dry-run --jobs 3 "
        "--cache cache --authfile auth.json --src-creds u:p:q --dest-creds v:w "
        "--src-tls-verify=false --offline --allow-http-auth"
    )
    assert careen(line) == 0
    _, target, settings = calls.arguments
    assert calls.options["options"] == Options(
        policy="strict",
        shells="remove",
        granularity="file",
        keep=("curl", "/etc/**"),
        drop=("nano",),
        force=True,
    )
    assert calls.options["require_fresh"] is True
    assert [scenario.name for scenario in calls.options["decide"].scenarios] == ["a", "b"]
    assert (target.debug_tag, target.encoding.level) == ("why", 9)
    assert (target.oci_manifest, target.source_name) == (True, "app")
    assert (target.source_date_epoch, target.dry_run) == (1700000000, True)
    assert (settings.jobs, settings.cache) == (3, Path("cache"))
    assert str(settings.platform) == "linux/arm64/v8"
    source, destination = settings.source, settings.destination
    assert (source.credentials.username, source.credentials.password) == ("u", "p:q")
    assert (destination.credentials.username, destination.credentials.password) == ("v", "w")
    assert (source.tls_verify, destination.tls_verify) == (False, True)
    for access in (source, destination):
        assert (access.offline, access.allow_http_auth) == (True, True)
        assert access.authfile == Path("auth.json")


def test_harden_by_a_plan(calls: Calls) -> None:
    Path("plan.json").write_bytes(PLAN.dump())
    assert careen("harden oci:a:1 oci:b:1 --plan plan.json --no-debug") == 0
    assert calls.options["decide"] == PLAN
    assert calls.arguments[1].debug_tag is None


ANSWERS = (
    Answer(
        what="libssl3",
        kind="package",
        decision="partial",
        chain=(
            Link(what="/usr/bin/app", rule="profile", why="executed in run"),
            Link(what="package libssl3", rule="owner", why="libssl3 owns /usr/lib/libssl.so.3"),
        ),
        version="3.0.1",
        files=9,
        bytes=5_900_000,
        dropped=6,
        loaded_by=tuple(f"/bin/a{i}" for i in range(7)),
    ),
    Answer(
        what="/usr/bin/\x1b[31mperl",
        kind="path",
        decision="goes",
        reason="its package perl goes",
        package=("perl",),
        bytes=3_800_000,
    ),
)
EXPLAINED = """\

libssl3  stays on record, 6 of 9 files go
  package 3.0.1, 9 files, 5.9 MB
    /usr/bin/app       executed in run
  → package libssl3    libssl3 owns /usr/lib/libssl.so.3
  loaded by /bin/a0, /bin/a1, /bin/a2, /bin/a3, /bin/a4 and 2 more; -v shows them

/usr/bin/\\x1b[31mperl  goes
  of perl, 3.8 MB
  its package perl goes
  to keep it: --keep /usr/bin/\\x1b[31mperl, or the same under `keep` in the profile
"""


def test_explain(calls: Calls, capsys: pytest.CaptureFixture[str]) -> None:
    calls.answer = ANSWERS
    assert careen("explain oci:a:1 libssl3 /usr/bin/perl -p a.yaml --policy strict") == 0
    _, asked, profile, options, _ = calls.arguments
    assert asked == ["libssl3", "/usr/bin/perl"]
    assert [scenario.name for scenario in profile.scenarios] == ["a"]
    assert options == Options(policy="strict")
    printed = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert [" ".join(line.split()) for line in printed] == [
        " ".join(line.split()) for line in EXPLAINED.splitlines()
    ]


def test_explain_as_json(calls: Calls, capsys: pytest.CaptureFixture[str]) -> None:
    calls.answer = ANSWERS
    assert careen("explain oci:a:1 x -p a.yaml --format json") == 0
    said = json.loads(capsys.readouterr().out)
    assert said["image"] == "oci:a:1"
    assert said["answers"] == json.loads(msgspec.json.encode(ANSWERS))


def test_explain_needs_a_profile_and_a_question(
    calls: Calls, capsys: pytest.CaptureFixture[str]
) -> None:
    assert careen("explain oci:a:1 libssl3") == 2
    assert careen("explain oci:a:1 -p a.yaml") == 2
    missing_profile, missing_what = capsys.readouterr().err.splitlines()
    assert "--profile FILE" in missing_profile
    assert "WHAT" in missing_what


def test_squash_makes_no_counterpart(calls: Calls) -> None:
    assert careen("squash oci:a:1 oci:b --compression gzip:portable") == 0
    target = calls.arguments[1]
    assert (target.debug_tag, target.encoding.encoder) == (None, "zlib-ng")


TLS = [
    # options, source is checked, destination is checked
    ("", True, True),
    ("--tls-verify", True, True),
    ("--tls-verify=true", True, True),
    ("--tls-verify=false", False, False),
    ("--tls-verify=0", False, False),
    ("--no-tls-verify", False, False),
    ("--dest-tls-verify=false", True, False),
    ("--no-src-tls-verify", False, True),
    ("--no-tls-verify --dest-tls-verify", False, True),
]


@pytest.mark.parametrize(("options", "source", "destination"), TLS)
def test_tls_verify(calls: Calls, options: str, source: bool, destination: bool) -> None:
    assert app.main(["squash", "a.example/a", "b.example/b", *options.split()]) == 0
    settings = calls.arguments[2]
    assert (settings.source.tls_verify, settings.destination.tls_verify) == (source, destination)


def test_password_from_stdin_is_for_one_registry(
    calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("secret:word \r\nmore\n"))
    line = "squash a.example/a b.example/b --src-creds me --dest-creds v:w --password-stdin"
    assert careen(line) == 0
    settings = calls.arguments[2]
    assert settings.source.credentials.password == "secret:word "
    assert settings.destination.credentials.password == "w"


def test_environment(calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "CAREEN_PROFILE": "a.yaml b.yaml",
        "CAREEN_POLICY": "strict",
        "CAREEN_KEEP": "tzdata  /usr/share/zoneinfo/**\n[ab]",
        "CAREEN_DROP": "perl",
        "CAREEN_NO_DEBUG": "1",
        "CAREEN_TLS_VERIFY": "false",
        "CAREEN_SRC_CREDS": "u:p",
        "CAREEN_JOBS": "5",
        "SOURCE_DATE_EPOCH": "1600000000",
    }.items():
        monkeypatch.setenv(name, value)
    assert careen("harden oci:a:1 oci:b:1 --policy conservative") == 0
    _, target, settings = calls.arguments
    assert [scenario.name for scenario in calls.options["decide"].scenarios] == ["a", "b"]
    assert calls.options["options"].policy == "conservative"  # the command line goes first
    assert calls.options["options"].keep == ("tzdata", "/usr/share/zoneinfo/**", "[ab]")
    assert calls.options["options"].drop == ("perl",)
    assert (target.debug_tag, target.source_date_epoch) == (None, 1600000000)
    assert (settings.jobs, settings.source.tls_verify) == (5, False)
    assert settings.source.credentials.username == "u"
    assert settings.source.environ["CAREEN_JOBS"] == "5"


def test_careens_own_variable_goes_before_the_common_one(
    calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAREEN_SOURCE_DATE_EPOCH", "2")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1")
    assert careen("squash oci:a:1 oci:b:1") == 0
    assert calls.arguments[1].source_date_epoch == 2


@pytest.mark.parametrize("option", ["--digest-file", "--digestfile"])
def test_digest_file(calls: Calls, option: str) -> None:
    assert app.main(["squash", "oci:a:1", "oci:b:1", option, "digest"]) == 0
    assert Path("digest").read_text() == HARDENED


def test_an_error_finding_is_exit_3_and_leaves_no_digest_file(
    calls: Calls, capsys: pytest.CaptureFixture[str]
) -> None:
    calls.answer = msgspec.structs.replace(OUTCOME, findings=(WRONG,), image=None, debug=None)
    line = "harden oci:a:1 oci:b:1 -p a.yaml --digest-file digest"
    assert careen(line) == 3
    assert not Path("digest").exists()
    assert "nothing was written: verification found 1 error" in capsys.readouterr().out


def test_harden_as_json(calls: Calls, capsys: pytest.CaptureFixture[str]) -> None:
    assert careen("harden oci:a:1 oci:b:1 -p a.yaml --format json") == 0
    out, err = capsys.readouterr()
    assert err == ""
    document = json.loads(out)
    assert list(document) == [
        "source", "image", "debug", "plan", "profile", "options", "totals", "packages", "paths",
        "findings",
    ]  # fmt: skip
    assert document["image"] == {
        "reference": "oci:hard:1", "digest": HARDENED, "size": 9_000_000, "layers": 1
    }  # fmt: skip
    assert document["source"]["platform"] == "linux/amd64"
    assert document["plan"] == PLAN.digest
    assert document["totals"]["packages"] == [16, 3]
    assert {item["decision"] for item in document["packages"]} == {"keep", "partial", "remove"}
    assert len(document["paths"]) == len(PLAN.paths)
    assert [item["rule"] for item in document["findings"]][-1] == "script-without-interpreter"


def test_plan_goes_to_a_file_and_to_stdout(
    calls: Calls, capsys: pytest.CaptureFixture[str]
) -> None:
    calls.answer = PLAN
    assert careen("plan oci:a:1 -p a.yaml -o plan.json --format json") == 0
    assert Plan.parse(Path("plan.json").read_bytes()) == PLAN
    assert capsys.readouterr().out.encode() == PLAN.dump() + b"\n"


def test_verify_hands_on_source_and_plan(calls: Calls, capsys: pytest.CaptureFixture[str]) -> None:
    calls.answer = ()
    Path("plan.json").write_bytes(PLAN.dump())
    line = "verify oci:b:1 --source oci:a:1 --plan plan.json --format json"
    assert careen(line) == 0
    assert str(calls.options["source"]) == "oci:a:1"
    assert calls.options["plan"] == PLAN
    assert json.loads(capsys.readouterr().out) == {
        "image": "oci:b:1", "errors": 0, "warnings": 0, "notes": 0, "findings": []
    }  # fmt: skip


@pytest.mark.parametrize("form", ["table", "json"])
def test_verify_with_an_error_is_exit_3(
    calls: Calls, capsys: pytest.CaptureFixture[str], form: str
) -> None:
    calls.answer = (WRONG,)
    assert app.main(["verify", "oci:b:1", "--format", form]) == 3
    out = capsys.readouterr().out
    assert "path-lost" in out
    assert "/etc/passwd" in out
