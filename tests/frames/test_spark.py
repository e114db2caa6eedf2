"""Spark: a local cluster of processes asks one snapshot, and a job fails rather than let somebody pass.

The cluster is started once for all tests here: one Java process with two threads, and Python workers.  Without Java 17
the tests are skipped; with CIDRMATCH_SERVERS=required they fail.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyspark.errors import PythonException
from pyspark.sql import DataFrame, SparkSession, functions
from pyspark.sql.pandas.functions import arrow_udf
from pyspark.sql.types import BinaryType, StringType, StructField, StructType

from cidrmatch import Engine, Revision, parse_address
from cidrmatch.service.frames.spark import decide, look_up
from tests.frames.rows import JUNK, NOW, OFFICE, SECRET, addresses, clock, engine_row, keys, list_row, saved
from tests.servers import path_of

ASKED = [*JUNK, None, *addresses(4000, 51)]
KEYS = keys(len(ASKED), 52)
TEXTS = StructType([StructField("key", StringType()), StructField("ip", StringType())])


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    path_of("java")
    folder = tmp_path_factory.mktemp("spark")
    settings = {
        "spark.driver.memory": "512m",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.local.dir": str(folder),
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
        "spark.ui.enabled": "false",
        "spark.sql.shuffle.partitions": "2",
        "spark.sql.execution.arrow.maxRecordsPerBatch": "1000",
    }
    builder = SparkSession.builder.master("local[2]").appName("cidrmatch")
    for name, value in settings.items():
        builder = builder.config(name, value)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYSPARK_PYTHON", sys.executable)
        patch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
        session = builder.getOrCreate()
        session.sparkContext.setLogLevel("OFF")
        yield session
        session.stop()


@pytest.fixture(scope="module")
def requests(spark: SparkSession) -> DataFrame:
    rows = list(zip(KEYS, ASKED, strict=True))
    return spark.createDataFrame(rows, TEXTS).repartition(3).cache()


def answers(frame: DataFrame, column: Any) -> dict[tuple[Any, ...], dict[str, object]]:
    """Ask for a column, and give its structs by the row that was asked."""
    found = frame.select("*", column.alias("found")).collect()
    return {tuple(row)[:-1]: row["found"].asDict() for row in found}


def asked_rows() -> list[tuple[str | None, str | None]]:
    return list(zip(KEYS, ASKED, strict=True))


def test_each_row_says_what_a_single_call_says(requests: DataFrame) -> None:
    found = answers(requests, look_up("ip", OFFICE))
    assert found == {row: list_row(OFFICE, row[1]) for row in asked_rows()}


@pytest.mark.parametrize("entries", [False, True])
def test_decisions_are_those_of_single_checks(entries: bool, requests: DataFrame, tmp_path: Path) -> None:
    path = saved(tmp_path / "keys.snap")
    engine = Engine.open(path, clock=clock)
    found = answers(requests, decide("key", "ip", str(path), entries=entries, at=NOW))
    assert found == {row: engine_row(engine, *row, entries=entries) for row in asked_rows()}


@pytest.mark.long
def test_ten_million_rows(spark: SparkSession, tmp_path: Path) -> None:
    """The same rows again and again: each round says what single calls say."""
    path = saved(tmp_path / "keys.snap")
    engine = Engine.open(path, clock=clock)
    columns = {"listed": look_up("ip", OFFICE), "decided": decide("key", "ip", str(path), at=NOW)}
    frame = spark.createDataFrame(asked_rows(), TEXTS)
    types = frame.select(*(column.alias(name) for name, column in columns.items())).schema
    expected = spark.createDataFrame(
        [(*row, list_row(OFFICE, row[1]), engine_row(engine, *row)) for row in asked_rows()],
        StructType([*TEXTS.fields, *(StructField(f"{each.name}_once", each.dataType) for each in types.fields)]),
    )
    rounds = 10_000_000 // len(ASKED) + 1
    rows = expected.crossJoin(spark.range(rounds, numPartitions=4)).select(
        "*", *(columns[name].alias(name) for name in columns)
    )
    is_same = functions.lit(True)
    for name in columns:
        is_same &= rows[name].eqNullSafe(rows[f"{name}_once"])
    assert [tuple(row) for row in rows.groupBy(is_same).count().collect()] == [(True, rounds * len(ASKED))]


def test_packed_addresses(spark: SparkSession) -> None:
    packed = [*map(parse_address, ("203.0.113.7", "2001:db8::1", "9.9.9.9")), b"abc", None]
    rows = [(None if each is None else bytearray(each),) for each in packed]
    frame = spark.createDataFrame(rows, StructType([StructField("ip", BinaryType())]))
    found = frame.select(look_up("ip", OFFICE).alias("found")).collect()
    assert [row["found"].asDict() for row in found] == [list_row(OFFICE, each) for each in packed]


def test_a_filter_and_a_count_by_reason(requests: DataFrame) -> None:
    counted = requests.groupBy(look_up("ip", OFFICE)["reason"].alias("reason")).count().collect()
    reasons = [list_row(OFFICE, text)["reason"] for text in ASKED]
    assert {row["reason"]: row["count"] for row in counted} == {each: reasons.count(each) for each in set(reasons)}


def test_no_rows(requests: DataFrame) -> None:
    assert requests.where("false").select(look_up("ip", OFFICE)).collect() == []


def failure(frame: DataFrame, column: Any) -> str:
    """Run a job that fails, and give what it says."""
    with pytest.raises(PythonException) as error:
        frame.select(column).collect()
    return str(error.value)


def test_a_missing_file_fails_the_job(requests: DataFrame, tmp_path: Path) -> None:
    path = tmp_path / "none.snap"
    assert f"No such file or directory: '{path}'" in failure(requests, decide("key", "ip", str(path)))


def test_a_damaged_file_fails_the_job(requests: DataFrame, tmp_path: Path) -> None:
    path = saved(tmp_path / "keys.snap")
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    path.write_bytes(damaged)
    said = failure(requests, decide("key", "ip", str(path)))
    assert "SnapshotError" in said
    assert "the checksum of the body is wrong" in said
    assert str(path) in said


def test_a_file_of_another_revision_fails_the_job(requests: DataFrame, tmp_path: Path) -> None:
    path = saved(tmp_path / "keys.snap")
    there = Engine.open(path).revision
    assert there is not None
    assert requests.select(decide("key", "ip", str(path), revision=there)).count() == len(ASKED)
    other = Revision(there.epoch, there.generation + 1)
    said = failure(requests, decide("key", "ip", str(path), revision=other))
    assert f"{path} is {there}, and the job asked for {other}" in said


def test_the_next_job_sees_the_file_that_replaced_the_first(requests: DataFrame, tmp_path: Path) -> None:
    path = tmp_path / "keys.snap"
    engine = Engine()
    engine.put_key("key_1", ["203.0.113.0/24"])
    engine.save(path)
    frame = requests.where("key = 'key_1' AND ip = '203.0.113.7'").limit(1)
    one = requests.sparkSession.createDataFrame([("key_1", "203.0.113.7")], TEXTS)
    assert frame.count() <= 1
    assert [row[0]["allowed"] for row in one.select(decide("key", "ip", str(path))).collect()] == [True]
    engine.update_key("key_1", entries=["198.51.100.0/24"])
    engine.save(path)
    assert [row[0]["allowed"] for row in one.select(decide("key", "ip", str(path))).collect()] == [False]


def test_hashed_ids_need_their_secret(requests: DataFrame, tmp_path: Path) -> None:
    path = saved(tmp_path / "keys.snap", id_secret=SECRET)
    engine = Engine.open(path, clock=clock, id_secret=SECRET)
    some = requests.limit(300)
    found = answers(some, decide("key", "ip", str(path), at=NOW, id_secret=lambda: SECRET))
    assert found == {row: engine_row(engine, *row) for row in found}
    assert "SnapshotError" in failure(requests, decide("key", "ip", str(path), verify=False))


def test_the_moment_decides_about_entries_with_times(spark: SparkSession, tmp_path: Path) -> None:
    path = str(saved(tmp_path / "keys.snap"))
    one = spark.createDataFrame([("timed", "203.0.113.7")], TEXTS)
    at_once, later = NOW, NOW + timedelta(hours=2)
    assert [row[0]["allowed"] for row in one.select(decide("key", "ip", path, at=at_once)).collect()] == [False]
    assert [row[0]["allowed"] for row in one.select(decide("key", "ip", path, at=later)).collect()] == [True]
    with pytest.raises(ValueError, match="needs a time zone"):
        decide("key", "ip", path, at=NOW.replace(tzinfo=None))


def test_what_is_no_list_is_refused_at_once(spark: SparkSession) -> None:
    with pytest.raises(TypeError, match="the list is an AllowList, not list"):
        look_up("ip", ["203.0.113.7"])  # type: ignore[arg-type]


def test_a_column_of_another_type_fails_the_job(spark: SparkSession) -> None:
    assert "Arrow array of addresses has format" in failure(spark.range(3), look_up("id", OFFICE))


def test_a_large_snapshot_is_mapped_in_each_worker(spark: SparkSession, tmp_path: Path) -> None:
    """Workers have the file's own pages, and no copy of them."""
    path = tmp_path / "large.snap"
    engine = Engine()
    label = "x" * 250
    engine.put_keys((f"key_{i}", [(f"2001:db8:{n:x}::/48", label) for n in range(20)]) for i in range(4000))
    engine.save(path)
    assert path.stat().st_size > 16 << 20

    def mapped(keys: pa.Array) -> pa.Array:
        lines = Path("/proc/self/maps").read_text().splitlines()
        modes = {line.split()[1] for line in lines if line.endswith(str(path))}
        return pa.array([" ".join(sorted(modes))] * len(keys))

    look: Any = arrow_udf
    frame = spark.range(0, 8_000, 1, 2).selectExpr("concat('key_', id % 4000) AS key", "'2001:db8:3::7' AS ip")
    asked = frame.select(decide("key", "ip", str(path))["allowed"].alias("allowed"), look(mapped, "string")("key"))
    rows = asked.collect()
    assert {row[0] for row in rows} == {True}
    assert {row[1] for row in rows} - {""} == {"r--s"}
