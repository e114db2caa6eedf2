"""Configurations: all of an engine in one document, all or nothing, with every reason at once."""

from __future__ import annotations

import json
import sys
import time
import tracemalloc
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from cidrmatch import CidrmatchError, Condition, Engine, Entry, KeyRecord, KeyRules, Policy, Reason, State, presets
from cidrmatch._keys import FrozenList
from cidrmatch.files.config import ConfigError, ConfigProblem, dump, dumps, load, loads, schema
from tests.reference import format_span
from tests.strategies import labels, span_lists

EXAMPLE = Path(__file__).parents[2] / "examples" / "keys.toml"
CUTOVER = datetime(2026, 6, 16, tzinfo=UTC)
HOUR = timedelta(hours=1)


def document(**fields: Any) -> dict[str, Any]:
    return {"format": 1, "policy": "bitbybit", **fields}


def key(**fields: Any) -> dict[str, Any]:
    return {"id": "key_1", "created_at": "2026-07-01T00:00:00Z", **fields}


def problems_of(given: Any) -> list[tuple[str | None, str]]:
    """Load a document that must be refused, both as it is and as JSON, and give path and reason of each problem."""
    with pytest.raises(ConfigError) as refused:
        load(given) if isinstance(given, dict) else loads(json.dumps(given), "json")
    assert not refused.value.is_unreadable
    return [(problem.path, problem.reason) for problem in refused.value.problems]


def names_of(engine: Engine) -> list[str]:
    return engine.keys()


def check_round_trip(engine: Engine) -> None:
    written = dump(engine)
    jsonschema.Draft202012Validator(schema()).validate(written)
    copies = [load(written), loads(dumps(engine, "json"), "json"), loads(dumps(engine, "toml"), "toml")]
    for copy in copies:
        assert dump(copy) == written
        assert copy.keys() == engine.keys()
        assert copy.default() == engine.default()
        assert copy.policy == engine.policy
        assert {name: (frozen.entries, frozen.description) for name, frozen in copy.lists().items()} == {
            name: (frozen.entries, frozen.description) for name, frozen in engine.lists().items()
        }
        for name in names_of(engine):
            assert copy.key(name) == engine.key(name)
            assert copy.state(name) == engine.state(name)


# -- What is loaded -----------------------------------------------------------


def test_the_example_is_loaded_with_everything_it_says() -> None:
    engine = load(EXAMPLE, clock=datetime(2026, 6, 1, tzinfo=UTC).timestamp)
    assert (engine.version, engine.default()) == (1, "office")
    assert engine.policy == Policy(name="acme", max_entries=20, private="warn")
    assert engine.keys() == ["key_backup", "key_deploy", "key_reports"]
    assert engine.lists()["office"].description == "where people sit"
    record = engine.key("key_deploy")
    assert (record.lists, record.within, record.owner) == (("office",), ("company",), "acme")
    assert record.created_at == datetime(2026, 1, 15, 9, tzinfo=UTC)
    assert record.entries[1] == Entry("203.0.113.77", "contractor", Condition(expires=datetime(2026, 7, 1, tzinfo=UTC)))
    assert engine.allows("key_deploy", "203.0.113.77")
    assert not engine.allows("key_deploy", "198.51.100.65")
    assert engine.state("key_backup") is State.UNRESTRICTED
    check_round_trip(engine)


def test_a_path_may_be_text_and_json(tmp_path: Path) -> None:
    path = tmp_path / "keys.JSON"
    path.write_text(dumps(load(EXAMPLE), "json"), encoding="utf-8-sig")
    assert dump(load(str(path))) == dump(load(EXAMPLE))


def test_the_least_document_denies_everyone() -> None:
    engine = load(document())
    assert (engine.keys(), engine.lists(), engine.default()) == ([], {}, None)
    assert engine.check("key_1", "203.0.113.5").reason is Reason.UNKNOWN_KEY
    assert not engine.allows("key_1", "203.0.113.5")


def test_the_settings_of_the_engine_are_kept() -> None:
    engine = load(document(unknown_key="pass", enforced=False, keys=[key(entries=["203.0.113.5"])]))
    assert engine.check("key_1", "192.0.2.1").reason is Reason.NOT_ENFORCED
    assert engine.allows("nobody", "192.0.2.1")
    assert (dump(engine)["unknown_key"], dump(engine)["enforced"]) == ("pass", False)
    check_round_trip(engine)


