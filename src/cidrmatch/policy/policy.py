"""What a product accepts as an entry, and every problem of a list at once.

A `Policy` is a value: some limits and choices, no behaviour of its own beyond
judging a list.  `validate` looks at every entry and answers with a `Report`;
it never stops at the first error and it never applies half a list:

    entries --> [ each alone ]  --> [ against the others ] --> [ the list as a whole ] --> Report
                 is it a prefix?     duplicate?                 too many, too few?          accepted: all or none
                 family, kind,       covered by a broader?      every address allowed?      problems: each with index,
                 breadth, label,                                                            text, code, message, hint
                 private, never

Errors refuse the list, warnings do not.  The order of the problems is that of
the entries; those of the list as a whole come last, with no index.

A hint can be followed: a suggested entry was judged by the same policy, alone,
with the label and the condition of the entry in whose place it would stand.
Where it is refused, the message says what is wrong with it instead.

A list far above its limit is refused whatever else it holds, so it is not read
to its end.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Literal, NoReturn, TypeAlias

from .._core.condition import Condition, fields_of_condition
from .._core.foreign import fields_of
from .._core.patricia import PatriciaTrie
from .._core.prefix import Entry, Prefix, check_is_list, parse_prefix, take_apart
from .._core.refusal import shown
from ..errors import InvalidPrefix, PolicyError, brief, quote
from .reach import NEVER, allows, denies_for_a_time, reach_of

if TYPE_CHECKING:
    from .._core.prefix import EntryLike, PrefixLike

__all__ = ["KeyRules", "Policy", "Problem", "Report", "Severity"]

Kind: TypeAlias = Literal["address", "cidr"]
Family: TypeAlias = Literal[4, 6]

PRIVATE: Final = PatriciaTrie(
    {
        "10.0.0.0/8": "private, RFC 1918",
        "172.16.0.0/12": "private, RFC 1918",
        "192.168.0.0/16": "private, RFC 1918",
        "100.64.0.0/10": "shared by carriers, RFC 6598",
        "127.0.0.0/8": "loopback, RFC 1122",
        "169.254.0.0/16": "link-local, RFC 3927",
        "::1": "loopback, RFC 4291",
        "fc00::/7": "unique local, RFC 4193",
        "fe80::/10": "link-local, RFC 4291",
    }
)
"""Addresses that a service on the public Internet never sees as a client (C5)."""

_NEVER: Final = PatriciaTrie(NEVER)

_TURNS: Final = frozenset(("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"))
"""Classes of characters that turn the direction of text around, so that a label shows what it is not."""

UNRESTRICTED: Final = "unrestricted"
"""The code of the warning that a key without entries lets every address pass."""

_FAR_ABOVE: Final = 10
"""So many times the limit, and never fewer than a thousand entries, are read of a list that is too long."""
_LISTED_SINGLY: Final = 256
"""So many addresses somebody may be asked to list one by one, where the policy has no limit of its own."""


_SIX_TO_FOUR: Final = Prefix("2002::/16")


class Severity(StrEnum):
    """Whether a problem refuses the list."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Problem:
    """Name one thing that is wrong, or worth a look, about one entry or the list.

    Attributes:
        index: position of the entry in the list, or None for the list as a whole.
        text: the entry as it was given.
        code: a stable name, for programs.
        severity: `Severity.ERROR` or `Severity.WARNING`.
        message: what is wrong, in words.
        hint: what to do about it, or None.
        suggestion: the entry that the hint names, as text that the policy takes in this place; None if it names none.
    """

    index: int | None
    text: str
    code: str
    severity: Severity
    message: str
    hint: str | None = None
    suggestion: str | None = None

    def __repr__(self) -> str:
        where = "the list" if self.index is None else f"entry {self.index} {brief(self.text)}"
        return f"<Problem {brief(self.code)}, {self.severity}: {where}>"

    def __str__(self) -> str:
        return f"the list: {self.line}" if self.index is None else f"entry {self.index} {self.line}"

    @property
    def line(self) -> str:
        """The entry's text, if there is one, and `advice` behind it; whoever prints it says where the entry is."""
        return self.advice if self.index is None else f"{quote(self.text)}: {self.advice}"

    @property
    def advice(self) -> str:
        """The message, and behind it the hint if there is one; the line of text without the entry."""
        return f"{self.message}; {self.hint}" if self.hint else self.message

    def to_dict(self) -> dict[str, object]:
        """Give the fields as plain values, for JSON."""
        return {
            "index": self.index,
            "text": self.text,
            "code": self.code,
            "severity": str(self.severity),
            "message": self.message,
            "hint": self.hint,
            "suggestion": self.suggestion,
        }


