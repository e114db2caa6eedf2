"""What the products say of logs, end to end: a gateway, the log, its filters, its CSV; on SQLite and on PostgreSQL.

    clients --bytes--> middleware of ASGI or WSGI --> UsageLog --> find, count, export --> read_csv

Requirements: B25, B26, B27, B28, B29, B31, C26.
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cidrmatch import Engine, presets
from cidrmatch.client import TrustedProxies
from cidrmatch.gateways import asgi, wsgi
from cidrmatch.gateways.guard import Guard
from cidrmatch.service.usage.exporting import read_csv
from cidrmatch.service.usage.filters import UsageFilter
from tests.usage.test_faces import (
    Ask,
    application,
    ask_asgi,
    ask_wsgi,
    key_of_environ,
    key_of_scope,
    wsgi_application,
)
from tests.usage.usage_stand import opened

if TYPE_CHECKING:
    from cidrmatch.service.usage.log import UsageLog
    from cidrmatch.service.usage.record import UsageRecord

LISTED, UNLISTED, SIX = "203.0.113.9", "198.51.100.1", "2001:db8::1"


@dataclass
class Product:
    """A product of bitbybit with two keys, and clients that ask it."""

    engine: Engine
    log: UsageLog
    faces: list[Ask]

    def ask(self, key: str | None, address: str, method: str = "GET", path: str = "/made") -> list[int]:
        """Ask through each face; give the statuses."""
        headers = {"x-forwarded-for": address} | ({} if key is None else {"x-api-key": key})
        statuses = [ask(method, path, headers) for ask in self.faces]
        assert self.log.flush()
        return statuses

    def find(self, wanted: UsageFilter | None = None) -> list[UsageRecord]:
        return self.log.find(wanted, limit=1_000, oldest_first=True)


@pytest.fixture
def product(log_url: str, tmp_path: Path) -> Iterator[Product]:
    engine = Engine(presets.bitbybit())
    engine.put_key("key_1", [{"prefix": "203.0.113.0/24", "label": "=office"}, "2001:db8::/48"])
    engine.put_key("key_2", [])
    guard = Guard(engine, TrustedProxies(["10.0.0.7"]))
    with opened(log_url, tmp_path, engine=engine) as log:
        on_asgi = asgi.AllowListMiddleware(application, guard=guard, key=key_of_scope)
        on_wsgi = wsgi.AllowListMiddleware(wsgi_application, guard=guard, key=key_of_environ, drops_underscores=True)
        faces = [ask_asgi(asgi.UsageMiddleware(on_asgi, usage=log)), ask_wsgi(wsgi.UsageMiddleware(on_wsgi, usage=log))]
        yield Product(engine, log, faces)


def test_B25_all_requests_are_logged_blocked_ones_too(product: Product) -> None:
    asked = [("key_1", LISTED, 201), ("key_1", UNLISTED, 403), ("key_2", UNLISTED, 201), (None, LISTED, 401)]
    for key, address, status in asked:
        assert product.ask(key, address) == [status, status]
    records = product.find()
    told = [(record.key, record.address, record.status, record.blocked) for record in records]
    expected = [(key, address, status, status != 201) for key, address, status in asked for _ in product.faces]
    assert told == expected


def test_B26_the_log_filters_by_key_method_and_status_and_by_all_of_them(product: Product) -> None:
    for key in ("key_1", "key_2"):
        for address in (LISTED, UNLISTED):
            for method in ("GET", "POST"):
                product.ask(key, address, method)
    everything = product.find()
    assert len(everything) == 16
    keys, methods, statuses = (None, "key_1", "key_2", "nobody"), (None, "GET", "POST", "PUT"), (None, 201, 403, 500)
    for asked in itertools.product(keys, methods, statuses):
        wanted = UsageFilter(key=asked[0], method=asked[1], status=asked[2])
        told = [(record, (record.key, record.method, record.status)) for record in everything]
        expected = [record for record, facts in told if all(a in (None, f) for a, f in zip(asked, facts, strict=True))]
        assert product.find(wanted) == expected
        assert product.log.count(wanted) == len(expected)
    assert len(product.find(UsageFilter(key="key_1", method="POST", status=403))) == 2


def test_B27_the_log_exports_as_csv(product: Product) -> None:
    product.ask("key_1", LISTED, path="/=HYPERLINK(1)")
    product.ask("key_1", UNLISTED)
    for wanted in (UsageFilter(), UsageFilter(blocked=True)):
        text = b"".join(product.log.export(wanted)).decode()
        assert list(read_csv(io.StringIO(text, newline=""))) == product.find(wanted)
        assert ',"203.0.113.0/24","\'=office",' in text or wanted.blocked


def test_B28_C26_the_record_shows_the_address_that_the_answer_does_not_tell(product: Product) -> None:
    product.ask("key_1", f"6.6.6.6, {UNLISTED}")
    product.ask("key_1", "::ffff:203.0.113.9")
    product.ask("key_1", SIX)
    assert [record.address for record in product.find()[::2]] == [UNLISTED, LISTED, SIX]
    assert product.find()[0].trail == ("10.0.0.7", UNLISTED)


def test_B29_blocked_attempts_can_be_found(product: Product) -> None:
    for _ in range(3):
        product.ask("key_1", UNLISTED)
    product.ask("key_1", LISTED)
    product.ask("key_1", "192.0.2.7")
    blocked = product.find(UsageFilter(key="key_1", blocked=True))
    assert {record.reason for record in blocked} == {"ip_not_listed"}
    assert len(blocked) == 8
    assert product.find(UsageFilter(blocked=True, within="198.51.100.0/24")) == blocked[:6]
    sums = product.log.sums("address", UsageFilter(blocked=True))
    assert [(each.value, each.requests, each.blocked) for each in sums] == [(UNLISTED, 6, 6), ("192.0.2.7", 2, 2)]
    assert product.log.counts()["attempts"] == 8


def test_B31_a_list_is_tried_before_it_is_in_force_and_the_log_tells_whom_it_would_block(product: Product) -> None:
    product.engine.put_shadow("key_2", ["203.0.113.0/24"])
    assert product.ask("key_2", LISTED) == [201, 201]
    assert product.ask("key_2", UNLISTED) == [201, 201]
    records = product.find(UsageFilter(key="key_2"))
    assert [(record.address, record.allowed, record.would_allow) for record in records] == [
        (LISTED, True, True),
        (LISTED, True, True),
        (UNLISTED, True, False),
        (UNLISTED, True, False),
    ]
    assert {record.reason for record in records} == {"unrestricted"}
