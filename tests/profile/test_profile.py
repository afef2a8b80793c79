"""Loading, writing, merging and digesting profile manifests."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from careen.errors import FormatError, SourceError
from careen.formats.digest import Digest
from careen.profile import profile as profiles
from careen.profile import schema, strict_yaml
from careen.profile.profile import Drop, Image, Keep, Profile, Scenario, Use
from careen.profile.schema import VERSION

DOCS = Path(__file__).parents[2] / "docs"
HEX = "ab" * 32
DIGEST = f"sha256:{HEX}"
OTHER = f"sha512:{HEX}{HEX}"

CONTRACT = f"""
schema: careen.profile/v1
scenarios:                       # what was run; one entry a recording; only `name` is required
  - name: checkout-load
    image: {{name: registry.example/app:1.4, digest: "{DIGEST}", platform: linux/amd64}}
    command: [redis-server, --port, "6379"]
    exercise: ./load.sh
    tool: strace 6.1
    recorded: 2026-11-23T10:00:00Z
    revision: 3f2c1d9            # the app's own version, if given
    executed: [/usr/bin/redis-server]
    opened: [/etc/ssl/openssl.cnf, /etc/hosts]
    examined: [/usr/lib/python3/dist-packages/itsdangerous/__init__.py]
    links: {{/etc/localtime: /usr/share/zoneinfo/Etc/UTC}}
    missing: [/etc/ld.so.preload]
    answered: [setgid, chown]
keep:
  packages: [ca-certificates]
  paths: ["/usr/share/zoneinfo/Europe/**"]
  why: {{ca-certificates: outgoing TLS in the nightly job}}
