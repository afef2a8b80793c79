"""The one door to the network: retries, redirects, TLS, and nothing beside it."""

from __future__ import annotations

import contextlib
import inspect
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import oras.auth
import oras.provider
import pytest
import requests

from careen.errors import CareenError, RegistryError, UsageError
from careen.formats import digest as digests
from careen.oci import media_type as media_types
from careen.transport.access import Access
from careen.transport.registry import CareenRegistry
from careen.transport.repository import Repository
from tests.transport.common import (
    ADA,
    BLOB,
    HASTY,
    Naps,
    described,
)
from tests.transport.registry_simulator import (
    Fault,
    Handler,
    Login,
    Simulator,
    hang_up,
    redirect,
    status,
)


def _calls_of_oras() -> dict[str, Callable[[CareenRegistry, Path], object]]:
    layer = {"digest": digests.of(b"x"), "size": 1, "mediaType": "x"}
    return {
        "blob_exists": lambda client, _: client.blob_exists(layer, client.container),
        "get_tags": lambda client, _: client.get_tags(client.container),
        "get_blob": lambda client, _: client.get_blob(client.container, layer["digest"]),
        "get_manifest": lambda client, _: client.get_manifest(client.container),
        "delete_tag": lambda client, _: client.delete_tag(client.container, "v1"),
        "download_blob": lambda client, path: client.download_blob(
            client.container, layer["digest"], str(path / "out")
        ),
        "put_upload": lambda client, path: client.put_upload(
            str(path / "file"), client.container, layer
        ),
        "chunked_upload": lambda client, path: client.chunked_upload(
            str(path / "file"), client.container, layer
        ),
        "upload_manifest": lambda client, _: client.upload_manifest(
            {"schemaVersion": 2, "config": layer, "layers": []}, client.container
        ),
        "push": lambda client, path: client.push(
            str(client.container), files=[str(path / "file")], disable_path_validation=True
        ),
        "pull": lambda client, path: client.pull(str(client.container), outdir=str(path)),
    }


