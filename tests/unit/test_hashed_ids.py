"""An engine with an id_secret: it answers as one without, and what it holds tells no id.

The table CALLS has every public method of an engine that takes a key, and NO_KEY has the others: a method that is in
neither fails a test, so none is forgotten.
"""

import hashlib
import json
import logging
import pickle
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from cidrmatch import Decision, Engine, Report, Transaction, errors, presets
from cidrmatch._keys import Shadow
from cidrmatch.advice.explain import explain
from cidrmatch.advice.lint import lint
from cidrmatch.cli.app import app
from cidrmatch.engine.ids import IdHash
from cidrmatch.errors import SnapshotError
from cidrmatch.files import config

SECRET = b"0123456789abcdef-and-more"
OTHER = b"another secret of some length"
HOME, AWAY = "203.0.113.7", "198.51.100.7"
MOMENT = datetime(2026, 7, 1, tzinfo=UTC)
IDS = ("key_live_1", "key_live_2", "free", "ключ", "\ud800")


def held(key: str, secret: bytes = SECRET) -> str:
    return hashlib.blake2b(key.encode("utf-8", "surrogatepass"), key=secret, digest_size=16).hexdigest()


def make(id_secret: bytes | None, **options: Any) -> Engine:
    engine = Engine(clock=MOMENT.timestamp, id_secret=id_secret, **options)
    engine.put_list("office", ["198.51.100.0/24"])
    engine.put_key("key_live_1", ["203.0.113.0/24"], lists=["office"], owner="acme")
    engine.put_key("key_live_2", ["203.0.113.0/24"])
    engine.put_shadow("key_live_2", [AWAY])
    engine.put_key("free")
    return engine


# -- Every method -------------------------------------------------------------

CALLS: dict[str, Callable[[Any, str], object]] = {
    "allows": lambda engine, key: [engine.allows(key, HOME), engine.allows(key, AWAY)],
    "allows_many": lambda engine, key: engine.allows_many([key, "nobody", key], [HOME, HOME, "10.0.0.1"]),
    "check": lambda engine, key: engine.check(key, AWAY),
    "put_key": lambda engine, key: engine.put_key(key, [AWAY], replace=True, caller=AWAY),
    "update_key": lambda engine, key: engine.update_key(key, entries=[HOME], caller=HOME),
    "add_entries": lambda engine, key: engine.add_entries(key, ["192.0.2.1"], caller=HOME),
    "remove_entries": lambda engine, key: engine.remove_entries(key, ["203.0.113.0/24"]),
    "remove_key": lambda engine, key: engine.remove_key(key),
    "put_keys": lambda engine, key: engine.put_keys([(key, []), ("new", [HOME])], replace=True),
    "link": lambda engine, key: engine.link(key, "office"),
    "unlink": lambda engine, key: engine.unlink(key, "office"),
    "put_shadow": lambda engine, key: engine.put_shadow(key, [HOME]),
    "remove_shadow": lambda engine, key: engine.remove_shadow(key),
    "key": lambda engine, key: engine.key(key),
    "lists_of": lambda engine, key: engine.lists_of(key),
    "state": lambda engine, key: engine.state(key),
    "shadow": lambda engine, key: engine.shadow(key),
    "restore": lambda engine, key: engine.restore(
        keys={key: engine.key("key_live_2"), "new": engine.key("free")}, lists=engine.lists().values()
    ),
}
NO_KEY = {
    "add_to_list", "age", "begin_anew", "default", "edit", "feed", "fold", "fold_error", "follow", "is_enforced",
    "is_stale",
    "keys", "keys_of", "lists", "open", "policy", "put_list", "refresh", "remove_from_list", "remove_list", "revision",
    "save", "set_default", "set_enforced", "transaction", "version", "view",
}  # fmt: skip


def outcome(call: Callable[[Any, str], object], engine: Any, key: str) -> object:
    """What a call gives, without the names of keys."""
    try:
        found = call(engine, key)
    except errors.CidrmatchError as error:
        return type(error)
    if isinstance(found, Decision):
        facts = found.to_dict()
        assert facts.pop("key") == key == found.key
        return facts, found.would_allow, None if found.allowed else found.response().status
    if isinstance(found, Report):
        return [(problem.code, problem.severity) for problem in found.problems], found.accepted
    return found.list.entries if isinstance(found, Shadow) else found


