"""The slow, obvious twin of the engine: what a check must answer, said with dictionaries and loops.

Nothing here comes from cidrmatch.  Addresses and prefixes are those of `ipaddress`, moments are whole seconds, and
each change copies what it changes, so "all or nothing" is true by construction:

    EngineTwin.data --> Data(keys, lists, default, version, is_enforced)      one value; a change builds the next
                             |
                             '-- { key: TwinKey(entries, lists, within, ...) }

A change that must be refused raises `Refused` with every kind of reason that applies: which of several is named first
is not the twin's business.  The rules, in the order in which a check meets them:

    1. a key that nobody put is unknown
    2. while the feature is off, everything passes
    3. a key without a list is unrestricted, or inactive where the product wants a list
    4. a key whose lists are switched off is unrestricted
    5. the client's address must be known
    6. each level must let it pass: own entries and linked lists together (none: the default), then each `within`
    7. within a level the most specific entry that covers the address and counts now decides; deny wins a tie
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Any, TypeAlias

Network: TypeAlias = IPv4Network | IPv6Network
Client: TypeAlias = IPv4Address | IPv6Address | None

FOREVER = 10**15


class Refused(Exception):
    """The change must be refused, for one of these kinds of reason."""

    def __init__(self, *kinds: str) -> None:
        super().__init__(*kinds)
        self.kinds = set(kinds)


@dataclass(frozen=True)
class TwinEntry:
    """One entry; `is_text` False stands for a text that is no prefix at all."""

    network: Network
    label: str | None = None
    effect: str = "allow"
    enabled: bool = True
    start: int = -FOREVER
    end: int = FOREVER
    is_text: bool = True

    def counts(self, now: float) -> bool:
        return self.enabled and self.start <= now < self.end

    def covers(self, client: Client) -> bool:
        return client is not None and client.version == self.network.version and client in self.network

    def same_as(self, other: "TwinEntry") -> bool:
        """Duplicates: equal but for the label."""
        return replace(self, label=None) == replace(other, label=None)


Entries: TypeAlias = tuple[TwinEntry, ...]


@dataclass(frozen=True)
class TwinKey:
    created_at: int
    entries: Entries = ()
    lists: tuple[str, ...] = ()
    within: tuple[str, ...] = ()
    enabled: bool = True
    shadow: Entries | None = None


@dataclass(frozen=True)
class Data:
    """One version of everything."""

    keys: dict[str, TwinKey] = field(default_factory=dict)
    lists: dict[str, Entries] = field(default_factory=dict)
    default: str | None = None
    version: int = 0
    is_enforced: bool = True


@dataclass(frozen=True)
class Answer:
    allowed: bool
    reason: str
    version: int
    network: Network | None = None
    label: str | None = None
    list_name: str | None = None


@dataclass(frozen=True)
class Rules:
    """What the product says.

    Attributes:
        cutover: keys created then or later need a list; None: no key needs one.
        min_entries: how many entries a list has at least.
        lists_only: keys have no entries of their own.
        describes: a named list needs a description.
        unknown_passes: whether a key that nobody put passes.
    """

    cutover: int | None = None
    min_entries: int = 0
    lists_only: bool = False
    describes: bool = False
    unknown_passes: bool = False


class EngineTwin:
    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.data = Data()
        self.now = 0
        self.depth = 0

    # Asking

    def needs_list(self, created_at: int) -> bool:
        return self.rules.cutover is not None and created_at >= self.rules.cutover

    def level_of(self, key: TwinKey) -> list[tuple[str | None, Entries]]:
        """The lists of a key, united."""
        level: list[tuple[str | None, Entries]] = []
        if key.entries:
            level.append((None, key.entries))
        level.extend((name, self.data.lists[name]) for name in key.lists)
        if not level and self.data.default is not None:
            level.append((self.data.default, self.data.lists[self.data.default]))
        return level

    def state(self, name: str) -> str:
        key = self.data.keys[name]
        level = self.level_of(key)
        if not level and self.needs_list(key.created_at):
            return "inactive"
        if (level or key.within) and (key.enabled or self.needs_list(key.created_at)):
            return "restricted"
        return "unrestricted"

    def check(self, name: str, client: Client) -> Answer:
        version = self.data.version
        if name not in self.data.keys:
            return Answer(self.rules.unknown_passes, "unknown_key", version)
        if not self.data.is_enforced:
            return Answer(True, "not_enforced", version)
        state = self.state(name)
        if state == "inactive":
            return Answer(False, "inactive", version)
        if state == "unrestricted":
            return Answer(True, "unrestricted", version)
        if client is None:
            return Answer(False, "client_ip_unknown", version)
        key = self.data.keys[name]
        answers = [self.judge(self.level_of(key), client)] if self.level_of(key) else []
        answers.extend(self.judge([(within, self.data.lists[within])], client) for within in key.within)
        for answer in answers:
            if not answer.allowed:
                return answer
        return answers[0]

    def judge(self, level: list[tuple[str | None, Entries]], client: Client) -> Answer:
        """The most specific entry decides; deny wins a tie; of equal ones the first is named."""
        version = self.data.version
        if not any(entries for _, entries in level):
            return Answer(False, "empty_list", version)
        best: tuple[TwinEntry, str | None] | None = None
        for name, entries in level:
            for entry in entries:
                if entry.counts(self.now) and entry.covers(client) and (best is None or beats(entry, best[0])):
                    best = entry, name
        if best is None:
            return Answer(False, "ip_not_listed", version)
        entry, name = best
        allowed = entry.effect == "allow"
        reason = "matched" if allowed else "denied_by_entry"
        return Answer(allowed, reason, version, entry.network, entry.label, name)

    def would_allow(self, name: str, client: Client) -> bool | None:
        key = self.data.keys.get(name)
        if key is None or key.shadow is None:
            return None
        return client is not None and self.judge([(None, key.shadow)], client).allowed

    def keys_of(self, name: str) -> list[str]:
        return sorted(key for key, said in self.data.keys.items() if name in said.lists + said.within)

    # Changing: each public change is one commit, or a part of the transaction around it

    def change(self, act: Callable[[], None], if_version: int | None = None) -> None:
        """Do it, or leave everything as it was."""
        before, depth = self.data, self.depth
        if if_version is not None and if_version != before.version:
            raise Refused("conflict")
        self.depth += 1
        try:
            act()
        except BaseException:
            self.data = before
            raise
        finally:
            self.depth = depth
        if depth == 0:
            self.data = replace(self.data, version=before.version + 1)

    def put_key(
        self,
        name: str,
        entries: Entries = (),
        *,
        lists: tuple[str, ...] = (),
        within: tuple[str, ...] = (),
        created_at: int | None = None,
        enabled: bool = True,
        replace: bool = False,
        caller: Client = None,
        force: bool = False,
        if_version: int | None = None,
    ) -> None:
        old = self.data.keys.get(name)
        kinds = {"exists"} if old is not None and not replace else set()
        if created_at is None:
            created_at = self.now if old is None else old.created_at
            if old is None and self.rules.cutover is not None and not self.needs_list(created_at):
                kinds.add("engine")  # a clock that is wrong must not make a key that is free for good
        shadow = None if old is None else old.shadow
        new = TwinKey(created_at, entries, unique(lists), unique(within), enabled, shadow)

        def act() -> None:
            if kinds:
                raise Refused(*kinds)
            self.save(name, old, new, (*lists, *within), caller, force)

        self.change(act, if_version)

    def update_key(
        self,
        name: str,
        *,
        entries: Entries | None = None,
        lists: tuple[str, ...] | None = None,
        within: tuple[str, ...] | None = None,
        enabled: bool | None = None,
        caller: Client = None,
        force: bool = False,
        if_version: int | None = None,
    ) -> None:
        def act() -> None:
            old = self.find_key(name)
            new = replace(
                old,
                entries=old.entries if entries is None else entries,
                lists=old.lists if lists is None else unique(lists),
                within=old.within if within is None else unique(within),
                enabled=old.enabled if enabled is None else enabled,
            )
            self.save(name, old, new, (*(lists or ()), *(within or ())), caller, force, entries is not None)

        self.change(act, if_version)

    def add_entries(self, name: str, entries: Entries, **more: Any) -> None:
        def act() -> None:
            self.update_key(name, entries=(*self.find_key(name).entries, *entries), **guard_of(more))

        self.change(act, more.get("if_version"))

    def remove_entries(self, name: str, entries: Entries, **more: Any) -> None:
        def act() -> None:
            self.update_key(name, entries=taken_away(self.find_key(name).entries, entries), **guard_of(more))

        self.change(act, more.get("if_version"))

    def add_to_list(self, name: str, entries: Entries, **more: Any) -> None:
        def act() -> None:
            old = self.find_list(name)
            self.put_list(name, (*old, *entries), description="kept", **guard_of(more))

        self.change(act, more.get("if_version"))

    def remove_from_list(self, name: str, entries: Entries, **more: Any) -> None:
        def act() -> None:
            left = taken_away(self.find_list(name), entries, self.refusals_of_feature())
            self.put_list(name, left, description="kept", **guard_of(more))

        self.change(act, more.get("if_version"))

    def save(
        self,
        name: str,
        old: TwinKey | None,
        new: TwinKey,
        given_links: tuple[str, ...],
        caller: Client = None,
        force: bool = False,
        given_entries: bool = True,
    ) -> None:
        """Refuse for every reason that applies, or take it; the lock-out guard comes last.

        Entries that were not given now are not judged now: what is there stays, however it came.
        """
        kinds = self.refusals_of_links(given_links)
        if given_entries:
            kinds |= self.refusals_of_entries(old, new)
            new = replace(new, entries=collapsed(new.entries))
        self.put_record(name, old, new, kinds)
        if caller is not None and not force and not self.check(name, caller).allowed:
            raise Refused("lockout")

    def refusals_of_entries(self, old: TwinKey | None, new: TwinKey) -> set[str]:
        kinds = set()
        if new.entries and self.rules.lists_only:
            kinds.add("engine")
        wants_entries = bool(new.entries) or (old is None and self.needs_list(new.created_at) and not new.lists)
        if not self.is_acceptable(new.entries, self.rules.min_entries if wants_entries else 0):
            kinds.add("policy")
        return kinds

    def put_record(self, name: str, old: TwinKey | None, new: TwinKey, kinds: set[str]) -> None:
        """Put what was said about a key, unless the change is one that is not allowed."""
        before = TwinKey(new.created_at) if old is None else old
        is_new = self.needs_list(new.created_at)
        if not self.data.is_enforced and replace(new, created_at=0) != replace(before, created_at=0):
            kinds.add("feature")
        if new.created_at != before.created_at:
            kinds.add("engine")
        if is_new and not new.enabled:
            kinds.add("engine")
        had_list, has_list = bool(before.entries or before.lists), bool(new.entries or new.lists)
        lost_all = bool(before.within) and not has_list and not new.within
        if self.rules.cutover is not None and not is_new and new.enabled and ((had_list and not has_list) or lost_all):
            kinds.add("engine")
        if kinds:
            raise Refused(*kinds)
        self.set_key(name, new)

    def remove_key(self, name: str, *, if_version: int | None = None) -> None:
        def act() -> None:
            said = self.find_key(name)
            if not self.data.is_enforced and replace(said, created_at=0) != TwinKey(0):
                raise Refused("feature")
            keys = {key: said for key, said in self.data.keys.items() if key != name}
            self.data = replace(self.data, keys=keys)

        self.change(act, if_version)

    def put_keys(
        self, pairs: tuple[tuple[str, Entries], ...], *, replace: bool = False, if_version: int | None = None
    ) -> None:
        def act() -> None:
            for name, entries in pairs:
                self.put_key(name, entries, replace=replace)

        self.change(act, if_version)

    def put_list(
        self,
        name: str,
        entries: Entries,
        *,
        description: str = "",
        caller: Client = None,
        force: bool = False,
        if_version: int | None = None,
    ) -> None:
        def act() -> None:
            kinds = self.refusals_of_feature()
            if self.rules.describes and not description:
                kinds.add("engine")
            if not self.is_acceptable(entries, self.rules.min_entries):
                kinds.add("policy")
            if not entries and (name == self.data.default or self.keys_of(name)):
                kinds.add("engine")
            if caller is not None and not force and not self.judge([(name, entries)], caller).allowed:
                kinds.add("lockout")
            if kinds:
                raise Refused(*kinds)
            self.data = replace(self.data, lists={**self.data.lists, name: collapsed(entries)})

        self.change(act, if_version)

    def remove_list(self, name: str, *, force: bool = False, if_version: int | None = None) -> None:
        def act() -> None:
            kinds = self.refusals_of_feature()
            if name not in self.data.lists:
                raise Refused("unknown", *kinds)
            if (self.keys_of(name) or self.data.default == name) and not force:
                kinds.add("in_use")
            if kinds:
                raise Refused(*kinds)
            for key in self.keys_of(name):
                said = self.data.keys[key]
                left = replace(said, lists=without(said.lists, name), within=without(said.within, name))
                self.put_record(key, said, left, kinds)
            lists = {other: entries for other, entries in self.data.lists.items() if other != name}
            default = None if self.data.default == name else self.data.default
            self.data = replace(self.data, lists=lists, default=default)

        self.change(act, if_version)

    def link(self, key: str, name: str, *, if_version: int | None = None) -> None:
        def act() -> None:
            old = self.find_key(key)
            lists = unique((*old.lists, name))
            self.put_record(key, old, replace(old, lists=lists), self.refusals_of_links(lists))

        self.change(act, if_version)

    def unlink(self, key: str, name: str, *, if_version: int | None = None) -> None:
        def act() -> None:
            old = self.find_key(key)
            kinds = set() if name in old.lists else {"unknown"}
            self.put_record(key, old, replace(old, lists=without(old.lists, name)), kinds)

        self.change(act, if_version)

    def set_default(self, name: str | None, *, if_version: int | None = None) -> None:
        def act() -> None:
            kinds = self.refusals_of_feature()
            if name is not None:
                kinds |= self.refusals_of_links((name,))
            if kinds:
                raise Refused(*kinds)
            self.data = replace(self.data, default=name)

        self.change(act, if_version)

    def put_shadow(self, key: str, entries: Entries, *, if_version: int | None = None) -> None:
        def act() -> None:
            kinds = set() if self.is_acceptable(entries, self.rules.min_entries) else {"policy"}
            old = self.find_key(key, kinds)
            self.put_record(key, old, replace(old, shadow=collapsed(entries)), kinds)

        self.change(act, if_version)

    def remove_shadow(self, key: str, *, if_version: int | None = None) -> None:
        def act() -> None:
            old = self.find_key(key)
            self.put_record(key, old, replace(old, shadow=None), set())

        self.change(act, if_version)

    def set_enforced(self, is_enforced: bool) -> None:
        def act() -> None:
            self.data = replace(self.data, is_enforced=is_enforced)

        self.change(act)

    def import_key(self, name: str, said: TwinKey) -> None:
        """Put it as it is, whatever the rules say."""
        self.change(lambda: self.set_key(name, said))

    def import_list(self, name: str, entries: Entries) -> None:
        def act() -> None:
            self.data = replace(self.data, lists={**self.data.lists, name: entries})

        self.change(act)

    # The parts of a change

    def find_key(self, name: str, kinds: set[str] | None = None) -> TwinKey:
        if name not in self.data.keys:
            raise Refused("unknown", *(kinds or ()))
        return self.data.keys[name]

    def find_list(self, name: str) -> Entries:
        if name not in self.data.lists:
            raise Refused("unknown", *self.refusals_of_feature())
        return self.data.lists[name]

    def set_key(self, name: str, said: TwinKey) -> None:
        self.data = replace(self.data, keys={**self.data.keys, name: said})

    def is_acceptable(self, entries: Entries, least: int) -> bool:
        return all(entry.is_text for entry in entries) and len(collapsed(entries)) >= least

    def refusals_of_feature(self) -> set[str]:
        return set() if self.data.is_enforced else {"feature"}

    def refusals_of_links(self, names: tuple[str, ...]) -> set[str]:
        """A list that is linked must exist and hold something."""
        kinds = set()
        for name in names:
            if name not in self.data.lists:
                kinds.add("unknown")
            elif not self.data.lists[name]:
                kinds.add("engine")
        return kinds

    def networks(self) -> Iterator[Network]:
        """Every prefix that is in any list."""
        for key in self.data.keys.values():
            for entry in (*key.entries, *(key.shadow or ())):
                yield entry.network
        for entries in self.data.lists.values():
            for entry in entries:
                yield entry.network


def beats(entry: TwinEntry, other: TwinEntry) -> bool:
    if entry.network.prefixlen != other.network.prefixlen:
        return entry.network.prefixlen > other.network.prefixlen
    return entry.effect == "deny" and other.effect == "allow"


def collapsed(entries: Entries) -> Entries:
    """The first of each, with its label."""
    kept: list[TwinEntry] = []
    for entry in entries:
        if not any(entry.same_as(other) for other in kept):
            kept.append(entry)
    return tuple(kept)


def taken_away(entries: Entries, gone: Entries, kinds: Iterable[str] = ()) -> Entries:
    """What is left; each entry must be there, and what is no entry is never there."""
    left = list(entries)
    for entry in gone:
        found = [other for other in left if other.same_as(entry)]
        if not found or not entry.is_text:
            raise Refused("unknown", "text", *kinds)
        left.remove(found[0])
    return tuple(left)


def guard_of(more: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in more.items() if name != "if_version"}


def unique(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


def without(names: tuple[str, ...], name: str) -> tuple[str, ...]:
    return tuple(other for other in names if other != name)
