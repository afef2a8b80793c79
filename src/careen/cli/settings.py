"""From what the user wrote to careen's own values; the environment and stdin are read here."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import msgspec

from careen.cli import files, images
from careen.cli.choice import chosen
from careen.cli.options import Common, Decision, Registries, Rules, SourceRegistry
from careen.cli.progress import watch
from careen.errors import FormatError, UsageError
from careen.oci.platform import Platform
from careen.plan.plan import Options, Plan
from careen.profile import glob
from careen.profile import profile as profiles
from careen.profile.profile import Profile
from careen.transport import credentials
from careen.transport.access import Access, Credentials
from careen.transport.reference import Reference
from careen.workflow import Settings

__all__ = [
    "decided",
    "load_plan",
    "load_profiles",
    "one_login",
    "plan_options",
    "settings",
]


def settings(common: Common, registry: SourceRegistry, *references: Reference) -> Settings:
    """How to work. `references` are the images that the registries' options speak of."""
    source, destination = _credentials(registry, references)
    return Settings(
        jobs=_jobs(common.jobs),
        progress=watch(quiet=common.quiet, color=common.color),
        source=_access(registry, registry.src_tls_verify, source),
        destination=_access(registry, getattr(registry, "dest_tls_verify", None), destination),
        platform=None if registry.platform is None else Platform.from_text(registry.platform),
        cache=None if common.cache is None else Path(common.cache),
    )


def plan_options(rules: Rules) -> Options:
    """What a plan is drawn by; UsageError for a pattern that has no meaning."""
    return Options(
        policy=chosen("--policy", rules.policy, ("conservative", "standard", "strict")),
        shells=chosen("--shells", rules.shells, ("auto", "keep", "remove")),
        granularity=chosen("--granularity", rules.granularity, ("package", "file")),
        keep=_patterns("--keep", rules.keep),
        drop=_patterns("--drop", rules.drop),
        force=rules.force,
    )


def _patterns(option: str, texts: list[str]) -> tuple[str, ...]:
    for text in texts:
        try:
            glob.parse(text)
        except FormatError as error:
            raise UsageError(error.message, at=option) from None
    return tuple(texts)


def load_profiles(names: list[str]) -> Profile:
    """The profiles, merged into one."""
    hint = "write one as the README shows"
    for name in names:
        images.check_file(name)
    return profiles.merge(
        [profiles.load(files.read(name, hint=hint), place=name) for name in names]
    )


def load_plan(name: str) -> Plan:
    """The plan in a file."""
    images.check_file(name)
    raw = files.read(name, hint="write one with `careen plan IMAGE --profile FILE -o PLAN`")
    try:
        return Plan.parse(raw)
    except FormatError as error:
        error.at = f"{name}: {error.at}" if error.at else name
        raise


def _jobs(wanted: int | None) -> int:
    if wanted is not None and wanted < 1:
        raise UsageError(f"at least 1, not {wanted}", at="--jobs")
    return wanted or len(os.sched_getaffinity(0))


def decided(decision: Decision) -> Profile | Plan:
    """The plan, or the merged profiles; UsageError unless it is one of the two."""
    if bool(decision.profile) == (decision.plan is not None):
        problem = "not both" if decision.profile else "one of them is needed"
        raise UsageError(f"{problem}; see `careen harden --help`", at="--profile or --plan")
    if decision.plan is None:
        return load_profiles(decision.profile)
    for field, default in msgspec.structs.asdict(Rules()).items():
        if getattr(decision, field) != default:
            option = f"--{field.replace('_', '-')}"
            raise UsageError("a plan was drawn already; give this to `careen plan`", at=option)
    return load_plan(decision.plan)


def one_login(registry: SourceRegistry, *references: Reference | None) -> None:
    """Refuse to send --src-creds to two registries."""
    hosts = _hosts(tuple(found for found in references if found is not None))
    if registry.src_creds and len(hosts) > 1:
        problem = f"one login for {' and '.join(sorted(hosts))}; use --authfile instead"
        raise UsageError(problem, at="--src-creds")


def _access(
    registry: SourceRegistry, own_tls_verify: bool | None, found: Credentials | None
) -> Access:
    verify = registry.tls_verify if own_tls_verify is None else own_tls_verify
    return Access(
        tls_verify=verify,
        allow_http_auth=registry.allow_http_auth,
        credentials=found,
        authfile=None if registry.authfile is None else Path(registry.authfile),
        environ=dict(os.environ),
        offline=registry.offline,
    )


def _credentials(
    registry: SourceRegistry, references: tuple[Reference, ...]
) -> tuple[Credentials | None, Credentials | None]:
    """The source's and the destination's; a password from stdin is for one registry only."""
    given = {"--src-creds": registry.src_creds}
    if isinstance(registry, Registries):
        given["--dest-creds"] = registry.dest_creds
    waiting = [option for option, text in given.items() if text and ":" not in text]
    password = ""
    if registry.password_stdin:
        if not waiting:
            options = " or ".join(f"{option} USER" for option in given)
            raise UsageError(f"add {options}: whose password is it?", at="--password-stdin")
        if len(waiting) > 1 and len(_hosts(references)) > 1:
            raise UsageError(
                "one password for two registries; write one of them as USER:PASS",
                at="--password-stdin",
            )
        password = _password()
    elif waiting:
        raise UsageError("write USER:PASS, or USER and --password-stdin", at=waiting[0])
    found = [_one(option, text, password) for option, text in given.items()]
    return found[0], found[1] if len(found) > 1 else None


def _one(option: str, text: str | None, password: str) -> Credentials | None:
    if not text:
        return None
    if ":" in text:
        return credentials.parse(text, origin=option)
    return Credentials(username=text, password=password, origin=option)


def _password() -> str:
    password = (sys.stdin.readline() if sys.stdin else "").rstrip("\r\n")
    if not password:
        raise UsageError("no password on stdin", at="--password-stdin")
    return password


def _hosts(references: tuple[Reference, ...]) -> set[str]:
    return {reference.host for reference in references if reference.transport == "docker"}
