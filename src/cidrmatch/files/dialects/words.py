"""Configuration text as words: what stands between spaces, quotes, marks such as ";" and "{", and comments.

    allow 10.0.0.0/8; # VPN
    ^     ^         ^ ^
    WORD  WORD   MARK COMMENT          each with its line; where a newline ends a statement, it is a word, too: NEWLINE

Each product cuts its text a little differently.  `Grammar` says how: which characters are marks, how comments and
quotes begin, whether a comment may begin inside a word.  What a product would replace or escape (a backslash, a
dollar) stays in the word, so nobody takes it for a prefix.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from enum import Enum
from functools import lru_cache
from typing import NamedTuple

from .dialect import Source, refuse

__all__ = ["Grammar", "Kind", "Word", "comments_of_lines", "words_of"]


class Kind(Enum):
    """What a word is."""

    WORD = "word"
    QUOTED = "quoted"
    MARK = "mark"
    COMMENT = "comment"
    NEWLINE = "newline"


class Word(NamedTuple):
    """Hold one word, and the line on which it begins."""

    kind: Kind
    text: str
    line: int

    def is_mark(self, *texts: str) -> bool:
        """Tell whether this is one of these marks."""
        return self.kind is Kind.MARK and self.text in texts

    def is_word(self, *texts: str) -> bool:
        """Tell whether this is one of these words, without quotes."""
        return self.kind is Kind.WORD and self.text in texts


class Grammar(NamedTuple):
    """Say how a product cuts its text.

    Attributes:
        marks: characters that are words by themselves.
        comments: how a comment to the end of the line begins.
        quotes: the characters that may stand around a word.
        has_newlines: whether a newline ends a statement.
        splits_words: whether a comment may begin inside a word.
    """

    marks: str
    comments: Sequence[str] = ("#",)
    quotes: str = '"'
    has_newlines: bool = False
    splits_words: bool = False


@lru_cache
def _pattern(grammar: Grammar) -> re.Pattern[str]:
    comments = "|".join(re.escape(one) for one in grammar.comments)
    inside = "".join(grammar.comments) if grammar.splits_words else ""
    other = re.escape(grammar.marks + grammar.quotes + inside)
    quoted = "|".join(rf"{quote}[^{quote}\\\n]*{quote}" for quote in grammar.quotes)
    parts = [
        r"(?P<space>[ \t\r]+)",
        r"(?P<newline>\n)",
        rf"(?P<comment>(?:{comments})[^\n]*)",
        *([rf"(?P<mark>[{re.escape(grammar.marks)}])"] if grammar.marks else []),
        *([rf"(?P<quoted>{quoted})"] if quoted else []),
        rf"(?P<word>[^\s{other}]+)",
    ]
    return re.compile("|".join(parts))


def words_of(source: Source, grammar: Grammar) -> Iterator[Word]:
    """Yield the words of a text.

    Raises:
        ListFileError: a quote is not closed on its line, holds a backslash, or a character stands where none may.
    """
    at, line, pattern = 0, 1, _pattern(grammar)
    text = source.text
    while at < len(text):
        found = pattern.match(text, at)
        if found is None and text.startswith("/*", at):
            refuse(source, line, "a comment /* ... */ is not read; take it out, or write # before each line of it")
        if found is None:
            refuse(
                source, line, f"{_shown(text[at])} cannot stand here; a text in quotes ends on its line, and has no \\"
            )
        at = found.end()
        if found.lastgroup == "newline":
            if grammar.has_newlines:
                yield Word(Kind.NEWLINE, "\n", line)
            line += 1
        elif found.lastgroup == "comment":
            yield Word(Kind.COMMENT, _without_mark(found[0], grammar), line)
        elif found.lastgroup == "quoted":
            yield Word(Kind.QUOTED, found[0][1:-1], line)
        elif found.lastgroup != "space":
            yield Word(Kind.MARK if found.lastgroup == "mark" else Kind.WORD, found[0], line)


def _shown(character: str) -> str:
    return ascii(character)


def _without_mark(comment: str, grammar: Grammar) -> str:
    mark = next(one for one in grammar.comments if comment.startswith(one))
    return comment.removeprefix(mark).strip(" \t\r")


def comments_of_lines(words: Sequence[Word]) -> dict[int, str]:
    """Give the comment at the end of each line that holds something else, too."""
    written = {word.line for word in words if word.kind not in (Kind.COMMENT, Kind.NEWLINE)}
    return {word.line: word.text for word in words if word.kind is Kind.COMMENT and word.text and word.line in written}
