"""Requests in this process: where a server in Python asks, for each request, whether it may pass.

    pipeline.py   the order of a product's checks, with the address check among them

A room here knows requests and asks an engine; it holds no data of its own.  It
may name a web framework that its user has, and never one that everybody would
have to install.  What needs a process, a port or a database of its own does not
stand here.
"""