drop: {{packages: [], paths: []}}
"""


def manifest(body: str) -> str:
    return f"schema: {VERSION}\n{body}"


def scenario(fields: str) -> str:
    return manifest(f"scenarios: [{{name: a, {fields}}}, {{name: b, opened: [/x]}}]")


def load(text: str | bytes) -> Profile:
    raw = text if isinstance(text, bytes) else text.encode()
    return profiles.load(raw, place="p.yaml")


def refusal(text: str | bytes) -> str:
    with pytest.raises(FormatError) as caught:
        load(text)
    return str(caught.value)


def test_the_contracts_example() -> None:
    assert load(CONTRACT) == Profile(
        scenarios=(
            Scenario(
                name="checkout-load",
                image=Image(
                    name="registry.example/app:1.4",
                    digest=Digest(DIGEST),
                    platform="linux/amd64",
                ),
                command=("redis-server", "--port", "6379"),
                exercise="./load.sh",
                tool="strace 6.1",
                recorded="2026-11-23T10:00:00Z",
                revision="3f2c1d9",
                executed=("/usr/bin/redis-server",),
                opened=("/etc/hosts", "/etc/ssl/openssl.cnf"),
                examined=("/usr/lib/python3/dist-packages/itsdangerous/__init__.py",),
                links={"/etc/localtime": "/usr/share/zoneinfo/Etc/UTC"},
                missing=("/etc/ld.so.preload",),
                answered=("chown", "setgid"),
            ),
        ),
        keep=Keep(
            packages=("ca-certificates",),
            paths=("/usr/share/zoneinfo/Europe/**",),
            why={"ca-certificates": "outgoing TLS in the nightly job"},
        ),
    )


# What load accepts. The JSON Schema must accept each of them too.
ACCEPTED = {
    "the contract's example": CONTRACT,
    "keep alone": manifest("keep: {packages: [libc6]}"),
    "drop alone may complete another": manifest("drop: {paths: [/usr/share/doc]}"),
    "a name and one path": manifest("scenarios:\n- name: a\n  executed:\n  - /x"),
    "keys without a value": manifest("keep:\n  packages: [a]\n  paths:\ndrop:\nscenarios: ~"),
    "numbers, words and times are text": scenario(
        "revision: 1234567, tool: no, command: [1.5, 0x10, on, 12:30, 2026-01-01], exercise: true"
    ),
    "the root": scenario("examined: [/]"),
    "dots that are no components": scenario("executed: [/.dockerenv, /a/..b, /a/.../c]"),
    "non-ASCII and odd names": scenario(r"""opened: ['/é', '/caf\xe9', "/a\nb", '/x y', '/a:b']"""),
    "two images, one name": manifest(
        "scenarios:\n"
        f"- {{name: a, opened: [/x], image: {{digest: '{DIGEST}'}}}}\n"
        f"- {{name: a, opened: [/x], image: {{digest: '{OTHER}'}}}}\n"
    ),
    "a byte order mark": "\ufeff" + CONTRACT,
    "JSON": json.dumps({"schema": VERSION, "keep": {"packages": ["a"], "why": {"a": "😀"}}}),
}

# What load refuses where the JSON Schema can say so, and how the error begins and ends.
REFUSED = {
    manifest("scenarios: [{name: a, open: [/x]}]"): (
        "scenarios[0]: unknown key 'open'; did you mean 'opened'?"
    ),
    manifest("scenaros: []"): "unknown key 'scenaros'; did you mean 'scenarios'?",
    manifest("keep: {package: [a]}"): "keep: unknown key 'package'; did you mean 'packages'?",
    manifest("drop: {why: {}}"): "drop: unknown key 'why'; known are packages, paths",
    scenario("image: {sha: x}"): (
        "scenarios[0].image: unknown key 'sha'; known are name, digest, platform"
    ),
    "keep: {packages: [a]}": "schema: missing; this careen reads careen.profile/v1",
    "schema: careen.profile/v2": (
        "schema: 'careen.profile/v2' is not known; this careen reads careen.profile/v1"
    ),
    "": "not a profile; its first line should be `schema: careen.profile/v1`",
    "[a]": "not a profile; its first line should be `schema: careen.profile/v1`",
    manifest("scenarios: [{opened: [/x]}]"): "scenarios[0]: no name; every scenario needs one",
    manifest("scenarios: {a: b}"): "scenarios: expected a list, found a map",
    manifest("scenarios: [x]"): "scenarios[0]: expected a map, found text",
    manifest("keep: [x]"): "keep: expected a map, found a list",
    scenario("executed: /x"): "scenarios[0].executed: expected a list, found text",
    scenario("executed: ''"): "scenarios[0].executed: expected a list, found text",
    scenario("executed: [/a, /b, etc/x]"): (
        "scenarios[0].executed[2]: not an absolute path: 'etc/x'"
    ),
    scenario("executed: [/a, ~]"): (
        "scenarios[0].executed[1]: expected text, found nothing; put it in quotes if it is text"
    ),
    scenario("executed: [[/a]]"): (
        "scenarios[0].executed[0]: expected text, found a list; put it in quotes if it is text"
    ),
    scenario("missing: [/a//b]"): (
        "scenarios[0].missing[0]: not a plain path: '/a//b'; write '/a/b'"
    ),
    scenario("examined: [/a/../b]"): (
        "scenarios[0].examined[0]: not a plain path: '/a/../b'; write '/b'"
    ),
    scenario("examined: [/a/]"): "scenarios[0].examined[0]: not a plain path: '/a/'; write '/a'",
    scenario(r'executed: ["/a\0"]'): (r"scenarios[0].executed[0]: a path holds no NUL: '/a\x00'"),
    scenario("links: {/a: b}"): "scenarios[0].links['/a']: not an absolute path: 'b'",
    scenario("links: {a: /b}"): "scenarios[0].links['a']: not an absolute path: 'a'",
    scenario("links: [/a]"): "scenarios[0].links: expected a map, found a list",
    scenario("recorded: 2026-11-23"): (
        "scenarios[0].recorded: not a time such as 2026-11-23T10:00:00Z: '2026-11-23'"
    ),
    scenario("answered: [rm -rf]"): (
        "scenarios[0].answered[0]: not the name of a system call: 'rm -rf'"
    ),
    scenario("image: {digest: 'md5:00'}"): (
        "scenarios[0].image.digest: not a sha256 or sha512 digest: 'md5:00'"
    ),
    scenario("image: {platform: amd64}"): (
        "scenarios[0].image.platform: not a platform such as linux/amd64: 'amd64'"
    ),
    scenario(r'tool: "a\nb"'): r"scenarios[0].tool: control characters in 'a\nb'",
    manifest("keep: {packages: [/usr/bin/x]}"): (
        "keep.packages[0]: '/usr/bin/x' is a path; list it under paths"
    ),
    manifest("keep: {packages: [a b]}"): "keep.packages[0]: not a package name: 'a b'",
    manifest("drop: {paths: [perl]}"): (
        "drop.paths[0]: not an absolute path: 'perl'; packages go under packages"
    ),
}

# What load refuses beyond what a JSON Schema can say.
REFUSED_BEYOND = {
    manifest(""): "lists nothing that is used, so everything would go; record a scenario, "
    "or name what stays under `keep`",
    manifest("scenarios: [{name: a, missing: [/x]}]"): "lists nothing that is used, so everything "
    "would go; record a scenario, or name what stays under `keep`",
    manifest("scenarios: [{name: a, opened: [/x]}, {name: a, opened: [/y]}]"): (
        "scenarios: name 'a' is used twice for one image; give each its own"
    ),
    manifest("keep: {packages: [ca-certificates], why: {ca-certificate: x}}"): (
        "keep.why: 'ca-certificate' is in neither packages nor paths; "
        "did you mean 'ca-certificates'?"
    ),
    manifest("keep: {packages: [a]}\ndrop: {packages: [b, a]}"): (
        "'a' is under `keep` and under `drop`; take one away"
    ),
    manifest("keep: {paths: ['/a/x**']}"): (
        "keep.paths[0]: '**' must stand alone between slashes: 'x**'"
    ),
    manifest(r"scenarios: [{name: a, links: {'/\xe9': /a, '/\xE9': /b}}]"): (
        r"scenarios[0].links['/\\xE9']: duplicate key"
    ),
    "schema: a\nschema: a": "line 2, column 1: duplicate key 'schema'",
    "a: &x [1]\nb: *x": "line 1, column 4: anchors and aliases are not read; write it out",
    "b: *x": "line 1, column 4: anchors and aliases are not read; write it out",
    "a: !!binary aGk=": "line 1, column 4: tags are not read; leave the '!…' out",
    "a: !!python/name:os.system x": "line 1, column 4: tags are not read; leave the '!…' out",
    "a: 1\n---\nb: 2": "line 2, column 1: a second document; a file holds one",
    "? [a]\n: b": "line 1, column 3: a key that is not text",
    "[" * 1_000: "line 1, column 18: nested too deeply",
    "a: [1,": "line 2, column 1: not YAML: did not find expected node content",
    "a: b: c": "line 1, column 5: not YAML: mapping values are not allowed in this context",
    "a: \x07": "not YAML at position 3: control characters are not allowed",
    '{"schema": "careen.profile/v1", "schema": "x"}': "duplicate key 'schema'",
    '{"schema": "careen.profile/v1", "keep": {"packages": [1]}}': (
        "keep.packages[0]: expected text, found 1; put it in quotes if it is text"
    ),
    '{"schema": "careen.profile/v1", "keep": {"packages": ["\\ud800"]}}': (
        r"keep.packages[0]: half a surrogate pair: '\ud800'"
    ),
    "{schema: careen.profile/v1}": "not JSON: Expecting property name enclosed in double quotes: "
    "line 1 column 2 (char 1)",
}


@pytest.mark.parametrize("text", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_accepted(text: str) -> None:
    profile = load(text)
    assert load(profiles.dump(profile)) == profile


@pytest.mark.parametrize(("text", "message"), (REFUSED | REFUSED_BEYOND).items())
def test_refused_in_one_line_that_says_where(text: str, message: str) -> None:
    found = refusal(text)
    separator = ": " if not message.startswith(":") else ""
    assert found == f"p.yaml{separator}{message}"
    assert "\n" not in found


@pytest.mark.parametrize(("text", "message"), (REFUSED | REFUSED_BEYOND).items())
def test_refused_by_the_python_parser_too(
    text: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where PyYAML is built without libyaml; its own wording of YAML errors may differ."""
    monkeypatch.setattr(strict_yaml, "_LOADER", yaml.BaseLoader)
    found = refusal(text)
    assert found == f"p.yaml: {message}" or "not YAML" in message


