"""Whatever breaks, nobody gets in by it: each thing a check stands on is made to fail, one at a time.

What could bring the interpreter down runs in a child process, which is this same file with the name of an experiment:

    test --> python -m tests.unit.test_fail_closed NAME --> prints "done", or an AssertionError, or it crashes

"Denied" below means: `allows` is False or raises, `check(...).allowed` is False or `check` raises.  True is never an
answer.  The requests are ones that must be denied, so each True would be a hole.
"""

import contextlib
import gc
import ipaddress
import math
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cidrmatch import (
    AllowList,
    Decision,
    Engine,
    Entry,
    KeyRecord,
    KeyRules,
    KeyStore,
    PatriciaTrie,
    Policy,
    PolicyError,
    State,
    presets,
)
from cidrmatch._keys import Checker, FrozenList, Rule, Shadow, View

CUTOVER = datetime(2025, 6, 16, tzinfo=UTC)
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
LISTED, UNLISTED = "203.0.113.5", "198.51.100.9"
BOTH = ["203.0.113.0/24", "2001:db8::/32"]


class SuddenError(BaseException):
    """Not an `Exception`, like KeyboardInterrupt and what signal handlers raise."""


def is_denied(engine: Checker, key: str, address: object, *, may_raise: type[BaseException] = Exception) -> bool:
    answers: list[bool] = []
    for ask in (engine.allows, engine.check):
        try:
            answer = ask(key, address)
            answers.append(answer if isinstance(answer, bool) else answer.allowed)
        except may_raise:
            answers.append(False)
    return answers == [False, False]


def build_engine(clock: Callable[[], Any] = NOON.timestamp) -> Engine:
    """An engine with a key for each way that a check can take; `LISTED` passes all, `UNLISTED` none."""
    engine = Engine(Policy(), clock=clock)
    engine.put_list("office", BOTH)
    engine.put_list("org", [*BOTH, {"prefix": UNLISTED, "enabled": False}])
    engine.put_key("simple", BOTH)
    engine.put_key("deny", [*BOTH, "198.51.100.0/24", {"prefix": UNLISTED, "effect": "deny"}])
    engine.put_key("timed", [{"prefix": "203.0.113.0/24", "not_before": "2020-01-01T00:00:00Z"}])
    engine.put_key("over", [*BOTH, {"prefix": UNLISTED, "expires": "2020-01-01T00:00:00Z"}])
    engine.put_key("linked", lists=["office", "org"])
    engine.put_key("within", ["0.0.0.0/0", "::/0"], within=["office", "org"])
    engine.put_key("shadowed", BOTH)
    engine.put_shadow("shadowed", ["0.0.0.0/0", {"prefix": "::/0", "expires": "2030-01-01T00:00:00Z"}])
    engine.put_key("default")
    engine.set_default("office")
    return engine


KEYS = ("simple", "deny", "timed", "over", "linked", "within", "shadowed", "default", "nobody")
TIMED = ("timed", "over", "shadowed")


def test_the_experiments_begin_with_an_engine_that_works() -> None:
    engine = build_engine()
    assert [key for key in KEYS if engine.allows(key, LISTED)] == list(KEYS[:-1])
    assert all(is_denied(engine, key, UNLISTED) for key in KEYS)


# -- In a child process -------------------------------------------------------


def run_child(experiment: str) -> None:
    command = [sys.executable, "-m", "tests.unit.test_fail_closed", experiment]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr[-3000:]


def without_memory(start: int, stop: int, act: Callable[[], Any]) -> Any:
    """Run it while allocations number `start` up to `stop` (0: all from there) fail; None if it raised."""
    import _testcapi  # type: ignore[import-not-found]

    result = None
    _testcapi.set_nomemory(start, stop)
    try:
        result = act()
    except BaseException:
        result = None
    finally:
        _testcapi.remove_mem_hooks()
    return result


def check_without_memory() -> None:
    """Fail each allocation of each kind of check: that one alone, or it and all that follow."""
    moments = [NOON.timestamp(), NOON.timestamp() + 10**9]  # entries come and go between any two checks
    clock = iter(moments * 10**6).__next__
    engine = build_engine(clock)
    clients = (
        UNLISTED,
        "2001:db9::1",
        ipaddress.ip_address(UNLISTED),
        ipaddress.IPv6Address(1),
        b"\1\1\1\1",
        "²",
        None,
    )
    failures = 0
    for key in KEYS:
        for client in clients:
            asks: tuple[Callable[[], bool], ...] = (
                lambda: engine.allows(key, client),  # noqa: B023 called before the next turn
                lambda: engine.check(key, client).allowed,  # noqa: B023 the same
            )
            for act in asks:
                for start in range(60):
                    for stop in (start + 1, 0):
                        answer = without_memory(start, stop, act)
                        assert answer is not True, (key, client, start, stop)
                        failures += answer is None
                assert act() is False
    assert failures > 5, failures  # a check asks for memory in few places


