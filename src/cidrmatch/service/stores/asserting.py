"""Assertions: what a list or a key must always allow, or must always deny, whoever edits it.

    list "office"   must allow 198.51.100.7 (the door of the building)    a change that breaks one is refused,
    key key_1       must deny 192.0.2.66 (a former contractor)            with the note of who asked for it

A list is asked alone.  A key is asked as a request would be: with its own entries, its lists, the default list and the
lists that it lies within.  So a change of a list is checked for the keys that are linked to it, too.  Grants do not
count: they are exceptions.

Cost: one query without assertions; else that of the keys and lists that are asserted and touched.
Threads: belongs to one transaction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, insert, select

from ..._keys import Checker
from ...engine.refusals import view_of_list
from ...errors import quote
from .errors import AssertionBroken
from .schema import assertions
from .writing import matching

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from ..._keys import View
    from .draft import StoredDraft

__all__ = ["Assertion", "Assertions", "read_assertions"]


@dataclass(frozen=True, slots=True)
class Assertion:
    """Describe an assertion.

    Attributes:
        holder, name: "list" and its name, or "key" and its held id.
        address: in canonical text.
        allow: whether it must be allowed; else it must be denied.
        note: why.
    """

    holder: str
    name: str
    address: str
    allow: bool
    note: str


def read_assertions(connection: Connection, tenant: int) -> list[Assertion]:
    """Read all assertions of a tenant, sorted."""
    columns = (assertions.c.holder, assertions.c.name, assertions.c.address, assertions.c.must_allow, assertions.c.note)
    rows = connection.execute(select(*columns).where(assertions.c.tenant == tenant)).all()
    found = (Assertion(holder, name, address, bool(allow), note) for holder, name, address, allow, note in rows)
    return sorted(found, key=lambda each: (each.holder, each.name, each.address))


class Assertions:
    """Keep and check the assertions of a tenant, within a change.

    Args:
        draft: the data of the change.
        connection: its transaction.
    """

    def __init__(self, draft: StoredDraft, connection: Connection) -> None:
        self._draft = draft
        self._connection = connection

    def of(self, holder: str, name: str) -> list[dict[str, Any]]:
        """Give what is asserted of a list or a key, as plain values."""
        columns = (assertions.c.address, assertions.c.must_allow, assertions.c.note)
        query = matching(select(*columns), assertions, self._where(holder, name)).order_by(assertions.c.address)
        rows = self._connection.execute(query).mappings()
        return [{"address": row["address"], "allow": bool(row["must_allow"]), "note": row["note"]} for row in rows]

    def put(self, holder: str, name: str, address: str, allow: bool, note: str) -> None:
        """Put an assertion in the place of an older one about the same address."""
        self.drop(holder, name, address)
        values = {**self._where(holder, name), "address": address, "must_allow": allow, "note": note}
        self._connection.execute(insert(assertions).values(**values))

    def drop(self, holder: str, name: str, address: str) -> bool:
        """Drop an assertion; False if there is none."""
        where = {**self._where(holder, name), "address": address}
        return bool(self._connection.execute(matching(delete(assertions), assertions, where)).rowcount)

    def _where(self, holder: str, name: str) -> dict[str, Any]:
        return {"tenant": self._draft.head.tenant, "holder": holder, "name": name}

    def check(self, keys: set[str] | None, lists: set[str], new: set[tuple[str, str]]) -> None:
        """Refuse the change if an assertion does not hold after it.

        Args:
            keys, lists: those that the change changes; None for all keys.
            new: what else it changes, as kind and name; new assertions are ("assertions", "list:office").
        Raises:
            AssertionBroken: with the address, the list or key, and the note.
        """
        draft = self._draft
        lists_asserted, keys_asserted = self._names("list"), self._names("key")
        lists_new, keys_new = (
            {name for name in each if ("assertions", f"{what}:{name}") in new}
            for what, each in (("list", lists_asserted), ("key", keys_asserted))
        )
        for name in sorted(lists_asserted & lists | lists_new):
            frozen = draft.find_list(name)
            if frozen is None:
                raise AssertionBroken(f"something is asserted of the list {quote(name)}, so it cannot be removed")
            self._check_each("list", name, "", view_of_list(draft, frozen))
        for key in sorted(self._keys_touched(keys_asserted, keys, lists) | keys_new):
            if not draft.has_key(key):
                raise AssertionBroken(f"something is asserted of the key {quote(key)}, so it cannot be removed")
            self._check_each("key", key, key, draft.probe(key, counts=False))

    def _names(self, holder: str) -> set[str]:
        query = select(assertions.c.name).where(
            assertions.c.tenant == self._draft.head.tenant, assertions.c.holder == holder
        )
        return {row[0] for row in self._connection.execute(query.distinct())}

    def _keys_touched(self, asserted: set[str], keys: set[str] | None, lists: set[str]) -> set[str]:
        """Name the asserted keys whose answers may be others after the change."""
        draft, before = self._draft, self._draft.head.rules
        if not asserted:
            return set()
        settings = draft.settings
        is_other = (settings.policy, settings.is_enforced, draft.default) != (
            before.policy, before.is_enforced, before.default,
        )  # fmt: skip
        if keys is None or is_other or draft.default in lists:
            return asserted
        linked = {key for name in lists for key in draft.keys_of(name)}
        return asserted & (keys | linked)

    def _check_each(self, holder: str, name: str, asked: str, view: View) -> None:
        checker = Checker()
        checker.view = view
        for said in self.of(holder, name):
            if checker.allows(asked, said["address"]) is not said["allow"]:
                verb = "denied" if said["allow"] else "allowed"
                note = f" ({said['note']})" if said["note"] else ""
                raise AssertionBroken(f"{said['address']} would be {verb} by the {holder} {quote(name)}{note}")
