"""Dialects with braces and semicolons: nginx, Caddy, nftables, Terraform.

    nginx       allow 203.0.113.0/24; # Vienna           caddy      @allow_list {
                deny all;                                               remote_ip 203.0.113.0/24 # Vienna
                                                                    }
    nginx-geo   geo $allow_list {                         terraform  locals {
                    default 0;                                         allow_list = [
                    203.0.113.0/24 1; # Vienna                           "203.0.113.0/24", # Vienna
                }                                                      ]
                                                                     }
    nft         elements = { 203.0.113.0/24 comment "Vienna" }

A comment is a label if it stands behind exactly one entry on its line.  A comment on a line of its own is none: nobody
says to which entry it belongs.

Readers know the lines of the list and nothing of the configuration around them.  Another directive is refused by its
name, because it might change what the list means.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from ...errors import quote
from ..items import has_address
from .dialect import Row, Rows, Source, refuse
from .rules import OrderedRule, ValuedPrefix, allowed_by_order, allowed_by_value, chosen_sets
from .words import Grammar, Kind, Word, comments_of_lines, words_of

if TYPE_CHECKING:
    from ..items import Item

__all__ = [
    "read_caddy",
    "read_nft",
    "read_nginx",
    "read_nginx_geo",
    "read_terraform",
    "write_caddy",
    "write_nft",
    "write_nginx",
    "write_nginx_geo",
    "write_terraform",
]


def _behind(row: Row) -> str:
    return f" # {row.label}" if row.label else ""


def _labelled(found: Sequence[tuple[int, str]], comments: dict[int, str]) -> Iterator[Item]:
    """Give each prefix the comment of its line, if it is the only one there."""
    alone = Counter(line for line, _ in found)
    for line, prefix in found:
        yield line, prefix, comments.get(line) if alone[line] == 1 else None


# -- nginx --------------------------------------------------------------------

_NGINX: Final = Grammar(marks=";{}", quotes="\"'")


def _nginx_statements(source: Source, words: Sequence[Word]) -> Iterator[list[Word]]:
    statement: list[Word] = []
    for word in words:
        if word.kind is Kind.COMMENT:
            continue
        if word.is_mark(";"):
            if statement:
                yield statement
            statement = []
        elif word.kind is Kind.MARK:
            refuse(
                source, word.line, f"{quote(word.text)} begins or ends another block; give the lines of the list alone"
            )
        else:
            statement.append(word)
    if statement:
        refuse(source, statement[0].line, "the line ends without ';'")


def read_nginx(source: Source) -> Iterator[Item]:
    """Read `allow` and `deny` lines of ngx_http_access_module, which end with `deny all;`."""
    words = list(words_of(source, _NGINX))
    statements = list(_nginx_statements(source, words))
    comments = comments_of_lines(words)
    alone = Counter(statement[0].line for statement in statements)
    rules = []
    for statement in statements:
        verb, line = statement[0], statement[0].line
        if not verb.is_word("allow", "deny") or len(statement) != 2:
            told = " ".join(word.text for word in statement)
            refuse(source, line, f"{quote(told)} is no `allow` and no `deny` line; keep it in another file")
        target = statement[1].text
        if target == "unix:":
            refuse(source, line, "`unix:` is no address; keep that line in another file")
        label = comments.get(line) if alone[line] == 1 else None
        rules.append(OrderedRule(line, verb.text == "allow", None if target == "all" else target, label))
    return allowed_by_order(source, rules, "deny all;")


def write_nginx(rows: Rows, _name: str) -> str:
    """Write allowances and then `deny all;`."""
    return "".join(f"allow {row.prefix};{_behind(row)}\n" for row in rows) + "deny all;\n"


def read_nginx_geo(source: Source) -> Iterator[Item]:
    """Read one `geo` block of ngx_http_geo_module, with the value 1 or the one that the user picks."""
    words = [word for word in words_of(source, _NGINX) if word.kind is not Kind.COMMENT]
    head = next((index for index, word in enumerate(words) if word.is_mark("{")), None)
    is_block = head in (2, 3) and words[0].is_word("geo") and all(word.text.startswith("$") for word in words[1:head])
    if head is None or not is_block or not words[-1].is_mark("}"):
        refuse(source, None, "one block `geo $name { ... }` was expected, and nothing else")
    comments = comments_of_lines(list(words_of(source, _NGINX)))
    default, rows = "", []
    for statement in _nginx_statements(source, words[head + 1 : -1]):
        line, key = statement[0].line, statement[0].text
        if len(statement) != 2 or key in ("ranges", "include", "delete", "proxy", "proxy_recursive"):
            told = " ".join(word.text for word in statement)
            refuse(source, line, f"{quote(told)} is no prefix with a value; only these, and `default`, are read")
        if key == "default" and default:
            refuse(source, line, "`default` stands twice")
        if key == "default":
            default = statement[1].text
        else:
            rows.append(ValuedPrefix(line, key, statement[1].text, comments.get(line)))
    return allowed_by_value(source, rows, default)


def write_nginx_geo(rows: Rows, name: str) -> str:
    """Write a block in which a listed address has the value 1, and each other one 0."""
    lines = "".join(f"    {row.prefix} 1;{_behind(row)}\n" for row in rows)
    return f"geo ${name} {{\n    default 0;\n{lines}}}\n"


# -- Caddy --------------------------------------------------------------------

_CADDY: Final = Grammar(marks="{}", quotes='"`', has_newlines=True)
_ASKS: Final = ("remote_ip", "client_ip")


class _Matcher:
    """Collect what one named matcher asks, and for which prefixes."""

    def __init__(self) -> None:
        self.asked: set[str] = set()
        self.found: list[tuple[int, str]] = []

    def take(self, source: Source, line: Sequence[Word]) -> None:
        """Take one line: `remote_ip` or `client_ip`, and prefixes."""
        if not line[0].is_word(*_ASKS):
            told = quote(" ".join(word.text for word in line))
            refuse(
                source, line[0].line, f"{told} is no `remote_ip` and no `client_ip` line; keep it in another matcher"
            )
        self.asked.add(line[0].text)
        self.found.extend(_caddy_prefixes(source, line[1:]))


def read_caddy(source: Source) -> Iterator[Item]:
    """Read `remote_ip` or `client_ip` lines of one named matcher of a Caddyfile."""
    words = list(words_of(source, _CADDY))
    matcher = _picked_matcher(source, _caddy_matchers(source, words))
    if len(matcher.asked) > 1:
        refuse(source, None, "a matcher asks for remote_ip and client_ip, and an address must be in both; keep one")
    if not matcher.asked:
        refuse(source, None, "the matcher is empty, and then it matches everyone; add a `remote_ip` line")
    return _labelled(matcher.found, comments_of_lines(words))


def _caddy_matchers(source: Source, words: Sequence[Word]) -> dict[str, _Matcher]:
    """Read `@name remote_ip ...`, `@name { ... }`, and lines without a name."""
    matchers: dict[str, _Matcher] = {}
    is_open = ""
    for line in _caddy_lines(words):
        head = line[0]
        if is_open and len(line) == 1 and head.is_mark("}"):
            is_open = ""
        elif is_open or not head.text.startswith("@"):
            matchers.setdefault(is_open, _Matcher()).take(source, line)
        elif head.text in matchers or len(line) == 1:
            refuse(source, head.line, f"the matcher {quote(head.text)} stands twice, or asks nothing")
        else:
            matchers[head.text] = _Matcher()
            if len(line) == 2 and line[1].is_mark("{"):
                is_open = head.text
            else:
                matchers[head.text].take(source, line[1:])
    if is_open:
        refuse(source, None, f"the block of {is_open} is not closed")
    return matchers


def _caddy_lines(words: Sequence[Word]) -> Iterator[list[Word]]:
    line: list[Word] = []
    for word in words:
        if word.kind is Kind.NEWLINE and line:
            yield line
            line = []
        elif word.kind not in (Kind.NEWLINE, Kind.COMMENT):
            line.append(word)
    if line:
        yield line


def _caddy_prefixes(source: Source, words: Sequence[Word]) -> Iterator[tuple[int, str]]:
    for word in words:
        if word.kind is Kind.MARK:
            refuse(source, word.line, "a placeholder in braces is not read; write the prefixes")
        if word.text in ("private_ranges", "forwarded"):
            refuse(source, word.line, f"`{word.text}` is no prefix; write the prefixes that are meant")
        yield word.line, word.text


def _picked_matcher(source: Source, matchers: dict[str, _Matcher]) -> _Matcher:
    if not matchers:
        refuse(source, None, "there is no `remote_ip` and no `client_ip` line")
    if source.pick is None:
        if len(matchers) > 1:
            refuse(source, None, f"there are {len(matchers)} matchers; name one (--pick MATCHER)")
        return next(iter(matchers.values()))
    name = f"@{source.pick.removeprefix('@')}"
    if name not in matchers:
        refuse(source, None, f"there is no matcher {quote(name)}; there are {', '.join(map(quote, matchers))}")
    return matchers[name]


def write_caddy(rows: Rows, name: str) -> str:
    """Write a named matcher; `remote_ip` without prefixes matches nobody."""
    lines = "".join(f"\tremote_ip {row.prefix}{_behind(row)}\n" for row in rows) or "\tremote_ip\n"
    return f"@{name} {{\n{lines}}}\n"


# -- nftables -----------------------------------------------------------------

_NFT: Final = Grammar(marks="{};=,", has_newlines=True)
_NFT_TYPES: Final = {"ipv4_addr": 4, "ipv6_addr": 6}
_NFT_FLAGS: Final = ("interval", "constant")


class _Nft:
    """Read words of `nft list set` or `nft list table`, one after the other."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.words = [word for word in words_of(source, _NFT) if word.kind is not Kind.COMMENT]
        self.at = 0
        self.sets: dict[str, tuple[str, list[Item]]] = {}
        self.tables: dict[str, str] = {}
        self.chains: list[tuple[int, list[str]]] = []

    def next(self, *, newlines: bool = False) -> Word:
        """Take the next word; newlines and ";" are skipped where they say nothing."""
        while self.at < len(self.words):
            word = self.words[self.at]
            self.at += 1
            if newlines or not (word.kind is Kind.NEWLINE or word.is_mark(";")):
                return word
        return refuse(self.source, None, "ends in the middle of a block")

    @property
    def is_over(self) -> bool:
        while self.at < len(self.words):
            word = self.words[self.at]
            if word.kind is not Kind.NEWLINE and not word.is_mark(";"):
                return False
            self.at += 1
        return True

    def expect(self, mark: str) -> Word:
        word = self.next()
        if not word.is_mark(mark):
            refuse(self.source, word.line, f"{quote(mark)} was expected, not {quote(word.text)}")
        return word

    def fail(self, word: Word, hint: str) -> None:
        refuse(self.source, word.line, f"{quote(word.text)} is not understood here; {hint}")

    def file(self) -> None:
        while not self.is_over:
            word = self.next()
            if word.is_word("flush"):
                self.flush()
            elif word.is_word("table"):
                self.table()
            else:
                self.fail(word, "a file of `table` blocks was expected, as nft list table prints it")

    def flush(self) -> None:
        """Empty a set, as `flush set FAMILY TABLE NAME` does; of a chain nothing is kept."""
        kind, family, table, name = (self.next() for _ in range(4))
        if kind.is_word("set"):
            full = f" {family.text} {table.text}"
            if self.tables.get(name.text, full) != full:
                self.fail(name, "another table has the set of this name; give one table")
            self.sets[name.text] = (self.sets.get(name.text, ("", []))[0], [])
        elif not kind.is_word("chain"):
            self.fail(kind, "a set or a chain may be flushed")

    def table(self) -> None:
        table = ""
        while not (word := self.next()).is_mark("{"):
            table += f" {word.text}"
        while not (word := self.next()).is_mark("}"):
            if word.is_word("set"):
                self.set(table)
            elif word.is_word("chain"):
                self.next()
                self.chains.append((word.line, list(self.rules())))
            else:
                self.fail(word, "a table has sets and chains; give the set alone, as nft list set prints it")

    def rules(self) -> Iterator[str]:
        """Yield each line of a chain; a nested block belongs to its line."""
        self.expect("{")
        depth, rule = 1, ""
        while depth:
            word = self.next(newlines=True)
            depth += word.is_mark("{") - word.is_mark("}")
            if word.kind is Kind.NEWLINE or word.is_mark(";") or depth == 0:
                if rule:
                    yield rule.strip()
                rule = ""
            else:
                rule += f" {word.text}"

    def set(self, table: str) -> None:
        word = self.next()
        name = word.text
        if self.tables.setdefault(name, table) != table:
            self.fail(word, "two tables have a set of this name; give one table")
        kind, items = self.sets.get(name, ("", []))
        self.expect("{")
        while not (word := self.next()).is_mark("}"):
            if word.is_word("type"):
                kind = self.next().text
                if kind not in _NFT_TYPES:
                    refuse(
                        self.source,
                        word.line,
                        f"a set of {quote(kind)} is no list of prefixes; ipv4_addr and ipv6_addr are",
                    )
            elif word.is_word("flags"):
                self.flags()
            elif word.is_word("elements"):
                self.expect("=")
                self.expect("{")
                items = [*items, *self.elements()]
            elif word.is_word("comment"):
                self.next()
            elif not word.is_word("auto-merge"):
                self.fail(word, "type, flags, auto-merge and elements are; a timeout, for instance, ends entries")
        self.sets[name] = (kind, items)

    def flags(self) -> None:
        while True:
            word = self.next()
            if word.text not in _NFT_FLAGS:
                self.fail(word, "the flags of a list are interval and constant")
            if self.at == len(self.words) or not self.words[self.at].is_mark(","):
                return
            self.at += 1

    def elements(self) -> Iterator[Item]:
        while not (word := self.next()).is_mark("}"):
            label, last = None, self.next()
            if last.is_word("comment"):
                label, last = self.next().text, self.next()
            yield word.line, word.text, label
            if last.is_mark("}"):
                return
            if not last.is_mark(","):
                self.fail(last, "an element is a prefix, perhaps with a comment")