def test_clock_and_role_check_come_from_the_caller() -> None:
    engine = load(document(), clock=CUTOVER.timestamp, permits=lambda *_: False)
    with pytest.raises(CidrmatchError, match="may not"):
        engine.put_list("office", ["203.0.113.5"])
    engine.put_key("key_1")
    assert engine.key("key_1").created_at == CUTOVER


def test_a_shadow_list_is_kept_and_its_counts_begin_anew() -> None:
    engine = load(document(keys=[key(shadow=["203.0.113.5"]), key(id="key_2", shadow=[])]))
    assert engine.check("key_1", "203.0.113.5").would_allow is True
    shadows = [engine.shadow("key_1"), engine.shadow("key_2")]
    assert [shadow and len(shadow.list.entries) for shadow in shadows] == [1, 0]
    check_round_trip(engine)


def test_C22_a_linked_list_that_is_empty_denies_after_an_import() -> None:
    for policy in ({"name": "own"}, "pigment"):
        engine = load(
            document(
                policy=policy,
                lists=[{"name": "office", "description": "x", "entries": []}],
                default="office",
                keys=[key(lists=["office"]), key(id="key_2"), key(id="key_3", within=["office"])],
            )
        )
        for name in names_of(engine):
            assert engine.check(name, "203.0.113.5").reason is Reason.EMPTY_LIST
            assert not engine.allows(name, "203.0.113.5")
        check_round_trip(engine)


def test_C8_a_new_key_that_is_imported_empty_is_inactive() -> None:
    policy = {"preset": "nomsa", "cutover": "2026-06-16T00:00:00Z"}
    keys = [key(entries=[]), key(id="legacy", created_at="2026-06-15T23:59:59Z")]
    engine = load(document(policy=policy, keys=keys))
    assert (engine.state("key_1"), engine.allows("key_1", "203.0.113.5")) == (State.INACTIVE, False)
    assert engine.state("legacy") is State.UNRESTRICTED
    check_round_trip(engine)


def test_moments_of_toml_and_of_text_are_the_same() -> None:
    text = 'format = 1\npolicy = "unkey"\n[[keys]]\nid = "a"\ncreated_at = {}\n[end]\n'
    moments = ["2026-07-01T02:00:00+02:00", '"2026-07-01T02:00:00+02:00"', "2026-07-01 00:00:00Z"]
    records = [loads(text.format(moment), "toml").key("a") for moment in moments]
    assert records == [KeyRecord(created_at=datetime(2026, 7, 1, tzinfo=UTC))] * 3


# -- Round trips --------------------------------------------------------------

CUSTOM = Policy(
    name="house",
    families=frozenset((6,)),
    kinds=frozenset(("address",)),
    min_entries=1,
    max_entries=5,
    min_prefix_v6=48,
    duplicates="reject",
    max_label_length=9,
    private="warn",
    host_bits="mask",
    allow_any=False,
    keys=KeyRules(new_keys_need_list=True, cutover=CUTOVER, pipeline=("ip", "scope"), response="unkey"),
)


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"])
def test_a_moment_that_utc_has_no_date_for_is_refused_by_its_place(moment: str) -> None:
    assert problems_of(document(keys=[key(created_at=moment)])) == [
        ("keys[0].created_at", f"{moment!r} lies outside the years 1 to 9999 of UTC")
    ]


@pytest.mark.parametrize(
    ("policy", "written"),
    [
        (presets.bitbybit(), "bitbybit"),
        (presets.unkey(), "unkey"),
        (presets.pigment(), "pigment"),
        (presets.nomsa(cutover=CUTOVER), {"preset": "nomsa", "cutover": "2026-06-16T00:00:00+00:00"}),
    ],
)
def test_presets_are_written_by_name(policy: Policy, written: object) -> None:
    engine = Engine(policy)
    assert dump(engine)["policy"] == written
    check_round_trip(engine)


