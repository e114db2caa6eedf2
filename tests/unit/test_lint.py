"""Lint: what is stored, allowed, and still looks like a mistake."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from cidrmatch import Engine, Entry, InvalidAddress, KeyRecord, Policy, presets
from cidrmatch._core.check import FrozenList
from cidrmatch.lint import Finding, lint

NOW = datetime(2026, 7, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


def build_engine(policy: Policy | None = None) -> Engine:
    return Engine(policy or Policy(), clock=NOW.timestamp)


def codes(findings: tuple[Finding, ...]) -> list[tuple[str, str, str, str | None]]:
    return [(finding.code, finding.severity, finding.name, finding.entry) for finding in findings]


def test_an_engine_in_order_has_no_findings() -> None:
    engine = build_engine(presets.bitbybit())
    assert lint(engine) == ()
    engine.put_list("office", ["198.51.100.0/24"])
    engine.put_key("key_1", ["203.0.113.5"], lists=["office"])
    engine.put_key("key_2", ["203.0.113.6", {"prefix": "203.0.113.7", "not_before": NOW + HOUR}])
    assert lint(engine) == ()


def test_the_warnings_of_the_policy_are_told_as_its_own() -> None:
    engine = build_engine(presets.bitbybit())
    report = engine.put_key("key_1", ["198.51.100.0/24", "198.51.100.7", "10.1.0.0/16"])
    findings = lint(engine)
    assert codes(findings) == [
        ("covered", "warning", "key_1", "198.51.100.7/32"),
        ("private", "warning", "key_1", "10.1.0.0/16"),
    ]
    assert all(warning.message in finding.message for warning, finding in zip(report.warnings, findings, strict=True))
    assert str(findings[1]).startswith("warning: key 'key_1': 10.1.0.0/16: it won't match")


def test_private_entries_are_mere_advice_where_the_product_takes_them() -> None:
    engine = build_engine(presets.unkey())
    engine.put_key("key_1", ["10.0.0.0/8"])
    assert codes(lint(engine)) == [("private", "advice", "key_1", "10.0.0.0/8")]


def test_private_entries_that_the_product_refuses_are_told_after_an_import() -> None:
    engine = build_engine(Policy(private="reject"))
    engine.restore(keys={"key_1": KeyRecord(created_at=NOW, entries=(Entry("10.0.0.0/8"),))})
    assert codes(lint(engine)) == [("private", "warning", "key_1", "10.0.0.0/8")]


def test_a_list_that_lets_everyone_in_is_told_as_a_whole() -> None:
    engine = build_engine()
    engine.put_key("key_1", ["0.0.0.0/1", "128.0.0.0/1"])
    assert codes(lint(engine)) == [("no_restriction", "warning", "key_1", None)]
    assert str(lint(engine)[0]).startswith("warning: key 'key_1': the list allows every IPv4 address")
    engine.put_key("key_1", ["0.0.0.0/1", {"prefix": "128.0.0.0/1", "expires": NOW}])
    assert codes(lint(engine)) == [("expired", "advice", "key_1", "128.0.0.0/1")]


def test_entries_that_no_longer_count_are_told_once() -> None:
    engine = build_engine(presets.bitbybit())
    engine.put_key(
        "key_1",
        [
            {"prefix": "10.0.0.0/16", "enabled": False},
            {"prefix": "10.1.0.0/16", "expires": NOW},
            {"prefix": "203.0.113.0/24", "expires": NOW + HOUR},
        ],
    )
    assert codes(lint(engine, seen={"key_1": ["203.0.113.1"]})) == [
        ("disabled", "advice", "key_1", "10.0.0.0/16"),
        ("expired", "advice", "key_1", "10.1.0.0/16"),
    ]
    assert lint(engine)[1].message == "it is over since 2026-07-01T00:00:00+00:00"


def test_P12_a_list_that_is_neither_linked_nor_the_default_affects_nothing() -> None:
    engine = build_engine(presets.pigment())
    for name in ("linked", "around", "fallback", "idle"):
        engine.put_list(name, ["198.51.100.0/24"], description="x")
    engine.put_key("key_1", lists=["linked"], within=["around"])
    engine.set_default("fallback")
    assert codes(lint(engine)) == [("unused_list", "advice", "idle", None)]
    assert lint(engine)[0].kind == "list"


def test_C22_an_empty_list_in_use_is_told() -> None:
    engine = build_engine()
    engine.restore(
        keys={"key_1": KeyRecord(created_at=NOW, lists=("linked",))},
        lists=[FrozenList(name, ()) for name in ("linked", "fallback", "idle")],
        default="fallback",
    )
    assert codes(lint(engine)) == [
        ("empty_list", "warning", "fallback", None),
        ("unused_list", "advice", "idle", None),
        ("empty_list", "warning", "linked", None),
    ]


def test_entries_are_called_never_used_only_where_all_keys_were_watched() -> None:
    engine = build_engine()
    engine.put_list("office", ["198.51.100.0/25", "198.51.100.128/25"])
    engine.put_key("key_1", ["203.0.113.5", "203.0.113.6"], lists=["office"])
    engine.put_key("key_2", lists=["office"])
    assert lint(engine) == ()
    first = {"key_1": ["203.0.113.5", "198.51.100.1"]}
    assert codes(lint(engine, seen=first)) == [("never_used", "advice", "key_1", "203.0.113.6/32")]
    both = {**first, "key_2": ["::ffff:198.51.100.2"], "gone": []}
    assert codes(lint(engine, seen=both)) == [
        ("never_used", "advice", "office", "198.51.100.128/25"),
        ("never_used", "advice", "key_1", "203.0.113.6/32"),
    ]


def test_the_default_list_is_used_by_keys_without_a_list_only() -> None:
    engine = build_engine()
    engine.put_list("fallback", ["198.51.100.0/24"])
    engine.set_default("fallback")
    engine.put_key("key_1", ["203.0.113.5"])
    engine.put_key("key_2")
    assert codes(lint(engine, seen={"key_1": ["203.0.113.5"]})) == []
    assert codes(lint(engine, seen={"key_2": ["203.0.113.5"]})) == [
        ("never_used", "advice", "fallback", "198.51.100.0/24")
    ]


@pytest.mark.parametrize("junk", ["198.51.100.0/24", "x", ""])
def test_what_was_seen_must_be_addresses(junk: str) -> None:
    with pytest.raises(InvalidAddress):
        lint(build_engine(), seen={"key_1": [junk]})


def test_B30_an_owner_without_an_unrestricted_key_is_told() -> None:
    engine = build_engine(presets.bitbybit())
    for key in ("key_1", "key_2"):
        engine.put_key(key, ["203.0.113.5"], owner="acme")
    engine.put_key("key_3", ["203.0.113.5"])
    [finding] = lint(engine)
    assert finding.to_dict() == {
        "code": "no_backup_key",
        "severity": "advice",
        "kind": "owner",
        "name": "acme",
        "entry": None,
        "message": "all keys (2) are restricted; an unrestricted backup key helps when an address changes",
    }
    engine.update_key("key_2", entries=[])
    assert codes(lint(engine)) == [("unrestricted", "advice", "key_2", None)]


def test_names_are_escaped() -> None:
    engine = build_engine()
    engine.put_list("\x1b[2J", ["198.51.100.0/24"])
    assert str(lint(engine)[0]) == r"advice: list '\x1b[2J': neither linked nor the default: no effect"
