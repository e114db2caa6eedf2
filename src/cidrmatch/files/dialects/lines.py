"""Dialects in which a line is an entry: HAProxy, Apache, iptables, ipset, Cloudflare's CSV.

    haproxy-acl   203.0.113.0/24                                     acl FILE: `src -f FILE`
    haproxy-map   203.0.113.0/24 1                                   `src,map_ip(FILE,0)`
    apache        Require ip 203.0.113.0/24
    iptables      -A allow_list -s 203.0.113.0/24 -m comment --comment "Vienna" -j RETURN
    ipset         add allow_list4 203.0.113.0/24 comment "Vienna"
    cloudflare-csv 203.0.113.0/24,Vienna

HAProxy and Apache have comments only on lines of their own.  Nobody says to which line such a comment belongs, so
these two keep labels for people, and do not read them.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from ..._core import AllowList
from ...errors import quote
from .dialect import Row, Rows, Source, everyone, refuse
from .rules import OrderedRule, ValuedPrefix, allowed_by_order, allowed_by_value, chosen_sets
from .words import Grammar, Kind, Word, words_of

if TYPE_CHECKING:
    from ..items import Item

__all__ = [
    "read_apache",
    "read_cloudflare_csv",
    "read_haproxy_acl",
    "read_haproxy_map",
    "read_ip6tables",
    "read_ipset",
    "read_iptables",
    "write_apache",
    "write_cloudflare_csv",
    "write_haproxy_acl",
    "write_haproxy_map",
    "write_ipset",
    "write_iptables",
]


def _lines(source: Source) -> Iterator[tuple[int, str]]:
    """Yield the lines that hold something, without white space at both ends."""
    for line, content in enumerate(source.text.split("\n"), 1):
        if stripped := content.strip(" \t\r"):
            yield line, stripped


# -- HAProxy ------------------------------------------------------------------


def _haproxy_lines(source: Source) -> Iterator[tuple[int, str]]:
    for line, content in _lines(source):
        if content.startswith("#"):
            continue
        if "#" in content:
            refuse(source, line, "HAProxy takes a comment only on a line of its own; move it above the entry")
        yield line, content


def read_haproxy_acl(source: Source) -> Iterator[Item]:
    """Read a file of patterns for `src -f`: a prefix a line."""
    for line, content in _haproxy_lines(source):
        yield line, content, None


def read_haproxy_map(source: Source) -> Iterator[Item]:
    """Read a file for `map_ip`: a prefix and its value a line."""
    rows = []
    for line, content in _haproxy_lines(source):
        prefix, _, value = content.replace("\t", " ").partition(" ")
        if not value:
            refuse(source, line, f"{quote(prefix)} has no value; a line is a prefix and a value, such as 1")
        rows.append(ValuedPrefix(line, prefix, value.strip(" ")))
    return allowed_by_value(source, rows, "")


def write_haproxy_acl(rows: Rows, _name: str) -> str:
    """Write patterns; an empty file matches nobody."""
    return "".join(f"{_comment_above(row)}{row.prefix}\n" for row in rows)


_INSIDE: Final = ("::/96", "2002::/16")
"""IPv6 addresses with an IPv4 address inside.  HAProxy looks for that if it finds no IPv6 prefix.

