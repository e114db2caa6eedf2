"""Is one text on the list, and by which prefix?"""

from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks import questions
from benchmarks.cases import SIZES, cases, measure
from benchmarks.questions import Question


@cases(questions.lookups(SIZES))
def test_lookup(benchmark: BenchmarkFixture, question: Question, name: str) -> None:
    measure(benchmark, question, name)


@cases(questions.matches((20, 1_000)))
def test_match(benchmark: BenchmarkFixture, question: Question, name: str) -> None:
    measure(benchmark, question, name)
