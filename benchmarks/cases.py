"""Questions as pytest-benchmark sees them: one group a question, one case a contestant.

    @cases(questions.parses())
    def test_parse(benchmark, question, name):
        measure(benchmark, question, name)

Each case runs alone, so these numbers show a change of one contestant between
two commits well, and a ratio between two contestants badly: for ratios there is
`paired.py`.  The long lists are left to that, too.
"""

import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, TypeVar

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.questions import Question, Side

Test = TypeVar("Test", bound=Callable[..., None])

SIZES = (20, 1_000, 100_000)
ROUNDS = 15


def cases(questions: Sequence[Question]) -> Callable[[Test], Test]:
    """Parametrise a test with every contestant of every question, and time it as `paired.py` does."""
    every = pytest.mark.parametrize(
        ("question", "name"),
        [
            pytest.param(question, contestant.name, id=f"{question.name}-{contestant.name}")
            for question in questions
            for contestant in question.present()
        ],
    )
    clock = pytest.mark.benchmark(disable_gc=True, timer=time.thread_time)
    return lambda test: every(clock(test))


@lru_cache(maxsize=1)
def _prepared(question: Question) -> dict[str, Side]:
    """Built, and its answers compared; the cases of one question come one after another."""
    return {side.contestant.name: side for side in question.prepare()}


def measure(benchmark: BenchmarkFixture, question: Question, name: str) -> None:
    """Time passes of one contestant, each on fresh items."""
    side = _prepared(question)[name]
    turns = iter(range(ROUNDS + 1))

    def ready() -> tuple[tuple[Any], dict[str, Any]]:
        return (side.ready(next(turns)),), {}

    benchmark.group = f"{question.name}, {side.per_pass:,} a pass"
    benchmark.extra_info.update(role=side.contestant.role, unit=question.unit, per_pass=side.per_pass)
    benchmark.pedantic(side.run, setup=ready, rounds=ROUNDS, warmup_rounds=1)  # type: ignore[no-untyped-call]