def read_nft(source: Source) -> Iterator[Item]:
    """Read sets of addresses from what `nft list set` or `nft list table` prints."""
    reader = _Nft(source)
    reader.file()
    if source.pick is None:
        _refuse_other_chains(source, reader.chains)
    if not reader.sets:
        refuse(source, None, "there is no set; rules of chains are not read")
    for name in chosen_sets(source, {name: _NFT_TYPES.get(kind) for name, (kind, _) in reader.sets.items()}):
        yield from reader.sets[name][1]


_ADMITS: Final = re.compile(r"ip6? saddr @\S+ (?:return|accept)")


def _refuse_other_chains(source: Source, chains: Sequence[tuple[int, list[str]]]) -> None:
    """Refuse a chain that does anything but admit what is in the sets: it may deny just that."""
    for line, rules in chains:
        for index, rule in enumerate(rules, 1):
            is_end = index == len(rules) and rule in ("drop", "reject")
            if not is_end and not _ADMITS.fullmatch(rule):
                told = f"the chain has the rule {quote(rule)}, so a set may be a list of whom to deny"
                refuse(source, line, f"{told}; name the set that is meant (--pick SET)")


_NFT_TABLE: Final = """\
table inet {name} {{
	set prefixes4 {{
		type ipv4_addr
		flags interval
		auto-merge
	}}
	set prefixes6 {{
		type ipv6_addr
		flags interval
		auto-merge
	}}
	chain admit {{
	}}
}}
flush set inet {name} prefixes4
flush set inet {name} prefixes6
flush chain inet {name} admit
table inet {name} {{
{sets}\
	chain admit {{
		ip saddr @prefixes4 return
		ip6 saddr @prefixes6 return
		drop
	}}
}}
"""


