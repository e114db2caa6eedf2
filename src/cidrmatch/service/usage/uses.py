"""When each key and each entry was used last, worked out by the database from the rows that are new.

    usage_20786, from number 1794211200000123 on --group by key-->          usage_keys      key, seen, allowed
                                                 --group by entry, key-->   usage_entries   entry, key, used

An entry of a key has its uses for each key.  An entry of a named list has them together, under the key b"".

Cost: two microseconds a row of the database's time; the interpreter has nothing to do with it.
Threads: one at a time, the writer's.  Source: B26, U14.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .schema import DAY_MICROS, table_of, words_of

if TYPE_CHECKING:
    from .databases import Connection

__all__ = ["write_uses"]


def write_uses(connection: Connection, first: int) -> None:
    """Write the last uses of keys and entries in the rows from a number on; a later moment stays."""
    allowed = [str(number) for number, words in words_of(connection, "kind").items() if words[2] is True]
    days = connection.rows(
        "SELECT day FROM usage_days WHERE day >= ? AND records > 0 ORDER BY day", (first // DAY_MICROS,)
    )
    for (day,) in days:
        _write_keys(connection, table_of(day), first, ", ".join(allowed) or "NULL")
        _write_entries(connection, table_of(day), first)


def _write_keys(connection: Connection, table: str, first: int, allowed: str) -> None:
    connection.run(
        f"INSERT INTO usage_keys SELECT key, max(number - lag),"  # noqa: S608  names and numbers of ours
        f" max(CASE WHEN kind IN ({allowed}) THEN number - lag END) FROM {table}"
        " WHERE number >= ? AND key IS NOT NULL GROUP BY key ORDER BY key"
        " ON CONFLICT (key) DO UPDATE SET seen = CASE WHEN excluded.seen > usage_keys.seen THEN excluded.seen"
        " ELSE usage_keys.seen END, allowed = CASE WHEN usage_keys.allowed IS NULL OR excluded.allowed >"
        " usage_keys.allowed THEN excluded.allowed ELSE usage_keys.allowed END",
        (first,),
    )


def _write_entries(connection: Connection, table: str, first: int) -> None:
    """The words of an entry end with the name of its list, or with null: no text in JSON ends so."""
    connection.run(
        "INSERT INTO usage_entries SELECT entry, key, max(used) FROM ("  # noqa: S608
        "SELECT r.entry AS entry, r.number - r.lag AS used,"
        " CASE WHEN substr(w.words, length(w.words) - 4) = 'null]' THEN r.key ELSE ? END AS key"
        f" FROM {table} r JOIN usage_words w ON w.id = r.entry WHERE r.number >= ? AND r.key IS NOT NULL) AS uses"
        " GROUP BY entry, key ORDER BY entry, key"
        " ON CONFLICT (entry, key) DO UPDATE SET used = CASE WHEN excluded.used > usage_entries.used"
        " THEN excluded.used ELSE usage_entries.used END",
        (b"", first),
    )
