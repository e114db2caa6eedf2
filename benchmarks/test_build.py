"""From a list of text to a list that can be asked, sorted and shuffled."""

from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks import questions
from benchmarks.cases import SIZES, cases, measure
from benchmarks.questions import Question


@cases(questions.builds(SIZES))
def test_build(benchmark: BenchmarkFixture, question: Question, name: str) -> None:
    measure(benchmark, question, name)
