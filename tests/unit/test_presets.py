"""The four presets, statement by statement; the id of the statement is in the name of its test."""

from typing import Any

import pytest

from cidrmatch import AllowList, Entry, Policy, PolicyError, Prefix, presets

NOMSA, BITBYBIT, UNKEY, PIGMENT = presets.nomsa(), presets.bitbybit(), presets.unkey(), presets.pigment()
ALL = {"nomsa": NOMSA, "bitbybit": BITBYBIT, "unkey": UNKEY, "pigment": PIGMENT}
TWENTY = [f"203.0.113.{low}" for low in range(1, 21)]


def error_codes(policy: Policy, entries: list[Any]) -> set[tuple[int | None, str]]:
    return {(problem.index, problem.code) for problem in policy.validate(entries).errors}


def warning_codes(policy: Policy, entries: list[Any]) -> set[tuple[int | None, str]]:
    return {(problem.index, problem.code) for problem in policy.validate(entries).warnings}


def stored(policy: Policy, entries: list[Any]) -> list[str]:
    return [policy.canonical(entry.prefix) for entry in policy.accept(entries)]


def is_silent(policy: Policy, entries: list[Any]) -> bool:
    """Accepted, and without so much as a warning."""
    return policy.validate(entries).problems == ()


def test_presets_are_found_by_name() -> None:
    assert {name: make() for name, make in presets.PRESETS.items()} == ALL
    assert {policy.name for policy in ALL.values()} == set(ALL)


# Nomsa


def test_N8_private_address_is_accepted_without_complaint() -> None:
    assert is_silent(NOMSA, ["192.168.1.100"])
    assert stored(NOMSA, ["192.168.1.100"]) == ["192.168.1.100"]


@pytest.mark.parametrize("entry", ["2001:db8::1", "::1", "fe80::1", "::"])
def test_N8_ipv6_addresses_are_refused(entry: str) -> None:
    assert (0, "family") in error_codes(NOMSA, [entry])


def test_N9_twenty_addresses_pass_and_the_21st_is_refused() -> None:
    assert stored(NOMSA, TWENTY) == TWENTY
    assert {code for _, code in error_codes(NOMSA, [*TWENTY, "203.0.113.21"])} == {"too_many_entries"}


@pytest.mark.parametrize("again", ["203.0.113.5", "::ffff:203.0.113.5", b"\xcb\x00\x71\x05"])
def test_N10_duplicates_are_an_error_not_a_merge(again: Any) -> None:
    assert (2, "duplicate") in error_codes(NOMSA, ["203.0.113.5", "203.0.113.6", again])
    with pytest.raises(PolicyError):
        AllowList(["203.0.113.5", again], policy=NOMSA)


@pytest.mark.parametrize("entry", ["203.0.113.0/24", "203.0.113.5/32", "0.0.0.0/0", "10.0.0.0/8"])
def test_N11_cidr_is_refused_even_a_32(entry: str) -> None:
    assert (0, "kind") in error_codes(NOMSA, [entry])


@pytest.mark.parametrize(
    "entry", ["203.0.113.1-203.0.113.9", "203.0.113.1-9", "203.0.113.1 - 203.0.113.9", "203.0.113.1\u2013203.0.113.9"]
)
def test_N12_dash_ranges_are_refused(entry: str) -> None:
    assert {code for _, code in error_codes(NOMSA, [entry])} & {"unexpected_character", "not_ascii"}
    with pytest.raises(PolicyError):
        NOMSA.accept(["203.0.113.1", entry])


def test_nomsa_wants_one_address_and_no_labels() -> None:
    assert (None, "too_few_entries") in error_codes(NOMSA, [])
    assert (0, "label_refused") in error_codes(NOMSA, [("203.0.113.5", "Office")])


# bitbybit


def test_B13_single_ipv4_address_is_stored_as_a_32() -> None:
    assert stored(BITBYBIT, ["203.0.113.10"]) == ["203.0.113.10/32"]
    allow = AllowList(["203.0.113.10"], policy=BITBYBIT)
    assert allow.contains_many(["203.0.113.9", "203.0.113.10", "203.0.113.11"]) == b"\0\1\0"