@pytest.mark.parametrize("policy", [Policy(), CUSTOM, Policy(name="bitbybit")])
def test_a_policy_of_ones_own_is_written_with_all_its_fields(policy: Policy) -> None:
    engine = Engine(policy)
    assert dump(engine)["policy"].keys() >= {"name", "families", "allow_any", "keys"}
    check_round_trip(engine)


@pytest.mark.parametrize("kind", ["address", "cidr"])
@pytest.mark.parametrize("is_bare", [True, False])
def test_entries_are_written_in_the_one_form_that_the_policy_takes(kind: Any, is_bare: bool) -> None:
    engine = Engine(Policy(kinds=frozenset((kind,)), bare_addresses=is_bare))
    engine.put_key("key_1", ["203.0.113.5" if kind == "address" else "203.0.113.5/32"])
    check_round_trip(engine)


def test_a_zone_with_odd_seconds_survives() -> None:
    engine = Engine(Policy())
    odd = timezone(timedelta(hours=1, seconds=30, microseconds=5))
    expires = datetime(2026, 7, 1, 0, 0, 0, 7, tzinfo=odd)
    engine.put_key("key_1", [{"prefix": "203.0.113.5", "expires": expires}], created_at=expires)
    check_round_trip(engine)


def test_what_toml_cannot_hold_is_refused_and_json_holds_it() -> None:
    engine = Engine(Policy())
    engine.put_key("\ud800")
    assert dump(loads(dumps(engine, "json"), "json")) == dump(engine)
    with pytest.raises(ConfigError, match="half a surrogate pair cannot be written in TOML"):
        dumps(engine, "toml")


zones = st.sampled_from([UTC, timezone(2 * HOUR), timezone(-HOUR / 2)])
moments = st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1), timezones=zones)
conditions = st.builds(
    lambda effect, enabled, times: Condition(
        effect=effect, enabled=enabled, not_before=min(times, default=None), expires=max(times[1:], default=None)
    ),
    st.sampled_from(["allow", "deny"]),
    st.booleans(),
    st.lists(moments, max_size=2, unique_by=lambda moment: moment.timestamp()).map(sorted),
)


@st.composite
def entry_lists(draw: st.DrawFn) -> list[Entry]:
    entries = []
    for span in draw(span_lists(max_size=6)):
        condition = draw(st.one_of(st.none(), conditions))
        entries.append(Entry(format_span(span), draw(labels()), condition))
    return [entry for entry in entries if Policy().validate([entry]).ok]


names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=5).filter(str.strip)


@given(
    entry_lists(),
    st.dictionaries(names, st.tuples(entry_lists(), names), max_size=3),
    st.dictionaries(names, st.tuples(entry_lists(), st.sets(st.integers(0, 2)), st.booleans(), moments), max_size=4),
    st.booleans(),
    st.integers(-3, 2),
)
def test_any_engine_survives_the_round_trip(
    shadow: list[Entry],
    lists: dict[str, tuple[list[Entry], str]],
    keys: dict[str, tuple[list[Entry], set[int], bool, datetime]],
    is_enforced: bool,
    default: int,
) -> None:
    engine = Engine(Policy(), unknown_key="pass" if is_enforced else "deny", clock=CUTOVER.timestamp)
    for name, (entries, description) in lists.items():
        engine.put_list(name, entries, description=description)
    usable = [name for name, frozen in engine.lists().items() if frozen.entries]
    for name, (entries, links, enabled, created_at) in keys.items():
        linked = [usable[index] for index in sorted(links) if index < len(usable)]
        engine.put_key(
            name,
            entries,
            lists=linked[:1],
            within=linked[1:],
            enabled=enabled,
            created_at=created_at,
            owner=name if enabled else None,
        )
        if not enabled:
            engine.put_shadow(name, shadow)
    engine.set_default(usable[default] if 0 <= default < len(usable) else None)
    engine.set_enforced(is_enforced)
    check_round_trip(engine)
    copy = load(dump(engine), clock=CUTOVER.timestamp)
    probes = [entry.prefix.packed for entries, *_ in keys.values() for entry in entries]
    for name in [*keys, "nobody"]:
        for address in [*probes, "203.0.113.5", None]:
            assert copy.allows(name, address) == engine.allows(name, address)
            assert copy.check(name, address).reason == engine.check(name, address).reason


