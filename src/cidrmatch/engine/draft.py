"""The data of the next view, while a change is made and before it is published.

    View n --Draft--> rules    { key: Rule, or None: removed }              only what changed
                      lists    { name: FrozenList, or None: removed }       only what changed
                      default, settings
                      log      the values before each change
                        |
                        '-- build() --> View n + 1

A draft copies nothing of the view that it starts from.  A question first looks
in the draft's own changes, then in the view.  So a change takes the same time,
however many keys there are.

The log keeps the old value before each change.  If a change fails, the log is
used to undo it; the changes before it stay.

A draft names keys by their held ids, see ids.py; `held_id` gives the held id of a plain id.

Threads: a draft belongs to the one writer that holds the engine's lock.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .._keys import FrozenList, KeyRecord, Rule, Shadow, View, key_text, rule_of
from ..errors import UnknownName
from .settings import Settings, settings_of
from .storable import check_record

if TYPE_CHECKING:
    from .._keys import State

__all__ = ["Draft", "is_bare", "records_by_held_id"]

_NOTHING = object()


@dataclass(slots=True)
class Draft:
    """Hold the changes to a view until they are published together."""

    start: View
    settings: Settings
    default: str | None
    rules: dict[str, Rule | None] = field(default_factory=dict)
    lists: dict[str, FrozenList | None] = field(default_factory=dict)
    log: list[tuple[dict[str, Any], str, object]] = field(default_factory=list)
    is_over: bool = False

    @classmethod
    def of(cls, view: View) -> Draft:
        """Begin a draft with the data of a view."""
        return cls(view, settings_of(view), view.default)

    # Changing

    @contextmanager
    def all_or_nothing(self) -> Iterator[None]:
        """Undo the changes of the block if it raises."""
        mark, default, settings = len(self.log), self.default, self.settings
        try:
            yield
        except BaseException:
            while len(self.log) > mark:
                where, name, before = self.log.pop()
                if before is _NOTHING:
                    where.pop(name, None)
                else:
                    where[name] = before
            self.default, self.settings = default, settings
            raise

    def _set(self, where: dict[str, Any], name: str, value: object) -> None:
        self.log.append((where, name, where.get(name, _NOTHING)))
        where[name] = value

    def set_rule(self, key: str, rule: Rule | None) -> None:
        """Put a rule, or None to remove the key."""
        self._set(self.rules, key_text(key), rule)  # a subclass of str may have another hash than its characters

    def set_list(self, name: str, frozen: FrozenList | None) -> None:
        """Put a named list, or None to remove it."""
        self._set(self.lists, name, frozen)

    def set_record(self, key: str, record: KeyRecord) -> None:
        """Put a record that can be stored.  Needs: the caller has asked the policy."""
        key = key_text(key)
        check_record(key, record)
        needs = self.settings.policy.keys.needs_list(record.created_at)
        self.set_rule(key, rule_of(record, needs_list=needs, shadow=self._shadow(key, record)))

    def replace_all(self, keys: Mapping[str, KeyRecord], lists: Iterable[FrozenList], default: str | None) -> None:
        """Replace all keys and lists; UnknownName for a list that is named but does not exist."""
        self.lists = dict.fromkeys(self.start.lists)
        for frozen in lists:
            self._put_new_list(frozen)
        self.default = None if default is None else str(self.frozen(default).name)
        self.rules = dict.fromkeys(self.start)
        for key, record in keys.items():
            self.set_record(key, record)
            for name in (*record.lists, *record.within):
                self.frozen(name)

    def _put_new_list(self, frozen: FrozenList) -> None:
        if type(frozen.name) is not str or not frozen.name.strip():
            raise ValueError(f"a list needs a name, not {frozen.name!r}")
        if self.find_list(frozen.name) is not None:
            raise ValueError(f"there are two lists of the name {frozen.name!r}")
        self.set_list(frozen.name, frozen)

    def _shadow(self, key: str, record: KeyRecord) -> Shadow | None:
        """The trial of a key; the counts of an old trial go on if its entries are the same."""
        if record.shadow is None:
            return None
        old = self.find_rule(key)
        if old is not None and old.shadow is not None and old.shadow.list.entries == record.shadow:
            return old.shadow
        return Shadow(FrozenList(None, record.shadow))

    # Asking

    def held_id(self, key: str) -> str:
        """Give the id under which the engine holds a key; TypeError for a key that is no text."""
        return self.start.held_id(key)

    def find_rule(self, key: str) -> Rule | None:
        """Find the rule of a key in this draft; None if there is none."""
        key = key_text(key)
        return self.rules[key] if key in self.rules else self.start.rule(key)

    def rule(self, key: str) -> Rule:
        """Find the rule of a key in this draft."""
        rule = self.find_rule(key)
        if rule is None:
            raise UnknownName(f"no key {key!r}")
        return rule

    def has_key(self, key: str) -> bool:
        """Whether the key exists in this draft."""
        return self.find_rule(key) is not None

    def record(self, key: str) -> KeyRecord:
        """Find the record of a key in this draft."""
        return self.rule(key).record

    def find_list(self, name: str) -> FrozenList | None:
        """Find a named list in this draft; None if there is none."""
        return self.lists[name] if name in self.lists else self.start.lists.get(name)

    def frozen(self, name: str) -> FrozenList:
        """Give a named list in this draft; UnknownName if there is none."""
        frozen = self.find_list(name)
        if frozen is None:
            raise UnknownName(f"no list {name!r}")
        return frozen

    def probe(self, key: str, *, counts: bool = True) -> View:
        """Give a view with one key only, to learn before the commit what a check would answer after it.

        Args:
            counts: whether a trial of the key counts the questions; a question of the engine itself must not be
                counted.
        Cost: the lists of the key.
        """
        rule = self.rule(key)
        if rule.shadow is not None and not counts:
            rule = rule_of(rule.record, needs_list=rule.needs_list, shadow=None)
        names = {*rule.names, *rule.within, *(() if self.default is None else (self.default,))}
        lists = {name: self.frozen(name) for name in names}
        return View(None, {key: rule}, lists, self.default, self.start.version, self.settings.unhashed())

    def state(self, key: str) -> State:
        """Give the state of a key in this draft."""
        return View(None, {}, {}, self.default, self.start.version, self.settings).state(self.rule(key))

    def keys(self) -> Iterator[str]:
        """Name all keys of this draft."""
        yield from (key for key in self.start if key not in self.rules)
        yield from (key for key, rule in self.rules.items() if rule is not None)

    def keys_of(self, name: str) -> list[str]:
        """Name the keys that are linked to a list or lie within it."""
        linked = [key for key, rule in self._changed_rules() if name in rule.names or name in rule.within]
        number = self.start.number_of(name)
        if number is not None and self.start.store is not None:
            linked += self._unchanged(self.start.store.keys_linked(number))
        return sorted(linked)

    def keys_on_default(self) -> list[str]:
        """Name the keys that only a default list restricts: they have nothing of their own, and are enabled."""
        bare = [key for key, rule in self._changed_rules() if is_bare(rule)]
        if self.start.store is not None:
            bare += self._unchanged(self.start.store.keys_bare())
        return bare

    def _changed_rules(self) -> Iterator[tuple[str, Rule]]:
        """The rules of all keys that differ from the store."""
        for key, rule in self.start.overlay.items():
            if rule is not None and key not in self.rules:
                yield key, rule
        for key, rule in self.rules.items():
            if rule is not None:
                yield key, rule

    def _unchanged(self, keys: list[str]) -> list[str]:
        """Those of the keys whose data in the store is still valid."""
        return [key for key in keys if key not in self.start.overlay and key not in self.rules]

    def is_used(self, name: str) -> bool:
        """Whether a list is linked to a key or is the default."""
        return name == self.default or bool(self.keys_of(name))

    # Publishing

    def build(self, version: int) -> View:
        """Build the view: the same store, and a larger overlay."""
        start = self.start
        overlay = {**start.overlay, **self.rules} if self.rules else start.overlay
        lists = start.lists.changed(self.lists) if self.lists else start.lists
        return start.following(overlay, lists, self.default, version, self.settings)


def is_bare(rule: Rule) -> bool:
    """Whether only a default list could restrict a key."""
    record = rule.record
    has_lists = record.entries or record.lists or record.within
    return not has_lists and rule.is_enabled and not rule.needs_list


def records_by_held_id(draft: Draft, keys: Mapping[str, KeyRecord]) -> Mapping[str, KeyRecord]:
    """Map held ids to records; a plain id is checked before it is hashed."""
    if draft.settings.id_hash is None:
        return keys
    for key, record in keys.items():
        check_record(key_text(key), record)
    return {draft.held_id(key): record for key, record in keys.items()}