def write_nft(rows: Rows, name: str) -> str:
    """Write a table with two sets and a chain: who is in no set is dropped.

    `nft -f` takes the file as one transaction: what the sets held before is gone when the new elements count.
    """
    sets = "".join(_nft_set(family, [row for row in rows if row.prefix.family == family]) for family in (4, 6))
    return _NFT_TABLE.format(name=name, sets=sets)


def _nft_set(family: int, rows: Rows) -> str:
    if not rows:
        return ""
    elements = ",\n".join(f"\t\t\t{row.prefix}" + (f' comment "{row.label}"' if row.label else "") for row in rows)
    return (
        f"\tset prefixes{family} {{\n\t\ttype ipv{family}_addr\n\t\tflags interval\n\t\tauto-merge\n"
        f"\t\telements = {{\n{elements}\n\t\t}}\n\t}}\n"
    )


# -- Terraform ----------------------------------------------------------------

_HCL: Final = Grammar(marks="{}[]=,()", comments=("#", "//"), has_newlines=True, splits_words=True)
_TEMPLATE: Final = re.compile(r"[$%]\{[^{}]*\}")
_OPEN: Final = {"{": "}", "[": "]", "(": ")"}


def read_terraform(source: Source) -> Iterator[Item]:
    """Read a list of strings from `locals`, from the default of a variable, or from a file of values (.tfvars)."""
    words = list(_hcl_words(source))
    lists = dict(_hcl_lists(source, [word for word in words if word.kind is not Kind.COMMENT]))
    if source.pick is not None and source.pick not in lists:
        refuse(
            source, None, f"there is no list {quote(source.pick)}; there are {', '.join(map(quote, lists)) or 'none'}"
        )
    if len(lists) != 1 and source.pick is None:
        told = f"there are {len(lists)} lists; name one (--pick NAME)" if lists else "there is no list of strings"
        refuse(source, None, told)
    chosen = lists[next(iter(lists)) if source.pick is None else source.pick]
    return _labelled(list(_hcl_strings(source, chosen)), comments_of_lines(words))