def content(engine: Engine) -> dict[str, object]:
    rules = {key: engine.view.rule(key) for key in engine.view}
    return {key: None if rule is None else rule.record for key, rule in rules.items()}


def test_each_public_method_is_known_to_take_a_key_or_not() -> None:
    assert {name for name in dir(Engine) if not name.startswith("_")} == {*CALLS, *NO_KEY}


@pytest.mark.parametrize("key", ["key_live_1", "key_live_2", "free", "nobody"])
@pytest.mark.parametrize("is_stored", [False, True])
@pytest.mark.parametrize("method", CALLS)
def test_each_method_takes_the_plain_id_and_hashes_it_once(method: str, is_stored: bool, key: str) -> None:
    call = CALLS[method]
    ways: list[Callable[[Engine], AbstractContextManager[Any]]] = [nullcontext]
    if hasattr(Transaction, method):
        ways.append(Engine.transaction)
    for way in ways:
        plain, hashed = make(None), make(SECRET)
        if is_stored:
            plain.fold()
            hashed.fold()
        with way(plain) as writer:
            expected = outcome(call, writer, key)
        with way(hashed) as writer:
            assert outcome(call, writer, key) == expected
        assert content(hashed) == {held(name): record for name, record in content(plain).items()}
        assert hashed.keys() == sorted(map(held, plain.view))


@pytest.mark.parametrize("unknown_key", ["deny", "pass"])
@pytest.mark.parametrize("is_stored", [False, True])
@pytest.mark.parametrize("method", CALLS)
def test_a_hash_is_no_id(method: str, is_stored: bool, unknown_key: str) -> None:
    """Who read the file knows hashes: each is answered as any key that nobody put."""
    for key in ("key_live_1", "key_live_2", "free"):
        plain, hashed = make(None, unknown_key=unknown_key), make(SECRET, unknown_key=unknown_key)
        if is_stored:
            plain.fold()
            hashed.fold()
        assert outcome(CALLS[method], hashed, held(key)) == outcome(CALLS[method], plain, "nobody")


@given(st.lists(st.tuples(st.text(st.characters(), min_size=1), st.booleans()), max_size=6), st.booleans())
def test_an_engine_with_a_secret_answers_as_one_without(pairs: list[tuple[str, bool]], is_stored: bool) -> None:
    plain, hashed = Engine(), Engine(id_secret=SECRET)
    keys = {key: [HOME] * is_restricted for key, is_restricted in pairs if key.strip()}
    for engine in (plain, hashed):
        engine.put_keys(keys)
        if is_stored:
            engine.fold()
    asked = [*(key for key, _ in pairs), *map(held, keys), "nobody"]
    assert [key in hashed for key in asked] == [key in plain for key in asked] == [key in keys for key in asked]
    for client in (HOME, AWAY, None):
        answers = [plain.allows(key, client) for key in asked]
        assert [hashed.allows(key, client) for key in asked] == answers
        assert [hashed.check(key, client).reason for key in asked] == [plain.check(key, client).reason for key in asked]
        assert list(hashed.allows_many(asked, [client] * len(asked))) == answers
    assert hashed.keys() == sorted(map(held, keys))


@pytest.mark.parametrize("id_secret", [None, SECRET])
@pytest.mark.parametrize("is_stored", [False, True])
def test_C23_a_key_that_is_no_text_is_refused_with_a_secret_as_without(
    id_secret: bytes | None, is_stored: bool
) -> None:
    class Text(str):
        __slots__ = ()

    engine = make(id_secret)
    if is_stored:
        engine.fold()
    no_text: Any
    for no_text in (None, b"key_live_1", 5, [], ("key_live_1",)):
        for question in (engine.allows, engine.check):
            with pytest.raises(TypeError, match="text"):
                question(no_text, HOME)
        with pytest.raises(TypeError, match="1"):
            engine.allows_many(["key_live_1", no_text], [HOME, HOME])
        with pytest.raises(TypeError):
            engine.state(no_text)
        with pytest.raises(TypeError):
            engine.put_keys([(no_text, [HOME])])
    for key in (Text("key_live_1"), "key_live_1"):
        assert engine.allows(key, HOME)
        assert engine.check(key, HOME).allowed
        assert engine.allows_many([key], [HOME]) == b"\1"
    blank: Any
    for blank in ("", "  ", 5):
        with pytest.raises((ValueError, TypeError)):
            engine.put_key(blank, [HOME])
        with pytest.raises((ValueError, TypeError)):
            engine.restore(keys={blank: engine.key("free")})


