"""`Policy`: what a product accepts as an entry, and how it ties lists to keys.

    Policy   families, kinds, entries, breadth, labels ...     --validate()--> Report   accepted: all or none
      '- KeyRules   binding, cutover, pipeline ...                                      problems: every one

A policy consists of limits and choices; all it does is to judge a list
(validation.py).  `validate` judges every entry and returns a `Report`; a list
is accepted whole or not at all.  A policy that contradicts itself, or has a
misspelt choice, is refused when it is made.

Cost: making a policy takes some checks; for judging, see validation.py.
Threads: safe, policies and reports never change.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import datetime
from typing import TYPE_CHECKING, Final, Literal, NoReturn

from .._core import Entry, Prefix, check_is_list, fields_of_entry, parse_prefix
from ..errors import PolicyError, brief
from .checks import check_choice, check_moment, check_number, check_subset, check_switches
from .problems import Problem, Severity
from .validation import Family, Kind, judge_list

if TYPE_CHECKING:
    from .._core import EntryLike

__all__ = ["KeyRules", "Policy", "Report"]

_SIX_TO_FOUR: Final = Prefix("2002::/16")


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRules:
    """Describe how a product ties lists to keys, and what follows from it.

    Attributes:
        binding: "key" (entries on the key, named lists too) or "lists" (named lists only, P2).
        new_keys_need_list: a key created at the cutover or later is inactive while its list is empty (N2, N4).
        cutover: the moment, timezone-aware, that separates legacy keys from new keys (C10).
        default_list: whether one named list may be the default for keys without a list of their own (P9).
        describe_lists: whether a named list needs a description (P3).
        pipeline: the order of a request's checks; "ip" is the check of this library (C11).
        response: the name of the function in `responses` that renders denials (C12, C13).
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
        check_choice("binding", self.binding, "key", "lists")
        if self.cutover is not None:
            check_moment("cutover", self.cutover)
        if self.pipeline.count("ip") != 1 or len(set(self.pipeline)) != len(self.pipeline):
            raise ValueError(f"a pipeline names each step once, and 'ip' among them, not {self.pipeline!r}")

    def needs_list(self, created_at: datetime) -> bool:
        """Whether a key created at that moment is inactive while it has no list.

        Args:
            created_at: timezone-aware.
        Returns:
            True from the cutover on, if new keys need a list; else False.  False if there is no cutover.
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
        duplicates: "collapse" keeps the first entry with its label, and warns; "reject" refuses the list (C6).
        labels: "optional", or "refuse" if the product has no labels.
        max_label_length: in characters (C18).
        private: "accept", "warn" or "reject" entries that a public service never sees (C5).
        host_bits: "reject", or "mask" with a warning (C15).
        allow_any: whether a list may allow every address of a family (C24).
        bare_addresses: whether a single address is shown without its length (C4).
        translations: IPv6 prefixes of translators, as `Prefix` or text (kept as `Prefix`): "64:ff9b::/96" (NAT64),
            "2002::/16" (6to4), or NAT64 prefixes of your own (RFC 6052).  An IPv6 address in such a prefix contains an
            IPv4 address, and a deny entry for this inner address denies, too.
        keys: how lists are tied to keys; used by an `Engine`, not by a list alone.
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
        """Show the name, and the names of all fields that differ from their defaults."""
        said = [item.name for item in fields(self) if getattr(self, item.name) != item.default and item.name != "name"]
        return f"<Policy {brief(self.name)}{': ' * bool(said)}{', '.join(said)}>"

    def __post_init__(self) -> None:
        """Refuse a policy that contradicts itself, or has a misspelt choice."""
        check_switches(allow_any=self.allow_any, bare_addresses=self.bare_addresses)
        check_subset("families", self.families, {4, 6})
        check_subset("kinds", self.kinds, {"address", "cidr"})
        check_choice("duplicates", self.duplicates, "collapse", "reject")
        check_choice("labels", self.labels, "optional", "refuse")
        check_choice("private", self.private, "accept", "warn", "reject")
        check_choice("host_bits", self.host_bits, "reject", "mask")
        check_number("min_entries", self.min_entries, 0, None)
        check_number("max_label_length", self.max_label_length, 1, None)
        for name, value, most in (
            ("max_entries", self.max_entries, None),
            ("min_prefix_v4", self.min_prefix_v4, 32),
            ("min_prefix_v6", self.min_prefix_v6, 128),
        ):
            if value is not None:
                check_number(name, value, 0, most)

        check_is_list(self.translations, "translations")
        object.__setattr__(self, "translations", tuple(map(_checked_translation, self.translations)))

    def canonical(self, prefix: Prefix) -> str:
        """Write a prefix as the product shows it: `203.0.113.5` or `203.0.113.5/32` (C4)."""
        return prefix.address if self.bare_addresses and prefix.is_address else str(prefix)

    def entry_to_dict(self, entry: Entry) -> dict[str, object]:
        """Give an entry as a mapping that `parse_entry` takes; fields that are not set are left out."""
        return fields_of_entry(self.canonical(entry.prefix), entry.label, entry.condition)

    def validate(self, entries: Iterable[EntryLike], *, on_key: bool = True) -> Report:
        """Judge a list and say everything that is wrong with it.

        Args:
            entries: an iterable of what `parse_entry` takes.
            on_key: whether these are a key's own entries.  A key without entries may be open; an empty named list, or
                an empty list on trial, denies every address.
        Returns:
            `Report`.  Bad entries are problems in it, never exceptions.
        Raises:
            TypeError: one text or a mapping was given instead of a list.
        Cost: some microseconds an entry.  If a list is far longer than `max_entries`, it is not read to its end.
        """
        check_is_list(entries)
        return Report(self, *judge_list(self, entries, on_key=on_key))

    @property
    def empty_is_open(self) -> bool:
        """Whether every address passes for a key without any list, whenever the key was created (C7)."""
        return self.keys.binding == "key" and not self.keys.new_keys_need_list and self.min_entries == 0

    def accept(self, entries: Iterable[EntryLike]) -> tuple[Entry, ...]:
        """Give the entries to store, or raise PolicyError with the whole report."""
        return self.validate(entries).entries()


def _checked_translation(given: Prefix | str) -> Prefix:
    """Check a prefix of a translator (RFC 6052 section 2.2, RFC 3056 section 2)."""
    prefix = parse_prefix(given)
    if prefix != _SIX_TO_FOUR and (prefix.family == 4 or prefix.length not in (32, 40, 48, 56, 64, 96)):
        raise ValueError(
            f"a translation is 2002::/16, or an IPv6 prefix of length 32, 40, 48, 56, 64 or 96, not {prefix}"
        )
    if prefix.packed[8] != 0:
        raise ValueError(f"bits 64 to 71 of a translation are zero, in {prefix} they are not")
    return prefix


@dataclass(frozen=True, slots=True)
class Report:
    """Say what a policy makes of a list.

    Attributes:
        policy: the policy that judged.
        accepted: the entries to store, in their order, without duplicates; empty if there is any error.
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
        """The problems that do not refuse the list."""
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
