"""May this address use this key?"""

from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks import keys
from benchmarks.cases import cases, measure
from benchmarks.questions import Question


@cases(keys.checks()[:1])
def test_check(benchmark: BenchmarkFixture, question: Question, name: str) -> None:
    measure(benchmark, question, name)
