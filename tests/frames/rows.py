"""Rows for the tests of columns, and what each row must say: the answer of a single call.

    list_row(allow, text)              {"listed", "reason", "prefix"}                 from `AllowList.match`
    engine_row(engine, key, text)      {"allowed", "reason", "problem", ...}          from `Engine.check`

`addresses(n, seed)` mixes what clients send: common texts, mapped ones, junk of each kind, nulls.
"""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Any

from cidrmatch import AllowList, Condition, Engine, Entry, InvalidAddress

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECRET = b"a secret of at least 32 bytes ......"
OFFICE = AllowList(
    [
        "203.0.113.0/24",
        ("203.0.113.64/26", "Upstairs"),
        "198.51.100.7",
        "2001:db8::/48",
        "2001:db8:0:7::/64",
        "10.0.0.0/9",
    ]
)
JUNK = (
    "",
    " 203.0.113.7",
    "203.0.113.7\n",
    "203.0.113.07",
    "203.0.113.256",
    "203.0.113",
    "203.0.113.7/32",
    "fe80::1%eth0",
    "1::2::3",
    "12345::",
    "1:2:3:4:5:6:7:8:9",
    "203.0.113.é",
    "\uff11.2.3.4",
    "1.2.3.4\0",
    "unknown",
    "x" * 300,
    "é" * 40,
)
PLAIN_KEYS = tuple(f"key_{i}" for i in range(40))
SPECIAL_KEYS = (
    "open", "off", "listed", "denies", "denies_in", "timed", "within", "long", "née", "trial", "empty_list",
)  # fmt: skip
KEYS: tuple[str | None, ...] = (*PLAIN_KEYS, *SPECIAL_KEYS, "nobody", "", "né", None)


def address(draw: random.Random) -> str | None:
    """Draw one address: near the lists, anywhere, or none at all."""
    kind = draw.randrange(10)
    if kind < 4:
        return str(IPv4Address(0xCB007100 + draw.randrange(-8, 264)))
    if kind < 6:
        return str(
            IPv6Address((0x20010DB8 << 96) + (draw.randrange(2) << 80) + (draw.randrange(9) << 64) + draw.randrange(9))
        )
    if kind == 6:
        return str(IPv4Address(draw.getrandbits(32)))
    if kind == 7:
        return f"::ffff:203.0.113.{draw.randrange(256)}"
    return draw.choice(JUNK) if kind == 8 else draw.choice((None, "10.0.0.1", "198.51.100.7"))


def addresses(count: int, seed: int) -> list[str | None]:
    """Draw many."""
    draw = random.Random(seed)
    return [address(draw) for _ in range(count)]


def keys(count: int, seed: int) -> list[str | None]:
    """Draw many keys."""
    return random.Random(seed).choices(KEYS, k=count)


def filled(engine: Engine) -> Engine:
    """Put keys of every kind into an engine whose clock stands at NOW."""
    engine.put_list("shared", ["203.0.113.0/25", "2001:db8::/64"])
    engine.put_list("gate", ["203.0.113.0/26", "10.0.0.0/8"])
    engine.put_list("bans", [Entry("203.0.113.66", condition=Condition(effect="deny")), "203.0.113.64/30"])
    engine.put_list("brief", [Entry("203.0.113.0/24", condition=Condition(expires=NOW + timedelta(hours=1)))])
    for number, key in enumerate(PLAIN_KEYS):
        engine.put_key(key, [f"203.0.113.{number * 4}/30", f"2001:db8:0:{number % 9}::/64"])
    engine.put_key("open")
    engine.put_key("off", ["203.0.113.0/24"], enabled=False)
    engine.put_key("listed", ["198.51.100.7"], lists=["shared"])
    engine.put_key("denies", ["203.0.113.0/24", Entry("203.0.113.64/26", condition=Condition(effect="deny"))])
    engine.put_key("denies_in", ["203.0.113.0/24"], lists=["bans"])
    engine.put_key("timed", [Entry("203.0.113.0/24", condition=Condition(not_before=NOW + timedelta(hours=1)))])
    engine.put_key("within", ["203.0.113.0/24"], within=["gate", "brief"])
    engine.put_key("long", [f"203.0.{n // 256}.{n % 256}" for n in range(0, 256 * 120, 3)])
    engine.put_key("née", ["203.0.113.0/24"])
    engine.put_key("trial", ["203.0.113.0/24"])
    engine.put_shadow("trial", ["203.0.113.0/26"])
    engine.put_key("empty_list", lists=["shared"])
    engine.put_list("nothing", ["192.0.2.1"])
    return engine


def clock() -> float:
    return NOW.timestamp()


def new_engine(**options: Any) -> Engine:
    return filled(Engine(clock=clock, **options))


def saved(path: Path, **options: Any) -> Path:
    """Save an engine with keys of every kind."""
    new_engine(**options).save(path)
    return path


def list_row(allow: AllowList, given: str | bytes | None) -> dict[str, object]:
    """Tell what a row must say of a list."""
    if given is None:
        return {"listed": False, "reason": "not_given", "prefix": None}
    try:
        entry = allow.match(given)
    except InvalidAddress as error:
        return {"listed": False, "reason": error.code, "prefix": None}
    reason = "ip_not_listed" if entry is None else "matched"
    return {"listed": entry is not None, "reason": reason, "prefix": None if entry is None else str(entry.prefix)}


def engine_row(
    engine: Engine, key: str | None, given: str | bytes | None, *, entries: bool = False
) -> dict[str, object]:
    """Tell what a row must say of an engine."""
    if key is None:
        found: dict[str, object] = {"allowed": False, "reason": "unknown_key", "problem": "key_not_given"}
        return found | ({"prefix": None, "list": None} if entries else {})
    decision = engine.check(key, given)
    problem, entry = decision.problem, decision.entry
    found = {
        "allowed": decision.allowed,
        "reason": str(decision.reason),
        "problem": None if problem is None else problem.code,
    }
    if entries:
        found |= {"prefix": None if entry is None else str(entry.prefix), "list": decision.list_name}
    return found


def differences(found: list[Any], expected: list[Any], asked: list[Any]) -> list[Any]:
    """Give the first rows that say something else than they must: a diff of whole columns takes minutes."""
    assert len(found) == len(expected) == len(asked)
    return [each for each in zip(asked, found, expected, strict=True) if each[1] != each[2]][:3]
