"""How a command is declared: a function whose parameters are options or whole groups of options.

    def inspect(image: Image, registry: SourceRegistry, common: Common) -> int: …

    declare(app, inspect, example="careen inspect oci:build/app")

A group is a frozen value (`careen.cli.options`); typer sees its fields one by one, and the
function gets the value. Help is plain text in sections: it reads the same in a terminal, in a
file and in the README, and costs no start-up time.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Iterator
from copy import copy
from typing import Any

import msgspec
import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup
from typer.models import OptionInfo

__all__ = ["COMMON", "Group", "declare", "group"]

Function = Callable[..., int]
COMMON = "Common"


class _Plain:
    """What commands and the group of them share: the words of a help text as they were written."""

    def format_usage(self, context: Any, formatter: Any) -> None:
        """`Usage: careen harden [OPTIONS] SRC DST`."""
        pieces = " ".join(self.collect_usage_pieces(context))  # type: ignore[attr-defined]
        formatter.write(f"Usage: {context.command_path} {pieces}\n")

    def format_help_text(self, context: Any, formatter: Any) -> None:
        """The docstring, line by line."""
        formatter.write(f"\n{inspect.cleandoc(self.help or '')}\n")  # type: ignore[attr-defined]

    def format_epilog(self, context: Any, formatter: Any) -> None:
        """The examples, line by line."""
        if self.epilog:  # type: ignore[attr-defined]
            formatter.write(f"\n{self.epilog.strip()}\n")  # type: ignore[attr-defined]


class Group(_Plain, TyperGroup):
    """`careen` itself, or a group of its commands; they stand in the order of a user's work."""

    def list_commands(self, ctx: Any) -> list[str]:
        """As declared, not sorted."""
        return list(self.commands)

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Nothing but a command's name is worth reading here."""
        return ["COMMAND [OPTIONS] …"]


class _Command(_Plain, TyperCommand):
    """One command; its options stand in sections by `rich_help_panel`."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Arguments by their metavar, without decoration."""
        arguments = [p for p in self.params if p.param_type_name == "argument"]
        return ["[OPTIONS]", *(_argument(argument) for argument in arguments)]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Arguments first, then each section in the order of the function's parameters."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            panel = getattr(parameter, "rich_help_panel", None) or COMMON
            if isinstance(parameter, TyperArgument):
                record, panel = (_argument(parameter), parameter.help or ""), "Arguments"
            if record is not None:
                sections.setdefault(panel, []).append(record)
        for title, rows in sections.items():
            with formatter.section(title):
                formatter.write_dl(rows, col_max=28)


def declare(app: typer.Typer, function: Function, *, example: str) -> None:
    """Make `function` a command of its name; its docstring and `example` are the help text.

    An underscore at the end is no part of the name: it is there where Python has the word itself.
    """
    app.command(
        function.__name__.removesuffix("_"),
        cls=_Command,
        help=function.__doc__,
        epilog=f"Examples:\n{_indented(example)}",
    )(_flat(function))


def group(app: typer.Typer, name: str, *, about: str, example: str) -> typer.Typer:
    """A group of commands inside `app`; its name alone shows its help."""
    found = typer.Typer(
        name=name,
        cls=Group,
        help=about,
        epilog=f"Examples:\n{_indented(example)}",
    )
    found.callback(invoke_without_command=True)(_help)
    app.add_typer(found)
    return found


def _help(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def _argument(parameter: Any) -> str:
    return str(parameter.metavar or parameter.name.upper())


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in inspect.cleandoc(text).splitlines())


def _flat(function: Function) -> Function:
    """`function`, taking the fields of its groups one by one."""
    hints = typing.get_type_hints(function, include_extras=True)
    groups = {name: hint for name, hint in hints.items() if _is_group(hint)}
    parameters = list(_parameters(function, hints))

    def flat(**values: Any) -> int:
        for name, group in groups.items():
            fields = {field: values.pop(field) for field in group.__struct_fields__}
            values[name] = group(**fields)
        return function(**values)

    flat.__name__ = function.__name__
    flat.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    flat.__annotations__ = {p.name: p.annotation for p in parameters}
    return flat


def _is_group(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, msgspec.Struct)


def _parameters(function: Function, hints: dict[str, Any]) -> Iterator[inspect.Parameter]:
    for name, parameter in inspect.signature(function).parameters.items():
        if not _is_group(hints[name]):
            yield _parameter(name, hints[name], parameter.default)
            continue
        group = typing.get_type_hints(hints[name], include_extras=True)
        for field in msgspec.structs.fields(hints[name]):
            made = field.default_factory is not msgspec.NODEFAULT
            default = field.default_factory() if made else field.default
            yield _parameter(field.name, group[field.name], default)


def _parameter(name: str, hint: Any, default: Any) -> inspect.Parameter:
    """The parameter with its environment variable: `--dest-creds` is CAREEN_DEST_CREDS."""
    kind, *extras = typing.get_args(hint)
    found = [copy(extra) for extra in extras]
    for info in found:
        if isinstance(info, OptionInfo):
            own = f"CAREEN_{name.upper()}"
            info.envvar = [own, *([info.envvar] if isinstance(info.envvar, str) else [])]
            info.show_envvar = info.show_default = False  # the help texts say what matters
    annotation = typing.Annotated[kind, *found]  # type: ignore[valid-type]
    keyword = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(name, keyword, default=default, annotation=annotation)
