"""From text to a packed address."""

from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks import questions
from benchmarks.cases import cases, measure
from benchmarks.questions import Question


@cases(questions.parses())
def test_parse(benchmark: BenchmarkFixture, question: Question, name: str) -> None:
    measure(benchmark, question, name)
