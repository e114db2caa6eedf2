"""What is noted comes back: each field, in order, from many threads, processes and forks; and nothing raises.

Requirements: B25, B28, C26.
"""

from __future__ import annotations

import logging
import os
import stat
import subprocess
import sys
import textwrap
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from cidrmatch import Engine, Policy
from cidrmatch.client import UNKNOWN_PEER, ClientAddress, PeerAddress
from cidrmatch.gateways.guard import Guard
from cidrmatch.service.usage.errors import UsageError
from cidrmatch.service.usage.filters import UsageFilter
from cidrmatch.service.usage.log import UsageLog
from cidrmatch.service.usage.masks import Mask
from tests.servers import ROOT
from tests.usage.usage_stand import make_engine, make_guard, opened, peer_guard


def test_B25_B28_each_field_of_an_allowed_and_of_a_denied_request_comes_back(log_url: str, tmp_path: Path) -> None:
    engine = make_engine()
    guard = make_guard(engine)
    engine.save(tmp_path / "keys.snap")
    before = time.time()
    with opened(log_url, tmp_path, engine=engine) as log:
        via = [(b"x-forwarded-for", b"6.6.6.6, 203.0.113.9")]
        log.note(
            guard.check("key_1", "10.0.0.7", via),
            method="POST", path="/v1/orders", status=201, request_id="r1", seconds=0.25,
        )  # fmt: skip
        log.note(guard.check("key_2", "198.51.100.1"), method="GET", path="/", status=403, stopped_at=None)
        log.note(None, key="key_3", method="GET", path="/", status=429, stopped_at="rate_limit")
        assert log.flush()
        allowed, denied, stopped = log.find(oldest_first=True)
        assert engine.revision is not None
        revision = f"{engine.revision.epoch}/{engine.revision.generation}"
    facts = {name: getattr(allowed, name) for name in allowed.__dataclass_fields__ if name not in ("number", "time")}
    assert facts == {
        "key": "key_1", "method": "POST", "path": "/v1/orders", "status": 201, "address": "203.0.113.9",
        "problem": None, "trail": ("10.0.0.7", "203.0.113.9"), "allowed": True, "reason": "matched",
        "stopped_at": None, "would_allow": None, "entry": "203.0.113.0/24", "label": "office", "list": None,
        "policy": "bitbybit", "version": engine.view.version, "revision": revision, "request_id": "r1",
        "seconds": 0.25, "masked": None, "lost": None,
    }  # fmt: skip
    assert before <= allowed.time <= time.time()
    assert abs(allowed.number - allowed.time * 1e6) < 1_000_000
    assert (denied.allowed, denied.reason, denied.entry, denied.blocked) == (False, "ip_not_listed", None, True)
    assert (denied.address, denied.trail) == ("198.51.100.1", ("198.51.100.1",))
    assert (stopped.allowed, stopped.reason, stopped.stopped_at) == (None, "not_asked", "rate_limit")
    assert (stopped.key, stopped.address, stopped.blocked) == ("key_3", None, True)
    assert allowed.blocked is False


def test_B28_the_record_shows_the_evaluated_address_in_canonical_form(log_url: str, tmp_path: Path) -> None:
    guard = peer_guard()
    with opened(log_url, tmp_path) as log:
        for peer in ("::ffff:203.0.113.9", "2001:DB8:0::1", "rubbish", UNKNOWN_PEER, None):
            log.note(guard.check("key_1", peer))
        assert log.flush()
        records = log.find(oldest_first=True)
    assert [record.address for record in records] == ["203.0.113.9", "2001:db8::1", None, None, None]
    assert [record.reason for record in records] == ["matched", "ip_not_listed", *["client_ip_unknown"] * 3]
    assert records[0].trail == ("::ffff:203.0.113.9",)
    assert [record.problem for record in records[2:]] == ["malformed_peer", "no_peer", "no_peer"]


class Mapped:
    """A strategy of a host that does not know of mapped addresses."""

    def find(self, peer: str | None, headers: object = (), /) -> ClientAddress:
        return ClientAddress(bytes(10) + b"\xff\xff" + bytes([203, 0, 113, 9]), None, ("x",))


def test_B28_a_mapped_address_of_the_hosts_own_strategy_is_logged_as_it_was_judged(
    log_url: str, tmp_path: Path
) -> None:
    found = Guard(make_engine(), Mapped()).check("key_1", None)
    assert found.decision is not None
    with opened(log_url, tmp_path) as log:
        log.note(found)
        assert log.flush()
        (record,) = log.find(UsageFilter(within="203.0.113.0/24"))
    assert record.address == found.decision.address == "203.0.113.9"
    assert (record.reason, record.trail) == ("matched", ("x",))


