"""A draft of a tenant's next revision: the draft of an engine, which asks the database for what it does not have.

    put_key("key_1", lists=["office"])
       |  the same code that changes an engine (engine/changes.py): arguments, policy, guards, report
    StoredDraft --what it does not know--> Reading --> rows: key_1, office
       |
    rules { key_1: Rule }, lists {}, default      only what changed; change.py writes it as rows

So a product's rules, refusals and warnings are the same for a store as for an engine, because they are the same code.

A draft lies within one transaction that writes alone, so what it has read stays true until the commit.
Cost: the keys and lists that a change names; `remove_list` and `set_default` read all keys that they open.
Threads: a draft belongs to one writer.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING

from ..._keys import Rule, View, key_text, rule_of
from ...engine.draft import Draft, is_bare
from .rows import check_text

if TYPE_CHECKING:
    from ..._keys import FrozenList, KeyRecord
    from ...engine.settings import Settings
    from .reading import Head, Reading

__all__ = ["StoredDraft"]


@dataclass(slots=True)
class StoredDraft(Draft):
    """Hold the changes to a tenant until they are written together.

    Attributes:
        reading: the database, within the transaction.
        head: what the transaction began with.
        known_rules, known_lists: what was read; None for what does not exist.
        restored: what took the place of all keys; its records are read when they are written, so that a million keys
            are never in memory as objects.  `rules` has what was changed after that.
    """

    reading: Reading = field(kw_only=True)
    head: Head = field(kw_only=True)
    known_rules: dict[str, Rule | None] = field(default_factory=dict)
    known_lists: dict[str, FrozenList | None] = field(default_factory=dict)
    takes_held_ids: bool = False
    restored: View | None = None
    _plain_ids: dict[str, str] = field(default_factory=dict)

    @classmethod
    def on(cls, reading: Reading, head: Head, settings: Settings) -> StoredDraft:
        """Begin a draft."""
        start = View(None, {}, {}, head.rules.default, head.revision.generation, settings)
        return cls(start, settings, head.rules.default, reading=reading, head=head)

    @contextmanager
    def with_held_ids(self) -> Iterator[None]:
        """Let the changes of the block name keys by their held ids."""
        self.takes_held_ids = True
        try:
            yield
        finally:
            self.takes_held_ids = False

    def take_settings(self, settings: Settings) -> None:
        """Take other settings; rules that were read belong to the policy from before."""
        self.settings = settings
        self.known_rules.clear()

    def restore(self, view: View) -> None:
        """Let the keys of a view, which names them by their plain ids, take the place of all keys."""
        is_hashed = self.settings.id_hash is not None
        self._plain_ids = {self.start.held_id(key): key for key in view} if is_hashed else {}
        self.restored = view
        for key in self.rules:
            self.set_rule(key, self._restored_rule(key))

    def _restored_rule(self, key: str) -> Rule | None:
        plain = key if self.settings.id_hash is None else self._plain_ids.get(key)
        return None if plain is None or self.restored is None else self.restored.rule(plain)

    def _restored_ids(self, plain: Iterable[str]) -> Iterator[str]:
        """Give the held ids of restored keys that were not changed after that."""
        held = plain if self.settings.id_hash is None else map(self.start.held_id, plain)
        return (key for key in held if key not in self.rules)

    # Asking

    def held_id(self, key: str) -> str:
        """Give the id under which the store holds a key."""
        return key_text(key) if self.takes_held_ids else self.start.held_id(key)

    def find_rule(self, key: str) -> Rule | None:
        """Find the rule of a key; the database is asked once."""
        key = key_text(key)
        if key in self.rules:
            return self.rules[key]
        check_text("the key", key)
        if self.restored is not None:
            return self._restored_rule(key)
        if key not in self.known_rules:
            self.know({key})
        return self.known_rules[key]

    def know(self, names: Collection[str]) -> None:
        """Read many keys at once."""
        unknown = {name for name in names if name not in self.known_rules}
        found = self.reading.records(self.head, unknown)
        self.known_rules.update((name, self._rule_of(found.get(name))) for name in unknown)

    def _rule_of(self, record: KeyRecord | None) -> Rule | None:
        if record is None:
            return None
        needs = self.settings.policy.keys.needs_list(record.created_at)
        return rule_of(record, needs_list=needs, shadow=None)

    def find_list(self, name: str) -> FrozenList | None:
        """Find a named list; the database is asked once."""
        if name in self.lists:
            return self.lists[name]
        check_text("the name of a list", name)
        if name not in self.known_lists:
            self.known_lists[name] = self.reading.lists(self.head, {name}).get(name)
        return self.known_lists[name]

    def keys(self) -> Iterator[str]:
        """Name all keys."""
        if self.restored is not None:
            yield from self._restored_ids(self.restored)
        else:
            yield from (key for key in self.reading.names(self.head) if key not in self.rules)
        yield from (key for key, rule in self.rules.items() if rule is not None)

    def keys_of(self, name: str) -> list[str]:
        """Name the keys that are linked to a list or lie within it."""
        if self.restored is not None:
            linked = set(self._restored_ids(Draft.of(self.restored).keys_of(name)))
        else:
            linked = {key for key in self.reading.keys_of(self.head, name) if key not in self.rules}
            self.know(linked)
        for key, rule in self.rules.items():
            if rule is not None and (name in rule.names or name in rule.within):
                linked.add(key)
        return sorted(linked)

    def keys_on_default(self) -> list[str]:
        """Name the keys that only a default list restricts."""
        if self.restored is not None:
            bare = list(self._restored_ids(Draft.of(self.restored).keys_on_default()))
        else:
            bare = [key for key in self.reading.keys_bare(self.head) if key not in self.rules]
            self.know(bare)
        mine = ((key, self.find_rule(key)) for key in bare)
        found = [key for key, rule in (*mine, *self.rules.items()) if rule is not None and is_bare(rule)]
        return sorted(found)

    # What changed

    def keys_changed(self) -> Iterator[tuple[str, KeyRecord | None, KeyRecord | None]]:
        """Give each key that is another now, with its records before and after."""
        if self.restored is not None:
            yield from self._keys_restored(self.restored)
            return
        self.know(self.rules)
        for key, rule in self.rules.items():
            old = self.known_rules[key]
            before, after = (None if each is None else each.record for each in (old, rule))
            if before != after:
                yield key, before, after

    def _keys_restored(self, view: View) -> Iterator[tuple[str, KeyRecord | None, KeyRecord | None]]:
        """Give each key that a restoring changes; only what was there before is in memory."""
        before = dict(self.reading.all_keys(self.head))
        for key in sorted(chain(self._restored_ids(view), self.rules)):  # a database takes rows best in its own order
            old, after = before.pop(key, None), self._record_after(view, key)
            if old != after:
                yield key, old, after
        for key, old in before.items():
            yield key, old, None

    def _record_after(self, view: View, key: str) -> KeyRecord | None:
        """Give what a restored key says, or what the change made of it after that."""
        if key in self.rules:
            rule = self.rules[key]
            return None if rule is None else rule.record
        check_text("the key", key)
        return view.record(key if self.settings.id_hash is None else self._plain_ids[key])

    def lists_changed(self) -> Iterator[tuple[str, FrozenList | None, FrozenList | None]]:
        """Give each list that is another now, before and after."""
        for name, after in self.lists.items():
            if name not in self.known_lists:
                self.known_lists[name] = self.reading.lists(self.head, {name}).get(name)
            before = self.known_lists[name]
            if not _is_same(before, after):
                yield name, before, after


def _is_same(one: FrozenList | None, other: FrozenList | None) -> bool:
    if one is None or other is None:
        return one is other
    return one.entries == other.entries and one.description == other.description
