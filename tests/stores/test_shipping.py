"""Snapshots in object storage: in a folder, in memory, and in S3 as moto serves it.

A pointer names an object under the hash of its bytes; whatever is not what the pointer says is refused, and the local
file stays as it is.
"""

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import pytest

from cidrmatch import Engine, Revision, SnapshotError, presets
from cidrmatch.service.stores.errors import StoreError
from cidrmatch.service.stores.shipping import Pointer, Shelf

Place = tuple[str, dict[str, Any]]
HOME, AWAY = "203.0.113.9", "198.51.100.1"


@pytest.fixture(params=["folder", "memory", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """The URL of a pointer that is not there yet, and the options of its file system."""
    name = uuid4().hex
    if request.param == "folder":
        (tmp_path / name).mkdir()
        return f"{tmp_path}/{name}/keys.json", {}
    if request.param == "memory":
        return f"memory://{name}/keys.json", {}
    for variable, value in (("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "b"), ("AWS_REGION", "us-east-1")):
        monkeypatch.setenv(variable, value)
    endpoint = request.getfixturevalue("s3")
    boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1").create_bucket(Bucket=name)
    return f"s3://{name}/keys.json", {"endpoint_url": endpoint}


def saved(folder: Path) -> tuple[Engine, Path]:
    engine = Engine(presets.bitbybit())
    engine.put_key("key_1", ["203.0.113.0/24"])
    engine.save(folder / "here.snap")
    return engine, folder / "here.snap"


def test_C19_a_snapshot_comes_over_a_shelf_and_a_later_one_replaces_it(place: Place, tmp_path: Path) -> None:
    engine, here = saved(tmp_path)
    url, options = place
    shelf, other = Shelf(url, **options), Shelf(url, **options)
    there = tmp_path / "there.snap"
    assert other.pointer() is None
    first = shelf.put(here, age=0.5)
    assert first.revision == engine.revision
    assert other.take(there) == (first, True)
    assert other.take(there) == (first, False)
    assert there.read_bytes() == here.read_bytes()
    assert there.stat().st_mode & 0o777 == 0o600
    reader = Engine.open(there)
    assert reader.allows("key_1", HOME)

    engine.update_key("key_1", entries=["192.0.2.0/24"])
    engine.save(here)
    second = shelf.put(here, age=0.0)
    assert other.take(there) == (second, True)
    assert reader.refresh()
    assert not reader.allows("key_1", HOME)
    assert reader.revision == engine.revision == second.revision


def test_C19_other_content_under_the_same_revision_is_not_taken_for_what_is_here(place: Place, tmp_path: Path) -> None:
    """A backup was put back, and other changes had the same numbers: an address that is gone must not stay."""
    engine, here = saved(tmp_path)
    shelf, there, parted = Shelf(place[0], **place[1]), tmp_path / "there.snap", tmp_path / "parted.snap"
    shutil.copy(here, parted)
    with Engine.edit(parted) as other:
        other.update_key("key_1", entries=["198.51.100.0/24"])
    engine.put_key("key_2", ["192.0.2.1"])
    engine.save(here)
    shelf.put(here, age=0.0)
    shelf.take(there)
    reader = Engine.open(there)
    latest = shelf.put(parted, age=0.0)
    assert latest.revision == reader.revision
    assert shelf.take(there) == (latest, True)
    assert shelf.take(there) == (latest, False)
    with pytest.raises(SnapshotError, match="same revision with other content"):
        reader.refresh()
    assert not Engine.open(there).allows("key_1", HOME)


def test_the_pointer_never_goes_back(place: Place, tmp_path: Path) -> None:
    engine, here = saved(tmp_path)
    old = here.read_bytes()
    shelf = Shelf(place[0], **place[1])
    engine.put_key("key_2", ["192.0.2.1"])
    engine.save(here)
    latest = shelf.put(here, age=0.0)
    (tmp_path / "old.snap").write_bytes(old)
    with pytest.raises(StoreError, match="later than generation 1"):
        shelf.put(tmp_path / "old.snap", age=0.0)
    assert shelf.pointer() == latest


def test_the_same_revision_is_put_again_with_its_new_age_alone(place: Place, tmp_path: Path) -> None:
    _, here = saved(tmp_path)
    now = [1_000.0]
    shelf = Shelf(place[0], clock=lambda: now[0], **place[1])
    first = shelf.put(here, age=2.0)
    assert (first.current_at, shelf.age_of(first)) == (998.0, 2.0)
    now[0] = 1_010.0
    second = shelf.put(here, age=1.0)
    assert (second.name, second.current_at) == (first.name, 1_009.0)
    assert shelf.age_of(first) == 12.0


def test_a_pointer_from_the_future_would_look_new_for_ever_so_it_has_no_age(tmp_path: Path) -> None:
    shelf = Shelf(f"{tmp_path}/keys.json", clock=lambda: 1_000.0)
    assert shelf.age_of(Pointer("keys-x.snap", "x", 1, Revision(1, 1), 1_001.5)) == 0.0
    for moment in (1_002.5, 9_999.0, float("nan"), float("inf")):
        with pytest.raises(StoreError, match="ahead of this machine"):
            shelf.age_of(Pointer("keys-x.snap", "x", 1, Revision(1, 1), moment))


def replaced(shelf: Shelf, url: str, **said: object) -> None:
    """Write another pointer, by hand."""
    path = Path(url)
    path.write_text(json.dumps({**json.loads(path.read_text()), **said}))


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"format": 2}, "its format is 2, and 1 is known"),
        ({"object": "../keys.snap"}, "is no object of it"),
        ({"object": "keys-00.snap"}, "is no object of it"),
        ({"size": "1"}, "size is '1'"),
        ({"size": True}, "size is True"),
        ({"epoch": None}, "epoch is None"),
        ({"current_at": "now"}, "current_at is 'now'"),
    ],
)
def test_a_spoilt_pointer_is_refused_and_the_file_stays(said: dict[str, object], message: str, tmp_path: Path) -> None:
    _, here = saved(tmp_path)
    url = f"{tmp_path}/keys.json"
    shelf = Shelf(url)
    shelf.put(here, age=0.0)
    shelf.take(tmp_path / "there.snap")
    before = (tmp_path / "there.snap").read_bytes()
    replaced(shelf, url, **said)
    with pytest.raises(StoreError, match=message):
        shelf.take(tmp_path / "there.snap")
    assert (tmp_path / "there.snap").read_bytes() == before


