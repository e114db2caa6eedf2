"""An engine and its slow twin live through the same changes, and must answer alike after each.

A change is data, the name of a method and what it is given, so the same value is done to both:

    Change("put_key", "k1", entries=..., lists=("office",))  --> engine or transaction, and twin
                                                                 both take it, or both refuse it for the same reason

The prefixes lie close together, around the middle of their family, so that entries cover, tie and carve.  The clock is
the machine's own; it goes back as readily as forth.
"""

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from cidrmatch import (
    Condition,
    Engine,
    Entry,
    KeyRecord,
    KeyRules,
    Policy,
    PolicyError,
    Prefix,
    Report,
    Transaction,
    errors,
)
from cidrmatch._keys import FrozenList
from tests.engine_twin import FOREVER, Answer, Client, EngineTwin, Entries, Network, Refused, Rules, TwinEntry, TwinKey

START = 1_700_000_000
CUTOVER = START + 5
KEYS = ("k1", "k2", "k3", "ключ")
LISTS = ("office", "home", "org")
ERRORS: dict[str, type[Exception]] = {
    "conflict": errors.Conflict,
    "engine": errors.EngineError,
    "exists": errors.AlreadyExists,
    "feature": errors.FeatureOff,
    "in_use": errors.InUse,
    "lockout": errors.LockOut,
    "policy": PolicyError,
    "text": errors.InvalidPrefix,
    "unknown": errors.UnknownName,
}
PRODUCTS = {
    "open": (Policy(), Rules()),
    "cutover": (
        Policy(min_entries=1, keys=KeyRules(new_keys_need_list=True, cutover=datetime.fromtimestamp(CUTOVER, UTC))),
        Rules(cutover=CUTOVER, min_entries=1),
    ),
    "lists": (
        Policy(min_entries=1, keys=KeyRules(binding="lists", describe_lists=True)),
        Rules(min_entries=1, lists_only=True, describes=True),
    ),
}
JUNK: Any = "203.0.113.7/24"
UNPARSABLE: tuple[object, ...] = (None, "", "10.0.0.1\n", "010.0.0.1", "fe80::1%eth0", 5, b"123", "192.0.2.0/24")


ABOUT_ONE_KEY = ("put_key", "update_key", "add_entries", "remove_entries", "link", "unlink")
OPEN = {"no entries: every address passes", "the list is not enforced: every address passes"}


class DeliberateError(Exception):
    """Raised inside a transaction, to see it discarded."""


@dataclass(frozen=True)
class Change:
    """One change; `if_version` is said relative to the version that is current."""

    method: str
    names: tuple[str | None, ...]
    facts: tuple[tuple[str, Any], ...]
    version_step: int | None = None

    def do_to_twin(self, twin: EngineTwin) -> None:
        facts: dict[str, Any] = dict(self.facts)
        if self.version_step is not None:
            facts["if_version"] = twin.data.version + self.version_step
        getattr(twin, self.method)(*self.names, **facts)

    def do_to_ours(self, writer: Engine | Transaction, version: int) -> Report | None:
        facts = {name: ours(name, value) for name, value in self.facts}
        if self.version_step is not None:
            facts["if_version"] = version + self.version_step
        given = (facts.pop("pairs"),) if "pairs" in facts else self.names
        report: Report | None = getattr(writer, self.method)(*given, **facts)
        return report

    def touched(self, twin: EngineTwin) -> set[str | None]:
        """The keys about whose lists this change says something, before it is made."""
        if self.method == "put_keys":
            return {key for key, _ in dict(self.facts)["pairs"]}
        if self.method == "remove_list":
            return {*twin.keys_of(str(self.names[0]))}
        return {self.names[0]} if self.method in ABOUT_ONE_KEY else set()


def ours(name: str, value: Any) -> Any:
    """A fact of the twin's in the form that the engine takes."""
    if value is None:
        return None
    if name == "entries":
        return [our_entry(entry) for entry in value]
    if name == "pairs":
        return [(key, [our_entry(entry) for entry in entries]) for key, entries in value]
    if name == "created_at":
        return moment(value)
    if name == "caller":
        return str(value)
    return value


def our_entry(entry: TwinEntry) -> Any:
    if not entry.is_text:
        return JUNK
    return Entry(str(entry.network), entry.label, our_condition(entry))


