"""Prefix after prefix into a trie.  (Its longest match stands beside the list's, in test_lookup.py.)"""

from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks import questions
from benchmarks.cases import cases, measure
from benchmarks.questions import Question


@cases(questions.inserts((1_000,)))
def test_insert(benchmark: BenchmarkFixture, question: Question, name: str) -> None:
    measure(benchmark, question, name)
