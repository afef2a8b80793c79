"""Small SBOM documents in every format that careen reads, from package URLs."""

from __future__ import annotations

import json
from typing import Any


def spdx(*purls: str, names: dict[str, str] | None = None) -> str:
    """SPDX 2.3 in JSON; `names` are packages without a URL, name → version."""
    packages: list[dict[str, Any]] = [
        {
            "name": "x",
            "SPDXID": f"SPDXRef-{i}",
            "externalRefs": [
                {"referenceCategory": "SECURITY", "referenceType": "cpe23Type"},
                {"referenceType": "purl", "referenceLocator": purl},
            ],
        }
        for i, purl in enumerate(purls)
    ]
    packages += [{"name": name, "versionInfo": text} for name, text in (names or {}).items()]
    return json.dumps({"spdxVersion": "SPDX-2.3", "packages": packages})


def tags(*purls: str, names: dict[str, str] | None = None) -> str:
    """SPDX 2.3 as tag-value."""
    lines = ["##comment", "SPDXVersion: SPDX-2.3", "DocumentName: x"]
    for purl in purls:
        lines += ["", "PackageName: x", f"ExternalRef: PACKAGE-MANAGER purl {purl}"]
    for name, text in (names or {}).items():
        lines += ["", f"PackageName: {name}", f"PackageVersion: {text}"]
    return "\n".join([*lines, ""])


def cyclonedx(*purls: str) -> str:
    """CycloneDX 1.6 in JSON, each component inside the one before it."""
    inner: list[dict[str, Any]] = []
    for purl in reversed(purls):
        inner = [{"type": "library", "name": "x", "purl": purl, "components": inner}]
    return json.dumps({"bomFormat": "CycloneDX", "specVersion": "1.6", "components": inner})


def syft(*purls: str, untold: tuple[tuple[str, str, str], ...] = ()) -> str:
    """syft's own JSON; `untold` are (type, name, version) of artifacts without a URL."""
    artifacts = [{"name": "x", "version": "1", "type": "deb", "purl": purl} for purl in purls]
    artifacts += [{"name": n, "version": v, "type": t, "purl": ""} for t, n, v in untold]
    return json.dumps({"artifacts": artifacts, "source": {}, "descriptor": {"name": "syft"}})