def _hcl_words(source: Source) -> Iterator[Word]:
    """Yield the words; a text of several lines, or a template with quotes in it, would be cut at the wrong places."""
    for word in words_of(source, _HCL):
        if word.kind is Kind.WORD and "<<" in word.text:
            refuse(source, word.line, "begins a text of several lines, which is not read; keep it in another file")
        if word.kind is Kind.QUOTED and re.search(r"[$%]\{", _TEMPLATE.sub("", word.text)):
            refuse(source, word.line, "has a template with quotes or braces in it; keep it in another file")
        yield word


def _hcl_lists(source: Source, words: Sequence[Word]) -> Iterator[tuple[str, list[Word]]]:
    """Yield each attribute whose value begins with "[": its name, and the words of the value."""
    at, blocks = 0, [""]
    seen = set()
    while at < len(words):
        word = words[at]
        if word.kind is Kind.NEWLINE:
            at += 1
        elif word.is_mark("}") and len(blocks) > 1:
            blocks.pop()
            at += 1
        else:
            end = _hcl_end(words, at)
            head = [one for one in words[at:end] if one.kind is not Kind.NEWLINE]
            if len(head) > 1 and head[1].is_mark("="):
                name = blocks[-1] if head[0].text == "default" and blocks[-1] else head[0].text
                if len(head) > 2 and head[2].is_mark("["):
                    if name in seen:
                        refuse(source, head[0].line, f"{quote(name)} stands twice")
                    seen.add(name)
                    yield name, head[2:]
                elif source.pick is None:
                    _refuse_hidden(source, name, head[2:])
                at = end
            else:
                opening = next((i for i in range(at, end) if words[i].is_mark("{")), None)
                if opening is None or len(blocks) > 1 or not head[0].is_word("locals", "variable"):
                    refuse(
                        source, word.line, f"{quote(word.text)} is no attribute, and no block of locals or a variable"
                    )
                blocks.append(head[1].text if head[0].is_word("variable") else "")
                at = opening + 1
    if len(blocks) > 1:
        refuse(source, None, "a block is not closed")


