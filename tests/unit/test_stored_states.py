"""Whatever can be said of a key: it is judged alike as an object, as a record of the store, and from a file.

The states are those of docs/keys.md, asked for every combination of what a key can have:

    entries, a linked list, a list it lies within, a default, enabled or not, created before or after the cutover

Requirements: N2, N4 (a new key of Nomsa needs its list), N5 (a legacy key is free without one), P8 to P10 (lists are
united, the default stands in), C7 (three states), C8, C22 (an empty list denies).
"""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cidrmatch import Engine, Entry, KeyRules, Policy, Reason
from cidrmatch._keys import FrozenList, KeyRecord

CUTOVER = datetime(2025, 6, 16, tzinfo=UTC)
POLICY = Policy(keys=KeyRules(new_keys_need_list=True, cutover=CUTOVER))
OWN, LINKED, WITHIN, DEFAULT = "192.0.2.1", "192.0.2.2", "192.0.2.0/29", "192.0.2.3"
ADDRESSES = ("192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4", "203.0.113.5", None)
KEYS = {
    f"{entries} {links} {within} {enabled} {is_new}": KeyRecord(
        created_at=CUTOVER if is_new else CUTOVER - timedelta(microseconds=1),
        entries=entries,
        lists=links,
        within=within,
        enabled=enabled,
    )
    for entries, links, within, enabled, is_new in itertools.product(
        ((), (Entry(OWN),)), ((), ("linked",), ("none",)), ((), ("within",), ("none",)), (True, False), (True, False)
    )
}


def expected(record: KeyRecord, default: str | None, address: str | None) -> Reason:
    """Judge by the rules as they are told, slowly."""
    lists = {"linked": {LINKED}, "none": set(), "default": {DEFAULT}}
    names = record.lists or (() if record.entries or default is None else (default,))
    is_new = record.created_at >= CUTOVER
    has_level = bool(record.entries or names)
    if not has_level and is_new:
        return Reason.INACTIVE
    if not (has_level or record.within) or not (record.enabled or is_new):
        return Reason.UNRESTRICTED
    if address is None:
        return Reason.CLIENT_IP_UNKNOWN
    level = {OWN} if record.entries else set()
    level |= {text for name in names for text in lists[name]}
    if has_level and address not in level:
        return Reason.NOT_LISTED if level else Reason.EMPTY_LIST
    for name in record.within:
        if name == "none":
            return Reason.EMPTY_LIST
        if not address.startswith("192.0.2."):
            return Reason.NOT_LISTED
    return Reason.MATCHED


@pytest.fixture(scope="module", params=[None, "default", "none"])
def engine(request: pytest.FixtureRequest) -> Engine:
    lists = [
        FrozenList("linked", (Entry(LINKED),)),
        FrozenList("within", (Entry(WITHIN),)),
        FrozenList("default", (Entry(DEFAULT),)),
        FrozenList("none", ()),
    ]
    made = Engine(POLICY, clock=lambda: 0.0)
    made.restore(keys=KEYS, lists=lists, default=request.param)
    return made


@pytest.mark.parametrize("form", ["objects", "folded", "file"])
def test_C7_a_key_is_judged_alike_as_an_object_as_a_record_and_from_a_file(
    engine: Engine, form: str, tmp_path: Path
) -> None:
    asked = engine
    if form != "objects":
        engine.save(tmp_path / "keys.snap")
        asked = Engine.open(tmp_path / "keys.snap", clock=lambda: 0.0)
        if form == "folded":
            asked = Engine(POLICY, clock=lambda: 0.0)
            asked.restore(keys=KEYS, lists=engine.lists().values(), default=engine.default())
            asked.fold()
            assert not asked.view.overlay
    for key, record in KEYS.items():
        for address in ADDRESSES:
            wanted = expected(record, engine.default(), address)
            decision = asked.check(key, address)
            assert decision.reason is wanted, (key, address)
            is_allowed = wanted in (Reason.MATCHED, Reason.UNRESTRICTED)
            assert asked.allows(key, address) is decision.allowed is is_allowed, (key, address)
            assert list(asked.allows_many([key], [address])) == [is_allowed], (key, address)


def test_N2_a_disabled_new_key_of_nomsa_is_not_free_once_stored(tmp_path: Path) -> None:
    record = KeyRecord(created_at=CUTOVER, lists=("linked",), enabled=False)
    engine = Engine(POLICY)
    engine.restore(keys={"new": record}, lists=[FrozenList("linked", (Entry(LINKED),))])
    for _ in range(2):
        assert not engine.allows("new", "203.0.113.5")
        assert engine.allows("new", LINKED)
        engine.fold()
    engine.save(tmp_path / "keys.snap")
    opened = Engine.open(tmp_path / "keys.snap")
    assert opened.check("new", "203.0.113.5").reason is Reason.NOT_LISTED
    assert opened.check("new", None).reason is Reason.CLIENT_IP_UNKNOWN
    assert opened.allows("new", LINKED)
