"""The flags of a command, made from the plan's options, and what was typed as their values."""

import functools
import inspect
import shlex
from collections.abc import Callable
from dataclasses import MISSING, Field, dataclass, fields
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from fastunet._util.kinds import kind_of, parsed, plain
from fastunet._util.options import Options, types_of
from fastunet._util.terminal import as_typed, options
from fastunet.plan import GROUPS, FileOptions

_OPTIONS: dict[str, tuple[Field, Any, str]] = {
    field.name: (field, types_of(group)[field.name], field.metadata["panel"] or group.panel)
    for group in GROUPS.values()
    for field in fields(group)
}
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead.")]
Replace = Annotated[bool, typer.Option("--overwrite", help="Replace files that are there already.")]


@dataclass(frozen=True)
class Given:
    """The options that were typed, as values; those that were not are left out."""

    options: dict[str, Any]
    context: typer.Context

    @property
    def files(self) -> FileOptions:
        """Where the images and masks are."""
        return FileOptions(
            **{n: self.options[n] for n in types_of(FileOptions) if n in self.options}
        )

    def again(
        self,
        command: str,  # that comes next
        without: tuple[str, ...] = (),  # options that it gets otherwise
    ) -> str:
        """What was typed and another command takes too, for its line."""
        above = self.context.parent
        assert above is not None
        assert isinstance(above.command, TyperGroup)
        following = above.command.get_command(above, command)
        assert following is not None
        known = {param.name for param in following.params} - {*without}
        typed = {name: self.context.params[name] for name in self.options if name in known}
        return shlex.join(options(typed))


def takes_flags(
    *wanted: type[Options] | str,  # whole groups, and single options by name
    need_data: bool = True,
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the flags of options, where its parameter `given` stands; it gets a `Given`.

    A flag whose value is of another kind ends the command with `OptionError`.
    """
    names = [name for one in wanted for name in ([one] if isinstance(one, str) else types_of(one))]
    known = {name: _OPTIONS[name] for name in names if _OPTIONS[name][0].metadata["typed"]}

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(function)
        def command(ctx: typer.Context, **values: Any) -> None:
            typed = {
                name: _value(annotation, name, values[name])
                for name, (_, annotation, _) in known.items()
                if _is_typed(ctx, name)
            }
            own = {name: value for name, value in values.items() if name not in known}
            function(given=Given(typed, ctx), **own)

        parameters = [_parameter("ctx", typer.Context)]
        for parameter in inspect.signature(function).parameters.values():
            if parameter.name != "given":
                parameters.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))
                continue
            parameters += [_flag(*one, need_data) for one in known.values()]
        command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        command.__annotations__ = {one.name: one.annotation for one in parameters}
        return command

    return decorate


def _is_typed(ctx: typer.Context, name: str) -> bool:
    source = ctx.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _value(annotation: Any, name: str, typed: Any) -> Any:
    return parsed(annotation, name, typed) if isinstance(typed, str) else typed


def _parameter(name: str, annotation: Any, default: Any = inspect.Parameter.empty):
    kind = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(name, kind, default=default, annotation=annotation)


def _flag(field: Field, annotation: Any, panel: str, need_data: bool) -> inspect.Parameter:
    """A parameter as typer wants it: a switch, a list of texts, or a text that is read later."""
    said, kind = field.metadata, kind_of(annotation)
    if field.default is MISSING:
        argument = typer.Argument(help=said["help"], show_default=False, metavar=field.name.upper())
        if need_data:
            return _parameter(field.name, Annotated[Path, argument])
        return _parameter(field.name, Annotated[Path | None, argument], None)
    names = [f"--{field.name.replace('_', '-')}"] if field.default is not True else []
    is_switch = plain(annotation) is bool
    option = typer.Option(
        *names,
        help=as_typed(said["help"], _OPTIONS),
        rich_help_panel=panel,
        metavar=None if is_switch else kind.metavar,
        show_default=said["shown"] or field.default not in (None, False),
    )
    if is_switch:
        return _parameter(field.name, Annotated[bool, option], field.default)
    if kind.repeats:
        return _parameter(field.name, Annotated[list[str] | None, option], None)
    default = None if said["shown"] or field.default is None else str(field.default)
    return _parameter(field.name, Annotated[str | None, option], default)