HARD_TEXTS = [
    "=HYPERLINK(1)",
    'a "quoted", line\r\nand another',
    "NUL\0 inside",
    "\u202eright to left \u05d0",
    "\ud800",
    "",
    "+1",
    "\t@x",
    "\\0",
    "\U0001f511",
    "\x7f\x85\u2028",
]


@pytest.mark.parametrize("text", HARD_TEXTS, ids=ascii)
def test_hard_texts_come_back_as_they_were(log_url: str, tmp_path: Path, text: str) -> None:
    engine = make_engine()
    engine.put_key(f"key {text}", ["203.0.113.0/24"])
    with opened(log_url, tmp_path) as log:
        log.note(peer_guard(engine).check(f"key {text}", "203.0.113.9"), method=text, path=text, request_id=text)
        assert log.flush()
        (record,) = log.find(UsageFilter(key=f"key {text}", path=text))
        assert (record.method, record.path, record.request_id) == (text, text, text)
        assert [each.value for each in log.sums("key")] == [f"key {text}"]
        assert log.close()  # writes the last uses at once
        assert log.last_use(f"key {text}").allowed is not None


def test_long_texts_are_cut_and_long_keys_stay_two(log_url: str, tmp_path: Path) -> None:
    guard = peer_guard()
    long = "\u20ac" * 5_000
    with opened(log_url, tmp_path) as log:
        for end in ("a", "b"):
            log.note(guard.check(long + end, "203.0.113.9"), method=long, path=long, request_id=long)
        assert log.flush()
        records = log.find(oldest_first=True)
        assert len({record.key for record in records}) == 2
        assert log.count(UsageFilter(key=long + "a")) == 1
        assert log.count(UsageFilter(path=long)) == 2
        assert log.count(UsageFilter(request_id=long)) == 2
    assert all(len(record.path or "") == 2_048 and long.startswith(record.path or "") for record in records)


def test_a_client_that_makes_up_methods_makes_up_no_end_of_kinds(log_url: str, tmp_path: Path) -> None:
    guard = peer_guard()
    with opened(log_url, tmp_path) as log:
        for number in range(300):
            log.note(guard.check("key_1", "203.0.113.9"), method=f"M{number}")
        for method in ("M3", "PATCH"):
            log.note(guard.check("key_1", "203.0.113.9"), method=method)
        assert log.flush()
        methods = {each.value: each.requests for each in log.sums("method")}
    assert len(methods) == 66
    assert methods["PATCH"] == 1, "a method of HTTP has its place"
    assert methods["OTHER"] == 300 - 64
    assert methods["M3"] == 2


class Refusing:
    """A decision that nobody can read."""

    @property
    def decision(self) -> object:
        raise ValueError("no")


