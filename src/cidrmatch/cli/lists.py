"""Commands about a list by itself: `validate`, `aggregate`, `diff`.

    validate   a policy judges the list     every problem with its place; accepted or refused
    aggregate  the list as fewest prefixes  one on each line; the output is a list again
    diff       two lists                    addresses that would be let in or shut out, entries that differ

These commands know no keys.  Only `validate` asks a policy.  The others only apply the rules of texts; one bad entry
refuses the whole list.
"""

import sys
from typing import Annotated, Final

import typer

from ..advice import diff as diff_of_lists
from ..files.documents import STDIN
from ..files.line_lists import LineFile
from ..files.lists import Format, ListFile
from ..policy.policy import Report
from ..policy.problems import Problem
from .inputs import (
    FormatOption,
    JsonOption,
    ListArgument,
    PresetOption,
    QuietOption,
    find_policy,
    load_list,
    problem_facts,
    quoted_label,
    read_entries,
    say_problems,
)
from .output import console, count, finish, paused_collector, print_json, say

__all__ = ["aggregate", "diff", "validate"]

_SHOWN: Final = 3
"""How many problems of each code a summary shows."""


def validate(
    source: ListArgument,
    preset: PresetOption = None,
    file_format: FormatOption = None,
    summary: Annotated[
        bool, typer.Option("--summary", help="Count the problems by their codes, and print the first of each.")
    ] = False,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Say whether a product takes the list, or why not."""
    policy = find_policy(preset)
    file = read_entries(source, file_format)
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


def aggregate(source: ListArgument, file_format: FormatOption = None, as_json: JsonOption = False) -> None:
    """Print the fewest prefixes with the same addresses."""
    listed = load_list(source, file_format, as_json)
    prefixes = [str(prefix) for prefix in listed.allow.aggregate()]
    if as_json:
        print_json(list=listed.name, prefixes=prefixes)
    else:
        sys.stdout.write("".join(f"{prefix}\n" for prefix in prefixes))
    finish(0)


def diff(
    old: Annotated[str, typer.Argument(metavar="OLD", help="The list as it was.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="The list as it would be.")],
    file_format: Annotated[Format | None, typer.Option("--format", help="Read both lists as this.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Say what a change of the list lets in or shuts out."""
    if old == new == STDIN:
        raise typer.BadParameter("standard input can be read only once")
    before, after = (load_list(source, file_format, as_json) for source in (old, new))
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
        addresses = [("+", str(prefix)) for prefix in found.gained] + [("-", str(prefix)) for prefix in found.lost]
        _say_changes("addresses", addresses)
        entries = [("+", after.describe(entry)) for entry in found.added]
        entries += [("-", before.describe(entry)) for entry in found.removed]
        entries += [("~", f"{after.describe(now)}, was {quoted_label(was)}") for was, now in found.relabelled]
        _say_changes("entries", entries)
    finish(0 if found.is_equal else 1)


def _say_changes(noun: str, changes: list[tuple[str, str]]) -> None:
    out = console(sys.stdout)
    say(out, noun, "" if changes else ": the same")
    for sign, change in changes:
        say(out, sign, f" {change}", place="  ")
