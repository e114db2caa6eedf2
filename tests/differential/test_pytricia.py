"""A second opinion on the longest match: pytricia, in a child process, one tree per family, canonical text only."""

import importlib.util
import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cidrmatch import AllowList, PatriciaTrie
from tests.reference import Span, bits_of, build_span, format_number, format_span, largest

CHILD = Path(__file__).with_name("pytricia_child.py")
FAMILIES = (4, 6)

pytestmark = pytest.mark.skipif(importlib.util.find_spec("pytricia") is None, reason="pytricia is not installed")


def draw_spans(family: int, count: int, rng: random.Random) -> list[Span]:
    """Nested prefixes: half of them lie inside one that is there already; none holds most of the addresses."""
    bits = bits_of(family)
    found: list[Span] = []
    while len(found) < count:
        around = rng.choice(found) if found and rng.random() < 0.5 else None
        number = rng.randint(around.first, around.last) if around else rng.randint(1 << bits // 2, largest(family))
        found.append(build_span(family, number, rng.randint(bits // 4, bits)))
    return found


def draw_questions(family: int, found: list[Span], rng: random.Random) -> list[str]:
    """Both borders of each prefix, one step outside them, and as many addresses anywhere."""
    numbers = [number for span in found for number in (span.first - 1, span.first, span.last, span.last + 1)]
    numbers += [rng.randint(0, largest(family)) for _ in found]
    inside = [number for number in numbers if 0 <= number <= largest(family) and number >> 32 != 0xFFFF]
    return [format_number(family, number) for number in inside]


def ask_pytricia(asked: dict[str, dict[str, list[str]]]) -> dict[str, list[str | None]]:
    child = subprocess.run(
        [sys.executable, str(CHILD)], input=json.dumps(asked), capture_output=True, text=True, check=False, timeout=60
    )
    assert child.returncode == 0, child.stderr
    answers: dict[str, Any] = json.loads(child.stdout)
    return answers


@pytest.mark.parametrize("seed", range(5))
def test_longest_match_is_that_of_pytricia(seed: int) -> None:
    rng = random.Random(seed)
    asked: dict[str, dict[str, list[str]]] = {}
    for family in FAMILIES:
        found = draw_spans(family, 400, rng)
        prefixes = [format_span(span) for span in found]
        asked[str(family)] = {"prefixes": prefixes, "questions": draw_questions(family, found, rng)}
    for name, theirs in ask_pytricia(asked).items():
        prefixes, questions = asked[name]["prefixes"], asked[name]["questions"]
        trie, allow = PatriciaTrie([(text, text) for text in prefixes]), AllowList(prefixes)
        matches = [trie.longest_match(question) for question in questions]
        assert [match and match[1] for match in matches] == theirs
        assert allow.contains_many(questions) == bytes(answer is not None for answer in theirs)
        assert 0.2 < sum(answer is not None for answer in theirs) / len(theirs) < 1.0, "hits and misses, both"
