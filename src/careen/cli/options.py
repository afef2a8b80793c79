"""Every option of every command, in the groups that commands share.

Each has an environment variable, `CAREEN_` and its name. A group's value holds what the user
wrote; `careen.cli.settings` makes careen's own values of it.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
import typer

from careen.cli.command import COMMON

__all__ = [
    "Common",
    "Decision",
    "Destination",
    "HardenedImage",
    "Image",
    "NewImage",
    "Registries",
    "Rules",
    "Source",
    "SourceRegistry",
]

_WHAT = "What goes"
_NEW = "New image"
_REGISTRY = "Registries"
_RESULT = "Result"

Image = Annotated[str, typer.Argument(metavar="IMAGE", help="The image to read.")]
Source = Annotated[str, typer.Argument(metavar="SRC", help="The image to read.")]
Destination = Annotated[str, typer.Argument(metavar="DST", help="Where the new image goes.")]


class _Options(msgspec.Struct, frozen=True, kw_only=True):
    """A group of options."""


class Common(_Options, frozen=True, kw_only=True):
    """How to work and what to say, whatever the command."""

    format: Annotated[
        str,
        typer.Option(
            "--format", metavar="FORM", rich_help_panel=_RESULT,
            help="Of the result on stdout: table or json. [default: table]",
        ),
    ] = "table"  # fmt: skip

    verbose: Annotated[
        bool,
        typer.Option(
            "--verbose", "-v", help="Show every row, not only the first.", rich_help_panel=COMMON
        ),
    ] = False
    quiet: Annotated[
        bool,
        typer.Option(
            "--quiet", "-q", help="No progress on stderr; the result stays.",
            rich_help_panel=COMMON,
        ),
    ] = False  # fmt: skip
    color: Annotated[
        str,
        typer.Option(
            "--color", metavar="WHEN", rich_help_panel=COMMON,
            help="auto, always or never; auto: on a terminal, unless NO_COLOR is set.",
        ),
    ] = "auto"  # fmt: skip
    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs", metavar="N", help="Threads [default: one a core]",
            rich_help_panel=COMMON,
        ),
    ] = None  # fmt: skip
    cache: Annotated[
        str | None,
        typer.Option(
            "--cache", metavar="DIR", rich_help_panel=COMMON,
            help="Keep what was pulled in DIR, and use it again.",
        ),
    ] = None  # fmt: skip
    debug_errors: Annotated[
        bool,
        typer.Option(
            "--debug-errors", help="Print a traceback with an error.", rich_help_panel=COMMON
        ),
    ] = False


class SourceRegistry(_Options, frozen=True, kw_only=True):
    """Which image is read, and how its registry may be asked."""

    platform: Annotated[
        str | None,
        typer.Option(
            "--platform", metavar="OS/ARCH[/VARIANT]", rich_help_panel="Source",
            help="Which image of an index, as linux/arm64.",
        ),
    ] = None  # fmt: skip
    authfile: Annotated[
        str | None,
        typer.Option(
            "--authfile", metavar="FILE", rich_help_panel=_REGISTRY,
            help="Credentials, instead of docker's and podman's files.",
        ),
    ] = None  # fmt: skip
    src_creds: Annotated[
        str | None,
        typer.Option(
            "--src-creds", metavar="USER[:PASS]", help="For the image that is read.",
            rich_help_panel=_REGISTRY,
        ),
    ] = None  # fmt: skip
    password_stdin: Annotated[
        bool,
        typer.Option(
            "--password-stdin", rich_help_panel=_REGISTRY,
            help="Read the password of a USER without one from stdin, for one registry.",
        ),
    ] = False  # fmt: skip
    tls_verify: Annotated[
        bool,
        typer.Option(
            "--tls-verify/--no-tls-verify", rich_help_panel=_REGISTRY,
            help="Check certificates; --no-…, or =false: do not, and allow http.",
        ),
    ] = True  # fmt: skip
    src_tls_verify: Annotated[
        bool | None,
        typer.Option(
            "--src-tls-verify/--no-src-tls-verify", rich_help_panel=_REGISTRY,
            help="The same for the image that is read alone.",
        ),
    ] = None  # fmt: skip
    allow_http_auth: Annotated[
        bool,
        typer.Option(
            "--allow-http-auth", help="Send credentials over plain http too.",
            rich_help_panel=_REGISTRY,
        ),
    ] = False  # fmt: skip
    offline: Annotated[
        bool,
        typer.Option(
            "--offline", help="Any network access is an error.", rich_help_panel=_REGISTRY
        ),
    ] = False


class Registries(SourceRegistry, frozen=True, kw_only=True):
    """The same, with the second registry: a destination's, or that of the image to verify."""

    dest_creds: Annotated[
        str | None,
        typer.Option(
            "--dest-creds", metavar="USER[:PASS]", help="For the new image's registry.",
            rich_help_panel=_REGISTRY,
        ),
    ] = None  # fmt: skip
    dest_tls_verify: Annotated[
        bool | None,
        typer.Option(
            "--dest-tls-verify/--no-dest-tls-verify", rich_help_panel=_REGISTRY,
            help="As --tls-verify, for the new image's registry alone.",
        ),
    ] = None  # fmt: skip


