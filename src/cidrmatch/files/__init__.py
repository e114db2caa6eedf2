"""Lists and engines as documents: TOML, JSON, CSV and text; and the access logs of servers.

    documents.py         a file as text, a text as plain values, the place of what is wrong
    lists.py             one list of prefixes and labels: the table of formats, and the function that reads a file
    items.py             what each parser of lists yields and takes; the filter
    objects.py           JSON, JSON lines, TOML; sheets.py: CSV and feeds in rows; providers.py: documents of clouds
    walks.py             the way through any document to the addresses in it
    line_lists.py        the short way through a list in text that has nothing but prefixes
    spans.py             dash ranges and wildcards as prefixes
    dialects/            a list as gateways, firewalls and clouds keep it, read and written
    config.py            a whole engine, in two; config.schema.json is its shape
    observed.py          addresses that were seen, one a line, perhaps with a count
    access_logs.py       the requests of a log; log_formats.py knows the formats, log_streams.py reads the bytes

A document is read as a whole, or refused as a whole.  Nothing in it is guessed or ignored.  A log is read
line by line, and a line that cannot be read is counted and told.  This floor reads and writes
documents; a policy and an engine, on floors below, judge what a document says.  Snapshots are bytes for machines, so
they belong to the floor of the engine.
"""
