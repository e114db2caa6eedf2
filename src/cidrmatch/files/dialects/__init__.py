"""Dialects: lists as gateways, firewalls and clouds keep them, read and written.

    dialect.py      what a dialect is: a name, a reader, a writer, limits; and how a refusal is said
    labels.py       which characters of a label a dialect may hold; the others become "_"
    words.py        configuration text as words, with the line of each
    rules.py        rules in an order, and prefixes with values: which of them allow?
    lines.py        a line is an entry: HAProxy, Apache, iptables, ipset, Cloudflare's CSV
    blocks.py       braces and semicolons: nginx, Caddy, nftables, Terraform
    shapes.py       a pattern for plain values, and the entries in what fits it
    objects.py      the patterns: JSON, YAML and TOML of Traefik, Envoy, Kong, APISIX, Caddy and four clouds
    table.py        all dialects by name
    writing.py      `write_list`: a list in one dialect, complete or refused

A reader never turns a denial into an allowance.  What it does not understand is refused, with the place, the reason
and what to do.  A writer writes the whole list or refuses it.  An empty list becomes the dialect's "nobody", and where
the dialect would take it for "everyone", it is refused.
"""
