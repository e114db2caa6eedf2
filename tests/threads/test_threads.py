"""Many threads: readers of one frozen list, a swap while reading, and a trie that is written meanwhile.

An `AllowList` promises to be safe without a lock: frozen after building, nobody writes.  A `PatriciaTrie` promises
less: a reader sees the map before or after a change, and an iterator over a changed trie says so.
"""

import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from cidrmatch import AllowList, Entry, PatriciaTrie, Prefix

THREADS = 8
SECONDS = 0.5


@pytest.fixture(autouse=True)
def _switch_often() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def run_together(*work: Callable[[], None]) -> None:
    """Run all at once, each again and again until the time is over; the first error is raised here."""
    start, errors = threading.Barrier(len(work)), list[BaseException]()
    end = time.monotonic() + SECONDS

    def repeat(act: Callable[[], None]) -> None:
        try:
            start.wait()
            while time.monotonic() < end and not errors:
                act()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=repeat, args=(act,)) for act in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def test_many_threads_combine_the_same_two_lists() -> None:
    one = AllowList([(bytes([10, low, 0, 0]), str(low)) for low in range(256)])
    other = AllowList([bytes([10, low, 0, 0]) for low in range(0, 256, 2)])
    expected = [entry for number, entry in enumerate(one) if number % 2]

    def combine() -> None:
        assert list(one - other) == expected
        assert one ^ other == AllowList(expected)
        assert other < one
        assert len((one | other).aggregate()) == 256

    run_together(*[combine] * THREADS)


def test_many_readers_of_one_list_get_the_same_answers() -> None:
    entries = [(bytes([10, low, 0, 0]), str(low)) for low in range(0, 256, 2)]
    allow = AllowList([*entries, "2001:db8::/32"])
    asked = [f"10.{low}.0.0" for low in range(256)]
    expected = bytes([1, 0] * 128)

    def read() -> None:
        assert allow.contains_many(asked) == expected
        assert [address in allow for address in asked[:20]] == [True, False] * 10
        assert allow.match("10.4.0.0") == Entry("10.4.0.0", "4")
        assert allow.matches("10.5.0.0") == []
        assert len(list(allow)) == 129
        assert hash(allow) == hash(AllowList([*entries, "2001:db8::/32"]))

    run_together(*[read] * THREADS)


def test_one_iterator_shared_by_threads_gives_each_entry_at_most_once() -> None:
    allow = AllowList([bytes([10, 0, high, low]) for high in range(8) for low in range(256)])
    iterator, seen = iter(allow), list[Entry]()

    def read() -> None:
        for entry in iterator:
            seen.append(entry)

    run_together(*[read] * THREADS)
    assert len(seen) == len(set(seen)) == len(allow)


def test_swapping_the_list_while_reading_never_shows_half_of_two() -> None:
    """Both lists know 10.0.0.0/8; each knows one half of 192.0.2.0/24: an answer of 00 or 11 would be a mixture."""
    lists = [AllowList(["10.0.0.0/8", "192.0.2.0/25"]), AllowList(["10.0.0.0/8", "192.0.2.128/25"])]
    box = {"current": lists[0]}

    def swap() -> None:
        for allow in lists:
            box["current"] = allow

    def rebuild() -> None:
        box["current"] = AllowList(list(box["current"]))

    def read() -> None:
        assert box["current"].contains_many(["192.0.2.1", "192.0.2.129", "10.1.1.1"]) in (b"\1\0\1", b"\0\1\1")

    run_together(swap, rebuild, *[read] * (THREADS - 2))


def test_trie_read_while_written_answers_before_or_after() -> None:
    trie: PatriciaTrie[int] = PatriciaTrie([("10.0.0.0/8", 8)])

    def write() -> None:
        for low in range(64):
            trie[f"10.{low}.0.0/16"] = 16
        for low in range(64):
            del trie[f"10.{low}.0.0/16"]

    def read() -> None:
        found = trie.longest_match("10.3.0.1")
        assert found in ((Prefix("10.0.0.0/8"), 8), (Prefix("10.3.0.0/16"), 16))
        assert trie["10.0.0.0/8"] == 8
        assert [value for _, value in trie.covering("10.3.0.1")] in ([8], [16, 8])

    def walk() -> None:
        try:
            keys = list(trie)
        except RuntimeError:
            return
        assert keys == sorted(set(keys))
        assert len(trie.aggregate()) == 1

    run_together(write, walk, *[read] * (THREADS - 2))
    assert list(trie) == [Prefix("10.0.0.0/8")]
