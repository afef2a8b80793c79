"""References, judged by tables and by skopeo, whose names they are."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from careen.errors import UsageError
from careen.formats.digest import Digest
from careen.transport import reference as references
from careen.transport.reference import Reference, Transport, parse

DIGEST = Digest("sha256:" + "0a" * 32)
SHA512 = Digest("sha512:" + "0a" * 64)


def registry(
    host: str, repository: str, tag: str | None = "latest", digest: Digest | None = None
) -> Reference:
    return Reference(transport="docker", host=host, repository=repository, tag=tag, digest=digest)


REGISTRIES = {
    "docker://h.example/app": registry("h.example", "app"),
    "docker://h.example/a/b_c/d__e/f--g:1.4": registry("h.example", "a/b_c/d__e/f--g", "1.4"),
    "docker://h.example:5000/app:v1": registry("h.example:5000", "app", "v1"),
    "docker://localhost/app": registry("localhost", "app"),
    "docker://127.0.0.1:5000/app:7": registry("127.0.0.1:5000", "app", "7"),
    "docker://[::1]/app": registry("[::1]", "app"),
    "docker://[2001:DB8::1]:5000/app:x": registry("[2001:DB8::1]:5000", "app", "x"),
    "docker://H.Example/app": registry("H.Example", "app"),
    f"docker://h.example/app@{DIGEST}": registry("h.example", "app", None, DIGEST),
    f"docker://h.example/app@{SHA512}": registry("h.example", "app", None, SHA512),
    f"docker://h.example/app:v1@{DIGEST}": registry("h.example", "app", "v1", DIGEST),
    f"docker://h.example/app:{'t' * 128}": registry("h.example", "app", "t" * 128),
    # Docker Hub
    "docker://redis": registry("docker.io", "library/redis"),
    "docker://redis:7": registry("docker.io", "library/redis", "7"),
    "docker://grafana/grafana": registry("docker.io", "grafana/grafana"),
    "docker://docker.io/redis": registry("docker.io", "library/redis"),
    "docker://index.docker.io/redis": registry("docker.io", "library/redis"),
    "docker://registry-1.docker.io/a/b": registry("docker.io", "a/b"),
    "docker://localhost:5000": registry("docker.io", "library/localhost", "5000"),
    # bare
    "h.example/app:1": registry("h.example", "app", "1"),
    "registry:5000/app": registry("registry:5000", "app"),
    "redis:7": registry("docker.io", "library/redis", "7"),
    "oci/app": registry("docker.io", "oci/app"),
}

FILES = {
    "oci:layout": Reference(transport="oci", path="layout"),
    "oci-dir:layout:v1": Reference(transport="oci", path="layout", ref="v1"),
    "oci:../out dir:App/X:1@y+z--q": Reference(
        transport="oci", path="../out dir", ref="App/X:1@y+z--q"
    ),
    "oci-archive:/tmp/a.tar:v1": Reference(transport="oci-archive", path="/tmp/a.tar", ref="v1"),
    "docker-archive:a.tar": Reference(transport="docker-archive", path="a.tar"),
    "docker-archive:a.tar:redis": Reference(
        transport="docker-archive", path="a.tar", ref="docker.io/library/redis:latest"
    ),
    "docker-archive:a.tar:h.example:5/app:1": Reference(
        transport="docker-archive", path="a.tar", ref="h.example:5/app:1"
    ),
    "oci:caf\udce9": Reference(transport="oci", path="caf\udce9"),
}

NO_REPOSITORY = "not a repository name: {}; use lower-case letters, digits and . _ - /"
NO_HOST = "not a registry host: {}; write HOST or HOST:PORT"
NO_REF = "not a REF: {}; use letters and digits, with single . _ - : @ + / between"

REFUSED = {
    "": NO_REPOSITORY.format("''"),
    "docker://": NO_REPOSITORY.format("''"),
    "docker:///app": NO_REPOSITORY.format("'/app'"),
    "Redis": NO_REPOSITORY.format("'Redis'"),
    "docker://h.example/App": NO_REPOSITORY.format("'App'"),
    "docker://LOCALHOST/app": NO_REPOSITORY.format("'LOCALHOST/app'"),
    "docker://h.example/a b": NO_REPOSITORY.format("'a b'"),
    "docker://h.example/../x": NO_REPOSITORY.format("'../x'"),
    "docker://h.example/a/../b": NO_REPOSITORY.format("'a/../b'"),
    "docker://h.example/a//b": NO_REPOSITORY.format("'a//b'"),
    "docker://h.example/a/": NO_REPOSITORY.format("'a/'"),
    "docker://h.example/a___b": NO_REPOSITORY.format("'a___b'"),
    "docker://h.example/a?b": NO_REPOSITORY.format("'a?b'"),
    "docker://h.example/a\n": NO_REPOSITORY.format(r"'a\n'"),
    "docker://h.example/é": NO_REPOSITORY.format("'é'"),
    "docker://h..example/app": NO_HOST.format("'h..example'"),
    "docker://-h.example/app": NO_HOST.format("'-h.example'"),
    "docker://h_h.example/app": NO_HOST.format("'h_h.example'"),
    "docker://h.example:0/app": NO_HOST.format("'h.example:0'"),
    "docker://h.example:65536/app": NO_HOST.format("'h.example:65536'"),
    "docker://h.example:/app": NO_HOST.format("'h.example:'"),
    "docker://h.example:x/app": NO_HOST.format("'h.example:x'"),
    "docker://[::1%eth0]/app": NO_HOST.format("'[::1%eth0]'"),
    "docker://[::1::2]/app": "not an IPv6 address: '[::1::2]'",
    "docker://::1/app": NO_HOST.format("'::1'"),
    f"docker://h.example/{'a' * 246}": "a name of more than 255 characters",
    "0a" * 32: "an image id, not a name; write HOST/REPO@sha256:… for a digest",
    "docker://h.example/app@md5:00": "not a sha256 or sha512 digest: 'md5:00'",
    "docker://h.example/app@": "not a sha256 or sha512 digest: ''",
    f"docker://h.example/app@{DIGEST.upper()}": (
        f"not a sha256 or sha512 digest: {DIGEST.upper()!r}"
    ),
    "https://h.example/app": "no such transport: 'https'; write docker://h.example/app",
    "docker:24": "write docker://24, or docker://docker:24 for that image",
    "./layout": "for a file write oci:DIR, oci-archive:FILE or docker-archive:FILE",
    "/srv/layout:v1": "for a file write oci:DIR, oci-archive:FILE or docker-archive:FILE",
    "app.tar": "for a file write oci:DIR, oci-archive:FILE or docker-archive:FILE",
    "docker-daemon:app:1": (
        "careen uses no daemon; write docker-archive:FILE after `docker save -o FILE`"
    ),
    "containers-storage:app": (
        "careen uses no engine; "
        "write oci-archive:FILE after `podman save --format oci-archive -o FILE`"
    ),
    "dir:/srv/x": (
        "not read; write it as a layout first, with `skopeo copy dir:… oci:DIR`, then name oci:DIR"
    ),
    "oci:": "no file name; write oci:PATH or oci:PATH:REF",
    "oci::v1": "no file name; write oci:PATH or oci:PATH:REF",
    "oci:a\0b": "no file name; write oci:PATH or oci:PATH:REF",
    "oci:layout:": NO_REF.format("''"),
    "oci:layout:a b": NO_REF.format("'a b'"),
    "oci:layout:-a": NO_REF.format("'-a'"),
    "oci:layout:a/": NO_REF.format("'a/'"),
    "oci:layout:é": NO_REF.format("'é'"),
    "oci://h.example/app": (
        "oci: names a file or folder; write docker://h.example/app for a registry"
    ),
    "docker-archive:a.tar:": NO_REPOSITORY.format("''"),
    "docker-archive:a.tar:App": NO_REPOSITORY.format("'App'"),
    f"docker-archive:a.tar:app@{DIGEST}": (
        f"a docker-archive names images by tag, not by digest: 'app@{DIGEST}'"
    ),
}


@pytest.mark.parametrize(("text", "expected"), (REGISTRIES | FILES).items())
def test_parse(text: str, expected: Reference) -> None:
    assert parse(text) == expected
    assert parse(str(expected)) == expected


@pytest.mark.parametrize(("text", "message"), REFUSED.items())
def test_refused_in_one_line(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(text)
    assert caught.value.exit_code == 2
    assert caught.value.message == message
    assert caught.value.at == repr(text[:200])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("tag", ["", ".a", "-a", "a b", "a:b", "a/b", "é", "t" * 129, "a\n"])
def test_tags_that_are_none(tag: str) -> None:
    with pytest.raises(UsageError):
        references.with_tag(registry("h.example", "app"), tag)
    with pytest.raises(UsageError):
        parse(f"docker://h.example/app:{tag}")


HOSTS = st.sampled_from(
    ["docker.io", "h.example", "localhost", "h:1", "10.0.0.1:65535", "[::1]:80"]
)
REPOSITORIES = st.from_regex(r"[a-z0-9]+([._-][a-z0-9]+)*(/[a-z0-9]+)?", fullmatch=True).filter(
    lambda name: len(name) < 200
)
TAGS = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}", fullmatch=True)
REFS = st.from_regex(r"[A-Za-z0-9]+((--|[-._:@+/])[A-Za-z0-9]+)*", fullmatch=True)
FOLDERS = st.text(st.characters(exclude_characters=":\0"), min_size=1).filter(
    lambda path: not path.startswith("//")
)


@st.composite
def anything(draw: st.DrawFn) -> Reference:
    transport: Transport = draw(st.sampled_from(get_args(Transport)))
    named = f"{draw(HOSTS)}/{draw(REPOSITORIES)}:{draw(TAGS)}"
    if transport == "docker":
        return parse(f"docker://{named}{draw(st.sampled_from(['', f'@{DIGEST}']))}")
    archive = st.just(references.qualified(named))
    refs = archive if transport == "docker-archive" else REFS
    return Reference(transport=transport, path=draw(FOLDERS), ref=draw(st.none() | refs))


@given(anything())
@settings(max_examples=150, deadline=None)
def test_a_reference_is_what_it_is_written_as(reference: Reference) -> None:
    assert parse(str(reference)) == reference


@given(st.text() | st.text("ab./:@-[]01", max_size=20).map("docker://{}".format))
@settings(max_examples=300, deadline=None)
def test_any_text_is_a_reference_or_a_usage_error(text: str) -> None:
    found = None
    with contextlib.suppress(UsageError):
        found = parse(text)
    if found is not None:
        assert parse(str(found)) == found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("h.example/app:7", "7-debug"),
        (f"h.example/app:7@{DIGEST}", "7-debug"),
        (f"h.example/app:{'t' * 122}", f"{'t' * 122}-debug"),
        ("redis", "latest-debug"),
        ("oci:out:v1", "v1-debug"),
        (f"oci:out:{'v' * 200}", f"{'v' * 200}-debug"),
        ("oci-archive:out.tar:a/b:c", "a/b:c-debug"),
        ("docker-archive:out.tar:h.example:5/app:7", "7-debug"),
    ],
)
def test_debug_tag(text: str, expected: str) -> None:
    reference = parse(text)
    assert references.debug_tag(reference) == expected
    counterpart = references.with_tag(reference, expected)
    assert parse(str(counterpart)) == counterpart
    assert (
        str(counterpart)
        == str(references.with_tag(reference, "old")).removesuffix("old") + expected
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"h.example/app@{DIGEST}", "no tag to name the debug counterpart after"),
        ("oci:out", "no tag to name the debug counterpart after"),
        ("docker-archive:out.tar", "no tag to name the debug counterpart after"),
        (f"h.example/app:{'t' * 123}", "tag too long to add -debug to"),
    ],
)
def test_no_debug_tag(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        references.debug_tag(parse(text))
    assert caught.value.message.endswith("; add --debug-tag TAG or --no-debug")


def test_with_tag_forgets_the_digest() -> None:
    tagged = references.with_tag(parse(f"h.example/app:1@{DIGEST}"), "2")
    assert tagged == registry("h.example", "app", "2")


def test_with_tag_needs_a_name_in_a_docker_archive() -> None:
    with pytest.raises(UsageError, match="no name to put the tag '2' to"):
        references.with_tag(parse("docker-archive:a.tar"), "2")


# -- skopeo --------------------------------------------------------------------------------------

skopeo = pytest.mark.skipif(shutil.which("skopeo") is None, reason="needs skopeo")

# Where careen is stricter than skopeo 1.9, and where it is wider.
STRICTER = {
    "docker://h.example:0/app",  # no such port
    "docker://h.example:65536/app",
    "docker://h_h.example/app",  # skopeo then asks a registry without a name
}
WIDER = {"docker://[::1]/app", "docker://[2001:DB8::1]:5000/app:x"}  # read since skopeo 1.12


def _refused_name(text: str) -> bool:
    """Whether skopeo refuses the name itself; nothing is asked of the network."""
    done = subprocess.run(
        ["skopeo", "inspect", "--raw", text], capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    return "no such file" not in done.stderr


@skopeo
def test_skopeo_takes_and_refuses_the_same_names() -> None:
    """Its docker-archive reads NAME:TAG by the grammar of docker://, and then finds no file."""
    accepted = [text for text, found in REGISTRIES.items() if found.digest is None]
    for text in accepted:
        if text.startswith("docker://") and text not in WIDER:
            assert not _refused_name(f"docker-archive:/nonexistent:{text[9:]}"), text
    for text in REFUSED:
        if text.startswith("docker://") and text not in STRICTER and "\0" not in text:
            assert _refused_name(f"docker-archive:/nonexistent:{text[9:]}"), text


@skopeo
def test_skopeo_takes_and_refuses_the_same_refs() -> None:
    for ref in ["v1", "App/X:1@y+z--q", "a:b", "a--b"]:
        assert not _refused_name(f"oci:/nonexistent:{ref}")
        parse(f"oci:/nonexistent:{ref}")
    for ref in ["a b", "-a", "a/", "é", "a---b", "a..b", "/a"]:
        assert _refused_name(f"oci:/nonexistent:{ref}")
        with pytest.raises(UsageError):
            parse(f"oci:/nonexistent:{ref}")