@pytest.mark.parametrize("raw", [b"\xff\xfe", b"schema: \xe9", "schema: é".encode("utf-16")])
def test_not_utf8(raw: bytes) -> None:
    assert refusal(raw).startswith("p.yaml: not UTF-8 at byte")


def test_size_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("careen.profile.read.CEILING", 100)
    assert refusal(" " * 101) == "p.yaml: document of 101 bytes is over the limit of 100"
    assert refusal("{" + " " * 100) == "p.yaml: document of 101 bytes is over the limit of 100"


TOKENS = st.sampled_from(
    [":", "- ", "[", "{", "}", "]", '"', "'", "\n", "*a", "&a", "!", "\\x", "\0"]
)


@given(st.lists(st.tuples(st.integers(0, len(CONTRACT)), TOKENS), min_size=1, max_size=3))
@settings(max_examples=150, deadline=None)
def test_any_text_is_a_profile_or_one_line(changes: list[tuple[int, str]]) -> None:
    text = CONTRACT
    for at, token in changes:
        text = text[:at] + token + text[at + 1 :]
    try:
        profile = load(text)
    except FormatError as error:
        line = str(error)
    else:
        line = str(load(profiles.dump(profile)) == profile)
    assert line == "True" or line.startswith("p.yaml")
    assert "\n" not in line


