"""How a command reads its lists: the options, defined once, and what they say together.

    --format csv  --column Network  --label-column Site  --where Site=HQ  --split-ranges
         |              |                   |                  |               |
         '--------------'---------- Reading ------------------'---------------'-----> `files.lists.read_list`

A command that takes lists is decorated with `reads_lists`.  It has a parameter `reading`; the call has the options in
its place.  A command whose own options have these names gets them with a prefix, such as --list-format.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from ..errors import quote
from ..files.lists import Format, ListFile, read_list

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["PLAIN", "Reading", "options_of", "reads_lists"]


@dataclass(frozen=True, slots=True)
class Reading:
    """Hold what a call says about the way in which its lists are written.

    Attributes:
        file_format: the format, or None if the suffix and the content say it.
        column, label_column, where, pick: as for `read_list`.
        split: whether ranges and wildcards become prefixes.
    """

    file_format: Format | None = None
    column: str | None = None
    label_column: str | None = None
    where: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    split: bool = False
    pick: str | None = None

    @property
    def names_parts(self) -> bool:
        """Whether something is said about the parts of a file, which a text does not have."""
        return bool({self.column, self.label_column, self.pick} != {None} or self.where)

    def read(self, source: str, content: bytes | None = None) -> ListFile:
        """Read a list in this way.

        Raises:
            ListFileError: as `read_list`.
        """
        return read_list(
            source,
            self.file_format,
            content=content,
            column=self.column,
            label_column=self.label_column,
            where=self.where,
            split=self.split,
            pick=self.pick,
        )


PLAIN: Final = Reading()
"""Nothing is said."""


def options_of(prefix: str) -> dict[str, tuple[Any, Any]]:
    """Give the options: for each its name in the call, its type with its help, and its default."""
    return {
        f"{prefix}format".replace("-", "_"): (
            Annotated[Format | None, typer.Option(f"--{prefix}format", help="Read LIST as this, whatever its suffix.")],
            None,
        ),
        "column": (
            Annotated[
                str | None,
                typer.Option(f"--{prefix}column", metavar="NAME", help="The column, key or path of the prefixes."),
            ],
            None,
        ),
        "label_column": (
            Annotated[
                str | None,
                typer.Option(f"--{prefix}label-column", metavar="NAME", help="The column or key of the labels."),
            ],
            None,
        ),
        "where": (
            Annotated[
                list[str] | None,
                typer.Option(
                    f"--{prefix}where", metavar="FIELD=VALUE", help="Take only such entries of LIST; may be repeated."
                ),
            ],
            None,
        ),
        "split_ranges": (
            Annotated[
                bool,
                typer.Option(f"--{prefix}split-ranges", help="Make prefixes of dash ranges and wildcards in LIST."),
            ],
            False,
        ),
        "pick": (
            Annotated[
                str | None,
                typer.Option(
                    f"--{prefix}pick", metavar="NAME", help="Which set, variable, value or port of LIST, if several."
                ),
            ],
            None,
        ),
    }


def reads_lists(prefix: str = "") -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the options of its lists in the place of its parameter `reading`."""
    options = options_of(prefix)

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        parameters: list[inspect.Parameter] = []
        for own in inspect.signature(function, eval_str=True).parameters.values():
            if own.name == "reading":
                parameters += [
                    inspect.Parameter(name, own.kind, default=default, annotation=kind)
                    for name, (kind, default) in options.items()
                ]
            else:
                parameters.append(own)

        def command(*args: Any, **values: Any) -> None:
            chosen = [values.pop(name) for name in options]
            return function(*args, reading=_reading_of(*chosen), **values)

        command.__name__, command.__doc__ = function.__name__, function.__doc__
        command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        command.__annotations__ = {each.name: each.annotation for each in parameters}
        return command

    return decorate


def _reading_of(
    file_format: Format | None,
    column: str | None,
    label_column: str | None,
    where: list[str] | None,
    split: bool,
    pick: str | None,
) -> Reading:
    wanted: dict[str, tuple[str, ...]] = {}
    for text in where or []:
        name, equal, value = text.partition("=")
        if not equal or not name:
            raise typer.BadParameter(f"{quote(text)} is not FIELD=VALUE, such as service=S3", param_hint="--where")
        wanted[name] = (*wanted.get(name, ()), value)
    return Reading(file_format, column, label_column, wanted, split, pick)