def our_condition(entry: TwinEntry) -> Condition | None:
    condition = Condition(
        effect="deny" if entry.effect == "deny" else "allow",
        enabled=entry.enabled,
        not_before=None if entry.start == -FOREVER else moment(entry.start),
        expires=None if entry.end == FOREVER else moment(entry.end),
    )
    return None if condition == Condition() else condition


def moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


# -- What is drawn ------------------------------------------------------------

NETWORKS = st.one_of(
    st.builds(
        lambda flip, length: IPv4Network(((0xC0000280 ^ flip) & ~((1 << (32 - length)) - 1), length)),
        st.sampled_from([0, 0, 1, 1 << 6, 1 << 7, 1 << 31]),
        st.sampled_from([0, 1, 24, 25, 26, 31, 32, 32]),
    ),
    st.builds(
        lambda flip, length: IPv6Network(
            (((0x20010DB8 << 96) + (1 << 64) ^ flip) >> (128 - length) << (128 - length), length)
        ),
        st.sampled_from([0, 0, 1, 1 << 63, 1 << 64, 1 << 127]),
        st.sampled_from([0, 1, 48, 63, 64, 65, 128]),
    ),
)
MOMENTS = st.integers(START - 10, START + 10)


@st.composite
def twin_entries(draw: st.DrawFn) -> TwinEntry:
    network, label = draw(NETWORKS), draw(st.sampled_from([None, "Lyon", "Büro"]))
    if draw(st.booleans()):
        return TwinEntry(network, label)
    times = sorted([draw(MOMENTS), draw(MOMENTS)])
    start = draw(st.sampled_from([-FOREVER, times[0]]))
    end = draw(st.sampled_from([FOREVER, times[1] + 1]))
    return TwinEntry(network, label, draw(st.sampled_from(["allow", "deny"])), draw(st.integers(0, 4)) > 0, start, end)


def some_entries() -> st.SearchStrategy[Entries]:
    return st.lists(twin_entries(), min_size=1, max_size=4).map(tuple)


def entry_lists(junk: bool = True) -> st.SearchStrategy[Entries]:
    """Now and then with a text inside that no policy takes."""
    good = st.lists(twin_entries(), max_size=4).map(tuple)
    spoilt: st.SearchStrategy[Entries] = st.builds(
        lambda entries: (*entries, TwinEntry(IPv4Network("0.0.0.0/0"), is_text=False)), good
    )
    return st.one_of(good, some_entries(), some_entries(), some_entries(), spoilt) if junk else good


def present_entries() -> st.SearchStrategy[Entries]:
    """Few networks without anything else, so that now and then they are there."""
    plain = st.builds(TwinEntry, NETWORKS)
    return st.one_of(st.lists(plain, max_size=2).map(tuple), entry_lists())


keys = st.sampled_from(KEYS)
lists = st.sampled_from(LISTS)
some_lists = st.lists(lists, max_size=2).map(tuple)
few_lists = st.one_of(st.just(()), some_lists)
versions = st.sampled_from([None] * 8 + [0, 0, 1, -1])


@st.composite
def clients(draw: st.DrawFn, networks: Iterable[Network] = ()) -> IPv4Address | IPv6Address:
    """An address at, or one step outside, the border of a prefix."""
    network = draw(st.sampled_from(sorted(set(networks), key=str) or [IPv4Network("192.0.2.0/24")]))
    return draw(st.sampled_from(borders(network)))


def borders(network: Network) -> list[IPv4Address | IPv6Address]:
    first, last = int(network.network_address), int(network.broadcast_address)
    make: Callable[[int], IPv4Address | IPv6Address] = type(network.network_address)
    most = (1 << network.max_prefixlen) - 1
    return [make(number) for number in (max(first - 1, 0), first, last, min(last + 1, most))]


def guards() -> st.SearchStrategy[dict[str, object]]:
    """Mostly no guard; else a caller, and whether it is forced."""
    guarded = st.fixed_dictionaries(
        {"caller": NETWORKS.flatmap(lambda network: clients([network])), "force": st.booleans()}
    )
    return st.one_of(st.just({}), st.just({}), guarded)