@dataclass(frozen=True, slots=True)
class Report:
    """Say what a policy makes of a list.

    Attributes:
        policy: the policy that judged.
        accepted: the entries to store, in the order given, duplicates collapsed; empty if there is any error.
        problems: every error and warning, in the order of the entries.
    """

    policy: Policy
    accepted: tuple[Entry, ...]
    problems: tuple[Problem, ...]

    @property
    def errors(self) -> tuple[Problem, ...]:
        """The problems that refuse the list."""
        return tuple(problem for problem in self.problems if problem.severity is Severity.ERROR)

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """The problems that do not."""
        return tuple(problem for problem in self.problems if problem.severity is Severity.WARNING)

    @property
    def ok(self) -> bool:
        """Whether the list is accepted, with or without warnings."""
        return not self.errors

    def __bool__(self) -> NoReturn:
        raise TypeError("a Report has no truth value; ask its .ok")

    def __repr__(self) -> str:
        errors = len(self.errors)
        counts = f"{len(self.accepted):,} accepted, {errors:,} errors, {len(self.problems) - errors:,} warnings"
        return f"<Report of {brief(self.policy.name)}: {counts}>"

    def entries(self) -> tuple[Entry, ...]:
        """Give the accepted entries, or raise PolicyError with this report."""
        if not self.ok:
            raise PolicyError(self)
        return self.accepted

    def to_dict(self) -> dict[str, object]:
        """Give the report as plain values, for JSON."""
        return {
            "policy": self.policy.name,
            "ok": self.ok,
            "entries": [{"label": None} | self.policy.entry_to_dict(entry) for entry in self.accepted],
            "errors": [problem.to_dict() for problem in self.errors],
            "warnings": [problem.to_dict() for problem in self.warnings],
        }


def _check_choice(name: str, value: object, *choices: str) -> None:
    if value not in choices:
        raise ValueError(f"{name} is one of {', '.join(map(repr, choices))}, not {value!r}")


def _check_subset(name: str, value: object, choices: set[object]) -> None:
    if not isinstance(value, frozenset) or not value or not value <= choices:
        raise ValueError(f"{name} is a frozenset of {', '.join(map(repr, sorted(choices, key=str)))}, not {value!r}")


def check_switches(**switches: object) -> None:
    """Refuse what is neither True nor False: each of None, 0 and "" would be taken for "off"."""
    for name, value in switches.items():
        if type(value) is not bool:
            raise TypeError(f"{name} is True or False, not {value!r}")


