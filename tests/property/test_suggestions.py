"""No suggestion is refused by its own policy, and none broadens what was meant.

What a text means is read here a second time, by a twin that shares nothing with the repairs: it turns slips of one
kind after the other into spans of `tests.reference`, and gives every reading that a text may have.  A suggestion has to
name the addresses of a reading, and no address that some reading leaves out.
"""

import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cidrmatch import InvalidPrefix, Policy, Problem, parse_prefix, presets
from tests.conftest import PROFILE
from tests.reference import (
    Refused,
    Span,
    bits_of,
    build_span,
    fold_span,
    format_number,
    length_of,
    parse_ipv4,
    parse_ipv6,
    span_covers,
)
from tests.reference import parse_prefix as twin_prefix
from tests.strategies import addresses, any_texts, damaged, prefix_texts, spellings

MANY = settings(max_examples=10_000 if PROFILE == "night" else settings.default.max_examples * 2)  # type: ignore[union-attr]

POLICIES = {
    **{name: make() for name, make in presets.PRESETS.items()},
    "plain": Policy(),
    "addresses": Policy(kinds=frozenset({"address"})),
    "five addresses": Policy(kinds=frozenset({"address"}), max_entries=5),
    "ranges": Policy(kinds=frozenset({"cidr"})),
    "narrow ranges": Policy(kinds=frozenset({"cidr"}), min_prefix_v4=32, min_prefix_v6=128),
    "IPv6": Policy(families=frozenset({6}), min_prefix_v6=48, allow_any=False),
    "public": Policy(private="reject", allow_any=False, min_prefix_v4=16),
    "masking": Policy(host_bits="mask"),
    "no repetition": Policy(duplicates="reject", min_entries=2),
}

ODD = [
    *("::ffff:192.0.2.1/96", "::ffff:192.0.2.1/95", "::ffff:192.0.2.1/097", "::ffff:0:0/096", "10.0.0.1/0"),
    *(
        "0.0.0.1/0",
        "::1/0",
        "*/0",
        "00.*",
        "::ffff:127.0.0.1/97",
        "*",
        "*.*",
        "*.*.*.*",
        "0/0",
        "0/00",
        "10/8",
        "10/08",
        "10/32",
        "172.16/12",
    ),
    *("172.16/24", "1/1", "10.*", "10.1.*", "10.1.2.*", "10.*.2.*", "*.1.2.3", "10.*/8", "010.*", "[10.0.0.0/8]"),
    *("[10.*]", "10.0.0.0/255.0.0.0", "10.0.0.0/0.255.255.255", "10.0.0.1/0.0.0.0", "10.0.0.1/255.255.255.255"),
    *("10.0.0.1/128.0.0.0", "10/255.0.0.0", "10.1.2.3/0.0.0.255", "203.0.113.0-203.0.113.255", "203.0.113.0-255"),
    *("203.0.113.1-9", "0.0.0.0-255.255.255.255", "0.0.0.0-127.255.255.255", "::-ffff::", "203.0.113.9-203.0.113.9"),
    *("010.0.0.1", "192.168.010.008", "192.168.001.009", "010.0.0.0/8", "10.0.0.0/024", "10.0.0.0/08", "10.0.0.0/010"),
    *("0177.0.0.1", "10.0.0.00/8", "203.0.113.5:443", "203.0.113.5:443/24", "203.0.113.0/24:443", "[2001:db8::1]:443"),
    *("[2001:db8::]/64", "[2001:db8::]:80/64", "[::]/0", "[::1", "::1]", "[::ffff:0:0]/96", "fe80::1%eth0"),
    *("fe80::1%eth0/64", "fe80::%eth0-fe80::f%eth0", "fe80::%eth0-fe80::f", "10.0.0.1%eth0", "fe80::1%25eth0/0"),
    *("::%0/0", "\uff11\uff10.0.0.1", "10.0.0.0/\uff12\uff14", "10\uff0e0.0.1", "10.0.0.\xb2", "10.0.0.0/2\u2074"),
    *("\u0661\u0660.0.0.1", "\u2460.2.3.4", "10.0.0.1", "203.0.113.7/24", "203.0.113.7/2", "203.0.113.7/7"),
    *("203.0.113.7/8", "2001:db8::1/15", "2001:db8::1/16", "2001:db8::1/48", "224.0.0.1/24", "0.0.0.1/24"),
    *("127.0.0.1/8", "10.0.0.1 2", "10.0.0.0/1 6", "1 0.0.0.1", "10.0.0.1 10.0.0.2", "1:: 2:3", "10.0.0.1\n2"),
    *("10.0.0.1\x00", "10.0.0\x00.1", " 10.0.0.1", "10.0.0.1\r\n", "\t10.0.0.0/8 ", "10.0.0.0 / 8"),
    *("10.0.0.0 - 10.0.0.255", "10.0.0.1 /24", " 10.0.0.1/0 ", "10.0.0.1/ 0", "203.0.113.5 :443", "[ ::1 ]"),
    *("10.0.0.0/8\n11.0.0.0/8", "\xa010.0.0.1", "10.0.0.1,10.0.0.2"),
]


