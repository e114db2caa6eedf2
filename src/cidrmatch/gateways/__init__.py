"""Requests in this process: where the address check stands among the others."""
