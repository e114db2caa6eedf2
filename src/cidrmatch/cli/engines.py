"""What `diff --engines` says: two configurations, two snapshots, or one of each, compared.

    list 'office'                     the rules, lists and keys that differ, as in the history of a store
      - 198.51.100.0/24
    addresses of key 'key_live_1'     who gets in and who is shut out by it, whatever it was that changed
      - 198.51.100.0/24

A file with the suffix .toml or .json is a configuration, and any other one is a snapshot.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from ..advice.engines import diff_engines, lines_of, title_of
from ..errors import quote
from .inputs import load_config, open_snapshot, read_secret
from .output import console, finish, paused_collector, print_json, say
from .output import lines_of as said_lines

if TYPE_CHECKING:
    from ..advice.engines import EngineDiff
    from ..engine.engine import Engine

__all__ = ["say_diff_of_engines"]


def say_diff_of_engines(old: str, new: str, id_secret_file: str | None, as_json: bool) -> NoReturn:
    """Compare two engines, print what differs, and end the call."""
    before, after = (_load_engine(source, id_secret_file, as_json) for source in (old, new))
    with paused_collector():
        found = diff_engines(before, after)
    if as_json:
        _print_facts(old, new, found)
    else:
        _say_diff(found)
    finish(0 if found.is_equal else 1)


def _load_engine(source: str, id_secret_file: str | None, as_json: bool) -> Engine:
    if Path(source).suffix.lower() in (".toml", ".json"):
        return load_config(source, as_json, warn=lambda _problem: None, secret=read_secret(id_secret_file))
    return open_snapshot(source, as_json, id_secret_file)


def _print_facts(old: str, new: str, found: EngineDiff) -> None:
    print_json(
        old=old,
        new=new,
        equal=found.is_equal,
        things=[
            {"kind": thing.kind, "name": thing.name, "before": thing.before, "after": thing.after}
            for thing in found.things
        ],
        keys=[
            {"key": each.key, "gained": [*map(str, each.gained)], "lost": [*map(str, each.lost)]} for each in found.keys
        ],
        untold=found.untold,
    )


def _say_diff(found: EngineDiff) -> None:
    out = console(sys.stdout)
    if found.is_equal:
        say(out, "equal", ": the same rules, lists and keys")
    for thing in found.things:
        say(out, title_of(thing))
        sys.stdout.write(said_lines(out, [("  ", sign, f" {line}") for sign, line in lines_of(thing)]))
    for each in found.keys:
        say(out, f"addresses of key {quote(each.key)}")
        changes = [("  ", "+", f" {prefix}") for prefix in each.gained]
        changes += [("  ", "-", f" {prefix}") for prefix in each.lost]
        sys.stdout.write(said_lines(out, changes))
    for key in found.untold:
        say(out, f"addresses of key {quote(key)}: entries have conditions, so they depend on the moment")
