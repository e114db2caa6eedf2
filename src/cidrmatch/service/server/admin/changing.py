"""What editors and admins may do: each function is one commit, or nothing.

    with asked.change("put_key") as change      the database is locked for other writers
        asked.conditions.check(...)             412, 428: before anything else
        report = change.put_key(...)            the same code that changes an engine
    asked.told(change, report, ...)             revision, warnings, the new tag

An import has a result for each row.  Usually one bad row refuses all of them; with `partial` the good rows are put.

Threads: each function runs in a thread, because the database blocks.  Source: B9, B10, P1, P9; C21, C22.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ....engine.answers import warn_of_switch, warning
from ....errors import UnknownName, quote
from ....gateways.admin import REFUSED, refused_change
from ....policy.plain import read_policy
from ....policy.policy import Report
from ...stores.tokens import drawn_token
from .asked import Answer, Asked, Refusal, moment_of, written
from .reading import rules_tag

if TYPE_CHECKING:
    from ...stores.change import StoreChange

__all__ = [
    "add_key_entries",
    "add_list_entries",
    "change_rules",
    "create_grant",
    "create_token",
    "delete_assertion",
    "delete_default",
    "delete_key",
    "delete_list",
    "delete_shadow",
    "delete_token",
    "end_grant",
    "import_keys",
    "link_list",
    "put_assertion",
    "put_default",
    "put_key",
    "put_list",
    "put_shadow",
    "remove_key_entries",
    "remove_list_entries",
    "undo_commit",
    "unlink_list",
    "update_key",
]


def _tag_of_key(asked: Asked, change: StoreChange, *, whole: bool = False, may_be_new: bool = False) -> str:
    """Check what is expected of the key; give its tag, or "" if it does not exist."""
    key = asked.names["key"]
    number = change.revision_of_key(key)
    if number is None and not may_be_new:
        raise UnknownName(f"no key {quote(key)}")
    return _checked(asked, change, number, whole)


def _tag_of_list(asked: Asked, change: StoreChange, *, whole: bool = False, may_be_new: bool = False) -> str:
    """Check what is expected of the list; give its tag, or "" if it does not exist."""
    name = asked.names["list"]
    number = change.revision_of_list(name)
    if number is None and not may_be_new:
        raise UnknownName(f"no list {quote(name)}")
    return _checked(asked, change, number, whole)


def _checked(asked: Asked, change: StoreChange, number: int | None, whole: bool) -> str:
    tag = None if number is None else written(change.base, number)
    asked.conditions.check(tag, whole=whole)
    return tag or ""


# -- Keys ---------------------------------------------------------------------


def put_key(asked: Asked) -> Answer:
    """Create a key, or say all of it anew; its created_at and its trial stay (B9)."""
    with asked.change("put_key") as change:
        tag = _tag_of_key(asked, change, whole=True, may_be_new=True)
        report = change.put_key(asked.names["key"], **_facts(asked.body), replace=bool(tag), **asked.guarded)
    return asked.told(change, report, tag, is_new=not tag)


def _facts(body: dict[str, Any]) -> dict[str, Any]:
    """The arguments of `put_key` that a body has."""
    facts = {name: body[name] for name in ("entries", "lists", "within", "enabled", "owner") if name in body}
    return facts | {"created_at": moment_of(body.get("created_at"))}


def update_key(asked: Asked) -> Answer:
    """Change some facts of a key; what the body does not name stays (B10)."""
    with asked.change("update_key") as change:
        tag = _tag_of_key(asked, change, whole=True)
        report = change.update_key(asked.names["key"], **asked.body, **asked.guarded)
    return asked.told(change, report, tag)


def delete_key(asked: Asked) -> Answer:
    """Remove a key; it is unknown from now on."""
    with asked.change("remove_key") as change:
        _tag_of_key(asked, change, whole=True)
        report = change.remove_key(asked.names["key"])
    return asked.told(change, report)


def add_key_entries(asked: Asked) -> Answer:
    """Add entries to a key, all of them or none (B10)."""
    with asked.change("add_entries") as change:
        tag = _tag_of_key(asked, change)
        report = change.add_entries(asked.names["key"], asked.body["entries"], **asked.guarded)
    return asked.told(change, report, tag)


def remove_key_entries(asked: Asked) -> Answer:
    """Remove entries of a key, all of them or none (B10)."""
    with asked.change("remove_entries") as change:
        tag = _tag_of_key(asked, change)
        report = change.remove_entries(asked.names["key"], asked.body["entries"], **asked.guarded)
    return asked.told(change, report, tag)


def link_list(asked: Asked) -> Answer:
    """Link a key to one more named list (P6)."""
    with asked.change("link") as change:
        tag = _tag_of_key(asked, change)
        report = change.link(asked.names["key"], asked.names["list"])
    return asked.told(change, report, tag)


def unlink_list(asked: Asked) -> Answer:
    """Remove a link; after the last one the default list applies (C21)."""
    with asked.change("unlink") as change:
        tag = _tag_of_key(asked, change)
        report = change.unlink(asked.names["key"], asked.names["list"])
    return asked.told(change, report, tag)


def put_shadow(asked: Asked) -> Answer:
    """Put a list of a key on trial: it decides nothing, and what it would have decided is counted."""
    with asked.change("put_shadow") as change:
        tag = _tag_of_key(asked, change)
        report = change.put_shadow(asked.names["key"], asked.body["entries"])
    return asked.told(change, report, tag)


def delete_shadow(asked: Asked) -> Answer:
    """End the trial of a key's list."""
    with asked.change("remove_shadow") as change:
        tag = _tag_of_key(asked, change)
        change.remove_shadow(asked.names["key"])
    return asked.told(change, None, tag)


