"""What is allowed in a configuration and still looks like a mistake.

A policy judges one list, at the moment when it is saved.  Lint looks later, at all stored lists and keys together.
These are the codes of its findings:

    of the engine  not_enforced, unknown_passes    switches that let requests pass
    of a key       unrestricted           it has no list: every address passes
                   disabled_list          it has lists, and they are disabled: every address passes
                   open_key               its lists together allow every address of a family
                   nobody_passes          its lists together let nobody in
                   damaged                its record cannot be read: it is denied
    of a list      the policy's own warnings (covered, private, no_restriction ...), in the policy's words
                   expired, disabled      entries that no longer count
                   never_used             entries that cover none of the addresses that their keys were used from
                   not_used_lately        entries that have decided about no request since a moment
                   host_name              entries that stand for a host name, with the age of its answer
                   unused_list            neither linked nor the default: it affects nothing (P12)
                   empty_list             a list in use without entries: it denies everyone (C22)
                   nobody_passes          it lets nobody in, and keys depend on this list alone
    of an owner    no_backup_key          all keys of the owner are restricted (B30)

Every open key is named in a finding, which is a warning.  There is one exception, which is advice: an owner has
restricted keys and one open key, and this key has no list.  This is probably a backup key (B30).

A finding refuses nothing.  A "warning" is probably a mistake.  An "advice" may well be meant.
Cost: some microseconds for each entry, and a step for each link of a key and for each address in `seen`.
Threads: safe; looks at one version of the data and one moment.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import chain
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, cast

from .._core import Standing, parse_address, standing_of
from .._keys import State
from ..engine.settings import settings_of
from ..errors import SnapshotError, quote
from ..policy.reach import Reach, allows, range_of, reach_of
from .hosts import read_host_label

if TYPE_CHECKING:
    from .._core import AddressLike, Condition, Entry
    from .._keys import KeyRecord, Rule, View
    from ..engine.engine import Engine

__all__ = ["OPEN", "Finding", "lint"]

Kind: TypeAlias = Literal["engine", "list", "key", "owner"]
_Entries: TypeAlias = "tuple[Entry, ...]"
Uses: TypeAlias = "Mapping[tuple[str | None, str | None, str], float]"
"""For the key or the named list of an entry, and its prefix, when it decided last, in seconds since 1970."""

OPEN: Final = frozenset(("unrestricted", "disabled_list", "open_key", "no_restriction"))
"""The codes which say that a key is open, if the finding is about a key."""
_OF_THE_MOMENT: Final = frozenset(("no_restriction", "most_addresses"))
"""The policy's codes about a list as a whole; lint asks for them with only the entries that count, or will."""
_TOLD_OTHERWISE: Final = frozenset(("unrestricted", "empty_list", "nobody_passes"))
"""The policy's codes about one list that lint leaves out; it has findings about the key with all its lists instead."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Name one thing that is worth a look.

    Attributes:
        code: a stable name, for programs.
        severity: "warning" or "advice".
        kind: what it is about: the engine, a named list, a key, or an owner.
        name: the name of that list, key or owner; for the engine, of its policy.
        entry: the text of the entry; None if it is not about one entry.
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


def lint(
    engine: Engine,
    *,
    seen: Mapping[str, Iterable[AddressLike]] | None = None,
    uses: Uses | None = None,
    unused_since: datetime | None = None,
) -> tuple[Finding, ...]:
    """Find what looks like a mistake in all lists and keys of an engine.

    Args:
        engine: the engine to look at.
        seen: maps the plain id of a key to the client addresses that it was used from.  An entry is called "never used"
            only if `seen` has every key that uses the entry's list.
        uses: when each entry decided last, as `UsageLog.entry_uses` gives it.
        unused_since: an entry that has decided about no request since then is called "not used lately"; `uses` must
            go back as far.  A moment with a time zone; needed with `uses`.
    Returns:
        Findings, in this order: open switches, open keys, then all else about lists, keys and owners.  Each group is
        sorted by name.
    Raises:
        InvalidAddress, TypeError: something in `seen` is no address.
        ValueError: one of `uses` and `unused_since` is missing, or the moment has no time zone.

    >>> engine = Engine(presets.bitbybit())
    >>> report = engine.put_key("key_1", ["198.51.100.0/24", "198.51.100.7"], owner="acme")
    >>> for finding in lint(engine):
    ...     print(finding)
    warning: key 'key_1': 198.51.100.7/32: covered by the broader entry '198.51.100.0/24'; one of the two is enough
    advice: owner 'acme': all keys (1) are restricted; an unrestricted backup key helps when an address changes
    """
    if (uses is None) != (unused_since is None):
        raise ValueError("uses and unused_since belong together")
    if unused_since is not None and unused_since.tzinfo is None:
        raise ValueError("unused_since needs a time zone")
    linter = _Linter(engine.view, {} if seen is None else seen, uses, unused_since)
    return (
        *linter.lint_switches(),
        *linter.lint_open_keys(),
        *linter.lint_lists(),
        *linter.lint_keys(),
        *linter.lint_owners(),
    )


class _Linter:
    """Looks at one version of the data, at one moment."""

    def __init__(
        self,
        view: View,
        seen: Mapping[str, Iterable[AddressLike]],
        uses: Uses | None,
        unused_since: datetime | None,
    ) -> None:
        self.view = view
        self.unused_since = unused_since
        self.used = _used_since(view, uses or {}, unused_since)
        self.settings = settings_of(view)
        self.policy = self.settings.policy
        self.now = self.settings.clock()
        self.rules = {key: self._find_rule(key) for key in sorted(view)}
        self.records = {key: rule.record for key, rule in self.rules.items() if rule}
        self.levels = {key: view.levels(rule) for key, rule in self.rules.items() if rule}
        self.states = {key: view.state(rule) for key, rule in self.rules.items() if rule}
        self.seen = {view.held_id(key): _sorted(addresses) for key, addresses in seen.items()}
        self.seen_together: dict[tuple[str, ...], _Seen] = {}
        self.users = self._find_users()
        self.alive = {name: self._alive(frozen.entries) for name, frozen in view.lists.items()}
        self.reaches = {name: reach_of(entries) for name, entries in self.alive.items()}
        self.shut = self._find_shut()

    def _find_rule(self, key: str) -> Rule | None:
        """Find the rule of a key; None if its record is damaged."""
        try:
            return self.view.rule(key)
        except SnapshotError:
            return None

    def _names(self, key: str) -> tuple[str, ...]:
        """Name the lists that are judged together with a key's own entries, or in their place."""
        united = (lists for how, lists in self.levels[key] if how != "within")
        return tuple(frozen.name for frozen in chain.from_iterable(united) if frozen.name is not None)

    def _find_users(self) -> dict[str, list[str]]:
        """For each list, name the keys that it helps to decide for."""
        users: dict[str, list[str]] = defaultdict(list)
        for key, record in self.records.items():
            for name in {*self._names(key), *record.within}:
                users[name].append(key)
        return users

    def _find_shut(self) -> dict[str, int]:
        """For each list that lets nobody in, count the keys that depend on it alone or lie within it."""
        shut: dict[str, int] = defaultdict(int)
        for key, record in self.records.items():
            names = self._names(key)
            alone = names if len(names) == 1 and not record.entries else ()
            for name in {*alone, *record.within}:
                if self.reaches[name].is_nobody():
                    shut[name] += 1
        return shut

    # 1. What is open.

    def lint_switches(self) -> Iterator[Finding]:
        """Find the settings that let requests pass without asking a list."""
        name, settings = self.policy.name, self.settings
        if not settings.is_enforced:
            message = "enforced is false: every key passes from every address"
            yield Finding("not_enforced", "warning", "engine", name, None, message)
        if settings.unknown_passes:
            message = "unknown_key is 'pass': a key that nobody put passes from every address"
            yield Finding("unknown_passes", "warning", "engine", name, None, message)

    def lint_open_keys(self) -> Iterator[Finding]:
        """Find every key that its lists do not restrict; these findings stand together."""
        backups = self._find_backups()
        for key, record in self.records.items():
            if self.states[key] is State.UNRESTRICTED and (record.within or record.entries or self._names(key)):
                yield Finding(
                    "disabled_list", "warning", "key", key, None, "its lists are disabled: every address passes"
                )
            elif self.states[key] is State.UNRESTRICTED:
                is_backup = key in backups
                message = "no entries: every address passes" + ("; a backup key, perhaps" if is_backup else "")
                yield Finding("unrestricted", "advice" if is_backup else "warning", "key", key, None, message)
            elif record.within or self._names(key):
                yield from self._judge_union(key, record)

    def _find_backups(self) -> set[str]:
        """Find open keys whose owner has no other open key, but has restricted keys (B30)."""
        backups = set()
        for keys in self._keys_of_owners().values():
            is_open = [key for key in keys if self.states[key] is State.UNRESTRICTED]
            if len(is_open) == 1 and len(keys) > 1:
                backups.add(is_open[0])
        return backups

    def _judge_union(self, key: str, record: KeyRecord) -> Iterator[Finding]:
        """Find out whether all lists of a restricted key together allow a whole family."""
        names = self._names(key)
        levels = [self._unite(self._alive(record.entries), names)] if names or record.entries else []
        levels += [self.reaches[name] for name in record.within]
        for family in (4, 6):
            if all(level.is_everyone(family) for level in levels):
                message = f"its lists together allow every IPv{family} address"
                yield Finding("open_key", "warning", "key", key, None, message)

    def _unite(self, own: _Entries, names: tuple[str, ...]) -> Reach:
        """Count the addresses that several lists of one level let through.

        Adding the counts of the lists is quick, but may count an address twice.  If that could matter, all entries are
        counted together.
        """
        parts = [reach_of(own), *(self.reaches[name] for name in names)]
        if len(parts) == 1:
            return parts[0]
        most = {family: sum(part.clients[family] for part in parts) for family in (4, 6)}
        denied = {family: sum(part.denied[family] for part in parts) for family in (4, 6)}
        together = Reach(most, denied)
        is_clear = not any(
            most[family] and (denied[family] >= max(part.clients[family] for part in parts) or together.is_most(family))
            for family in (4, 6)
        )
        return together if is_clear else reach_of(chain(own, *(self.alive[name] for name in names)))

    # 2. Lists, keys and owners.

    def lint_lists(self) -> Iterator[Finding]:
        """Find what looks wrong with each named list."""
        for name, frozen in sorted(self.view.lists.items()):
            is_used = name in self.users or name == self.view.default
            if not is_used:
                yield Finding("unused_list", "advice", "list", name, None, "neither linked nor the default: no effect")
            elif not frozen.entries:
                yield Finding("empty_list", "warning", "list", name, None, "empty and in use: it denies everyone")
            elif self.shut[name]:
                why = f"{_why_nobody(self.alive[name])}; keys that go by it: {self.shut[name]:,}"
                yield Finding("nobody_passes", "warning", "list", name, None, why)
            yield from self._lint_entries("list", name, frozen.entries, self.users[name])

    def lint_keys(self) -> Iterator[Finding]:
        """Find what looks wrong with each key, besides that it is open."""
        for key, rule in self.rules.items():
            if rule is None:
                yield Finding("damaged", "warning", "key", key, None, "its record is damaged: it is denied")
                continue
            record = self.records[key]
            names = self._names(key)
            own = self._alive(record.entries)
            if (record.entries or len(names) > 1) and self._unite(own, names).is_nobody():
                why = _why_nobody((*own, *chain.from_iterable(self.alive[name] for name in names)))
                yield Finding("nobody_passes", "warning", "key", key, None, why)
            yield from self._lint_entries("key", key, record.entries, [key])

    def lint_owners(self) -> Iterator[Finding]:
        """Find the owners who have no open key as a backup."""
        for owner, keys in sorted(self._keys_of_owners().items()):
            if all(self.states[key] is not State.UNRESTRICTED for key in keys):
                message = (
                    f"all keys ({len(keys)}) are restricted; an unrestricted backup key helps when an address changes"
                )
                yield Finding("no_backup_key", "advice", "owner", owner, None, message)

    def _keys_of_owners(self) -> dict[str, list[str]]:
        keys_of: dict[str, list[str]] = defaultdict(list)
        for key, record in self.records.items():
            if record.owner is not None:
                keys_of[record.owner].append(key)
        return keys_of

    # 3. The entries of one list.

    def _lint_entries(self, kind: Kind, name: str, entries: _Entries, keys: list[str]) -> Iterator[Finding]:
        yield from self._ask_policy(kind, name, entries)
        seen = self._seen_by(tuple(keys))
        for entry in entries:
            told = (*self._judge_use(entry, seen), *self._judge_last_use(kind, name, entry), *self._judge_host(entry))
            for code, message in told:
                yield Finding(code, "advice", kind, name, self.policy.canonical(entry.prefix), message)

    def _judge_last_use(self, kind: Kind, name: str, entry: Entry) -> Iterator[tuple[str, str]]:
        """Say whether an entry that counts has decided about no request for long."""
        since = self.unused_since
        if since is None or standing_of(entry, self.now) is not Standing.COUNTS:
            return
        if (kind, name, str(entry.prefix)) not in self.used:
            yield "not_used_lately", f"it has decided about no request since {since.isoformat()}"

    def _judge_host(self, entry: Entry) -> Iterator[tuple[str, str]]:
        """Say whether an entry stands for a host name, whose addresses somebody else may change."""
        found = read_host_label(entry.label)
        if found is None:
            return
        host, answered = found
        seconds = self.now - answered.timestamp()
        age = f"{seconds:,.0f} seconds ago" if seconds >= 0 else "at a moment that has not come"
        yield "host_name", f"it stands for the host name {host}, which was answered {age}"

    def _ask_policy(self, kind: Kind, name: str, entries: _Entries) -> Iterator[Finding]:
        """Ask the policy what it says now about the entries that count, or will."""
        policy = replace(self.policy, min_entries=0)
        if policy.private == "accept":
            policy = replace(policy, private="warn")
        dead = {index for index, entry in enumerate(entries) if not self._is_alive(entry)}
        problems = [problem for problem in policy.validate(entries).problems if problem.code not in _OF_THE_MOMENT]
        problems += [
            problem for problem in policy.validate(self._alive(entries)).problems if problem.code in _OF_THE_MOMENT
        ]
        for problem in problems:
            if problem.index in dead or problem.code in _TOLD_OTHERWISE:
                continue
            is_mere_advice = problem.code == "private" and self.policy.private == "accept"
            entry = None if problem.index is None else self.policy.canonical(entries[problem.index].prefix)
            yield Finding(problem.code, "advice" if is_mere_advice else "warning", kind, name, entry, problem.advice)

    def _judge_use(self, entry: Entry, seen: _Seen | None) -> Iterator[tuple[str, str]]:
        """Say whether an entry is disabled, is over, or covers no address that was seen."""
        standing = standing_of(entry, self.now)
        if standing is Standing.DISABLED:
            yield "disabled", "it is disabled and does not count"
        elif standing is Standing.OVER:
            expires = cast("datetime", cast("Condition", entry.condition).expires)
            yield "expired", f"it is over since {expires.isoformat()}"
        elif standing is Standing.COUNTS and seen is not None and not _is_any_in(seen, entry):
            yield "never_used", "it covers no address that was seen"

    def _seen_by(self, keys: tuple[str, ...]) -> _Seen | None:
        """Give the addresses that these keys were used from; None if `seen` does not have all of them."""
        if not keys or not all(key in self.seen for key in keys):
            return None
        if len(keys) == 1:
            return self.seen[keys[0]]
        if keys not in self.seen_together:
            self.seen_together[keys] = {
                family: sorted(set(chain.from_iterable(self.seen[key][family] for key in keys))) for family in (4, 6)
            }
        return self.seen_together[keys]

    def _alive(self, entries: _Entries) -> _Entries:
        return tuple(entry for entry in entries if self._is_alive(entry))

    def _is_alive(self, entry: Entry) -> bool:
        return standing_of(entry, self.now) in (Standing.COUNTS, Standing.WAITS)


