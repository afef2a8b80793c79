"""Kubescape's ApplicationProfile: YAML, JSON and lists, and its folded paths."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from careen.errors import FormatError
from careen.profile import glob
from careen.profile.importers.importer import Filters
from careen.profile.importers.pattern import Pattern
from careen.rootfs.path import Path
from tests.builders import Dir, Lnk, Reg
from tests.profile.importers.support import gathered, scenario, unread
from tests.rootfs.hand_made import rootfs

YAML = """\
apiVersion: spdx.softwarecomposition.kubescape.io/v1beta1
kind: ApplicationProfile
metadata:
  annotations:
    kubescape.io/completion: complete
    kubescape.io/status: completed
    kubescape.io/wlid: wlid://cluster-kind/namespace-default/deployment-app
  name: replicaset-app-7d6
  namespace: default
spec:
  architectures:
  - amd64
  containers:
  - capabilities:
    - SETGID
    endpoints: null
    execs:
    - args:
      - /usr/bin/python3
      - -m
      - shop
      path: /usr/bin/python3
    identifiedCallStacks: null
    imageID: registry.example/app@sha256:{DIGEST}
    imageTag: registry.example/app:1
    name: app
    opens:
    - flags:
      - O_RDONLY
      - O_CLOEXEC
      path: /usr/lib/python3/\u22ef/__init__.py
    - flags:
      - O_RDONLY
      path: /etc/hosts
    - flags:
      - O_RDONLY
      path: /proc/\u22ef/status
    - flags:
      - O_RDONLY
      path: /usr/share/zoneinfo/*
    - path: relative
    seccompProfile:
      spec: {}
    syscalls:
    - openat
  initContainers:
  - name: migrate
    execs:
    - path: /bin/sh
""".replace("{DIGEST}", "c" * 64)
IMAGE = [
    Reg("usr/lib/python3/shop/__init__.py"),
    Reg("usr/lib/python3/flask/__init__.py"),
    Reg("usr/lib/python3/flask/json/__init__.py"),
    Reg("usr/bin/python3.11"),
    Lnk("usr/bin/python3", "python3.11"),
    Reg("etc/hosts"),
    Reg("usr/share/zoneinfo/Etc/UTC"),
    Lnk("usr/share/zoneinfo/UTC", "Etc/UTC"),
    Dir("proc"),
]


def test_without_the_image_folded_paths_are_patterns() -> None:
    assert scenario("kubescape", YAML, Filters(container="app")) == {
        "executed": ("/usr/bin/python3",),
        "opened": ("/etc/hosts",),
        "keep": ("/usr/lib/python3/*/__init__.py", "/usr/share/zoneinfo/**"),
    }
    found = gathered("kubescape", YAML, Filters(container="app"))
    assert unread(found) == [(6, "not a plain absolute path: 'relative'")]


def test_in_the_image_they_are_its_files() -> None:
    assert scenario("kubescape", YAML, Filters(container="app"), IMAGE) == {
        "executed": ("/usr/bin/python3.11",),
        "opened": (
            "/etc/hosts",
            "/usr/lib/python3/flask/__init__.py",
            "/usr/lib/python3/shop/__init__.py",
            "/usr/share/zoneinfo/Etc/UTC",
        ),
        "links": {
            "/usr/bin/python3": "/usr/bin/python3.11",
            "/usr/share/zoneinfo/UTC": "/usr/share/zoneinfo/Etc/UTC",
        },
    }


def test_json_and_lists_say_the_same() -> None:
    document = yaml.safe_load(YAML)
    listed = {"apiVersion": "v1", "kind": "List", "items": [document, {"kind": "Other"}]}
    for text in (json.dumps(document), json.dumps(listed), yaml.safe_dump(listed)):
        assert scenario("kubescape", text) == scenario("kubescape", YAML)


def test_the_older_word_for_one_component() -> None:
    text = YAML.replace("\u22ef", "<dynamic>")
    assert scenario("kubescape", text) == scenario("kubescape", YAML)


def test_init_containers_count_and_several_are_a_doubt() -> None:
    assert scenario("kubescape", YAML)["executed"] == ("/bin/sh", "/usr/bin/python3")
    (finding,) = gathered("kubescape", YAML).findings()
    assert finding.rule == "profile-several-containers"


def test_a_partial_profile_is_a_doubt() -> None:
    text = YAML.replace("completion: complete", "completion: partial")
    (finding,) = gathered("kubescape", text, Filters(container="app")).findings()
    assert (finding.rule, finding.severity) == ("profile-partial", "warning")


def test_call_stacks_are_deep_and_no_matter() -> None:
    document = yaml.safe_load(YAML)
    stack: dict[str, Any] = {}
    for _ in range(90):
        stack = {"children": [stack]}
    document["spec"]["containers"][0]["identifiedCallStacks"] = [{"callStack": {"root": stack}}]
    assert scenario("kubescape", json.dumps(document)) == scenario("kubescape", YAML)
    assert scenario("kubescape", yaml.safe_dump(document)) == scenario("kubescape", YAML)


@pytest.mark.parametrize("text", ["", "a: 1", "- a", "{}", "kind: Pod", "a: &x [*x]", "\t"])
def test_what_is_no_such_profile_is_refused(text: str) -> None:
    with pytest.raises(FormatError, match="log"):
        gathered("kubescape", text)


@pytest.mark.parametrize(
    "components",
    [
        ("usr", "*", "python3.11"),
        ("**", "__init__.py"),
        ("usr", "**"),
        ("usr", "lib", "**", "json", "*"),
    ],
)
def test_the_glob_and_the_expansion_agree(components: tuple[str, ...]) -> None:
    pattern, tree = Pattern(components), rootfs(IMAGE)
    covers = glob.parse(pattern.glob).covers
    found = set(pattern.expanded(tree))
    assert found
    assert all(covers(Path(path[1:])) for path in found)
    named = {path for path, inode in tree.nodes.items() if inode.kind != "directory"}
    assert found == {f"/{path}" for path in named if covers(path)}


def test_a_literal_bracket_or_star_is_no_pattern() -> None:
    assert Pattern(("a[1]", "b?", "*")).glob == "/a[[]1]/b[?]/*"
