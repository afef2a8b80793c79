"""`careen profile`: each command by its files, its output and its exit code."""

from __future__ import annotations

import io
import json
import stat
import sys
from pathlib import Path
from typing import Any

import pytest

from careen.cli import app
from careen.profile import profile as profiles
from tests.builders import Lnk, Reg, image_layout, tar_layer
from tests.profile.importers import test_inspektor_gadget, test_kubescape

LOG = "/usr/bin/app\n/lib/libz.so.1\nnot a path\n"
NODES = [
    Reg("usr/bin/app", b"\x7fELF", mode=0o755),
    Reg("usr/lib/libz.so.1.3"),
    Lnk("usr/lib/libz.so.1", "libz.so.1.3"),
    Lnk("lib", "usr/lib"),
    Reg("etc/app.conf"),
]
KEPT = """\
schema: careen.profile/v1
scenarios:
  - name: other
    opened:
      - /etc/other
keep:
  packages:
    - tzdata
  paths: []
  why:
    tzdata: people said so
drop:
  packages: []
  paths:
    - /srv/old
"""


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("log").write_text(LOG)
    Path("kept.yaml").write_text(KEPT)
    image_layout(
        tmp_path / "image", [tar_layer(NODES)], tag="1", config={"Entrypoint": ["/usr/bin/app"]}
    )
    return tmp_path


def careen(line: str) -> int:
    return app.main(line.split())


def loaded(name: str) -> profiles.Profile:
    return profiles.load(Path(name).read_bytes(), place=name)


def test_without_a_file_the_profile_is_the_result(capsys: pytest.CaptureFixture[str]) -> None:
    assert careen("profile import paths log") == 0
    told = capsys.readouterr()
    (scenario,) = profiles.load(told.out.encode(), place="stdout").scenarios
    assert (scenario.name, scenario.tool) == ("paths log", "paths")
    assert scenario.opened == ("/lib/libz.so.1", "/usr/bin/app")
    assert told.err == (
        "careen: log: 1 of 3 lines were not read; the first is line 3: "
        "not an absolute path: 'not a path'\n"
    )


