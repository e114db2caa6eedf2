"""Eight readers and a writer: every answer is that of one version, and nobody goes back in time.

The writer makes one commit after another, and what a commit says follows from its version alone, so a reader who knows
the version of a decision knows what the answer must have been:

    version v    turn = v mod 200
    "left"       10.0.turn.0/24          both lists change in one commit; the key "both" lies in left AND within right:
    "right"      10.0.turn.0/24          left of one version with right of another lets nobody in
    "even"       one half of 192.0.2.0/24, by turns         the key "union" has both halves in every version:
    "odd"        the other half                             even of one version with odd of another loses one
    "own"        its own entry is 10.0.turn.0/24            a key's own entries, without any named list
    "ghost"      put in even versions, removed in odd ones
"""

import os
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from cidrmatch import Conflict, Decision, Engine, Policy, Transaction

READERS = 8
TURNS = 200
HALVES = ("192.0.2.0/25", "192.0.2.128/25")
SECONDS = float(os.environ.get("CIDRMATCH_SECONDS", "2"))


@pytest.fixture(autouse=True)
def _switch_often(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """And fold in the background, again and again."""
    monkeypatch.setattr("cidrmatch.engine.folding._SMALLEST_FOLD", 16)
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def write(change: Transaction, version: int) -> None:
    """All that is said in this version."""
    block = f"10.0.{version % TURNS}.0/24"
    change.put_list("left", [block])
    change.put_list("right", [block])
    change.put_list("even", [HALVES[version % 2]])
    change.put_list("odd", [HALVES[1 - version % 2]])
    change.put_key("both", lists=["left"], within=["right"], replace=True)
    change.put_key("union", lists=["even", "odd"], replace=True)
    change.put_key("own", [block], replace=True)
    for number in range(10):  # the overlay grows and is folded, again and again
        change.put_key(f"filler {(version * 10 + number) % 2000}", [block], replace=True)
    if version % 2 == 0:
        change.put_key("ghost", [block])
    elif version > 1:
        change.remove_key("ghost")


class Reader:
    """Ask, and judge each answer by the version that it names."""

    def __init__(self, engine: Engine, number: int) -> None:
        self.engine = engine
        self.turn = number
        self.asked = 0
        self.seen = engine.version
        self.versions = {self.seen}

    def ask(self) -> None:
        self.turn = (self.engine.version + self.asked % 3 - 1) % TURNS
        inside = f"10.0.{self.turn}.9"
        for key in ("both", "own"):
            self.judge_block(self.check(key, inside))
        self.judge_ghost(self.check("ghost", inside))
        for half, client in enumerate(("192.0.2.1", "192.0.2.129")):
            self.judge_union(self.check("union", client), half)
            assert self.engine.allows("union", client) is True
            assert self.engine.allows_many(["union"] * 3, [client] * 3) == b"\1\1\1"
        assert self.engine.allows("both", "198.51.100.1") is False
        self.asked += 6

    def check(self, key: str, client: str) -> Decision:
        decision = self.engine.check(key, client)
        assert decision.version >= self.seen, "versions went back"
        self.seen = decision.version
        self.versions.add(self.seen)
        return decision

    def judge_block(self, decision: Decision) -> None:
        assert decision.allowed is (self.turn == decision.version % TURNS), (self.turn, decision.to_dict())
        if decision.allowed:
            assert str(decision.entry) == f"10.0.{decision.version % TURNS}.0/24"
            assert decision.list_name == ("left" if decision.key == "both" else None)

    def judge_ghost(self, decision: Decision) -> None:
        there = decision.version % 2 == 0
        assert (decision.reason == "unknown_key") is not there
        assert decision.allowed is (there and self.turn == decision.version % TURNS)

    def judge_union(self, decision: Decision, half: int) -> None:
        assert decision.allowed, (half, decision.to_dict())
        assert decision.list_name == ("even" if decision.version % 2 == half else "odd")
        assert str(decision.entry) == HALVES[half]


def test_every_answer_is_that_of_one_version() -> None:
    engine = Engine(Policy())
    with engine.transaction() as change:
        write(change, 1)
    readers = [Reader(engine, number) for number in range(READERS)]
    end, errors = time.monotonic() + SECONDS, list[BaseException]()
    start = threading.Barrier(READERS + 1)

    def read(reader: Reader) -> None:
        while time.monotonic() < end and not errors:
            reader.ask()

    def commit() -> None:
        while time.monotonic() < end and not errors:
            with engine.transaction(if_version=engine.version) as change:
                write(change, engine.version + 1)
            time.sleep(0.0005)

    def guarded(act: object, *given: Reader) -> None:
        assert callable(act)
        try:
            start.wait()
            act(*given)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(read, reader)) for reader in readers]
    threads.append(threading.Thread(target=guarded, args=(commit,)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    print(
        f"\n{engine.version} versions, {sum(reader.asked for reader in readers)} checks, "
        f"each reader saw {min(len(reader.versions) for reader in readers)} versions or more"
    )
    assert all(len(reader.versions) > 2 for reader in readers)


def test_writers_take_turns_and_no_commit_is_lost() -> None:
    """Each writer counts up its own key by reading and writing with `if_version`; a lost update would be missed."""
    engine = Engine(Policy())
    engine.put_key("counter", ["10.0.0.0"])
    done = [0] * 4
    end = time.monotonic() + min(SECONDS, 1)

    def count(number: int) -> None:
        while time.monotonic() < end:
            version = engine.version
            [entry] = engine.key("counter").entries
            following = int.from_bytes(entry.prefix.packed, "big") + 1
            try:
                engine.update_key("counter", entries=[following.to_bytes(4, "big")], if_version=version)
            except Conflict:
                continue
            done[number] += 1

    threads = [threading.Thread(target=count, args=(number,)) for number in range(len(done))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    [entry] = engine.key("counter").entries
    assert int.from_bytes(entry.prefix.packed, "big") - (10 << 24) == sum(done) == engine.version - 1