def _used_since(view: View, uses: Uses, since: datetime | None) -> frozenset[tuple[Kind, str, str]]:
    """Name the entries that have decided since a moment: key or list, its name, the prefix."""
    if since is None:
        return frozenset()
    used: set[tuple[Kind, str, str]] = set()
    for (key, list_name, prefix), seconds in uses.items():
        if seconds < since.timestamp():
            continue
        if list_name is not None:
            used.add(("list", list_name, prefix))
        elif key is not None:
            used.add(("key", view.held_id(key), prefix))
    return frozenset(used)


def _why_nobody(alive: _Entries) -> str:
    """Say why a list lets nobody in.  `alive` has its entries that count, or will."""
    if not alive:
        return "nobody passes: every entry is over or disabled"
    return f"nobody passes: {'what is allowed is denied again' if any(map(allows, alive)) else 'it only denies'}"


# -- Addresses that were seen -------------------------------------------------

_Seen: TypeAlias = dict[int, list[int]]
"""For each family, addresses as sorted numbers."""


def _sorted(addresses: Iterable[AddressLike]) -> _Seen:
    found: dict[int, set[int]] = {4: set(), 6: set()}
    for address in addresses:
        packed = parse_address(address)
        found[4 if len(packed) == 4 else 6].add(int.from_bytes(packed, "big"))
    return {family: sorted(numbers) for family, numbers in found.items()}


def _is_any_in(seen: _Seen, entry: Entry) -> bool:
    """Whether an entry covers any of the addresses."""
    first, last = range_of(entry.prefix)
    numbers = seen[entry.prefix.family]
    at = bisect_left(numbers, first)
    return at < len(numbers) and numbers[at] <= last
