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
        note(key=LONG),
        note(path=LONG),
        note(trail=("10.0.0.7", LONG)),
        note(request_id=LONG),
        (1.0, None, "GET", "/", 401, None, 0.1, "scope", LONG),
        note(trail=5),
    ],
)
def test_C23_long_notes_have_a_bound_of_their_own(long: Any) -> None:
    buffer = Buffer(1_000, 0.0)
    taken = [buffer.append(long) for _ in range(50)]
    assert taken == [True] * buffer.most_long + [False] * (50 - buffer.most_long)
    assert buffer.most_long == 11
    assert buffer.totals["full"] == 39
    assert all(buffer.append(note()) for _ in range(900)), "others find room"
    assert len(buffer.take(5)) == 5
    assert [buffer.append(long) for _ in range(6)] == [True] * 5 + [False]
    buffer.take(2_000)
    assert [buffer.append(long) for _ in range(12)] == [True] * 11 + [False]


def test_size_bounds_all_notes() -> None:
    buffer = Buffer(3, 0.0)
    assert [buffer.append(note()) for _ in range(5)] == [True, True, True, False, False]
    assert buffer.take_losses()[0].notes == 2
