"""Every request is on record, blocked ones too (B25-B29): written off the request path, found again by index.

    request --face--> log.note --> buffer --writer, ten times a second--> SQLite or PostgreSQL, one table a day
                                                                              |
                             find, count, sums, export, last uses, archive <--'

log          `UsageLog`, what hosts use
record       `UsageRecord`, one request
buffer       what requests append to, and what was lost
writer       the thread that writes
formatting   a decision as a row
sessions     how many notes a killed process took with it
databases    SQLite and PostgreSQL
schema       the tables
filters      `UsageFilter`, and its SQL
questions    find, count, sums
"""

from __future__ import annotations
