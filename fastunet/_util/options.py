"""Groups of options as frozen dataclasses, and functions that take their fields as keywords."""

import difflib
import functools
import inspect
from collections.abc import Callable, Collection, Iterable
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, ClassVar, TypeVar, get_type_hints

from fastunet._util.kinds import checked, plain


def option(
    default: Any,
    help: str,  # a sentence, in a terminal and in Python alike
    panel: str | None = None,  # of the help in a terminal; None: that of the group
    shown: str | None = None,  # as the default, in place of None
    typed: bool = True,  # the command line has it
) -> Any:
    """A field that is an option."""
    extra = {"help": help, "panel": panel, "shown": shown, "typed": typed}
    return field(default=default, metadata=extra)


@dataclass(frozen=True)
class Options:
    """A group of options. Raises `OptionError` for a value that is not of its option's kind."""

    panel: ClassVar[str]  # of the help in a terminal

    def __post_init__(self):
        for name, annotation in types_of(type(self)).items():
            object.__setattr__(self, name, checked(annotation, name, getattr(self, name)))


def types_of(group: type[Options]) -> dict[str, Any]:
    """The type of each option, with its `Kind`."""
    hints = get_type_hints(group, include_extras=True)
    return {one.name: hints[one.name] for one in fields(group)}


_Returned = TypeVar("_Returned")


def takes(
    **groups: type[Options],  # by the name of the parameter that gets the group
) -> Callable[[Callable[..., _Returned]], Callable[..., _Returned]]:
    """Give a function the options of the groups as keywords; it gets them as one object a group.

    Its signature and the end of its docstring show them. An unknown keyword is a `TypeError` that
    names near ones, a wrong value an `OptionError`. In the function itself the groups are keywords
    (behind `*`); its `stacklevel`s count one frame more.

    >>> @takes(held=MaskOptions)
    ... def read(path, *, held: MaskOptions): ...
    >>> read("masks", void=9)  # held.void is 9
    """
    known = {one.name: one for group in groups.values() for one in fields(group)}

    def decorate(function: Callable[..., _Returned]) -> Callable[..., _Returned]:
        parameters = []
        for parameter in inspect.signature(function).parameters.values():
            group = groups.get(parameter.name)
            parameters += [parameter] if group is None else _parameters(group)
        names = {parameter.name for parameter in parameters}

        @functools.wraps(function)
        def with_options(*args: Any, **kwargs: Any) -> _Returned:
            if unknown := sorted(kwargs.keys() - names):
                raise TypeError(
                    f"{function.__qualname__}: {unknown_options(unknown, names - {'self', 'cls'})}"
                )
            given = {name: kwargs.pop(name) for name in known if name in kwargs}
            made = {
                name: group(**{key: given[key] for key in types_of(group) if key in given})
                for name, group in groups.items()
            }
            return function(*args, **kwargs, **made)

        signature = inspect.signature(function)
        with_options.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
        lines = "\n".join(f"    {name}: {one.metadata['help']}" for name, one in known.items())
        with_options.__doc__ = f"{inspect.cleandoc(function.__doc__ or '')}\n\nOptions:\n{lines}\n"
        return with_options

    return decorate


def _parameters(group: type[Options]) -> list[inspect.Parameter]:
    return [
        inspect.Parameter(
            one.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if one.default is MISSING else one.default,
            annotation=plain(types_of(group)[one.name]),
        )
        for one in fields(group)
    ]


def unknown_options(names: Iterable[str], known: Collection[str]) -> str:
    """What to say of options that do not exist: those that are spelled alike."""
    said = []
    for name in names:
        near = difflib.get_close_matches(name, sorted(known), 3, 0.6)
        said.append(f"{name!r}" + (f" (did you mean {' or '.join(near)}?)" if near else ""))
    return f"unknown option{'s' if len(said) > 1 else ''}: {', '.join(said)}"


def flat(*groups: Options) -> dict[str, Any]:
    """The options of the groups by name, as a function that `takes` them wants them."""
    return {one.name: getattr(group, one.name) for group in groups for one in fields(group)}