def read_decision_without_memory() -> None:
    """A decision that denies never says anything else, however little memory there is to say it with."""
    engine = build_engine()
    names = ("allowed", "reason", "state", "entry", "label", "list_name", "address", "would_allow")
    for key in KEYS:
        decision = engine.check(key, UNLISTED)
        reason = decision.reason
        reads: list[Callable[[], Any]] = [lambda name=name: getattr(decision, name) for name in names]  # type: ignore[misc]  # noqa: B023
        for read in [*reads, decision.to_dict, decision.response, decision.__repr__]:
            expected = read()
            for start in range(80):
                for stop in (start + 1, 0):
                    answer = without_memory(start, stop, read)
                    assert answer in (None, expected), (key, read, answer)
        assert decision.allowed is False
        assert decision.reason is reason


def change_without_memory() -> None:
    """A change that ran out of memory changed nothing, and does not keep the next writer waiting."""
    import threading

    def answers(engine: Engine) -> list[bool]:
        return [engine.allows(key, client) for key in KEYS for client in (LISTED, UNLISTED)]

    changes: list[Callable[[Engine], Any]] = [
        lambda engine: engine.put_key("simple", [UNLISTED]),
        lambda engine: engine.put_list("office", [UNLISTED]),
        lambda engine: engine.remove_list("org", force=True),
        lambda engine: engine.put_keys([("simple", [UNLISTED]), ("deny", [UNLISTED])]),
    ]
    after: list[bool] = []
    for act in changes:
        engine = build_engine()
        before, version = answers(engine), engine.version
        for start in range(0, 1500, 3):
            without_memory(start, start + 1, lambda: act(engine))  # noqa: B023
            if engine.version == version:
                assert answers(engine) == before, start
                continue
            assert engine.version == version + 1
            twin = build_engine()
            act(twin)
            after = answers(twin)
            assert answers(engine) == after, start
            engine = build_engine()
        writer = threading.Thread(target=engine.put_key, args=("next", []), daemon=True)
        writer.start()
        writer.join(10)
        assert not writer.is_alive(), "the lock was not given back"
    assert after


def build_without_memory() -> None:
    """Whatever is made of entries is made whole, or raises and leaves nothing behind that is freed twice."""
    directory = tempfile.TemporaryDirectory()
    path = Path(directory.name) / "keys"
    labelled: list[Any] = [("203.0.113.0/24", "a"), ("2001:db8::/32", "b"), {"prefix": "192.0.2.1", "label": "c"}] * 3
    many = [(f"10.0.{number}.0/24", f"label {number}") for number in range(80)]
    engine = build_engine()
    engine.put_key("labelled", labelled)
    engine.put_key("many", many)

    def engine_to_fold() -> Engine:
        made = build_engine()
        made.put_key("labelled", labelled)
        return made

    def fold(made: Engine) -> dict[str, bool]:
        made.fold()
        return {key: made.allows(key, LISTED) for key in (*KEYS, "labelled")}

    def keep(_: object) -> bytes:
        engine.save(path)
        return path.read_bytes()

    acts: list[tuple[Callable[[], Any], Callable[[Any], Any]]] = [
        (lambda: None, lambda _: AllowList(labelled)),
        (lambda: None, lambda _: AllowList(many).aggregate()),
        (lambda: None, lambda _: PatriciaTrie(many).aggregate()),
        (lambda: None, lambda _: bytes(KeyStore({"labelled": labelled, "many": many, "plain": BOTH}).block)),
        (lambda: None, lambda _: KeyStore({"labelled": labelled}).entries("labelled")),
        (lambda: None, lambda _: list(AllowList(BOTH).contains_many([LISTED, UNLISTED, b"1234"]))),
        (lambda: None, lambda _: engine.allows_many(list(KEYS), [LISTED] * len(KEYS))),
        (engine_to_fold, fold),
        (lambda: None, keep),
    ]
    for prepare, act in acts:
        expected, start, failures, in_a_row = act(prepare()), 0, 0, 0
        while in_a_row < 30:  # then the act needs no more allocations than these
            given = prepare()
            answer = without_memory(start, start + 1, lambda: act(given))  # noqa: B023
            assert answer is None or answer == expected, (act, start)
            failures += answer is None
            in_a_row = 0 if answer is None else in_a_row + 1
            start += 3 if act in (fold, keep) else 1
        gc.collect()
        assert failures > 5, act
    directory.cleanup()