# -- Many keys ----------------------------------------------------------------


def import_keys(asked: Asked) -> Answer:
    """Put many keys in one commit: all or none, or with `partial` the good ones; a result for each row."""
    with asked.change("import") as change:
        rows = [_import_row(asked, change, index, row) for index, row in enumerate(asked.body["keys"])]
        refused = sum(row["status"] >= 400 for row in rows)
        if refused and not asked.query.get("partial", False):
            detail = f"{refused:,} of {len(rows):,} rows are refused, so none was put"
            raise Refusal(422, "rows", detail, rows=[row for row in rows if row["status"] >= 400])
    return asked.told(change, None, put=len(rows) - refused, refused=refused, rows=rows)


def _import_row(asked: Asked, change: StoreChange, index: int, row: dict[str, Any]) -> dict[str, Any]:
    """Put one row; a refusal is its result, and has changed nothing."""
    key, facts = row["key"], {"index": index, "key": row["key"]}
    is_there = change.revision_of_key(key) is not None
    try:
        report = change.put_key(key, **_facts(row), replace=asked.query.get("replace", False))
    except REFUSED as error:
        said = json.loads(refused_change(error).body)
        problem = {name: said[name] for name in ("detail", "reason", "problems") if name in said}
        return facts | {"status": said["status"], "problem": problem}
    except ValueError as error:
        return facts | {"status": 422, "problem": {"detail": str(error), "reason": "invalid"}}
    return facts | {"status": 200 if is_there else 201, "warnings": [each.to_dict() for each in report.warnings]}


# -- Named lists --------------------------------------------------------------


def put_list(asked: Asked) -> Answer:
    """Create a named list, or say all of it anew for every key that is linked to it (P2, P3)."""
    body = asked.body
    with asked.change("put_list") as change:
        tag = _tag_of_list(asked, change, whole=True, may_be_new=True)
        report = change.put_list(
            asked.names["list"], body["entries"], description=body.get("description", ""), **asked.guarded
        )
    return asked.told(change, report, tag, is_new=not tag)


def delete_list(asked: Asked) -> Answer:
    """Delete a named list; one that is linked or the default needs `force`, which unlinks it first (C21)."""
    with asked.change("remove_list") as change:
        _tag_of_list(asked, change, whole=True)
        report = change.remove_list(asked.names["list"], force=asked.query.get("force", False))
    return asked.told(change, report)