# -- The twin: what a text may mean -------------------------------------------

LOOK_ALIKE = {chr(0xFF01 + code): chr(0x21 + code) for code in range(94)}


def readings(text: str) -> list[Span]:
    """Every span that a text may mean; empty if it means nothing, or who knows what."""
    plain = "".join(LOOK_ALIKE.get(character, character) for character in text).strip().strip("\0").strip()
    plain = re.sub("[ \t]*([-/])[ \t]*", "\\1", plain)
    brackets, port, zone = r"\[([^][]*)\]?(?::[0-9]+)?(/.*)?", r"([0-9*/.]+):[0-9]+()", r"([^%/]*:[^%/]*)%[^:/%]*(/.*)?"
    if found := re.fullmatch(brackets, plain) or re.fullmatch(port, plain):
        plain = found[1] + (found[2] or "")
    if found := re.fullmatch(zone, plain):
        plain = found[1] + (found[2] or "")
    return [span for reading in (read_range, read_stars, read_prefix) for span in reading(plain)]


def numbers_of(text: str) -> list[int]:
    """What a decimal number may mean: with a leading zero octal, too."""
    if not re.fullmatch("[0-9]+", text):
        raise Refused(text)
    is_octal = len(text) > 1 and text[0] == "0" and re.fullmatch("[0-7]+", text)
    return sorted({int(text, 10), int(text, 8)} if is_octal else {int(text, 10)})


def ends_of(text: str) -> list[tuple[int, int]]:
    """What an address may be: family and number."""
    if ":" in text:
        return [(6, parse_ipv6(text))]
    octets = [numbers_of(octet) for octet in text.split(".")]
    if len(octets) != 4 or any(number > 255 for octet in octets for number in octet):
        raise Refused(text)
    found = [0]
    for octet in octets:
        found = [number * 256 + last for number in found for last in octet]
    return [(4, number) for number in found]


def read_range(text: str) -> list[Span]:
    first, dash, last = text.partition("-")
    if not dash:
        return []
    if "." in first and re.fullmatch("[0-9]+", last):
        last = first.rpartition(".")[0] + "." + last
    try:
        [(family, start)], [(other, end)] = ends_of(first), ends_of(last)
    except (Refused, ValueError):
        return []
    return [fold_span(Span(family, start, end))] if family == other and start <= end else []


def read_stars(text: str) -> list[Span]:
    octets = text.split(".")
    known = [octet for octet in octets if octet != "*"]
    if "*" not in octets or octets[: len(known)] != known or len(octets) > 4:
        return []
    try:
        ends = ends_of(".".join(known + ["0"] * (4 - len(known))))
    except Refused:
        return []
    return [build_span(4, number, 8 * len(known)) for _, number in ends]


def read_prefix(text: str) -> list[Span]:
    """An address, perhaps short, and a length, or a mask in either of its two directions."""
    address, slash, tail = text.partition("/")
    found = []
    for length in lengths_of(tail) if slash else [None]:
        given_octets = address.count(".") + 1
        if ":" not in address and given_octets < 4 and length is not None:
            # As BSD reads it, zeros follow; as C functions read it, the last number fills what is left.
            if length > 8 * given_octets:
                return []
            address_now = address + ".0" * (4 - given_octets)
        else:
            address_now = address
        try:
            ends = ends_of(address_now)
        except Refused:
            return []
        for family, number in ends:
            bits = bits_of(family)
            if length is not None and length > bits:
                return []
            is_mapped = family == 6 and number >> 32 == 0xFFFF
            if is_mapped and length is not None and length < 96:
                return []  # neither IPv4 nor what anybody means in IPv6
            found.append(fold_span(build_span(family, number, bits if length is None else length)))
    return found


