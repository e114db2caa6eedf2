"""Judges of a replay: a list, an engine or a version of its data, asked about many requests at moments of our choice.

    AllowList          asks the address; knows no key and no time
    Engine, View       asks the compiled core about key and address, by a clock that the replay turns
    "open"             lets every request pass

    moments_of(key)    [ 12:00, 18:00 ]      when an entry of the key begins or ends to count; (): answers never change
    answers(...)       b"\\x01\\x00\\x01"       one byte for each request
    why(...)           reason, entry, list   of one answer

An engine is asked through a checker of its own: the engine's clock is not touched, and keys with a list on trial are
asked without the trial, so that its counts stay as they are.
Threads: a judge belongs to one replay.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from .._core import AllowList, format_address
from .._keys import Checker, FrozenList, Reason, View, rule_of
from ..engine.settings import settings_of
from ..errors import InvalidAddress, SnapshotError

if TYPE_CHECKING:
    from .._keys import Decision

__all__ = ["EVERYONE", "Asked", "Judge", "OpenJudge", "contains", "judge_of", "problem_of"]

Judge: TypeAlias = AllowList | Checker | View
"""Who is asked: a list, an engine, or one version of an engine's data."""

Addresses: TypeAlias = Sequence[str | None]
Moments: TypeAlias = Sequence[float | None] | None
Why: TypeAlias = tuple[Reason, str | None, str | None]

EVERYONE = AllowList(["0.0.0.0/0", "::/0"])
"""The list of all addresses: what is not in it is no address."""


class Asked(Protocol):
    """One side of a comparison.

    `moments_of` gives the moments at which answers for a key change, or None if nobody knows; `why` gives the reason of
    an answer, and the entry and the list that decided.
    """

    needs_key: bool

    def now(self) -> float: ...
    def moments_of(self, key: str, /) -> Sequence[float] | None: ...
    def answers(self, keys: Any, addresses: Addresses, moments: Moments, /) -> bytes: ...
    def why(self, key: str | None, address: str | None, moment: float | None, /) -> Why: ...


def judge_of(judge: Judge, at: float | None) -> Asked:
    """Make the side of a comparison that asks a judge; at one moment, or at that of each request.

    Raises:
        TypeError: it is no judge.
    """
    if isinstance(judge, AllowList):
        return _ListJudge(judge)
    if isinstance(judge, Checker):
        judge = judge.view
    if isinstance(judge, View):
        return _EngineJudge(judge, at)
    raise TypeError(f"a list, an engine or a view is asked, not {type(judge).__name__}")


class OpenJudge:
    """Lets every request pass, whatever its address; as a key does that nothing restricts."""

    needs_key = False

    def now(self) -> float:
        return 0.0

    def moments_of(self, _key: str, /) -> Sequence[float]:
        return ()

    def answers(self, _keys: Any, addresses: Addresses, _moments: Moments, /) -> bytes:
        return b"\x01" * len(addresses)

    def why(self, _key: str | None, _address: str | None, _moment: float | None, /) -> Why:
        return Reason.UNRESTRICTED, None, None


class _ListJudge:
    """Asks a list, which knows no key and no time."""

    needs_key = False

    def __init__(self, allow: AllowList) -> None:
        self._allow = allow

    def moments_of(self, _key: str) -> Sequence[float]:
        return ()

    def now(self) -> float:
        return 0.0

    def answers(self, _keys: Any, addresses: Addresses, _moments: Moments) -> bytes:
        return contains(self._allow, addresses)

    def why(self, _key: str | None, address: str | None, _: float | None) -> Why:
        if problem_of(address) is not None:
            return Reason.CLIENT_IP_UNKNOWN, None, None
        entry = self._allow.match(str(address))
        if entry is not None:
            return Reason.MATCHED, str(entry.prefix), None
        return Reason.NOT_LISTED if len(self._allow) else Reason.EMPTY_LIST, None, None


def contains(allow: AllowList, addresses: Sequence[str | None]) -> bytes:
    """Tell for each address whether it is in a list; what is no address is in none."""
    try:
        return allow.contains_many(addresses)  # type: ignore[arg-type]  # None raises
    except (InvalidAddress, TypeError):
        return bytes(problem_of(address) is None and address in allow for address in addresses)  # type: ignore[operator]


def problem_of(address: str | None) -> str | None:
    """Say why an address is none, in the engine's words; None if it is one."""
    if address is None:
        return "no address was recorded"
    try:
        format_address(address)
    except InvalidAddress as error:
        return error.reason
    return None


class _EngineJudge:
    """Asks one version of an engine's data at moments that the caller chooses, and counts no trial."""

    needs_key = True

    def __init__(self, view: View, at: float | None) -> None:
        settings = settings_of(view)
        self._at = at
        self._now = settings.clock() if at is None else at
        self._moment = self._now
        self._settings = dataclasses.replace(settings, clock=lambda: self._moment)
        self._view = view
        self._without_trials = dict(view.overlay)
        self._checker = Checker()
        self._publish()
        self._by_list: dict[FrozenList, frozenset[float]] = {}

    def _publish(self) -> None:
        view = self._view
        asked = view.following(self._without_trials, view.lists, view.default, view.version, self._settings)
        self._checker.view = asked

    def now(self) -> float:
        return self._now

    def moments_of(self, key: str) -> Sequence[float] | None:
        """Give the moments at which an entry of a key begins or ends to count; each key is learned here first."""
        view, held_id = self._view, self._view.held_id(key)
        try:
            rule = view.rule(held_id)
        except SnapshotError:
            return ()  # a damaged record is denied at all times
        if rule is None:
            return ()
        if rule.shadow is not None:
            self._without_trials[held_id] = rule_of(rule.record, needs_list=rule.needs_list, shadow=None)
            self._publish()
        if self._at is not None:
            return ()
        try:
            lists = [frozen for _, level in view.levels(rule) for frozen in level]
        except KeyError:
            return None
        return sorted(frozenset().union(*map(self._moments_of_list, lists)))

    def _moments_of_list(self, frozen: FrozenList) -> frozenset[float]:
        found = self._by_list.get(frozen)
        if found is None:
            conditions = (entry.condition for entry in frozen.entries)
            ends = {end for each in conditions if each is not None for end in (each.start, each.end)}
            found = self._by_list[frozen] = frozenset(filter(math.isfinite, ends))
        return found

    def answers(self, keys: Any, addresses: Addresses, moments: Moments) -> bytes:
        if moments is None:
            return self._answers_at(None, keys, addresses)
        by_moment: dict[float | None, list[int]] = {}
        for index, moment in enumerate(moments):
            by_moment.setdefault(moment, []).append(index)
        if len(by_moment) == 1:
            return self._answers_at(moments[0], keys, addresses)
        answers = bytearray(len(addresses))
        for moment, indexes in by_moment.items():
            found = self._answers_at(
                moment, [keys[index] for index in indexes], [addresses[index] for index in indexes]
            )
            for index, answer in zip(indexes, found, strict=True):
                answers[index] = answer
        return bytes(answers)

    def _answers_at(self, moment: float | None, keys: Any, addresses: Addresses) -> bytes:
        self._moment = self._now if moment is None else moment
        return self._checker.allows_many(keys, addresses)

    def why(self, key: str | None, address: str | None, moment: float | None) -> Why:
        self._moment = self._now if moment is None else moment
        decision: Decision = self._checker.check(key, address)  # type: ignore[arg-type]  # None raises
        entry = decision.entry
        shown = None if entry is None else decision.policy.canonical(entry.prefix)
        return decision.reason, shown, decision.list_name