class Rules(_Options, frozen=True, kw_only=True):
    """What a plan is drawn by."""

    profile: Annotated[
        list[str],
        typer.Option(
            "--profile", "-p", metavar="FILE", rich_help_panel=_WHAT,
            help="What the application used; repeatable, several are merged.",
        ),
    ] = msgspec.field(default_factory=list)  # fmt: skip
    policy: Annotated[
        str,
        typer.Option(
            "--policy", metavar="NAME", rich_help_panel=_WHAT,
            help="strict: every unused package. standard: data packages stay (certificates, "
            "time zones). conservative: what kept packages depend on stays too. "
            "[default: standard]",
        ),
    ] = "standard"  # fmt: skip
    shells: Annotated[
        str,
        typer.Option(
            "--shells", metavar="HOW", rich_help_panel=_WHAT,
            help="auto: they go unless something needs one. keep. remove: an error when "
            "something needs one. [default: auto]",
        ),
    ] = "auto"  # fmt: skip
    granularity: Annotated[
        str,
        typer.Option(
            "--granularity", metavar="WHAT", rich_help_panel=_WHAT,
            help="package: packages go whole. file: unused files inside used packages go too. "
            "[default: package]",
        ),
    ] = "package"  # fmt: skip
    keep: Annotated[
        list[str],
        typer.Option(
            "--keep", metavar="GLOB", rich_help_panel=_WHAT,
            help="A package name or /path that stays; repeatable.",
        ),
    ] = msgspec.field(default_factory=list)  # fmt: skip
    drop: Annotated[
        list[str],
        typer.Option(
            "--drop", metavar="GLOB", rich_help_panel=_WHAT,
            help="A package name or /path that goes; repeatable.",
        ),
    ] = msgspec.field(default_factory=list)  # fmt: skip
    force: Annotated[
        bool,
        typer.Option(
            "--force", rich_help_panel=_WHAT,
            help="Overrule a refusal that says it can be overruled.",
        ),
    ] = False  # fmt: skip
    require_fresh: Annotated[
        bool,
        typer.Option(
            "--require-fresh", rich_help_panel=_WHAT,
            help="Exit 3 when a profile was recorded on another image.",
        ),
    ] = False  # fmt: skip


class Decision(Rules, frozen=True, kw_only=True):
    """What harden goes by: rules, or a plan."""

    plan: Annotated[
        str | None,
        typer.Option(
            "--plan", metavar="FILE", rich_help_panel=_WHAT,
            help="A plan that `careen plan -o` wrote, instead of all these.",
        ),
    ] = None  # fmt: skip


class NewImage(_Options, frozen=True, kw_only=True):
    """The form of the image that is written."""

    compression: Annotated[
        str,
        typer.Option(
            "--compression", metavar="CODEC", rich_help_panel=_NEW,
            help="Of the new layer: gzip, gzip:portable, zstd or zstd:LEVEL; the last three "
            "give the same bytes on every CPU. [default: gzip]",
        ),
    ] = "gzip"  # fmt: skip
    manifest_format: Annotated[
        str,
        typer.Option(
            "--manifest-format", metavar="FORM", rich_help_panel=_NEW,
            help="keep: the source's. oci: a Docker manifest becomes an OCI one, which zstd "
            "needs. [default: keep]",
        ),
    ] = "keep"  # fmt: skip
    source_name: Annotated[
        str,
        typer.Option(
            "--source-name", metavar="NAME", rich_help_panel=_NEW,
            help="Record NAME as the source's; without, only its digest is.",
        ),
    ] = ""  # fmt: skip
    source_date_epoch: Annotated[
        int | None,
        typer.Option(
            "--source-date-epoch", metavar="N", envvar="SOURCE_DATE_EPOCH",
            rich_help_panel=_NEW, help="Creation time in seconds [default: the source's]",
        ),
    ] = None  # fmt: skip
    digest_file: Annotated[
        str | None,
        typer.Option(
            "--digest-file", "--digestfile", metavar="FILE", rich_help_panel=_RESULT,
            help="Write the new image's digest there.",
        ),
    ] = None  # fmt: skip


class HardenedImage(NewImage, frozen=True, kw_only=True):
    """The same, and the unhardened image that goes beside it."""

    debug_tag: Annotated[
        str | None,
        typer.Option(
            "--debug-tag", metavar="TAG", rich_help_panel=_NEW,
            help="Of the counterpart, the source bit for bit. [default: DST's tag "
            "and -debug]",
        ),
    ] = None  # fmt: skip
    no_debug: Annotated[
        bool,
        typer.Option("--no-debug", help="Push no counterpart.", rich_help_panel=_NEW),
    ] = False
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Say what would go; write nothing.", rich_help_panel=_NEW),
    ] = False