def use_misshapen_parts() -> None:
    """Parts that nobody built, or that were built from the wrong things: an exception or a denial."""
    settings = build_engine().view.settings
    entries = FrozenList("x", (Entry("203.0.113.5"),))
    anything: Any
    for anything in (None, 5, "x", (), object(), [], {}, True):
        builds: tuple[Callable[[Any], object], ...] = (
            lambda value: FrozenList(value, value),
            lambda value: FrozenList("x", (value,)),
            lambda value: FrozenList("x", (), value),
            Shadow,
            lambda value: Rule(value, value, value, value, value, value, value),
            lambda value: Rule(None, value, (), (), True, False, None),
            lambda value: Rule(None, None, value, (), True, False, None),
            lambda value: View(value, {}, {}, None, 0, settings),
            lambda value: View(None, {}, {}, None, 0, value),
        )
        for build in builds:
            with contextlib.suppress(TypeError, AttributeError):
                build(anything)
        views: tuple[Callable[[Any], View], ...] = (
            lambda value: View(None, {"k": value}, {}, None, 0, settings),
            lambda value: View(KeyStore({"k": []}), {"k": value}, {}, None, 0, settings),
            lambda value: View(KeyStore({"k": []}), {}, {}, value, 0, settings, ("x",)),
            lambda value: View(
                None, {"k": Rule(None, None, ("x",), (), True, False, None)}, {"x": value}, None, 0, settings
            ),
            lambda value: View(None, {"k": Rule(None, None, (value,), (), True, False, None)}, {}, None, 0, settings),
            lambda value: View(
                None, {"k": Rule(None, entries, (), (value,), True, False, None)}, {}, None, 0, settings
            ),
            lambda value: View(
                None, {"k": Rule(None, entries, (), ("x",), True, False, None)}, {"x": value}, None, 0, settings
            ),
        )
        for view in views:
            checker = Checker()
            with contextlib.suppress(TypeError):
                checker.view = view(anything)
                for client in (UNLISTED, None, "junk"):
                    assert is_denied(checker, "k", client), (anything, client)
        for give in (anything, *(() if anything is None else (type(anything),))):
            with contextlib.suppress(TypeError):
                Checker().view = give
    for checker in (Checker(), Engine.__new__(Engine)):
        no_text: Any
        for no_text in ("k", None, 5, []):
            assert is_denied(checker, no_text, LISTED)
    decision = Decision.__new__(Decision)
    assert decision.allowed is False
    for name in (
        "reason",
        "state",
        "version",
        "policy",
        "address",
        "entry",
        "label",
        "list_name",
        "would_allow",
        "key",
    ):
        with contextlib.suppress(TypeError, AttributeError):
            assert getattr(decision, name) is None
    assert repr(decision) == "<Decision that nobody made>"
    for ask in (decision.response, decision.to_dict, decision.__bool__):
        try:
            ask()
        except (TypeError, AttributeError):
            continue
        raise AssertionError(f"{ask} answered")


EXPERIMENTS = (
    check_without_memory,
    read_decision_without_memory,
    change_without_memory,
    build_without_memory,
    use_misshapen_parts,
)


@pytest.mark.parametrize("experiment", [experiment.__name__ for experiment in EXPERIMENTS])
def test_child_lives_and_finds_no_hole(experiment: str) -> None:
    if "memory" in experiment:
        testcapi = pytest.importorskip("_testcapi", reason="this interpreter has no _testcapi to fail allocations with")
        if not hasattr(testcapi, "set_nomemory"):
            pytest.skip("this interpreter's _testcapi cannot fail allocations")
        runs_python = experiment != "check_without_memory"
        if runs_python and sys.version_info[:2] in ((3, 12), (3, 13)):
            pytest.skip("CPython 3.12 and 3.13 crash by themselves where PyFunction_New cannot allocate")
    run_child(experiment)


# -- The clock ----------------------------------------------------------------