# -- Documents cut short ------------------------------------------------------

CAREFUL = """\
format = 1
policy = { name = "own", families = [4] }
unknown_key = "pass"
default = "office"
[[lists]]
name = "office"
[[lists.entries]]
prefix = "198.51.100.0/24"
effect = "deny"
[[keys]]
id = "key_1"
created_at = 2026-07-01T00:00:00Z
owner = '''
[end] of a text'''
within = ["office"]
[[keys.entries]]
prefix = "203.0.113.5"
label = "[end]"
expires = 2027-01-01T00:00:00Z
enabled = false
[end]
"""


@pytest.mark.parametrize("file_format", ["toml", "json"])
@pytest.mark.parametrize("source", ["example", "careful"])
def test_a_document_cut_short_at_any_byte_is_refused_or_means_the_same(
    file_format: Any, source: str, tmp_path: Path
) -> None:
    engine = load(EXAMPLE) if source == "example" else loads(CAREFUL, "toml")
    text = dumps(engine, file_format)
    if file_format == "toml":
        text = EXAMPLE.read_text(encoding="utf-8") if source == "example" else CAREFUL
    content = text.encode().replace(b"Vienna", "Wien\u00a0\u20ac".encode())
    path = tmp_path / f"cut.{file_format}"
    path.write_bytes(content)
    whole = dump(load(path))
    end = len(content.rstrip())
    for length in range(len(content)):
        path.write_bytes(content[:length])
        if length >= end:
            assert dump(load(path)) == whole
            continue
        with pytest.raises(ConfigError) as refused:
            load(path)
        assert refused.value.is_unreadable


def test_a_toml_file_needs_its_end_mark_as_the_last_line() -> None:
    text = 'format = 1\npolicy = "unkey"\n'
    for tail in ("[end]", "[end]\n\n", "  [end] \r\n", "[end]\n \n\t\n"):
        assert loads(text + tail, "toml").keys() == []
    for tail in ("", "# [end]", "[end]\n# more", "end = {}\n", "[end.x]", "[[end]]", "x = '''\n[end]\n'''"):
        with pytest.raises(ConfigError, match=r"the last line must be \[end\]"):
            loads(text + tail, "toml")


