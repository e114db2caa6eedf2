"""Judging a list: each entry alone, then against the other entries, then the list as a whole.

    entries --> [ each alone ]  --> [ against the others ] --> [ the list as a whole ] --> accepted: all or none
                 is it a prefix?     duplicate?                 too many, too few?          problems: each with index,
                 family, kind,       covered by a broader?      every address allowed?      text, code, message, hint
                 breadth, label,
                 private, never

The judge never stops at the first error.  Errors refuse the list, warnings do
not.  The problems stand in the order of the entries; those of the list as a
whole come last, with no index.

A hint is safe to follow: before an entry is suggested, it is judged by the same
limits, alone, with the label and the condition of the entry that it would
replace.  If it is refused, there is no hint, and the message says what is wrong
with it.

A list far above its limit is refused in any case, so it is not read to its end.

A long list is sifted first, if the policy has no limit to its length: the judge hears only the entries that remain, and
says the same as if it heard them all.

Cost: some microseconds an entry; of a long list, for those about which there is something to say, and 0.3 for the
others.  Threads: safe, a judge belongs to one call.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, Protocol, TypeAlias, cast

from .._core import Entry, PatriciaTrie, Prefix, PrefixLines, Sieve, fields_of, parse_prefix, shown, take_apart
from ..errors import InvalidPrefix, quote
from .problems import UNRESTRICTED, Problem, Severity
from .reach import NEVER, Reach, allows, denies_for_a_time, reach_of, reach_of_sizes

if TYPE_CHECKING:
    from .._core import Condition, EntryLike, PrefixLike

__all__ = ["PRIVATE", "Family", "Kind", "Limits", "judge_list"]

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
"""Classes of characters that change the direction of text, so that a label looks like another text."""

_LONG: Final = 256
"""A list of so many entries is sifted before it is judged."""
_FAR_ABOVE: Final = 10
"""A list that is too long is read up to this many times the limit, and at least to a thousand entries."""
_LISTED_SINGLY: Final = 256
"""A hint asks to list at most this many addresses one by one, if the policy has no limit of its own."""


class Limits(Protocol):
    """The limits that a judge uses.  A `Policy` has all of them, and explains them."""

    @property
    def families(self) -> frozenset[Family]: ...
    @property
    def kinds(self) -> frozenset[Kind]: ...
    @property
    def min_entries(self) -> int: ...
    @property
    def max_entries(self) -> int | None: ...
    @property
    def min_prefix_v4(self) -> int | None: ...
    @property
    def min_prefix_v6(self) -> int | None: ...
    @property
    def duplicates(self) -> str: ...
    @property
    def labels(self) -> str: ...
    @property
    def max_label_length(self) -> int: ...
    @property
    def private(self) -> str: ...
    @property
    def host_bits(self) -> str: ...
    @property
    def allow_any(self) -> bool: ...
    @property
    def empty_is_open(self) -> bool: ...
    def canonical(self, prefix: Prefix) -> str: ...


def judge_list(
    limits: Limits, entries: Iterable[EntryLike], *, on_key: bool
) -> tuple[tuple[Entry, ...], tuple[Problem, ...]]:
    """Judge a list: which entries to store, and everything that is wrong with it.

    Args:
        limits: what the product accepts.
        entries: an iterable of what `parse_entry` takes; it is not read to its end if it is far too long.
        on_key: whether a list without entries leaves a key open.
    Returns:
        The accepted entries, none if there is any error; and all problems.
    Cost: some microseconds an entry.
    """
    judge = _Judge(limits, on_key=on_key)
    sieve = _sieve_of(limits, entries)
    if sieve is not None:
        return _judge_sifted(judge, cast("Sequence[EntryLike]", entries), sieve)
    for index, entry in enumerate(entries):
        if judge.is_far_above_limit():
            break
        judge.hear(index, entry)
    return judge.verdict()


def _sieve_of(limits: Limits, entries: Iterable[EntryLike]) -> Sieve | None:
    """Sift a long list, if the limits leave the entries as they are; else give None."""
    if limits.max_entries is not None or limits.duplicates != "collapse" or limits.host_bits != "reject":
        return None
    if type(entries) not in (list, tuple, PrefixLines) or len(cast("Sequence[EntryLike]", entries)) < _LONG:
        return None
    private = [] if limits.private == "accept" else list(PRIVATE)
    sieve = Sieve(
        cast("Sequence[EntryLike]", entries),
        families=limits.families,
        has_addresses="address" in limits.kinds,
        has_ranges="cidr" in limits.kinds,
        least4=limits.min_prefix_v4 or 0,
        least6=limits.min_prefix_v6 or 0,
        named=[*_NEVER, *private],
        most_label=0 if limits.labels == "refuse" else limits.max_label_length,
    )
    return sieve if sieve.is_whole else None


def _judge_sifted(
    judge: _Judge, entries: Sequence[EntryLike], sieve: Sieve
) -> tuple[tuple[Entry, ...], tuple[Problem, ...]]:
    """Judge a long list: of all its entries, the judge hears those that remain, and is told who covers whom."""
    for index in sieve.remaining():
        judge.hear(index, entries[index])
    for index, broader in sieve.covered(judge.refused):
        judge.tell_covered(index, _text_of_prefix(entries[index]), _text_of_prefix(entries[broader]))
    reach = reach_of_sizes(sieve.lengths(), sieve.ranges)
    return judge.verdict_of_all(sieve.entries(), reach)


@dataclass(slots=True)
class _Item:
    """An entry while it is judged: the given text, and the parsed entry."""

    index: int
    text: str
    entry: Entry


@dataclass(slots=True)
class _Judge:
    """Judges the entries one by one, then all of them together."""

    limits: Limits
    on_key: bool = True
    suggests: bool = True
    items: list[_Item] = field(default_factory=list)
    first: dict[tuple[Prefix, Condition | None], _Item] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    refused: set[int] = field(default_factory=set)
    is_cut: bool = False

    def hear(self, index: int, entry: object) -> None:
        """Judge one entry alone; keep it if it is a prefix, and no earlier entry is equal to it."""
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
        """Whether the list is so much too long that the rest need not be read."""
        most = self.limits.max_entries
        if most is not None and max(len(self.items), len(self.refused)) > max(_FAR_ABOVE * most, 1_000):
            self.is_cut = True
        return self.is_cut

    def verdict(self) -> tuple[tuple[Entry, ...], tuple[Problem, ...]]:
        """Judge the entries that were heard as a whole; give the accepted entries and all problems."""
        self._judge_overlaps()
        entries = tuple(item.entry for item in self.items)
        return self.verdict_of_all(entries, reach_of(entries))

    def verdict_of_all(self, entries: tuple[Entry, ...], reach: Reach) -> tuple[tuple[Entry, ...], tuple[Problem, ...]]:
        """Judge a list as a whole by its prefixes, each once, and by what they allow."""
        self.problems.sort(key=lambda problem: problem.index or 0)
        self._judge_count(len(entries))
        self._judge_reach(entries, reach)
        refused = any(problem.severity is Severity.ERROR for problem in self.problems)
        return () if refused else entries, tuple(self.problems)

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
            if error.code != "host_bits" or self.limits.host_bits == "reject":
                message = f"{error.reason} (at position {error.position})"
                suggestion, why_not = self._suggest(error.suggestion, label, condition)
                hint = suggestion and f"did you mean {suggestion}?"
                self._error(index, text, error.code, message + why_not, hint, suggestion)
                return None
        prefix = parse_prefix(given, host_bits="mask")
        shown_prefix = self.limits.canonical(prefix)
        self._warn(index, text, "host_bits_masked", f"host bits were cleared, it is kept as {shown_prefix}")
        return prefix

    def _judge_kind(self, item: _Item, given: object) -> None:
        prefix, limits = item.entry.prefix, self.limits
        if prefix.family not in limits.families:
            only = " and ".join(f"IPv{family}" for family in sorted(limits.families))
            self._error(item.index, item.text, "family", f"an IPv{prefix.family} entry, but only {only} is accepted")
        elif _is_mapped(given, prefix):
            shown = limits.canonical(prefix)
            self._warn(item.index, item.text, "mapped", f"an IPv4-mapped entry, it is kept as the IPv4 entry {shown}")
        kind: Kind = "cidr" if _is_cidr(given, prefix) else "address"
        if kind in limits.kinds:
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
        """Refuse a range where only addresses are accepted; if it is small, advise to list its addresses one by one."""
        prefix, message = item.entry.prefix, "CIDR notation is not accepted, only addresses"
        most = _LISTED_SINGLY if self.limits.max_entries is None else self.limits.max_entries
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
        least = self.limits.min_prefix_v4 if prefix.family == 4 else self.limits.min_prefix_v6
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
        if private is None or self.limits.private == "accept":
            return
        hint = "list the public address that your requests come from"
        message = f"it won't match, because a public service sees your public address ({private[1]})"
        if self.limits.private == "warn":
            self._warn(item.index, item.text, "private", message, hint)
        else:
            self._error(item.index, item.text, "private", message, hint)

    def _judge_label(self, item: _Item) -> None:
        label = item.entry.label
        if label is None:
            return
        if self.limits.labels == "refuse":
            self._error(item.index, item.text, "label_refused", "entries have no label here", "leave the label out")
        elif not 1 <= len(label) <= self.limits.max_label_length:
            most = self.limits.max_label_length
            self._error(item.index, item.text, "label_invalid", f"a label has 1 to {most} characters, not {len(label)}")
        elif any(_is_control(character) for character in label):
            self._error(item.index, item.text, "label_invalid", f"a control character in the label {quote(label)}")

    # 2.  Suggestions.

    def _suggest(self, text: str | None, label: str | None, condition: Condition | None) -> tuple[str | None, str]:
        """Find a form of a prefix that this policy accepts in the place of an entry; else say what is wrong with it.

        All forms have the same addresses, so no form allows more than was meant.
        """
        if text is None or not self.suggests:
            return None, ""
        prefix = parse_prefix(text)
        earlier = self.first.get((prefix, condition))
        if earlier is not None and self.limits.duplicates == "reject":
            return None, f"; besides, it is the same as {quote(earlier.text)} before it"
        forms = dict.fromkeys((text, prefix.address) if prefix.is_address else (text,)) | {str(prefix): None}
        taken = next((form for form in forms if self._takes(form, label, condition)), None)
        if taken is not None:
            return taken, ""
        return None, f"; besides, {self._why_not(text, label, condition)}"

    def _takes(self, text: str, label: str | None, condition: Condition | None) -> bool:
        return self.suggests and self._why_not(text, label, condition) is None

    def _why_not(self, text: str, label: str | None, condition: Condition | None) -> str | None:
        """Give the message of the first error for an entry that is judged alone; None if it is accepted."""
        alone = _Judge(self.limits, suggests=False)
        alone.hear_parts(0, text, label, condition)
        _, problems = alone.verdict()
        errors = (problem for problem in problems if problem.severity is Severity.ERROR)
        return next((error.message for error in errors if error.code != "too_few_entries"), None)

    # 3. Each against the others.

    def _judge_duplicate(self, item: _Item, earlier: _Item) -> None:
        message = f"the same as {quote(earlier.text)} before it"
        if self.limits.duplicates == "reject":
            self._error(item.index, item.text, "duplicate", message, "remove one of them")
        else:
            kept = "" if earlier.index in self.refused else ", which is kept"
            self._warn(item.index, item.text, "duplicate", message + kept)

    def _judge_overlaps(self) -> None:
        """Find entries that a broader entry covers; refused entries are left out."""
        sound = [item for item in self.items if item.index not in self.refused]
        plain = [item for item in sound if item.entry.condition is None]
        trie = PatriciaTrie((item.entry.prefix, item) for item in plain)
        denied = PatriciaTrie((item.entry.prefix, item) for item in sound if not allows(item.entry))
        for item in plain:
            if denied.longest_match(item.entry.prefix):
                continue  # this entry may allow again what a deny entry excludes from the broader entry
            for _, broader in trie.covering(item.entry.prefix)[1:2]:
                self.tell_covered(item.index, item.text, broader.text)

    def tell_covered(self, index: int, text: str, broader: str) -> None:
        """Warn of an entry that a broader one covers."""
        message = f"covered by the broader entry {quote(broader)}"
        self._warn(index, text, "covered", message, "one of the two is enough")

    # 4. The list as a whole.

    def _judge_count(self, count: int) -> None:
        limits = self.limits
        if limits.max_entries is not None and (count > limits.max_entries or self.is_cut):
            too_many = self.items[limits.max_entries].text if count > limits.max_entries else None
            message = f"{count} entries, at most {limits.max_entries} are accepted"
            if self.is_cut:
                read = max(count, len(self.refused)) - 1
                message = f"more than {read} entries, at most {limits.max_entries} are accepted; the rest was not read"
            hint = too_many and f"{quote(too_many)} is the first too many"
            self._error(None, too_many or "", "too_many_entries", message, hint)
        if count < limits.min_entries and not self.is_cut:
            self._error(None, "", "too_few_entries", f"{count} valid entries, at least {limits.min_entries} needed")

    def _judge_reach(self, entries: tuple[Entry, ...], reach: Reach) -> None:
        """Find lists that allow everyone, or nobody, even if no single entry shows it (C24)."""
        if not entries:
            self._judge_empty()
            return
        if reach.is_nobody():
            why = "what it allows is denied again, or disabled" if any(map(allows, entries)) else "it only denies"
            self._warn(None, "", "nobody_passes", f"no address passes by this list alone: {why}")
        for family in (4, 6):
            if reach.is_everyone(family):
                self._tell_everyone(family, entries)
            elif reach.is_most(family):
                message = f"the list allows more than half of all IPv{family} addresses"
                self._warn(None, "", "most_addresses", message)

    def _tell_everyone(self, family: int, entries: tuple[Entry, ...]) -> None:
        message = f"the list allows every IPv{family} address: it equals no restriction"
        if any(entry.prefix.family == family and denies_for_a_time(entry) for entry in entries):
            message += ", at the times when its deny entries do not count"
        if self.limits.allow_any:
            self._warn(None, "", "no_restriction", message)
        else:
            self._error(None, "", "no_restriction", message, "name the addresses that you mean")

    def _judge_empty(self) -> None:
        """Warn of a list without entries: a key is then without a list (C7), and a named list denies (C22)."""
        if self.refused:
            return
        if not self.on_key:
            self._warn(None, "", "empty_list", "no entries: no address passes")
        elif self.limits.empty_is_open:
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
    """Whether this is a control character, a lone surrogate, a line end, or changes the direction of text."""
    return unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") or unicodedata.bidirectional(character) in _TURNS


def _text_of(entry: object) -> str:
    """Show an entry that could not be taken apart: by its prefix, if that can be found."""
    named = entry
    if type(entry) is tuple and entry:
        named = entry[0]
    elif isinstance(entry, Mapping):
        with suppress(Exception):  # a foreign mapping may raise anything, and was refused already
            named = fields_of(entry).get("prefix", entry)
    return str(shown(named))


def _text_of_prefix(entry: EntryLike) -> str:
    """Show the prefix of an entry that was sifted: it is text, or an object whose text is short."""
    prefix = entry[0] if type(entry) is tuple else entry
    return str(prefix)


def _last_address(prefix: Prefix) -> str:
    """The text of the last address of a prefix."""
    packed = prefix.packed
    last = int.from_bytes(packed, "big") | ((1 << (8 * len(packed) - prefix.length)) - 1)
    return Prefix(last.to_bytes(len(packed), "big")).address


def _is_cidr(given: object, prefix: Prefix) -> bool:
    """Whether an entry was given as a range: a text with a slash, or an object that is not a single address."""
    return "/" in given if isinstance(given, str) else not prefix.is_address


def _is_mapped(given: object, prefix: Prefix) -> bool:
    """Whether an IPv4 prefix was given in IPv6 form."""
    if isinstance(given, bytes):
        return len(given) == 16 and prefix.family == 4
    return prefix.family == 4 and ":" in str(shown(given))
