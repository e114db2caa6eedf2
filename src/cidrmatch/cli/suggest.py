"""The command `suggest`: the best list for observed addresses, within the rules of a product.

    cidrmatch suggest seen.txt --preset bitbybit                      seen.txt: an address a line, perhaps with a count
    sort seen.txt | uniq -c | cidrmatch suggest -                     as `uniq -c` prints it
    cidrmatch suggest seen.txt --max-entries 5 --leave-out 1%         one request of a hundred may be left out
    cidrmatch suggest seen.txt --must-include 203.0.113.9 --must-exclude 198.51.100.0/24

The output is a list again: a prefix on each line, and behind them, as comments, what the list admits and whom it
leaves out.

Exit status: 0 if the list admits everybody, but for the outliers that --leave-out allows; 1 if somebody else stays
outside, or lines of the file cannot be read; 2 for wishes that contradict each other.
"""

import re
import sys
from fractions import Fraction
from typing import Annotated, NoReturn

import typer

from ..advice.suggest import REASONS, Suggestion
from ..advice.suggest import suggest as suggest_list
from ..errors import quote
from ..files.observed import ObservedFileError, read_observed
from .inputs import JsonOption, PresetOption, find_policy
from .output import console, count, fail, finish, print_json, say

__all__ = ["suggest"]

_TOLD = 20
"""How many of the addresses that are left out, or of the lines that are bad, are told to people."""


def suggest(
    source: Annotated[str, typer.Argument(metavar="SEEN", help="A file with an address a line, or -; counts allowed.")],
    preset: PresetOption = None,
    max_entries: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="At most so many entries, if the rules allow as many.")
    ] = None,
    leave_out: Annotated[
        str, typer.Option(metavar="SHARE", help="Requests that may be left out if the list gets narrower, such as 1%.")
    ] = "0%",
    must_include: Annotated[
        list[str] | None, typer.Option(metavar="PREFIX", help="The list admits this; may be repeated.")
    ] = None,
    must_exclude: Annotated[
        list[str] | None, typer.Option(metavar="PREFIX", help="The list admits nothing of this; may be repeated.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Find the list that admits all observed addresses and the fewest others."""
    policy, share = find_policy(preset), _share(leave_out)
    try:
        found = suggest_list(
            read_observed(source),
            policy,
            max_entries=max_entries,
            leave_out=share,
            must_include=must_include or (),
            must_exclude=must_exclude or (),
        )
    except ObservedFileError as error:
        _refuse_lines(source, error, as_json)
    except ValueError as error:
        fail(str(error))
    if as_json:
        print_json(source=source, has_all=found.has_all, **found.to_dict())
    else:
        _say_list(found)
    finish(0 if found.has_all else 1)


def _share(text: str) -> Fraction:
    """Read a share such as `1%`, `0.5 %` or `0.01`."""
    matched = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,9})?) ?(%?)", text)
    share = None if matched is None else Fraction(matched[1]) / (100 if matched[2] else 1)
    if share is None or share >= 1:
        raise typer.BadParameter(f"{quote(text)} is no share below 100 %, such as 1% or 0.01", param_hint="--leave-out")
    return share


def _refuse_lines(source: str, error: ObservedFileError, as_json: bool) -> NoReturn:
    """Say which lines cannot be read (exit 1), or that the file cannot be read (exit 2)."""
    if not error.problems:
        fail(str(error))
    if as_json:
        errors = [{"at": place, "message": reason} for place, reason in error.problems]
        print_json(source=source, ok=False, errors=errors)
    else:
        out = console(sys.stderr)
        for place, reason in error.problems[:_TOLD]:
            say(out, "error", f": {reason}", place=f"{place}: ")
        say(out, "refused", f": {count(len(error.problems), 'bad line')} in {source}; nothing of it is used")
    finish(1)


def _say_list(found: Suggestion) -> None:
    """Print the list, and what there is to say about it as comments."""
    out = console(sys.stdout)
    for entry in found.entries:
        say(out, entry)
    four, six = found.admitted_by_family
    units = ", ".join(
        told for told, units in ((f"{four:,} IPv4", four), (f"{count(six, '/64', '/64s')} of IPv6", six)) if units
    )
    say(out, f"# {count(len(found.entries), 'entry', 'entries')}: {units} admitted, {found.extra:,} never seen")
    greedy = found.greedy
    say(out, f"# greedy: {count(len(greedy.entries), 'entry', 'entries')}, {greedy.extra:,} never seen")
    if found.at_least < found.extra:
        say(out, f"# no list that may leave out as much has less than {found.at_least:,} never seen")
    if found.left_out:
        requests = count(found.requests, "request")
        say(out, f"# left out: {found.left_out_requests:,} of {requests}")
    for one in found.left_out[:_TOLD]:
        say(out, f"#   {one.prefix}, {count(one.requests, 'request')}: {REASONS[one.reason]}")
    if len(found.left_out) > _TOLD:
        say(out, f"#   and {count(len(found.left_out) - _TOLD, 'prefix', 'prefixes')} more; --json names them")
    for problem in found.report.warnings:
        say(console(sys.stderr), "warning", f": {problem.line}")
