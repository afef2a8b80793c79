"""Whose files are read, in which order, and what an entry for a repository may be called."""

from __future__ import annotations

import base64
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from careen.errors import RegistryError, SourceError, UsageError
from careen.transport.access import Access, Credentials
from careen.transport.credentials import Found, find, parse
from careen.transport.repository import Repository
from tests.registries import RunningRegistry
from tests.transport.registry_simulator import Login, Simulator


def encoded(user: str, password: str = "pw") -> dict[str, str]:
    return {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}


def document(**auths: dict[str, str]) -> dict[str, Any]:
    return {"auths": auths}


def write(path: Path, content: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def helper(folder: Path, name: str, script: str) -> dict[str, str]:
    """An environment in which `docker-credential-NAME` runs the shell script."""
    program = write(folder / "bin" / f"docker-credential-{name}", f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return {"HOME": str(folder), "PATH": f"{program.parent}:/usr/bin:/bin"}


def user(found: Found) -> str | None:
    return found.credentials.username if found.credentials else None


# Which file


def test_the_order(tmp_path: Path) -> None:
    """Every place holds another user; they are taken away one by one, first to last."""
    places = {
        "runtime": tmp_path / "run/containers/auth.json",
        "config": tmp_path / "xdg/containers/auth.json",
        "docker": tmp_path / "docker/config.json",
    }
    for name, path in places.items():
        write(path, document(**{"r.example": encoded(name)}))
    oldest = write(tmp_path / ".dockercfg", {"r.example": encoded("oldest")})
    environ = {
        "HOME": str(tmp_path),
        "REGISTRY_AUTH_FILE": str(
            write(tmp_path / "named", document(**{"r.example": encoded("named by variable")}))
        ),
        "DOCKER_AUTH_CONFIG": json.dumps(document(**{"r.example": encoded("in a variable")})),
        "XDG_RUNTIME_DIR": str(tmp_path / "run"),
        "XDG_CONFIG_HOME": str(tmp_path / "xdg"),
        "DOCKER_CONFIG": str(tmp_path / "docker"),
    }
    option = write(tmp_path / "option", document(**{"r.example": encoded("option")}))
    order = [user(find("r.example", "a", environ=environ, authfile=option))]
    order.append(user(find("r.example", "a", environ=environ)))
    for name in ("REGISTRY_AUTH_FILE", "DOCKER_AUTH_CONFIG"):
        del environ[name]
        order.append(user(find("r.example", "a", environ=environ)))
    for path in (*places.values(), oldest):
        path.unlink()
        order.append(user(find("r.example", "a", environ=environ)))
    named = ["option", "named by variable", "in a variable"]
    assert order == [*named, "runtime", "config", "docker", "oldest", None]


def test_home_gives_the_defaults(tmp_path: Path) -> None:
    docker = write(tmp_path / ".docker/config.json", document(**{"r.example": encoded("docker")}))
    environ = {"HOME": str(tmp_path)}
    assert find("r.example", "a", environ=environ).credentials == Credentials(
        username="docker", password="pw", origin=str(docker)
    )
    write(tmp_path / ".config/containers/auth.json", document(**{"r.example": encoded("podman")}))
    assert user(find("r.example", "a", environ=environ)) == "podman"


def test_a_named_file_stands_alone(tmp_path: Path) -> None:
    write(tmp_path / ".docker/config.json", document(**{"r.example": encoded("docker")}))
    named = write(tmp_path / "named", document(**{"other.example": encoded("x")}))
    assert find("r.example", "a", environ={"HOME": str(tmp_path)}, authfile=named) == Found()


def test_without_any_environment_the_user_is_anonymous() -> None:
    assert find("r.example", "a", environ={}) == Found()


# Which entry


@pytest.mark.parametrize(
    ("host", "repository", "keys", "expected"),
    [
        ("r.example", "a/b", ["r.example", "r.example/a", "r.example/a/b"], "r.example/a/b"),
        ("r.example", "a/c", ["r.example", "r.example/a", "r.example/a/b"], "r.example/a"),
        ("r.example", "ab/c", ["r.example", "r.example/a"], "r.example"),
        ("r.example:5000", "a", ["r.example", "r.example:5000"], "r.example:5000"),
        ("r.example:5000", "a", ["r.example"], None),
        ("r.example", "a", ["https://r.example/v1/"], "https://r.example/v1/"),
        ("r.example", "a", ["https://r.example/v2"], "https://r.example/v2"),
        ("r.example", "a", ["http://r.example"], "http://r.example"),
        ("r.example", "a", ["https://r.example", "r.example"], "r.example"),
        ("docker.io", "library/redis", ["https://index.docker.io/v1/"], "https://index.docker.io/v1/"),
        ("docker.io", "library/redis", ["index.docker.io"], "index.docker.io"),
        ("registry-1.docker.io", "a/b", ["docker.io"], "docker.io"),
        ("docker.io", "a/b", ["docker.io/a", "https://index.docker.io/v1/"], "docker.io/a"),
        ("evil.example", "r.example/a", ["r.example", "r.example/a"], None),
        ("r.example.evil", "a", ["r.example"], None),
    ],
)  # fmt: skip
def test_keys(
    tmp_path: Path, host: str, repository: str, keys: list[str], expected: str | None
) -> None:
    named = write(
        tmp_path / "f", document(**{key: {"username": key, "password": "p"} for key in keys})
    )
    assert user(find(host, repository, environ={}, authfile=named)) == expected


@pytest.mark.parametrize(
    ("entry", "username", "password", "identity"),
    [
        (encoded("ada", "with:colon"), "ada", "with:colon", ""),
        (encoded("ada", "padded\0\0"), "ada", "padded", ""),
        (encoded("ädä", "pässwörd"), "ädä", "pässwörd", ""),
        ({"username": "ada", "password": "p"}, "ada", "p", ""),
        (encoded("00000000-0000-0000-0000-000000000000", "") | {"identitytoken": "t"}, "", "", "t"),
    ],
)
def test_shapes_of_an_entry(
    tmp_path: Path, entry: dict[str, str], username: str, password: str, identity: str
) -> None:
    named = write(tmp_path / "f", document(**{"r.example": entry}))
    assert find("r.example", "a", environ={}, authfile=named).credentials == Credentials(
        username=username, password=password, identity_token=identity, origin=str(named)
    )


# Helpers


HUB = "https://index.docker.io/v1/"
ADAS = {"r.example": encoded("ada")}
ANSWER = """read -r server; echo "{\\"Username\\": \\"$server\\", \\"Secret\\": \\"s\\"}" """


@pytest.mark.parametrize(
    ("config", "host", "expected"),
    [
        ({"credsStore": "x"}, "r.example", "r.example"),
        ({"credsStore": "x"}, "docker.io", HUB),
        ({"credsStore": "x", "auths": {"r.example": {}}}, "r.example", "r.example"),
        ({"credsStore": "x", "auths": ADAS}, "r.example", "ada"),
        ({"credHelpers": {"r.example": "x"}, "auths": ADAS}, "r.example", "r.example"),
        ({"credHelpers": {"other.example": "x"}}, "r.example", None),
        ({"credHelpers": {HUB: "x"}}, "docker.io", HUB),
        ({"credHelpers": {"docker.io": "x"}}, "docker.io", HUB),
    ],
)  # fmt: skip
def test_helpers(tmp_path: Path, config: dict[str, Any], host: str, expected: str | None) -> None:
    environ = helper(tmp_path, "x", ANSWER)
    write(tmp_path / ".docker/config.json", config)
    found = find(host, "a", environ=environ)
    assert (user(found), found.problems) == (expected, ())


def test_a_helper_may_give_an_identity_token(tmp_path: Path) -> None:
    environ = helper(tmp_path, "x", """echo '{"Username": "<token>", "Secret": "s"}'""")
    write(tmp_path / ".docker/config.json", {"credsStore": "x"})
    found = find("r.example", "a", environ=environ).credentials
    assert found == Credentials(identity_token="s", origin="docker-credential-x")


def test_a_helper_that_has_none_is_no_problem(tmp_path: Path) -> None:
    environ = helper(tmp_path, "x", "echo credentials not found in native keychain; exit 1")
    write(tmp_path / ".docker/config.json", {"credsStore": "x"})
    assert find("r.example", "a", environ=environ) == Found()


@pytest.mark.parametrize(
    ("name", "script", "said"),
    [
        ("x", "sleep 60", "no answer within 0.3 s"),
        ("x", "echo junk", "printed no JSON object"),
        ("x", "echo '{}'", "printed no Username and Secret"),
        ("x", "echo '[]'", "printed no JSON object"),
        ("x", "echo the vault is sealed >&2; exit 3", "the vault is sealed"),
        ("x", "exit 3", "exit code 3"),
        ("missing", "", "cannot be run"),
        ("../x", "", "not the name of a credential helper"),
    ],
)
def test_a_helper_that_fails_is_passed_over_and_named(
    tmp_path: Path, name: str, script: str, said: str
) -> None:
    environ = helper(tmp_path, "x", script)
    write(tmp_path / ".docker/config.json", {"credsStore": name})
    write(tmp_path / ".dockercfg", {"r.example": encoded("oldest")})
    found = find("r.example", "a", environ=environ, helper_timeout=0.3)
    assert user(found) == "oldest"
    assert len(found.problems) == 1
    assert said in found.problems[0]


# What cannot be read


BROKEN = [
    "{",
    "[]",
    '{"auths": []}',
    '{"auths": {"r.example": 5}}',
    '{"auths": {"r.example": {"auth": 5}}}',
    '{"auths": {"r.example": {"auth": "no base64!"}}}',
    '{"auths": {"r.example": {"auth": "bm9jb2xvbg=="}}}',
    '{"auths": {}, "auths": {}}',
]


@pytest.mark.parametrize("text", BROKEN)
def test_a_broken_default_file_is_passed_over_and_named(tmp_path: Path, text: str) -> None:
    broken = write(tmp_path / ".docker/config.json", text)
    found = find("r.example", "a", environ={"HOME": str(tmp_path)})
    assert found.credentials is None
    assert len(found.problems) == 1
    assert str(broken) in found.problems[0]


def test_a_folder_in_place_of_a_file(tmp_path: Path) -> None:
    (tmp_path / ".docker/config.json").mkdir(parents=True)
    (problem,) = find("r.example", "a", environ={"HOME": str(tmp_path)}).problems
    assert "is a directory" in problem.lower()


@pytest.mark.parametrize("text", [None, "{", "[]"])
def test_a_named_file_must_be_readable(tmp_path: Path, text: str | None) -> None:
    named = tmp_path / "named"
    if text is not None:
        write(named, text)
    with pytest.raises(SourceError, match=str(named)):
        find("r.example", "a", environ={}, authfile=named)
    with pytest.raises(SourceError, match=str(named)):
        find("r.example", "a", environ={"REGISTRY_AUTH_FILE": str(named)})


def test_a_broken_file_stops_no_anonymous_pull_and_is_named_when_it_matters(
    tmp_path: Path, simulator: Simulator
) -> None:
    broken = write(tmp_path / ".docker/config.json", "{")
    access = Access(environ={"HOME": str(tmp_path)})
    simulator.login = Login(realm=f"{simulator.url}/token")
    with Repository(simulator.host, "a/b", access) as repository:
        assert repository.has_manifest("v1") is None
    simulator.login = Login(realm=f"{simulator.url}/token", user="ada", password="p")
    with (
        Repository(simulator.host, "a/b", access) as repository,
        pytest.raises(RegistryError, match=f"passed over: {broken}"),
    ):
        repository.has_manifest("v1")


# Secrets stay secret


def test_nothing_prints_a_secret() -> None:
    secret = Credentials(username="ada", password="hunter2", identity_token="hunter3")
    access = Access(credentials=secret, environ={"PASSWORD": "hunter4"})
    assert "hunter" not in f"{secret!r} {secret} {access!r} {access} {Found(credentials=secret)!r}"


def test_parse() -> None:
    assert parse("ada:a:b", origin="--src-creds") == Credentials(
        username="ada", password="a:b", origin="--src-creds"
    )
    for text in ("ada", ":x", ""):
        with pytest.raises(UsageError, match="USER:PASSWORD"):
            parse(text, origin="--src-creds")


# Judged by the programs that write the files


def test_what_skopeo_login_writes(registry_with_login: RunningRegistry, tmp_path: Path) -> None:
    authfile = tmp_path / "auth.json"
    subprocess.run(
        ["skopeo", "login", "--authfile", str(authfile), "--tls-verify=false", "-u", "ada",
         "-p", "s3cret:with colon", registry_with_login.host],
        check=True, capture_output=True,
    )  # fmt: skip
    found = find(registry_with_login.host, "a", environ={}, authfile=authfile)
    assert found.credentials == Credentials(
        username="ada", password="s3cret:with colon", origin=str(authfile)
    )
