"""Values as workflow would return them, small enough to read."""

from __future__ import annotations

from careen.finding import Finding
from careen.formats import digest as digests
from careen.plan.plan import Options, PackageDecision, PathDecision, Plan, Source, Totals
from careen.workflow import Named, Outcome

SOURCE = digests.of(b"source")
HARDENED = digests.of(b"hardened")
HOSTILE = "/usr/bin/\x1b[31mred\n[bold]\udcff"


def package(
    name: str, decision: str, reason: str, size: int = 1_000_000, dropped: int = 0
) -> PackageDecision:
    return PackageDecision(
        id=name,
        name=name,
        version="1.0-1",
        arch="amd64",
        database="dpkg",
        decision=decision,  # type: ignore[arg-type]
        reason=reason,
        bytes=size,
        files=20,
        dropped=dropped,
    )


def dropped(path: str, reason: str, owner: str = "", size: int = 1000) -> PathDecision:
    return PathDecision(
        path=path, kind="file", decision="drop", reason=reason, owner=owner, bytes=size
    )


PLAN = Plan(
    source=Source(digest=SOURCE, platform="linux/amd64"),
    profile=digests.of(b"profile"),
    options=Options(keep=("curl",)),
    packages=(
        *(package(f"unused{i:02}", "remove", "nothing that it owns is used", i) for i in range(12)),
        package("apt", "remove", "nothing that it owns is used", 4_000_000),
        package("curl", "keep", "asked for: curl"),
        package("libc6", "keep", "/lib/x86_64-linux-gnu/libc.so.6: opened in load", 13_000_000),
        package("perl-base", "partial", "/usr/bin/perl: started by Entrypoint", dropped=3),
    ),
    paths=(
        dropped("/bin/bash", "its package bash goes", owner="bash"),
        dropped(HOSTILE, "its package evil goes", owner="evil"),
        dropped("/usr/bin/perldoc", "nothing uses it", owner="other, perl-base", size=7000),
        dropped("/usr/lib/a/__pycache__/a.pyc", "bytecode of /usr/lib/a/a.py, which goes"),
        dropped("/usr/lib/b/__pycache__/b.pyc", "bytecode of /usr/lib/b/b.py, which goes"),
        PathDecision(
            path="/var/lib/dpkg/status",
            kind="file",
            decision="replace",
            reason="the package database tells of what remains",
            content="",
        ),
    ),
    findings=(
        Finding(rule="shell-kept", severity="note", path="/bin/sh", message="script /entry.sh"),
        Finding(rule="profile-other-image", severity="warning", message="recorded elsewhere"),
    ),
    totals=Totals(
        packages=(16, 3), files=(1200, 300), bytes=(60_000_000, 20_000_000), shells=(2, 1)
    ),
)

OUTCOME = Outcome(
    plan=PLAN,
    findings=(Finding(rule="script-without-interpreter", severity="note", message="2 of them"),),
    source=Named(reference="oci:app:1", digest=SOURCE, size=25_000_000, layers=2),
    image=Named(reference="oci:hard:1", digest=HARDENED, size=9_000_000, layers=1),
    debug=Named(reference="oci:hard:1-debug", digest=SOURCE, size=25_000_000, layers=2),
)

WRONG = Finding(rule="path-lost", severity="error", path="/etc/passwd", message="is gone")