def test_in_an_image_links_are_resolved_and_the_digest_binds(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with Path("log").open("a") as log:
        log.write("/srv/elsewhere\n")
    line = "profile import paths log --image oci:image:1 --scenario load --revision 3f2c1d9"
    assert careen(f"{line} --recorded 2026-11-23T10:00:00Z -o p.yaml --format json") == 0
    result = json.loads(capsys.readouterr().out)
    (scenario,) = loaded("p.yaml").scenarios
    assert scenario.opened == ("/usr/bin/app", "/usr/lib/libz.so.1.3")
    assert scenario.links == {"/lib": "/usr/lib", "/usr/lib/libz.so.1": "/usr/lib/libz.so.1.3"}
    digest = json.loads(Path("image/index.json").read_text())["manifests"][0]["digest"]
    assert scenario.image == profiles.Image(
        name="oci:image:1", digest=digest, platform="linux/amd64"
    )
    assert (scenario.revision, scenario.recorded) == ("3f2c1d9", "2026-11-23T10:00:00Z")
    assert result["digest"] == profiles.digest(loaded("p.yaml"))
    assert (result["scenario"]["opened"], result["scenario"]["links"]) == (2, 2)
    sample = {"line": 3, "problem": "not an absolute path: 'not a path'"}
    (read,) = result["logs"]
    counts = [read[name] for name in ("lines", "events", "relative", "absent", "unread")]
    assert counts == [4, 3, 0, 1, 1]
    assert (read["log"], read["samples"]) == ("log", [sample])


def test_what_is_there_stays_and_a_second_import_replaces(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("kept.yaml").chmod(0o640)
    Path("link.yaml").symlink_to("kept.yaml")
    assert careen("profile import paths log --scenario load -o link.yaml") == 0
    Path("log").write_text("/etc/hosts\n")
    assert careen("profile import paths log --scenario load -o link.yaml") == 0
    after = loaded("kept.yaml")
    assert [(s.name, s.opened) for s in after.scenarios] == [
        ("load", ("/etc/hosts",)),
        ("other", ("/etc/other",)),
    ]
    before = profiles.load(KEPT.encode(), place="")
    assert (after.keep, after.drop) == (before.keep, before.drop)
    assert Path("link.yaml").is_symlink()
    assert stat.S_IMODE(Path("kept.yaml").stat().st_mode) == 0o640
    assert sorted(path.name for path in Path().iterdir()) == [
        "image", "kept.yaml", "link.yaml", "log",
    ]  # fmt: skip
    assert "executed  opened" in capsys.readouterr().out


def test_stdin_and_folded_paths(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = io.TextIOWrapper(io.BytesIO(test_kubescape.YAML.encode()))
    monkeypatch.setattr(sys, "stdin", raw)
    assert careen("profile import kubescape - --container app -o kept.yaml") == 0
    keep = loaded("kept.yaml").keep
    assert keep.paths == ("/usr/lib/python3/*/__init__.py", "/usr/share/zoneinfo/**")
    assert keep.why["/usr/share/zoneinfo/**"] == "kubescape kubescape"
    assert keep.why["tzdata"] == "people said so"
    assert "not a plain absolute path: 'relative'" in capsys.readouterr().out


def test_several_logs_are_one_run_and_doubts_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    Path("a.json").write_bytes(test_inspektor_gadget.NEW)
    Path("b.json").write_bytes(test_inspektor_gadget.OLD)
    line = "profile import inspektor-gadget a.json b.json --image oci:image:1 -o p.yaml"
    assert careen(f"{line} --format json") == 0
    result = json.loads(capsys.readouterr().out)
    assert [log["events"] for log in result["logs"]] == [6, 3]
    assert [finding["rule"] for finding in result["findings"]] == [
        "profile-several-containers",
        "profile-other-image",
        "profile-path-gone",
    ]
    assert careen("profile import inspektor-gadget a.json --container app") == 0
    assert 'name: "registry.example/app:1@sha256:' in capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "code", "problem"),
    [
        ("import slum log", 2, "FORMAT: no such choice: 'slum'; choose strace, slim"),
        ("import paths nowhere", 4, "nowhere: no such file"),
        ("import paths .", 4, ".: cannot be read: Is a directory"),
        ("import paths log --container x", 2, "--container: this format does not tell of it"),
        ("import fatrace log --filter-image x", 2, "it has --process"),
        ("import fatrace log", 4, "log: nothing could be read: line 1: not an event"),
        ("import slim log", 4, "log: not JSON"),
        ("import paths log --recorded yesterday", 2, "--recorded: not a time such as"),
        ("import paths log -o nowhere/p.yaml", 1, "nowhere/p.yaml: cannot be written"),
        ("import paths log -o log", 4, "log: "),
        ("import paths log --image oci:nowhere:1", 4, "nowhere"),
        ("import", 2, "missing argument"),
        ("show nowhere", 4, "nowhere: no such file"),
        ("merge kept.yaml log", 4, "log: "),
        ("export slim kept.yaml", 2, "FORMAT: no such choice: 'slim'; choose runtime-trace"),
        ("export runtime-trace kept.yaml", 4, "no scenario says which image it ran"),
        (
            "export runtime-trace kept.yaml --scenario x",
            4,
            "no such scenario: 'x'; there are other",
        ),
        ("check kept.yaml oci:image:1 --max-gone 101", 2, "--max-gone: 0 to 100"),
        ("check kept.yaml oci:image:1 --max-gone nan", 2, "--max-gone: 0 to 100"),
        ("check kept.yaml oci:image:1 --max-age -1", 2, "--max-age: 0 to"),
        ("nope", 2, "no such command"),
    ],
)
def test_what_is_wrong_is_one_line(
    line: str, code: int, problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert careen(f"profile {line} -q" if " " in line else f"profile {line}") == code
    told = capsys.readouterr()
    assert problem in told.err
    assert told.err.count("\n") == 1
    assert not told.out
    assert Path("kept.yaml").read_text() == KEPT


def test_merge(capsys: pytest.CaptureFixture[str]) -> None:
    assert careen("profile import paths log --image oci:image:1 -o p.yaml") == 0
    capsys.readouterr()
    assert careen("profile merge p.yaml kept.yaml") == 0
    merged = profiles.load(capsys.readouterr().out.encode(), place="stdout")
    assert merged == profiles.merge([loaded("p.yaml"), loaded("kept.yaml")])
    assert careen("profile merge kept.yaml p.yaml -o kept.yaml --format json") == 0
    assert loaded("kept.yaml") == merged
    assert json.loads(capsys.readouterr().out)["digest"] == profiles.digest(merged)


def test_show(capsys: pytest.CaptureFixture[str]) -> None:
    assert careen("profile show kept.yaml") == 0
    table = capsys.readouterr().out
    for words in ("Scenarios: 1", "tzdata  people said so", "/etc/other  opened in other"):
        assert words in table
    assert careen("profile show kept.yaml --format json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["paths"] == [
        {"path": "/etc/other", "seen": [{"scenario": "other", "how": "opened"}]}
    ]
    assert told["keep"]["packages"] == ["tzdata"]
    assert told["scenarios"][0]["opened"] == 1


def test_check(capsys: pytest.CaptureFixture[str]) -> None:
    assert careen("profile import paths log --image oci:image:1 -o p.yaml") == 0
    assert careen("profile check p.yaml oci:image:1 -q") == 0
    assert "verdict  fresh" in capsys.readouterr().out
    assert careen("profile check kept.yaml oci:image:1 -q --format json") == 3
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert told["stale"] is True
    assert [gone["path"] for gone in told["gone"]] == ["/etc/other"]
    assert [finding["rule"] for finding in told["findings"]] == ["profile-path-gone"]
    assert careen("profile check kept.yaml oci:image:1 -q -v --max-gone 100") == 0
    assert careen("profile check p.yaml oci:image:1 -q --revision x") == 3
    assert careen("profile check p.yaml oci:image:1 -q --max-age 3") == 3
    assert "does not say when it was recorded" in capsys.readouterr().out


def test_the_schema_is_the_published_one(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    assert careen("profile schema") == 0
    published = Path(__file__).parents[2] / "docs" / "careen.profile.v1.schema.json"
    assert capsysbinary.readouterr().out == published.read_bytes()


def test_the_group_alone_shows_its_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert careen("profile") == 0
    alone = capsys.readouterr().out
    assert careen("profile --help") == 0
    assert capsys.readouterr().out == alone
    for command in ("import", "merge", "show", "check", "export", "schema"):
        assert f"\n  {command} " in alone
        assert careen(f"profile {command} --help") == 0
        assert f"careen profile {command}" in capsys.readouterr().out


def test_options_are_variables_too(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAREEN_SCENARIO", "by variable")
    assert careen("profile import paths log") == 0
    assert "name: by variable" in capsys.readouterr().out
