"""One change of a tenant: everything that is said in it becomes one commit, or nothing of it.

    with store.change(actor="anna", reason="new office") as change:      BEGIN; the tenant is locked
        change.put_list("office", ["198.51.100.0/24"])                   judged by the policy, in the draft
        change.put_key("key_1", lists=["office"])
                                                                         1. do all assertions still hold?
                                                                         2. rows are written
                                                                         3. history: who, when, why, before, after
    change.revision                                                      COMMIT; then followers are nudged

`StoreChange` has the changes of an engine, from `put_key` to `remove_shadow`, with their arguments, errors and reports.
Besides, it has what only a store has: the policy, assertions, grants, undo.

A change that expects a revision of a key or a list (`expect_key`, `expect_list`) is refused if somebody else has
changed it meanwhile; changes of other keys do not matter.

Threads: a change belongs to one thread.  Source: B10, P1, P9 to P11, C8, C9, C21, C22.
"""

from __future__ import annotations

import dataclasses
import secrets
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, insert, select, update

from ..._core import format_address, parse_address, parse_prefix
from ..._keys import KeyRecord, Revision, pairs_of
from ...engine.changes import Transaction
from ...engine.feeding import Rules
from ...engine.settings import settings_of
from ...engine.things import rules_as_values
from ...errors import AlreadyExists, Conflict, EngineError, FeatureOff, UnknownName, quote
from ...policy.checks import check_choice, check_moment, check_switches
from ...policy.plain import write_policy
from ...policy.policy import Report
from ...policy.presets import check_policy
from .asserting import Assertions
from .bulk import roomy
from .errors import SpoiltRow
from .grants import PREFIX, grant_as_values
from .rows import Judge, check_key, check_list, check_text, check_workable, is_storable, moment_text
from .schema import changed, changes, grants, keys, lists, tenants, tokens
from .things import as_text, key_of_values, list_of_values, read_said
from .writing import Writer

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sqlalchemy import Connection, Select

    from ..._core import EntryLike
    from ...engine.engine import Engine
    from ...policy.policy import Policy
    from ...policy.problems import Problem
    from .draft import StoredDraft

__all__ = ["Author", "StoreChange"]

_LONG_AGO = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Author:
    """Say who makes a change.

    Attributes:
        actor: who; the host's role check gets it.
        origin: from where, such as an address or the name of a program.
        reason: why, in words.
    """

    actor: str | None = None
    origin: str | None = None
    reason: str | None = None

    def __post_init__(self) -> None:
        for what, said in (("the actor", self.actor), ("the origin", self.origin), ("the reason", self.reason)):
            if said is not None and type(said) is not str:
                raise TypeError(f"{what} is text or None, not {type(said).__name__}")
            check_text(what, said)


