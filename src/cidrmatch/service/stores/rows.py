"""Records as rows, and rows as records: the policy judges on the way in, and again on the way out.

    KeyRecord    --key_rows-->     keys (1), entries (n), links (m)    --key_of-->     KeyRecord, or SpoiltRow
    FrozenList   --list_rows-->    lists (1), entries (n)              --list_of-->    FrozenList, or SpoiltRow

Anybody may write to a table.  So a row that is read is checked as if a stranger had typed it: the type of each value,
the number of rows that belong together, and by the policy all that people could have asked for.  The first thing that
is wrong is a SpoiltRow, which names table and row; nothing is skipped, and nothing is mended in silence.

To judge a key takes 20 us.  A million keys cannot be judged at each start.  So a row that the store has written holds a
digest of what the policy said yes to, the policy included.  If the digest is the same, the same policy has judged the
same content, and it is not asked again.  A row that was changed by hand has another digest, and is judged; and a key
that such a change would open is spoilt.

Cost: 5 us for a key whose digest fits, 30 us for another.  Threads: safe, a judge belongs to one reading.
Source: C18, C22; the rules of `Policy.validate`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from ..._core import Entry, entries_as_written, fields_of_entry, parse_entry
from ..._keys import FrozenList, KeyRecord
from ...errors import brief
from ...policy.plain import read_policy
from .errors import SpoiltRow
from .grants import PREFIX

if TYPE_CHECKING:
    from ...policy.policy import Policy

__all__ = [
    "Judge",
    "Row",
    "check_key",
    "check_list",
    "check_text",
    "check_workable",
    "is_storable",
    "key_as_written",
    "key_of",
    "key_rows",
    "list_of",
    "list_rows",
    "moment_text",
    "read_moment",
    "shown",
]

Row: TypeAlias = Sequence[Any]
"""The values of a row in the order that the reading asks for; nothing is known of their types."""
_Found: TypeAlias = tuple[str, KeyRecord]
_PLAIN, _OWNER, _SWITCH = (str, str, int, int), (str, type(None)), (bool, int)
"""The types of an id, a moment and two counts; of an owner; of a switch."""
Written: TypeAlias = tuple[Any, ...]
"""The values of a row that is written, in the order of the schema."""
Facts: TypeAlias = tuple[tuple[str, str | None, str | None], ...]
"""Prefix, label and condition of entries, as the tables hold them."""


@dataclass(slots=True)
class Judge:
    """Judge what rows say, by the policy of a tenant.

    Args:
        policy_text: the policy as JSON, as the row of the tenant holds it.
        believes: whether rows are read without asking the policy, because the transaction has judged them already.
    Raises:
        SpoiltRow: the text is no policy.
    """

    policy_text: str
    believes: bool = False
    policy: Policy = field(init=False)
    _digest: bytes = field(init=False)

    def __post_init__(self) -> None:
        if type(self.policy_text) is not str:
            raise SpoiltRow("tenants", (), f"the policy is text, not {type(self.policy_text).__name__}")
        try:
            self.policy = check_workable(read_policy(json.loads(self.policy_text)))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise SpoiltRow("tenants", (), f"the policy cannot be read: {error}") from None
        self._digest = hashlib.blake2b(self.policy_text.encode("utf-8", "surrogatepass"), digest_size=16).digest()

    def digest_of_key(self, key: str, record: KeyRecord) -> str:
        """Give the digest of a key that this policy has accepted; all that opens or restricts it belongs to it."""
        entries, shadow = _facts(record.entries), _facts(record.shadow or ())
        created_at = moment_text(record.created_at)
        return self.digest_of_facts(key, created_at, record.enabled, entries, shadow, record.lists, record.within)

    def digest_of_list(self, frozen: FrozenList) -> str:
        """Give the digest of a list that this policy has accepted."""
        return self.digest_of_facts(str(frozen.name), _facts(frozen.entries))

    def digest_of_facts(self, *facts: object) -> str:
        """Give the digest of facts about a key or a list, as the tables hold them."""
        text = repr(facts).encode("utf-8", "surrogatepass")
        return hashlib.blake2b(text, key=self._digest, digest_size=8).hexdigest()


def check_workable(policy: Policy) -> Policy:
    """Give a policy that can judge keys; ValueError if its new keys need a list, and it has no cutover (C10)."""
    if policy.keys.new_keys_need_list and policy.keys.cutover is None:
        raise ValueError(f"the policy {policy.name!r} needs a cutover")
    return policy


# -- Writing ------------------------------------------------------------------


def moment_text(moment: datetime) -> str:
    """Write a moment as the tables hold it: ISO 8601, in UTC, with microseconds."""
    at = moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    return at.isoformat(timespec="microseconds")


def check_text(what: str, text: str | None) -> None:
    """Refuse text that no database holds: with NUL, or with half a surrogate pair; ValueError."""
    if text is not None and not is_storable(text):
        raise ValueError(f"{what} cannot be stored, it holds NUL or half a surrogate pair: {brief(text)}")


def is_storable(text: str) -> bool:
    """Whether a database holds a text: NUL and half a surrogate pair are in no text of it."""
    return "\0" not in text and (text.isascii() or not any(map(_is_half, text)))


def _is_half(character: str) -> bool:
    return "\ud800" <= character <= "\udfff"


def _entry_rows(tenant: int, holder: str, name: str, facts: Facts) -> list[Written]:
    for _, label, _ in facts:
        if label is not None:
            check_text("a label", label)
    return [(tenant, holder, name, position, *said) for position, said in enumerate(facts)]


def _facts_of(entry: Entry) -> tuple[str, str | None, str | None]:
    """Give prefix, label and condition of an entry as text."""
    if entry.condition is None:
        return str(entry), entry.label, None
    fields = fields_of_entry("", None, entry.condition)
    del fields["prefix"]
    return str(entry), entry.label, json.dumps(fields, sort_keys=True) if fields else None


def _facts(entries: Sequence[Entry]) -> Facts:
    return tuple(map(_facts_of, entries))


def key_rows(
    judge: Judge, tenant: int, key: str, record: KeyRecord, revision: int
) -> tuple[Written, list[Written], list[Written]]:
    """Write a record that the policy has judged, as the row of the key, those of its entries and those of its links.

    A row has the values of all columns, in the order of the schema.

    Raises:
        ValueError: a text of it cannot be stored.
    """
    check_text("the key", key)
    if record.owner is not None:
        check_text(f"the owner of {brief(key)}", record.owner)
    own, trial, created_at = _facts(record.entries), _facts(record.shadow or ()), moment_text(record.created_at)
    shadow_count = None if record.shadow is None else len(trial)
    link_count = len(record.lists) + len(record.within)
    judged = judge.digest_of_facts(key, created_at, record.enabled, own, trial, record.lists, record.within)
    row = (
        tenant, key, created_at, record.enabled, record.owner, len(own), shadow_count, link_count, judged, revision,
    )  # fmt: skip
    entries = _entry_rows(tenant, "key", key, own)
    if trial:
        entries += _entry_rows(tenant, "shadow", key, trial)
    links: list[Written] = []
    if link_count:
        for kind, names in (("lists", record.lists), ("within", record.within)):
            links += [(tenant, key, kind, position, name) for position, name in enumerate(names)]
    return row, entries, links


def list_rows(judge: Judge, tenant: int, frozen: FrozenList, revision: int) -> tuple[Written, list[Written]]:
    """Write a named list that the policy has judged, as its row and those of its entries; ValueError as `key_rows`."""
    name = str(frozen.name)
    check_text("the name of a list", name)
    check_text(f"the description of {brief(name)}", frozen.description)
    row = (tenant, name, frozen.description, len(frozen.entries), judge.digest_of_list(frozen), revision)
    return row, _entry_rows(tenant, "list", name, _facts(frozen.entries))


# -- Reading ------------------------------------------------------------------


def read_moment(table: str, row: Row, text: object) -> datetime:
    """Read a moment that `moment_text` wrote, or a person: SpoiltRow if it is none, or has no time zone."""
    try:
        moment = datetime.fromisoformat(_text(table, row, "a moment", text))
        if moment.tzinfo is None:
            raise ValueError("it has no time zone")
        return moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise SpoiltRow(table, row, f"{brief(text)} is no moment: {error}") from None


def shown(value: object) -> str:
    """Show a value of a row, cut short."""
    return str(value) if type(value) is int else brief(value)


def _text(table: str, row: Row, what: str, value: object) -> str:
    if type(value) is not str:
        raise SpoiltRow(table, row, f"{what} is text, not {type(value).__name__}")
    return value


def _switch(table: str, row: Row, what: str, value: object) -> bool:
    if type(value) not in (bool, int) or value not in (0, 1):
        raise SpoiltRow(table, row, f"{what} is true or false, not {shown(value)}")
    return bool(value)


def _check_count(table: str, row: Row, what: str, said: object, found: int) -> None:
    if type(said) is not int or said != found:
        raise SpoiltRow(table, row, f"it says {shown(said)} {what}, and there are {found}")


def _entries_of(holder: str, name: str, rows: Sequence[Row]) -> tuple[Entry, ...]:
    """Read entries; a row is (position, prefix, label, condition), and the rows are in the order of the positions."""
    found = []
    for place, (position, prefix, label, condition) in enumerate(rows):
        row = (holder, name, position)
        if position != place:
            raise SpoiltRow("entries", row, f"the entry at position {place} is missing")
        if label is None and condition is None and type(prefix) is str:
            given: str | dict[str, object] = prefix
        else:
            given = {"prefix": _text("entries", row, "a prefix", prefix)} | _more(row, label, condition)
        try:
            found.append(parse_entry(given))
        except (ValueError, TypeError) as error:
            raise SpoiltRow("entries", row, str(error)) from None
    return tuple(found)


def _more(row: Row, label: object, condition: object) -> dict[str, object]:
    """The fields of an entry besides its prefix."""
    fields: dict[str, object] = {} if label is None else {"label": _text("entries", row, "a label", label)}
    if condition is None:
        return fields
    try:
        said = json.loads(_text("entries", row, "a condition", condition))
    except (ValueError, RecursionError):
        raise SpoiltRow("entries", row, f"the condition is no JSON: {brief(condition)}") from None
    if type(said) is not dict or not said or said.keys() & {"prefix", "label"}:
        raise SpoiltRow("entries", row, f"the condition is an object with facts, not {brief(condition)}")
    return fields | said


def _check_accepted(policy: Policy, holder: str, name: str, entries: Sequence[Entry], *, on_key: bool) -> None:
    """Ask the policy about entries; it may warn, and must keep each of them."""
    report = policy.validate(entries, on_key=on_key)
    for problem in report.errors:
        row = (holder, name) if problem.index is None else (holder, name, problem.index)
        raise SpoiltRow("entries", row, f"{policy.name} refuses it: {problem.line}")
    if report.accepted != tuple(entries):
        raise SpoiltRow("entries", (holder, name), f"{policy.name} would store these entries in another way")


def list_of(judge: Judge, row: Row, rows: Sequence[Row]) -> FrozenList:
    """Read a named list: its row (name, description, entry_count, judged), and the rows of its entries.

    Raises:
        SpoiltRow: something about it is wrong.
    """
    name, description, count, judged = row
    where = (name,)
    name = _text("lists", where, "a name", name)
    if not name.strip():
        raise SpoiltRow("lists", where, "a list needs a name")
    if name.startswith(PREFIX):
        raise SpoiltRow("lists", where, f"a name that begins with {PREFIX} is that of a grant")
    description = _text("lists", where, "a description", description)
    _check_count("lists", where, "entries", count, len(rows))
    entries = _entries_of("list", name, rows)
    frozen = FrozenList(name, entries, description)
    if not judge.believes and judged != judge.digest_of_list(frozen):
        check_list(judge.policy, frozen)
    return frozen


def key_of(judge: Judge, row: Row, rows: Mapping[str, Sequence[Row]]) -> tuple[str, KeyRecord]:
    """Read a key.

    Args:
        row: (id, created_at, is_enabled, owner, own_count, shadow_count, link_count, judged).
        rows: the rows of the key's entries under "key" and "shadow", and its links (position, list) under "lists" and
            "within".
    Raises:
        SpoiltRow: something about it is wrong.
    """
    key, created_at, is_enabled, owner, own_count, shadow_count, link_count, judged = row
    where = (key,)
    key = _text("keys", where, "an id", key)
    own, trial = rows.get("key", ()), rows.get("shadow", ())
    lists, within = rows.get("lists", ()), rows.get("within", ())
    _check_count("keys", where, "entries", own_count, len(own))
    _check_count("keys", where, "entries on trial", 0 if shadow_count is None else shadow_count, len(trial))
    _check_count("keys", where, "links", link_count, len(lists) + len(within))
    record = KeyRecord(
        created_at=read_moment("keys", where, created_at),
        entries=_entries_of("key", key, own),
        lists=_names_of(key, "lists", lists),
        within=_names_of(key, "within", within),
        enabled=_switch("keys", where, "is_enabled", is_enabled),
        owner=None if owner is None else _text("keys", where, "an owner", owner),
        shadow=None if shadow_count is None else _entries_of("shadow", key, trial),
    )
    if not judge.believes and judged != judge.digest_of_key(key, record):
        if not record.enabled or not (record.entries or record.lists):
            raise SpoiltRow("keys", where, "its list is gone or is not enforced, and no change of the store did that")
        check_key(judge.policy, key, record)
    return key, record


def key_as_written(judge: Judge, row: Row, owned: Sequence[Row], linked: Sequence[Row]) -> _Found | None:
    """Read a key quickly, or give None: `key_of` looks at it closely then, and says what is wrong.

    A key is read here if its rows are those that the store wrote, and if the policy has judged them.  The digest is
    made of the texts of the rows; the store made it of the same texts.  Conditions and trials are left to `key_of`.

    Args:
        row: as for `key_of`.
        owned: the rows of its entries: (name, holder, position, prefix, label, condition).
        linked: its links: (key, kind, position, list).
    """
    key, created_at, is_enabled, owner, own_count, shadow_count, link_count, judged = row
    if (type(key), type(created_at), type(own_count), type(link_count)) != _PLAIN or type(owner) not in _OWNER:
        return None
    if judge.believes or shadow_count is not None or (own_count, link_count) != (len(owned), len(linked)):
        return None
    facts, names = _facts_as_written(owned), _names_as_written(linked)
    if facts is None or names is None or type(is_enabled) not in _SWITCH or is_enabled not in (0, 1):
        return None
    entries, enabled = entries_as_written(facts), bool(is_enabled)
    if entries is None or judged != judge.digest_of_facts(key, created_at, enabled, facts, (), *names):
        return None
    lists, within = names
    at = read_moment("keys", (key,), created_at)
    return key, KeyRecord(created_at=at, entries=entries, lists=lists, within=within, enabled=enabled, owner=owner)


def _facts_as_written(rows: Sequence[Row]) -> Facts | None:
    """Give what the rows of a key say of its entries; None if one is on trial, missing, or out of its place."""
    for place, row in enumerate(rows):
        if row[1] != "key" or row[2] != place:
            return None
    facts: Any = tuple([row[3:] for row in rows])  # `entries_as_written` looks at their types
    return cast("Facts", facts)


def _names_as_written(rows: Sequence[Row]) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    """Give the names of the lists of a key, and of those that it lies within; None if something is unusual."""
    if not rows:
        return (), ()
    found: dict[str, list[str]] = {"lists": [], "within": []}
    for _, kind, position, name in rows:
        names = found.get(kind)
        if names is None or position != len(names) or type(name) is not str or name in names:
            return None
        names.append(name)
    return tuple(found["lists"]), tuple(found["within"])


def _names_of(key: str, kind: str, rows: Sequence[Row]) -> tuple[str, ...]:
    names = []
    for place, (position, name) in enumerate(rows):
        row = (key, kind, position)
        if position != place:
            raise SpoiltRow("links", row, f"the link at position {place} is missing")
        names.append(_text("links", row, "the name of a list", name))
    if len(set(names)) < len(names):
        raise SpoiltRow("links", (key, kind), "a list is linked twice")
    return tuple(names)


def check_list(policy: Policy, frozen: FrozenList) -> None:
    """Ask a policy about a list, which may be empty, and then denies (C22); SpoiltRow if the policy refuses it."""
    if frozen.entries:
        _check_accepted(policy, "list", str(frozen.name), frozen.entries, on_key=False)
    if policy.keys.describe_lists and not frozen.description.strip():
        raise SpoiltRow("lists", (frozen.name,), f"lists of {policy.name} need a description")


def check_key(policy: Policy, key: str, record: KeyRecord) -> None:
    """Ask a policy what it asks when a key is imported; SpoiltRow if it refuses the key."""
    if record.entries:
        if policy.keys.binding == "lists":
            raise SpoiltRow("keys", (key,), f"keys of {policy.name} have no entries of their own")
        _check_accepted(policy, "key", key, record.entries, on_key=True)
    if record.shadow:
        _check_accepted(policy, "shadow", key, record.shadow, on_key=False)
    if policy.keys.needs_list(record.created_at) and not record.enabled:
        raise SpoiltRow("keys", (key,), "it was created at the cutover or later and cannot do without its list")
