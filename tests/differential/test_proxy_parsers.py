"""Our reader of the PROXY protocol against two others: the same, except for the rows of `proxy_differences.py`.

    pytest tests/differential/test_proxy_parsers.py                    20,000 headers
    pytest tests/differential/test_proxy_parsers.py -s --run-long      a million, some minutes

The headers come from a seeded generator, which repeats a run exactly.  Both readers are asked about each.
"""

from __future__ import annotations

import logging
import os
import random
from collections import Counter
from collections.abc import Iterator

import pytest

pytest.importorskip("proxyprotocol", reason="proxy-protocol is not installed")
pytest.importorskip("crc32c", reason="without crc32c, proxy-protocol verifies no checksum")
pytest.importorskip("aiosmtpd", reason="aiosmtpd is not installed")

from tests.differential.proxy_differences import DIFFERENCES, Difference, kind_of
from tests.differential.proxy_parsers import READERS, Said, draw_headers, loop
from tests.proxy_headers import LOCAL, PROXY, binary, ipv4, ipv6, line, summed, tlv, unix

SHARE = 20_000
LONG = int(os.environ.get("CIDRMATCH_LONG", "10_000_000")) // 10
"""A tenth of what the other comparisons take: these readers are slow."""
SEED = int(os.environ.get("CIDRMATCH_SEED", "20240616"))


@pytest.fixture(scope="module", autouse=True)
def _quiet() -> Iterator[None]:
    """One of them logs every header that it refuses; the loop that it wants is closed in the end."""
    log = logging.getLogger("mail.debug")
    log.disabled = True
    yield
    log.disabled = False
    loop().close()
    loop.cache_clear()


def check(reader: str, data: bytes) -> tuple[str, list[Difference]]:
    """Ask both: what kind of answer ours is and, where they differ, the rows that say why."""
    ours, theirs = READERS[reader].ours(data), READERS[reader].theirs(data)
    if ours == theirs:
        return kind_of(ours), []
    rows = [row for row in DIFFERENCES if row.explains(reader, data, ours, theirs)]
    assert rows, f"{data!r}\n{reader} says {theirs}\nwe say {ours}\nand no row explains it"
    return kind_of(ours), rows


@pytest.mark.parametrize("row", DIFFERENCES, ids=lambda row: row.name)
def test_row_is_a_real_difference(row: Difference) -> None:
    assert check(row.reader, row.example) == (row.ours, [row])
    assert row.reason.endswith(".")


def test_every_row_has_a_name_of_its_own() -> None:
    assert len({row.name for row in DIFFERENCES}) == len(DIFFERENCES)


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    "data",
    [
        line("TCP4"),
        line("TCP6", "2001:db8::9", "::1"),
        b"PROXY UNKNOWN\r\n",
        binary(LOCAL, 0x00),
        binary(PROXY, 0x00),
        binary(PROXY, 0x12, ipv4()),
        binary(PROXY, 0x21, ipv6() + tlv(1, b"h2")),
        binary(PROXY, 0x31, unix()),
        summed(PROXY, 0x11, ipv4() + tlv(1, b"h2"), tlv(4)),
    ],
)
def test_good_headers_say_the_same(reader: str, data: bytes) -> None:
    theirs = READERS[reader].theirs(data + b"GET /")
    assert isinstance(theirs, Said)
    assert theirs.consumed == len(data)
    assert check(reader, data) == ("said", [])


def compare(count: int, seed: int) -> Counter[str]:
    counter: Counter[str] = Counter()
    for kind, data in draw_headers(count, random.Random(seed)):
        for reader in READERS:
            answer, rows = check(reader, data)
            counter.update([row.name for row in rows] or [f"{reader}, {kind}: {answer}"])
    return counter


def check_counters(counter: Counter[str], count: int) -> None:
    """Every row was met, and so was every kind of agreement: two that refuse all agree about nothing."""
    assert [row.name for row in DIFFERENCES if not counter[row.name]] == []
    for reader in READERS:
        for version in ("v1", "v2"):
            for kind in ("as drawn: said", "as drawn: bad", "damaged: said", "damaged: bad", "damaged: more"):
                least = count // (2_000 if kind == "as drawn: bad" else 100)
                assert counter[f"{reader}, {version} {kind}"] > least, (reader, version, kind)


def test_share_of_headers_agrees() -> None:
    check_counters(compare(SHARE, SEED), SHARE)


@pytest.mark.long
def test_long_headers_agree(capsys: pytest.CaptureFixture[str]) -> None:
    counter = compare(LONG, SEED)
    check_counters(counter, LONG)
    with capsys.disabled():
        print(f"\nPROXY headers: {LONG:,}, seed {SEED}, no difference without a row")
        for name, number in sorted(counter.items()):
            print(f"    {name:<70}{number:>12,}")