def test_stale_data_with_hashed_ids_denies_and_then_answers_again() -> None:
    engine = make(SECRET, unknown_key="pass")
    for _ in range(2):
        engine.is_stale = True
        assert not engine.allows("key_live_1", HOME)
        assert not engine.allows("nobody", HOME)
        assert not engine.check("key_live_1", HOME).allowed
        assert engine.allows_many(["key_live_1"], [HOME]) == b"\0"
        engine.is_stale = False
        assert engine.allows("key_live_1", HOME)
        assert not engine.allows("key_live_1", "10.0.0.1")
        assert engine.allows_many(["key_live_1", "key_live_2"], [HOME, AWAY]) == b"\1\0"


def test_a_trial_counts_each_check_once() -> None:
    engine = make(SECRET)
    engine.allows("key_live_2", HOME)
    engine.check("key_live_2", AWAY)
    shadow = engine.shadow("key_live_2")
    assert shadow is not None
    assert (shadow.would_allow, shadow.would_deny) == (1, 1)


@pytest.mark.parametrize("is_stored", [False, True])
def test_explain_and_lint_take_plain_ids(is_stored: bool) -> None:
    plain, hashed = make(None), make(SECRET)
    if is_stored:
        plain.fold()
        hashed.fold()
    for key in (*plain.view, "nobody"):
        for client in (HOME, AWAY, None):
            assert str(explain(hashed, key, client)) == str(explain(plain, key, client))
    seen = {"key_live_1": [AWAY], "key_live_2": [AWAY]}
    expected = {
        (found.code, held(found.name) if found.kind == "key" else found.name) for found in lint(plain, seen=seen)
    }
    assert {(found.code, found.name) for found in lint(hashed, seen=seen)} == expected
    assert ("never_used", held("key_live_2")) in expected


def test_the_guard_asks_about_the_key_that_changes() -> None:
    for engine in (make(SECRET), make(SECRET, unknown_key="pass")):
        with pytest.raises(errors.LockOut):
            engine.update_key("key_live_2", entries=[AWAY], caller=HOME)
        with pytest.raises(errors.LockOut):
            engine.put_list("office", ["192.0.2.0/24"], caller=HOME)
        engine.put_list("office", ["192.0.2.0/24"], caller="192.0.2.1")


def test_a_report_names_keys_by_their_hashes() -> None:
    engine = Engine(id_secret=SECRET)
    report = engine.put_keys([("key_live_1", [])])
    assert held("key_live_1") in report.warnings[0].message
    assert "key_live_1" not in report.warnings[0].message


# -- The secret ---------------------------------------------------------------


@pytest.mark.parametrize("secret", ["0123456789abcdef", bytearray(20), 5, ["x"]])
def test_a_secret_that_is_not_bytes_is_refused(secret: Any, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="id_secret is bytes") as caught:
        Engine(id_secret=secret)
    assert repr(secret) not in str(caught.value)
    with pytest.raises(TypeError, match="id_secret is bytes"):
        Engine.open(tmp_path / "none", id_secret=secret)


@pytest.mark.parametrize("length", [0, 1, 15, 65, 1_000])
def test_a_secret_is_16_to_64_bytes_long(length: int) -> None:
    with pytest.raises(ValueError, match=f"16 to 64 bytes long, not {length}"):
        Engine(id_secret=b"x" * length)
    assert Engine(id_secret=b"x" * 16).keys() == Engine(id_secret=b"x" * 64).keys() == []


