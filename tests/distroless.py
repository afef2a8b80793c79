"""A distroless image of Debian's own packages, as Google's are made, with a Python application.

Each package is unpacked, nothing configured: `var/lib/dpkg/status.d/NAME` is its control stanza and
`NAME.md5sums` its digests; there is neither `status` nor `info/`. /usr is not merged, for that is
what the archives hold, and what maintainer scripts would make is made by hand.
"""

from __future__ import annotations

import subprocess
import tarfile
from pathlib import Path

from fixtures.build import Image

from tests.builders import Dir, Reg, image_layout, tar_layer
from tests.debs import fetched
from tests.e2e.hardened import careen

STATUS_D = "var/lib/dpkg/status.d"
PACKAGES = (
    *("base-files", "netbase", "tzdata", "media-types", "ca-certificates", "openssl"),
    *("libc6", "libc-bin", "libcrypt1", "libgcc-s1", "gcc-12-base", "libstdc++6"),
    *("libssl3", "zlib1g", "libexpat1", "libffi8", "libuuid1", "libbz2-1.0", "liblzma5"),
    *("libsqlite3-0", "libdb5.3", "libnsl2", "libtirpc3", "libtirpc-common"),
    *("libncursesw6", "libtinfo6", "libreadline8", "bash", "dash"),
    *("python3.11-minimal", "libpython3.11-minimal", "libpython3.11-stdlib"),
)
PROGRAM = """\
import hashlib, json, socket, sqlite3, ssl, zlib, zoneinfo
print(json.dumps({
    "digest": hashlib.sha256(zlib.decompress(zlib.compress(b"x"))).hexdigest()[:8],
    "sum": sqlite3.connect(":memory:").execute("select 1 + 2").fetchone()[0],
    "authorities": ssl.create_default_context(cafile=CERTIFICATES).cert_store_stats()["x509"] > 99,
    "zone": str(zoneinfo.ZoneInfo("Europe/Berlin")),
    "port": socket.getservbyname("https"),
}))
""".replace("CERTIFICATES", '"/etc/ssl/certs/ca-certificates.crt"')
ANSWER = {"digest": "2d711642", "sum": 3, "authorities": True, "zone": "Europe/Berlin", "port": 443}
COMMAND = ["/usr/bin/python3.11", "/app/main.py"]
HOME = "/home/nonroot"
CONFIG = {
    "User": "65532",
    "Env": ["PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8"],
    "WorkingDir": HOME,
    "Entrypoint": COMMAND,
}
IDENTITY = {
    "etc/passwd": "root:x:0:0:root:/root:/sbin/nologin\n"
    "nonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n",
    "etc/group": "root:x:0:\nnonroot:x:65532:\n",
    "etc/nsswitch.conf": "passwd: files\nhosts: files dns\nservices: files\n",
}


def build(folder: Path) -> Image:
    """The image in a layout below `folder`; fetches the packages with this machine's apt."""
    root = folder / "root"
    for archive in fetched(folder / "debs", *PACKAGES):
        install(root, archive)
    certificates = sorted(root.glob("usr/share/ca-certificates/mozilla/*.crt"))
    bundle = root / "etc/ssl/certs/ca-certificates.crt"
    bundle.write_text("".join(file.read_text() for file in certificates))
    for name, text in IDENTITY.items():
        (root / name).write_text(text)
    application = [Dir("app"), Reg("app/main.py", PROGRAM)]
    application += [Dir("home/nonroot", 0o700, uid=65532, gid=65532)]
    layout = folder / "layout"
    image_layout(
        layout, [packed(root), tar_layer(application)], tag="x", config=CONFIG, codec="plain"
    )
    return Image(layout, "x")


def install(root: Path, archive: Path) -> None:
    """Unpack, and put the two files of the control archive on record."""
    root.joinpath(STATUS_D).mkdir(parents=True, exist_ok=True)
    subprocess.run(["dpkg-deb", "--extract", archive, root], check=True)
    name = subprocess.run(
        ["dpkg-deb", "--field", archive, "Package"], capture_output=True, text=True, check=True
    ).stdout.strip()
    for member, suffix in (("control", ""), ("md5sums", ".md5sums")):
        done = subprocess.run(
            ["dpkg-deb", "--info", archive, member], capture_output=True, check=True
        )
        (root / STATUS_D / f"{name}{suffix}").write_bytes(done.stdout)


def packed(root: Path) -> bytes:
    """The root as one layer, uncompressed."""
    target = root.with_suffix(".tar")
    with tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as archive:
        for path in sorted(root.rglob("*")):
            archive.add(path, str(path.relative_to(root)), recursive=False)
    return target.read_bytes()


def recorded(image: Image, folder: Path) -> bytes:
    """The profile of one run to its end."""
    target = folder / "recorded.yaml"
    done = careen(
        "profile", "record", str(image), "-o", str(target), "--scenario", "distroless", "-q"
    )
    assert done.returncode == 0, done.stderr
    assert b"/app/main.py" in target.read_bytes()
    return target.read_bytes()
