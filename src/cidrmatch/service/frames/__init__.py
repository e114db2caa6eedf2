"""Columns of other engines: which of these addresses are listed, and may these keys be used from there?

polars    expressions for data frames of Polars, eager, lazy and streaming
duckdb    functions for the SQL of DuckDB
spark     columns for data frames of Spark, by a snapshot on each machine

Each row has an answer and a reason.  A row that holds no address says so; it is never a null that looks like "no".
"""

from __future__ import annotations