@pytest.mark.parametrize("given", [math.nan, math.inf, -math.inf, "1000", None, b"", [], object(), 1j])
def test_clock_that_gives_no_time_lets_nobody_in(given: object) -> None:
    box: list[Any] = [NOON.timestamp()]
    engine = build_engine(lambda: box[0])
    assert all(engine.allows(key, LISTED) for key in TIMED)
    box[0] = given
    for key in KEYS:
        assert is_denied(engine, key, UNLISTED, may_raise=(TypeError, ValueError))  # type: ignore[arg-type]
    for key in TIMED:
        assert is_denied(engine, key, LISTED)
        with pytest.raises((TypeError, ValueError)):
            engine.allows(key, LISTED)
    box[0] = NOON.timestamp()
    assert all(engine.allows(key, LISTED) for key in TIMED)


@pytest.mark.parametrize("error", [ZeroDivisionError, MemoryError, RecursionError, SystemExit, KeyboardInterrupt])
def test_clock_that_raises_is_heard(error: type[BaseException]) -> None:
    box: list[bool] = []

    def clock() -> float:
        if box:
            raise error
        return NOON.timestamp()

    engine = build_engine(clock)
    box.append(True)
    for key in TIMED:
        for ask in (engine.allows, engine.check):
            with pytest.raises(error):
                ask(key, UNLISTED)
    assert engine.allows("simple", LISTED)
    assert not engine.allows("simple", UNLISTED)


def test_change_while_the_clock_is_broken_changes_nothing() -> None:
    box: list[Any] = [NOON.timestamp()]
    engine = build_engine(lambda: box[0])
    version = engine.version
    for given in (math.nan, math.inf, None, "now"):
        box[0] = given
        with pytest.raises((TypeError, ValueError, OverflowError)):
            engine.put_key("new", BOTH)
        with pytest.raises((TypeError, ValueError)):
            engine.update_key("timed", owner="o", caller=LISTED)
    assert engine.version == version
    assert "new" not in set(engine.keys())


# -- The renderer -------------------------------------------------------------


def test_renderer_that_raises_is_heard_and_the_denial_stands() -> None:
    def render(*_given: object, **_named: object) -> Any:
        raise ZeroDivisionError

    engine = build_engine()
    with engine._drafting(None) as draft:
        draft.settings = replace(draft.settings, render=render)
    decision = engine.check("simple", UNLISTED)
    with pytest.raises(ZeroDivisionError):
        decision.response()
    assert decision.allowed is False
    assert not engine.allows("simple", UNLISTED)


# -- Addresses that lie -------------------------------------------------------


class LyingText(str):
    """Says it is a listed address wherever it is asked; its characters say otherwise."""

    def __str__(self) -> str:
        return LISTED

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return hash(LISTED)

    def __getitem__(self, _index: Any) -> str:
        return LISTED

    def encode(self, *_args: Any) -> bytes:
        return LISTED.encode()


class LyingBytes(bytes):
    def __bytes__(self) -> bytes:
        return b"\xcb\x00\x71\x05"

    def __len__(self) -> int:
        return 4


class LyingAddress(ipaddress.IPv4Address):
    @property
    def packed(self) -> bytes:
        return b"\xcb\x00\x71\x05"


def broken(address: str, **fields: object) -> object:
    found: Any = ipaddress.ip_address(address)
    for name, value in fields.items():
        setattr(found, name, value)
    return found


POISON: dict[str, object] = {
    "lying text": LyingText(UNLISTED),
    "lying text, no address": LyingText("x"),
    "lying bytes": LyingBytes(b"\1\1\1\1"),
    "lying bytes of another size": LyingBytes(b"\1\1\1\1\1"),
    "subclass of IPv4Address": LyingAddress(LISTED),
    "negative": broken(UNLISTED, _ip=-1),
    "too large": broken(UNLISTED, _ip=1 << 40),
    "not a number": broken(UNLISTED, _ip="203.0.113.5"),
    "None inside": broken(UNLISTED, _ip=None),
    "IPv6 too large": broken("::1", _ip=1 << 130),
    "IPv6 with a zone": ipaddress.IPv6Address("2001:db8::1%eth0"),
    "IPv6 without a scope": broken("::1", _ip=None, _scope_id=None),
    "nothing": None,
    "number": int(ipaddress.ip_address(LISTED)),
    "True": True,
    "bytearray": bytearray(b"\xcb\x00\x71\x05"),
    "memoryview": memoryview(b"\xcb\x00\x71\x05"),
    "network": ipaddress.ip_network("203.0.113.5/32"),
    "interface": ipaddress.ip_interface("203.0.113.5"),
    "list": [LISTED],
    "type": str,
    "empty": "",
    "text with a newline": LISTED + "\n",
    "text with a NUL": LISTED + "\0",
    "prefix": "203.0.113.5/32",
    "surrogate": "203.0.113.5\ud800",
    "huge": LISTED * 100_000,
}