def test_names_that_are_not_utf8() -> None:
    names = {
        r"/srv/caf\xe9": b"/srv/caf\xe9",
        r"/srv/caf\xE9/\x80": b"/srv/caf\xe9/\x80",
        "/srv/café": "/srv/café".encode(),
        r"/srv/caf\xc3\xa9-": "/srv/café-".encode(),
        r"/units/a\x2db.slice": rb"/units/a\x2db.slice",
        r"/a\x5cxe9": rb"/a\xe9",
        r"/a\b\\": rb"/a\b" + b"\\\\",
    }
    listed = "".join(f"  - {name}\n" for name in names)
    (found,) = load(manifest(f"scenarios:\n- name: a\n  opened:\n{listed}")).scenarios
    assert {os.fsencode(path) for path in found.opened} == set(names.values())


# -- the file that dump writes -------------------------------------------------------------------


def test_dump_reads_well() -> None:
    profile = Profile(
        scenarios=(
            Scenario(
                name="b",
                opened=("/z", "/a:b", "/a", "/a\nb", "/caf\udce9"),
                links={"/l": "/t", "/k" * 600: "/x"},
            ),
            Scenario(
                name="a", command=("-p", "x y", "a,b", "6379"), recorded="2026-11-23T10:00:00Z"
            ),
        ),
        keep=Keep(packages=("no", "libc6"), why={"no": "it's: needed"}),
    )
    assert (
        profiles.dump(profile).decode()
        == rf"""schema: careen.profile/v1
scenarios:
  - name: a
    command: [-p, x y, "a,b", "6379"]
    recorded: "2026-11-23T10:00:00Z"
  - name: b
    opened:
      - /a
      - "/a\nb"
      - "/a:b"
      - /caf\xe9
      - /z
    links:
      ? {"/k" * 600}
      : /x
      /l: /t
keep:
  packages:
    - libc6
    - "no"
  paths: []
  why:
    "no": "it's: needed"
drop:
  packages: []
  paths: []
"""
    )


def names() -> st.SearchStrategy[str]:
    """Any file name: bytes, decoded as careen does."""
    odd = st.sampled_from([b"\\x", b"\\", b"5c", b"e9", b"\xe9", b": ", b" #", b"\n", b"'", b'"'])
    parts = st.lists(odd | st.binary(max_size=3), min_size=1, max_size=6).map(b"".join)
    usable = parts.map(lambda raw: raw.replace(b"/", b"").replace(b"\0", b""))
    return usable.filter(lambda raw: raw not in (b"", b".", b"..")).map(os.fsdecode)


def texts() -> st.SearchStrategy[str]:
    words = st.sampled_from(
        ["", "no", "~", "null", "1", "0x1", "1.5", "- a", "a: b", "=", "<<", "---"]
    )
    return words | names() | st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