def test_text_that_is_no_pointer(tmp_path: Path) -> None:
    for text in (b"", b"[]", b"{}", b"\xff", b"[" * 50_000):
        (tmp_path / "keys.json").write_bytes(text)
        with pytest.raises(StoreError, match="this is no pointer to a snapshot"):
            Shelf(f"{tmp_path}/keys.json").pointer()


def test_an_object_that_is_not_what_the_pointer_says(tmp_path: Path) -> None:
    engine, here = saved(tmp_path)
    url = f"{tmp_path}/keys.json"
    shelf = Shelf(url)
    pointer = shelf.put(here, age=0.0)
    content = bytearray(here.read_bytes())
    content[-1] ^= 1
    (tmp_path / pointer.name).write_bytes(content)
    with pytest.raises(StoreError, match="is not what its pointer says"):
        shelf.take(tmp_path / "there.snap")
    assert not (tmp_path / "there.snap").exists()
    # bytes that the pointer names, and that are no snapshot, or one of another revision
    name = hashlib.sha256(content).hexdigest()
    (tmp_path / f"keys-{name}.snap").write_bytes(content)
    replaced(shelf, url, object=f"keys-{name}.snap", sha256=name)
    with pytest.raises(Exception, match=r"checksum|damaged|CRC|sum"):
        shelf.take(tmp_path / "there.snap")
    replaced(shelf, url, object=pointer.name, sha256=pointer.sha256, generation=9)
    (tmp_path / pointer.name).write_bytes(here.read_bytes())
    with pytest.raises(StoreError, match="another revision"):
        shelf.take(tmp_path / "there.snap")
    assert [path.name for path in tmp_path.glob(".there*")] == []
    assert engine.revision is not None


def test_an_older_pointer_does_not_replace_a_later_file(tmp_path: Path) -> None:
    engine, here = saved(tmp_path)
    shelf = Shelf(f"{tmp_path}/keys.json")
    shelf.put(here, age=0.0)
    engine.put_key("key_2", ["192.0.2.1"])
    engine.save(here)
    before = here.read_bytes()
    with pytest.raises(StoreError, match="older than generation 2"):
        shelf.take(here)
    assert here.read_bytes() == before


def test_no_pointer_and_no_file_system(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no pointer"):
        Shelf(f"{tmp_path}/keys.json").take(tmp_path / "there.snap")
    with pytest.raises(StoreError, match=r"ends in \.json"):
        Shelf(f"{tmp_path}/keys.snap")
    with pytest.raises(StoreError, match="nothing"):
        Shelf("nothing://bucket/keys.json")


def test_prune_keeps_what_the_pointer_names_and_what_is_wanted(place: Place, tmp_path: Path) -> None:
    engine, here = saved(tmp_path)
    shelf = Shelf(place[0], **place[1])
    names = []
    for number in range(3):
        engine.put_key(f"more_{number}", ["192.0.2.1"])
        engine.save(here)
        names.append(shelf.put(here, age=0.0).name)
    assert shelf.prune({names[1]}) == 1
    assert shelf.prune(set()) == 1
    assert shelf.prune(set()) == 0
    assert shelf.take(tmp_path / "there.snap")[0].name == names[2]
    assert os.path.getsize(tmp_path / "there.snap") == os.path.getsize(here)
