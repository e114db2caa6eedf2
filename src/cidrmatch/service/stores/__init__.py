"""Lists in a database, changed while requests run; every worker knows within ten seconds (B11, C19).

people --change--> tables --look, every two seconds--> follower --feed--> engine --> requests
                     |                                    ^
                     '---nudge: there is something new ---'

schema      the tables
upgrading   makes them, and brings those of an older program to today's form
following   an engine for requests, kept in step with a store
nudges      what hurries it: SQLite's own counter, LISTEN of PostgreSQL, Redis
by_hand     rows that somebody changes with psql or sqlite3 are changes, too
tokens      who may use the admin API
"""
