"""Outputs: list files, lists of snapshots and of stores: their age and their use, and what makes up for a failure."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from cidrmatch import AllowList, Condition, Engine, Policy, presets
from cidrmatch.files.lists import read_list
from cidrmatch.service.feeds import Feed, FeedSettingsError, Puller, Targets, delivering
from cidrmatch.service.stores.store import Store
from tests.feeds.publishing import Clock, write_list

GOOD = ("203.0.113.0/24", "198.51.100.0/24", "192.0.2.0/24", "2001:db8::/48")


def feed_of(folder: Path, **settings: Any) -> Feed:
    targets = Targets(**{key: settings.pop(key) for key in list(settings) if hasattr(Targets(), key)})
    given: dict[str, Any] = {"name": "edge", "use": "allow", "state": str(folder / "edge.feed"), "max_age": 3_600}
    return Feed(**given | {"source": str(folder / "list.csv"), "targets": targets} | settings)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "list.csv").write_text("prefix,label\n" + "".join(f"{entry},L{n}\n" for n, entry in enumerate(GOOD)))
    return tmp_path


def texts(path: Path) -> list[str]:
    return [text for text, _ in read_list(path).entries]


@pytest.mark.parametrize("suffix", ["txt", "json"])
@pytest.mark.parametrize("use", ["allow", "deny"])
def test_a_list_file_is_read_again_and_is_empty_when_an_allow_list_is_stale(
    folder: Path, suffix: str, use: str
) -> None:
    output, clock = folder / f"out.{suffix}", Clock()
    puller = Puller(feed_of(folder, output=str(output), use=use), clock=clock)
    puller.pull()
    assert set(texts(output)) == set(GOOD)
    assert output.stat().st_mode & 0o777 == 0o644
    written = output.stat().st_ino
    clock.now += 1
    puller.pull()
    assert output.stat().st_ino == written, "a look without news writes nothing"
    (folder / "list.csv").unlink()
    clock.now += 3_601
    assert puller.pull().exit_status == 2
    assert set(texts(output)) == (set() if use == "allow" else set(GOOD))
    assert len(AllowList(texts(output))) == len(texts(output))


def test_a_list_file_that_somebody_changed_is_written_again(folder: Path) -> None:
    output = folder / "out.txt"
    puller = Puller(feed_of(folder, output=str(output)))
    puller.pull()
    whole = output.read_text()
    output.write_text("0.0.0.0/0\n")
    puller.pull()
    assert output.read_text() == whole


def test_labels_of_a_publisher_end_no_line_of_a_text(folder: Path) -> None:
    (folder / "list.csv").write_text('prefix,label\n203.0.113.0/24,"a\n0.0.0.0/0\u2028\x1b"\n')
    output = folder / "out.txt"
    Puller(feed_of(folder, output=str(output))).pull()
    assert texts(output) == ["203.0.113.0/24"]
    assert output.read_text().endswith("203.0.113.0/24  # a\\n0.0.0.0/0\\u2028\\x1b\n")


def test_an_output_that_cannot_be_written_is_told_and_made_up_for(folder: Path) -> None:
    output = folder / "outputs" / "out.txt"
    puller = Puller(feed_of(folder, output=str(output)))
    pulled = puller.pull()
    assert (pulled.outcome, pulled.exit_status) == ("changed", 2)
    assert "out.txt" in pulled.status.kept.undelivered[0]
    assert puller.status().kept.undelivered == pulled.status.kept.undelivered
    output.parent.mkdir()
    assert puller.pull().exit_status == 0
    assert set(texts(output)) == set(GOOD)
    assert puller.status().kept.undelivered == ()


# -- Named lists --------------------------------------------------------------


class Kept:
    """A place with a named list: a snapshot, or a store."""

    def __init__(self, folder: Path, kind: str, policy: Policy, clock: Clock) -> None:
        self.kind, self.clock = kind, clock
        self.path = folder / ("keys.snap" if kind == "snapshot" else "keys.db")
        self.url = f"sqlite:///{self.path}"
        if kind == "snapshot":
            engine = Engine(policy, clock=clock)
            engine.put_list("edge", ["11.0.0.1"])
            engine.put_key("key_1", ["11.0.0.0/24"], lists=["edge"])
            engine.save(self.path)
        else:
            with closing(Store.create(self.url, policy=policy)) as store, store.change() as change:
                change.put_list("edge", ["11.0.0.1"])
                change.put_key("key_1", ["11.0.0.0/24"], lists=["edge"])

    @property
    def settings(self) -> dict[str, Any]:
        return {"snapshot": str(self.path)} if self.kind == "snapshot" else {"store": self.url}

    def look(self) -> tuple[Engine, int]:
        """Give the engine, and how often it was changed."""
        if self.kind == "snapshot":
            engine = Engine.open(self.path, clock=self.clock)
            assert engine.revision is not None
            return engine, engine.revision.generation
        with closing(Store(self.url)) as store, store.reading() as data:
            return data.engine(), data.revision.generation


KINDS = pytest.mark.parametrize("kind", ["snapshot", "store"])


@KINDS
def test_an_allow_list_expires_by_itself_when_it_is_stale(folder: Path, kind: str) -> None:
    clock = Clock()
    place = Kept(folder, kind, Policy(), clock)
    puller = Puller(feed_of(folder, **place.settings), clock=clock)
    assert puller.pull().exit_status == 0
    engine, first = place.look()
    entries = engine.lists()["edge"].entries
    assert {str(entry.prefix) for entry in entries} == set(GOOD)
    assert {entry.label for entry in entries} == {"L0", "L1", "L2", "L3"}
    assert {entry.condition.end for entry in entries if entry.condition} == {clock.now + 3_600}
    clock.now += 360
    puller.pull()
    assert place.look()[1] == first, "a tenth of max_age is not yet gone"
    clock.now += 1
    puller.pull()
    engine, second = place.look()
    assert second == first + 1
    assert {entry.condition and entry.condition.end for entry in engine.lists()["edge"].entries} == {clock.now + 3_600}
    (folder / "list.csv").unlink()
    clock.now += 3_601
    assert puller.pull().exit_status == 2
    assert place.look()[1] == second, "expired entries deny; a list in use is not emptied"


@KINDS
@pytest.mark.parametrize("before", [{"when_stale": "keep"}, {"max_age": 864_000}])
def test_entries_that_other_settings_let_in_for_longer_end_when_the_list_is_stale(
    folder: Path, kind: str, before: dict[str, Any]
) -> None:
    clock = Clock()
    place = Kept(folder, kind, Policy(), clock)
    assert Puller(feed_of(folder, **before, **place.settings), clock=clock).pull().exit_status == 0
    (folder / "list.csv").unlink()
    clock.now += 3_601
    puller = Puller(feed_of(folder, **place.settings), clock=clock)
    assert puller.pull().status.kept.undelivered == ()
    engine, changed = place.look()
    assert {str(entry.prefix) for entry in engine.lists()["edge"].entries} == set(GOOD)
    assert {entry.condition and entry.condition.end for entry in engine.lists()["edge"].entries} == {clock.now}
    clock.now += 1_000
    puller.pull()
    assert place.look()[1] == changed, "what is over is not written again"


@KINDS
def test_a_clock_that_was_set_back_ends_what_it_let_in(folder: Path, kind: str) -> None:
    clock = Clock()
    place = Kept(folder, kind, Policy(), clock)
    puller = Puller(feed_of(folder, **place.settings), clock=clock)
    clock.now += 10_000_000
    puller.pull()
    clock.now -= 10_000_000
    (folder / "list.csv").unlink()
    puller.pull()
    assert {entry.condition and entry.condition.end for entry in place.look()[0].lists()["edge"].entries} == {clock.now}


@KINDS
def test_a_deny_list_is_one_and_does_not_expire(folder: Path, kind: str) -> None:
    clock = Clock()
    place = Kept(folder, kind, Policy(), clock)
    puller = Puller(feed_of(folder, use="deny", **place.settings), clock=clock)
    assert puller.pull().exit_status == 0
    engine, first = place.look()
    assert {entry.condition for entry in engine.lists()["edge"].entries} == {Condition(effect="deny")}
    clock.now += 10_000
    puller.pull()
    assert place.look()[1] == first


@KINDS
def test_a_list_that_somebody_changed_is_brought_back(folder: Path, kind: str) -> None:
    clock = Clock()
    place = Kept(folder, kind, Policy(), clock)
    puller = Puller(feed_of(folder, **place.settings), clock=clock)
    puller.pull()
    for entries in (
        ["0.0.0.0/0"],
        [*GOOD, "203.0.112.0/24"],
        list(GOOD),
        [(entry, f"L{n}") for n, entry in enumerate(GOOD)],
    ):
        if kind == "snapshot":
            with Engine.edit(place.path) as engine:
                engine.put_list("edge", entries)
        else:
            with closing(Store(place.url)) as store, store.change() as change:
                change.put_list("edge", entries)
        puller.pull()
        found = place.look()[0].lists()["edge"].entries
        assert {(str(entry.prefix), entry.label) for entry in found} == {(text, f"L{n}") for n, text in enumerate(GOOD)}
        assert all(entry.condition is not None and entry.condition.end < 1e11 for entry in found)


@KINDS
def test_a_policy_of_the_place_may_refuse_and_that_is_told(folder: Path, kind: str) -> None:
    place = Kept(folder, kind, Policy(max_entries=3), Clock())
    pulled = Puller(feed_of(folder, **place.settings)).pull()
    assert (pulled.outcome, pulled.exit_status) == ("changed", 2)
    assert "4 entries, at most 3 are accepted" in pulled.status.kept.undelivered[0]
    assert {str(entry.prefix) for entry in place.look()[0].lists()["edge"].entries} == {"11.0.0.1/32"}


@KINDS
def test_labels_are_left_out_where_they_are_refused(folder: Path, kind: str) -> None:
    place = Kept(folder, kind, presets.unkey(), Clock())
    puller = Puller(feed_of(folder, list_name="edge", **place.settings))
    assert puller.pull().exit_status == 0
    assert {entry.label for entry in place.look()[0].lists()["edge"].entries} == {None}
    first = place.look()[1]
    puller.pull()
    assert place.look()[1] == first


@KINDS
def test_a_place_that_is_not_there_is_told(folder: Path, kind: str) -> None:
    where = (
        {"snapshot": str(folder / "none.snap")} if kind == "snapshot" else {"store": f"sqlite:///{folder}/none/a.db"}
    )
    pulled = Puller(feed_of(folder, **where)).pull()
    assert (pulled.outcome, pulled.exit_status) == ("changed", 2)
    assert len(pulled.status.kept.undelivered) == 1


def test_passwords_of_a_store_are_not_shown(folder: Path) -> None:
    pulled = Puller(feed_of(folder, store="nonsense://anna:s3cret@db.example/keys")).pull()
    assert "s3cret" not in pulled.status.kept.undelivered[0]
    assert "db.example" in pulled.status.kept.undelivered[0]


def test_a_store_says_who_changed_its_list(folder: Path) -> None:
    place = Kept(folder, "store", Policy(), Clock())
    Puller(feed_of(folder, **place.settings)).pull()
    with closing(Store(place.url)) as store, store.reading() as data:
        commit = data.history()[0]
        assert (commit.operation, commit.actor) == ("feed", "feed edge")


def test_a_snapshot_with_hashed_ids_needs_its_secret(folder: Path) -> None:
    secret = folder / "secret"
    secret.write_bytes(b"s" * 32)
    engine = Engine(id_secret=secret.read_bytes())
    engine.put_key("key_1", ["203.0.113.7"])
    engine.save(folder / "keys.snap")
    where = {"snapshot": str(folder / "keys.snap")}
    assert Puller(feed_of(folder, **where)).pull().exit_status == 2
    assert Puller(feed_of(folder, **where, id_secret_file=str(secret))).pull().exit_status == 0
    listed = Engine.open(folder / "keys.snap", id_secret=secret.read_bytes()).lists()
    assert len(listed["edge"].entries) == len(GOOD)


def test_json_output_has_labels(folder: Path) -> None:
    Puller(feed_of(folder, output=str(folder / "out.json"))).pull()
    assert json.loads((folder / "out.json").read_text())["entries"][0] == {"prefix": "192.0.2.0/24", "label": "L2"}
    write_list(folder / "list.txt", "203.0.113.0/24")
    Puller(
        feed_of(folder, state=str(folder / "b"), source=str(folder / "list.txt"), output=str(folder / "b.json"))
    ).pull()
    assert json.loads((folder / "b.json").read_text()) == {"entries": [{"prefix": "203.0.113.0/24"}]}


def test_a_list_of_a_store_that_changes_meanwhile_is_compared_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody changes the list between the comparison and the commit: the first commit is refused, the second made."""
    place = Kept(folder, "store", Policy(), Clock())
    compared: list[int] = []
    real = delivering._is_current

    def and_then_somebody_changes_it(*given: Any, **more: Any) -> bool:
        compared.append(1)
        if len(compared) == 1:
            with closing(Store(place.url)) as store, store.change() as change:
                change.put_list("edge", ["11.0.0.2"])
        return real(*given, **more)

    monkeypatch.setattr(delivering, "_is_current", and_then_somebody_changes_it)
    assert Puller(feed_of(folder, **place.settings)).pull().exit_status == 0
    assert len(compared) == 2
    assert {str(entry.prefix) for entry in place.look()[0].lists()["edge"].entries} == set(GOOD)


def test_no_file_is_written_for_a_policy_under_which_a_file_without_entries_is_open_to_everyone(folder: Path) -> None:
    output = str(folder / "out.txt")
    for policy in (presets.bitbybit(), presets.unkey()):
        with pytest.raises(FeedSettingsError, match="an empty list is open to everyone"):
            feed_of(folder, output=output, policy=policy)
        feed_of(folder, output=output, policy=policy, use="deny")
        feed_of(folder, output=output, policy=policy, when_stale="keep")
        feed_of(folder, snapshot=output, policy=policy)
    feed_of(folder, output=output, policy=presets.pigment())