def lengths_of(text: str) -> list[int]:
    if re.fullmatch("[0-9]{1,4}", text):
        return numbers_of(text)
    try:
        mask = parse_ipv4(text)
    except Refused:
        return []
    ones = {(1 << 32) - (1 << (32 - length)): length for length in range(33)}  # 255.255.0.0
    found = [ones[bits] for bits in (mask, mask ^ 0xFFFFFFFF) if bits in ones]
    return [max(found)] if mask == 0xFFFFFFFF else found  # of /32 and /0 only the first is what anybody writes so


# -- The laws -----------------------------------------------------------------


def check_names_what_was_meant(text: str, suggestion: str) -> None:
    meant = readings(text)
    suggested = twin_prefix(suggestion)
    assert meant, f"{suggestion!r} for {text!r}, which means nothing"
    for span in meant:
        assert span_covers(span, suggested), f"{suggestion!r} for {text!r} broadens {span}"
    assert length_of(suggested) >= {4: 8, 6: 16}[suggested.family], f"{suggestion!r} for {text!r} nearly opens a family"


def check_is_taken(policy: Policy, suggestion: str, label: str | None) -> None:
    report = replace(policy, min_entries=0).validate([(suggestion, label)])
    assert report.ok, f"{policy.name} suggests {suggestion!r}: {report.errors}"
    assert {"no_restriction", "most_addresses"}.isdisjoint(problem.code for problem in report.problems)


def check_hints(policy: Policy, text: str, label: str | None) -> None:
    for problem in policy.validate([(text, label)]).problems:
        quoted = re.findall(r"did you mean (\S+)\?|^write (\S+)$", problem.hint or "")
        assert [problem.suggestion] == ["".join(found) for found in quoted] or (
            problem.suggestion is None and not quoted
        )
        if problem.suggestion is not None:
            check_is_taken(policy, problem.suggestion, label)
            check_names_what_was_meant(text, problem.suggestion)
        check_can_be_followed(policy, problem, text, label)


def check_can_be_followed(policy: Policy, problem: Problem, text: str, label: str | None) -> None:
    """What a hint advises beside a text of its own is accepted, too."""
    hint = problem.hint or ""
    if found := re.fullmatch(r"use /(\d+) or a longer prefix", hint):
        first = str(parse_prefix(text, host_bits="mask")).partition("/")[0]
        check_is_taken(policy, f"{first}/{found[1]}", label)
    elif found := re.fullmatch(r"list its (\d+) addresses one by one", hint):
        span = twin_prefix(text, mask=True)
        every = [(format_number(span.family, number), label) for number in range(span.first, span.last + 1)]
        assert len(every) == int(found[1])
        assert replace(policy, min_entries=0).validate(every).ok
    elif hint == "leave the label out":
        assert policy.labels == "refuse"
    else:
        assert problem.suggestion is not None or hint == "" or problem.code in GENERAL


GENERAL = {"private", "duplicate", "no_restriction", "too_many_entries", "covered"}
"""Problems whose hint names no text and depends on no limit."""


@st.composite
def odd_texts(draw: st.DrawFn) -> str:
    """Texts as people write them by mistake: masks, ranges, wildcards, ports, zeros, white space, short forms."""
    address = draw(spellings(draw(addresses())))
    four = format_number(4, draw(addresses(4)).number)
    octets = four.split(".")
    tail = draw(st.one_of(st.integers(0, 130).map(str), st.integers(0, 32).map(lambda n: f"{n:03d}"), st.just(four)))
    mask = format_number(4, draw(st.integers(0, 32).map(lambda n: (1 << 32) - (1 << n))))
    hostmask = format_number(4, draw(st.integers(0, 32).map(lambda n: (1 << n) - 1)))
    short = ".".join(octets[: draw(st.integers(1, 3))])
    last = format_number(4, min(parse_ipv4(four) | ((1 << draw(st.integers(0, 32))) - 1), 2**32 - 1))
    text = draw(
        st.sampled_from(
            [
                *(
                    f"{address}/{tail}",
                    f"{four}/{mask}",
                    f"{four}/{hostmask}",
                    f"{short}/{tail}",
                    f"{short}.*",
                    f"{short}.*.*",
                ),
                *(
                    f"{four}-{last}",
                    f"{four}-{octets[3]}",
                    f"{four}:443",
                    f"[{address}]:443",
                    f"[{address}]/{tail}",
                    f"{address}%eth0/{tail}",
                ),
                *(
                    ".".join(octet.zfill(3) for octet in octets),
                    f"{'.'.join(octet.zfill(3) for octet in octets)}/{tail}",
                ),
                *(f" {address}", f"{address}/ {tail}", f"{four} {octets[0]}", f"{address}\n", f"{four}\0"),
                "".join(chr(ord(character) + 0xFEE0) for character in four),
            ]
        )
    )
    return draw(st.one_of(st.just(text), st.just(text), damaged(st.just(text))))