def changes() -> st.SearchStrategy[Change]:
    return st.one_of(
        change("put_key", (keys,), entries=entry_lists(), lists=few_lists, within=few_lists,
               created_at=st.one_of(st.none(), st.none(), MOMENTS), enabled=st.integers(0, 4).map(bool),
               replace=st.booleans(),               guard=guards()),
        change("put_key", (keys,), entries=entry_lists(), replace=st.booleans()),
        change("put_key", (keys,), lists=some_lists, replace=st.booleans()),
        change("update_key", (keys,), entries=st.one_of(st.none(), entry_lists()),
               lists=st.one_of(st.none(), few_lists),
               within=st.one_of(st.none(), few_lists), enabled=st.sampled_from([None, True, False]), guard=guards()),
        change("update_key", (keys,), entries=entry_lists()),
        change("put_keys", (), pairs=st.lists(st.tuples(keys, entry_lists()), max_size=3).map(tuple),
               replace=st.integers(0, 2).map(bool)),
        change("add_entries", (keys,), entries=entry_lists(), guard=guards()),
        change("remove_entries", (keys,), entries=present_entries(), guard=guards()),
        change("add_to_list", (lists,), entries=entry_lists(), guard=guards()),
        change("remove_from_list", (lists,), entries=present_entries(), guard=guards()),
        change("remove_key", (keys,)),
        change("put_list", (lists,), entries=entry_lists(), description=st.sampled_from(["what for", "what for", ""]),
               guard=guards()),
        change("put_list", (lists,), entries=entry_lists(), description=st.just("what for")),
        change("remove_list", (lists,), force=st.booleans()),
        change("link", (keys, lists)),
        change("unlink", (keys, lists)),
        change("set_default", (st.one_of(st.none(), lists),)),
        change("put_shadow", (keys,), entries=entry_lists()),
        change("remove_shadow", (keys,)),
    )  # fmt: skip


def first_list(name: str) -> st.SearchStrategy[Change]:
    return st.builds(
        lambda entries: Change("put_list", (name,), (("entries", entries), ("description", "what for"))), some_entries()
    )


def first_key(name: str, with_entries: bool) -> st.SearchStrategy[Change]:
    return st.builds(
        lambda entries, lists, within: Change(
            "put_key", (name,), (("entries", entries), ("lists", lists), ("within", within))
        ),
        some_entries() if with_entries else st.just(()),
        few_lists,
        few_lists,
    )


@st.composite
def change(
    draw: st.DrawFn, /, method: str, names: tuple[st.SearchStrategy[str | None], ...], **facts: st.SearchStrategy[Any]
) -> Change:
    guard: dict[str, object] = draw(facts.pop("guard", st.just({})))
    drawn = {name: draw(strategy) for name, strategy in facts.items()}
    return Change(method, tuple(draw(name) for name in names), tuple((drawn | guard).items()), draw(versions))


# -- The machine --------------------------------------------------------------


