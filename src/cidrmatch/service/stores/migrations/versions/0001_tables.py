"""The first tables of a store, and the triggers that notice edits by hand.

    hand --UPDATE keys--> trigger --> tenants    number + 1, a new mark
                                  --> changes    operation "by hand"
                                  --> changed    kind "key", its name
                                  --> keys       revision

by_hand.py says who is noticed.  `changes` and `changed` are appended: triggers refuse everything else, except what
goes with its tenant.  PostgreSQL refuses TRUNCATE, too, which names no row.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_BIG = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_EVENTS = ("insert", "update", "delete")
_APPENDED = {"changes": ("number",), "changed": ("number", "kind", "name")}

_WATCHED = {
    "tenants": ("id", "'rules'", "''"),
    "keys": ("tenant", "'key'", "id"),
    "lists": ("tenant", "'list'", "name"),
    "entries": ("tenant", "CASE holder WHEN 'list' THEN 'list' ELSE 'key' END", "name"),
    "links": ("tenant", "'key'", '"key"'),
    "grants": ("tenant", "'key'", '"key"'),
}
"""For each table the tenant, the kind and the name of what a row of it belongs to."""
_RULES = ("policy", "is_enforced", "unknown_passes", "default_list")  # other columns of tenants are no rules


def upgrade() -> None:
    """Make tables and triggers."""
    _make_tenants()
    _make_keys_and_lists()
    _make_what_they_hold()
    _make_history()
    _make_people()
    for statement in _TRIGGERS[op.get_bind().dialect.name]():
        op.get_bind().exec_driver_sql(statement)


def _tenant() -> sa.Column[int]:
    return sa.Column("tenant", sa.Integer, sa.ForeignKey("tenants.id", ondelete="CASCADE"), nullable=False)


def _make_tenants() -> None:
    op.create_table(
        "tenants",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.Text, nullable=False, unique=True),
        sa.Column("policy", sa.Text, nullable=False),
        sa.Column("is_enforced", sa.Boolean, nullable=False),
        sa.Column("unknown_passes", sa.Boolean, nullable=False),
        sa.Column("default_list", sa.Text),
        sa.Column("ids", sa.Text),
        sa.Column("epoch", _BIG, nullable=False),
        sa.Column("number", _BIG, nullable=False),
        sa.Column("mark", sa.Text, nullable=False),
        sa.Column("server", sa.Text, nullable=False),
    )


def _make_keys_and_lists() -> None:
    op.create_table(
        "keys",
        _tenant(),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("created_at", sa.Text, nullable=False),
        sa.Column("is_enabled", sa.Boolean, nullable=False),
        sa.Column("owner", sa.Text),
        sa.Column("own_count", sa.Integer, nullable=False),
        sa.Column("shadow_count", sa.Integer),
        sa.Column("link_count", sa.Integer, nullable=False),
        sa.Column("judged", sa.Text, nullable=False),
        sa.Column("revision", _BIG, nullable=False),
        sa.PrimaryKeyConstraint("tenant", "id"),
    )
    op.create_table(
        "lists",
        _tenant(),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("entry_count", sa.Integer, nullable=False),
        sa.Column("judged", sa.Text, nullable=False),
        sa.Column("revision", _BIG, nullable=False),
        sa.PrimaryKeyConstraint("tenant", "name"),
    )


def _make_what_they_hold() -> None:
    op.create_table(
        "entries",
        _tenant(),
        sa.Column("holder", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("prefix", sa.Text, nullable=False),
        sa.Column("label", sa.Text),
        sa.Column("condition", sa.Text),
        sa.PrimaryKeyConstraint("tenant", "holder", "name", "position"),
        sa.CheckConstraint("holder IN ('key', 'shadow', 'list')", name="holder_is_known"),
    )
    op.create_table(
        "links",
        _tenant(),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("list", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("tenant", "key", "kind", "position"),
        sa.ForeignKeyConstraint(["tenant", "key"], ["keys.tenant", "keys.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["tenant", "list"], ["lists.tenant", "lists.name"]),
        sa.CheckConstraint("kind IN ('lists', 'within')", name="kind_is_known"),
    )
    op.create_index("links_by_list", "links", ["tenant", "list"])
    op.create_table(
        "assertions",
        _tenant(),
        sa.Column("holder", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("address", sa.Text, nullable=False),
        sa.Column("must_allow", sa.Boolean, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("tenant", "holder", "name", "address"),
        sa.CheckConstraint("holder IN ('key', 'list')", name="asserted_is_known"),
    )
    op.create_table(
        "grants",
        _tenant(),
        sa.Column("number", _BIG, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("prefix", sa.Text),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("expires", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("tenant", "number"),
    )
    op.create_index("grants_by_key", "grants", ["tenant", "key"])


def _make_history() -> None:
    op.create_table(
        "changes",
        _tenant(),
        sa.Column("number", _BIG, nullable=False),
        sa.Column("epoch", _BIG, nullable=False),
        sa.Column("mark", sa.Text, nullable=False),
        sa.Column("at", sa.Text, nullable=False),
        sa.Column("actor", sa.Text),
        sa.Column("origin", sa.Text),
        sa.Column("reason", sa.Text),
        sa.Column("operation", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("tenant", "number"),
    )
    op.create_table(
        "changed",
        _tenant(),
        sa.Column("number", _BIG, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("before", sa.Text),
        sa.Column("after", sa.Text),
        sa.PrimaryKeyConstraint("tenant", "number", "kind", "name"),
        sa.ForeignKeyConstraint(["tenant", "number"], ["changes.tenant", "changes.number"], ondelete="CASCADE"),
    )
    op.create_index("changed_by_name", "changed", ["tenant", "kind", "name", "number"])


def _make_people() -> None:
    op.create_table(
        "tokens",
        sa.Column("hash", sa.Text, primary_key=True),
        _tenant(),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("created_at", sa.Text, nullable=False),
        sa.CheckConstraint("role IN ('viewer', 'editor', 'admin')", name="role_is_known"),
    )
    op.create_index("tokens_by_name", "tokens", ["tenant", "name"], unique=True)
    op.create_table(
        "readers",
        _tenant(),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("epoch", _BIG, nullable=False),
        sa.Column("number", _BIG, nullable=False),
        sa.Column("seen_at", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("tenant", "name"),
    )


# SQLite: a trigger for each row; OLD and NEW are the row before and after.


def _sqlite_triggers() -> list[str]:
    watching = [_sqlite_watch(name, event) for name in _WATCHED for event in _EVENTS if (name, event) != _LAST]
    keeping = [statement for name, key in _APPENDED.items() for statement in _sqlite_append_only(name, key)]
    return ["CREATE TABLE writing (by TEXT)", *watching, *keeping]


_LAST = ("tenants", "delete")
"""A tenant that is deleted takes its history along: nothing is noted."""


def _sqlite_watch(name: str, event: str) -> str:
    rows = {"insert": ("NEW",), "update": ("OLD", "NEW"), "delete": ("OLD",)}[event]
    columns = [(row, [_of_row(row, name, text) for text in _WATCHED[name]]) for row in rows]
    touched = " UNION ".join(
        f"SELECT {tenant} AS tenant, {kind} AS kind, {called} AS name" for _, (tenant, kind, called) in columns
    )
    tenants = f"(SELECT tenant FROM ({touched}))"
    when = f"UPDATE OF {', '.join(_RULES)}" if (name, event) == ("tenants", "update") else event.upper()
    return f"""
        CREATE TRIGGER by_hand_{name}_{event} AFTER {when} ON {name} WHEN NOT EXISTS (SELECT 1 FROM writing)
        BEGIN
            UPDATE tenants SET number = number + 1, mark = lower(hex(randomblob(16))) WHERE id IN {tenants};
            INSERT INTO changes (tenant, number, epoch, mark, at, operation)
                SELECT id, number, epoch, mark, strftime('%Y-%m-%dT%H:%M:%f000+00:00', 'now'), 'by hand'
                FROM tenants WHERE id IN {tenants};
            INSERT INTO changed (tenant, number, kind, name)
                SELECT tenants.id, tenants.number, touched.kind, touched.name
                FROM tenants JOIN ({touched}) AS touched ON touched.tenant = tenants.id;
            INSERT INTO writing VALUES ('by hand');
            {_sqlite_revise("keys", "id", "key", touched)};
            {_sqlite_revise("lists", "name", "list", touched)};
            DELETE FROM writing;
        END"""


def _of_row(row: str, name: str, text: str) -> str:
    """Give the tenant, kind or name of the row OLD or NEW."""
    if name == "entries":
        text = text.replace("holder", f"{row}.holder")
    return text if text.startswith(("'", "CASE")) else f"{row}.{text}"


def _sqlite_revise(name: str, called: str, kind: str, touched: str) -> str:
    return f"""
        UPDATE {name} SET revision = (SELECT number FROM tenants WHERE id = {name}.tenant)
        WHERE (tenant, {called}) IN (SELECT tenant, name FROM ({touched}) WHERE kind = '{kind}')
        AND tenant IN (SELECT id FROM tenants)"""


def _sqlite_append_only(name: str, key: tuple[str, ...]) -> list[str]:
    """Refuse changes of rows that are there; REPLACE deletes a row without a trigger, so its INSERT is refused."""
    same = " AND ".join(f"{column} = NEW.{column}" for column in ("tenant", *key))
    conditions = {
        "insert": f"EXISTS (SELECT 1 FROM {name} WHERE {same})",
        "update": "true",
        "delete": "EXISTS (SELECT 1 FROM tenants WHERE id = OLD.tenant)",
    }
    return [
        f"""
        CREATE TRIGGER append_only_{name}_{event} BEFORE {event.upper()} ON {name} WHEN {condition}
        BEGIN SELECT RAISE(ABORT, '{name} is append-only'); END"""
        for event, condition in conditions.items()
    ]


# PostgreSQL: a trigger for each statement; old_rows and new_rows are its rows before and after.

_NOTE_BY_HAND = """
CREATE FUNCTION note_by_hand() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $body$
BEGIN
    PERFORM set_config('cidrmatch.writer', 'on', true);
    EXECUTE format($query$
        WITH touched AS (%s), moved AS (
            UPDATE tenants SET number = number + 1, mark = replace(gen_random_uuid()::text, '-', '')
            WHERE id IN (SELECT tenant FROM touched) RETURNING id, number, epoch, mark
        ), noted AS (
            INSERT INTO changes (tenant, number, epoch, mark, at, actor, operation)
            SELECT id, number, epoch, mark,
                to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'),
                current_user, 'by hand'
            FROM moved
        ), revised_keys AS (
            UPDATE keys SET revision = moved.number FROM moved JOIN touched ON touched.tenant = moved.id
            WHERE touched.kind = 'key' AND keys.tenant = moved.id AND keys.id = touched.name
        ), revised_lists AS (
            UPDATE lists SET revision = moved.number FROM moved JOIN touched ON touched.tenant = moved.id
            WHERE touched.kind = 'list' AND lists.tenant = moved.id AND lists.name = touched.name
        )
        INSERT INTO changed (tenant, number, kind, name)
        SELECT moved.id, moved.number, touched.kind, touched.name
        FROM moved JOIN touched ON touched.tenant = moved.id
    $query$, TG_ARGV[0]);
    PERFORM set_config('cidrmatch.writer', 'off', true);
    RETURN NULL;