def test_B14_range_matches_from_the_first_to_the_last_address() -> None:
    allow = AllowList(["203.0.113.0/24"], policy=BITBYBIT)
    assert allow.contains_many([f"203.0.113.{low}" for low in range(256)]) == b"\1" * 256
    assert allow.contains_many(["203.0.112.255", "203.0.114.0"]) == b"\0\0"


def test_B15_single_ipv6_address_is_stored_as_a_128() -> None:
    assert stored(BITBYBIT, ["2001:db8::1"]) == ["2001:db8::1/128"]


def test_B16_ipv6_range_is_valid() -> None:
    assert stored(BITBYBIT, ["2001:db8::/48"]) == ["2001:db8::/48"]


def test_B17_twenty_entries_pass_and_the_21st_is_refused() -> None:
    assert len(BITBYBIT.accept(TWENTY)) == 20
    assert {code for _, code in error_codes(BITBYBIT, [*TWENTY, "198.51.100.0/24"])} == {"too_many_entries"}


@pytest.mark.parametrize("length", range(1, 33))
def test_B18_ipv4_ranges_broader_than_9_are_refused(length: int) -> None:
    assert error_codes(BITBYBIT, [f"128.0.0.0/{length}"]) == ({(0, "prefix_too_broad")} if length < 9 else set())


@pytest.mark.parametrize("length", range(1, 129))
def test_B19_ipv6_ranges_broader_than_33_are_refused(length: int) -> None:
    assert error_codes(BITBYBIT, [f"8000::/{length}"]) == ({(0, "prefix_too_broad")} if length < 33 else set())


def test_B20_label_comes_back_on_reading() -> None:
    entries: list[Any] = [("203.0.113.10", "Gateway"), {"prefix": "198.51.100.0/24", "label": "Office"}, "2001:db8::1"]
    allow = AllowList(entries, policy=BITBYBIT)
    assert list(allow) == [Entry("198.51.100.0/24", "Office"), Entry("203.0.113.10", "Gateway"), Entry("2001:db8::1")]
    found = allow.match("198.51.100.7")
    assert found is not None
    assert found.label == "Office"


def test_B21_documented_examples_are_valid() -> None:
    assert is_silent(BITBYBIT, ["203.0.113.10", "198.51.100.0/24", "35.192.0.0/12"])


@pytest.mark.parametrize("entry", ["10.1.2.3", "172.16.0.0/12", "192.168.1.0/24", "10.0.0.0/9", "172.31.255.255"])
def test_B22_B23_private_ranges_are_accepted_with_a_warning_that_says_so(entry: str) -> None:
    report = BITBYBIT.validate([entry])
    assert (report.ok, len(report.accepted)) == (True, 1)
    assert [(problem.index, problem.code) for problem in report.warnings] == [(0, "private")]
    assert "private" in str(report.warnings[0]).lower()


def test_B24_families_mix_in_one_list() -> None:
    allow = AllowList(["203.0.113.10", "2001:db8::/48"], policy=BITBYBIT)
    assert allow.contains_many(["203.0.113.10", "2001:db8::7", "203.0.113.11", "2001:db9::"]) == b"\1\1\0\0"


# Unkey


def test_U3_private_address_is_valid() -> None:
    assert is_silent(UNKEY, ["192.168.1.100"])


def test_U4_no_minimum_prefix() -> None:
    assert is_silent(UNKEY, ["10.0.0.0/8"])
    assert error_codes(UNKEY, ["0.0.0.0/1", "8000::/1"]) == set()


def test_U5_ipv6_addresses_and_ranges_are_valid() -> None:
    assert is_silent(UNKEY, ["2001:db8::/32"])
    assert is_silent(UNKEY, ["2001:db8::1"])


def test_U13_range_covers_servers_that_are_added_later() -> None:
    allow = AllowList(["10.0.0.0/24"], policy=UNKEY)
    assert allow.contains_many([f"10.0.0.{low}" for low in range(256)]) == b"\1" * 256
    assert "10.0.1.0" not in allow