@pytest.mark.parametrize("name", _calls_of_oras())
def test_oras_never_goes_past_the_door(
    name: str, simulator: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever oras sends goes through do_request, and nothing goes through requests beside it."""
    (tmp_path / "file").write_bytes(b"x")
    monkeypatch.setenv("HOME", str(tmp_path))
    simulator.add_blob(b"x")
    simulator.add_manifest(b'{"layers": []}', media_types.OCI_MANIFEST, "v1")
    simulator.add_manifest(b'{"layers": []}', media_types.OCI_MANIFEST, "latest")
    inside, through_the_door, beside = threading.local(), list[str](), list[str]()
    real_door, real_send = CareenRegistry.do_request, requests.adapters.HTTPAdapter.send

    def door(self: CareenRegistry, url: str, *args: Any, **options: Any) -> Any:
        through_the_door.append(url)
        inside.now = True
        try:
            return real_door(self, url, *args, **options)
        finally:
            inside.now = False

    def send(self: Any, request: Any, **options: Any) -> Any:
        if not getattr(inside, "now", False):
            beside.append(request.url)
        return real_send(self, request, **options)

    monkeypatch.setattr(CareenRegistry, "do_request", door)
    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", send)
    client = CareenRegistry(
        simulator.host, "a/b", Access(timeouts=HASTY), scheme="http", sleep=Naps()
    )
    # What oras makes of the answer is its own affair.
    with contextlib.suppress(CareenError, ValueError, KeyError, RuntimeError):
        _calls_of_oras()[name](client, tmp_path)
    client.close()
    assert through_the_door, "the method sent nothing, so this test shows nothing"
    assert beside == []


def test_every_method_of_oras_that_asks_the_network_is_known() -> None:
    """A method that is new in oras, or asks in a new way, must be looked at."""
    sends = re.compile(r"do_request\(|session\.[a-z]+\(|requests\.[a-z]+\(")
    asks = {
        name
        for name, method in inspect.getmembers(oras.provider.Registry, inspect.isfunction)
        if sends.search(inspect.getsource(method))
    }
    behind_the_others = {"__init__", "do_request", "_do_paginated_request"}
    assert asks - behind_the_others <= set(_calls_of_oras())


def test_a_request_beside_the_door_cannot_leave(simulator: Simulator) -> None:
    client = CareenRegistry(simulator.host, "a/b", Access(), scheme="http")
    with pytest.raises(requests.exceptions.InvalidSchema):
        client.session.get(simulator.url)
    with pytest.raises(requests.exceptions.InvalidSchema):
        client.auth.session.get(simulator.url)
    assert simulator.seen == []


def test_offline_sends_nothing(simulator: Simulator) -> None:
    with (
        Repository(simulator.host, "a/b", Access(offline=True)) as repository,
        pytest.raises(UsageError, match="--offline"),
    ):
        repository.tags()
    assert simulator.seen == []


@pytest.mark.parametrize("code", [408, 429, 500, 502, 503, 504, 522])
def test_what_may_pass_is_tried_again(
    simulator: Simulator, repository: Repository, naps: Naps, code: int
) -> None:
    digest = simulator.add_manifest(b"{}", media_types.OCI_MANIFEST, "v1")
    simulator.fault("HEAD", "/manifests/", status(code), times=4)
    assert repository.has_manifest("v1") == digest
    assert len(naps) == 4
    assert all(low / 2 <= nap <= low for nap, low in zip(naps, (0.5, 1, 2, 4), strict=True))


def test_it_is_not_tried_for_ever(simulator: Simulator, repository: Repository) -> None:
    simulator.fault("GET", "/manifests/", status(503), times=99)
    with pytest.raises(RegistryError, match=r"503 .*\(5 attempts\)"):
        repository.manifest("v1")
    assert len(simulator.asked("GET", "/manifests/")) == 5


@pytest.mark.parametrize("code", [400, 405, 501])
def test_what_will_not_pass_is_not(simulator: Simulator, repository: Repository, code: int) -> None:
    simulator.fault("GET", "/manifests/", status(code), times=99)
    with pytest.raises(RegistryError, match=str(code)):
        repository.manifest("v1")
    assert len(simulator.asked("GET", "/manifests/")) == 1


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Retry-After": "3"}, 3.0),
        ({"Retry-After": "0"}, 0.0),
        ({"Retry-After": "99999999999999999999"}, 7.0),
        (
            {
                "Retry-After": "Wed, 21 Oct 2015 07:28:05 GMT",
                "Date": "Wed, 21 Oct 2015 07:28:00 GMT",
            },
            5.0,
        ),
        ({"Retry-After": "Wed, 21 Oct 2015 07:28:05 GMT"}, 0.0),
        ({"Retry-After": "Fri, 31 Dec 9999 23:59:59 GMT"}, 7.0),
    ],
)
def test_retry_after_is_honoured_up_to_a_cap(
    simulator: Simulator,
    repository: Repository,
    naps: Naps,
    headers: dict[str, str],
    expected: float,
) -> None:
    def overloaded(handler: Handler) -> None:
        handler.send_response_only(429)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    simulator.add_manifest(b"{}", media_types.OCI_MANIFEST, "v1")
    simulator.fault("HEAD", "/manifests/", overloaded)
    repository.has_manifest("v1")
    assert naps == [expected]


@pytest.mark.parametrize("text", ["-1", "soon", "1.5", "", "²"])
def test_a_senseless_retry_after_is_as_none(
    simulator: Simulator, repository: Repository, naps: Naps, text: str
) -> None:
    simulator.add_manifest(b"{}", media_types.OCI_MANIFEST, "v1")
    encoded = text.encode().decode("latin-1")
    simulator.fault("HEAD", "/manifests/", status(429, {"Retry-After": encoded}))
    repository.has_manifest("v1")
    assert 0.25 <= naps[0] <= 0.5


def test_a_lost_connection_is_made_again(simulator: Simulator, repository: Repository) -> None:
    digest = simulator.add_manifest(b"{}", media_types.OCI_MANIFEST, "v1")
    simulator.fault("HEAD", "/manifests/", hang_up, times=3)
    assert repository.has_manifest("v1") == digest


@pytest.mark.parametrize("host", ["127.0.0.1:1", "registry.invalid"])
def test_a_registry_that_is_not_there(host: str, naps: Naps) -> None:
    with (
        Repository(host, "a/b", Access(), sleep=naps) as repository,
        pytest.raises(RegistryError, match=host) as raised,
    ):
        repository.manifest("v1")
    assert "check" in str(raised.value)
    assert len(naps) == 2
    assert sum(naps) < 1


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_a_redirect_is_followed_without_the_login(
    simulator: Simulator, naps: Naps, code: int
) -> None:
    simulator.login = Login(scheme="Basic", user="ada", password=ADA.password)
    with (
        Simulator() as store,
        Repository(simulator.host, "a/b", Access(credentials=ADA), sleep=naps) as repository,
    ):
        store.add_blob(BLOB)
        target = f"{store.url}/v2/a/b/blobs/{described(BLOB).digest}?signature=1"
        simulator.fault("GET", "/blobs/", redirect(target, code), after=1)
        assert b"".join(repository.blob(described(BLOB))) == BLOB
        assert simulator.seen[-1].authorization.startswith("Basic ")
        assert [seen.authorization for seen in store.asked("GET", "signature")] == [""]


def test_a_challenge_from_another_host_is_not_answered(simulator: Simulator, naps: Naps) -> None:
    with Simulator() as store:
        store.login = Login(scheme="Basic", user="ada", password=ADA.password)
        store.add_blob(BLOB)
        target = f"{store.url}/v2/a/b/blobs/{described(BLOB).digest}"
        simulator.fault("GET", "/blobs/", redirect(target))
        with (
            Repository(simulator.host, "a/b", Access(credentials=ADA), sleep=naps) as repository,
            pytest.raises(RegistryError, match="401"),
        ):
            list(repository.blob(described(BLOB)))
        assert {seen.authorization for seen in store.seen} == {""}


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("/v2/a/b/manifests/v1", "in a circle"),
        ("http://[fe80::1]/x", "an address of this machine or its cloud"),
        ("http://169.254.169.254/latest", "an address of this machine or its cloud"),
        ("https://0xa9fea9fe/latest", "an address of this machine or its cloud"),
        ("http://registry.example/x", "not https"),
        ("file:///etc/passwd", "not an http or https URL"),
        ("http://[broken", "redirects to no URL"),
    ],
)
def test_redirects_that_are_refused(
    simulator: Simulator, repository: Repository, target: str, said: str
) -> None:
    simulator.fault("GET", "/manifests/", redirect(target), times=99)
    with pytest.raises(RegistryError, match=said):
        repository.manifest("v1")


def test_redirects_have_an_end(simulator: Simulator, repository: Repository) -> None:
    def onward(handler: Handler) -> None:
        handler.answer(302, {"Location": f"{handler.path}x"})

    simulator.fault("GET", "/manifests/", onward, times=99)
    with pytest.raises(RegistryError, match="in a circle"):
        repository.manifest("v1")
    assert len(simulator.asked("GET", "/manifests/")) == 11


def test_a_redirected_write_is_sent_whole_or_not_at_all(
    simulator: Simulator, repository: Repository
) -> None:
    def elsewhere(code: int) -> Fault:
        return lambda handler: handler.answer(code, {"Location": f"{handler.path}#x"})

    simulator.fault("PUT", "/manifests/", elsewhere(301))
    with pytest.raises(RegistryError, match="would drop what is sent"):
        repository.push_manifest("v1", b"{}", media_types.OCI_MANIFEST)
    assert len(simulator.asked("PUT")) == 1


def test_tls(certificate: tuple[Path, Path], naps: Naps) -> None:
    with Simulator(certificate=certificate) as secure:
        digest = secure.add_manifest(b"{}", media_types.OCI_MANIFEST, "v1")
        in_environment = {"SSL_CERT_FILE": str(certificate[0])}
        for access in (
            Access(tls_verify=str(certificate[0])),
            Access(environ=in_environment),
            Access(tls_verify=False),
        ):
            with Repository(secure.host, "a/b", access) as repository:
                assert repository.has_manifest("v1") == digest
        seen = len(secure.seen)
        with (
            Repository(secure.host, "a/b", Access(), sleep=naps) as repository,
            pytest.raises(RegistryError, match=r"certificate .* is not trusted.*--no-tls-verify"),
        ):
            repository.has_manifest("v1")
        assert len(secure.seen) == seen
        assert naps == []


def test_a_redirect_never_leaves_tls(certificate: tuple[Path, Path]) -> None:
    access = Access(tls_verify=str(certificate[0]))
    with Simulator(certificate=certificate) as secure, Simulator() as plain:
        plain.add_manifest(b"{}", media_types.OCI_MANIFEST, "v1")
        secure.fault("GET", "/manifests/", redirect(f"{plain.url}/v2/a/b/manifests/v1"))
        with (
            Repository(secure.host, "a/b", access) as repository,
            pytest.raises(RegistryError, match="leaves https"),
        ):
            repository.manifest("v1")
        assert plain.seen == []


def test_the_proxy_of_the_environment_is_asked(simulator: Simulator, naps: Naps) -> None:
    environ = {"HTTPS_PROXY": simulator.url, "NO_PROXY": "other.example"}
    simulator.fault("CONNECT", "registry.example:443", status(502), times=9)
    with (
        Repository("registry.example", "a", Access(environ=environ), sleep=naps) as repository,
        pytest.raises(RegistryError, match=r"the proxy for registry\.example"),
    ):
        repository.manifest("v1")
    assert {seen.path for seen in simulator.seen} == {"registry.example:443"}
