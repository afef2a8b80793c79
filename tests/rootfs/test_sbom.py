"""SBOM documents inside an image: which files are some, and which packages they describe."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from careen.errors import FormatError
from careen.rootfs import sbom
from careen.rootfs.path import Path
from careen.rootfs.sbom import Described, Sbom
from tests.builders import Dir, Hard, Lnk, Reg
from tests.rootfs.hand_made import rootfs
from tests.sbom_documents import cyclonedx, spdx, syft, tags

DASH = "pkg:deb/debian/dash@0.5.12-2?arch=amd64&distro=debian-12"
DASH_IS = Described(type="deb", name="dash", version="0.5.12-2", architecture="amd64")


@pytest.mark.parametrize(
    ("path", "named"),
    [
        ("app.spdx.json", True),
        ("opt/bitnami/redis/.spdx-redis.spdx", True),
        ("a/sbom", True),
        ("a/bom", True),
        ("a/x.bom", True),
        ("a/x.sbom.xml", True),
        ("a/x.cdx.json", True),
        ("a/x.cdx", True),
        ("a/x.syft.json", True),
        ("a/.bom.x", True),
        ("var/lib/db/sbom/musl-1.2.5-r0", True),
        ("var/lib/db/sbom/below/x", False),
        ("a/sbom.json", False),
        ("a/bomb", False),
        ("a/xbom", False),
        ("a/cdx.json", False),
        ("a/spdx", False),
        ("a/x.syft.xml", False),
        ("sbom/x", False),
        ("a/SBOM", False),
    ],
)
def test_a_document_is_known_by_its_name(path: str, named: bool) -> None:
    assert sbom.is_named(Path(path)) is named


@pytest.mark.parametrize("form", [spdx, tags, cyclonedx, syft])
def test_packages_of_an_operating_system_in_every_format(form: Callable[..., str]) -> None:
    text = form("pkg:npm/tar@6.1", DASH, "pkg:apk/alpine/musl@1.2.5-r0?arch=x86_64", DASH)
    assert set(sbom.described(text.encode()) or ()) == {
        DASH_IS,
        Described(type="apk", name="musl", version="1.2.5-r0", architecture="x86_64"),
    }
    assert sbom.described(b"\xef\xbb\xbf" + form().encode()) == ()


@pytest.mark.parametrize(
    ("purl", "found"),
    [
        ("pkg:deb/debian/dash", Described(type="deb", name="dash")),
        ("pkg:deb/dash@1", Described(type="deb", name="dash", version="1")),
        ("PKG:DEB/debian/dash@1#x", Described(type="deb", name="dash", version="1")),
        ("pkg://deb/debian/dash@1", Described(type="deb", name="dash", version="1")),
        (
            "pkg:deb/debian/libstdc%2B%2B6@12.2.0-14%2Bdeb12u1",
            Described(type="deb", name="libstdc++6", version="12.2.0-14+deb12u1"),
        ),
        (
            "pkg:deb/debian/zlib1g@1%3A1.2.13?arch=amd64",
            Described(type="deb", name="zlib1g", version="1:1.2.13", architecture="amd64"),
        ),
        (
            "pkg:rpm/rocky/dbus@1.12-8?arch=x86_64&epoch=1&upstream=dbus.src.rpm",
            Described(type="rpm", name="dbus", version="1.12-8", epoch="1", architecture="x86_64"),
        ),
        ("pkg:deb/debian/glibc@2.36?arch=source", None),
        ("pkg:npm/dash@1", None),
        ("pkg:bitnami/redis@7", None),
        ("pkg:deb", None),
        ("pkg:deb/", None),
        ("https://deb/debian/dash", None),
        ("", None),
    ],
)
def test_package_urls(purl: str, found: Described | None) -> None:
    assert sbom.described(cyclonedx(purl).encode()) == ((found,) if found else ())


@pytest.mark.parametrize("form", [spdx, tags])
def test_names_count_only_where_they_may_and_no_url_is_given(form: Callable[..., str]) -> None:
    text = form(names={"musl": "1.2.5-r0", "unversioned": ""}).encode()
    assert sbom.described(text) == ()
    named = Described(type="", name="musl", version="1.2.5-r0")
    assert sbom.described(text, by_name=True) == (named,)
    text = form("pkg:npm/tar@6", names={"musl": "1.2.5-r0"}).encode()
    assert sbom.described(text, by_name=True) == ()


def test_what_is_written_inside_a_text_is_no_tag() -> None:
    text = tags(names={"a": "1"}) + "PackageComment: <text>x\nPackageName: b\n</text>\n"
    found = sbom.described((text + "PackageVersion: 2\n").encode(), by_name=True)
    assert found == (Described(type="", name="a", version="2"),)


def test_the_subject_of_a_cyclonedx_document_and_syfts_artifacts_without_a_url() -> None:
    document = {"bomFormat": "CycloneDX", "metadata": {"component": {"purl": DASH}}}
    assert sbom.described(json.dumps(document).encode()) == (DASH_IS,)
    text = syft(untold=(("deb", "tar", "1"), ("npm", "tar", "2")))
    found = (Described(type="deb", name="tar", version="1"),)
    assert sbom.described(text.encode()) == found


@pytest.mark.parametrize(
    "raw",
    [b"", b"\x7fELF\2\1\1", b"{}", b'{"packages": []}', b"<html>", b"text", b'{"artifacts": []}'],
)
def test_what_is_no_document(raw: bytes) -> None:
    assert sbom.described(raw) is None


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"{", "not JSON"),
        (b'{"spdxVersion": "SPDX-2.3", "packages": [{"name": 1}]}', "packages.*.name"),
        (b'{"bomFormat": "CycloneDX", "bomFormat": "x"}', "duplicate key"),
        (b'{"bomFormat": "CycloneDX", "components": {}}', "components: Expected"),
        (b'{"@context": "https://spdx.org/rdf/3.0.1/", "@graph": []}', "SPDX 3"),
        (b'<?xml?><bom xmlns="http://cyclonedx.org/schema/bom/1.6">', "in XML"),
        (b'{"x":' + b"[" * 100_000, "nested too deeply"),
        (cyclonedx(*[DASH] * 400).replace("]", "", 1).encode(), "not JSON"),
        (b"{" + bytes(16 << 20), "over the limit"),
    ],
    ids=range(9),
)
def test_what_cannot_be_read_is_said(raw: bytes, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        sbom.described(raw)


def test_an_image_is_read_by_name_and_a_file_once() -> None:
    text = spdx(DASH)
    image = rootfs(
        [
            Reg("srv/app.spdx.json", text),
            Hard("srv/again.spdx.json", "srv/app.spdx.json"),
            Reg("srv/other.json", text),
            Reg("usr/bin/bom", b"\x7fELF" + bytes(1 << 20)),
            Lnk("srv/link.spdx.json", "app.spdx.json"),
            Dir("srv/sbom"),
            Reg("srv/empty.cdx", ""),
            Reg("srv/bad.cdx.json", "{"),
            Reg("srv/huge.cdx.json", "{" + " " * (16 << 20)),
            Reg("var/lib/db/sbom/musl-1.spdx.json", spdx(names={"musl": "1"})),
        ]
    )
    found = sbom.read(image)
    assert found.keys() == {
        "srv/app.spdx.json",
        "srv/again.spdx.json",
        "srv/bad.cdx.json",
        "srv/huge.cdx.json",
        "var/lib/db/sbom/musl-1.spdx.json",
    }
    assert found[Path("srv/app.spdx.json")] == Sbom(packages=(DASH_IS,))
    assert found[Path("srv/again.spdx.json")] is found[Path("srv/app.spdx.json")]
    assert found[Path("srv/bad.cdx.json")].unreadable.startswith("not JSON")
    assert (
        found[Path("srv/huge.cdx.json")].unreadable
        == "16777217 bytes is over the limit of 16777216"
    )
    (named,) = found[Path("var/lib/db/sbom/musl-1.spdx.json")].packages
    assert named == Described(type="", name="musl", version="1")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just(DASH),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["name", "purl", "components", "type"]), inner, max_size=3
        )
    ),
    max_leaves=12,
)
KEYS = ["spdxVersion", "packages", "bomFormat", "components", "metadata", "artifacts", "descriptor"]


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from(KEYS), JSON | st.just("CycloneDX"), max_size=4))
def test_any_json_is_read_or_refused(document: dict[str, object]) -> None:
    with contextlib.suppress(FormatError):
        sbom.described(json.dumps(document).encode(), by_name=True)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60), st.sampled_from([b"", b"{", b"SPDXVersion: 2\n", b"<spdx "]))
def test_any_bytes_are_read_or_refused(raw: bytes, start: bytes) -> None:
    with contextlib.suppress(FormatError):
        sbom.described(start + raw, by_name=True)
