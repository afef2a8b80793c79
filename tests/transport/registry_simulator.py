"""A registry over http.server on 127.0.0.1 that keeps its content in dictionaries and misbehaves
on request.

    with Simulator() as registry:
        digest = registry.add_blob(b"...")
        registry.fault("GET", "/blobs/", status(503), times=2)

Every request is kept in `registry.seen`, headers and all. A fault is a function that is given the
handler and answers in the registry's place; `times` says for how many matching requests.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

Fault = Callable[["Handler"], None]


@dataclass
class Seen:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def authorization(self) -> str:
        return self.headers.get("authorization", "")


@dataclass
class Login:
    """What the registry asks for: Basic, or Bearer with tokens from `realm`, good for `uses`."""

    scheme: str = "Bearer"
    user: str = ""
    password: str = ""
    refresh_token: str = ""
    realm: str = ""
    uses: int = 1_000_000
    expires_in: float | None = None
    tokens: dict[str, list[Any]] = field(default_factory=dict)  # value → [scopes, uses left]

    def challenge(self, scope: str) -> str:
        if self.scheme == "Basic":
            return 'Basic realm="tests"'
        return f'Bearer realm="{self.realm}",service="tests",scope="{scope}"'


class Simulator:
    def __init__(self, *, certificate: tuple[Path, Path] | None = None) -> None:
        self.blobs: dict[tuple[str, str], bytes] = {}
        self.manifests: dict[tuple[str, str], tuple[str, bytes]] = {}
        self.uploads: set[str] = set()
        self.login: Login | None = None
        self.seen: list[Seen] = []
        self.dribbled = 0
        self._faults: list[tuple[str, re.Pattern[str], Fault, list[int]]] = []
        self._server = _Server(("127.0.0.1", 0), Handler)
        self._server.simulator = self
        self._server.tls = None
        if certificate:
            self._server.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._server.tls.load_cert_chain(*certificate)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self._server.server_address[1]}"

    @property
    def url(self) -> str:
        return f"{'https' if self._server.tls else 'http'}://{self.host}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def add_blob(self, data: bytes, repository: str = "a/b") -> str:
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        self.blobs[repository, digest] = data
        return digest

    def add_manifest(self, raw: bytes, media_type: str, tag: str, repository: str = "a/b") -> str:
        digest = f"sha256:{hashlib.sha256(raw).hexdigest()}"
        self.manifests[repository, tag] = self.manifests[repository, digest] = (media_type, raw)
        return digest

    def fault(
        self, method: str, path: str, answer: Fault, *, times: int = 1, after: int = 0
    ) -> None:
        """Let `answer` speak for `times` requests that match, once `after` of them have passed."""
        self._faults.append((method, re.compile(path), answer, [after, times]))

    def fault_for(self, method: str, path: str) -> Fault | None:
        for wanted, pattern, answer, left in self._faults:
            if wanted == method and pattern.search(path) and left[1]:
                if left[0]:
                    left[0] -= 1
                    continue
                left[1] -= 1
                return answer
        return None

    def asked(self, method: str, path: str = "") -> list[Seen]:
        return [seen for seen in self.seen if seen.method == method and path in seen.path]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    simulator: Simulator
    tls: ssl.SSLContext | None

    def finish_request(self, request: Any, client_address: Any) -> None:
        if self.tls is not None:
            request = self.tls.wrap_socket(request, server_side=True)
        try:
            super().finish_request(request, client_address)
        finally:
            request.close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Broken connections are what these tests are about."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    @property
    def simulator(self) -> Simulator:
        return self.server.simulator

    def log_message(self, *_: object) -> None:
        pass

    def handle_any(self) -> None:
        fault = self.simulator.fault_for(self.command, self.path)
        if fault is not None and getattr(fault, "before_body", False):
            self.close_connection = True
            fault(self)
            return
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {key.lower(): value for key, value in self.headers.items()}
        self.simulator.seen.append(Seen(self.command, self.path, headers, body))
        self.body = body
        if fault is not None:
            fault(self)
        elif self.path.startswith("/token"):
            self._token()
        elif self._is_let_in():
            self.serve()

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_CONNECT = handle_any  # noqa: N815

    def answer(self, status: int, headers: dict[str, str] | None = None, body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if "Content-Length" not in (headers or {}):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def refuse(self, status: int, code: str) -> None:
        errors = {"errors": [{"code": code, "message": code.lower().replace("_", " ")}]}
        self.answer(status, {"Content-Type": "application/json"}, json.dumps(errors).encode())

    def serve(self) -> None:
        """The well-behaved answer."""
        parts = urlsplit(self.path)
        match = re.fullmatch(r"/v2/(.+)/(blobs|manifests|tags)/(.*)", parts.path)
        if parts.path == "/v2/":
            self.answer(200)
        elif match is None:
            self.refuse(404, "NAME_UNKNOWN")
        elif match[2] == "tags":
            tags = [
                ref for name, ref in self.simulator.manifests if name == match[1] and ":" not in ref
            ]
            self.answer(200, {}, json.dumps({"name": match[1], "tags": tags}).encode())
        elif match[2] == "manifests":
            self._manifest(match[1], match[3])
        elif match[3].startswith("uploads/"):
            self._upload(match[1], parse_qs(parts.query))
        else:
            self._blob(match[1], match[3])

    def _manifest(self, name: str, reference: str) -> None:
        if self.command == "PUT":
            kind = self.headers["Content-Type"]
            digest = self.simulator.add_manifest(self.body, kind, reference, name)
            self.answer(201, {"Docker-Content-Digest": digest})
            return
        found = self.simulator.manifests.get((name, reference))
        if found is None:
            self.refuse(404, "MANIFEST_UNKNOWN")
            return
        digest = f"sha256:{hashlib.sha256(found[1]).hexdigest()}"
        self.answer(200, {"Content-Type": found[0], "Docker-Content-Digest": digest}, found[1])

    def _blob(self, name: str, digest: str) -> None:
        data = self.simulator.blobs.get((name, digest))
        if data is None:
            self.refuse(404, "BLOB_UNKNOWN")
            return
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if asked and self.command == "GET":
            start = int(asked[1])
            span = f"bytes {start}-{len(data) - 1}/{len(data)}"
            self.answer(206, {"Content-Range": span}, data[start:])
        else:
            self.answer(200, {"Content-Type": "application/octet-stream"}, data)

    def _upload(self, name: str, query: dict[str, list[str]]) -> None:
        simulator = self.simulator
        if self.command == "POST":
            digest, source = query.get("mount", [""])[0], query.get("from", [""])[0]
            if (source, digest) in simulator.blobs:
                simulator.blobs[name, digest] = simulator.blobs[source, digest]
                self.answer(201)
                return
            upload = f"/v2/{name}/blobs/uploads/{len(simulator.seen)}?_state=a%2Fb&_empty=&_state=c"
            simulator.uploads.add(upload)
            self.answer(202, {"Location": upload})
        elif self.command == "DELETE":
            simulator.uploads.discard(self.path)
            self.answer(204)
        else:
            self._commit(name, query["digest"][0])

    def _commit(self, name: str, digest: str) -> None:
        upload = self.path.rpartition("&digest=")[0]
        if upload not in self.simulator.uploads:
            self.refuse(404, "BLOB_UPLOAD_UNKNOWN")
        elif f"sha256:{hashlib.sha256(self.body).hexdigest()}" != digest:
            self.refuse(400, "DIGEST_INVALID")
        else:
            self.simulator.blobs[name, digest] = self.body
            self.answer(201)

    def _is_let_in(self) -> bool:
        """Whether the request carries what `login` asks for; answers 401 when it does not."""
        login = self.simulator.login
        if login is None:
            return True
        scheme, _, value = self.headers.get("Authorization", "").partition(" ")
        scope = self._needed()
        if login.scheme == "Basic":
            if (
                scheme == "Basic"
                and base64.b64decode(value).decode() == f"{login.user}:{login.password}"
            ):
                return True
        elif scheme == "Bearer" and value in login.tokens:
            held = login.tokens[value]
            covered = all(_covers(held[0], wanted) for wanted in scope.split())
            if covered and held[1] > 0:
                held[1] -= 1
                return True
        self.answer(401, {"WWW-Authenticate": login.challenge(scope)})
        return False

    def _needed(self) -> str:
        parts = urlsplit(self.path)
        name = re.sub(r"^/v2/(.+)/(blobs|manifests|tags)/.*", r"\1", parts.path)
        action = "pull" if self.command in ("GET", "HEAD") else "pull,push"
        other = parse_qs(parts.query).get("from", [])
        return " ".join([f"repository:{name}:{action}", *(f"repository:{o}:pull" for o in other)])

    def _token(self) -> None:
        """token.md's GET, and oauth.md's POST."""
        login = self.simulator.login
        assert login is not None
        query = parse_qs(
            self.body.decode() if self.command == "POST" else urlsplit(self.path).query
        )
        expected = base64.b64encode(f"{login.user}:{login.password}".encode()).decode()
        if self.command == "POST":
            let_in = query.get("refresh_token") == [login.refresh_token]
        else:
            let_in = not login.user or self.headers.get("Authorization") == f"Basic {expected}"
        if not let_in:
            self.refuse(401, "UNAUTHORIZED")
            return
        scopes = [scope for value in query.get("scope", []) for scope in value.split()]
        value = f"token-{len(login.tokens)}"
        login.tokens[value] = [scopes, login.uses]
        answer: dict[str, Any] = {"token": value}
        if login.expires_in is not None:
            answer["expires_in"] = login.expires_in
        self.answer(200, {"Content-Type": "application/json"}, json.dumps(answer).encode())


def _covers(held: list[str], wanted: str) -> bool:
    resource, _, actions = wanted.rpartition(":")
    for scope in held:
        other, _, allowed = scope.rpartition(":")
        if other == resource and set(actions.split(",")) <= set(allowed.split(",")):
            return True
    return False


# Faults


def status(code: int, headers: dict[str, str] | None = None, body: bytes = b"") -> Fault:
    """Answer with this and nothing else."""
    return lambda handler: handler.answer(code, headers, body)


def redirect(url: str, code: int = 307) -> Fault:
    return status(code, {"Location": url})


def chunked(handler: Handler, data: bytes) -> None:
    """The data without a length."""
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    for start in range(0, len(data), 100_000):
        piece = data[start : start + 100_000]
        handler.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
    handler.wfile.write(b"0\r\n\r\n")


def hang_up(handler: Handler) -> None:
    """Close the connection without a word, with a reset."""
    linger = b"\1\0\0\0\0\0\0\0"
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    handler.close_connection = True
    handler.connection.close()


def serve_then_hang_up(handler: Handler) -> None:
    """Do what is asked, and lose the answer."""
    real = handler.wfile
    handler.wfile = _Nowhere()  # type: ignore[assignment]
    try:
        handler.serve()
    finally:
        handler.wfile = real
    hang_up(handler)


def cut_after(count: int, **extra: str) -> Fault:
    """The right header, then `count` bytes of the body, then the end of the connection."""

    def answer(handler: Handler) -> None:
        data = handler.simulator.blobs[_blob_key(handler.path)]
        asked = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", ""))
        start = int(asked[1]) if asked else 0
        length = extra.get("length", str(len(data) - start))
        handler.send_response(206 if asked else 200)
        if asked:
            handler.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        if length:
            handler.send_header("Content-Length", length)
        else:
            handler.send_header("Connection", "close")
        handler.end_headers()
        handler.wfile.write(data[start : start + count])
        handler.close_connection = True

    return answer


def whole_in_spite_of_range(handler: Handler) -> None:
    """200 and everything, as RFC 9110 lets a server answer a Range."""
    handler.answer(200, {}, handler.simulator.blobs[_blob_key(handler.path)])


def dribble(head: bytes, *, pause: float = 0.02, total: int = 400) -> Fault:
    """`head` at once, then a byte now and then; the simulator counts them in `dribbled`."""

    def answer(handler: Handler) -> None:
        handler.wfile.write(head)
        handler.close_connection = True
        for _ in range(total):
            time.sleep(pause)
            try:
                handler.wfile.write(b"x")
                handler.wfile.flush()
            except OSError:
                return
            handler.simulator.dribbled += 1

    return answer


def before_body(fault: Fault) -> Fault:
    """Let the fault answer before the request's body is read."""

    def answer(handler: Handler) -> None:
        fault(handler)

    answer.before_body = True  # type: ignore[attr-defined]
    return answer


class _Nowhere:
    closed = False

    def write(self, data: bytes) -> int:
        return len(data)

    def flush(self) -> None:
        pass


def _blob_key(path: str) -> tuple[str, str]:
    name, _, digest = urlsplit(path).path.removeprefix("/v2/").rpartition("/blobs/")
    return name, digest


def self_signed(folder: Path) -> tuple[Path, Path]:
    """Certificate and key for 127.0.0.1, made by openssl."""
    certificate, key = folder / "cert.pem", folder / "key.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    names = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(
        [*command.split(), *names, "-out", str(certificate), "-keyout", str(key)],
        check=True,
        capture_output=True,
    )
    return certificate, key