def _check_number(name: str, value: object, least: int, most: int | None) -> None:
    if type(value) is not int or value < least or (most is not None and value > most):
        bounds = f"at least {least}" if most is None else f"from {least} to {most}"
        raise ValueError(f"{name} is a whole number {bounds}, not {value!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRules:
    """Describe how a product ties lists to keys, and what follows from it.

    Attributes:
        binding: "key" (entries on the key, named lists too) or "lists" (named lists only, P2).
        new_keys_need_list: a key created at the cutover or later is inactive while its list is empty (N2, N4).
        cutover: the moment, timezone-aware, that parts legacy keys from new ones (C10).
        default_list: whether one named list may be the default for keys without a list of their own (P9).
        describe_lists: whether a named list needs a description (P3).
        pipeline: the order in which a request is checked; "ip" is our step (C11).
        response: the name of the renderer of denials in `responses` (C12, C13).
    """

    binding: Literal["key", "lists"] = "key"
    new_keys_need_list: bool = False
    cutover: datetime | None = None
    default_list: bool = True
    describe_lists: bool = False
    pipeline: tuple[str, ...] = ("authenticate", "ip")
    response: str = "problem"

    def __post_init__(self) -> None:
        """Refuse rules that contradict themselves."""
        check_switches(
            new_keys_need_list=self.new_keys_need_list,
            default_list=self.default_list,
            describe_lists=self.describe_lists,
        )
        _check_choice("binding", self.binding, "key", "lists")
        if self.cutover is not None and not isinstance(self.cutover, datetime):
            raise TypeError(f"cutover is a datetime, not {type(self.cutover).__name__}")
        if self.cutover is not None and self.cutover.utcoffset() is None:
            raise ValueError("cutover needs a time zone")
        if self.pipeline.count("ip") != 1 or len(set(self.pipeline)) != len(self.pipeline):
            raise ValueError(f"a pipeline names each step once, and 'ip' among them, not {self.pipeline!r}")

    def needs_list(self, created_at: datetime) -> bool:
        """Whether a key created at that moment is inactive while it has no list.

        Args:
            created_at: timezone-aware.
        Returns:
            True from the cutover on, if new keys need a list; else False, also where no cutover was said.
        Cost: one comparison.
        Threads: safe, never changes.
        Source: N2, N4, C10.
        """
        return self.new_keys_need_list and self.cutover is not None and created_at >= self.cutover


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Describe what a product accepts in an allow list.

    The defaults accept every valid prefix.  A policy is immutable; derive one
    from another with `dataclasses.replace`.

    Attributes:
        name: shown in reports.
        families: 4, 6 or both.
        kinds: "address", "cidr" or both; text with a slash is "cidr", by the letter (N11).
        min_entries, max_entries: how many entries a list may hold after duplicates collapsed (C17).
        min_prefix_v4, min_prefix_v6: the shortest prefix length, that is, the broadest range (B18, B19).
        duplicates: "collapse" keeps the first and its label and warns, "reject" refuses (C6).
        labels: "optional", or "refuse" where the product has none.
        max_label_length: in characters (C18).
        private: "accept", "warn" or "reject" entries that a public service never sees (C5).
        host_bits: "reject", or "mask" with a warning (C15).
        allow_any: whether a list may allow every address of a family (C24).
        bare_addresses: whether a single address is shown without its length (C4).
        translations: IPv6 prefixes behind which a translator writes IPv4 addresses, as `Prefix` or text, kept as
            `Prefix`: "64:ff9b::/96" (NAT64), "2002::/16" (6to4), or the host's own NAT64 prefixes (RFC 6052).
            A deny entry for the inner address denies, too.
        keys: how lists are tied to keys; an `Engine` goes by it, a list alone has no use for it.
    Threads: safe, never changes.

    >>> report = Policy(max_entries=20, min_prefix_v4=9).validate(["203.0.113.7", "10.0.0.0/8"])
    >>> [(problem.index, problem.code) for problem in report.errors]
    [(1, 'prefix_too_broad')]
    """

    name: str = "custom"
    families: frozenset[Family] = frozenset((4, 6))
    kinds: frozenset[Kind] = frozenset(("address", "cidr"))
    min_entries: int = 0
    max_entries: int | None = None
    min_prefix_v4: int | None = None
    min_prefix_v6: int | None = None
    duplicates: Literal["collapse", "reject"] = "collapse"
    labels: Literal["optional", "refuse"] = "optional"
    max_label_length: int = 255
    private: Literal["accept", "warn", "reject"] = "accept"
    host_bits: Literal["reject", "mask"] = "reject"
    allow_any: bool = True
    bare_addresses: bool = False
    translations: tuple[Prefix | str, ...] = ()
    keys: KeyRules = KeyRules()

    def __repr__(self) -> str:
        """Name the policy, and how much it differs from one that accepts everything."""
        said = [item.name for item in fields(self) if getattr(self, item.name) != item.default and item.name != "name"]
        return f"<Policy {brief(self.name)}{': ' * bool(said)}{', '.join(said)}>"

    def __post_init__(self) -> None:
        """Refuse a policy that contradicts itself, or whose misspelt choice would be passed over."""
        check_switches(allow_any=self.allow_any, bare_addresses=self.bare_addresses)
        _check_subset("families", self.families, {4, 6})
        _check_subset("kinds", self.kinds, {"address", "cidr"})
        _check_choice("duplicates", self.duplicates, "collapse", "reject")
        _check_choice("labels", self.labels, "optional", "refuse")
        _check_choice("private", self.private, "accept", "warn", "reject")
        _check_choice("host_bits", self.host_bits, "reject", "mask")
        _check_number("min_entries", self.min_entries, 0, None)
        _check_number("max_label_length", self.max_label_length, 1, None)
        for name, value, most in (
            ("max_entries", self.max_entries, None),
            ("min_prefix_v4", self.min_prefix_v4, 32),
            ("min_prefix_v6", self.min_prefix_v6, 128),
        ):
            if value is not None:
                _check_number(name, value, 0, most)

        check_is_list(self.translations, "translations")
        object.__setattr__(self, "translations", tuple(map(_checked_translation, self.translations)))

    def canonical(self, prefix: Prefix) -> str:
        """Write a prefix as the product shows it: `203.0.113.5` or `203.0.113.5/32` (C4)."""
        return prefix.address if self.bare_addresses and prefix.is_address else str(prefix)

    def entry_to_dict(self, entry: Entry) -> dict[str, object]:
        """Give an entry as a mapping that `parse_entry` takes, without what it does not say."""
        fields: dict[str, object] = {"prefix": self.canonical(entry.prefix)}
        if entry.label is not None:
            fields["label"] = entry.label
        if entry.condition is not None:
            fields |= fields_of_condition(entry.condition)
        return fields

    def validate(self, entries: Iterable[EntryLike], *, on_key: bool = True) -> Report:
        """Judge a list and say everything that is wrong with it.

        Args:
            entries: an iterable of what `parse_entry` takes.
            on_key: whether these are a key's own entries: without any, the key may be open.  A named list
                or a list on trial denies everyone when it is empty.
        Returns:
            `Report`.  Bad entries are problems in it, never exceptions.
        Raises:
            TypeError: one text or a mapping was given instead of a list.
        Cost: some microseconds an entry.  A list that is far longer than `max_entries` is not read to its end.
        """
        check_is_list(entries)
        judge = _Judge(self, on_key=on_key)
        for index, entry in enumerate(entries):
            if judge.is_far_above_limit():
                break
            judge.hear(index, entry)
        return judge.report()

    @property
    def empty_is_open(self) -> bool:
        """Whether a key without entries, links and default lets every address pass, whenever it was created (C7)."""
        return self.keys.binding == "key" and not self.keys.new_keys_need_list and self.min_entries == 0

    def accept(self, entries: Iterable[EntryLike]) -> tuple[Entry, ...]:
        """Give the entries to store, or raise PolicyError with the whole report."""
        return self.validate(entries).entries()


def _checked_translation(given: Prefix | str) -> Prefix:
    """Take a prefix behind which a translator writes IPv4 addresses (RFC 6052 section 2.2, RFC 3056 section 2)."""
    prefix = parse_prefix(given)
    if prefix != _SIX_TO_FOUR and (prefix.family == 4 or prefix.length not in (32, 40, 48, 56, 64, 96)):
        raise ValueError(
            f"a translation is 2002::/16, or an IPv6 prefix of length 32, 40, 48, 56, 64 or 96, not {prefix}"
        )
    if prefix.packed[8] != 0:
        raise ValueError(f"bits 64 to 71 of a translation are zero, in {prefix} they are not")
    return prefix


# -- Judging ------------------------------------------------------------------


@dataclass(slots=True)
class _Item:
    """An entry under judgement: as it was given, and as it was understood."""

    index: int
    text: str
    entry: Entry


@dataclass(slots=True)
class _Judge:
    """Hears the entries one by one, then looks at them together."""

    policy: Policy
    on_key: bool = True
    suggests: bool = True
    items: list[_Item] = field(default_factory=list)
    first: dict[tuple[Prefix, Condition | None], _Item] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    refused: set[int] = field(default_factory=set)
    is_cut: bool = False

    def hear(self, index: int, entry: object) -> None:
        """Judge one entry alone, and keep it if it is a prefix at all and the first of its kind."""
        try:
            given, label, condition = take_apart(entry)
        except (TypeError, ValueError) as error:
            code = "wrong_type" if isinstance(error, TypeError) else "condition"
            self._error(index, _text_of(entry), code, str(error))
            return
        self.hear_parts(index, given, label, condition)

    def hear_parts(self, index: int, given: PrefixLike, label: str | None, condition: Condition | None) -> None:
        """Judge an entry that was taken apart."""
        text = str(shown(given))
        prefix = self._parse(index, text, given, label, condition)
        if prefix is None:
            return
        item = _Item(index, text, Entry(prefix, label, condition))
        self._judge_kind(item, given)
        if allows(item.entry):
            self._judge_breadth(item)
            self._judge_private(item)
            self._judge_never(item)
        self._judge_label(item)
        earlier = self.first.setdefault((prefix, item.entry.condition), item)
        if earlier is item:
            self.items.append(item)
        else:
            self._judge_duplicate(item, earlier)

    def is_far_above_limit(self) -> bool:
        """Whether the list is so much too long that the rest of it does not matter."""
        most = self.policy.max_entries
        if most is not None and max(len(self.items), len(self.refused)) > max(_FAR_ABOVE * most, 1_000):
            self.is_cut = True
        return self.is_cut

    def report(self) -> Report:
        """Judge the list as a whole and close the case."""
        self._judge_overlaps()
        self.problems.sort(key=lambda problem: problem.index or 0)
        self._judge_count()
        self._judge_reach()
        refused = any(problem.severity is Severity.ERROR for problem in self.problems)
        accepted = () if refused else tuple(item.entry for item in self.items)
        return Report(self.policy, accepted, tuple(self.problems))

    # 1. Each entry alone.

    def _parse(
        self, index: int, text: str, given: PrefixLike, label: str | None, condition: Condition | None
    ) -> Prefix | None:
        """Find the prefix, or note why there is none."""
        try:
            return parse_prefix(given)
        except TypeError as error:
            self._error(index, text, "wrong_type", str(error))
            return None
        except InvalidPrefix as error:
            if error.code != "host_bits" or self.policy.host_bits == "reject":
                message = f"{error.reason} (at position {error.position})"
                suggestion, why_not = self._suggest(error.suggestion, label, condition)
                hint = suggestion and f"did you mean {suggestion}?"
                self._error(index, text, error.code, message + why_not, hint, suggestion)
                return None
        prefix = parse_prefix(given, host_bits="mask")
        shown_prefix = self.policy.canonical(prefix)
        self._warn(index, text, "host_bits_masked", f"host bits were cleared, it is kept as {shown_prefix}")
        return prefix

    def _judge_kind(self, item: _Item, given: object) -> None:
        prefix, policy = item.entry.prefix, self.policy
        if prefix.family not in policy.families:
            only = " and ".join(f"IPv{family}" for family in sorted(policy.families))
            self._error(item.index, item.text, "family", f"an IPv{prefix.family} entry, but only {only} is accepted")
        elif _is_mapped(given, prefix):
            shown = policy.canonical(prefix)
            self._warn(item.index, item.text, "mapped", f"an IPv4-mapped entry, it is kept as the IPv4 entry {shown}")
        kind: Kind = "cidr" if _is_cidr(given, prefix) else "address"
        if kind in policy.kinds:
            return
        if kind == "cidr" and not prefix.is_address:
            self._refuse_range(item)
            return
        message = (
            "CIDR notation is not accepted, only addresses" if kind == "cidr" else "a single address is not accepted"
        )
        suggestion, _ = self._suggest(str(prefix), item.entry.label, item.entry.condition)
        hint = suggestion and (f"did you mean {suggestion}?" if kind == "cidr" else f"write {suggestion}")
        self._error(item.index, item.text, "kind", message, hint, suggestion)

    def _refuse_range(self, item: _Item) -> None:
        """Refuse a range where only addresses are accepted; to list them all may be the way out, or may be too many."""
        prefix, message = item.entry.prefix, "CIDR notation is not accepted, only addresses"
        most = _LISTED_SINGLY if self.policy.max_entries is None else self.policy.max_entries
        count = 1 << (8 * len(prefix.packed) - prefix.length)
        if prefix.length == 0:
            message += ", and this allows everyone"
        elif count > most:
            message += f", and this is more than {most} addresses"
        ends = (prefix.address, _last_address(prefix)) if count <= most else ()
        can_list = ends and all(self._takes(end, item.entry.label, item.entry.condition) for end in ends)
        self._error(
            item.index, item.text, "kind", message, f"list its {count} addresses one by one" if can_list else None
        )

    def _judge_breadth(self, item: _Item) -> None:
        entry, prefix = item.entry, item.entry.prefix
        least = self.policy.min_prefix_v4 if prefix.family == 4 else self.policy.min_prefix_v6
        if least is None or prefix.length >= least:
            return
        can_narrow = self._takes(f"{prefix.address}/{least}", entry.label, entry.condition)
        hint = f"use /{least} or a longer prefix" if can_narrow else None
        message = f"an IPv{prefix.family} range broader than /{least}"
        self._error(item.index, item.text, "prefix_too_broad", message, hint)

    def _judge_never(self, item: _Item) -> None:
        never = _NEVER.longest_match(item.entry.prefix)
        if never is not None:
            self._error(item.index, item.text, "never_matches", f"no client ever has this address: {never[1]}")

    def _judge_private(self, item: _Item) -> None:
        private = PRIVATE.longest_match(item.entry.prefix)
        if private is None or self.policy.private == "accept":
            return
        hint = "list the public address that your requests come from"
        message = f"it won't match, because a public service sees your public address ({private[1]})"
        if self.policy.private == "warn":
            self._warn(item.index, item.text, "private", message, hint)
        else:
            self._error(item.index, item.text, "private", message, hint)

    def _judge_label(self, item: _Item) -> None:
        label = item.entry.label
        if label is None:
            return
        if self.policy.labels == "refuse":
            self._error(item.index, item.text, "label_refused", "entries have no label here", "leave the label out")
        elif not 1 <= len(label) <= self.policy.max_label_length:
            most = self.policy.max_label_length
            self._error(item.index, item.text, "label_invalid", f"a label has 1 to {most} characters, not {len(label)}")
        elif any(_is_control(character) for character in label):
            self._error(item.index, item.text, "label_invalid", f"a control character in the label {quote(label)}")

    # 2. What to put in its place.

    def _suggest(self, text: str | None, label: str | None, condition: Condition | None) -> tuple[str | None, str]:
        """Find a form of a prefix that this policy takes in the place of an entry; else say what is wrong with it.

        The forms name the same addresses, so none lets in more than was meant.
        """
        if text is None or not self.suggests:
            return None, ""
        prefix = parse_prefix(text)
        earlier = self.first.get((prefix, condition))
        if earlier is not None and self.policy.duplicates == "reject":
            return None, f"; besides, it is the same as {quote(earlier.text)} before it"
        forms = dict.fromkeys((text, prefix.address) if prefix.is_address else (text,)) | {str(prefix): None}
        taken = next((form for form in forms if self._takes(form, label, condition)), None)
        if taken is not None:
            return taken, ""
        return None, f"; besides, {self._why_not(text, label, condition)}"

    def _takes(self, text: str, label: str | None, condition: Condition | None) -> bool:
        return self.suggests and self._why_not(text, label, condition) is None

    def _why_not(self, text: str, label: str | None, condition: Condition | None) -> str | None:
        """Ask what this policy has against an entry that stands alone."""
        alone = _Judge(self.policy, suggests=False)
        alone.hear_parts(0, text, label, condition)
        errors = (problem for problem in alone.report().errors if problem.code != "too_few_entries")
        return next((problem.message for problem in errors), None)

    # 3. Each against the others.

    def _judge_duplicate(self, item: _Item, earlier: _Item) -> None:
        message = f"the same as {quote(earlier.text)} before it"
        if self.policy.duplicates == "reject":
            self._error(item.index, item.text, "duplicate", message, "remove one of them")
        else:
            kept = "" if earlier.index in self.refused else ", which is kept"
            self._warn(item.index, item.text, "duplicate", message + kept)

    def _judge_overlaps(self) -> None:
        """Find what a broader entry says already; an entry that is refused says nothing."""
        sound = [item for item in self.items if item.index not in self.refused]
        plain = [item for item in sound if item.entry.condition is None]
        trie = PatriciaTrie((item.entry.prefix, item) for item in plain)
        denied = PatriciaTrie((item.entry.prefix, item) for item in sound if not allows(item.entry))
        for item in plain:
            if denied.longest_match(item.entry.prefix):
                continue  # it may let back in what a deny entry took out of the broader one
            for _, broader in trie.covering(item.entry.prefix)[1:2]:
                message = f"covered by the broader entry {quote(broader.text)}"
                self._warn(item.index, item.text, "covered", message, "one of the two is enough")

    # 4. The list as a whole.

    def _judge_count(self) -> None:
        count, policy = len(self.items), self.policy
        if policy.max_entries is not None and (count > policy.max_entries or self.is_cut):
            too_many = self.items[policy.max_entries].text if count > policy.max_entries else None
            message = f"{count} entries, at most {policy.max_entries} are accepted"
            if self.is_cut:
                read = max(count, len(self.refused)) - 1
                message = f"more than {read} entries, at most {policy.max_entries} are accepted; the rest was not read"
            hint = too_many and f"{quote(too_many)} is the first too many"
            self._error(None, too_many or "", "too_many_entries", message, hint)
        if count < policy.min_entries and not self.is_cut:
            self._error(None, "", "too_few_entries", f"{count} valid entries, at least {policy.min_entries} needed")

    def _judge_reach(self) -> None:
        """Find lists that let everyone through, or nobody, whatever their entries look like one by one (C24)."""
        if not self.items:
            self._judge_empty()
            return
        entries = [item.entry for item in self.items]
        reach = reach_of(entries)
        if reach.is_nobody():
            why = "what it allows is denied again, or disabled" if any(map(allows, entries)) else "it only denies"
            self._warn(None, "", "nobody_passes", f"no address passes by this list alone: {why}")
        for family in (4, 6):
            if reach.is_everyone(family):
                self._tell_everyone(family, entries)
            elif reach.is_most(family):
                message = f"the list allows more than half of all IPv{family} addresses"
                self._warn(None, "", "most_addresses", message)

    def _tell_everyone(self, family: int, entries: list[Entry]) -> None:
        message = f"the list allows every IPv{family} address: it equals no restriction"
        if any(entry.prefix.family == family and denies_for_a_time(entry) for entry in entries):
            message += ", at the times when its deny entries do not count"
        if self.policy.allow_any:
            self._warn(None, "", "no_restriction", message)
        else:
            self._error(None, "", "no_restriction", message, "name the addresses that you mean")

    def _judge_empty(self) -> None:
        """A list without entries is no list at all on a key, and denies under a name (C7, C22)."""
        if self.refused:
            return
        if not self.on_key:
            self._warn(None, "", "empty_list", "no entries: no address passes")
        elif self.policy.empty_is_open:
            self._warn(None, "", UNRESTRICTED, "no entries: every address passes")

    def _error(
        self,
        index: int | None,
        text: str,
        code: str,
        message: str,
        hint: str | None = None,
        suggestion: str | None = None,
    ) -> None:
        if index is not None:
            self.refused.add(index)
        self.problems.append(Problem(index, text, code, Severity.ERROR, message, hint, suggestion))

    def _warn(self, index: int | None, text: str, code: str, message: str, hint: str | None = None) -> None:
        self.problems.append(Problem(index, text, code, Severity.WARNING, message, hint))


def _is_control(character: str) -> bool:
    """Control characters, lone surrogates, line ends, and what turns the direction of text around."""
    return unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") or unicodedata.bidirectional(character) in _TURNS


def _text_of(entry: object) -> str:
    """Show an entry that could not be taken apart: by what names its prefix, where that is in sight."""
    named = entry
    if type(entry) is tuple and entry:
        named = entry[0]
    elif isinstance(entry, Mapping):
        with suppress(Exception):  # a mapping of somebody else's may raise anything, and was refused already
            named = fields_of(entry).get("prefix", entry)
    return str(shown(named))


def _last_address(prefix: Prefix) -> str:
    """The text of the last address of a prefix."""
    packed = prefix.packed
    last = int.from_bytes(packed, "big") | ((1 << (8 * len(packed) - prefix.length)) - 1)
    return Prefix(last.to_bytes(len(packed), "big")).address


def _is_cidr(given: object, prefix: Prefix) -> bool:
    """Whether an entry was given as a range: text by the letter, an object by its length."""
    return "/" in given if isinstance(given, str) else not prefix.is_address


def _is_mapped(given: object, prefix: Prefix) -> bool:
    """Whether an IPv4 prefix was given in IPv6 form."""
    if isinstance(given, bytes):
        return len(given) == 16 and prefix.family == 4
    return prefix.family == 4 and ":" in str(shown(given))
