"""Commands about lists by themselves: `validate`, `aggregate`, `union`, `intersect`, `subtract`, `symmetric`, `diff`.

    validate   a policy judges the list     every problem with its place; accepted or refused
    aggregate  the list as fewest prefixes  one on each line; the output is a list again
    union      of two lists or more         the entries of all; the output is a list again, as of the next three
    intersect  two lists or more            the addresses in all of them
    subtract   two lists or more            the addresses of the first that are in none of the others
    symmetric  two lists or more            the addresses in one of the two; of three, in one or in all
    diff       two lists                    addresses that would be let in or shut out, entries that differ

These commands know no keys; `diff --engines` is in `engines`.  Only `validate` asks a policy.  The others only apply
the rules of texts; one bad entry refuses the whole list.  The operators of `AllowList` say which entries and labels
are in a result.
"""

import operator
import sys
from collections.abc import Callable
from functools import reduce
from typing import Annotated, Final

import typer

from .._core import AllowList
from ..advice import diff as diff_of_lists
from ..files.documents import STDIN
from ..files.line_lists import LineFile
from ..files.lists import ListFile
from ..files.sheets import write_csv
from ..policy.policy import Report
from ..policy.problems import Problem
from .engines import say_diff_of_engines
from .inputs import (
    JsonOption,
    ListArgument,
    PresetOption,
    QuietOption,
    SecretOption,
    find_policy,
    load_list,
    problem_facts,
    quoted_label,
    read_entries,
    say_problems,
)
from .output import console, count, finish, lines_of, paused_collector, print_json, say
from .reading import PLAIN, Reading, reads_lists

__all__ = ["aggregate", "diff", "intersect", "subtract", "symmetric", "union", "validate"]

ListsArgument = Annotated[list[str], typer.Argument(metavar="LIST LIST...", help="Files as for LIST; one may be -.")]
CsvOption = Annotated[bool, typer.Option("--csv", help="Write CSV with the labels; otherwise one prefix on each line.")]

_SHOWN: Final = 3
"""How many problems of each code a summary shows."""


