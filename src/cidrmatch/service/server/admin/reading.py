"""What viewers may do: read keys, lists, rules, the history, and who serves which revision.

    with asked.store.reading() as data      one moment of the database
        data --> plain values --> Answer, with the tag of what was read

Lists of names come in pages: `next` of one page is `after` of the following one; null at the end.

Threads: each function runs in a thread, because the database blocks.  Source: P7, B20.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from ....engine.things import rules_as_values
from ...stores.things import as_text
from ...stores.tokens import Tokens
from .asked import Answer, Asked, told, written

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...._core import Entry
    from ...._keys import Revision
    from ....engine.feeding import Rules
    from ....policy.policy import Policy
    from ...stores.grants import Grant

__all__ = [
    "get_default",
    "get_key",
    "get_list",
    "get_rules",
    "get_self",
    "list_assertions",
    "list_grants",
    "list_history",
    "list_keys",
    "list_keys_of_list",
    "list_lists",
    "list_readers",
    "list_tokens",
    "rules_tag",
    "validate_entries",
]

_PAGE = 100


def _page(asked: Asked, what: str, names: list[str]) -> dict[str, Any]:
    """Write a page of names; `names` has one more if there is another page."""
    limit = asked.query.get("limit", _PAGE)
    return {what: names[:limit], "next": names[limit - 1] if len(names) > limit else None}


def _cut(asked: Asked, names: list[str]) -> list[str]:
    """Take the names of a page, and one more, of all names, which are sorted."""
    after, limit = asked.query.get("after", ""), asked.query.get("limit", _PAGE)
    return [name for name in names if name > after][: limit + 1]


def _entries(policy: Policy, entries: Sequence[Entry]) -> list[dict[str, object]]:
    return [{"label": None} | policy.entry_to_dict(entry) for entry in entries]


def get_self(asked: Asked) -> Answer:
    """Say whose token this is, and what the store holds."""
    with asked.store.reading() as data:
        facts = {"name": asked.bearer.name, "role": asked.bearer.role, "tenant": asked.store.tenant}
        return Answer({**facts, "policy": data.rules.policy.name, "revision": written(data.revision)})


def list_keys(asked: Asked) -> Answer:
    """Name keys, a page at a time; a store with hashed ids names the hashes."""
    with asked.store.reading() as data:
        names = data.keys(asked.query.get("after", ""), asked.query.get("limit", _PAGE) + 1)
    return Answer(_page(asked, "keys", names))


def get_key(asked: Asked) -> Answer:
    """Give a key, as people see it: without its grants."""
    key = asked.names["key"]
    with asked.store.reading() as data:
        found, policy = data.key(key), data.rules.policy
        tag = written(data.revision, found.revision)
    record = found.value
    body = {
        "key": key,
        "created_at": record.created_at.isoformat(),
        "enabled": record.enabled,
        "entries": _entries(policy, record.entries),
        "lists": list(record.lists),
        "within": list(record.within),
        "owner": record.owner,
        "shadow": None if record.shadow is None else _entries(policy, record.shadow),
        "revision": tag,
    }
    return Answer(body, tag=tag)


def list_lists(asked: Asked) -> Answer:
    """Name the named lists, a page at a time."""
    with asked.store.reading() as data:
        return Answer(_page(asked, "lists", _cut(asked, data.lists())))


def get_list(asked: Asked) -> Answer:
    """Give a named list."""
    name = asked.names["list"]
    with asked.store.reading() as data:
        found, rules = data.named_list(name), data.rules
        tag, linked = written(data.revision, found.revision), len(data.keys_of(name))
    body = {
        "list": name,
        "description": found.value.description,
        "entries": _entries(rules.policy, found.value.entries),
        "is_default": rules.default == name,
        "linked_keys": linked,
        "revision": tag,
    }
    return Answer(body, tag=tag)


def list_keys_of_list(asked: Asked) -> Answer:
    """Name the keys that are linked to a list or lie within it, a page at a time (P7)."""
    with asked.store.reading() as data:
        return Answer(_page(asked, "keys", _cut(asked, data.keys_of(asked.names["list"]))))


def get_default(asked: Asked) -> Answer:
    """Give the name of the default list, or null."""
    with asked.store.reading() as data:
        return Answer({"list": data.rules.default}, tag=rules_tag(data.revision, data.rules))


def get_rules(asked: Asked) -> Answer:
    """Give the policy, the switches and the default list."""
    with asked.store.reading() as data:
        return Answer(rules_as_values(data.rules), tag=rules_tag(data.revision, data.rules))


def rules_tag(revision: Revision, rules: Rules) -> str:
    """Give the tag of the rules: no commit is known that changed them last, so it is made of what they say."""
    said = as_text(rules_as_values(rules)).encode()
    return f"{revision.epoch:x}-{hashlib.blake2b(said, digest_size=8).hexdigest()}"


def list_assertions(asked: Asked) -> Answer:
    """Give what is asserted of lists and keys: of all, or of one."""
    holder, name = asked.query.get("holder"), asked.query.get("name")
    held = asked.store.held_id(name) if holder == "key" and name is not None else name
    with asked.store.reading() as data:
        found = data.assertions()
    wanted = [
        {"holder": each.holder, "name": each.name, "address": each.address, "allow": each.allow, "note": each.note}
        for each in found
        if holder in (None, each.holder) and held in (None, each.name)
    ]
    return Answer({"assertions": wanted})


def list_grants(asked: Asked) -> Answer:
    """Give the grants that are in force."""
    with asked.store.reading() as data:
        return Answer({"grants": [_grant(each) for each in data.grants()]})


def _grant(grant: Grant) -> dict[str, object]:
    facts = {"number": grant.number, "key": grant.key, "prefix": grant.prefix, "reason": grant.reason}
    return {**facts, "until": grant.expires.isoformat()}


def validate_entries(asked: Asked) -> Answer:
    """Say what the tenant's policy makes of entries, and change nothing."""
    with asked.store.reading() as data:
        policy = data.rules.policy
    report = policy.validate(asked.body["entries"], on_key=asked.body.get("on_key", True))
    return Answer({"report": told(report)})


def list_history(asked: Asked) -> Answer:
    """Give commits, the latest first, a page at a time: of all, or of one kind, or of one key, list or token."""
    kind, name, limit = asked.query.get("kind"), asked.query.get("name"), asked.query.get("limit", _PAGE)
    held = asked.store.held_id(name) if kind == "key" and name is not None else name
    with asked.store.reading() as data:
        commits = data.history(kind=kind, name=held, before=asked.query.get("before"), limit=limit + 1)
    more = commits[limit - 1].revision.generation if len(commits) > limit else None
    told_commits = [{**each.to_dict(), "revision": written(each.revision)} for each in commits[:limit]]
    return Answer({"commits": told_commits, "next": more})


def list_readers(asked: Asked) -> Answer:
    """Say which revision the store has, and which ones the workers serve; `here` is the worker that answers."""
    with asked.store.reading() as data:
        revision, found = data.revision, data.readers()
    here = asked.served()
    readers = [
        {"name": each.name, "revision": written(each.revision), "seen_at": each.seen_at, "lag": each.lag}
        for each in found
    ]
    body = {"revision": written(revision), "here": None if here is None else written(here), "readers": readers}
    return Answer(body)


def list_tokens(asked: Asked) -> Answer:
    """Name the tokens with their roles; nobody can read a token itself."""
    found = Tokens(asked.store).list()
    return Answer({"tokens": [{"name": each.name, "role": each.role, "created_at": each.created_at} for each in found]})
