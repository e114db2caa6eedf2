"""A pattern for plain values, as JSON, YAML and TOML have them, and the entries in what fits it.

    {"name": One("ip-restriction"),                   a key that must be there
     "config": {"allow": Each(PREFIX),                a list of prefixes
                "deny?": Nothing("denies addresses"), a key that may be there: absent, null or empty
                "message?": ANY}}                     whatever it says, it does not change who gets in

A pattern is data.  `items_of` walks through a value and its pattern side by side.  A key that the pattern does not
name is refused: it may be a condition, a denial or the word of a newer version.

    pattern            fits
    {...}              an object with these keys; "key?" may be missing
    Each(pattern)      a list, each item of which fits
    Either(a, b)       the first whose required keys, or whose type, the value has
    Named(pattern)     an object with one name that the user chose, or the name that is picked
    PREFIX, LABEL      texts: the prefix of an item, and in the same object its label
    One(...)           one of these values
    Nothing(why)       null, false, "", [] or {}
    ANY                any value
    a function         reads the value itself: `function(source, place, value)`

Threads: safe, keeps no state.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple, TypeAlias

from ...errors import quote
from ..documents import Place, noun_of, parse_json, parse_toml, path_of
from ..items import Item, ListFileError
from .dialect import Source, refuse

__all__ = [
    "ANY",
    "LABEL",
    "PREFIX",
    "Each",
    "Either",
    "Named",
    "Nothing",
    "One",
    "Pattern",
    "items_of",
    "json_values",
    "toml_values",
    "yaml_values",
]


class _Leaf(NamedTuple):
    """Be a pattern that is compared by identity."""

    name: str


PREFIX: Final = _Leaf("prefix")
LABEL: Final = _Leaf("label")
ANY: Final = _Leaf("any")


class One(NamedTuple):
    """Fit one of these values; `why` says what any other would mean."""

    values: tuple[object, ...]
    why: str


class Nothing(NamedTuple):
    """Fit what is empty; `why` says what a value there would mean."""

    why: str


class Each(NamedTuple):
    """Fit a list of what fits `of`; `empty` says what an empty list means, if that is not "nobody"."""

    of: Pattern
    empty: str = ""


class Either(NamedTuple):
    """Fit what fits one of these."""

    of: tuple[Pattern, ...]


class Named(NamedTuple):
    """Fit an object with names that users choose; `noun` says of what, `may_be_none` whether none means nobody."""

    noun: str
    of: Pattern
    may_be_none: bool = False


Reader: TypeAlias = Callable[[Source, Place, Any], Iterator[Item]]
Pattern: TypeAlias = "dict[str, Pattern] | _Leaf | One | Nothing | Each | Either | Named | Reader"


def items_of(source: Source, pattern: Pattern, value: object, place: Place = ()) -> Iterator[Item]:
    """Yield the items of a value.

    Raises:
        ListFileError: the value does not fit the pattern; the place is the path to what does not.
    """
    if isinstance(pattern, dict):
        yield from _object_items(source, pattern, value, place)
    elif isinstance(pattern, Each):
        if value == [] and pattern.empty:
            refuse(source, path_of(place), f"is empty, and {pattern.empty}")
        for index, item in enumerate(_checked(source, place, value, list)):
            yield from items_of(source, pattern.of, item, (*place, index))
    elif isinstance(pattern, Either):
        yield from items_of(source, _fitting(source, pattern, value, place), value, place)
    elif isinstance(pattern, Named):
        named = _checked(source, place, value, dict)
        if named or not pattern.may_be_none:
            name = _picked_name(source, pattern, named, place)
            yield from items_of(source, pattern.of, named[name], (*place, name))
    elif pattern is PREFIX:
        yield path_of(place), _checked(source, place, value, str), None
    elif isinstance(pattern, One | Nothing):
        _check_value(source, place, value, pattern)
    elif not isinstance(pattern, _Leaf):
        yield from pattern(source, place, value)


def _object_items(source: Source, fields: dict[str, Pattern], value: object, place: Place) -> Iterator[Item]:
    found = _checked(source, place, value, dict)
    known = {key.removesuffix("?"): pattern for key, pattern in fields.items()}
    for key in found:
        if key not in known:
            refuse(
                source,
                path_of(place),
                f"the key {quote(key)} is not understood, and might change who gets in; known: {', '.join(known)}",
            )
    for key in fields:
        if not key.endswith("?") and key not in found:
            refuse(source, path_of(place), f"the key {quote(key)} is missing")
    label = _label(source, known, found, place)
    for key, pattern in known.items():
        if pattern is PREFIX:
            yield path_of(place), _checked(source, (*place, key), found[key], str), label
        elif pattern is not LABEL and key in found:
            yield from items_of(source, pattern, found[key], (*place, key))


def _label(source: Source, known: dict[str, Pattern], found: dict[str, Any], place: Place) -> str | None:
    for key, pattern in known.items():
        if pattern is LABEL and found.get(key) is not None:
            label: str = _checked(source, (*place, key), found[key], str)
            return label or None
    return None


def _checked(source: Source, place: Place, value: object, kind: type[str | list[Any] | dict[str, Any]]) -> Any:
    if type(value) is not kind:
        wanted = "a text" if kind is str else "a list" if kind is list else "an object"
        refuse(source, path_of(place), f"{wanted} was expected, not {noun_of(value)}")
    return value


def _check_value(source: Source, place: Place, value: object, pattern: One | Nothing) -> None:
    if isinstance(pattern, Nothing):
        if value is not None and value is not False and value not in ("", [], {}):  # 0 is a value
            refuse(source, path_of(place), pattern.why)
    elif not any(type(value) is type(one) and value == one for one in pattern.values):
        shown = quote(value) if isinstance(value, str) else noun_of(value)
        refuse(source, path_of(place), f"{shown} {pattern.why}")


def _fitting(source: Source, pattern: Either, value: object, place: Place) -> Pattern:
    for one in pattern.of:
        if _begins(one, value):
            return one
    told = f"an object with {', '.join(map(quote, value))}" if isinstance(value, dict) else noun_of(value)
    expected = ", or ".join(map(_told, pattern.of))
    return refuse(source, path_of(place), f"{told} is not understood; expected: {expected}")


def _begins(pattern: Pattern, value: object) -> bool:
    """Tell whether a value has the type of a pattern, and the keys that it must have."""
    if isinstance(pattern, dict):
        return isinstance(value, dict) and all(key.endswith("?") or key in value for key in pattern)
    return isinstance(pattern, Each) and isinstance(value, list)


def _told(pattern: Pattern) -> str:
    if isinstance(pattern, dict):
        return f"an object with {', '.join(quote(key) for key in pattern if not key.endswith('?'))}"
    return "a list"


def _picked_name(source: Source, pattern: Named, value: dict[str, Any], place: Place) -> str:
    names = ", ".join(map(quote, list(value)[:5]))
    if source.pick is not None:
        if source.pick not in value:
            refuse(source, path_of(place), f"there is no {pattern.noun} {quote(source.pick)}; there are {names}")
        return source.pick
    if len(value) != 1:
        cure = "; name one (--pick NAME)" if value else ""
        refuse(source, path_of(place), f"there are {len(value)} of them, not one {pattern.noun}: {names}{cure}")
    name: str = next(iter(value))
    return name


# -- From text to values ------------------------------------------------------


def json_values(source: Source) -> object:
    """Parse JSON; a key that stands twice is refused."""
    try:
        return parse_json(source.text)
    except json.JSONDecodeError as error:
        refuse(source, error.lineno, f"is not JSON: {error.msg} (column {error.colno})")
    except (ValueError, RecursionError) as error:
        refuse(source, None, f"is not JSON that can be read: {error}")


def toml_values(source: Source) -> object:
    """Parse TOML."""
    try:
        return parse_toml(source.text)
    except (ValueError, RecursionError) as error:
        refuse(source, None, f"is not TOML: {error}")


def yaml_values(source: Source) -> object:
    """Parse YAML, or JSON, which is YAML, too.

    Raises:
        ListFileError: it is no YAML; a key stands twice; it has an alias, which may stand for very much; or it is no
            JSON and PyYAML is not installed.
    """
    if source.text.lstrip()[:1] in ("{", "["):
        return json_values(source)
    try:
        import yaml  # noqa: PLC0415  an extra
    except ModuleNotFoundError:
        refuse(
            source,
            None,
            "is YAML, which needs PyYAML (pip install 'cidrmatch[yaml]'); the same as JSON is read without",
        )
    return _yaml_values(source, yaml)


def _yaml_values(source: Source, yaml: Any) -> object:
    try:
        _refuse_aliases(source, yaml)
        nodes = [node for node in yaml.compose_all(source.text, Loader=yaml.SafeLoader) if node is not None]
        if len(nodes) != 1:
            refuse(source, None, f"there are {len(nodes)} documents, not one")
        return _yaml_value(source, nodes[0], yaml)
    except ListFileError:
        raise
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        refuse(source, line, f"is not YAML: {error.problem}")
    except (yaml.YAMLError, RecursionError, ValueError, OverflowError) as error:  # \U in quotes beyond all characters
        refuse(source, None, f"is not YAML: {str(error).partition(chr(10))[0]}")


def _refuse_aliases(source: Source, yaml: Any) -> None:
    """Refuse an alias: a short text with aliases of aliases can stand for more than memory holds."""
    for event in yaml.parse(source.text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            refuse(
                source, event.start_mark.line + 1, f"has the alias *{event.anchor}; write the value where it is meant"
            )


def _yaml_value(source: Source, node: Any, yaml: Any) -> object:
    """Build a plain value of a node: a text, a number, a boolean, null, a list, or an object with texts as keys."""
    if isinstance(node, yaml.ScalarNode):
        return _yaml_scalar(node)
    if isinstance(node, yaml.SequenceNode):
        return [_yaml_value(source, one, yaml) for one in node.value]
    built: dict[str, object] = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode) or key.value in built or key.value == "<<":
            refuse(source, key.start_mark.line + 1, "a key is no text, or stands twice, or merges another object")
        built[key.value] = _yaml_value(source, value, yaml)
    return built


def _yaml_scalar(node: Any) -> object:
    kind, text = node.tag.rpartition(":")[2], node.value
    if kind == "null":
        return None
    if kind == "bool":
        return text.lower() in ("true", "yes", "on")
    if kind == "int" and text.isascii() and text.isdigit() and len(text) < 10:
        return int(text)
    return text if kind == "str" else node  # a date or a float fits no pattern
