"""How long a change takes in every process, in short; `python -m benchmarks.propagation` is the long form.

Requirements: B11, C19.
"""

from __future__ import annotations

from benchmarks.propagation import LONGEST, measure, meet_the_enemy


def test_B11_C19_a_change_takes_effect_in_every_process_within_ten_seconds(store_url: str) -> None:
    delays = measure(store_url, followers=4, changes=30, rate=20.0, nudged=True)
    assert len(delays.seconds) == 4 * 30
    assert delays.longest < LONGEST


def test_B11_C19_a_change_takes_effect_within_ten_seconds_also_without_a_nudge(store_url: str) -> None:
    delays = measure(store_url, followers=4, changes=30, rate=20.0, nudged=False)
    assert delays.longest < LONGEST


def test_C19_a_removed_address_is_never_allowed_in_another_process_that_knows_of_the_removal(store_url: str) -> None:
    assert meet_the_enemy(store_url, 200) == 0