def add_list_entries(asked: Asked) -> Answer:
    """Add entries to a named list, all of them or none."""
    with asked.change("add_to_list") as change:
        tag = _tag_of_list(asked, change)
        report = change.add_to_list(asked.names["list"], asked.body["entries"], **asked.guarded)
    return asked.told(change, report, tag)


def remove_list_entries(asked: Asked) -> Answer:
    """Remove entries of a named list, all of them or none; a list in use cannot be emptied (C22)."""
    with asked.change("remove_from_list") as change:
        tag = _tag_of_list(asked, change)
        report = change.remove_from_list(asked.names["list"], asked.body["entries"], **asked.guarded)
    return asked.told(change, report, tag)


# -- Rules --------------------------------------------------------------------


def _check_rules(asked: Asked, change: StoreChange) -> None:
    asked.conditions.check(rules_tag(change.base, change.rules), whole=False)


def put_default(asked: Asked) -> Answer:
    """Make a named list the default for keys without lists of their own (P9, P10)."""
    with asked.change("set_default") as change:
        _check_rules(asked, change)
        report = change.set_default(asked.body["list"])
    return asked.told(change, report)


def delete_default(asked: Asked) -> Answer:
    """Have no default list any more; the report names the keys that are open now (P9)."""
    with asked.change("set_default") as change:
        _check_rules(asked, change)
        report = change.set_default(None)
    return asked.told(change, report)


def change_rules(asked: Asked) -> Answer:
    """Change the policy or the switches; another policy has to accept everything that the store holds."""
    body, warnings = asked.body, []
    with asked.change("change_rules") as change:
        _check_rules(asked, change)
        if "policy" in body:
            change.set_policy(read_policy(body["policy"]))
        if "unknown_key" in body:
            change.set_unknown_key(body["unknown_key"])
            warnings += [warning("unknown keys pass")] * (body["unknown_key"] == "pass")
        if "enforced" in body:
            change.set_enforced(body["enforced"])
            warnings += warn_of_switch(body["enforced"])
        report = Report(change.rules.policy, (), tuple(warnings))
    return asked.told(change, report)


def put_assertion(asked: Asked) -> Answer:
    """Say that a list or a key must always allow an address, or must always deny it."""
    names, body = asked.names, asked.body
    with asked.change("put_assertion") as change:
        change.put_assertion(
            names["holder"], names["name"], names["address"], allow=body["allow"], note=body.get("note", "")
        )
    return asked.told(change, None)


def delete_assertion(asked: Asked) -> Answer:
    """Drop an assertion."""
    with asked.change("drop_assertion") as change:
        change.drop_assertion(asked.names["holder"], asked.names["name"], asked.names["address"])
    return asked.told(change, None)


def create_grant(asked: Asked) -> Answer:
    """Let a key be used from one more prefix, or from everywhere, until a moment."""
    body = asked.body
    until = moment_of(body["until"])
    assert until is not None  # noqa: S101  the body needs it
    with asked.change("grant") as change:
        number = change.grant(body["key"], body["prefix"], reason=body["reason"], until=until)
    return asked.told(change, None, is_new=True, number=number)


def end_grant(asked: Asked) -> Answer:
    """End a grant before its time."""
    with asked.change("end_grant") as change:
        change.end_grant(int(asked.names["number"]))
    return asked.told(change, None)


def undo_commit(asked: Asked) -> Answer:
    """Give everything that a commit changed its value from before, unless a later commit changed it, too."""
    with asked.change("undo") as change:
        report = change.undo(int(asked.names["number"]))
    return asked.told(change, report)


# -- Tokens -------------------------------------------------------------------


def create_token(asked: Asked) -> Answer:
    """Make a token; it is told in this answer, and never again."""
    token, digest = drawn_token()
    with asked.change("create_token") as change:
        change.put_token(asked.body["name"], asked.body["role"], digest)
    return asked.told(change, None, is_new=True, token=token)


def delete_token(asked: Asked) -> Answer:
    """Remove a token, which lets nobody in from now on."""
    with asked.change("remove_token") as change:
        change.remove_token(asked.names["name"])
    return asked.told(change, None)