def _refuse_hidden(source: Source, name: str, value: Sequence[Word]) -> None:
    """Refuse an address in a value that is no list: it might be an entry that is not read."""
    for word in value:
        if word.kind is Kind.QUOTED and has_address(word.text):
            refuse(
                source,
                word.line,
                f"{quote(name)} holds the address {quote(word.text)} and is no plain list; "
                "name the list that is meant (--pick NAME)",
            )


def _hcl_end(words: Sequence[Word], at: int) -> int:
    """Find the end of a statement: a newline, or a closing brace, outside all brackets."""
    depth = 0
    while at < len(words):
        word = words[at]
        if depth == 0 and (word.kind is Kind.NEWLINE or word.is_mark("}")):
            return at
        depth += word.is_mark(*_OPEN) - word.is_mark(*_OPEN.values())
        at += 1
    return at


def _hcl_strings(source: Source, words: Sequence[Word]) -> Iterator[tuple[int, str]]:
    """Take `[ "...", "..." ]`; a comma may stand behind the last."""
    is_due = True  # a string, not a comma
    for index, word in enumerate(words):
        is_last = index == len(words) - 1
        if index == 0 or (is_last and word.is_mark("]")):
            continue
        if word.kind is Kind.QUOTED and is_due and not is_last:
            if "${" in word.text or "%{" in word.text:
                refuse(source, word.line, f"{quote(word.text)} is a template; write the prefix")
            yield word.line, word.text
        elif not word.is_mark(",") or is_due:
            refuse(
                source,
                word.line,
                f"{quote(word.text)} is not understood; a list of strings was expected, and no expression",
            )
        is_due = not is_due


def write_terraform(rows: Rows, name: str) -> str:
    """Write a local value, a list of strings."""
    lines = "".join(f'    "{row.prefix}",{_behind(row)}\n' for row in rows)
    return f"locals {{\n  {name} = [\n{lines}  ]\n}}\n"
