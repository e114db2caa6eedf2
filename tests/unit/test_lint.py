"""Lint: what is stored, allowed, and still looks like a mistake."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cidrmatch import Engine, Entry, InvalidAddress, KeyRecord, Policy, presets
from cidrmatch._keys import FrozenList, View
from cidrmatch._keys.notes import notes_of
from cidrmatch._keys.store import HAS_ENTRIES, IS_ENABLED, Builder
from cidrmatch.advice.hosts import host_label, read_host_label
from cidrmatch.advice.lint import Finding, lint
from cidrmatch.files.config import loads

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
    engine.update_key("key_1", entries=["0.0.0.0/1", {"prefix": "128.0.0.0/1", "expires": NOW}])
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


# -- What is open -------------------------------------------------------------


def loaded(text: str) -> Engine:
    return loads(f"format = 1\n{text}\n[end]\n", "toml", warn=lambda _: None)


KEY = '[[keys]]\nid = "key_1"\ncreated_at = 2026-07-01T00:00:00Z\n'
WITH_ENTRY = f'{KEY}entries = ["203.0.113.5"]\n'


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (f'policy = "bitbybit"\nenforced = false\n{WITH_ENTRY}', ("not_enforced", "engine")),
        (f'policy = "bitbybit"\nunknown_key = "pass"\n{WITH_ENTRY}', ("unknown_passes", "engine")),
        (f'policy = "bitbybit"\n{KEY}', ("unrestricted", "key")),
        (f'policy = "bitbybit"\n{KEY}entries = []\n', ("unrestricted", "key")),
        (f'policy = "bitbybit"\n{WITH_ENTRY}enabled = false\n', ("disabled_list", "key")),
        (f'policy = "unkey"\n{KEY}entries = ["0.0.0.0/0"]\n', ("no_restriction", "key")),
        (f'policy = "pigment"\n{KEY}', ("unrestricted", "key")),
        (f'policy = {{ preset = "nomsa", cutover = 2027-01-01T00:00:00Z }}\n{KEY}', ("unrestricted", "key")),
        (f'policy = "unkey"\n{KEY}lists = ["all"]\n[[lists]]\nname = "all"\nentries = ["::/0"]\n', ("open_key", "key")),
    ],
)
def test_a_wide_open_configuration_is_never_clean(text: str, found: tuple[str, str]) -> None:
    warnings = [finding for finding in lint(loaded(text)) if finding.severity == "warning"]
    assert found in [(finding.code, finding.kind) for finding in warnings]


def test_every_open_key_is_named_and_stands_before_all_else() -> None:
    engine = build_engine()
    engine.put_list("idle", ["198.51.100.0/24"])
    engine.put_keys((f"key_{number:03}", []) for number in range(200))
    engine.put_key("listed", ["203.0.113.5"])
    findings = lint(engine)
    assert [finding.name for finding in findings[:-1]] == [f"key_{number:03}" for number in range(200)]
    assert {finding.code for finding in findings[:-1]} == {"unrestricted"}
    assert str(findings[0]) == "warning: key 'key_000': no entries: every address passes"
    assert findings[-1].code == "unused_list"


def test_lists_that_are_open_only_together_are_told_of_the_key() -> None:
    engine = build_engine()
    engine.put_list("low", ["0.0.0.0/1"])
    engine.put_list("high", ["128.0.0.0/1"])
    engine.put_list("around", ["0.0.0.0/0"])
    engine.put_list("office", ["198.51.100.0/24"])
    engine.put_key("linked", lists=["low", "high"])
    engine.put_key("own", ["0.0.0.0/1"], lists=["high"])
    engine.put_key("in all", lists=["low", "high"], within=["around"])
    engine.put_key("in one", lists=["low", "high"], within=["office"])
    engine.put_key("half", lists=["low"])
    assert [(finding.code, finding.name) for finding in lint(engine) if finding.kind == "key"] == [
        ("open_key", "in all"),
        ("open_key", "linked"),
        ("open_key", "own"),
    ]


def test_B30_the_one_open_key_of_an_owner_with_restricted_keys_is_mere_advice() -> None:
    engine = build_engine(presets.bitbybit())
    engine.put_key("backup", owner="acme")
    assert codes(lint(engine)) == [("unrestricted", "warning", "backup", None)]
    engine.put_key("key_1", ["203.0.113.5"], owner="acme")
    assert codes(lint(engine)) == [("unrestricted", "advice", "backup", None)]
    engine.put_key("another", owner="acme")
    assert {finding.severity for finding in lint(engine)} == {"warning"}


def test_N4_an_inactive_key_is_not_open() -> None:
    assert lint(loaded(f'policy = {{ preset = "nomsa", cutover = 2026-01-01T00:00:00Z }}\n{KEY}')) == ()


# -- Where nobody passes ------------------------------------------------------

DENY = {"prefix": "198.51.100.0/24", "effect": "deny"}


@pytest.mark.parametrize(
    ("entries", "why"),
    [
        ([DENY], "nobody passes: it only denies"),
        (["198.51.100.0/24", DENY], "nobody passes: what is allowed is denied again"),
        ([{"prefix": "198.51.100.0/24", "expires": NOW}], "nobody passes: every entry is over or disabled"),
        ([{"prefix": "198.51.100.0/24", "enabled": False}], "nobody passes: every entry is over or disabled"),
    ],
)
def test_a_list_where_nobody_passes_is_told_of_the_key_or_of_the_list(entries: list[Any], why: str) -> None:
    engine = build_engine()
    engine.put_list("dead", entries)
    engine.put_key("key_1", entries)
    engine.put_key("key_2", lists=["dead"])
    engine.put_key("key_3", ["198.51.100.0/24"], within=["dead"])
    found = [finding for finding in lint(engine) if finding.code == "nobody_passes"]
    assert [(finding.kind, finding.name, finding.severity) for finding in found] == [
        ("list", "dead", "warning"),
        ("key", "key_1", "warning"),
    ]
    assert found[0].message == f"{why}; keys that go by it: 2"
    assert found[1].message == why


def test_a_list_that_only_denies_is_in_order_beside_one_that_allows() -> None:
    engine = build_engine()
    engine.put_list("blocked", [{"prefix": "198.51.100.7", "effect": "deny"}])
    engine.put_list("office", ["198.51.100.0/24"])
    engine.put_key("key_1", lists=["blocked", "office"])
    engine.put_key("key_2", ["203.0.113.5"], lists=["blocked"])
    engine.put_key("key_3", [{"prefix": "203.0.113.5", "not_before": NOW + HOUR}])
    assert lint(engine) == ()
    engine.put_key("key_4", ["198.51.100.7"], lists=["blocked"])
    assert codes(lint(engine)) == [("nobody_passes", "warning", "key_4", None)]


# -- Odd snapshots ------------------------------------------------------------


@pytest.mark.parametrize("owner", [5, ["acme"], {"name": "acme"}, True, 1.5])
def test_an_odd_owner_in_a_snapshot_is_told_and_never_raises(owner: object) -> None:
    engine = build_engine()
    written, builder = json.dumps(owner).encode(), Builder()
    for key in ("key_1", "key_2"):
        said = notes_of((Entry("203.0.113.5"),), owner="@")
        notes = said.replace(b'"@"', written if key == "key_1" else b'"acme"')
        builder.add(
            key, (Entry("203.0.113.5"),), flags=IS_ENABLED | HAS_ENTRIES, created=0, links=(), within=(), notes=notes
        )
    engine.view = View(builder.build(generation=1, lists=0), {}, {}, None, 1, engine.view.settings)
    assert codes(lint(engine))[0] == ("damaged", "warning", "key_1", None)


def test_entries_that_decided_about_nothing_for_long_are_named() -> None:
    engine = build_engine()
    engine.put_list("office", ["198.51.100.0/24", "198.51.101.0/24"])
    later = {"prefix": "203.0.113.9", "not_before": NOW + HOUR}
    engine.put_key("key_1", ["203.0.113.5", "203.0.113.6", "203.0.113.7", later], lists=["office"])
    since = NOW - 90 * 24 * HOUR
    recent, old = NOW.timestamp() - 1, since.timestamp() - 1
    uses = {
        ("key_1", None, "203.0.113.5/32"): recent,
        ("key_1", None, "203.0.113.6/32"): old,
        ("key_2", None, "203.0.113.7/32"): recent,
        (None, "office", "198.51.100.0/24"): since.timestamp(),
        (None, "other", "198.51.101.0/24"): recent,
    }
    findings = lint(engine, uses=uses, unused_since=since)
    assert codes(findings) == [
        ("not_used_lately", "advice", "office", "198.51.101.0/24"),
        ("not_used_lately", "advice", "key_1", "203.0.113.6/32"),
        ("not_used_lately", "advice", "key_1", "203.0.113.7/32"),
    ]
    assert findings[0].message == f"it has decided about no request since {since.isoformat()}"
    assert lint(engine) == ()


def test_last_uses_need_a_moment_and_a_moment_needs_a_zone() -> None:
    with pytest.raises(ValueError, match="belong together"):
        lint(build_engine(), uses={})
    with pytest.raises(ValueError, match="belong together"):
        lint(build_engine(), unused_since=NOW)
    with pytest.raises(ValueError, match="time zone"):
        lint(build_engine(), uses={}, unused_since=NOW.replace(tzinfo=None))


def test_an_entry_that_stands_for_a_host_name_is_told_with_the_age_of_the_answer() -> None:
    engine = build_engine()
    answered = NOW - timedelta(minutes=20)
    label = host_label("office.example.net", answered.timestamp())
    engine.put_key("key_1", [("203.0.113.7", label), ("203.0.113.8", "host of the party"), "203.0.113.9"])
    (found,) = lint(engine)
    assert (found.code, found.severity, found.entry) == ("host_name", "advice", "203.0.113.7/32")
    assert found.message == "it stands for the host name office.example.net, which was answered 1,200 seconds ago"
    engine.put_key("key_1", [("203.0.113.7", host_label("a.example", NOW.timestamp() + 60))], replace=True)
    assert lint(engine)[0].message.endswith("which was answered at a moment that has not come")


@pytest.mark.parametrize(
    "label",
    [
        "host a.example, answered 2026-07-01T00:00:00",
        "host a.example, answered 2026-99-01T00:00:00+00:00",
        "host a",
        "",
    ],
)
def test_other_labels_stand_for_no_host_name(label: str) -> None:
    assert read_host_label(label) is None
    assert read_host_label(None) is None