# -- What is refused ----------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "path", "reason"),
    [
        ({"format": 2}, "format", "must be 1, not 2"),
        ({"format": True}, "format", "must be 1, not true"),
        ({"policy": "acme"}, "policy", 'must be one of "bitbybit", "unkey", "pigment", not \'acme\'; nomsa needs'),
        ({"policy": "nomsa"}, "policy", "nomsa needs its cutover: "),
        ({"policy": None}, "policy", "must be a text or an object, not null"),
        ({"policy": {"preset": "nomsa"}}, "policy", "missing: cutover"),
        ({"policy": {"preset": "unkey", "cutover": "x"}}, "policy.cutover", "must be a date and time with its zone"),
        ({"policy": {"preset": "unkey", "cutover": "x"}}, "policy.preset", "must be \"nomsa\", not 'unkey'"),
        ({"policy": {"preset": "nomsa", "cutover": "2026-06-31T00:00:00Z"}}, "policy", "day is out of range"),
        ({"policy": {"min_prefix_v4": 33}}, "policy.min_prefix_v4", "must be at most 32"),
        ({"policy": {"min_entries": -1}}, "policy.min_entries", "must be at least 0"),
        ({"policy": {"max_entries": 2.0}}, "policy", "max_entries is a whole number at least 0, not 2.0"),
        ({"policy": {"max_entries": "2"}}, "policy.max_entries", "must be a whole number, not a text"),
        ({"policy": {"families": []}}, "policy.families", "must not be empty"),
        ({"policy": {"families": [4, 4]}}, "policy.families", "holds something twice"),
        ({"policy": {"families": [5]}}, "policy.families[0]", "must be one of 4, 6, not 5"),
        ({"policy": {"keys": {"pipeline": ["scope"]}}}, "policy", "a pipeline names each step once"),
        ({"policy": {"keys": {"response": "acme"}}}, "policy", "keys.response is one of problem, bitbybit, unkey, not"),
        ({"policy": {"keys": {"new_keys_need_list": True}}}, "policy", "needs a cutover"),
        ({"policy": {"keys": {"cutover": "2026-06-16T00:00:00"}}}, "policy.keys.cutover", "must be a date and time"),
        ({"unknown_key": "allow"}, "unknown_key", 'must be one of "deny", "pass", not \'allow\''),
        ({"enforced": "no"}, "enforced", "must be true or false, not a text"),
        ({"default": ""}, "default", "must not be empty"),
        ({"default": None}, "default", "must be a text, not null"),
        ({"policy": {}, "default": "office"}, "default", "there is no list 'office'"),
        ({"lists": [{"name": "a", "entries": []}], "default": "a"}, "default", "bitbybit has no default list"),
        ({"lists": {}}, "lists", "must be a list, not an object"),
        ({"keys": ["key_1"]}, "keys[0]", "must be an object, not a text"),
        ({"end": {"x": 1}}, "end", "unknown: 'x'; known: nothing"),
        ({"more": 1, "\x1b": 2}, "", r"unknown: 'more', '\x1b'; known: format, policy, unknown_key"),
        ({"lists": [{"name": "a"}]}, "lists[0]", "missing: entries"),
        ({"lists": [{"entries": []}]}, "lists[0]", "missing: name"),
        ({"lists": [{"name": "a", "entries": []}] * 2}, "lists[1].name", "'a' is there already"),
        ({"keys": [{}]}, "keys[0]", "missing: id, created_at"),
        ({"keys": [key(), key()]}, "keys[1].id", "'key_1' is there already"),
        ({"keys": [key(id="")]}, "keys[0].id", "must not be empty"),
        ({"keys": [key(id=" \n")]}, "keys[0].id", "must not be blank"),
        ({"lists": [{"name": " ", "entries": []}]}, "lists[0].name", "must not be blank"),
        ({"keys": [key(created_at="2026-07-01")]}, "keys[0].created_at", "must be a date and time with its zone"),
        ({"keys": [key(created_at="2026-07-01T00:00:00")]}, "keys[0].created_at", "must be a date and time with its"),
        ({"keys": [key(created_at="2026-07-32T00:00:00Z")]}, "keys[0].created_at", "day is out of range"),
        ({"keys": [key(created_at="2026-07-01T00:00:00Z\n")]}, "keys[0].created_at", "'2026-07-01T00:00:00Z\\n': "),
        ({"keys": [key(created_at=5)]}, "keys[0].created_at", "must be a date and time with its zone, such as"),
        ({"keys": [key(lists=["a", "a"])]}, "keys[0].lists", "holds something twice"),
        ({"keys": [key(lists=["a"])]}, "keys[0].lists[0]", "there is no list 'a'"),
        ({"keys": [key(within=["\n"])]}, "keys[0].within[0]", r"there is no list '\n'"),
        ({"keys": [key(enabled=None)]}, "keys[0].enabled", "must be true or false, not null"),
        ({"keys": [key(everyone=True)]}, "keys[0]", "unknown: 'everyone'; known: id, created_at, entries, lists"),
        ({"keys": [key(entries=None)]}, "keys[0].entries", "must be a list, not null"),
        ({"keys": [key(entries="203.0.113.5")]}, "keys[0].entries", "must be a list, not a text"),
        ({"keys": [key(entries=["010.0.0.1"])]}, "keys[0].entries[0]", "'010.0.0.1': an octet has no leading zero"),
        ({"keys": [key(entries=["10.0.0.0/8"])]}, "keys[0].entries[0]", "'10.0.0.0/8': an IPv4 range broader than /9;"),
        ({"keys": [key(entries=["203.0.113.7/24"])]}, "keys[0].entries[0]", "did you mean 203.0.113.0/24?"),
        ({"keys": [key(entries=[""])]}, "keys[0].entries[0]", "'': "),
        ({"keys": [key(entries=[5])]}, "keys[0].entries[0]", "must be a text or an object, not a number"),
        ({"keys": [key(entries=[{}])]}, "keys[0].entries[0]", "missing: prefix"),
        (
            {"keys": [key(entries=[{"prefix": "203.0.113.5", "effects": "deny"}])]},
            "keys[0].entries[0]",
            "unknown: 'effects'",
        ),
        (
            {"keys": [key(entries=[{"prefix": "203.0.113.5", "effect": "Deny"}])]},
            "keys[0].entries[0].effect",
            'must be one of "allow", "deny", not \'Deny\'',
        ),
        (
            {"keys": [key(entries=[{"prefix": "203.0.113.5", "enabled": None}])]},
            "keys[0].entries[0].enabled",
            "must be true or false, not null",
        ),
        (
            {"keys": [key(entries=[{"prefix": "203.0.113.5", "expires": "2026-02-30T00:00:00Z"}])]},
            "keys[0].entries[0]",
            "day is out of range",
        ),
        ({"keys": [key(shadow=["x"])]}, "keys[0].shadow[0]", "'x': unexpected character"),
        ({"keys": [key(entries=[f"203.0.113.{i}" for i in range(21)])]}, "keys[0].entries", "21 entries, at most 20"),
        ({"policy": "pigment", "keys": [key(entries=["203.0.113.5"])]}, "keys[0].entries", "link a named list"),
        (
            {"policy": "pigment", "lists": [{"name": "a", "entries": ["203.0.113.5"]}]},
            "lists[0]",
            "lists of pigment need a description",
        ),
        (
            {
                "policy": {"preset": "nomsa", "cutover": "2026-06-16T00:00:00Z"},
                "keys": [key(entries=["203.0.113.5"], enabled=False)],
            },
            "keys[0].enabled",
            "cannot do without its list",
        ),
    ],
)
def test_every_problem_has_its_path_and_reason(fields: dict[str, Any], path: str, reason: str) -> None:
    found = problems_of(document(**fields))
    assert any(at == path and reason in text for at, text in found), found
    assert all(text.isprintable() and text.isascii() for _, text in found)
    assert problems_of(json.loads(json.dumps(document(**fields)))) == found