END
$body$"""

_REFUSE = """
CREATE FUNCTION refuse_unless_appended() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $body$
BEGIN
    IF TG_OP = 'DELETE' AND NOT EXISTS (SELECT FROM tenants WHERE id = OLD.tenant) THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME;
END
$body$"""

_REFUSE_TRUNCATE = """
CREATE FUNCTION refuse_truncate() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
    RAISE EXCEPTION '% takes no TRUNCATE, which nobody could follow: use DELETE', TG_TABLE_NAME;
END
$body$"""


def _postgresql_triggers() -> list[str]:
    watching = [_postgresql_watch(name, event) for name in _WATCHED for event in _EVENTS if (name, event) != _LAST]
    keeping = [
        f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON {name} FOR EACH ROW"
        " EXECUTE FUNCTION refuse_unless_appended()"
        for name in _APPENDED
    ]
    whole = [
        f"CREATE TRIGGER no_truncate BEFORE TRUNCATE ON {name} EXECUTE FUNCTION refuse_truncate()"
        for name in (*_WATCHED, *_APPENDED)
    ]
    return [text.replace("%", "%%") for text in (_NOTE_BY_HAND, _REFUSE, _REFUSE_TRUNCATE, *watching, *keeping, *whole)]


def _postgresql_watch(name: str, event: str) -> str:
    old, new = "OLD TABLE AS old_rows", "NEW TABLE AS new_rows"
    tables = {"insert": new, "update": f"{old} {new}", "delete": old}[event]
    tenant, kind, called = _WATCHED[name]
    touched = " UNION ".join(
        f"SELECT DISTINCT {tenant} AS tenant, {kind} AS kind, {called} AS name FROM {rows}"
        for rows in ("old_rows", "new_rows")
        if rows in tables
    )
    if (name, event) == ("tenants", "update"):
        columns = f"id, {', '.join(_RULES)}"
        other = f"SELECT {columns} FROM new_rows EXCEPT SELECT {columns} FROM old_rows"
        touched = f"SELECT {tenant} AS tenant, {kind} AS kind, {called} AS name FROM ({other}) AS other"
    quoted = touched.replace("'", "''")
    return f"""
        CREATE TRIGGER by_hand_{event} AFTER {event.upper()} ON {name} REFERENCING {tables} FOR EACH STATEMENT
        WHEN (current_setting('cidrmatch.writer', true) IS DISTINCT FROM 'on')
        EXECUTE FUNCTION note_by_hand('{quoted}')"""


_TRIGGERS = {"sqlite": _sqlite_triggers, "postgresql": _postgresql_triggers}
