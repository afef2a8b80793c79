"""The tables: complete with -v, short without, safe whatever an image's names are."""

from __future__ import annotations

import json
import sys

import msgspec
import pytest

from careen.cli import console, report
from careen.cli.tables import bar
from careen.cli.units import count, size
from careen.finding import Finding
from careen.workflow import Outcome
from tests.cli.values import HARDENED, OUTCOME, PLAN, SOURCE, WRONG


def printed(
    capsys: pytest.CaptureFixture[str],
    *,
    outcome: Outcome = OUTCOME,
    every: bool = False,
    color: str = "never",
) -> str:
    console.print_table(*report.outcome_table(outcome, every=every), color=color)
    return capsys.readouterr().out


def section(text: str, title: str) -> list[str]:
    """The lines under a heading that starts with `title`."""
    lines = text.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(title))
    rest = lines[start + 1 :]
    return rest[: rest.index("")] if "" in rest else rest


def test_header_and_result(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys)
    assert f"digest    {SOURCE}" in text
    assert "policy    standard, shells auto" in text
    assert section(text, "Result") == [
        "image  oci:hard:1", f"       {HARDENED}", "debug  oci:hard:1-debug", f"       {SOURCE}"
    ]  # fmt: skip


def test_summary_has_before_after_and_change(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [line.split() for line in section(printed(capsys), "Summary")[1:]]
    assert [row[:-1] for row in rows] == [
        ["packages", "16", "3", "-81", "%"],
        ["shells", "2", "1", "-50", "%"],
        ["files", "1,200", "300", "-75", "%"],
        ["content", "60.0", "MB", "20.0", "MB", "-67", "%"],
        ["compressed", "25.0", "MB", "9.0", "MB", "-64", "%"],
        ["layers", "2", "1", "-50", "%"],
    ]


def test_packages_by_size_the_first_ten(capsys: pytest.CaptureFixture[str]) -> None:
    lines = section(printed(capsys), "Gone: 13 packages")
    assert lines[1].split()[0] == "apt"
    assert lines[-1].strip() == "… and 3 more; -v shows them"
    assert len(lines) == 12


def test_verbose_shows_every_row(capsys: pytest.CaptureFixture[str]) -> None:
    lines = section(printed(capsys, every=True), "Gone: 13 packages")
    assert {line.split()[0] for line in lines[1:]} == {
        "apt", *(f"unused{i:02}" for i in range(12))
    }  # fmt: skip


def test_what_stays_and_why(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys)
    kept = section(text, "Kept: 2 packages")
    assert kept[1].split()[0] == "libc6"
    assert kept[1].endswith("/lib/x86_64-linux-gnu/libc.so.6: opened in load")
    (_, partial) = section(text, "Partly gone, still on record: 1 package")
    assert partial.split()[:7] == ["perl-base", "3", "20", "7.0", "kB", "1.0", "MB"]


def test_shells_with_their_evidence(capsys: pytest.CaptureFixture[str]) -> None:
    lines = section(printed(capsys), "Shells: 1 gone, 1 kept")
    assert [line.split()[:2] for line in lines[1:]] == [["kept", "/bin/sh"], ["gone", "/bin/bash"]]
    assert lines[1].endswith("script /entry.sh")


def test_tools_are_counted_apart(capsys: pytest.CaptureFixture[str]) -> None:
    lines = section(printed(capsys), "Interactive tools")
    assert [line.split() for line in lines[1:]] == [
        ["package", "managers", "1", "0", "gone:", "apt"],
        ["interpreters", "0", "1", "kept:", "perl-base"],
        ["network", "tools", "0", "1", "kept:", "curl"],
    ]


def test_leftovers_by_rule(capsys: pytest.CaptureFixture[str]) -> None:
    lines = section(printed(capsys), "Left over by what is gone: 2 files, 2.0 kB")
    assert [line.split() for line in lines[1:]] == [
        ["2", "2.0", "kB", "bytecode", "of", "…,", "which", "goes"]
    ]
    listed = section(printed(capsys, every=True), "Left over")
    assert [line.split()[0] for line in listed[1:]] == [
        "/usr/lib/a/__pycache__/a.pyc", "/usr/lib/b/__pycache__/b.pyc"
    ]  # fmt: skip


def test_findings_errors_first(capsys: pytest.CaptureFixture[str]) -> None:
    wrong = msgspec.structs.replace(OUTCOME, findings=(*OUTCOME.findings, WRONG))
    lines = section(printed(capsys, outcome=wrong), "Findings")
    assert [line.split()[0] for line in lines[1:]] == ["error", "warning", "note"]


@pytest.mark.parametrize(("every", "shown"), [(False, 10), (True, 30)])
def test_of_every_rule_the_first_findings_and_how_many_more(
    capsys: pytest.CaptureFixture[str], every: bool, shown: int
) -> None:
    replace = msgspec.structs.replace
    found = [replace(WRONG, path=f"/etc/{i}") for i in range(30)]
    found += [replace(WRONG, rule=f"rule-{i}", path=f"/srv/{i}") for i in range(30)]
    console.print_table(*report.findings_table("oci:b", found, every=every), color="never")
    out = capsys.readouterr().out
    assert out.count(" /etc/") == shown
    assert out.count(" /srv/") == 30
    assert ("… and 20 more of this rule; -v shows them" in out) is not every
    assert "60 errors, 0 warnings, 0 notes" in out


MANY = Finding(
    rule="dangling-link",
    severity="note",
    path="/a",
    message="they lead nowhere",
    count=3,
    paths=("/a", "/b", "/c"),
)


@pytest.mark.parametrize(("every", "shown"), [(False, ["/a"]), (True, ["/a", "/b", "/c"])])
def test_paths_that_one_finding_stands_for(
    capsys: pytest.CaptureFixture[str], every: bool, shown: list[str]
) -> None:
    console.print_table(*report.findings_table("oci:b", [MANY], every=every), color="never")
    out = capsys.readouterr().out
    assert "they lead nowhere (3 in all)" in out
    lines = [line.split() for line in out.splitlines() if line.startswith("  ")]
    assert [word for line in lines for word in line if word in MANY.paths] == shown
    assert "0 errors, 0 warnings, 1 note" in out


def test_json_has_every_path_of_a_finding() -> None:
    (found,) = json.loads(report.findings_json("oci:b", [MANY]))["findings"]
    assert (found["count"], found["paths"]) == (3, ["/a", "/b", "/c"])


def test_names_from_an_image_cannot_move_the_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    item = msgspec.structs.replace(WRONG, path="/\x1b[31mred\n[bold]\udcff:smile:", message="[b]x")
    console.print_table(*report.findings_table("oci:b", [item], every=True), color="never")
    out = capsys.readouterr().out
    assert r"/\x1b[31mred\n[bold]\xff:smile:" in out
    assert "[b]x" in out
    assert "\x1b" not in out


@pytest.mark.parametrize(
    ("color", "no_color", "terminal", "colored"),
    [
        ("auto", "", False, False),
        ("auto", "", True, True),
        ("auto", "1", True, False),
        ("always", "1", False, True),
        ("never", "", True, False),
    ],
)
def test_colors(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    color: str,
    no_color: str,
    terminal: bool,
    colored: bool,
) -> None:
    monkeypatch.setenv("NO_COLOR", no_color)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("FORCE_COLOR", "1")  # which is rich's, not careen's
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
    assert ("\x1b[" in printed(capsys, color=color)) is colored


def test_a_pipe_keeps_rows_on_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    long = "because " * 30
    item = msgspec.structs.replace(WRONG, message=long)
    console.print_table(*report.findings_table("oci:b", [item], every=True), color="auto")
    assert long.strip() in capsys.readouterr().out


def test_a_narrow_place_folds(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    text = printed(capsys)
    assert max(len(line) for line in text.splitlines()) <= 60
    assert SOURCE in text.replace("\n", "").replace(" ", "")


def test_plan_table_needs_no_outcome(capsys: pytest.CaptureFixture[str]) -> None:
    console.print_table(*report.plan_table("oci:a:1", PLAN, every=False), color="never")
    out = capsys.readouterr().out
    assert out.splitlines()[0].split() == ["source", "oci:a:1"]
    assert out.splitlines()[1].split() == ["digest", SOURCE]
    assert "Gone: 13 packages" in out
    assert "Result" not in out


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (99_949, "99.9 kB"),
        (99_951, "100 kB"),
        (999_499, "999 kB"),
        (999_500, "1.0 MB"),
        (11_530_000, "11.5 MB"),
        (10**18, "1.0 EB"),
        (10**22, "10000 EB"),
    ],
)
def test_size(number: int, text: str) -> None:
    assert size(number) == text


def test_count() -> None:
    assert [count(1, "file"), count(0, "file"), count(1200, "entry")] == [
        "1 file", "0 files", "1,200 entries"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("part", "whole", "filled"), [(0, 10, 0), (10, 10, 20), (1, 1000, 1), (30, 10, 20), (0, 0, 0)]
)
def test_bar(part: int, whole: int, filled: int) -> None:
    assert bar(part, whole) == "█" * filled + "░" * (20 - filled)