Source: pat_match_ip in HAProxy's src/pattern.c; 2002::/16 is 6to4, ::/96 the old IPv4-compatible addresses.
"""


def write_haproxy_map(rows: Rows, _name: str) -> str:
    """Write a map with the value 1; an empty map gives the default, such as 0.

    IPv6 addresses with an IPv4 address inside get the value 0, unless an entry covers them.
    """
    allow = AllowList(row.prefix for row in rows)
    none = "".join(f"{prefix} 0\n" for prefix in _INSIDE if not allow.covers(prefix))
    return none + "".join(f"{_comment_above(row)}{row.prefix} 1\n" for row in rows)


def _comment_above(row: Row, indent: str = "") -> str:
    return f"{indent}# {row.label}\n" if row.label else ""


# -- Apache -------------------------------------------------------------------

_ANY: Final = ("<requireany>", "</requireany>")


def read_apache(source: Source) -> Iterator[Item]:
    """Read `Require ip` lines of mod_authz_host, alone or in one `<RequireAny>`."""
    items: list[Item] = []
    is_asked = False
    for line, content in _lines(source):
        if content.endswith("\\"):
            refuse(source, line, "goes on in the next line; write one directive a line")
        if content.startswith("#") or content.lower() in _ANY:
            continue
        is_asked = True
        items += _apache_items(source, line, content.split())
    if not is_asked:
        refuse(source, None, "has no Require line, and then Apache lets everyone in; add `Require all denied`")
    return iter(items)


def _apache_items(source: Source, line: int, words: Sequence[str]) -> Iterator[Item]:
    directive = [word.lower() for word in words[:2]]
    if directive == ["require", "ip"] and len(words) > 2:
        yield from ((line, prefix, None) for prefix in words[2:])
    elif directive == ["require", "all"] and [word.lower() for word in words[2:]] == ["granted"]:
        yield from everyone(line)
    elif directive != ["require", "all"] or [word.lower() for word in words[2:]] != ["denied"]:
        refuse(
            source,
            line,
            f"{quote(' '.join(words))} is none of `Require ip PREFIX...`, `Require all granted` and "
            "`Require all denied`; keep other conditions in another file",
        )


def write_apache(rows: Rows, _name: str) -> str:
    """Write a `<RequireAny>`; `Require all denied` in it lets nobody in by itself."""
    lines = "".join(f"{_comment_above(row, '    ')}    Require ip {row.prefix}\n" for row in rows)
    return f"<RequireAny>\n{lines}    Require all denied\n</RequireAny>\n"


# -- iptables -----------------------------------------------------------------

_SHELL: Final = Grammar(marks="", has_newlines=True)
_BUILT_IN: Final = ("INPUT", "FORWARD", "OUTPUT", "PREROUTING", "POSTROUTING")


def _statements(source: Source) -> Iterator[list[Word]]:
    """Yield the words of each line that holds some."""
    statement: list[Word] = []
    for word in [*words_of(source, _SHELL), Word(Kind.NEWLINE, "\n", 0)]:
        if word.kind is Kind.NEWLINE and statement:
            yield statement
            statement = []
        elif word.kind is Kind.COMMENT and statement:
            refuse(source, word.line, "a comment is a line of its own here; move it above the line")
        elif word.kind in (Kind.WORD, Kind.QUOTED):
            statement.append(word)


def read_iptables(source: Source) -> Iterator[Item]:
    """Read one chain of what `iptables-save` prints."""
    return _read_iptables(source, "0.0.0.0/0")


def read_ip6tables(source: Source) -> Iterator[Item]:
    """Read one chain of what `ip6tables-save` prints."""
    return _read_iptables(source, "::/0")


def _read_iptables(source: Source, everyone_of_family: str) -> Iterator[Item]:
    is_begun = False
    chains: dict[str, list[OrderedRule]] = {}
    policies: dict[str, OrderedRule] = {}
    for words in _statements(source):
        first, line = words[0].text, words[0].line
        if first.startswith(":") and len(words) in (2, 3):
            if first[1:] in chains:
                refuse(source, line, f"the chain {quote(first[1:])} stands above, and is emptied here; give one table")
            chains.setdefault(first[1:], [])
            if words[1].text in ("ACCEPT", "DROP"):
                policies[first[1:]] = OrderedRule(line, words[1].text == "ACCEPT", None)
        elif first == "-A" and len(words) > 1:
            if source.pick in (None, words[1].text):
                chains.setdefault(words[1].text, []).append(_iptables_rule(source, words))
        elif first.startswith("*"):
            if is_begun:
                refuse(source, line, "another table begins, and replaces the one above; give the one that counts")
            is_begun = True
            if first != "*filter":
                refuse(source, line, f"another table, {quote(first[1:])}; give the output of iptables-save -t filter")
        elif first != "COMMIT":
            refuse(source, line, f"{quote(first)} is no line of iptables-save")
    chain = _picked_chain(source, chains)
    rules = chains[chain] + ([policies[chain]] if chain in policies else [])
    return allowed_by_order(source, rules, f"-A {chain} -j DROP", [everyone_of_family])


def _picked_chain(source: Source, chains: dict[str, list[OrderedRule]]) -> str:
    if source.pick is not None and source.pick not in chains:
        refuse(source, None, f"there is no chain {quote(source.pick)}; there are {', '.join(map(quote, chains))}")
    with_rules = [source.pick] if source.pick is not None else [chain for chain, rules in chains.items() if rules]
    if len(with_rules) != 1:
        told = f"there are rules of {len(with_rules)} chains; name one (--pick CHAIN)"
        refuse(source, None, told if with_rules else "there is no rule, and iptables lets everyone in")
    return with_rules[0]


_VERDICTS: Final = {"RETURN": True, "ACCEPT": True, "DROP": False, "REJECT": False}


def _iptables_rule(source: Source, words: Sequence[Word]) -> OrderedRule:
    """Take `-A CHAIN [-s PREFIX] [-m comment --comment TEXT] -j TARGET`; any other condition is refused."""
    line, texts = words[0].line, [word.text for word in words[2:]]
    options: dict[str, str] = {}
    while texts:
        option = texts.pop(0)
        if option not in ("-s", "-m", "--comment", "-j", "--reject-with") or not texts:
            refuse(source, line, f"{quote(option)} is another condition; a chain of sources and verdicts is a list")
        if option in options:
            refuse(source, line, f"{quote(option)} stands twice")
        options[option] = texts.pop(0)
    if options.get("-m", "comment") != "comment" or options.get("-j") not in _VERDICTS:
        refuse(source, line, "a rule is -s PREFIX, perhaps a comment, and -j RETURN, ACCEPT, DROP or REJECT")
    allows = _VERDICTS[options["-j"]]
    if options["-j"] == "RETURN" and words[1].text in _BUILT_IN:
        refuse(source, line, f"RETURN in {words[1].text} means the chain's policy; write ACCEPT or DROP")
    return OrderedRule(line, allows, options.get("-s"), options.get("--comment"))


def write_iptables(rows: Rows, name: str) -> str:
    """Write a chain of its own for `iptables-restore --noflush`: who is listed returns to the caller, who is not is
    dropped.
    """
    rules = "".join(f"-A {name} -s {_full(row)}{_iptables_comment(row)} -j RETURN\n" for row in rows)
    return f"*filter\n:{name} - [0:0]\n{rules}-A {name} -j DROP\nCOMMIT\n"


def _iptables_comment(row: Row) -> str:
    return f' -m comment --comment "{row.label}"' if row.label else ""


def _full(row: Row) -> str:
    """Write a prefix with its length, also that of a single address, as `iptables-save` does."""
    return f"{row.prefix.address}/{row.prefix.length}"


# -- ipset --------------------------------------------------------------------

_CREATE_FLAGS: Final = ("comment", "counters", "-exist", "-!")
_FAMILIES: Final = {"inet": 4, "inet6": 6}
_CREATE_VALUES: Final = ("family", "hashsize", "maxelem", "bucketsize", "initval")


def read_ipset(source: Source) -> Iterator[Item]:
    """Read sets of `hash:net` or `hash:ip` from what `ipset save` prints."""
    families: dict[str, str] = {}
    items: dict[str, list[Item]] = {}
    for words in _statements(source):
        verb, line = words[0].text, words[0].line
        if verb in ("create", "-N") and len(words) > 2:
            name = words[1].text
            if name in families:
                refuse(source, line, f"the set {quote(name)} is created twice")
            families[name] = _ipset_family(source, words)
            items[name] = []
        elif verb in ("add", "-A") and len(words) > 2:
            if words[1].text not in items:
                refuse(source, line, f"the set {quote(words[1].text)} is not created above")
            items[words[1].text].append(_ipset_item(source, words))
        elif verb == "flush" and len(words) == 2 and words[1].text in items:
            items[words[1].text] = []
        else:
            refuse(source, line, f"{quote(verb)} is no line of ipset save; create, add and flush are")
    if not families:
        refuse(source, None, "no set is created; the file is no output of ipset save")
    for name in chosen_sets(source, {name: _FAMILIES.get(family) for name, family in families.items()}):
        yield from items[name]


def _ipset_family(source: Source, words: Sequence[Word]) -> str:
    line, kind, texts = words[0].line, words[2].text, [word.text for word in reversed(words[3:])]
    if kind not in ("hash:net", "hash:ip"):
        refuse(source, line, f"a set of {quote(kind)} holds more than prefixes; hash:net and hash:ip are read")
    family = "inet"
    while texts:
        option = texts.pop()
        if option in _CREATE_VALUES and texts:
            value = texts.pop()
            family = value if option == "family" else family
        elif option not in _CREATE_FLAGS:
            refuse(
                source,
                line,
                f"{quote(option)} is an option that is not understood; a timeout, for instance, ends entries",
            )
    return family


def _ipset_item(source: Source, words: Sequence[Word]) -> Item:
    line, prefix, texts = words[0].line, words[2].text, [word.text for word in words[3:] if word.text != "-exist"]
    if not texts:
        return line, prefix, None
    if len(texts) != 2 or texts[0] != "comment":
        why = "is a hole in a broader prefix; subtract it from that" if "nomatch" in texts else "is not understood"
        refuse(source, line, f"{quote(' '.join(texts))} {why}")
    return line, prefix, texts[1] or None


def write_ipset(rows: Rows, name: str) -> str:
    """Write two sets, for `ipset restore`: NAME4 and NAME6."""
    return "".join(
        _ipset_lines(f"{name}{family}", word, [row for row in rows if row.prefix.family == family])
        for family, word in ((4, "inet"), (6, "inet6"))
    )


def _ipset_lines(name: str, family: str, rows: Rows) -> str:
    """Write one set; `flush` makes it hold these entries and no older ones."""
    most = max(65_536, len(rows))
    added = "".join(
        f"add {name} {row.prefix}" + (f' comment "{row.label}"' if row.label else "") + "\n" for row in rows
    )
    return f"create {name} hash:net family {family} maxelem {most} comment -exist\nflush {name}\n{added}"


# -- Cloudflare ---------------------------------------------------------------


def read_cloudflare_csv(source: Source) -> Iterator[Item]:
    """Read a CSV file as Cloudflare's dashboard takes it: a prefix, perhaps a comment, no header."""
    rows = csv.reader(io.StringIO(source.text, newline=""), strict=True)
    while True:
        line = rows.line_num + 1
        try:
            row = next(rows, None)
        except csv.Error as error:
            refuse(source, line, f"is not CSV: {error}")
        if row is None:
            return
        if len(row) > 2:
            refuse(source, line, f"a row has a prefix and perhaps a comment, not {len(row)} cells; quote a comma")
        if row and (prefix := row[0].strip(" \t")):
            yield line, prefix, (row[1] if len(row) > 1 else "") or None
        elif any(row):
            refuse(source, line, "the first cell is empty; it is the prefix")


_FORMULA: Final = re.compile(r"^[=+\-@]")


def write_cloudflare_csv(rows: Rows, _name: str) -> str:
    """Write rows without a header; a spreadsheet takes no comment for a formula."""
    output = io.StringIO(newline="")
    writer = csv.writer(output, lineterminator="\n")
    for row in rows:
        label = _FORMULA.sub("_", row.label) if row.label else None
        writer.writerow([str(row.prefix), label] if label else [str(row.prefix)])
    return output.getvalue()
