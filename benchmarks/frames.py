"""Columns in Polars, DuckDB and Spark: rows a second, beside polars-iptools and what each engine has itself.

    $ python -m benchmarks.frames                        10 million rows; needs 6 GB of memory, and Java for Spark
    $ python -m benchmarks.frames --rows 1000000 --rounds 1

A list of 1,000 IPv4 prefixes, all of 24 bits, so that engines without addresses can answer by texts: the first three
octets are in a set.  Half of the addresses are listed.  A snapshot of 100,000 keys with 20 entries each answers
`decide`.  Every query counts its rows, and adds up the numbers of those that pass.

    1. all rows: `AllowList.contains_many` and `Engine.allows_many` say what each contestant's sums must be
    2. rounds: every contestant in turn, the engines side by side in one process; the median counts

The last column is the time beside ours in the same engine.  It prints Markdown.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import duckdb
import numpy as np
import polars as pl
import polars_iptools as iptools
import pyarrow as pa
from pyspark.sql import SparkSession, functions

from benchmarks.machine import facts
from cidrmatch import AllowList, Engine
from cidrmatch.service.frames import duckdb as in_duckdb
from cidrmatch.service.frames import polars as in_polars
from cidrmatch.service.frames import spark as in_spark

PREFIXES, KEYS, ENTRIES = 1_000, 100_000, 20
PIECE = 1_000_000
Answer = tuple[int, int]
"""How many rows pass, and the sum of their numbers."""


def requests_of(rows: int) -> tuple[pl.DataFrame, AllowList, list[str]]:
    """Make the rows, the list, and the first three octets of its prefixes."""
    draw = np.random.default_rng(20)
    networks = np.unique(draw.integers(11 << 16, 224 << 16, PREFIXES))
    drawn = draw.integers(11 << 16, 224 << 16, rows)
    upper = np.where(draw.random(rows) < 0.5, networks[draw.integers(0, len(networks), rows)], drawn)
    parts = [pl.Series(part) for part in (upper >> 16, upper >> 8 & 255, upper & 255, draw.integers(0, 256, rows))]
    octets = pl.DataFrame(dict(zip("abcd", parts, strict=True)))
    frame = octets.select(
        pl.int_range(rows, dtype=pl.Int64).alias("n"),
        pl.format("key_{}", pl.Series(draw.integers(0, KEYS, rows))).alias("key"),
        pl.format("{}.{}.{}.{}", "a", "b", "c", "d").alias("ip"),
    )
    stems = [f"{n >> 16}.{n >> 8 & 255}.{n & 255}" for n in networks.tolist()]
    return frame, AllowList([f"{stem}.0/24" for stem in stems]), stems


def snapshot_of(stems: list[str], path: Path) -> Engine:
    """Save keys whose entries are prefixes of the list, a tenth of it each, so that some rows pass."""
    engine = Engine()
    tenth = len(stems) // 10
    engine.put_keys(
        (f"key_{i}", [f"{stem}.0/24" for stem in stems[i % 10 * tenth : i % 10 * tenth + ENTRIES]]) for i in range(KEYS)
    )
    engine.save(path)
    return Engine.open(path, copy=False)


def expected(frame: pl.DataFrame, allow: AllowList, engine: Engine) -> tuple[Answer, Answer]:
    """Ask the core about all rows, past every frame."""
    numbers = frame["n"].to_numpy()
    listed = np.frombuffer(allow.contains_many(frame["ip"]), dtype=bool)
    allowed = np.concatenate(
        [
            np.frombuffer(engine.allows_many(part["key"].to_list(), part["ip"].to_list()), dtype=bool)
            for part in frame.iter_slices(PIECE)
        ]
    )
    return (int(listed.sum()), int(numbers[listed].sum())), (int(allowed.sum()), int(numbers[allowed].sum()))


# -- The contestants ---------------------------------------------------------------


def polars_contestants(
    frame: pl.DataFrame, allow: AllowList, stems: list[str], engine: Engine
) -> dict[str, Callable[[], Answer]]:
    def asked(passes: pl.Expr) -> Callable[[], Answer]:
        def run() -> Answer:
            lazy = frame.lazy().select("n", passes.alias("passes")).filter("passes")
            found = lazy.select(pl.len().alias("count"), pl.col("n").sum())
            count, total = found.collect(engine="in-memory").row(0)  # polars-iptools fails in streaming frames
            return int(count), int(total)

        return run

    ip = pl.col("ip")
    return {
        "look_up": asked(in_polars.look_up("ip", allow).struct.field("listed")),
        "polars-iptools is_in": asked(iptools.is_in(ip, {str(entry.prefix) for entry in allow})),
        "str.extract and is_in": asked(ip.str.extract(r"^(\d+\.\d+\.\d+)\.", 1).is_in(stems)),
        "decide": asked(in_polars.decide("key", "ip", engine).struct.field("allowed")),
    }


def duckdb_contestants(
    frame: pl.DataFrame, allow: AllowList, stems: list[str], engine: Engine
) -> dict[str, Callable[[], Answer]]:
    connection = duckdb.connect()
    in_duckdb.register(connection, allow, "look_up")
    in_duckdb.register(connection, engine, "decide")
    connection.register("arrow_rows", frame.to_arrow())
    connection.execute("CREATE TABLE rows AS SELECT * FROM arrow_rows")
    connection.unregister("arrow_rows")
    connection.register("arrow_stems", pa.table({"stem": stems}))
    connection.execute("CREATE TABLE stems AS SELECT * FROM arrow_stems")

    def asked(passes: str) -> Callable[[], Answer]:
        def run() -> Answer:
            found = connection.execute(f"SELECT count(*), sum(n) FROM rows WHERE {passes}").fetchone()
            assert found is not None
            return int(found[0]), int(found[1])

        return run

    return {
        "look_up": asked("look_up(ip).listed"),
        "regexp_extract and IN": asked(r"regexp_extract(ip, '^(\d+\.\d+\.\d+)\.', 1) IN (SELECT stem FROM stems)"),
        "decide": asked("decide(key, ip).allowed"),
    }


def spark_contestants(
    folder: Path, frame: pl.DataFrame, allow: AllowList, stems: list[str], snapshot: Path
) -> dict[str, Callable[[], Answer]]:
    os.environ["PYSPARK_PYTHON"] = sys.executable
    session = (
        SparkSession.builder.master("local[2]")
        .config("spark.driver.memory", "4g")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.ui.enabled", "false")
        .config("spark.local.dir", str(folder))
        .getOrCreate()
    )
    session.sparkContext.setLogLevel("ERROR")
    frame.write_parquet(folder / "rows.parquet", row_group_size=PIECE)
    rows = session.read.parquet(str(folder / "rows.parquet")).repartition(8).cache()
    rows.count()

    def asked(passes: object) -> Callable[[], Answer]:
        def run() -> Answer:
            row = rows.where(passes).agg(functions.count("*"), functions.sum("n")).collect()[0]  # type: ignore[arg-type]
            return int(row[0]), int(row[1])

        return run

    return {
        "look_up": asked(in_spark.look_up("ip", allow)["listed"]),
        "substring_index and isin": asked(functions.substring_index("ip", ".", 3).isin(stems)),
        "decide": asked(in_spark.decide("key", "ip", str(snapshot))["allowed"]),
    }


# -- The measurement ---------------------------------------------------------------


def main() -> None:
    """Check all answers, then time the contestants by turns."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        frame, allow, stems = requests_of(options.rows)
        engine = snapshot_of(stems, folder / "keys.snap")
        listed, allowed = expected(frame, allow, engine)
        engines = {
            "Polars": polars_contestants(frame, allow, stems, engine),
            "DuckDB": duckdb_contestants(frame, allow, stems, engine),
            "Spark": spark_contestants(folder, frame, allow, stems, folder / "keys.snap"),
        }
        seconds: dict[tuple[str, str], list[float]] = {}
        for turn in range(options.rounds + 1):  # the first turn compares answers, and warms up
            for kind, contestants in engines.items():
                for what, ask in contestants.items():
                    began = time.perf_counter()
                    found = ask()
                    took = time.perf_counter() - began
                    assert found == (allowed if what == "decide" else listed), (kind, what, found)
                    if turn > 0:
                        seconds.setdefault((kind, what), []).append(took)
                    print(f"{turn} {kind} {what}: {took:.2f} s", file=sys.stderr, flush=True)
    report(options.rows, seconds)


def report(rows: int, seconds: dict[tuple[str, str], list[float]]) -> None:
    """Print the table, and what a number has to carry."""
    print("| engine | asked | million rows a second | time beside `look_up` |\n|---|---|---|---|")
    for (kind, what), times in seconds.items():
        beside = statistics.median(a / b for a, b in zip(times, seconds[kind, "look_up"], strict=True))
        print(f"| {kind} | {what} | {rows / statistics.median(times) / 1e6:.2f} | {beside:.2f}x |")
    names = ("polars", "polars-iptools", "duckdb", "pyspark", "pyarrow")
    print(f"\n{rows:,} rows, median of {len(times)} rounds; {', '.join(f'{name} {version(name)}' for name in names)}")
    for name, fact in facts(sys.argv).items():
        print(f"{name}: {fact}")


if __name__ == "__main__":
    main()
