"""Hosts, proxies, challenges: the small decisions, as tables."""

from __future__ import annotations

import pytest

from careen.errors import RegistryError
from careen.transport import proxy
from careen.transport.challenge import choose, parse
from careen.transport.endpoint import authority, check_url, is_loopback, shown


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("a.localhost", True),
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("127.1", True),
        ("localhost.example", False),
        ("127.0.0.1.example", False),
        ("128.0.0.1", False),
        ("0.0.0.0", False),
        ("", False),
    ],
)
def test_loopback(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


REMOTE, LOCAL, PLAIN = "https://r.example", "http://127.0.0.1:5000", "http://r.example"


@pytest.mark.parametrize(
    ("url", "origin", "insecure", "allowed"),
    [
        ("https://cdn.example/x", REMOTE, False, True),
        ("https://10.0.0.7/x", REMOTE, False, True),
        ("http://r.example/x", REMOTE, False, False),
        ("http://r.example/x", REMOTE, True, False),
        ("https://127.0.0.1/x", REMOTE, True, False),
        ("https://localhost/x", REMOTE, False, False),
        ("https://[::1]/x", REMOTE, False, False),
        ("https://2130706433/x", REMOTE, False, False),
        ("https://169.254.169.254/x", REMOTE, True, False),
        ("https://[::ffff:169.254.169.254]/x", REMOTE, False, False),
        ("https://[fd00:ec2::254]/x", REMOTE, False, False),
        ("https://metadata.google.internal/x", REMOTE, False, False),
        ("https://0.0.0.0/x", REMOTE, False, False),
        ("http://127.0.0.1:5001/x", LOCAL, False, True),
        ("http://localhost:5001/x", LOCAL, False, True),
        ("https://cdn.example/x", LOCAL, False, True),
        ("http://cdn.example/x", LOCAL, False, False),
        ("http://cdn.example/x", LOCAL, True, True),
        ("http://169.254.169.254/x", LOCAL, True, False),
        ("http://r.example/x", PLAIN, False, True),
        ("http://cdn.example/x", PLAIN, False, False),
        ("http://cdn.example/x", PLAIN, True, True),
        ("https://r.example:443/x", REMOTE, False, True),
        ("https://r.example:99999/x", REMOTE, False, False),
        ("https:///x", REMOTE, False, False),
        ("https://a@cdn.example/x", REMOTE, False, False),
        ("gopher://cdn.example/x", REMOTE, False, False),
    ],
)
def test_where_a_registry_may_send_us(url: str, origin: str, insecure: bool, allowed: bool) -> None:
    try:
        check_url(url, origin=origin, insecure=insecure, what="a redirect")
    except RegistryError:
        assert not allowed
    else:
        assert allowed


def test_an_authority_is_scheme_host_and_port() -> None:
    assert authority("https://R.example/a") == authority("https://r.example:443/b?c")
    assert authority("https://r.example") != authority("http://r.example")
    assert authority("https://r.example") != authority("https://r.example:8443")


def test_a_shown_url_holds_no_secret() -> None:
    assert shown("https://ada:pw@r.example/a?signature=s#f") == "https://r.example/a"


@pytest.mark.parametrize(
    ("url", "environ", "expected"),
    [
        ("https://r.example/x", {}, ""),
        ("https://r.example/x", {"HTTPS_PROXY": "http://p:3128"}, "http://p:3128"),
        ("https://r.example/x", {"https_proxy": "p:3128"}, "http://p:3128"),
        ("https://r.example/x", {"HTTP_PROXY": "http://p"}, ""),
        ("http://r.example/x", {"HTTP_PROXY": "http://p"}, "http://p"),
        ("https://r.example/x", {"ALL_PROXY": "http://p"}, "http://p"),
        ("http://127.0.0.1:5000/x", {"HTTP_PROXY": "http://p", "ALL_PROXY": "http://p"}, ""),
        ("https://localhost/x", {"HTTPS_PROXY": "http://p"}, ""),
    ],
)
def test_proxies(url: str, environ: dict[str, str], expected: str) -> None:
    assert proxy.select(url, environ) == expected


@pytest.mark.parametrize(
    ("exceptions", "excepted"),
    [
        ("r.example", True),
        ("R.EXAMPLE", True),
        (".example", True),
        ("example", True),
        ("*.example", True),
        ("*", True),
        ("a,r.example", True),
        ("a r.example", True),
        ("r.example:5000", True),
        ("r.example:5001", False),
        ("xample", False),
        ("other.example", False),
        ("", False),
        (",", False),
    ],
)
def test_no_proxy(exceptions: str, excepted: bool) -> None:
    environ = {"HTTPS_PROXY": "http://p", "NO_PROXY": exceptions}
    assert proxy.select("https://r.example:5000/x", environ) == ("" if excepted else "http://p")


def test_no_proxy_for_a_network() -> None:
    environ = {"HTTPS_PROXY": "http://p", "NO_PROXY": "10.0.0.0/8, 2001:db8::/32"}
    for address, expected in (("10.1.2.3", ""), ("11.1.2.3", "http://p"), ("[2001:db8::1]", "")):
        assert proxy.select(f"https://{address}/x", environ) == expected


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", []),
        ("Basic", [("basic", {})]),
        ('Basic realm="x, y"', [("basic", {"realm": "x, y"})]),
        (
            'Bearer realm="https://a/t",service=s,scope="a:pull,push"',
            [("bearer", {"realm": "https://a/t", "service": "s", "scope": "a:pull,push"})],
        ),
        (
            'Basic realm="b", BEARER Realm = "https://a/t" , Scope="x"',
            [("basic", {"realm": "b"}), ("bearer", {"realm": "https://a/t", "scope": "x"})],
        ),
        (r'Bearer realm="a\"b\\c"', [("bearer", {"realm": 'a"b\\c'})]),
        ('Bearer realm="https://a", realm="https://evil"', [("bearer", {"realm": "https://a"})]),
        ('Bearer realm="never closed', [("bearer", {"realm": ""})]),
        ('realm="x"', []),
        ('"', []),
    ],
)  # fmt: skip
def test_challenges(header: str, expected: list[tuple[str, dict[str, str]]]) -> None:
    assert [(found.scheme, found.parameters) for found in parse(header)] == expected


@pytest.mark.parametrize(
    ("header", "scheme"),
    [
        ('Basic realm="b", Bearer realm="https://a"', "bearer"),
        ('Bearer, Basic realm="b"', "basic"),
        ("Negotiate YII=", None),
        ("", None),
    ],
)
def test_the_challenge_to_answer(header: str, scheme: str | None) -> None:
    chosen = choose(header)
    assert (chosen.scheme if chosen else None) == scheme