PATHS = st.lists(names(), max_size=3).map(lambda parts: "/" + "/".join(parts))
PATH_SETS = st.lists(PATHS, max_size=4).map(tuple)
LINES = texts().filter(lambda text: all(c >= " " and c != "\x7f" for c in text))
CALLS = st.lists(st.sampled_from(["chown", "setgid", "setgroups"]), max_size=3).map(tuple)
PACKAGES = st.lists(st.sampled_from(["a", "no", "1", "lib*", "p[0-9]:any"]), max_size=3).map(tuple)
GLOBS = st.lists(st.sampled_from(["/a", "/**/*.py", "/é", "/x y/[!a]?"]), max_size=3).map(tuple)
SCENARIOS = st.builds(
    Scenario,
    name=LINES.filter(bool),
    image=st.builds(
        Image,
        name=LINES,
        digest=st.sampled_from([None, Digest(DIGEST), Digest(OTHER)]),
        platform=st.sampled_from(["", "linux/amd64", "linux/arm/v7"]),
    ),
    command=st.lists(texts(), max_size=3).map(tuple),
    exercise=texts(),
    tool=LINES,
    recorded=st.sampled_from(["", "2026-11-23T10:00:00Z", "2026-11-24T10:00:00Z"]),
    revision=LINES,
    executed=PATH_SETS,
    opened=PATH_SETS,
    examined=PATH_SETS,
    links=st.dictionaries(PATHS | st.just("/long" * 210), PATHS, max_size=3),
    missing=PATH_SETS,
    answered=CALLS,
)


def _identity(scenario: Scenario) -> tuple[Any, ...]:
    return scenario.name, scenario.image.digest, scenario.image.platform


@st.composite
def profiles_(draw: st.DrawFn) -> Profile:
    """Any profile that is worth planning with."""
    packages, globs = draw(PACKAGES), draw(GLOBS)
    reasons = LINES.filter(bool)
    listed = st.sampled_from([*packages, *globs, "kept"])
    return Profile(
        scenarios=tuple(draw(st.lists(SCENARIOS, max_size=3, unique_by=_identity))),
        keep=Keep(
            packages=(*packages, "kept"),
            paths=globs,
            why=draw(st.dictionaries(listed, reasons, max_size=2)),
        ),
        drop=Drop(packages=draw(st.sampled_from([(), ("z",), ("y", "z")]))),
    )


@given(profiles_())
@settings(max_examples=60, deadline=None)
def test_what_dump_writes_load_reads(profile: Profile) -> None:
    assert load(profiles.dump(profile)) == profiles.normalised(profile)


@given(profiles_())
@settings(max_examples=25, deadline=None)
def test_any_yaml_reader_reads_the_same_text(profile: Profile) -> None:
    """PyYAML's own safe loader, numbers, booleans, dates and all, sees text and nothing else."""

    def leaves(node: Any) -> Any:
        if isinstance(node, dict):
            for key, value in node.items():
                yield key
                yield from leaves(value)
        elif isinstance(node, list):
            for item in node:
                yield from leaves(item)
        else:
            yield node

    raw = profiles.dump(profile)
    document = yaml.safe_load(raw)
    assert all(isinstance(leaf, str) for leaf in leaves(document))
    assert load(json.dumps(document)) == profiles.normalised(profile)


def _seen(raw: str) -> Any:
    """A manifest as a YAML reader with text scalars sees it: PyYAML's composer, not ours."""
    if raw.startswith("{"):
        return json.loads(raw)

    class Loader(yaml.SafeLoader):
        yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012

    for name in ("null", "str"):
        tag = f"tag:yaml.org,2002:{name}"
        Loader.add_constructor(tag, yaml.SafeLoader.yaml_constructors[tag])
    nothing = re.compile("^(?:~|null|Null|NULL|)$")
    Loader.add_implicit_resolver("tag:yaml.org,2002:null", nothing, ["~", "n", "N", ""])
    return yaml.load(raw, Loader=Loader)


# -- the JSON Schema -----------------------------------------------------------------------------