def test_unkey_has_no_limit_and_no_labels() -> None:
    assert len(UNKEY.accept([bytes([203, 0, high, low + 1]) for high in range(4) for low in range(250)])) == 1000
    assert UNKEY.accept([]) == ()
    assert (0, "label_refused") in error_codes(UNKEY, [("203.0.113.5", "Office")])


# Pigment


@pytest.mark.parametrize("entry", ["2001:db8::1", "2001:db8::/32", "::/0"])
def test_P4_ipv6_is_refused(entry: str) -> None:
    assert (0, "family") in error_codes(PIGMENT, [entry])
    assert (1, "family") in error_codes(PIGMENT, ["203.0.113.5", entry])


def test_P4_ipv4_is_accepted() -> None:
    assert is_silent(PIGMENT, ["203.0.113.5"])


def test_P5_range_covers_its_first_and_its_last_address() -> None:
    allow = AllowList(["198.51.100.0/24"], policy=PIGMENT)
    assert allow.contains_many([f"198.51.100.{low}" for low in range(256)]) == b"\1" * 256
    assert allow.contains_many(["198.51.99.255", "198.51.101.0"]) == b"\0\0"


@pytest.mark.parametrize("entry", ["198.51.100.1-198.51.100.9", "198.51.100.1-9"])
def test_P5_dash_ranges_are_refused(entry: str) -> None:
    assert (0, "unexpected_character") in error_codes(PIGMENT, [entry])


def test_pigment_wants_one_address_and_no_labels_on_entries() -> None:
    assert (None, "too_few_entries") in error_codes(PIGMENT, [])
    assert (0, "label_refused") in error_codes(PIGMENT, [("203.0.113.5", "Office")])


# Where they disagree


def test_C1_smallest_ipv4_prefix_is_9_in_bitbybit_and_any_elsewhere() -> None:
    assert error_codes(BITBYBIT, ["128.0.0.0/9"]) == set()
    assert error_codes(BITBYBIT, ["128.0.0.0/8"]) == {(0, "prefix_too_broad")}
    for policy in (UNKEY, PIGMENT):
        assert error_codes(policy, ["128.0.0.0/8"]) == error_codes(policy, ["128.0.0.0/1"]) == set()


def test_C2_smallest_ipv6_prefix_is_33_in_bitbybit_and_any_in_unkey() -> None:
    assert error_codes(BITBYBIT, ["2001:db8::/33"]) == set()
    assert error_codes(BITBYBIT, ["2001:db8::/32"]) == {(0, "prefix_too_broad")}
    assert error_codes(UNKEY, ["2001:db8::/32"]) == error_codes(UNKEY, ["8000::/1"]) == set()


def test_C3_minimum_prefix_is_a_field_per_family() -> None:
    fields = {name: (policy.min_prefix_v4, policy.min_prefix_v6) for name, policy in ALL.items()}
    assert fields == {"nomsa": (None, None), "bitbybit": (9, 33), "unkey": (None, None), "pigment": (None, None)}


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("nomsa", "203.0.113.5"),
        ("bitbybit", "203.0.113.5/32"),
        ("unkey", "203.0.113.5/32"),
        ("pigment", "203.0.113.5/32"),
    ],
)
def test_C4_nomsa_shows_the_bare_address_the_others_the_prefix(name: str, shown: str) -> None:
    assert ALL[name].canonical(Prefix("203.0.113.5")) == shown
    assert stored(ALL[name], ["203.0.113.5"]) == [shown]


@pytest.mark.parametrize("entry", ["10.1.2.3", "127.0.0.1", "169.254.1.1", "100.64.0.1", "192.168.0.1"])
def test_C5_private_warns_in_bitbybit_and_is_silent_elsewhere(entry: str) -> None:
    assert warning_codes(BITBYBIT, [entry]) == {(0, "private")}
    for policy in (NOMSA, UNKEY, PIGMENT):
        assert is_silent(policy, [entry])


@pytest.mark.parametrize("entry", ["203.0.113.5", "2001:db8::1"])
def test_C5_documentation_addresses_do_not_warn_in_bitbybit(entry: str) -> None:
    assert is_silent(BITBYBIT, [entry])


