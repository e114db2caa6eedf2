"""Many addresses in one call, texts and packed ones in a buffer: are they on the list, and by which entry?"""

from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks import questions
from benchmarks.cases import cases, measure
from benchmarks.questions import Question


@cases(questions.batches((20, 100_000)))
def test_batch(benchmark: BenchmarkFixture, question: Question, name: str) -> None:
    measure(benchmark, question, name)


@cases(questions.matches_many((20,)))
def test_match_many(benchmark: BenchmarkFixture, question: Question, name: str) -> None:
    measure(benchmark, question, name)
