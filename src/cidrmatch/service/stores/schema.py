"""The tables of a store, and what each row means.

    tenants     one row for each customer: policy, switches, default list, and the head of its history
      |- keys      one row for each key            --entries (holder "key", "shadow"), links
      |- lists     one row for each named list     --entries (holder "list")
      |- assertions   what a list or a key must allow or deny, always
      |- grants       break-glass: a key, or an address for a key, until a moment
      |- changes      one row for each commit: who, when, from where, why   |  appended, never changed
      |    '- changed    one row for each thing that it changed: before, after
      |- tokens       who may use the admin API, by the hash of a token
      '- readers      which revision each worker serves

A history is (epoch, number).  The number grows by one with each commit.  Each commit draws a mark, too: two histories
that parted, because a backup was restored, have other marks at the same number.

Moments are text in ISO 8601, in UTC, with microseconds: SQLite has no type for them, and PostgreSQL would round.
A condition is JSON text, as `Entry` has it besides prefix and label; NULL for none.
Every row is judged when it is read (reading.py): a table holds text, and anybody may have written it.  A key and a list
say how many rows belong to them: without its rows of entries, a key would be open.

Cost: none.  Threads: safe, nothing changes.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
)

__all__ = [
    "assertions",
    "changed",
    "changes",
    "entries",
    "grants",
    "keys",
    "links",
    "lists",
    "metadata",
    "readers",
    "tenants",
    "tokens",
]

metadata = MetaData()
_BIG = BigInteger().with_variant(Integer, "sqlite")  # SQLite counts rows by the type INTEGER alone


def _tenant() -> Column[int]:
    return Column("tenant", Integer, ForeignKey("tenants.id", ondelete="CASCADE"), nullable=False)


tenants = Table(
    "tenants",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("policy", Text, nullable=False),  # JSON, as `write_policy` gives it
    Column("is_enforced", Boolean, nullable=False),
    Column("unknown_passes", Boolean, nullable=False),
    Column("default_list", Text),
    Column("ids", Text),  # JSON: how ids are hashed, and a check of the secret; NULL for plain ids
    Column("epoch", _BIG, nullable=False),
    Column("number", _BIG, nullable=False),
    Column("mark", Text, nullable=False),  # that of the last commit
    Column("server", Text, nullable=False),  # which database, and which history of it, wrote the last commit
)

keys = Table(
    "keys",
    metadata,
    _tenant(),
    Column("id", Text, nullable=False),
    Column("created_at", Text, nullable=False),
    Column("is_enabled", Boolean, nullable=False),
    Column("owner", Text),
    Column("own_count", Integer, nullable=False),  # how many rows of entries it has, so that a lost row is noticed
    Column("shadow_count", Integer),  # the same for its trial; NULL for no trial
    Column("link_count", Integer, nullable=False),
    Column("judged", Text, nullable=False),  # a digest of what the policy has judged, see rows.py
    Column("revision", _BIG, nullable=False),  # the number of the commit that changed it last
    PrimaryKeyConstraint("tenant", "id"),
)

lists = Table(
    "lists",
    metadata,
    _tenant(),
    Column("name", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("entry_count", Integer, nullable=False),
    Column("judged", Text, nullable=False),
    Column("revision", _BIG, nullable=False),
    PrimaryKeyConstraint("tenant", "name"),
)

entries = Table(
    "entries",
    metadata,
    _tenant(),
    Column("holder", Text, nullable=False),  # "key", "shadow" or "list"
    Column("name", Text, nullable=False),  # of the key or the list
    Column("position", Integer, nullable=False),
    Column("prefix", Text, nullable=False),
    Column("label", Text),
    Column("condition", Text),
    PrimaryKeyConstraint("tenant", "holder", "name", "position"),
    CheckConstraint("holder IN ('key', 'shadow', 'list')", name="holder_is_known"),
)

links = Table(
    "links",
    metadata,
    _tenant(),
    Column("key", Text, nullable=False),
    Column("kind", Text, nullable=False),  # "lists" or "within", the fields of `KeyRecord`
    Column("position", Integer, nullable=False),
    Column("list", Text, nullable=False),
    PrimaryKeyConstraint("tenant", "key", "kind", "position"),
    ForeignKeyConstraint(["tenant", "key"], ["keys.tenant", "keys.id"], ondelete="CASCADE"),
    ForeignKeyConstraint(["tenant", "list"], ["lists.tenant", "lists.name"]),
    CheckConstraint("kind IN ('lists', 'within')", name="kind_is_known"),
    Index("links_by_list", "tenant", "list"),
)

assertions = Table(
    "assertions",
    metadata,
    _tenant(),
    Column("holder", Text, nullable=False),  # "key" or "list"
    Column("name", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("must_allow", Boolean, nullable=False),
    Column("note", Text, nullable=False),
    PrimaryKeyConstraint("tenant", "holder", "name", "address"),
    CheckConstraint("holder IN ('key', 'list')", name="asserted_is_known"),
)

grants = Table(
    "grants",
    metadata,
    _tenant(),
    Column("number", _BIG, nullable=False),  # of the commit that made it
    Column("key", Text, nullable=False),
    Column("prefix", Text),  # NULL: from everywhere
    Column("reason", Text, nullable=False),
    Column("expires", Text, nullable=False),
    PrimaryKeyConstraint("tenant", "number"),
    Index("grants_by_key", "tenant", "key"),
)

changes = Table(
    "changes",
    metadata,
    _tenant(),
    Column("number", _BIG, nullable=False),
    Column("epoch", _BIG, nullable=False),
    Column("mark", Text, nullable=False),
    Column("at", Text, nullable=False),
    Column("actor", Text),
    Column("origin", Text),  # the address, or the program, that the change came from
    Column("reason", Text),
    Column("operation", Text, nullable=False),
    PrimaryKeyConstraint("tenant", "number"),
)

changed = Table(
    "changed",
    metadata,
    _tenant(),
    Column("number", _BIG, nullable=False),
    Column("kind", Text, nullable=False),  # "key", "list", "rules", "assertions", "grant", "token"
    Column("name", Text, nullable=False),
    Column("before", Text),  # JSON; NULL: it did not exist
    Column("after", Text),  # JSON; NULL: it does not exist any more
    PrimaryKeyConstraint("tenant", "number", "kind", "name"),
    ForeignKeyConstraint(["tenant", "number"], ["changes.tenant", "changes.number"], ondelete="CASCADE"),
    Index("changed_by_name", "tenant", "kind", "name", "number"),
)

tokens = Table(
    "tokens",
    metadata,
    Column("hash", Text, primary_key=True),  # SHA-256 of the token, which nobody can guess
    _tenant(),
    Column("name", Text, nullable=False),
    Column("role", Text, nullable=False),  # "viewer", "editor" or "admin"
    Column("created_at", Text, nullable=False),
    CheckConstraint("role IN ('viewer', 'editor', 'admin')", name="role_is_known"),
    Index("tokens_by_name", "tenant", "name", unique=True),
)

readers = Table(
    "readers",
    metadata,
    _tenant(),
    Column("name", Text, nullable=False),  # the machine and the process
    Column("epoch", _BIG, nullable=False),
    Column("number", _BIG, nullable=False),
    Column("seen_at", Text, nullable=False),
    PrimaryKeyConstraint("tenant", "name"),
)
