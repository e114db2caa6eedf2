"""What is allowed in a configuration and still looks like a mistake.

A policy judges a list when it is saved.  Lint looks at all that is stored, long
after, and at how it hangs together:

    of a list      what the policy warns of (covered, private, no_restriction ...), told by the policy itself
                   expired, disabled       entries that no longer count
                   never_used              entries that cover no address their keys were seen with
                   unused_list             neither linked nor the default: it affects nothing (P12)
                   empty_list              a list without entries; in use, it denies everyone (C22)
    of an owner    no_backup_key           all keys of the owner are restricted (B30)

A finding refuses nothing.  A "warning" is likely to be wrong, an "advice" may
well be meant.
Cost: some microseconds an entry.
Threads: safe; looks at one version of the data and one moment.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Literal, TypeAlias, cast

from ._core.address import parse_address
from ._core.patricia import PatriciaTrie
from ._core.reasons import State
from .errors import quote
from .explain import Standing, standing_of

if TYPE_CHECKING:
    from ._core.address import AddressLike
    from ._core.check import View
    from ._core.condition import Condition
    from ._core.prefix import Entry
    from .engine import Engine
    from .policy import Policy
    from .records import KeyRecord

__all__ = ["Finding", "lint"]

Kind: TypeAlias = Literal["list", "key", "owner"]


@dataclass(frozen=True, slots=True)
class Finding:
    """Name one thing that is worth a look.

    Attributes:
        code: a stable name, for programs.
        severity: "warning" or "advice".
        kind: whether it is about a named list, a key's own entries, or an owner.
        name: which one.
        entry: the text of the entry, or None for the whole.
        message: what was found, in words.
    """

    code: str
    severity: Literal["warning", "advice"]
    kind: Kind
    name: str
    entry: str | None
    message: str

    def __str__(self) -> str:
        entry = "" if self.entry is None else f"{self.entry}: "
        return f"{self.severity}: {self.kind} {quote(self.name)}: {entry}{self.message}"

    def to_dict(self) -> dict[str, str | None]:
        """Give the fields as plain values, for JSON."""
        return {
            "code": self.code,
            "severity": self.severity,
            "kind": self.kind,
            "name": self.name,
            "entry": self.entry,
            "message": self.message,
        }


def lint(engine: Engine, *, seen: Mapping[str, Iterable[AddressLike]] | None = None) -> tuple[Finding, ...]:
    """Find what looks like a mistake in all lists and keys of an engine.

    Args:
        engine: the engine to look at.
        seen: for a key, the client addresses it was used from.  Entries are called never used only
            where this tells of every key they serve.
    Returns:
        Findings: of the lists, of the keys, of the owners, each in the order of the names.
    Raises:
        InvalidAddress, TypeError: something in `seen` is no address.

    >>> engine = Engine(presets.bitbybit())
    >>> report = engine.put_key("key_1", ["198.51.100.0/24", "198.51.100.7"], owner="acme")
    >>> for finding in lint(engine):
    ...     print(finding)
    warning: key 'key_1': 198.51.100.7/32: covered by the broader entry '198.51.100.0/24'; one of the two is enough
    advice: owner 'acme': all keys (1) are restricted; an unrestricted backup key helps when an address changes
    """
    linter = _Linter(engine.view, {} if seen is None else seen)
    return (*linter.lint_lists(), *linter.lint_keys(), *linter.lint_owners())


class _Linter:
    """Looks at one version of the data."""

    def __init__(self, view: View, seen: Mapping[str, Iterable[AddressLike]]) -> None:
        self.view = view
        self.policy: Policy = view.settings.policy
        self.now = view.settings.clock()
        self.records = {key: cast("KeyRecord", rule.record) for key in sorted(view) if (rule := view.rule(key))}
        self.seen = {key: _trie_of(addresses) for key, addresses in seen.items()}
        self.users = self._find_users()

    def _find_users(self) -> dict[str, list[str]]:
        """Name for each list the keys that it decides for."""
        users: dict[str, list[str]] = defaultdict(list)
        for key, record in self.records.items():
            uses_default = self.view.default is not None and not record.entries and not record.lists
            default = (str(self.view.default),) if uses_default else ()
            for name in {*record.lists, *record.within, *default}:
                users[name].append(key)
        return users

    # 1. Lists, keys and owners.

    def lint_lists(self) -> Iterator[Finding]:
        for name, frozen in sorted(self.view.lists.items()):
            is_used = name in self.users or name == self.view.default
            if not is_used:
                yield Finding("unused_list", "advice", "list", name, None, "neither linked nor the default: no effect")
            elif not frozen.entries:
                yield Finding("empty_list", "warning", "list", name, None, "empty and in use: it denies everyone")
            yield from self._lint_entries("list", name, frozen.entries, self.users[name])

    def lint_keys(self) -> Iterator[Finding]:
        for key, record in self.records.items():
            yield from self._lint_entries("key", key, record.entries, [key])

    def lint_owners(self) -> Iterator[Finding]:
        keys_of: dict[str, list[str]] = defaultdict(list)
        for key, record in self.records.items():
            if record.owner is not None:
                keys_of[record.owner].append(key)
        for owner, keys in sorted(keys_of.items()):
            if all(self._is_restricted(key) for key in keys):
                message = (
                    f"all keys ({len(keys)}) are restricted; an unrestricted backup key helps when an address changes"
                )
                yield Finding("no_backup_key", "advice", "owner", owner, None, message)

    def _is_restricted(self, key: str) -> bool:
        rule = self.view.rule(key)
        return rule is not None and self.view.state(rule) is not State.UNRESTRICTED

    # 2. The entries of one list.

    def _lint_entries(self, kind: Kind, name: str, entries: tuple[Entry, ...], keys: list[str]) -> Iterator[Finding]:
        yield from self._ask_policy(kind, name, entries)
        for entry in entries:
            for code, message in self._judge_use(entry, keys):
                yield Finding(code, "advice", kind, name, self.policy.canonical(entry.prefix), message)

    def _ask_policy(self, kind: Kind, name: str, entries: tuple[Entry, ...]) -> Iterator[Finding]:
        """Tell what the policy would say today about the entries that count, or will."""
        policy = replace(self.policy, min_entries=0)
        if policy.private == "accept":
            policy = replace(policy, private="warn")
        dead = {index for index, entry in enumerate(entries) if not self._is_alive(entry)}
        alive = [entry for entry in entries if self._is_alive(entry)]
        restricts = not any(problem.code == "no_restriction" for problem in policy.validate(alive).problems)
        for problem in policy.validate(entries).problems:
            if problem.index in dead or (problem.code == "no_restriction" and restricts):
                continue
            is_mere_advice = problem.code == "private" and self.policy.private == "accept"
            entry = None if problem.index is None else self.policy.canonical(entries[problem.index].prefix)
            message = problem.message + (f"; {problem.hint}" if problem.hint else "")
            yield Finding(problem.code, "advice" if is_mere_advice else "warning", kind, name, entry, message)

    def _judge_use(self, entry: Entry, keys: list[str]) -> Iterator[tuple[str, str]]:
        """Tell whether an entry still does anything."""
        standing = standing_of(entry, self.now)
        if standing is Standing.DISABLED:
            yield "disabled", "it is disabled and does not count"
        elif standing is Standing.OVER:
            expires = cast("datetime", cast("Condition", entry.condition).expires)
            yield "expired", f"it is over since {expires.isoformat()}"
        elif standing is Standing.COUNTS and keys and all(self._was_away(key, entry) for key in keys):
            yield "never_used", "it covers no address that was seen"

    def _was_away(self, key: str, entry: Entry) -> bool:
        """Whether a key is known to have been used from outside an entry only."""
        return key in self.seen and not self.seen[key].covered(entry.prefix)

    def _is_alive(self, entry: Entry) -> bool:
        return standing_of(entry, self.now) in (Standing.COUNTS, Standing.WAITS)


def _trie_of(addresses: Iterable[AddressLike]) -> PatriciaTrie[None]:
    return PatriciaTrie((parse_address(address), None) for address in addresses)
