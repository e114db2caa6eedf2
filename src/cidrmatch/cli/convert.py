"""The command `convert`: a list in the form in which a gateway, a firewall or a cloud keeps it.

    cidrmatch convert office.csv --to nginx -o /etc/nginx/office.conf
    cidrmatch convert office.csv --to aws-waf --family 4 --name office
    cidrmatch convert edge.conf --format nginx-geo --pick office --to csv

The output is the whole list or nothing.  With -o a file is replaced at once, so a gateway that loads it meanwhile reads
the old list or the new one.  Warnings go to stderr: what is different in the output, such as labels that are not kept.

Exit status: 0 if the list is written; 1 if the list is refused, or the format cannot hold it; 2 for a wrong call.
"""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from ..errors import quote
from ..files.dialects.table import DIALECTS
from ..files.dialects.writing import UnwritableList, write_list
from .inputs import ListArgument, fail_of_file, load_list
from .output import console, fail, finish, say, write_whole
from .reading import PLAIN, Reading, reads_lists

__all__ = ["convert"]


@reads_lists()
def convert(
    source: ListArgument,
    to: Annotated[str, typer.Option("--to", metavar="FORMAT", help=f"One of {', '.join(DIALECTS)}.")],
    output: Annotated[
        str | None, typer.Option("--output", "-o", metavar="FILE", help="Where it goes; without: to stdout.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="The name of the list in the output: a set, a variable, a rule.")
    ] = None,
    family: Annotated[int | None, typer.Option(min=4, max=6, help="Only the entries of IPv4 (4) or IPv6 (6).")] = None,
    reading: Reading = PLAIN,
) -> None:
    """Write a list as a gateway, a firewall or a cloud keeps it."""
    if to not in DIALECTS:
        raise typer.BadParameter(f"{quote(to)} is no format; there are {', '.join(DIALECTS)}", param_hint="--to")
    if family == 5:
        raise typer.BadParameter("4 or 6", param_hint="--family")
    listed = load_list(source, reading, as_json=False)
    try:
        written = write_list(listed.allow, to, name=name, family=family)
    except UnwritableList as error:
        say(console(sys.stderr), "refused", f": {error}")
        finish(1)
    except ValueError as error:
        fail(str(error))
    for warning in written.warnings:
        say(console(sys.stderr), "warning", f": {warning}")
    if output is None:
        sys.stdout.write(written.text)
    else:
        _replace(output, written.text)
    finish(0)


def _replace(output: str, text: str) -> None:
    """Write a file whole or not at all; a file that is there keeps its mode."""
    path = Path(output)
    if path.exists() and not path.is_file():  # such as /dev/stdout
        try:
            path.write_text(text, encoding="utf-8", newline="")
        except OSError as error:
            fail_of_file(output, error)
        return
    try:
        write_whole(output, text, 0o666 & ~_umask())
    except OSError as error:
        fail_of_file(output, error)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