def test_a_note_never_raises_and_what_cannot_be_written_is_counted(
    log_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    guard: Any = peer_guard()
    unreadable: Any = Refusing()
    with opened(log_url, tmp_path) as log, caplog.at_level(logging.CRITICAL):
        log.note(unreadable, method="GET")
        log.note(guard.check("key_1", "203.0.113.9"), path=7, seconds=float("nan"))  # type: ignore[arg-type]
        log.note(guard.check("key_1", "203.0.113.9"), status=True, seconds=-5.0, method="GET")
        assert log.flush()
        newest, *_ = log.find(UsageFilter(key="key_1"))
        assert (newest.status, newest.seconds) == (None, 0.0)
        assert log.counts()["lost_refused"] == 2
        (gap,) = log.find(UsageFilter(reason="lost_refused"))
        assert (gap.lost, gap.key, gap.allowed) == (2, None, None)
    assert log.close()
    log.note(guard.check("key_1", "203.0.113.9"))
    assert log.counts()["lost_closed"] == 1


def test_a_full_log_drops_and_says_how_many_and_when(log_url: str, tmp_path: Path) -> None:
    guard = peer_guard()
    with opened(log_url, tmp_path, size=100) as log:
        found = guard.check("key_1", "203.0.113.9")
        log.note(found)
        assert log.flush()
        first = time.time()
        with log.database.writing():  # the writer waits for this transaction
            for _ in range(5_000):
                log.note(found)
        last = time.time()
        assert log.flush()
        lost = log.counts()["lost_full"]
        assert 1 <= lost <= 4_900
        assert log.counts()["written"] == 5_001 - lost
        assert log.count() == 5_001 - lost + len(log.find(UsageFilter(reason="lost_full")))
        gaps = log.find(UsageFilter(reason="lost_full"))
        assert sum(gap.lost or 0 for gap in gaps) == lost
        assert all(first <= gap.time - (gap.seconds or 0) <= gap.time <= last for gap in gaps)


def test_a_full_log_that_blocks_loses_nothing(log_url: str, tmp_path: Path) -> None:
    guard = peer_guard()
    with opened(log_url, tmp_path, size=50, when_full="block", patience=30) as log:
        found = guard.check("key_1", "203.0.113.9")

        def note_many() -> None:
            for _ in range(500):
                log.note(found)

        threads = [threading.Thread(target=note_many) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert log.flush()
        assert log.count() == 2_000
        assert log.counts()["lost_full"] == 0


def test_a_full_log_that_blocks_has_a_bound(tmp_path: Path) -> None:
    found = peer_guard().check("key_1", "203.0.113.9")
    with opened(f"sqlite:///{tmp_path / 'usage.db'}", size=1, when_full="block", patience=0.2) as log:
        log.note(found)
        log.flush()
        with log.database.writing():
            began = time.monotonic()
            for _ in range(4):  # the first may be taken by the writer already
                log.note(found)
            assert 0.1 < time.monotonic() - began < 5
            began = time.monotonic()
            for _ in range(50):
                log.note(found)
            assert time.monotonic() - began < 5, "one request has waited for all: in one event loop they would queue"
        assert log.counts()["lost_full"] >= 50
        assert log.flush()
        log.note(found)
        assert log.flush()
        assert log.count(UsageFilter(reason="matched")) >= 3


def test_numbers_grow_in_the_order_of_the_notes_of_eight_threads(log_url: str, tmp_path: Path) -> None:
    guard = peer_guard()
    with opened(log_url, tmp_path) as log:

        def write(name: int) -> None:
            for number in range(500):
                log.note(guard.check("key_1", "203.0.113.9"), path=f"/{name}/{number}")

        threads = [threading.Thread(target=write, args=(name,)) for name in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert log.flush()
        records = log.find(oldest_first=True, limit=10_000)
    assert len(records) == 4_000
    numbers = [record.number for record in records]
    assert numbers == sorted(set(numbers))
    for name in range(8):
        mine = [record.path for record in records if (record.path or "").startswith(f"/{name}/")]
        assert mine == [f"/{name}/{number}" for number in range(500)]


def test_a_clock_that_goes_back_leaves_the_order_and_the_times(
    log_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moments = [1_795_000_000.0, 1_795_000_010.0, 1_794_999_990.5, 1_795_000_000.25, 1_795_000_011.0]
    clock = iter(moments)
    found = peer_guard().check("key_1", "203.0.113.9")
    with opened(log_url, tmp_path) as log:
        monkeypatch.setattr("cidrmatch.service.usage.log.time", lambda: next(clock))
        for number in range(5):
            log.note(found, path=f"/{number}")
        assert log.flush()
        records = log.find(oldest_first=True)
        assert [record.path for record in records] == [f"/{number}" for number in range(5)]
        assert [record.time for record in records] == moments
        for moment in sorted(moments):
            wanted = {path for path, at in zip("01234", moments, strict=True) if at >= moment}
            found_since = {(record.path or "")[1:] for record in log.find(UsageFilter(since=moment))}
            assert found_since == wanted
            found_until = {(record.path or "")[1:] for record in log.find(UsageFilter(until=moment))}
            assert found_until == set("01234") - wanted
            assert log.count(UsageFilter(since=moment)) == len(wanted)


def test_a_fork_writes_its_own_notes_and_not_those_of_its_parent(log_url: str, tmp_path: Path) -> None:
    guard = peer_guard()
    with opened(log_url, tmp_path) as log:
        for number in range(3):
            log.note(guard.check("key_1", "203.0.113.9"), path=f"/parent/{number}")
        child = os.fork()
        if child == 0:
            status = 1
            try:
                for number in range(3):
                    log.note(guard.check("key_1", "203.0.113.9"), path=f"/child/{number}")
                status = 0 if log.close(20) else 2
            finally:
                os._exit(status)
        assert os.waitpid(child, 0)[1] == 0
        log.note(guard.check("key_1", "203.0.113.9"), path="/parent/3")
        assert log.flush()
        paths = [record.path for record in log.find(oldest_first=True)]
    assert [path for path in paths if path and path.startswith("/parent")] == [f"/parent/{n}" for n in range(4)]
    assert [path for path in paths if path and path.startswith("/child")] == [f"/child/{n}" for n in range(3)]
    assert list(tmp_path.glob("*.noted")) == []


WRITER = """
    import sys
    from cidrmatch.service.usage.log import UsageLog
    from tests.usage.usage_stand import peer_guard
    url, counters, name = sys.argv[1:]
    log, guard = UsageLog(url, counters=counters), peer_guard()
    for number in range(1_000):
        log.note(guard.check("key_1", "203.0.113.9"), path=f"/{name}/{number}")
        if number % 100 == 0:
            log.flush(60)
    sys.exit(0 if log.close(60) else 1)
"""


def test_several_processes_write_one_log_and_a_tail_sees_each_record_once(log_url: str, tmp_path: Path) -> None:
    words = [sys.executable, "-c", textwrap.dedent(WRITER), log_url, str(tmp_path)]
    seen: list[Any] = []
    with opened(log_url, tmp_path) as log:
        children = [subprocess.Popen([*words, str(name)], cwd=ROOT) for name in range(3)]
        after = None
        while any(child.poll() is None for child in children):
            page = log.find(after=after, oldest_first=True, limit=200)
            seen += page
            after = page[-1].number if page else after
            time.sleep(0.01)
        assert [child.returncode for child in children] == [0, 0, 0]
        while page := log.find(after=after, oldest_first=True, limit=200):
            seen += page
            after = page[-1].number
    for name in range(3):
        mine = [record.path for record in seen if record.path.startswith(f"/{name}/")]
        assert mine == [f"/{name}/{number}" for number in range(1_000)]


def test_masks_cut_addresses_and_hash_keys_and_the_record_says_so(log_url: str, tmp_path: Path) -> None:
    guard = make_guard()
    mask = Mask(key="hash", secret=b"nobody guesses it")
    with opened(log_url, tmp_path, mask=mask) as log:
        via = [(b"x-forwarded-for", b"203.0.113.9")]
        log.note(guard.check("key_1", "10.0.0.7", via))
        log.note(guard.check("key_1", "198.51.100.1"))
        log.note(guard.check("key_2", "2001:db8:0:7::9"))
        assert log.flush()
        six, narrow, four = log.find()
        assert (four.address, narrow.address, six.address) == ("203.0.113.0", "198.51.100.0", "2001:db8::")
        assert {record.masked for record in (four, narrow, six)} == {"address/24/48 key=hash"}
        assert {record.trail for record in (four, narrow, six)} == {()}
        assert (four.entry, four.label) == ("203.0.113.0/24", "office")
        assert narrow.entry is None, "a /32 would tell the address"
        assert (six.entry, six.list) == ("2001:db8::/48", "partners")
        assert four.key == narrow.key != six.key
        assert four.key is not None
        assert "key" not in four.key
        assert len(four.key) == 32
        assert log.count(UsageFilter(key="key_1")) == 2
        assert log.count(UsageFilter(key=four.key)) == 0
        assert log.count(UsageFilter(within="203.0.113.0/24")) == 1
        with pytest.raises(ValueError, match="are cut to /24"):
            log.count(UsageFilter(within="203.0.113.0/25"))
        assert log.close()
        assert log.last_use("key_1").seen is not None


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"address_prefix4": 33}, "from 0 to 32"),
        ({"address_prefix6": True}, "from 0 to 128"),
        ({"key": "hash"}, "secret of 16 to 64 bytes"),
        ({"key": "hash", "secret": b"short"}, "secret of 16 to 64 bytes"),
        ({"key": "none"}, "'hash' or 'keep'"),
    ],
)
def test_a_bad_mask_is_refused(words: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Mask(**words)


@pytest.mark.parametrize(
    ("url", "message"),
    [("", "no URL"), ("mysql://root:secret@host/x", "not in 'mysql'"), ("sqlite://", "a file of sqlite")],
)
def test_a_bad_url_is_refused_without_its_password(url: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as raised:
        UsageLog(url)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"size": 0}, "size is a number"),
        ({"when_full": "wait"}, "'drop' or 'block'"),
        ({"mask": "all"}, "mask is a Mask"),
        ({"retention": 30}, "retention is a Retention"),
        ({"alarm": print}, "alarm is a Alarm"),
    ],
)
def test_bad_arguments_are_refused(tmp_path: Path, words: dict[str, Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        UsageLog(f"sqlite:///{tmp_path / 'usage.db'}", **words)


def test_long_names_fit_into_the_words_of_both_databases(log_url: str, tmp_path: Path) -> None:
    """PostgreSQL packs a word of an index, so a name of one character again and again fits anyway."""
    engine = Engine(Policy())
    name = "".join(chr(0x4E00 + number * 7_919 % 20_000) for number in range(1_500))
    engine.put_list(name, [{"prefix": "203.0.113.0/24", "label": "\U0001f600" * 255}])
    engine.put_key("key_1", lists=[name])
    with opened(log_url, tmp_path) as log:
        log.note(Guard(engine, PeerAddress()).check("key_1", "203.0.113.9"))
        assert log.flush()
        (found,) = log.find()
        assert found.entry == "203.0.113.0/24"
        assert (found.list or "").startswith(name[:50])


def test_C26_a_new_file_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "usage.db"
    with closing(UsageLog(f"sqlite:///{path}")) as log:
        log.note(None, key="key_1")
        assert log.flush()
        assert {
            stat.S_IMODE(each.stat().st_mode) for each in tmp_path.glob("usage.db*") if "noted" not in each.name
        } == {0o600}