def test_the_secret_is_in_no_text_and_no_pickle(tmp_path: Path) -> None:
    engine = make(SECRET)
    settings = engine.view.settings
    for said in (engine, settings, settings.id_hash, engine.check("key_live_1", HOME)):
        assert SECRET.decode() not in repr(said)
        assert SECRET.hex() not in repr(said)
    for thing in (Engine(id_secret=SECRET).view.settings, settings.id_hash):
        with pytest.raises(TypeError, match="not pickled"):
            pickle.dumps(thing)
    engine.save(tmp_path / "keys.snap")
    assert SECRET not in (tmp_path / "keys.snap").read_bytes()


def test_the_check_value_is_the_hash_of_no_id() -> None:
    assert IdHash(SECRET).check != IdHash(SECRET)("cidrmatch id_secret")


# -- The file -----------------------------------------------------------------


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.snap"


@pytest.mark.parametrize("is_stored", [False, True])
def test_a_file_tells_no_id(path: Path, is_stored: bool) -> None:
    engine = Engine(id_secret=SECRET)
    engine.put_keys([(key, [HOME]) for key in IDS])
    if is_stored:
        engine.fold()
    engine.save(path)
    block = path.read_bytes()
    for key in IDS:
        assert key.encode("utf-8", "surrogatepass") not in block
        assert json.dumps(key)[1:-1].encode() not in block
        assert held(key).encode() in block
    assert all(Engine.open(path, id_secret=SECRET).allows(key, HOME) for key in IDS)


@pytest.mark.parametrize("verify", [True, False])
def test_a_secret_that_is_wrong_missing_or_needless_is_refused(path: Path, tmp_path: Path, verify: bool) -> None:
    make(SECRET).save(path)
    plain = tmp_path / "plain.snap"
    make(None).save(plain)
    before = path.read_bytes()
    for file, secret, reason in (
        (path, OTHER, "not the one that the snapshot's ids were hashed with"),
        (path, None, "holds hashed ids; it is opened with id_secret="),
        (plain, SECRET, "holds ids as they are; it is opened without an id_secret"),
    ):
        with pytest.raises(SnapshotError, match=reason):
            Engine.open(file, verify=verify, id_secret=secret)
        with pytest.raises(SnapshotError, match=reason), Engine.edit(file, id_secret=secret):
            raise AssertionError("the block must not be entered")
    assert path.read_bytes() == before
    assert Engine.open(path, verify=verify, id_secret=SECRET).allows("key_live_1", HOME)
    assert Engine.open(plain, verify=verify).allows("key_live_1", HOME)


def test_an_edit_keeps_the_secret(path: Path) -> None:
    make(SECRET).save(path)
    with Engine.edit(path, id_secret=SECRET) as engine:
        engine.put_key("new", [AWAY])
    reader = Engine.open(path, id_secret=SECRET)
    assert reader.allows("new", AWAY)
    assert reader.keys() == sorted(map(held, ("key_live_1", "key_live_2", "free", "new")))


def test_refresh_keeps_the_secret_and_refuses_a_file_under_another(path: Path) -> None:
    writer = make(SECRET)
    writer.save(path)
    reader = Engine.open(path, id_secret=SECRET)
    writer.put_key("new", [AWAY])
    writer.save(path)
    assert reader.refresh()
    assert reader.allows("new", AWAY)
    assert not reader.allows(held("new"), AWAY)
    for secret in (OTHER, None):
        make(secret).save(path, replace=True)
        with pytest.raises(SnapshotError):
            reader.refresh()
        assert reader.allows("new", AWAY)
    plain = Engine.open(path)
    make(SECRET).save(path, replace=True)
    with pytest.raises(SnapshotError, match="holds hashed ids"):
        plain.refresh()
    assert reader.refresh()
    assert not reader.allows("new", AWAY)


