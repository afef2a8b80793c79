"""Logins: who is told which credentials and tokens, and for how long they serve."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from careen.errors import RegistryError
from careen.formats import digest as digests
from careen.oci import media_type as media_types
from careen.transport.access import Access, Credentials
from careen.transport.registry import CareenRegistry
from careen.transport.repository import Repository
from careen.transport.wire import Wire
from tests.transport.common import (
    ADA,
    BLOB,
    HTML,
    Naps,
    described,
    push,
    push_image,
)
from tests.transport.registry_simulator import (
    Fault,
    Login,
    Simulator,
    before_body,
    redirect,
    status,
)


def bearer(simulator: Simulator, **settings: Any) -> Login:
    simulator.login = Login(realm=f"{simulator.url}/token", **settings)
    return simulator.login


def test_an_anonymous_token(simulator: Simulator, repository: Repository) -> None:
    bearer(simulator)
    push_image(repository, "v1")
    asked = [seen.path for seen in simulator.asked("GET", "/token")]
    assert len(asked) == 2  # one to pull, one to push, and each kept
    assert all("service=tests" in path and path.count("scope=") == 1 for path in asked)
    assert {seen.authorization for seen in simulator.asked("GET", "/token")} == {""}


def test_a_token_for_credentials(simulator: Simulator, naps: Naps) -> None:
    bearer(simulator, user="ada", password=ADA.password)
    with Repository(simulator.host, "a/b", Access(credentials=ADA), sleep=naps) as repository:
        push_image(repository, "v1")
    assert all(s.authorization.startswith("Basic ") for s in simulator.asked("GET", "/token"))
    others = [seen for seen in simulator.seen if "/token" not in seen.path]
    assert all(s.authorization.startswith(("Bearer ", "")) for s in others)
    assert not any(s.authorization.startswith("Basic ") for s in others)


def test_a_token_for_an_identity_token(simulator: Simulator, naps: Naps) -> None:
    bearer(simulator, user="nobody", refresh_token="identity")
    access = Access(credentials=Credentials(identity_token="identity"))
    with Repository(simulator.host, "a/b", access, sleep=naps) as repository:
        push_image(repository, "v1")
    asked = simulator.asked("POST", "/token")
    assert len(asked) == 2
    assert b"grant_type=refresh_token" in asked[0].body


def test_an_identity_token_follows_no_redirect(simulator: Simulator, naps: Naps) -> None:
    access = Access(credentials=Credentials(identity_token="identity"))
    login = bearer(simulator, user="nobody", refresh_token="identity")
    with Simulator() as other:
        other.login = login
        simulator.fault("POST", "/token", redirect(f"{other.url}/token", 307))
        with (
            Repository(simulator.host, "a/b", access, sleep=naps) as repository,
            pytest.raises(RegistryError, match="answered 307"),
        ):
            repository.manifest("v1")
        assert other.seen == []


@pytest.mark.parametrize("uses", [1, 2])
def test_a_token_that_expires_mid_push_is_renewed(
    simulator: Simulator, repository: Repository, uses: int
) -> None:
    bearer(simulator, uses=uses)
    push(repository)
    assert simulator.blobs["a/b", described(BLOB).digest] == BLOB


@pytest.mark.parametrize("closing", ["close", "keep-alive"])
def test_a_push_refused_before_it_is_read_is_sent_again(
    simulator: Simulator, repository: Repository, closing: str
) -> None:
    login = bearer(simulator)
    headers = {"WWW-Authenticate": login.challenge("repository:a/b:push"), "Connection": closing}
    simulator.fault("PUT", "/uploads/", before_body(status(401, headers)))
    assert sum(push(repository)) == len(BLOB)
    assert simulator.blobs["a/b", described(BLOB).digest] == BLOB


def test_a_token_is_renewed_before_it_expires(simulator: Simulator, repository: Repository) -> None:
    login = bearer(simulator, expires_in=0.0001)
    simulator.add_manifest(b"{}", media_types.OCI_MANIFEST, "v1")
    for _ in range(3):
        repository.has_manifest("v1")
    assert len(login.tokens) == 3
    refused = [seen for seen in simulator.asked("HEAD") if not seen.authorization]
    assert len(refused) == 1  # the first, which nobody could have known to need one


def test_a_token_is_kept_to_its_repository(simulator: Simulator, naps: Naps) -> None:
    bearer(simulator)
    for name in ("a/b", "c/d"):
        simulator.add_manifest(b"{}", media_types.OCI_MANIFEST, "v1", name)
        with Repository(simulator.host, name, Access(), sleep=naps) as repository:
            assert repository.has_manifest("v1")
    tokens = [seen.authorization for seen in simulator.asked("HEAD") if seen.authorization]
    assert len(set(tokens)) == 2


def test_a_mount_asks_to_read_the_other_repository(
    simulator: Simulator, repository: Repository
) -> None:
    bearer(simulator)
    simulator.add_blob(BLOB, "c/d")
    assert repository.mount_blob(described(BLOB), "c/d")


def test_threads_share_a_token(simulator: Simulator, repository: Repository) -> None:
    login = bearer(simulator)
    simulator.add_blob(BLOB)
    with ThreadPoolExecutor(8) as threads:
        futures = [
            threads.submit(lambda: b"".join(repository.blob(described(BLOB)))) for _ in range(24)
        ]
    assert all(future.result() == BLOB for future in futures)
    assert len(login.tokens) == 1


def test_a_login_goes_to_no_upload_host(simulator: Simulator, naps: Naps) -> None:
    bearer(simulator, user="ada", password=ADA.password)
    with (
        Simulator() as store,
        Repository(simulator.host, "a/b", Access(credentials=ADA), sleep=naps) as repository,
    ):
        location = f"{store.url}/v2/a/b/blobs/uploads/1?_state="
        store.uploads.add(location.removeprefix(store.url))
        simulator.fault("POST", "/uploads/", status(202, {"Location": location}))
        push(repository)
        assert store.blobs["a/b", described(BLOB).digest] == BLOB
        assert [seen.authorization for seen in store.seen] == [""]


@pytest.mark.parametrize(
    ("realm", "said"),
    [
        ("http://169.254.169.254/token", "an address of this machine or its cloud"),
        ("https://169.254.169.254/token", "an address of this machine or its cloud"),
        ("http://auth.example/token", "not https"),
        ("auth.example/token", "not an http or https URL"),
        ("http://ada@127.0.0.1:9/token", "carries a user name"),
    ],
)
def test_realms_that_get_nothing(simulator: Simulator, naps: Naps, realm: str, said: str) -> None:
    simulator.login = Login(realm=realm)
    with (
        Repository(simulator.host, "a/b", Access(credentials=ADA), sleep=naps) as repository,
        pytest.raises(RegistryError, match=said),
    ):
        repository.manifest("v1")


def test_a_remote_registry_names_no_local_realm(certificate: tuple[Path, Path]) -> None:
    """What begins with https does not continue with http, be it on this machine."""
    with Simulator(certificate=certificate) as secure, Simulator() as plain:
        secure.login = Login(realm=f"{plain.url}/token")
        access = Access(tls_verify=str(certificate[0]), credentials=ADA)
        with (
            Repository(secure.host, "a/b", access) as repository,
            pytest.raises(RegistryError, match="leaves https"),
        ):
            repository.manifest("v1")
        assert plain.seen == []


def test_a_realm_that_redirects_keeps_no_login(simulator: Simulator, naps: Naps) -> None:
    login = bearer(simulator, user="ada", password=ADA.password)
    with Simulator() as other:
        other.login = login
        simulator.fault("GET", "/token", redirect(f"{other.url}/token"))
        with (
            Repository(simulator.host, "a/b", Access(credentials=ADA), sleep=naps) as repository,
            pytest.raises(RegistryError, match="its token server says 401"),
        ):
            repository.manifest("v1")
        assert [seen.authorization for seen in other.seen] == [""]


@pytest.mark.parametrize(
    "answer",
    [
        status(200, {}, b"not JSON"),
        status(200, {}, b'{"token": ""}'),
        status(200, {}, b'{"token": "with\\r\\nX-Injected: header"}'),
        status(200, {"Content-Type": "text/html"}, HTML),
        status(404),
    ],
)
def test_a_token_server_that_makes_no_sense(
    simulator: Simulator, repository: Repository, answer: Fault
) -> None:
    bearer(simulator)
    simulator.fault("GET", "/token", answer, times=99)
    with pytest.raises(RegistryError):
        repository.manifest("v1")


def test_a_403_says_what_the_registry_said(simulator: Simulator, repository: Repository) -> None:
    body = json.dumps({"errors": [{"code": "DENIED", "message": "over quota\x1b[31m"}]}).encode()
    simulator.fault("GET", "/manifests/", status(403, {}, body))
    with pytest.raises(RegistryError, match=r"DENIED over quota\\x1b") as raised:
        repository.manifest("v1")
    assert "\x1b" not in str(raised.value)


def test_credentials_do_not_travel_in_the_clear(monkeypatch: pytest.MonkeyPatch) -> None:
    """A registry on another machine, with verification off, speaks http and asks for Basic."""
    sent = list[str]()

    def send(self: Wire, call: Any, url: str, authorization: str = "") -> requests.Response:
        sent.append(authorization)
        response = requests.Response()
        response.status_code, response.url = (200 if authorization else 401), url
        response.headers["WWW-Authenticate"] = "Basic realm=x"
        response.headers["Docker-Content-Digest"] = digests.of(b"")
        response.request = requests.Request(call.method, url).prepare()
        response.raw = _Empty()
        return response

    monkeypatch.setattr(Wire, "send", send)
    for allowed in (False, True):
        access = Access(tls_verify=False, credentials=ADA, allow_http_auth=allowed)
        client = CareenRegistry("registry.example", "a", access, scheme="http")
        url = "http://registry.example/v2/a/manifests/v1"
        if allowed:
            assert client.do_request(url, "HEAD").status_code == 200
        else:
            with pytest.raises(RegistryError, match="not sent in the clear"):
                client.do_request(url, "HEAD")
        client.close()
    assert [text[:6] for text in sent] == ["", "", "Basic "]


class _Empty:
    def read1(self, *_: object, **__: object) -> bytes:
        return b""

    def close(self) -> None:
        pass

    def release_conn(self) -> None:
        pass


def test_netrc_is_not_read(
    simulator: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, naps: Naps
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login eve password x\n")
    monkeypatch.setenv("NETRC", str(netrc))
    bearer(simulator)
    simulator.add_manifest(b"{}", media_types.OCI_MANIFEST, "v1")
    with Repository(simulator.host, "a/b", Access(), sleep=naps) as repository:
        repository.manifest("v1")
    assert not any(seen.authorization.startswith("Basic") for seen in simulator.seen)
