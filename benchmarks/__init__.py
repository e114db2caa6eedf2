"""Benchmarks: what cidrmatch costs, beside the floors and the rivals.  Start with docs/measuring.md."""