class EngineMachine(RuleBasedStateMachine):
    """The pair (engine, twin) and everything that can be done to it."""

    id_secret: bytes | None = None

    def held(self, names: Iterable[str]) -> list[str]:
        """The names of keys as the engine lists them."""
        return sorted(self.engine.view.held_id(name) for name in names)

    @initialize(product=st.sampled_from(sorted(PRODUCTS)), unknown=st.sampled_from(["deny", "pass"]), data=st.data())
    def start(self, product: str, unknown: str, data: st.DataObject) -> None:
        """Not from nothing: most changes want something to change."""
        policy, rules = PRODUCTS[product]
        self.twin = EngineTwin(Rules(**{**vars(rules), "unknown_passes": unknown == "pass"}))
        self.twin.now = START
        self.engine = Engine(policy, clock=lambda: self.twin.now, unknown_key=unknown, id_secret=self.id_secret)
        self.steps = 0
        for name in LISTS:
            self.do_both(data.draw(first_list(name)), self.engine)
        for key in KEYS[:3]:
            self.do_both(data.draw(first_key(key, with_entries=product != "lists")), self.engine)

    # Changing

    def do_both(self, change: Change, writer: Engine | Transaction) -> bool:
        """Do it to both; whether both took it."""
        version = self.engine.version
        touched, before = change.touched(self.twin), self.open_keys()
        kinds = refusals(lambda: change.do_to_twin(self.twin))
        if not kinds:
            self.hears_of_open_keys(change, change.do_to_ours(writer, version), touched, before)
            return True
        with pytest.raises(errors.CidrmatchError) as caught:
            change.do_to_ours(writer, version)
        assert caught.type in {ERRORS[kind] for kind in kinds}, (caught.value, kinds)
        return False

    def open_keys(self) -> set[str]:
        return {key for key in self.twin.data.keys if self.twin.state(key) == "unrestricted"}

    def hears_of_open_keys(
        self, change: Change, report: Report | None, touched: set[str | None], before: set[str]
    ) -> None:
        """No change ends in a key being unrestricted without a warning, and none warns of what is not so."""
        opened = {key for key in self.open_keys() if key in touched or key not in before}
        warnings = [] if report is None else [text.message for text in report.warnings if text.code == "unrestricted"]
        if change.method == "remove_key":
            assert len(warnings) == self.twin.rules.unknown_passes
        elif change.method in ABOUT_ONE_KEY:
            assert len(warnings) == len(opened)
            assert set(warnings) <= OPEN
        else:
            assert bool(warnings) is bool(opened)
            assert all(any(errors.quote(key) in warning for warning in warnings) for key in self.held(opened))

    @rule(change=changes())
    def change(self, change: Change) -> None:
        self.do_both(change, self.engine)

    @rule(some=st.lists(changes(), max_size=4), fails=st.sampled_from([False, False, True]), step=versions)
    def transaction(self, some: list[Change], fails: bool, step: int | None) -> None:
        """All of them, or none if it fails at the end; a change that is refused on the way is none at all."""
        if step is not None and step != 0:
            with pytest.raises(errors.Conflict), self.engine.transaction(if_version=self.engine.version + step):
                raise AssertionError("the block must not be entered")
            return

        def act(transaction: Transaction) -> None:
            for change in some:
                self.do_both(change, transaction)
            if fails:
                raise DeliberateError

        try:
            with self.engine.transaction(if_version=None if step is None else self.engine.version) as transaction:
                self.twin.change(lambda: act(transaction))
        except DeliberateError:
            assert fails

    @rule(some=st.lists(changes(), max_size=3))
    def transaction_that_a_refusal_ends(self, some: list[Change]) -> None:
        """Nobody catches the refusal inside: everything before it is discarded as well."""
        twin, version = self.twin, self.twin.data.version

        def act_on_twin() -> None:
            for change in some:
                change.do_to_twin(twin)

        def act_on_ours() -> None:
            with self.engine.transaction() as transaction:
                for change in some:
                    change.do_to_ours(transaction, version)

        kinds = refusals(lambda: twin.change(act_on_twin))
        if not kinds:
            act_on_ours()
            return
        with pytest.raises(errors.CidrmatchError) as caught:
            act_on_ours()
        assert caught.type in {ERRORS[kind] for kind in kinds}

    @rule(outer=changes(), inner=changes())
    def transaction_with_a_commit_inside(self, outer: Change, inner: Change) -> None:
        """A commit inside stands, and the transaction around it fails; a refused one does no harm."""
        was_done = False
        try:
            with self.engine.transaction() as transaction:
                with suppress(errors.CidrmatchError):
                    outer.do_to_ours(transaction, self.engine.version)
                was_done = self.do_both(inner, self.engine)
        except errors.Conflict:
            assert was_done
            return
        assert not was_done

        def act() -> None:
            with suppress(Refused):
                outer.do_to_twin(self.twin)

        self.twin.change(act)

    @rule(is_enforced=st.sampled_from([True, True, True, False]))
    def set_enforced(self, is_enforced: bool) -> None:
        report = self.engine.set_enforced(is_enforced)
        assert [problem.code for problem in report.problems] == ["unrestricted"] * (not is_enforced)
        self.twin.set_enforced(is_enforced)

    @rule(name=lists, entries=entry_lists(junk=False))
    def import_list(self, name: str, entries: Entries) -> None:
        """As it is, which may be empty (C22)."""
        with self.engine._drafting(None) as draft:
            draft.set_list(name, FrozenList(name, tuple(our_entry(entry) for entry in entries), "what for"))
        self.twin.import_list(name, entries)

    @rule(key=keys, entries=entry_lists(junk=False), created_at=MOMENTS, data=st.data())
    def import_key(self, key: str, entries: Entries, created_at: int, data: st.DataObject) -> None:
        known = sorted(self.twin.data.lists)
        linked = tuple(data.draw(st.lists(st.sampled_from(known), unique=True, max_size=2))) if known else ()
        ours = tuple(our_entry(entry) for entry in entries)
        with self.engine._drafting(None) as draft:
            draft.set_record(draft.held_id(key), KeyRecord(created_at=moment(created_at), entries=ours, lists=linked))
        self.twin.import_key(key, TwinKey(created_at, entries, linked))

    @rule()
    def fold(self) -> None:
        """Objects become records of the store; nobody notices."""
        version = self.engine.version
        self.engine.fold()
        assert self.engine.view.overlay == {}
        assert self.engine.version == version

    @rule(now=MOMENTS)
    def set_clock(self, now: int) -> None:
        self.twin.now = now

    # Asking

    @rule(data=st.data(), key=st.sampled_from([*KEYS, "nobody"]))
    def ask(self, data: st.DataObject, key: str) -> None:
        client = data.draw(clients(self.twin.networks()))
        mapped = b"\0" * 10 + b"\xff\xff" + client.packed if client.version == 4 else client.packed
        for spelling in (str(client), client.packed, client, mapped, ip_address(mapped)):
            self.compare(key, spelling, client)

    @rule(key=keys, given=st.sampled_from(UNPARSABLE))
    def ask_about_no_address(self, key: str, given: object) -> None:
        self.compare(key, given, None)

    def compare(self, key: str, given: object, client: Client) -> None:
        expected = self.twin.check(key, client)
        assert self.engine.allows(key, given) is expected.allowed, (key, given, expected)
        decision = self.engine.check(key, given)
        entry = decision.entry
        found = Answer(
            decision.allowed,
            decision.reason.value,
            decision.version,
            None if entry is None else network_of(entry.prefix),
            decision.label,
            decision.list_name,
        )
        assert found == expected, (key, given)
        assert decision.would_allow is self.twin.would_allow(key, client)
        assert decision.address == (None if client is None else str(client))
        assert decision.key == key
        if key in self.twin.data.keys:
            assert decision.state is not None
            assert decision.state.value == self.twin.state(key)
        else:
            assert decision.state is None

    # After each step

    @invariant()
    def holds_the_same(self) -> None:
        data = self.twin.data
        assert self.engine.version == data.version
        assert self.engine.keys() == self.held(data.keys)
        assert self.engine.default() == data.default
        assert {name: len(frozen.entries) for name, frozen in self.engine.lists().items()} == {
            name: len(entries) for name, entries in data.lists.items()
        }
        for name in data.lists:
            assert self.engine.keys_of(name) == self.held(self.twin.keys_of(name))
        for key, said in data.keys.items():
            assert self.engine.lists_of(key) == said.lists
            assert self.engine.state(key).value == self.twin.state(key)

    @invariant()
    def answers_the_same(self) -> None:
        """Each key, at some borders; other ones after each step."""
        self.steps += 1
        around = sorted({client for network in self.twin.networks() for client in borders(network)}, key=str)
        for number, key in enumerate((*KEYS, "nobody")):
            for turn in range(3 if around else 0):
                client = around[(self.steps * 7 + number * 5 + turn * 11) % len(around)]
                self.compare(key, str(client), client)
        self.compare(KEYS[self.steps % len(KEYS)], None, None)


class HashedEngineMachine(EngineMachine):
    """The same, for an engine that holds hashes of ids."""

    id_secret = b"not so long a secret"


def refusals(act: Callable[[], None]) -> set[str]:
    """The kinds of reason for which the twin refuses; none: it was done."""
    try:
        act()
    except Refused as refused:
        return refused.kinds
    return set()


def network_of(prefix: Prefix) -> Network:
    return IPv4Network(str(prefix)) if prefix.family == 4 else IPv6Network(str(prefix))


PROFILE = settings()
TestEngineMachine = EngineMachine.TestCase
TestEngineMachine.settings = settings(PROFILE, max_examples=min(PROFILE.max_examples, 10_000), stateful_step_count=25)
TestHashedEngineMachine = HashedEngineMachine.TestCase
TestHashedEngineMachine.settings = settings(
    PROFILE, max_examples=min(PROFILE.max_examples, 1_000), stateful_step_count=25
)
