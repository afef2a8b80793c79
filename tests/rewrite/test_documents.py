"""What the new config and manifest say, where the source's would be false or grow without end."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from careen.errors import UsageError
from careen.formats.compression import Encoding
from careen.rewrite.image import Form
from tests.builders import Dir, Reg
from tests.rewrite.test_apply import GZIP, applied

BASE = "org.opencontainers.image.base."
FORM = Form(encoding=GZIP, command="careen test 0", facts={"io.careen.version": "new"})


def documents(folder: Path, **options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The config and the manifest."""
    made, _ = applied(folder, [[Reg("a")]], form=options.pop("form", FORM), **options)
    return made.config.document, made.manifest.document


def test_facts_of_an_earlier_run_are_not_repeated(tmp_path: Path) -> None:
    texts = {
        "io.careen.version": "old",
        "io.careen.plan.digest": "of another plan",
        "io.careen.source.base.name": "debian:12",
        "mine": "kept",
    }
    config, manifest = documents(tmp_path, config={"Labels": texts}, annotations=texts)
    expected = {
        "io.careen.version": "new",
        "io.careen.source.base.name": "debian:12",
        "mine": "kept",
    }
    assert config["config"]["Labels"] == expected
    assert manifest["annotations"] == expected | {"io.careen.encoder": GZIP.name}


@pytest.mark.parametrize("first", [0, 1])
def test_the_nearer_base_wins_in_whatever_order_they_stand(tmp_path: Path, first: int) -> None:
    both = [(f"{BASE}name", "nearer"), ("io.careen.source.base.name", "farther")]
    texts = dict([both[first], both[1 - first]])
    config, manifest = documents(tmp_path, config={"Labels": texts}, annotations=texts)
    assert config["config"]["Labels"]["io.careen.source.base.name"] == "nearer"
    assert manifest["annotations"]["io.careen.source.base.name"] == "nearer"
    assert f"{BASE}name" not in manifest["annotations"]


def test_annotations_that_a_docker_manifest_should_not_have(tmp_path: Path) -> None:
    texts = {f"{BASE}name": "x", "mine": "kept"}
    _, manifest = documents(tmp_path, family="docker", annotations=texts)
    assert manifest["annotations"] == {"io.careen.source.base.name": "x", "mine": "kept"}


def test_zstd_is_refused_in_a_docker_manifest(tmp_path: Path) -> None:
    zstd = Encoding.parse("zstd")
    with pytest.raises(UsageError, match="--manifest-format oci"):
        documents(tmp_path / "1", family="docker", form=Form(encoding=zstd, command="c"))
    assert not (tmp_path / "1" / "target").exists()
    form = Form(encoding=zstd, command="c", oci_manifest=True)
    _, manifest = documents(tmp_path / "2", family="docker", form=form)
    (layer,) = manifest["layers"]
    assert layer["mediaType"] == "application/vnd.oci.image.layer.v1.tar+zstd"


def test_history_squashed_again_stays_flat(tmp_path: Path) -> None:
    """Comments within comments would double their escapes with each squash."""
    steps: list[dict[str, Any]] = [{"created_by": 'RUN "a" \\ b', "empty_layer": True}]
    sizes = []
    for number in range(6):
        history = [*steps, {"created_by": "COPY more", "vendor": number}]
        config, _ = documents(tmp_path / str(number), change_config={"history": history})
        steps = config["history"]
        sizes.append(len(json.dumps(steps)))
    (step,) = steps
    told = json.loads(step["comment"])["history"]
    assert [one["created_by"] for one in told] == [
        'RUN "a" \\ b', "COPY more", *["careen test 0", "COPY more"] * 5,
    ]  # fmt: skip
    assert [one["vendor"] for one in told if "vendor" in one] == [*range(6)]
    grown = [after - before for before, after in itertools.pairwise(sizes)]
    assert max(grown) - min(grown) < 10


@pytest.mark.parametrize(
    "step",
    [
        {"created_by": "careen harden 1", "comment": "words"},
        {"created_by": "careen harden 1", "comment": '{"history":3}'},
        {"created_by": "careen harden 1", "comment": '{"history":[],"more":1}'},
        {"created_by": "careen harden 1", "comment": "\ud800"},
        {"created_by": "careen harden 1"},
        {"created_by": None, "comment": '{"history":[]}'},
        {"created_by": "another", "comment": '{"history":[]}'},
        {"vendor": {"x": ["\ud800", "é", 1.5, None]}},
    ],
)
def test_a_step_of_others_is_kept_to_the_letter(tmp_path: Path, step: dict[str, Any]) -> None:
    config, _ = documents(tmp_path, change_config={"history": [step]})
    assert json.loads(config["history"][0]["comment"]) == {"history": [step]}


@pytest.mark.parametrize(
    "inner", [None, {}, {"Labels": None}, {"Labels": {}}, {"Labels": {"io.careen.version": "old"}}]
)
def test_labels_where_there_were_none(tmp_path: Path, inner: dict[str, Any] | None) -> None:
    config, _ = documents(tmp_path / "1", change_config={"config": inner})
    assert config["config"] == {"Labels": {"io.careen.version": "new"}}
    form = Form(encoding=GZIP, command="c")
    config, _ = documents(tmp_path / "2", change_config={"config": inner}, form=form)
    assert config["config"] == {}


def test_what_a_layer_was_is_not_said_of_the_new_one(tmp_path: Path) -> None:
    made, _ = applied(tmp_path, [[Dir("d")], [Reg("a")]])
    (layer,) = made.manifest.document["layers"]
    assert set(layer) == {"mediaType", "digest", "size"}


def test_fields_keep_their_order(tmp_path: Path) -> None:
    """A reader who compares the documents sees what changed, and nothing else."""
    change = {"zeta": 1, "alpha": {"b": 1, "a": 2}}
    config, _ = documents(tmp_path, change_config=change)
    assert [*config][-2:] == ["zeta", "alpha"]
    assert [*config["alpha"]] == ["b", "a"]