@pytest.mark.parametrize("given", [None, [], 5, "x", True])
def test_a_document_is_an_object(given: object) -> None:
    [(path, reason)] = problems_of(given)
    assert (path, reason.startswith("must be an object, not ")) == ("", True)


def test_an_empty_document_says_what_is_missing() -> None:
    assert problems_of({}) == [("", "missing: format, policy")]


def test_all_problems_are_told_at_once_in_the_order_of_the_document(tmp_path: Path) -> None:
    path = tmp_path / "keys.toml"
    path.write_text(
        """
        format = 1
        policy = "bitbybit"
        more = 2026-07-01
        [[lists]]
        name = "office"
        entries = ["10.0.0.0/8", "203.0.113.5", { prefix = 5 }]
        [[keys]]
        id = "key_1"
        created_at = 2026-07-01
        entries = ["203.0.113.300", { prefix = "203.0.113.5", label = 2026-07-01T00:00:00Z }, "x"]
        lists = ["nowhere"]
        [end]
        """,
        encoding="utf-8",
    )
    with pytest.raises(ConfigError) as refused:
        load(path)
    assert [problem.path for problem in refused.value.problems] == [
        "",
        "keys[0].created_at",
        "keys[0].entries[0]",
        "keys[0].entries[1].label",
        "keys[0].entries[2]",
        "lists[0].entries[0]",
        "lists[0].entries[2].prefix",
    ]
    assert str(refused.value).splitlines()[1].startswith(f"{path}:keys[0].created_at: must be a date and time with")
    assert str(refused.value.problems[0]).startswith(f"{path}: unknown: 'more'")


def test_names_are_looked_up_as_soon_as_the_lists_can_be_read() -> None:
    bad_key = key(lists=["a", "b"], entries=["x"])
    found = problems_of(document(policy={}, lists=[{"name": "a", "entries": []}], keys=[bad_key], default="c"))
    assert [path for path, _ in found] == ["default", "keys[0].entries[0]", "keys[0].lists[1]"]


def test_nothing_is_judged_by_a_policy_that_cannot_be_read() -> None:
    found = problems_of(document(policy="x", keys=[key(entries=["10.0.0.0/99"])], default="a"))
    assert [path for path, _ in found] == ["policy"]