def test_a_follower_keeps_the_secret(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    writer = make(SECRET)
    writer.save(path)
    reader = Engine.open(path, id_secret=SECRET)
    stop = reader.follow(0.01)
    try:
        writer.put_key("new", [AWAY])
        writer.save(path)
        for _ in range(1_000):
            if reader.version == writer.version:
                break
            stop.__self__._threads[0].join(0.01)  # type: ignore[attr-defined]
        assert reader.allows("new", AWAY)
    finally:
        stop()
    assert SECRET.decode() not in caplog.text


@pytest.mark.parametrize("said", [5, "x", [], {}, {"hash": "md5", "check": "0"}, {"hash": "blake2b-128", "check": 5}])
def test_ids_in_a_form_that_nobody_knows_are_refused(path: Path, said: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(IdHash, "said", lambda _hash: said)
    make(SECRET).save(path)
    for secret in (SECRET, None):
        with pytest.raises(SnapshotError, match="unknown form"):
            Engine.open(path, id_secret=secret)


def test_the_same_content_gives_the_same_bytes(path: Path, tmp_path: Path) -> None:
    make(SECRET).save(path)
    again = tmp_path / "again.snap"
    make(SECRET).save(again)
    assert path.read_bytes()[128:] == again.read_bytes()[128:]


# -- Configurations and the command line --------------------------------------

DOCUMENT = """
format = 1
policy = "bitbybit"

[[keys]]
id = "key_live_1"
created_at = 2026-07-01T00:00:00Z
entries = ["203.0.113.0/24"]

[[keys]]
id = "free"
created_at = 2026-07-01T00:00:00Z
entries = []

[end]
"""


def test_a_configuration_is_loaded_under_a_secret(tmp_path: Path) -> None:
    file = tmp_path / "keys.toml"
    file.write_text(DOCUMENT)
    warned: list[object] = []
    engines = [
        config.load(file, id_secret=SECRET, warn=warned.append),
        config.loads(DOCUMENT, "toml", id_secret=SECRET, warn=warned.append),
        config.load(config.dump(config.load(file)), id_secret=SECRET),
    ]
    for engine in engines:
        assert engine.allows("key_live_1", HOME)
        assert not engine.allows("key_live_1", AWAY)
        assert engine.keys() == sorted(map(held, ("key_live_1", "free")))
    assert len(warned) == 2


def test_an_engine_with_a_secret_is_no_document() -> None:
    engine = Engine(presets.bitbybit(), id_secret=SECRET)
    with pytest.raises(errors.EngineError, match="only their hashes"):
        config.dump(engine)
    with pytest.raises(errors.EngineError, match="only their hashes"):
        config.dumps(engine, "json")


def test_the_commands_take_the_secret_from_a_file(tmp_path: Path, path: Path) -> None:
    source, secret, other = tmp_path / "keys.toml", tmp_path / "secret", tmp_path / "other"
    source.write_text(DOCUMENT)
    secret.write_bytes(SECRET)
    other.write_bytes(OTHER)

    def run(*arguments: object) -> tuple[int, str]:
        result = CliRunner().invoke(app, [str(argument) for argument in arguments])
        return result.exit_code, result.output

    with_secret = ("--id-secret-file", secret)
    assert run("compile", source, "-o", path, *with_secret)[0] == 0
    assert b"key_live_1" not in path.read_bytes()
    assert run("check", "key_live_1", HOME, "--snapshot", path, *with_secret)[0] == 0
    assert run("check", "key_live_1", AWAY, "--snapshot", path, *with_secret)[0] == 1
    assert run("explain", "key_live_1", HOME, "--snapshot", path, *with_secret)[0] == 0
    assert run("verify", path, *with_secret)[0] == 0
    assert run("inspect", path, *with_secret)[0] == 0
    for command in (("verify", path), ("inspect", path), ("check", "key_live_1", HOME, "--snapshot", path)):
        status, output = run(*command)
        assert (status, "hashed ids" in output) == (1, True)
        status, output = run(*command, "--id-secret-file", other)
        assert (status, "not the one" in output) == (1, True)
    other.write_bytes(b"short")
    assert run("verify", path, "--id-secret-file", other)[0] == 2
    assert run("verify", path, "--id-secret-file", tmp_path / "none")[0] == 2
    assert run("check", "key_live_1", HOME, "--config", source, *with_secret)[0] == 2
