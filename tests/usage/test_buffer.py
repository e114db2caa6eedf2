"""The queue between requests and the writer: its bounds, of notes and of long ones.

Requirements: B25 (what is lost is counted), C23 (a client cannot fill the memory).
"""

from __future__ import annotations

from typing import Any

import pytest

from cidrmatch import Engine
from cidrmatch.client import ClientAddress, PeerAddress
from cidrmatch.gateways.guard import Guard, GuardDecision
from cidrmatch.service.usage.buffer import Buffer
from cidrmatch.service.usage.formatting import packer_for

LONG = "x" * 60_000
GUARD = Guard(Engine(), PeerAddress())


def note(
    *, key: str | None = "key_1", path: str | None = "/", trail: Any = ("203.0.113.9",), request_id: str = ""
) -> Any:
    found = GuardDecision(GUARD, key, ClientAddress(None, "malformed", trail), None, 0.0)
    return 1.0, found, "GET", path, 403, request_id, 0.1, None, None


@pytest.mark.parametrize(
    "long",
    [
        note(path=LONG),
        note(path="\u20ac" * 700),
        note(trail=("10.0.0.7", "\U0001f511" * 1_000)),
        note(request_id="\u20ac" * 256, path="x" * 1_300),
    ],
)
def test_C23_long_notes_have_a_bound_of_their_own(long: Any) -> None:
    packer = packer_for(1_000, None)
    buffer = Buffer(packer, 0.0)
    taken = [buffer.append(*long) for _ in range(50)]
    assert taken == [True] * packer.most_long + [False] * (50 - packer.most_long)
    assert packer.most_long == 11
    assert buffer.totals["full"] == 39
    assert all(buffer.append(*note()) for _ in range(900)), "others find room"
    batch = buffer.take()
    assert batch is not None
    assert batch.count == 911
    assert [buffer.append(*long) for _ in range(12)] == [True] * 11 + [False]


@pytest.mark.parametrize("text", ["x", "\u20ac", "\U0001f511"])
def test_C23_what_a_client_wrote_is_cut_before_it_waits(text: str) -> None:
    packer = packer_for(1_000, None)
    for number in range(8):
        long = text * (60_000 + number)
        packer.put(*note(key=long, path=long, trail=(long, long), request_id=long))
    batch = packer.take()
    assert batch is not None
    size = sum(len(part[4]) for part in batch.parts(0, [1], [], [], as_copy=True))
    assert size < 8 * 15_000


def test_size_bounds_all_notes() -> None:
    buffer = Buffer(packer_for(3, None), 0.0)
    assert [buffer.append(*note()) for _ in range(5)] == [True, True, True, False, False]
    assert buffer.take_losses()[0].notes == 2
    assert buffer.waiting == 3