def test_a_list_that_is_no_list_of_names_is_told_once() -> None:
    found = problems_of(document(keys=[key(lists=[["a"]], within="a", owner=5)], lists=[{"name": 5, "entries": []}]))
    assert [path for path, _ in found] == ["keys[0].lists[0]", "keys[0].owner", "keys[0].within", "lists[0].name"]


# -- What cannot be read ------------------------------------------------------


def unreadable(path: Path) -> str:
    with pytest.raises(ConfigError) as refused:
        load(path)
    assert refused.value.is_unreadable
    return str(refused.value)


def test_a_file_that_is_no_document_says_why(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    assert unreadable(path) == f"{path}: cannot be read: No such file or directory"
    path.write_bytes(b"format = 1\n\xff")
    assert unreadable(path) == f"{path}:2: is not UTF-8: byte 0xff"
    path.write_text("format = 1\nformat = 1\n[end]", encoding="utf-8")
    assert unreadable(path).startswith(f"{path}: is not TOML: Cannot overwrite a value (at line 2")
    path = tmp_path / "a.json"
    path.write_text('{"format": 1, "format": 1}', encoding="utf-8")
    assert unreadable(path) == f"{path}: is not JSON: the key 'format' stands twice"
    path.write_text('{"format": 1', encoding="utf-8")
    assert unreadable(path).startswith(f"{path}: is not JSON: Expecting ',' delimiter")
    assert unreadable(tmp_path / "a.yaml").endswith("a.yaml: the suffix tells no format: .toml or .json was expected")


def test_a_document_that_is_nested_too_deep_is_refused() -> None:
    for depth in (500, 100_000):
        text = '{"format": 1, "policy": "unkey", "keys": [{"lists": ' + "[" * depth + "]" * depth + "}]}"
        with pytest.raises(ConfigError):
            loads(text, "json")
    with pytest.raises(ConfigError, match="too deep"):
        loads("[" * 100_000, "json")


@pytest.mark.parametrize(("missing", "call"), [("jsonschema", load), ("tomli_w", lambda _: dumps(Engine(), "toml"))])
def test_a_missing_extra_is_named_with_the_way_to_get_it(
    missing: str, call: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'cidrmatch\[config\]'"):
        call(EXAMPLE)


def test_json_is_written_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tomli_w", None)
    monkeypatch.setitem(sys.modules, "jsonschema", None)
    assert json.loads(dumps(Engine(), "json"))["format"] == 1


# -- The schema, and restore --------------------------------------------------


def test_the_schema_is_one_and_refuses_what_loading_refuses() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())
    validator = jsonschema.Draft202012Validator(schema())
    assert validator.is_valid(document())
    assert not validator.is_valid(document(more=1))
    assert schema() is not schema()


def test_a_written_toml_file_is_one_for_other_readers_too() -> None:
    written = dump(load(EXAMPLE))
    assert dumps(load(EXAMPLE), "toml") == tomli_w.dumps(written) + "\n[end]\n"


def test_restore_replaces_everything_in_one_commit_or_nothing() -> None:
    engine = load(EXAMPLE)
    before = dump(engine)
    record = KeyRecord(created_at=CUTOVER, lists=("gone",))
    for keys, default in (({"a": record}, None), ({}, "gone")):
        with pytest.raises(CidrmatchError, match="no list 'gone'"):
            engine.restore(keys=keys, default=default)
        assert (dump(engine), engine.version) == (before, 1)
    engine.restore(keys={"a": record}, lists=[FrozenList("gone", ())])
    assert (engine.keys(), list(engine.lists()), engine.version) == (["a"], ["gone"], 2)
    assert not engine.allows("key_backup", "203.0.113.5")


def test_problems_are_values() -> None:
    problem = ConfigProblem("a.toml", "keys[0]", "wrong")
    error = ConfigError([problem])
    assert isinstance(error, ValueError)
    assert isinstance(error, CidrmatchError)
    assert (str(error), error.problems) == ("a.toml:keys[0]: wrong", (problem,))


# -- What opens a key ---------------------------------------------------------


def warnings_of(given: Any) -> list[str]:
    found: list[str] = []
    load(given, warn=lambda problem: found.append(str(problem)))
    return found


def test_no_entries_that_leave_a_key_open_are_told_in_a_warning() -> None:
    told = ["<document>:keys[0].entries: no entries: every address passes"]
    assert warnings_of(document(keys=[key(entries=[])])) == told
    assert warnings_of(document(policy="pigment", keys=[key(entries=[])])) == told
    assert warnings_of(document(keys=[key(entries=["203.0.113.5"])])) == []
    assert warnings_of(document(keys=[key()])) == [], "left out on purpose"


def test_no_entries_that_leave_a_key_shut_are_no_warning() -> None:
    office = [{"name": "office", "description": "x", "entries": ["198.51.100.0/24"]}]
    nomsa = {"preset": "nomsa", "cutover": "2026-01-01T00:00:00Z"}
    assert warnings_of(document(policy=nomsa, keys=[key(entries=[])])) == []
    assert warnings_of(document(lists=office, keys=[key(entries=[], lists=["office"])])) == []
    assert warnings_of(document(policy="pigment", lists=office, default="office", keys=[key(entries=[])])) == []


def test_a_warning_is_logged_if_nobody_asks_for_it(caplog: pytest.LogCaptureFixture) -> None:
    loads(json.dumps(document(keys=[key(entries=[])])), "json", name="keys.json")
    assert caplog.messages == ["keys.json:keys[0].entries: no entries: every address passes"]


# -- Growth -------------------------------------------------------------------

KEY_TOML = 'format = 1\npolicy = "unkey"\n[[keys]]\nid = "a"\ncreated_at = 2026-01-01T00:00:00Z\n'
HOSTILE = {
    "one dotted key": "a." * 20_000 + "a = 1",
    "one quoted dotted key": '"a".' * 10_000 + "a = 1",
    "one dotted table": "[" + "a." * 20_000 + "a]",
    "tables for names": KEY_TOML + "lists = [" + "{a=1}," * 6_000 + "]",
    "all kinds for names": KEY_TOML + "lists = [" + '0,"a",[],' * 4_000 + "]",
    "numbers for entries": KEY_TOML + "entries = [" + "0," * 20_000 + "]",
    "strings that never end": 'a = """' + '\\"""' * 10_000,
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_document_of_40_kB_is_refused_in_little_time_and_memory(kind: str) -> None:
    text = HOSTILE[kind] + "\n[end]\n"
    begin = time.process_time()
    with pytest.raises(ConfigError):
        loads(text, "toml")
    assert time.process_time() - begin < 3
    tracemalloc.start()
    with pytest.raises(ConfigError):
        loads(text, "toml")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 50_000_000


def test_dots_in_strings_and_comments_are_no_parts_of_a_key() -> None:
    dots = "." * 100
    text = f"""# {dots}
format = 1 # {dots}
policy = {{ name = "{dots}\\"{dots}" }}
[[keys]]
id = '{dots}'
created_at = 2026-01-01T00:00:00.5Z
owner = \"\"\"{dots}\\"\"\"{dots}\"\"\"\"\"
entries = [{{ prefix = "203.0.113.5", label = \'\'\'{dots}''{dots}\'\'\' }}]
[end]
"""
    engine = loads(text, "toml")
    assert engine.keys() == [dots]
    assert engine.key(dots).owner == f'{dots}"""{dots}""'


def test_of_very_many_mistakes_the_first_are_told() -> None:
    found = problems_of(document(keys=[5] * 5_000))
    assert found[0] == ("", "more than 1,000 mistakes; these are the first")
    assert len(found) == 1_001
    assert len(problems_of(document(keys=[5] * 900))) == 900


@pytest.mark.parametrize(("given", "shown"), [(2, "2"), (0, "0"), (1.5, "1.5"), (True, "true"), (1 << 80, "a number")])
def test_a_wrong_number_is_shown_as_it_is(given: object, shown: str) -> None:
    assert problems_of(document(format=given)) == [("format", f"must be 1, not {shown}")]


def test_a_configuration_may_name_its_schema_for_editors() -> None:
    written = document(**{"$schema": "./config.schema.json"})
    assert loads(json.dumps(written), "json").policy.name == "bitbybit"
    assert loads('"$schema" = "x"\nformat = 1\npolicy = "bitbybit"\n[end]', "toml").policy.name == "bitbybit"
    assert problems_of(document(**{"$schema": 1})) == [("$schema", "must be a text, not a number")]
