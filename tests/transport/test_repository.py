"""Manifests, blobs and tags: against a real registry, and against one that does all wrong."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

from careen.errors import FormatError, RegistryError, SourceError, UsageError
from careen.formats import digest as digests
from careen.oci import media_type as media_types
from careen.oci.descriptor import Descriptor
from careen.transport.access import Access, Credentials
from careen.transport.registry import CareenRegistry
from careen.transport.repository import Repository
from tests.registries import RunningRegistry
from tests.transport.common import (
    ADA,
    BLOB,
    HTML,
    an_image,
    described,
    push,
    push_image,
    run,
)
from tests.transport.registry_simulator import (
    Fault,
    Simulator,
    before_body,
    chunked,
    cut_after,
    dribble,
    hang_up,
    serve_then_hang_up,
    status,
    whole_in_spite_of_range,
)


def _must_not_open() -> io.BytesIO:
    raise AssertionError("a blob that is there was opened to be sent")


def test_skopeo_sees_what_was_pushed(registry: RunningRegistry, tmp_path: Path) -> None:
    with Repository(registry.host, "pushed/here", Access()) as repository:
        manifest = push_image(repository, "v1")
        assert repository.manifest("v1") == (manifest, media_types.OCI_MANIFEST)
        assert repository.tags() == ["v1"]
        assert repository.has_manifest("v1") == digests.of(manifest)
        assert repository.has_manifest("v2") is None
    name = f"docker://{registry.host}/pushed/here:v1"
    assert run("skopeo", "inspect", "--raw", "--tls-verify=false", name) == manifest
    run("skopeo", "copy", "--src-tls-verify=false", name, f"dir:{tmp_path}/copy")
    assert (tmp_path / "copy/manifest.json").read_bytes() == manifest


def test_what_skopeo_pushed_comes_back(registry: RunningRegistry, tmp_path: Path) -> None:
    manifest, config, layer = an_image("by skopeo")
    (tmp_path / "manifest.json").write_bytes(manifest)
    (tmp_path / "version").write_text("Directory Transport Version: 1.1\n")
    for blob in (config, layer):
        (tmp_path / hashlib.sha256(blob).hexdigest()).write_bytes(blob)
    target = f"docker://{registry.host}/by.skopeo/x:1"
    run("skopeo", "copy", "--dest-tls-verify=false", f"dir:{tmp_path}", target)
    with Repository(registry.host, "by.skopeo/x", Access()) as repository:
        assert repository.manifest("1") == (manifest, media_types.OCI_MANIFEST)
        assert b"".join(repository.blob(described(layer))) == layer


def test_a_blob_is_sent_once_and_mounted_elsewhere(registry: RunningRegistry) -> None:
    data, sent = os.urandom(300_000), list[int]()
    with Repository(registry.host, "one", Access()) as one:
        assert one.push_blob(described(data), lambda: io.BytesIO(data), on_bytes=sent.append)
        assert not one.push_blob(described(data), _must_not_open)
    assert sum(sent) == len(data)
    with Repository(registry.host, "two", Access()) as two:
        assert not two.has_blob(described(data))
        assert two.mount_blob(described(data), "one")
        assert two.has_blob(described(data))
        assert not two.mount_blob(described(b"nobody has this"), "one")


def test_the_empty_blob(registry: RunningRegistry) -> None:
    with Repository(registry.host, "empty", Access()) as repository:
        assert repository.push_blob(described(b""), lambda: io.BytesIO(b""))
        assert repository.has_blob(described(b""))
        assert list(repository.blob(described(b""))) == []


def test_a_wrong_digest_is_not_taken(registry: RunningRegistry) -> None:
    with Repository(registry.host, "wrong", Access()) as repository:
        with pytest.raises(RegistryError, match="DIGEST_INVALID"):
            repository.push_blob(described(b"one"), lambda: io.BytesIO(b"two"))
        assert not repository.has_blob(described(b"one"))


@pytest.mark.parametrize("ask", ["manifest", "blob", "tags"])
def test_what_is_not_there_is_a_missing_source(registry: RunningRegistry, ask: str) -> None:
    asks: dict[str, Callable[[Repository], object]] = {
        "manifest": lambda repository: repository.manifest("latest"),
        "blob": lambda repository: list(repository.blob(described(b"x"))),
        "tags": lambda repository: repository.tags(),
    }
    with Repository(registry.host, "absent", Access()) as repository, pytest.raises(SourceError):
        asks[ask](repository)


def test_basic_login(registry_with_login: RunningRegistry, tmp_path: Path) -> None:
    host = registry_with_login.host
    with Repository(host, "a", Access(credentials=ADA)) as repository:
        manifest = push_image(repository, "v1")
    login = f"--creds={ADA.username}:{ADA.password}"
    name = f"docker://{host}/a:v1"
    assert run("skopeo", "inspect", "--raw", "--tls-verify=false", login, name) == manifest
    authfile = tmp_path / "auth.json"
    run("skopeo", "login", f"--authfile={authfile}", "--tls-verify=false", "-u", "ada",
        "-p", ADA.password, host)  # fmt: skip
    with Repository(host, "a", Access(authfile=authfile)) as repository:
        assert repository.manifest("v1")[0] == manifest


@pytest.mark.parametrize(
    ("access", "said"),
    [
        (Access(), "no credentials were sent"),
        (Access(credentials=Credentials(username="eve", password="x")), "logged in as eve"),
    ],
)
def test_who_is_not_let_in_is_told_why(
    registry_with_login: RunningRegistry, access: Access, said: str
) -> None:
    with (
        Repository(registry_with_login.host, "a", access) as repository,
        pytest.raises(RegistryError, match=said),
    ):
        repository.manifest("v1")


def test_memory_stays_flat(registry: RunningRegistry, tmp_path: Path) -> None:
    """200 MiB go up and come down in a process of their own, whose peak is looked at."""
    source = tmp_path / "blob"
    with source.open("wb") as out:
        out.truncate(200 << 20)
    program = """if True:
        import hashlib, resource, sys
        from careen.oci.descriptor import Descriptor
        from careen.transport.access import Access
        from careen.transport.repository import Repository
        host, path = sys.argv[1:]
        with open(path, "rb") as blob:
            digest = "sha256:" + hashlib.file_digest(blob, "sha256").hexdigest()
        descriptor = Descriptor(media_type="x", digest=digest, size=200 << 20)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with Repository(host, "large", Access()) as repository:
            repository.push_blob(descriptor, lambda: open(path, "rb"))
            assert sum(map(len, repository.blob(descriptor))) == descriptor.size
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    """
    grown = int(run(sys.executable, "-c", program, registry.host, str(source)))
    assert grown < 40 << 10  # KiB


@pytest.mark.parametrize(
    "fault",
    [
        cut_after(1_500_000),
        cut_after(1_500_000, length=""),
        cut_after(0),
        hang_up,
        status(503),
    ],
    ids=["short body", "short body without a length", "no body", "reset", "503"],
)
def test_a_broken_download_goes_on_where_it_was(
    simulator: Simulator, repository: Repository, fault: Fault
) -> None:
    simulator.add_blob(BLOB)
    simulator.fault("GET", "/blobs/", fault, times=3)
    counted = list[int]()
    assert b"".join(repository.blob(described(BLOB), on_bytes=counted.append)) == BLOB
    assert sum(counted) == len(BLOB)


def test_only_the_rest_is_asked_for(simulator: Simulator, repository: Repository) -> None:
    simulator.add_blob(BLOB)
    simulator.fault("GET", "/blobs/", cut_after(1_500_000), times=2)
    assert b"".join(repository.blob(described(BLOB))) == BLOB
    ranges = [seen.headers.get("range") for seen in simulator.asked("GET", "/blobs/")]
    assert ranges == [None, "bytes=1500000-", "bytes=3000000-"]


def test_a_server_may_ignore_the_range(simulator: Simulator, repository: Repository) -> None:
    simulator.add_blob(BLOB)
    simulator.fault("GET", "/blobs/", cut_after(1_500_000))
    simulator.fault("GET", "/blobs/", whole_in_spite_of_range)
    assert b"".join(repository.blob(described(BLOB))) == BLOB


@pytest.mark.parametrize("span", ["bytes 0-4/5", "bytes 1500000-9/7", "lines 1-2/3", ""])
def test_other_bytes_than_asked_for_are_refused(
    simulator: Simulator, repository: Repository, span: str
) -> None:
    simulator.add_blob(BLOB)
    simulator.fault("GET", "/blobs/", cut_after(1_500_000))
    simulator.fault("GET", "/blobs/", status(206, {"Content-Range": span}, b"x"), times=9)
    with pytest.raises(RegistryError, match="other bytes"):
        list(repository.blob(described(BLOB)))


def test_a_download_that_never_gets_on_ends(simulator: Simulator, repository: Repository) -> None:
    simulator.add_blob(BLOB)
    simulator.fault("GET", "/blobs/", cut_after(10), times=10_000)
    with pytest.raises(RegistryError, match="5 attempts"):
        list(repository.blob(described(BLOB)))
    assert len(simulator.asked("GET", "/blobs/")) == 5


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (status(200, {}, b"x" * len(BLOB)), "its bytes have the digest sha256:"),
        (status(200, {}, BLOB + b"x"), f"an answer of {len(BLOB) + 1} bytes"),
        (status(200, {}, BLOB[:-1]), f"an answer of {len(BLOB) - 1} bytes"),
        (
            lambda handler: chunked(handler, BLOB + b"more"),
            f"longer than {len(BLOB)} bytes",
        ),
    ],
    ids=["other bytes", "more", "less", "more, length unknown"],
)
def test_a_blob_that_is_another_is_refused(
    simulator: Simulator, repository: Repository, answer: Fault, said: str
) -> None:
    simulator.fault("GET", "/blobs/", answer, times=99)
    with pytest.raises(FormatError, match=said):
        list(repository.blob(described(BLOB)))


def test_a_chunked_answer(simulator: Simulator, repository: Repository) -> None:
    simulator.fault("GET", "/blobs/", lambda handler: chunked(handler, BLOB))
    assert b"".join(repository.blob(described(BLOB))) == BLOB


def test_content_encoding_is_not_undone(simulator: Simulator, repository: Repository) -> None:
    packed = gzip.compress(BLOB)
    headers = {"Content-Encoding": "gzip"}
    simulator.fault("GET", "/blobs/", status(200, headers, packed), times=2)
    assert b"".join(repository.blob(described(packed))) == packed
    assert {seen.headers["accept-encoding"] for seen in simulator.seen} == {"identity"}
    simulator.fault("GET", "/manifests/", status(200, headers, gzip.compress(b"{}")))
    with pytest.raises(RegistryError, match="Content-Encoding gzip"):
        repository.manifest("v1")


def test_a_web_page_is_no_registry(simulator: Simulator, repository: Repository) -> None:
    for method in ("GET", "HEAD", "POST"):
        page = status(200, {"Content-Type": "text/html; charset=utf-8"}, HTML)
        simulator.fault(method, "/v2/a/b", page, times=99)
    asks: list[Callable[[], object]] = [
        lambda: repository.manifest("v1"),
        lambda: repository.has_manifest("v1"),
        lambda: repository.has_blob(described(BLOB)),
        lambda: list(repository.blob(described(BLOB))),
        repository.tags,
        lambda: repository.mount_blob(described(BLOB), "c"),
    ]
    for ask in asks:
        with pytest.raises(RegistryError, match="a web page"):
            ask()


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nX-Slow: ",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5120000\r\n\r\n",
    ],
    ids=["status line", "header", "body"],
)
def test_a_peer_that_dribbles_is_left(
    simulator: Simulator, repository: Repository, head: bytes
) -> None:
    simulator.add_blob(BLOB)
    simulator.fault("GET", "/blobs/", dribble(head))
    if b"\r\n\r\n" in head:  # its bytes are wrong ones, so the digest refuses them in the end
        with pytest.raises(FormatError):
            list(repository.blob(described(BLOB)))
    else:
        assert b"".join(repository.blob(described(BLOB))) == BLOB
    assert len(simulator.asked("GET", "/blobs/")) == 2
    assert simulator.dribbled < 200  # it would have gone on to 400


def test_half_a_header_says_nothing(simulator: Simulator, repository: Repository) -> None:
    simulator.fault("HEAD", "/blobs/", dribble(b"HTTP/1.1 200 OK\r\nX-Slow: "))
    assert not repository.has_blob(described(BLOB))


def test_a_manifest_is_checked_against_its_digest(
    simulator: Simulator, repository: Repository
) -> None:
    digest = digests.of(b"{}")
    simulator.fault(
        "GET", "/manifests/", status(200, {"Content-Type": media_types.OCI_MANIFEST}, b'{"a": 1}')
    )
    with pytest.raises(FormatError, match="its bytes have the digest"):
        repository.manifest(digest)


@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_a_digest_that_the_registry_gets_wrong(
    simulator: Simulator, repository: Repository, method: str
) -> None:
    headers = {"Content-Type": media_types.OCI_MANIFEST, "Docker-Content-Digest": digests.of(b"")}
    code = 200 if method == "GET" else 201
    simulator.fault(method, "/manifests/", status(code, headers, b"{}" if code == 200 else b""))
    asks: dict[str, Callable[[], object]] = {
        "GET": lambda: repository.manifest("v1"),
        "PUT": lambda: repository.push_manifest("v1", b"{}", media_types.OCI_MANIFEST),
    }
    with pytest.raises(RegistryError, match="the registry says the digest is"):
        asks[method]()


def test_a_missing_digest_is_computed(simulator: Simulator, repository: Repository) -> None:
    for method in ("GET", "HEAD"):
        headers = {"Content-Type": media_types.OCI_MANIFEST}
        simulator.fault(method, "/manifests/", status(200, headers, b"{}"))
    assert repository.has_manifest("v1") == digests.of(b"{}")


def test_a_sha512_digest_is_checked_as_one(simulator: Simulator, repository: Repository) -> None:
    right = f"sha512:{hashlib.sha512(b'{}').hexdigest()}"
    headers = {"Content-Type": media_types.OCI_MANIFEST, "Docker-Content-Digest": right}
    simulator.fault("GET", "/manifests/", status(200, headers, b"{}"))
    assert repository.manifest(right)[0] == b"{}"


@pytest.mark.parametrize(
    ("kind", "raw", "expected"),
    [
        (media_types.DOCKER_INDEX, b"{}", media_types.DOCKER_INDEX),
        (f"{media_types.OCI_INDEX}; charset=utf-8", b"{}", media_types.OCI_INDEX),
        (
            "application/json",
            b'{"mediaType": "%s"}' % media_types.OCI_MANIFEST.encode(),
            media_types.OCI_MANIFEST,
        ),
    ],
)
def test_the_media_type(
    simulator: Simulator, repository: Repository, kind: str, raw: bytes, expected: str
) -> None:
    simulator.add_manifest(raw, kind, "v1")
    assert repository.manifest("v1") == (raw, expected)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("text/xml", "not an image manifest or index: 'text/xml'"),
        ("application/json", "not an image manifest or index: 'application/json'"),
        ("application/vnd.docker.distribution.manifest.v1+prettyjws", "schema 1"),
    ],
)
def test_what_is_no_image(
    simulator: Simulator, repository: Repository, kind: str, said: str
) -> None:
    simulator.add_manifest(b"{}", kind, "v1")
    with pytest.raises(FormatError, match=said):
        repository.manifest("v1")


@pytest.mark.parametrize("length_known", [True, False])
def test_a_manifest_has_a_ceiling(
    simulator: Simulator, repository: Repository, length_known: bool
) -> None:
    large = b"{" + b" " * (4 << 20) + b"}"
    answer = status(200, {}, large) if length_known else lambda handler: chunked(handler, large)
    simulator.fault("GET", "/manifests/", answer, times=9)
    with pytest.raises(FormatError, match="over the limit of 4194304"):
        repository.manifest("v1")


def test_what_the_registry_keeps_in_its_location_comes_back(
    simulator: Simulator, repository: Repository
) -> None:
    push(repository)
    (put,) = simulator.asked("PUT")
    assert "?_state=a%2Fb&_empty=&_state=c&digest=sha256%3A" in put.path
    assert put.headers["content-length"] == str(len(BLOB))


@pytest.mark.parametrize(
    ("fault", "puts"),
    [
        (serve_then_hang_up, 1),
        (hang_up, 2),
        (before_body(hang_up), 1),
        (status(503), 2),
        (status(429, {"Retry-After": "1"}), 2),
        (status(404), 2),
        (status(416), 2),
    ],
    ids=["lost answer", "reset", "reset at once", "503", "429", "404", "416"],
)
def test_an_upload_that_failed_in_passing_is_done_again(
    simulator: Simulator, repository: Repository, fault: Fault, puts: int
) -> None:
    simulator.fault("PUT", "/uploads/", fault)
    counted = push(repository)
    assert simulator.blobs["a/b", described(BLOB).digest] == BLOB
    assert len(simulator.asked("PUT")) == puts
    assert sum(counted) == len(BLOB)


def test_digest_invalid_is_final(simulator: Simulator, repository: Repository) -> None:
    with pytest.raises(RegistryError, match="DIGEST_INVALID"):
        repository.push_blob(described(b"one"), lambda: io.BytesIO(b"two"))
    assert len(simulator.asked("PUT")) == 1


def test_a_success_that_is_none_is_found_out(simulator: Simulator, repository: Repository) -> None:
    simulator.fault("PUT", "/uploads/", status(202))
    with pytest.raises(RegistryError, match="202"):
        push(repository)


def test_a_file_that_is_too_short(simulator: Simulator, repository: Repository) -> None:
    descriptor = Descriptor(media_type="x", digest=described(BLOB).digest, size=len(BLOB) + 1)
    with pytest.raises(SourceError, match=f"ends at {len(BLOB)} of"):
        repository.push_blob(descriptor, lambda: io.BytesIO(BLOB))


def test_a_file_that_is_gone(repository: Repository, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="cannot be read"):
        repository.push_blob(described(BLOB), lambda: (tmp_path / "gone").open("rb"))


def test_a_mount_that_begins_an_upload_is_called_off(
    simulator: Simulator, repository: Repository
) -> None:
    assert not repository.mount_blob(described(BLOB), "c/d")
    assert simulator.uploads == set()
    simulator.add_blob(BLOB, "c/d")
    assert repository.mount_blob(described(BLOB), "c/d")


@pytest.mark.parametrize(
    ("location", "said"),
    [
        ("", "missing"),
        ("http://169.254.169.254/latest/x", "an address of this machine or its cloud"),
        ("http://registry.example/x", "not https"),
        ("ftp://127.0.0.1/x", "not an http or https URL"),
        ("http://user@127.0.0.1:1/x", "carries a user name"),
    ],
)
def test_where_an_upload_may_not_go(
    simulator: Simulator, repository: Repository, location: str, said: str
) -> None:
    simulator.fault("POST", "/uploads/", status(202, {"Location": location} if location else {}))
    with pytest.raises(RegistryError, match=said):
        push(repository)


def page(names: list[str], following: str = "") -> Fault:
    headers = {"Link": f'<{following}>; rel="next"'} if following else {}
    return status(200, headers, json.dumps({"name": "a/b", "tags": names}).encode())


def test_tags_come_in_pages(simulator: Simulator, repository: Repository) -> None:
    simulator.fault("GET", "/tags/list", page(["1", "2"], "/v2/a/b/tags/list?n=2&last=2"))
    simulator.fault("GET", "last=2", page(["3"]))
    assert repository.tags() == ["1", "2", "3"]


def test_pages_that_go_round(simulator: Simulator, repository: Repository) -> None:
    simulator.fault("GET", "/tags/list", page(["1"], "/v2/a/b/tags/list"), times=99)
    with pytest.raises(RegistryError, match="in a circle"):
        repository.tags()


@pytest.mark.parametrize("body", [b"[]", b"{", b'{"tags": 5}', b"null"])
def test_a_tag_list_that_is_none(simulator: Simulator, repository: Repository, body: bytes) -> None:
    simulator.fault("GET", "/tags/list", status(200, {}, body))
    with pytest.raises(RegistryError, match="its tag list is not one"):
        repository.tags()


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("registry.example", "../x"),
        ("registry.example", "a//b"),
        ("registry.example", "a?b"),
        ("registry.example", "A"),
        ("registry.example", "a" * 256),
        ("registry.example/x", "a"),
        ("user@registry.example", "a"),
        ("registry.example:port", "a"),
        ("", "a"),
    ],
)
def test_names_that_are_none(host: str, name: str) -> None:
    with pytest.raises(UsageError):
        Repository(host, name, Access())


@pytest.mark.parametrize(
    "reference", ["", "../x", "a/b", "-a", "a b", "a" * 129, "sha256:../x", "md5:1"]
)
def test_references_that_are_none(
    simulator: Simulator, repository: Repository, reference: str
) -> None:
    with pytest.raises((UsageError, FormatError)):
        repository.manifest(reference)
    assert simulator.asked("GET", "/manifests/") == []


@pytest.mark.parametrize(
    ("host", "name", "url"),
    [
        ("docker.io", "redis", "https://registry-1.docker.io/v2/library/redis/manifests/7"),
        ("docker.io", "a/b", "https://registry-1.docker.io/v2/a/b/manifests/7"),
        ("localhost.example", "x.y/z", "https://localhost.example/v2/x.y/z/manifests/7"),
        ("registry", "x", "https://registry/v2/x/manifests/7"),
        ("[2001:db8::1]:5000", "x", "https://[2001:db8::1]:5000/v2/x/manifests/7"),
    ],
)
def test_where_a_repository_is_asked(
    monkeypatch: pytest.MonkeyPatch, host: str, name: str, url: str
) -> None:
    asked = list[str]()

    def door(self: CareenRegistry, url: str, *_: Any, **__: Any) -> requests.Response:
        asked.append(url)
        raise RegistryError("enough")

    monkeypatch.setattr(CareenRegistry, "do_request", door)
    with Repository(host, name, Access()) as repository, pytest.raises(RegistryError):
        repository.manifest("7")
    assert asked == [url]