def test_C6_nomsa_refuses_duplicates_the_others_keep_the_first() -> None:
    again = ["203.0.113.5", "::ffff:203.0.113.5"]
    assert (1, "duplicate") in error_codes(NOMSA, again)
    for policy in (BITBYBIT, UNKEY, PIGMENT):
        assert error_codes(policy, again) == set()
        assert (1, "duplicate") in warning_codes(policy, again)
        assert stored(policy, again) == ["203.0.113.5/32"]


def test_C6_bitbybit_keeps_the_first_label() -> None:
    assert BITBYBIT.accept([("2001:DB8::1", "first"), ("2001:db8:0::1/128", "second")]) == (
        Entry("2001:db8::1", "first"),
    )


@pytest.mark.parametrize("name", ["bitbybit", "unkey", "pigment"])
def test_C15_host_bits_are_refused_by_every_preset_that_takes_ranges(name: str) -> None:
    report = ALL[name].validate(["203.0.113.7/24", "203.0.113.5"])
    assert [(problem.index, problem.code) for problem in report.errors] == [(0, "host_bits")]
    assert "203.0.113.0/24" in (report.errors[0].hint or "")


@pytest.mark.parametrize("name", ALL)
def test_C16_mapped_entry_and_mapped_client_are_ipv4_in_every_preset(name: str) -> None:
    allow = AllowList(["::ffff:203.0.113.5"], policy=ALL[name])
    assert list(allow) == [Entry("203.0.113.5")]
    assert allow.contains_many(["203.0.113.5", "::ffff:203.0.113.5", "::203.0.113.5"]) == b"\1\1\0"
    assert (0, "mapped") in warning_codes(ALL[name], ["::ffff:203.0.113.5"])


def test_C17_twenty_counts_after_collapsing() -> None:
    doubled = TWENTY + [f"{text}/32" for text in TWENTY]
    assert len(BITBYBIT.accept(doubled)) == 20
    assert "too_many_entries" in {code for _, code in error_codes(BITBYBIT, [*doubled, "198.51.100.1"])}


def test_C18_labels_in_bitbybit_have_1_to_255_characters() -> None:
    assert error_codes(BITBYBIT, [("203.0.113.5", "x" * 255)]) == set()
    for label in ("", "x" * 256, "a\nb"):
        assert error_codes(BITBYBIT, [("203.0.113.5", label)]) == {(0, "label_invalid")}


def test_C24_everyone_warns_where_it_is_allowed() -> None:
    for policy, entry in [(UNKEY, "0.0.0.0/0"), (UNKEY, "::/0"), (PIGMENT, "0.0.0.0/0")]:
        assert error_codes(policy, [entry]) == set()
        assert "no_restriction" in {code for _, code in warning_codes(policy, [entry])}
    for entry in ("0.0.0.0/0", "::/0"):
        assert (0, "prefix_too_broad") in error_codes(BITBYBIT, [entry])


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("entry", ["0.0.0.0", "224.0.0.1", "255.255.255.255"])
def test_C25_entries_that_never_match_are_refused_by_every_preset(name: str, entry: str) -> None:
    assert (0, "never_matches") in error_codes(ALL[name], [entry])


@pytest.mark.parametrize("name", ["bitbybit", "unkey"])
@pytest.mark.parametrize("entry", ["::", "ff02::1"])
def test_C25_ipv6_entries_that_never_match_are_refused(name: str, entry: str) -> None:
    assert (0, "never_matches") in error_codes(ALL[name], [entry])


# What none of them may ever take


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize(
    "entry", ["", "/0", "/abc", "10.0.0.0/", "10.0.0.0/abc", "10.0.0.0/8junk", "10.0.0.0/99", "0", "*", "any", "all"]
)
def test_text_that_other_libraries_read_as_everyone_is_refused(name: str, entry: str) -> None:
    report = ALL[name].validate(["203.0.113.5", entry])
    assert 1 in {problem.index for problem in report.errors}
    assert report.accepted == ()