@pytest.mark.parametrize("poison", POISON.values(), ids=POISON)
@pytest.mark.parametrize("key", KEYS)
def test_C23_poisoned_address_is_denied_on_a_restricted_key(key: str, poison: object) -> None:
    engine = build_engine()
    assert engine.allows(key, poison) is False
    decision = engine.check(key, poison)
    assert decision.allowed is False
    assert decision.reason in ("client_ip_unknown", "ip_not_listed", "denied_by_entry", "unknown_key")


class Explosive:
    """Stands for the number inside an address object, and raises when it is used."""

    def to_bytes(self, *_args: object, **_named: object) -> bytes:
        raise SuddenError


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_interruption_inside_an_address_object_lets_nobody_in() -> None:
    """KeyboardInterrupt, or what a signal handler raises, may strike while Python code of `ipaddress` runs."""
    everyone = Engine(Policy())
    everyone.put_key("simple", ["::/0"])
    everyone.put_key("full", ["::/0"], within=[])
    everyone.put_list("all", ["::/0"])
    everyone.put_key("linked", lists=["all"])
    allow = AllowList(["203.0.113.0/24"])
    poison: Any = broken(UNLISTED, _ip=Explosive())
    for key in ("simple", "full", "linked"):
        assert is_denied(everyone, key, poison, may_raise=SuddenError), key
    for _ in range(3):
        assert LISTED in allow  # what this leaves behind in memory must not become the next client's address
        with contextlib.suppress(SuddenError, TypeError):
            assert poison not in allow


def test_key_that_lies_is_taken_by_its_characters() -> None:
    class Key(str):
        def __eq__(self, other: object) -> bool:
            return True

        def __hash__(self) -> int:
            return hash("simple")

    engine = build_engine()
    assert engine.check(Key("x"), LISTED).reason == "unknown_key"
    assert engine.check(Key("simple"), LISTED).reason == "matched"


# -- Lists that went ----------------------------------------------------------


def put_as_it_is(engine: Engine, key: str, **fields: Any) -> None:
    with engine._drafting(None) as draft:
        draft.set_record(key, KeyRecord(**{"created_at": CUTOVER, **fields}))


def test_list_of_nothing_but_invalid_entries_is_refused_and_the_old_one_stands() -> None:
    engine = build_engine()
    version = engine.version
    for bad in (["junk"], ["203.0.113.7/24", "10.0.0.0/99"], ["0.0.0.0", "224.0.0.1"], [None], [5]):
        acts: tuple[Callable[[Any], object], ...] = (
            lambda bad: engine.put_key("simple", bad, replace=True),
            lambda bad: engine.update_key("simple", entries=bad),
            lambda bad: engine.put_key("brand new", bad),
            lambda bad: engine.put_list("office", bad),
        )
        for act in acts:
            with pytest.raises(PolicyError):
                act(bad)
    assert engine.version == version
    assert is_denied(engine, "simple", UNLISTED)
    assert is_denied(engine, "linked", UNLISTED)
    assert engine.check("brand new", LISTED).reason == "unknown_key"


def test_N4_C8_new_key_whose_last_entry_goes_is_inactive() -> None:
    engine = Engine(presets.nomsa(cutover=CUTOVER))
    engine.put_key("k", [LISTED], created_at=CUTOVER)
    engine.update_key("k", entries=[])
    assert engine.state("k") is State.INACTIVE
    assert engine.check("k", LISTED).reason == "inactive"


def test_N4_C8_new_key_without_entries_stays_inactive_within_another_list() -> None:
    """A list that must pass as well never lets in whom nothing else lets in."""
    engine = Engine(presets.nomsa(cutover=CUTOVER))
    engine.put_list("org", [LISTED])
    engine.put_key("k", [UNLISTED], within=["org"], created_at=CUTOVER)
    assert is_denied(engine, "k", LISTED)
    engine.update_key("k", entries=[])
    assert is_denied(engine, "k", LISTED)
    assert engine.state("k") is State.INACTIVE


