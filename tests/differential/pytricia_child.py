"""The child process of `test_pytricia.py`: one tree per family, questions in, answers out, as JSON.

A process of its own, because a crash of another library is no failure of ours.
Standard input:  {"4": {"prefixes": [...], "questions": [...]}, "6": ...}, canonical texts only.
Standard output: {"4": [longest matching prefix or null, ...], "6": ...}.
"""

import json
import sys

import pytricia


def answer(bits: int, prefixes: list[str], questions: list[str]) -> list[str | None]:
    tree = pytricia.PyTricia(bits)
    for prefix in prefixes:
        tree[prefix] = prefix
    return [tree.get(question) for question in questions]


def main() -> None:
    asked = json.load(sys.stdin)
    answers = {
        "4": answer(32, asked["4"]["prefixes"], asked["4"]["questions"]),
        "6": answer(128, asked["6"]["prefixes"], asked["6"]["questions"]),
    }
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main()