VALIDATOR = jsonschema.Draft202012Validator(schema.schema())


def test_the_published_schema_is_up_to_date() -> None:
    """Else write `careen.profile.schema.document()` there."""
    published = (DOCS / "careen.profile.v1.schema.json").read_bytes()
    assert published == schema.document()
    jsonschema.Draft202012Validator.check_schema(json.loads(published))


@pytest.mark.parametrize("text", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_the_schema_accepts_what_load_accepts(text: str) -> None:
    VALIDATOR.validate(_seen(text))


@pytest.mark.parametrize("text", REFUSED)
def test_the_schema_refuses_what_load_refuses(text: str) -> None:
    assert not VALIDATOR.is_valid(_seen(text))


@given(profiles_())
@settings(max_examples=25, deadline=None)
def test_the_schema_accepts_what_dump_writes(profile: Profile) -> None:
    VALIDATOR.validate(yaml.safe_load(profiles.dump(profile)))


def test_the_documents_example_loads() -> None:
    text = (DOCS / "profile-format.md").read_text()
    example = text.partition("```yaml\n")[2].partition("```")[0]
    profile = load(example)
    assert profile.scenarios[0].links
    VALIDATOR.validate(_seen(example))


def test_the_document_describes_every_key() -> None:
    text = (DOCS / "profile-format.md").read_text()
    for part in (Profile, Scenario, Image, Keep, Drop):
        for field in msgspec.structs.fields(part):
            assert f"`{field.name}`" in text or f"{field.name}:" in text


# -- merge, digest, used -------------------------------------------------------------------------


def test_merge_unites_recordings_of_one_name_on_one_image() -> None:
    image = Image(name="a:1", digest=Digest(DIGEST))
    older = Scenario(
        name="load", image=image, recorded="2026-01-01T00:00:00Z", tool="strace 5", opened=("/a",)
    )
    newer = Scenario(
        name="load", image=image, recorded="2026-02-01T00:00:00Z", tool="strace 6", opened=("/b",)
    )
    elsewhere = Scenario(name="load", image=Image(digest=Digest(OTHER)), opened=("/c",))
    merged = profiles.merge([Profile(scenarios=(newer, elsewhere)), Profile(scenarios=(older,))])
    united = msgspec.structs.replace(newer, opened=("/a", "/b"))
    assert merged.scenarios == (united, elsewhere)


def test_merge_loses_nothing_that_people_wrote() -> None:
    merged = profiles.merge(
        [
            Profile(keep=Keep(packages=("a", "b"), why={"a": "one"})),
            Profile(keep=Keep(packages=("a",), why={"a": "two"}), drop=Drop(packages=("perl",))),
            Profile(keep=Keep(paths=("/x",)), drop=Drop(paths=("/y",))),
        ]
    )
    assert merged == Profile(
        keep=Keep(packages=("a", "b"), paths=("/x",), why={"a": "one; two"}),
        drop=Drop(packages=("perl",), paths=("/y",)),
    )


@given(st.lists(profiles_(), min_size=1, max_size=3), st.randoms(use_true_random=False))
@settings(max_examples=25, deadline=None)
def test_merge_knows_no_order_and_no_number(given_: list[Profile], random: Any) -> None:
    merged = profiles.merge(given_)
    shuffled = [*given_, *given_]
    random.shuffle(shuffled)
    assert profiles.merge(shuffled) == merged
    assert profiles.merge([merged, *given_]) == merged
    assert load(profiles.dump(merged)) == merged
    for profile in given_:
        for path, uses in profiles.used(profile).items():
            assert set(uses) <= set(profiles.used(merged)[path])


@pytest.mark.parametrize(
    "given_",
    [
        [],
        [Profile()],
        [Profile(scenarios=(Scenario(name="a", missing=("/x",)),))],
        [Profile(drop=Drop(packages=("perl",)))],
    ],
    ids=["none", "empty", "nothing used", "only drops"],
)
def test_merge_refuses_to_remove_everything(given_: list[Profile]) -> None:
    with pytest.raises(SourceError, match="lists nothing that is used"):
        profiles.merge(given_)


def test_merge_refuses_a_contradiction() -> None:
    with pytest.raises(FormatError, match="'a' is under `keep` and under `drop`"):
        profiles.merge([Profile(keep=Keep(packages=("a",))), Profile(drop=Drop(packages=("a",)))])


BASE = load(CONTRACT)


def _changed(**fields: Any) -> Profile:
    """BASE with fields of its scenario changed."""
    (only,) = BASE.scenarios
    return msgspec.structs.replace(BASE, scenarios=(msgspec.structs.replace(only, **fields),))


IMAGE = BASE.scenarios[0].image


@pytest.mark.parametrize(
    "profile",
    [
        _changed(recorded="2027-01-01T00:00:00Z"),
        _changed(tool="strace 7"),
        _changed(revision=""),
        _changed(image=msgspec.structs.replace(IMAGE, name="elsewhere/app:2")),
        _changed(opened=("/etc/ssl/openssl.cnf", "/etc/hosts", "/etc/hosts")),
        msgspec.structs.replace(BASE, keep=msgspec.structs.replace(BASE.keep, why={})),
    ],
    ids=["recorded", "tool", "revision", "image name", "order and repetition", "why"],
)
def test_digest_is_the_same_when_the_same_is_recorded_again(profile: Profile) -> None:
    assert profiles.digest(profile) == profiles.digest(BASE)


@pytest.mark.parametrize(
    "profile",
    [
        _changed(name="other"),
        _changed(image=msgspec.structs.replace(IMAGE, digest=OTHER)),
        _changed(image=msgspec.structs.replace(IMAGE, platform="linux/arm64")),
        _changed(command=()),
        _changed(exercise=""),
        _changed(executed=()),
        _changed(opened=("/etc/hosts",)),
        _changed(opened=("/etc/hosts", "/etc/ssl/openssl.cnf", "/caf\udce9")),
        _changed(examined=()),
        _changed(links={}),
        _changed(links={"/etc/localtime": "/x"}),
        _changed(missing=()),
        _changed(answered=()),
        msgspec.structs.replace(BASE, keep=Keep()),
        msgspec.structs.replace(BASE, drop=Drop(packages=("perl",))),
        msgspec.structs.replace(BASE, drop=Drop(paths=("/perl",))),
    ],
)
def test_digest_differs_when_something_else_was_used(profile: Profile) -> None:
    assert profiles.digest(profile) != profiles.digest(BASE)


def test_digest_is_the_same_everywhere() -> None:
    """A changed figure is a changed contract: images hardened before would be hardened again."""
    known = "sha256:6dd2b498bb8346efa64e57a2e9898271b6c76aee63bd06aff88ad86c7cb24952"
    assert profiles.digest(BASE) == known
    code = (
        "import sys; from careen.profile import profile as p; "
        "print(p.digest(p.load(sys.stdin.buffer.read(), place='')))"
    )
    for seed in ("0", "1"):
        environment = {"PYTHONHASHSEED": seed, "LC_ALL": "C", "PATH": os.environ["PATH"]}
        found = subprocess.run(
            [sys.executable, "-c", code],
            input=CONTRACT.encode(),
            env=environment,
            stdout=subprocess.PIPE,
            check=True,
        )
        assert found.stdout.decode().strip() == known


def test_used_says_who_and_how() -> None:
    profile = Profile(
        scenarios=(
            Scenario(name="b", opened=("/lib/x", "/"), executed=("/bin/y",)),
            Scenario(name="a", examined=("/lib/x",), opened=("/lib/x",), links={"/l": "/t"}),
            Scenario(name="c", missing=("/gone",)),
        )
    )
    assert profiles.used(profile) == {
        "": (Use(scenario="b", how="opened"),),
        "bin/y": (Use(scenario="b", how="executed"),),
        "l": (Use(scenario="a", how="link"),),
        "lib/x": (
            Use(scenario="a", how="examined"),
            Use(scenario="a", how="opened"),
            Use(scenario="b", how="opened"),
        ),
    }
    assert list(profiles.used(profile)) == sorted(profiles.used(profile))


def test_importing_does_not_import_yaml() -> None:
    code = "import sys, careen.profile.profile; sys.exit('yaml' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