def test_N2_N4_imported_new_key_that_is_switched_off_is_not_open_to_everyone() -> None:
    """`put_key` refuses it; an import can bring it all the same."""
    engine = Engine(presets.nomsa(cutover=CUTOVER))
    put_as_it_is(engine, "k", entries=(Entry(LISTED),), enabled=False)
    assert is_denied(engine, "k", UNLISTED)


def test_C8_new_key_imported_empty_is_inactive() -> None:
    engine = Engine(presets.nomsa(cutover=CUTOVER))
    for enabled in (True, False):
        put_as_it_is(engine, "k", enabled=enabled)
        assert engine.check("k", LISTED).reason == "inactive"


def test_C22_list_emptied_by_import_denies() -> None:
    engine = build_engine()
    for name in ("office", "org"):
        with engine._drafting(None) as draft:
            draft.lists[name] = FrozenList(name, ())
    for key in ("linked", "within", "default"):
        assert engine.state(key) is State.RESTRICTED
        for client in (LISTED, UNLISTED):
            assert engine.check(key, client).reason == "empty_list" or is_denied(engine, key, client)


@pytest.mark.parametrize("key", ["linked", "within", "default"])
def test_list_that_is_missing_denies_or_raises(key: str) -> None:
    engine = build_engine()
    with engine._drafting(None) as draft:
        draft.lists.update(dict.fromkeys(draft.start.lists))
    for client in (LISTED, UNLISTED, None):
        assert is_denied(engine, key, client)


def test_default_that_is_no_list_any_more_denies_or_raises() -> None:
    engine = build_engine()
    with engine._drafting(None) as draft:
        draft.default = "gone"
    assert is_denied(engine, "default", LISTED)


def test_forced_removal_of_the_only_list_leaves_a_new_key_inactive() -> None:
    engine = Engine(presets.nomsa(cutover=CUTOVER))
    engine.put_list("office", [LISTED])
    engine.put_key("k", lists=["office"], created_at=CUTOVER)
    engine.remove_list("office", force=True)
    assert engine.check("k", LISTED).reason == "inactive"


@pytest.mark.parametrize(
    "fields",
    [{"enabled": False}, {"expires": "2020-01-01T00:00:00Z"}, {"not_before": "2030-01-01T00:00:00Z"}],
    ids=str,
)
def test_list_whose_entries_all_do_not_count_is_still_a_list(fields: dict[str, object]) -> None:
    engine = build_engine()
    engine.put_key("k", [{"prefix": "0.0.0.0/0", **fields}, {"prefix": "::/0", **fields}])
    assert engine.state("k") is State.RESTRICTED
    for client in (LISTED, UNLISTED, "2001:db8::1"):
        assert engine.check("k", client).reason == "ip_not_listed"


def test_U2_nothing_is_edited_away_while_the_feature_is_off() -> None:
    """Else the key would be open to everyone when the feature is switched on again."""
    changes: tuple[Callable[[Engine], object], ...] = (
        lambda engine: engine.put_key("simple", []),
        lambda engine: engine.put_key("simple"),
        lambda engine: engine.update_key("simple", entries=[]),
        lambda engine: engine.put_keys([("simple", [])]),
        lambda engine: engine.update_key("linked", lists=[]),
        lambda engine: engine.put_key("linked"),
        lambda engine: engine.update_key("within", within=[]),
    )
    for change in changes:
        engine = build_engine()
        engine.set_default(None)
        engine.set_enforced(False)
        with contextlib.suppress(Exception):
            change(engine)
        engine.set_enforced(True)
        for key in ("simple", "linked", "within"):
            assert is_denied(engine, key, UNLISTED), key


def test_transaction_that_is_over_cannot_change_what_was_published() -> None:
    """A published version never changes; whoever kept the transaction object has nothing to write to."""
    engine = build_engine()
    with engine.transaction() as change:
        change.put_list("office", [LISTED])
    version = engine.version
    with contextlib.suppress(Exception):
        change.put_list("office", ["0.0.0.0/0"])
    assert engine.version == version
    assert is_denied(engine, "linked", UNLISTED)


def test_policy_without_a_cutover_makes_no_engine() -> None:
    with pytest.raises(ValueError, match="cutover"):
        Engine(presets.nomsa())
    with pytest.raises(ValueError, match="cutover"):
        Engine(Policy(keys=KeyRules(new_keys_need_list=True)))


if __name__ == "__main__":
    {experiment.__name__: experiment for experiment in EXPERIMENTS}[sys.argv[1]]()
    print("done")
