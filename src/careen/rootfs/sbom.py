"""SBOM documents inside an image, and the operating system's packages that they describe.

A scanner takes each for what is installed: syft's sbom-cataloger finds them by name, as here, and
counts every package that they list. Read are SPDX 2 (JSON, tag-value), CycloneDX (JSON) and syft's
own JSON. Packages of other kinds (npm, PyPI) have package URLs of their own types and are left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import unquote

import msgspec

from careen.errors import FormatError
from careen.formats import strict_json
from careen.rootfs.path import Path, name, parent
from careen.rootfs.rootfs import Inode, Rootfs

__all__ = ["Described", "Sbom", "described", "is_named", "read"]

_NAMES = re.compile(r"(?:.*\.)?s?bom|.*\.(?:s?bom|cdx|spdx)(?:\..*)?|.*\.syft\.json", re.DOTALL)
_APKO = Path("var/lib/db/sbom")  # a document for each apk, named by it
_TYPES = frozenset(["apk", "deb", "rpm"])
_CEILING = 16 << 20  # bytes of one document; one about a large image has a few million
_HEAD = 4096  # bytes that tell a document from a program that has its name
_MARK = b"\xef\xbb\xbf"  # what some editors put before UTF-8


class Described(msgspec.Struct, frozen=True, kw_only=True):
    """A package as a document names it: `type` as in package URLs, "" when only a name was given.

    `version` "" stands for any; so does `epoch`, which an rpm's URL has apart, and `architecture`.
    """

    type: str
    name: str
    version: str = ""
    epoch: str = ""
    architecture: str = ""


class Sbom(msgspec.Struct, frozen=True, kw_only=True):
    """What a document describes, or why it cannot be read ("" when it can)."""

    packages: tuple[Described, ...] = ()
    unreadable: str = ""


def read(rootfs: Rootfs) -> dict[Path, Sbom]:
    """Each document under its paths; a file that only has such a name is left out."""
    found: dict[Path, Sbom] = {}
    seen: dict[Inode, Sbom | None] = {}
    for path, inode in rootfs.nodes.items():
        if inode.kind == "file" and is_named(path):
            if inode not in seen:
                seen[inode] = _document(rootfs, path, inode)
            document = seen[inode]
            if document is not None:
                found[path] = document
    return found


def is_named(path: Path) -> bool:
    """Whether a scanner would take the file for a document by its name."""
    return _NAMES.fullmatch(name(path)) is not None or parent(path) == _APKO


def described(raw: bytes, *, by_name: bool = False) -> tuple[Described, ...] | None:
    """The packages in a document, each once; None when it is none; FormatError when not readable.

    `by_name`: where an SPDX document has no package URL at all, its packages' names stand for
    packages of the operating system.
    """
    kind = _kind(raw[:_HEAD])
    if kind == "":
        return None
    if kind == "xml":
        raise FormatError("an SBOM in XML, which is not read")
    if len(raw) > _CEILING:
        raise FormatError(f"{len(raw)} bytes is over the limit of {_CEILING}")
    if kind == "tags":
        return tuple(dict.fromkeys(_from_tags(raw, by_name=by_name)))
    document = strict_json.parse(raw.removeprefix(_MARK), ceiling=_CEILING)
    try:
        return _from_json(document, by_name=by_name)
    except msgspec.ValidationError as error:
        message, _, place = str(error).partition(" - at ")
        raise FormatError(message, at=place.strip("`").removeprefix("$.")) from error
    except RecursionError as error:
        raise FormatError("components are nested too deeply") from error


def _document(rootfs: Rootfs, path: Path, inode: Inode) -> Sbom | None:
    if _kind(rootfs.pread(inode, _HEAD, 0)) == "":
        return None  # not read to its end: programs have such names too
    try:
        packages = described(rootfs.read(path, ceiling=_CEILING), by_name=parent(path) == _APKO)
    except FormatError as error:
        return Sbom(unreadable=error.message if error.at == f"/{path}" else str(error))
    return None if packages is None else Sbom(packages=packages)


def _kind(head: bytes) -> str:
    """`json`, `tags` or `xml`; "" for what is no document."""
    text = head.removeprefix(_MARK).decode("utf-8", "replace").lstrip()
    if text.startswith("{"):
        return "json"
    if text.startswith("<") and re.search("cyclonedx|spdx", text, re.IGNORECASE):
        return "xml"
    return "tags" if re.search(r"^SPDXVersion:", text, re.MULTILINE) else ""


# -- JSON


class _Reference(msgspec.Struct, rename="camel"):
    reference_type: str = ""
    reference_locator: str = ""


class _SpdxPackage(msgspec.Struct, rename="camel"):
    name: str = ""
    version_info: str | None = None
    external_refs: tuple[_Reference, ...] | None = None


class _Spdx(msgspec.Struct):
    packages: tuple[_SpdxPackage, ...] | None = None


class _Component(msgspec.Struct):
    purl: str | None = None
    components: tuple[_Component, ...] | None = None


class _Metadata(msgspec.Struct):
    component: _Component | None = None


class _CycloneDx(msgspec.Struct):
    metadata: _Metadata | None = None
    components: tuple[_Component, ...] | None = None


class _Artifact(msgspec.Struct):
    name: str = ""
    version: str = ""
    type: str = ""
    purl: str = ""


class _Syft(msgspec.Struct):
    artifacts: tuple[_Artifact, ...] | None = None


def _from_json(document: strict_json.Object, *, by_name: bool) -> tuple[Described, ...] | None:
    if "spdxVersion" in document:
        listed = msgspec.convert(document, _Spdx).packages or ()
        found = _of_spdx([_spdx(one) for one in listed], by_name=by_name)
    elif document.get("bomFormat") == "CycloneDX":
        found = _of_components(msgspec.convert(document, _CycloneDx))
    elif "artifacts" in document and "descriptor" in document:
        found = _of_artifacts(msgspec.convert(document, _Syft).artifacts or ())
    elif "@context" in document and "@graph" in document:
        raise FormatError("an SBOM in SPDX 3, which is not read")
    else:
        return None
    return tuple(dict.fromkeys(found))


def _spdx(package: _SpdxPackage) -> _Named:
    references = package.external_refs or ()
    purls = [one.reference_locator for one in references if one.reference_type == "purl"]
    return _Named(package.name, package.version_info or "", purls)


def _of_components(document: _CycloneDx) -> Iterator[Described]:
    waiting = list(document.components or ())
    if document.metadata is not None and document.metadata.component is not None:
        waiting.append(document.metadata.component)
    while waiting:
        one = waiting.pop()
        waiting += one.components or ()
        yield from _of_purl(one.purl or "")


def _of_artifacts(artifacts: tuple[_Artifact, ...]) -> Iterator[Described]:
    for one in artifacts:
        if one.purl:
            yield from _of_purl(one.purl)
        elif one.type in _TYPES:
            yield Described(type=one.type, name=one.name, version=one.version)


# -- SPDX, in JSON or tag-value


class _Named(msgspec.Struct):
    name: str
    version: str
    purls: list[str]


def _from_tags(raw: bytes, *, by_name: bool) -> Iterator[Described]:
    """Tag-value: a tag and its value a line; text in <text> tags may run over several."""
    packages: list[_Named] = []
    inside = False
    for line in raw.decode("utf-8", "replace").splitlines():
        tag, _, value = line.partition(":")
        if not inside and tag == "PackageName":
            packages.append(_Named(value.strip(), "", []))
        elif not inside and packages and tag == "PackageVersion":
            packages[-1].version = value.strip()
        elif not inside and packages and tag == "ExternalRef":
            packages[-1].purls += [word for word in value.split() if word.startswith("pkg:")]
        if "<text>" in line or "</text>" in line:
            inside = line.rfind("<text>") > line.rfind("</text>")
    yield from _of_spdx(packages, by_name=by_name)


def _of_spdx(packages: list[_Named], *, by_name: bool) -> Iterator[Described]:
    by_name = by_name and not any(one.purls for one in packages)
    for one in packages:
        for purl in one.purls:
            yield from _of_purl(purl)
        if by_name and one.name and one.version:
            yield Described(type="", name=one.name, version=one.version)


# -- package URLs


def _of_purl(text: str) -> Iterator[Described]:
    """`pkg:deb/debian/libc6@2.36-9?arch=amd64`; no other types, and no source packages."""
    scheme, _, rest = text.partition(":")
    rest, _, query = rest.partition("#")[0].partition("?")
    kind, _, rest = rest.lstrip("/").partition("/")
    if scheme.lower() != "pkg" or kind.lower() not in _TYPES:
        return
    rest, _, version = rest.partition("@")
    qualifiers = dict(pair.partition("=")[::2] for pair in query.split("&"))
    architecture = unquote(qualifiers.get("arch", ""))
    base = unquote(rest.strip("/").rpartition("/")[2])
    if base and architecture not in ("source", "src"):
        yield Described(
            type=kind.lower(),
            name=base,
            version=unquote(version),
            epoch=unquote(qualifiers.get("epoch", "")),
            architecture=architecture,
        )