class StoreChange(Transaction):
    """Change a tenant; made by `Store.change`.

    Attributes:
        revision: the revision that the commit made, or that of the data if nothing changed; None before the commit.
        base: the revision that the change began with.
        rules: policy, switches and default list that the change began with.
    """

    _draft: StoredDraft

    def __init__(self, draft: StoredDraft, connection: Connection, author: Author, now: datetime) -> None:
        super().__init__(draft)
        self.revision: Revision | None = None
        self.base = draft.head.revision
        self.rules = draft.head.rules
        self._stored = draft
        self._connection = connection
        self._author = author
        self._now = now
        self._asserted = Assertions(draft, connection)
        self._more: list[dict[str, Any]] = []  # what changed besides keys, lists and rules

    def put_keys(
        self,
        lists: Mapping[str, Iterable[EntryLike] | None] | Iterable[tuple[str, Iterable[EntryLike] | None]],
        *,
        replace: bool = False,
        if_version: int | None = None,
    ) -> Report:
        """Create many keys at once, as an engine does; the database is asked for all of them together."""
        with self._drafting(if_version) as draft:
            pairs = list(pairs_of(lists))
            self._stored.know({draft.held_id(key) for key, _ in pairs if type(key) is str})
            return super().put_keys(pairs, replace=replace)

    # What is expected.

    def expect_key(self, key: str, revision: int | None) -> None:
        """Refuse the change unless the key was changed last by this commit; None: unless it does not exist.

        Raises:
            Conflict: it was not.
        """
        self._expect(f"the key {quote(key)}", self.revision_of_key(key), revision)

    def expect_list(self, name: str, revision: int | None) -> None:
        """Refuse the change unless the list was changed last by this commit; None: unless it does not exist."""
        self._expect(f"the list {quote(name)}", self.revision_of_list(name), revision)

    def revision_of_key(self, key: str) -> int | None:
        """Give the number of the commit that changed a key last, before this change; None if there is no such key."""
        held = self._stored.held_id(key)
        return self._number(held, select(keys.c.revision).where(keys.c.tenant == self._tenant, keys.c.id == held))

    def revision_of_list(self, name: str) -> int | None:
        """Give the number of the commit that changed a list last, before this change; None if there is no such list."""
        return self._number(name, select(lists.c.revision).where(lists.c.tenant == self._tenant, lists.c.name == name))

    def _number(self, name: str, query: Select[Any]) -> int | None:
        found: int | None = None if not is_storable(name) else self._connection.execute(query).scalar_one_or_none()
        return found

    def _expect(self, what: str, found: int | None, revision: int | None) -> None:
        if found != revision:
            at = "does not exist" if found is None else f"is of revision {found}"
            raise Conflict(f"{what} {at}; {'that it does not exist' if revision is None else revision} was expected")

    @property
    def _tenant(self) -> int:
        self._check_open()
        return self._stored.head.tenant

    def _check_open(self) -> None:
        if self._stored.is_over:
            raise EngineError("the change is over")

    # The rules.

    def set_enforced(self, enforced: bool) -> None:
        """Switch the whole feature on or off (U2); while it is off, lists are neither edited nor enforced."""
        check_switches(enforced=enforced)
        with self._drafting(None) as draft:
            draft.settings = dataclasses.replace(draft.settings, is_enforced=enforced)

    def set_unknown_key(self, what: str) -> None:
        """Say what happens to a key that the store does not know: "deny", or "pass"."""
        if what not in ("deny", "pass"):
            raise ValueError(f"unknown_key is 'deny' or 'pass', not {quote(what)}")
        with self._drafting(None) as draft:
            draft.settings = dataclasses.replace(draft.settings, unknown_passes=what == "pass")

    def set_policy(self, policy: Policy) -> None:
        """Take another policy, which then judges every key and every list.

        Raises:
            EngineError: it refuses something that the store has, and the message names that; or it would open a key;
                or it comes after another part of the change; or the product has no default list, and there is one.
            ValueError: the policy needs a cutover (C10).  In all cases nothing is changed.
        Cost: reads everything, and writes the digest of each key and list.
        """
        policy, draft = check_workable(check_policy(policy)), self._stored
        self._check_open()
        if draft.rules or draft.lists:
            raise EngineError("another policy comes first in a change")
        if draft.default is not None and not policy.keys.default_list:
            raise EngineError(f"{policy.name} has no default list")
        try:
            for frozen in draft.reading.all_lists(draft.head):
                check_list(policy, frozen)
            for key, record in draft.reading.all_keys(draft.head):
                check_key(policy, key, record)
                self._check_not_opened(policy, key, record)
        except SpoiltRow as error:
            raise EngineError(f"{policy.name} refuses what the store has: {error}") from None
        with self._drafting(None):
            draft.take_settings(dataclasses.replace(draft.settings, policy=policy))

    def _check_not_opened(self, policy: Policy, key: str, record: KeyRecord) -> None:
        """Refuse another policy that would open a key: one that is denied only because new keys need a list (N4)."""
        draft = self._stored
        needed = draft.settings.policy.keys.needs_list(record.created_at)
        has_list = record.entries or record.lists or record.within or draft.default is not None
        if needed and not policy.keys.needs_list(record.created_at) and not (has_list and record.enabled):
            raise EngineError(f"under {policy.name} every address could use the key {quote(key)}; give it a list first")

    # Assertions.

    def put_assertion(self, holder: str, name: str, address: str, *, allow: bool, note: str = "") -> None:
        """Say that a list, or a key, must always allow an address, or must always deny it.

        Args:
            holder: "list" or "key".
            name: of the list, or the key's id.
            address: text of an address.
            allow: True: it must be allowed; False: it must be denied.
            note: why.
        Raises:
            UnknownName: there is no such list or key.  InvalidAddress: the address is none.
            AssertionBroken: it does not hold now; raised at the end of the change.
        """
        check_switches(allow=allow)
        check_text("a note", note)
        held = self._held(holder, name)
        before = self._asserted.of(holder, held)
        self._asserted.put(holder, held, _canonical(address), allow, note)
        self._note("assertions", f"{holder}:{held}", before or None, self._asserted.of(holder, held))

    def drop_assertion(self, holder: str, name: str, address: str) -> None:
        """Drop an assertion; UnknownName if there is none."""
        held = self._held(holder, name)
        before = self._asserted.of(holder, held)
        if not self._asserted.drop(holder, held, _canonical(address)):
            raise UnknownName(f"nothing is asserted of {quote(address)} for the {holder} {quote(name)}")
        self._note("assertions", f"{holder}:{held}", before, self._asserted.of(holder, held) or None)

    def _held(self, holder: str, name: str) -> str:
        """Give the name under which rows name a list or a key that exists."""
        self._check_open()
        if holder == "list":
            self._stored.frozen(name)
            return name
        if holder != "key":
            raise ValueError(f"an assertion is about a 'list' or a 'key', not {quote(holder)}")
        held = self._stored.held_id(name)
        self._stored.rule(held)
        return held

    # Break-glass.

    def grant(self, key: str, prefix: str | None, *, reason: str, until: datetime) -> int:
        """Let a key be used from one more prefix for a time, besides its lists.

        Args:
            key: the key's id.
            prefix: an address or a prefix of any breadth; None: from everywhere.
            reason: why; it must be said.
            until: timezone-aware, later than now.
        Returns:
            The number of the grant.
        Raises:
            UnknownName: no such key.  InvalidPrefix: the prefix is none.  ValueError: no reason, or the moment is over.
            EngineError: this change has made or ended a grant already.
        """
        if not self._stored.settings.is_enforced:
            raise FeatureOff("allow lists are switched off; there is nothing to grant")
        held = self._held("key", key)
        check_moment("until", until)
        check_text("a reason", reason)
        if not reason.strip():
            raise ValueError("a grant needs a reason")
        if until <= self._now:
            raise ValueError(f"the grant would end at {until.isoformat()}, before it begins")
        self._check_first_grant()
        written = None if prefix is None else str(parse_prefix(prefix))
        number = self._stored.head.revision.generation + 1
        values = grant_as_values(number, held, written, reason, moment_text(until))
        self._forget_old_grants(held)
        self._connection.execute(insert(grants).values(tenant=self._tenant, **values))
        self._note("grant", held, None, values)
        return number

    def _forget_old_grants(self, held: str) -> None:
        """Remove grants of a key that ended long ago, whoever's clock is right; followers read the key again anyway."""
        long_ago = moment_text(self._now - _LONG_AGO)
        where = (grants.c.tenant == self._tenant, grants.c.key == held, grants.c.expires < long_ago)
        self._connection.execute(delete(grants).where(*where))

    def _check_first_grant(self) -> None:
        if any(each["kind"] == "grant" for each in self._more):
            raise EngineError("a change makes or ends one grant")

    def end_grant(self, number: int) -> None:
        """End a grant before its time; UnknownName if there is none, EngineError as `grant`."""
        self._check_first_grant()
        query = select(grants.c.key, grants.c.prefix, grants.c.reason, grants.c.expires)
        found = self._connection.execute(query.where(grants.c.tenant == self._tenant, grants.c.number == number))
        row = found.mappings().one_or_none()
        if row is None:
            raise UnknownName(f"there is no grant {number}")
        self._connection.execute(delete(grants).where(grants.c.tenant == self._tenant, grants.c.number == number))
        self._note("grant", row["key"], grant_as_values(number, **row), None)

    # Tokens of the admin API.

    def put_token(self, name: str, role: str, digest: str) -> None:
        """Keep the hash of a new token; `Tokens.create` makes the token.

        Raises:
            AlreadyExists: there is a token of this name.  ValueError: the role is none, or the name is empty.
        """
        check_choice("a role", role, "viewer", "editor", "admin")
        check_text("the name of a token", name)
        if not name.strip():
            raise ValueError("a token needs a name")
        if self._token(name) is not None:
            raise AlreadyExists(f"there is a token of the name {quote(name)}")
        self._connection.execute(
            insert(tokens).values(
                tenant=self._tenant, hash=digest, name=name, role=role, created_at=moment_text(self._now)
            )
        )
        self._note("token", name, None, self._token(name))

    def remove_token(self, name: str) -> None:
        """Remove a token; UnknownName if there is none of this name."""
        found = self._token(name)
        if found is None:
            raise UnknownName(f"there is no token {quote(name)}")
        self._connection.execute(delete(tokens).where(tokens.c.tenant == self._tenant, tokens.c.name == name))
        self._note("token", name, found, None)

    def _token(self, name: str) -> dict[str, str] | None:
        """Say about a token what the history may say: not its hash."""
        query = select(tokens.c.role, tokens.c.created_at)
        rows = self._connection.execute(query.where(tokens.c.tenant == self._tenant, tokens.c.name == name))
        found = rows.mappings().one_or_none()
        return None if found is None else dict(found)

    def _note(self, kind: str, name: str, before: object, after: object) -> None:
        """Note that something besides keys, lists and rules changed; the first value before counts."""
        for each in self._more:
            if (each["kind"], each["name"]) == (kind, name):
                each["after"] = after
                return
        self._more.append({"kind": kind, "name": name, "before": before, "after": after})

    # All of it.

    def restore_engine(self, engine: Engine) -> None:
        """Replace all keys, lists and rules by those of an engine, such as one that was loaded from a configuration.

        Raises:
            EngineError: the engine holds hashed ids, or the store does, and not both by the same secret.
            AssertionBroken: an assertion would not hold; raised at the end of the change.
        Cost: reads and writes everything.
        """
        view = engine.view
        settings = settings_of(view)
        if settings.id_hash is not None:
            raise EngineError("an engine with hashed ids does not know its ids; import a configuration")
        draft = self._stored
        with self._drafting(None):
            draft.take_settings(
                dataclasses.replace(
                    draft.settings,
                    policy=settings.policy,
                    is_enforced=settings.is_enforced,
                    unknown_passes=settings.unknown_passes,
                )
            )
            for name in [frozen.name for frozen in draft.reading.all_lists(draft.head)]:
                draft.set_list(str(name), None)
            for name, frozen in view.lists.items():
                draft.set_list(name, frozen)
            draft.default = view.default
            draft.restore(view)

    def undo(self, number: int) -> Report:
        """Undo a commit: everything that it changed gets the value from before, by a new commit.

        Returns:
            A `Report` of the warnings about everything that has its old value again.
        Raises:
            UnknownName: there is no such commit.
            Conflict: a later commit changed one of these things, too; or the commit was made by hand.
            EngineError, PolicyError: the old value is not accepted any more.
        """
        query = select(changed.c.kind, changed.c.name, changed.c.before, changed.c.after)
        rows = self._connection.execute(query.where(changed.c.tenant == self._tenant, changed.c.number == number)).all()
        if not rows:
            raise UnknownName(f"there is no commit {number} that changed something")
        for kind, name, before, after in rows:
            self._check_latest(number, kind, name)
            if before is None and after is None:
                raise Conflict(f"the commit {number} was made by hand; what was before it is not known")
            if kind not in ("key", "list"):
                raise Conflict(f"the commit {number} changed {kind}; say it anew instead of undoing it")
        old_keys = {name: _value_of(number, kind, name, before) for kind, name, before, _ in rows if kind == "key"}
        old_lists = {name: _value_of(number, kind, name, before) for kind, name, before, _ in rows if kind == "list"}
        told: list[Problem] = []
        with self._drafting(None):  # lists first, because keys name them
            for name, frozen in old_lists.items():
                if frozen is not None:
                    told += self.put_list(name, frozen.entries, description=frozen.description).problems
            for name, record in old_keys.items():
                told += self._undo_key(name, record).problems
            for name, frozen in old_lists.items():
                if frozen is None:
                    told += self.remove_list(name).problems
        return Report(self._stored.settings.policy, (), tuple(told))

    def _undo_key(self, held: str, record: KeyRecord | None) -> Report:
        """Put the old record of a key, through the policy; None removes the key."""
        with self._stored.with_held_ids():
            if record is None:
                return self.remove_key(held)
            report = self.put_key(
                held, record.entries or None, lists=record.lists, within=record.within, owner=record.owner,
                created_at=record.created_at, enabled=record.enabled, replace=True,
            )  # fmt: skip
            if record.shadow is not None:
                self.put_shadow(held, record.shadow)
            elif self._stored.record(held).shadow is not None:
                self.remove_shadow(held)
            return report

    def _check_latest(self, number: int, kind: str, name: str) -> None:
        query = select(changed.c.number).where(
            changed.c.tenant == self._tenant, changed.c.kind == kind, changed.c.name == name, changed.c.number > number
        )
        later = self._connection.execute(query.limit(1)).scalar_one_or_none()
        if later is not None:
            raise Conflict(f"the {kind} {quote(name)} was changed by the later commit {later}, too")

    # The commit.

    def write(self, history: str, epoch: int | None, operation: str) -> Revision:
        """Write everything that changed, and the history of it; called once, by `Store.change`.

        Args:
            history: the name of the database's history.
            epoch: of a new history that begins with this commit; None to go on with the present one.
            operation: what the change is, in a word.
        Returns:
            The revision of the data after it.
        """
        draft, head = self._stored, self._stored.head
        lists_changed, keys_changed, names = list(draft.lists_changed()), draft.keys_changed(), None
        if draft.restored is None:  # else there are many, and they are not kept
            kept = list(keys_changed)
            keys_changed, names = iter(kept), {key for key, _, _ in kept}
        first = next(keys_changed, None)
        for name, _, after in lists_changed:
            if after is not None and name.startswith(PREFIX):
                raise EngineError(f"a name that begins with {PREFIX} is that of a grant")
        new = {(each["kind"], each["name"]) for each in self._more}
        self._asserted.check(names, {name for name, _, _ in lists_changed}, new)
        rules = Rules(
            policy=draft.settings.policy, is_enforced=draft.settings.is_enforced,
            unknown_passes=draft.settings.unknown_passes, default=draft.default,
        )  # fmt: skip
        if not (first or lists_changed or self._more or rules != head.rules or epoch):
            self.revision = head.revision
            return head.revision
        number = head.revision.generation + 1
        is_same = rules.policy == head.rules.policy
        policy_text = head.judge.policy_text if is_same else as_text(write_policy(rules.policy))
        self._write_history(number, epoch or head.revision.epoch, history, operation, rules, policy_text)
        writer = Writer(self._connection, self._stored.head.tenant, Judge(policy_text), number)
        with roomy(self._connection) if draft.restored is not None else nullcontext():
            writer.write(chain(() if first is None else (first,), keys_changed), lists_changed)
        if rules != head.rules:
            writer.tell("rules", "", as_text(rules_as_values(head.rules)), as_text(rules_as_values(rules)))
        for each in self._more:
            said = (None if value is None else as_text(value) for value in (each["before"], each["after"]))
            writer.tell(each["kind"], each["name"], *said)
        writer.flush()
        if not is_same:
            writer.renew(draft.reading, dataclasses.replace(head, judge=Judge(policy_text, believes=True)))
        self.revision = Revision(epoch or head.revision.epoch, number)
        return self.revision

    def _write_history(
        self, number: int, epoch: int, history: str, operation: str, rules: Rules, policy_text: str
    ) -> None:
        mark = secrets.token_hex(8)
        commit = {
            "tenant": self._stored.head.tenant,
            "number": number,
            "epoch": epoch,
            "mark": mark,
            "operation": operation,
        }
        self._connection.execute(
            insert(changes).values(**commit, at=moment_text(self._now), **dataclasses.asdict(self._author))
        )
        self._connection.execute(
            update(tenants).where(tenants.c.id == self._stored.head.tenant).values(
                policy=policy_text, is_enforced=rules.is_enforced, unknown_passes=rules.unknown_passes,
                default_list=rules.default, epoch=epoch, number=number, mark=mark, server=history,
            )
        )  # fmt: skip


def _value_of(number: int, kind: str, name: str, text: str | None) -> Any:
    """Read a key or a list from the history; None if it did not exist; SpoiltRow if the store did not write this."""
    row = (number, kind, name)
    values = read_said(row, text)
    try:
        if values is None:
            return None
        return key_of_values(values) if kind == "key" else list_of_values(name, values)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise SpoiltRow("changed", row, f"the values cannot be read: {error}") from None


def _canonical(address: str) -> str:
    return format_address(parse_address(address))
