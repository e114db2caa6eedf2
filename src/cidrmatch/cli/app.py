"""The command `cidrmatch`: which commands there are, in which order, and what all of them share.

    cidrmatch validate  LIST --preset bitbybit         does this product accept the list, and if not, why not?
    cidrmatch check     LIST ADDRESS...                may these addresses pass?
    cidrmatch explain   LIST ADDRESS                   which entry allows it, or which entries are nearest?
    cidrmatch aggregate LIST                           the fewest prefixes with the same addresses
    cidrmatch union     LIST LIST...                   the entries of all lists
    cidrmatch intersect LIST LIST...                   the addresses that are in all of them
    cidrmatch subtract  LIST LIST...                   the addresses of the first that are in none of the others
    cidrmatch symmetric LIST LIST...                   the addresses that are in exactly one of two
    cidrmatch diff      OLD NEW                        which addresses would be let in, which would be shut out?
    cidrmatch convert   LIST --to nginx                the list as a gateway keeps it

    cidrmatch check     --config FILE KEY ADDRESS...   may these addresses use the key?
    cidrmatch explain   --config FILE KEY ADDRESS      what applies to the key, and what decided
    cidrmatch diff      --engines OLD NEW              which keys and lists differ, and who gets in by which key
    cidrmatch lint      --config FILE                  what looks like a mistake?
    cidrmatch schema                                   the JSON Schema of a configuration
    cidrmatch replay    LOG... --list NEW              whom would a list block, by the requests of access logs?
    cidrmatch suggest   SEEN                           the best list for observed addresses

    cidrmatch compile   FILE -o SNAP                   the same engine as a snapshot, for `Engine.open`
    cidrmatch decompile SNAP -o FILE                   the same engine as a configuration again
    cidrmatch inspect   SNAP                           what is in it
    cidrmatch verify    SNAP                           is every byte of it as it was written?
    cidrmatch check     --snapshot SNAP KEY ADDRESS... as with --config; so does explain

LIST is a file that `files.lists` reads, or "-" for standard input.  FILE is a whole engine, which `files.config` reads;
the policy that it names judges it.

    exit status   0  allowed, accepted, no difference, no warning
                  1  denied, refused, different, a warning of lint, a damaged snapshot
                  2  a wrong call, a file that cannot be read or written, an address that is none
                141  the reader of the output has gone
    stdout        the answer: lines for people, or with --json one document and nothing else
    stderr        everything else: why the call failed, why a list is refused, progress

Each command is a function in the module of its group, and has a row in `_COMMANDS`.  `--help` shows the commands in the
order of the rows.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from ..version import __version__
from .configs import lint, print_schema
from .convert import convert
from .lists import aggregate, diff, intersect, subtract, symmetric, union, validate
from .output import finish, printable
from .questions import check, explain
from .replay import replay
from .snapshots import compile_snapshot, decompile, inspect, verify
from .streams import delivered, streams_that_exist
from .suggest import suggest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["app"]

_COMMANDS: tuple[tuple[str, Callable[..., None]], ...] = (
    ("validate", validate),
    ("check", check),
    ("explain", explain),
    ("aggregate", aggregate),
    ("union", union),
    ("intersect", intersect),
    ("subtract", subtract),
    ("symmetric", symmetric),
    ("diff", diff),
    ("convert", convert),
    ("lint", lint),
    ("schema", print_schema),
    ("replay", replay),
    ("suggest", suggest),
    ("compile", compile_snapshot),
    ("decompile", decompile),
    ("inspect", inspect),
    ("verify", verify),
)


class _Commands(TyperGroup):
    """Typer's group of commands; arguments in its error messages are escaped, and failures of the output are told."""

    def main(self, *args: Any, **extra: Any) -> Any:
        with streams_that_exist():
            try:
                with delivered():
                    return super().main(*args, **extra)
            except typer.Exit as end:  # a message about a wrong call could not be written
                sys.exit(end.exit_code)

    def make_context(self, *args: Any, **extra: Any) -> Any:
        with delivered(), _escaped_message():
            return super().make_context(*args, **extra)

    def invoke(self, ctx: Any) -> Any:
        with delivered(), _escaped_message():
            return super().invoke(ctx)


@contextmanager
def _escaped_message() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if isinstance(message := getattr(error, "message", None), str):
            error.message = printable(message)  # type: ignore[attr-defined]
        raise


app = typer.Typer(
    cls=_Commands,
    add_completion=True,
    rich_markup_mode=None,  # plain text for help and usage errors, which can be piped
    pretty_exceptions_enable=False,  # they would print local variables, such as whole lists
)


def _print_version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"cidrmatch {__version__}\n")
        finish(0)


@app.callback(
    invoke_without_command=True,
    epilog="Exit status: 0 allowed or clean, 1 denied, refused or suspicious, 2 wrong usage.",
)
def _describe(
    context: typer.Context,
    version: Annotated[  # noqa: ARG001  the callback prints it
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """May this client address use this API key?"""
    if context.invoked_subcommand is None:
        sys.stderr.write(f"{context.get_help()}\n")
        finish(2)


for _name, _command in _COMMANDS:
    app.command(_name)(_command)