@reads_lists()
def validate(
    source: ListArgument,
    preset: PresetOption = None,
    reading: Reading = PLAIN,
    summary: Annotated[
        bool, typer.Option("--summary", help="Count the problems by their codes, and print the first of each.")
    ] = False,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Say whether a product takes the list, or why not."""
    policy = find_policy(preset)
    file = read_entries(source, reading)
    with paused_collector():
        report = policy.validate(file.entries)
        if not quiet:
            _say_report(file, report, summary, as_json)
    finish(0 if report.ok else 1)


def _say_report(file: ListFile | LineFile, report: Report, summary: bool, as_json: bool) -> None:
    kinds = _kinds_of(report) if summary else {}
    if as_json:
        facts: dict[str, object]
        if summary:
            facts = {"policy": report.policy.name, "ok": report.ok, "accepted": len(report.accepted)}
            facts["summary"] = [_kind_facts(file, found) for found in kinds.values()]
        else:
            facts = report.to_dict()
            facts["errors"] = [problem_facts(file, problem) for problem in report.errors]
            facts["warnings"] = [problem_facts(file, problem) for problem in report.warnings]
        print_json(list=file.name, **facts)
        return
    out = console(sys.stdout)
    if not summary:
        say_problems(sys.stdout, file, report.problems)
    for found in kinds.values():
        first = found[0]
        say(out, first.severity, f": {first.code}: {count(len(found), 'time')}")
        say_problems(sys.stdout, file, found[:_SHOWN], indent="  ")
    counts = [count(len(report.errors), "error"), count(len(report.warnings), "warning")]
    if report.ok:
        counts[0] = count(len(report.accepted), "entry", "entries")
    verdict = "accepted" if report.ok else "refused"
    say(out, verdict, f" under the policy {report.policy.name}: {', '.join(counts)}")


def _kinds_of(report: Report) -> dict[tuple[str, str], list[Problem]]:
    """Sort the problems by severity and code, errors first, and then by how many there are."""
    kinds: dict[tuple[str, str], list[Problem]] = {}
    for problem in report.problems:
        kinds.setdefault((problem.severity, problem.code), []).append(problem)
    return dict(sorted(kinds.items(), key=lambda item: (item[0][0], -len(item[1]), item[0][1])))


def _kind_facts(file: ListFile | LineFile, found: list[Problem]) -> dict[str, object]:
    first = [problem_facts(file, problem) for problem in found[:_SHOWN]]
    return {"severity": str(found[0].severity), "code": found[0].code, "count": len(found), "first": first}


@reads_lists()
def aggregate(source: ListArgument, reading: Reading = PLAIN, as_json: JsonOption = False) -> None:
    """Print the fewest prefixes with the same addresses."""
    listed = load_list(source, reading, as_json)
    prefixes = [str(prefix) for prefix in listed.allow.aggregate()]
    if as_json:
        print_json(list=listed.name, prefixes=prefixes)
    else:
        sys.stdout.write("".join(f"{prefix}\n" for prefix in prefixes))
    finish(0)


def _combining(combine: Callable[[AllowList, AllowList], AllowList], about: str) -> Callable[..., None]:
    """Make a command that combines lists from left to right, and prints the result in a form that is a list again."""

    def command(
        sources: ListsArgument, reading: Reading = PLAIN, as_csv: CsvOption = False, as_json: JsonOption = False
    ) -> None:
        if len(sources) < 2:
            raise typer.BadParameter("two lists or more are combined")
        if as_csv and as_json:
            raise typer.BadParameter("--csv and --json exclude each other")
        _check_inputs(sources)
        found = reduce(combine, [load_list(source, reading, as_json).allow for source in sources])
        if as_json:
            print_json(entries=[{"prefix": str(entry.prefix), "label": entry.label} for entry in found])
        elif as_csv:
            sys.stdout.write(write_csv((entry.prefix, entry.label) for entry in found))
        else:
            sys.stdout.write("".join(f"{entry.prefix}\n" for entry in found))
        finish(0)

    command.__doc__ = about
    return reads_lists()(command)


union = _combining(operator.or_, "Print the entries of all lists, each prefix once.")
intersect = _combining(
    operator.and_, "Print the addresses that are in all lists, as entries of the first list and pieces of them."
)
subtract = _combining(
    operator.sub,
    "Print the addresses of the first list that are in none of the others, as its entries and pieces of them.",
)
symmetric = _combining(operator.xor, "Print the addresses that are in exactly one of two lists.")


def _check_inputs(sources: list[str]) -> None:
    if sources.count(STDIN) > 1:
        raise typer.BadParameter("standard input can be read only once")


@reads_lists()
def diff(
    old: Annotated[str, typer.Argument(metavar="OLD", help="The list as it was.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="The list as it would be.")],
    engines: Annotated[
        bool,
        typer.Option("--engines", help="OLD and NEW are no lists, but configurations (.toml, .json) or snapshots."),
    ] = False,
    reading: Reading = PLAIN,
    id_secret_file: SecretOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what a change of the list lets in or shuts out."""
    if engines:
        if reading != PLAIN:
            raise typer.BadParameter("--format is for lists, and so are its like")
        say_diff_of_engines(old, new, id_secret_file, as_json)
    if id_secret_file is not None:
        raise typer.BadParameter("--id-secret-file is for --engines")
    _check_inputs([old, new])
    before, after = (load_list(source, reading, as_json) for source in (old, new))
    with paused_collector():
        found = diff_of_lists(before.allow, after.allow)
    if as_json:
        print_json(
            old=before.name,
            new=after.name,
            equal=found.is_equal,
            gained=[str(prefix) for prefix in found.gained],
            lost=[str(prefix) for prefix in found.lost],
            added=[after.facts(entry) for entry in found.added],
            removed=[before.facts(entry) for entry in found.removed],
            relabelled=[{"from": before.facts(was), "to": after.facts(now)} for was, now in found.relabelled],
        )
    else:
        addresses = [("+", f" {prefix}") for prefix in found.gained] + [("-", f" {prefix}") for prefix in found.lost]
        _say_changes("addresses", addresses)
        entries = [("+", f" {after.describe(entry)}") for entry in found.added]
        entries += [("-", f" {before.describe(entry)}") for entry in found.removed]
        entries += [("~", f" {after.describe(now)}, was {quoted_label(was)}") for was, now in found.relabelled]
        _say_changes("entries", entries)
    finish(0 if found.is_equal else 1)


def _say_changes(noun: str, changes: list[tuple[str, str]]) -> None:
    out = console(sys.stdout)
    say(out, noun, "" if changes else ": the same")
    sys.stdout.write(lines_of(out, [("  ", sign, change) for sign, change in changes]))
