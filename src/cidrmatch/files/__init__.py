"""Lists and engines as documents: TOML, JSON, CSV and text.

    documents.py         a file as text, a text as plain values, the place of what is wrong
    lists.py             one list of prefixes and labels, in four formats
    config.py            a whole engine, in two; config.schema.json is its shape

A document is read whole or refused, and nothing in it is guessed or passed over.
Here it is read and written; what it holds is judged below, by a policy and an
engine.  Snapshots are bytes for machines and stand on the floor of the engine.
"""
