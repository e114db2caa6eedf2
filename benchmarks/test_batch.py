"""Many addresses in one call: texts, and packed addresses in a buffer."""

from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks import questions
from benchmarks.cases import cases, measure
from benchmarks.questions import Question


@cases(questions.batches((20, 100_000)))
def test_batch(benchmark: BenchmarkFixture, question: Question, name: str) -> None:
    measure(benchmark, question, name)