def texts() -> st.SearchStrategy[str]:
    return st.one_of(odd_texts(), odd_texts(), st.sampled_from(ODD), prefix_texts(), any_texts())


@MANY
@given(st.sampled_from(sorted(POLICIES)), texts(), st.sampled_from([None, None, "Office", "two\nlines"]))
@example("unkey", "::ffff:192.0.2.1/96", None)
@example("plain", "10.0.0.1 2", None)
@example("nomsa", "203.0.113.0-203.0.113.255", None)
@example("plain", "10.0.0.0/024", "two\nlines")
def test_no_hint_is_refused_by_its_own_policy_and_none_broadens(name: str, text: str, label: str | None) -> None:
    check_hints(POLICIES[name], text, label)


@pytest.mark.parametrize("name", sorted(POLICIES))
def test_every_odd_input_gets_a_hint_that_can_be_followed_or_none(name: str) -> None:
    for text in ODD:
        check_hints(POLICIES[name], text, None)


@MANY
@given(texts())
def test_without_a_policy_no_suggestion_broadens_or_opens_a_family(text: str) -> None:
    try:
        parse_prefix(text)
    except InvalidPrefix as error:
        if error.suggestion is not None:
            check_names_what_was_meant(text, error.suggestion)


@pytest.mark.parametrize(
    ("text", "suggestion"),
    [
        ("203.0.113.7/24", "203.0.113.0/24"),
        ("10.0.0.0 - 10.0.0.255", "10.0.0.0/24"),
        ("[2001:db8::]/64", "2001:db8::/64"),
        ("10/8", "10.0.0.0/8"),
        ("192.0.2.007", "192.0.2.7"),
        ("10.1.2.3/0.0.0.255", "10.1.2.0/24"),
        ("\uff11\uff10.0.0.1", "10.0.0.1"),
        *(
            (text, None)
            for text in ("010.0.0.7", "10.0.0.0/024", "10.0.0.1 2", "10/32", "203.0.113.7/2", "::ffff:192.0.2.1/95")
        ),
    ],
)
def test_a_text_with_one_meaning_gets_it_and_one_with_two_gets_none(text: str, suggestion: str | None) -> None:
    with pytest.raises(InvalidPrefix) as caught:
        parse_prefix(text)
    assert caught.value.suggestion == suggestion


@pytest.mark.parametrize(
    "text", ["::ffff:192.0.2.1/96", "10.0.0.1/0", "*", "0/0", "2001:db8::1/0", "0.0.0.0-255.255.255.255"]
)
def test_a_text_that_lets_everyone_in_is_told_so_instead_of_repaired(text: str) -> None:
    with pytest.raises(InvalidPrefix, match="this allows everyone") as caught:
        parse_prefix(text)
    assert caught.value.suggestion is None


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "nomsa",
            "203.0.113.0-255",
            "CIDR notation is not accepted, only addresses, and this is more than 20 addresses",
        ),
        ("nomsa", "[2001:db8::1]:443", "an IPv6 entry, but only IPv4 is accepted"),
        ("bitbybit", "10.0.0.1/8", "an IPv4 range broader than /9"),
        ("unkey", "*", "this allows everyone"),
        ("public", "192.168.001.009", "it won't match, because a public service sees your public address"),
    ],
)
def test_where_no_repair_is_accepted_the_message_says_what_is_wrong(name: str, text: str, message: str) -> None:
    problem = POLICIES[name].validate([text]).errors[0]
    assert message in problem.message
    assert (problem.hint, problem.suggestion) == (None, None)


def test_a_suggestion_is_judged_with_the_label_in_whose_place_it_would_stand() -> None:
    problem: Any = Policy().validate([("203.0.113.7/24", "two\nlines")]).errors[0]
    assert (problem.code, problem.suggestion) == ("host_bits", None)
    assert "a control character in the label" in problem.message
    assert Policy().validate([("203.0.113.7/24", "Office")]).errors[0].suggestion == "203.0.113.0/24"
    assert Policy().validate(["203.0.113.7/24"]).errors[0].to_dict()["suggestion"] == "203.0.113.0/24"


def test_a_suggestion_is_no_repetition_where_repetitions_are_refused() -> None:
    problem = presets.nomsa().validate(["203.0.113.5", " 203.0.113.5"]).errors[0]
    assert (problem.index, problem.suggestion) == (1, None)
    assert problem.message.endswith("besides, it is the same as '203.0.113.5' before it")
