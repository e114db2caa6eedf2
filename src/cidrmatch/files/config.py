"""The whole engine as one document, TOML or JSON.

    format = 1                                    the version of this format
    policy = "bitbybit"                           a preset; or a table: nomsa with its cutover, or a policy of your own
    default = "office"                            further: unknown_key, enforced

    [[lists]]
    name = "office"
    entries = ["198.51.100.0/24", { prefix = "198.51.100.66", effect = "deny" }]

    [[keys]]
    id = "key_live_1"
    created_at = 2026-07-01T00:00:00Z             further: within, enabled, owner, shadow
    entries = [{ prefix = "203.0.113.5", label = "CI", expires = 2027-01-01T00:00:00Z }]
    lists = ["office"]

    [end]                                         the last line of a TOML file, always

Why the end mark: a JSON document that was cut short is no JSON any more, but
most beginnings of a TOML file are TOML, and mean something else.  Without its
last lines a key is unrestricted, an entry does not expire, a deny entry allows.

A document is judged in two steps, and all that is wrong is told at once, each
problem with its place (`keys.toml:keys[3].entries[0]`):

    1. its shape, by `config.schema.json`        unknown fields are refused, wrong types are
    2. its meaning, by the policy and the names  what every saved list must pass

Loading is all or nothing.  Only here may a list be empty: a linked one denies
(C22), and a key that needs a list and has none is inactive (C8).  `entries = []`
that leaves a key open is said in a warning; a key that is meant to be open does
without the line.

The library `jsonschema` judges the shape and `tomli_w` writes TOML; both come
with the extra "config", and nothing else in the package needs it.
Cost: some hundred microseconds a key, nearly all of it for the shape.  Of a document
with very many mistakes of shape the first thousand are told.
"""

from __future__ import annotations

import importlib
import json
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib import resources
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, cast

from .._keys import FrozenList, KeyRecord, State
from ..engine.engine import Engine
from ..engine.settings import settings_of
from ..engine.storable import check_years
from ..errors import CidrmatchError, EngineError, quote
from ..policy.plain import read_policy, write_policy
from .documents import DocumentError, Place, noun_of, parse_json, parse_toml, path_of, place_in, read_text

if TYPE_CHECKING:
    from types import ModuleType

    from .._core import Entry, Prefix
    from .._keys import Rule, View
    from ..policy.policy import Policy

__all__ = ["ConfigError", "ConfigProblem", "dump", "dumps", "load", "loads", "schema"]

FileFormat: TypeAlias = Literal["toml", "json"]
_Item: TypeAlias = tuple[Place, dict[str, Any]]
Watch: TypeAlias = Callable[[Sequence[_Item]], Iterable[_Item]]

_FORMATS: Final[dict[str, FileFormat]] = {".toml": "toml", ".json": "json"}
_END: Final = "[end]"
_MOMENTS: Final = ("created_at", "not_before", "expires", "cutover")
"""The fields that hold a moment; only there is a TOML date-time one, and not a mistake."""
_MOST_TOLD: Final = 1_000
"""So many mistakes of shape are told; each takes a part of a millisecond to find."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ConfigProblem:
    """Name one thing that is wrong with a configuration.

    Attributes:
        file: the file as it was named.
        path: where in the document, such as `keys[3].entries[0]`; empty for the document as a whole,
            None when the file could not be read as a document at all.
        reason: what is wrong, in words.
    """

    file: str
    path: str | None
    reason: str

    @property
    def place(self) -> str:
        """The file, and where in it."""
        return place_in(self.file, self.path)

    def __str__(self) -> str:
        return f"{self.place}: {self.reason}"


class ConfigError(CidrmatchError, ValueError):
    """A configuration was refused; `problems` says everything that is wrong.

    Nothing of it was loaded.
    """

    def __init__(self, problems: Iterable[ConfigProblem]) -> None:
        self.problems = tuple(problems)
        super().__init__(self.problems)

    @property
    def is_unreadable(self) -> bool:
        """Whether there was no document to judge: no such file, no TOML, cut short."""
        return any(problem.path is None for problem in self.problems)

    def __str__(self) -> str:
        return "\n".join(map(str, self.problems))


def _log_warning(problem: ConfigProblem) -> None:
    _log.warning("%s", problem)


def _unreadable(name: str, reason: str) -> ConfigError:
    return ConfigError([ConfigProblem(name, None, reason)])


def schema() -> dict[str, Any]:
    """Give the JSON Schema (2020-12) of a configuration."""
    text = resources.files("cidrmatch.files").joinpath("config.schema.json").read_text(encoding="utf-8")
    return cast("dict[str, Any]", json.loads(text))


# -- Reading ------------------------------------------------------------------


def load(
    source: str | Path | Mapping[str, object],
    *,
    clock: Callable[[], float] = time.time,
    permits: Callable[[object, str, str], bool] | None = None,
    id_secret: bytes | None = None,
    watch: Watch = iter,
    warn: Callable[[ConfigProblem], object] = _log_warning,
) -> Engine:
    """Build an engine from a configuration file.

    Args:
        source: a path that ends in .toml or .json, or a document such as `dump` gives.
        clock, permits, id_secret: as for `Engine`; they are no data, so no file holds them.  The ids in the
            document are plain ones, with a secret as without.
        watch: gets the list of keys and gives them back one by one, such as a progress bar does.
        warn: gets what is allowed and still opens a key, `entries = []`; by default it is logged.
    Returns:
        `Engine`, at version 1.
    Raises:
        ConfigError: with everything that is wrong.  ModuleNotFoundError: the extra "config" is missing.
    """
    if isinstance(source, Mapping):
        return _build("<document>", source, watch, warn, clock=clock, permits=permits, id_secret=id_secret)
    name = str(source)
    file_format = _FORMATS.get(Path(source).suffix.lower())
    if file_format is None:
        raise _unreadable(name, "the suffix tells no format: .toml or .json was expected")
    try:
        text = read_text(source)
    except DocumentError as error:
        raise _unreadable(error.place, error.reason) from error
    return loads(
        text, file_format, name=name, clock=clock, permits=permits, id_secret=id_secret, watch=watch, warn=warn
    )


def loads(
    text: str,
    file_format: FileFormat,
    *,
    name: str = "<text>",
    clock: Callable[[], float] = time.time,
    permits: Callable[[object, str, str], bool] | None = None,
    id_secret: bytes | None = None,
    watch: Watch = iter,
    warn: Callable[[ConfigProblem], object] = _log_warning,
) -> Engine:
    """Build an engine from the text of a configuration; `name` stands for the file in errors, else as `load`."""
    try:
        document = _parse_toml(name, text) if file_format == "toml" else _parse_json(name, text)
    except RecursionError as error:
        raise _too_deep(name) from error
    return _build(name, document, watch, warn, clock=clock, permits=permits, id_secret=id_secret)


def _too_deep(name: str) -> ConfigError:
    return _unreadable(name, "it is nested too deep")


def _parse_toml(name: str, text: str) -> object:
    try:
        document = parse_toml(text)
    except ValueError as error:
        raise _unreadable(name, f"is not TOML: {error}") from error
    # No other line of a TOML document that ends here can read like this: strings and arrays would still be open.
    if text.rstrip().rpartition("\n")[2].strip() != _END:
        raise _unreadable(name, f"the last line must be {_END}; without it the file may have been cut short")
    return document


def _parse_json(name: str, text: str) -> object:
    try:
        return parse_json(text)
    except ValueError as error:
        raise _unreadable(name, f"is not JSON: {error}") from error


def _build(
    name: str,
    document: object,
    watch: Watch,
    warn: Callable[[ConfigProblem], object],
    **host: Any,
) -> Engine:
    """Build an engine; `host` is what an engine is given beside its data."""
    try:
        reader = _Reader(_plain(document))
        is_whole = reader.check_shape()
    except RecursionError as error:
        raise _too_deep(name) from error
    if not is_whole:
        raise reader.error(name)
    policy = reader.read_policy()
    lists = reader.read_lists(policy) if policy else {}
    keys = reader.read_keys(policy, lists, watch) if policy else {}
    if policy:
        reader.check_default(policy, lists)
    if reader.problems:
        raise reader.error(name)
    enforced, unknown_key = reader.document.get("enforced", True), reader.document.get("unknown_key", "deny")
    engine = Engine(policy, unknown_key=unknown_key, **host)
    engine.restore(keys=keys, lists=lists.values(), default=reader.document.get("default"), enforced=enforced)
    for key, place in reader.empty.items():
        if engine.state(key) is State.UNRESTRICTED:
            warn(ConfigProblem(name, path_of(place), "no entries: every address passes"))
    return engine


def _plain(value: object, name: object = "") -> Any:
    """Copy a document, with the moments as text."""
    if isinstance(value, Mapping):
        return {key: _plain(inner, key) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return value.isoformat() if isinstance(value, datetime) and name in _MOMENTS else value


class _Reader:
    """Reads a document of any shape, and notes all that is wrong with it.

    What has a problem of shape is not judged by its meaning as well.
    """

    def __init__(self, document: Any) -> None:
        self.document = document
        self.problems: list[tuple[Place, str]] = []
        self.unsound: set[Place] = set()
        self.empty: dict[str, Place] = {}

    def refuse(self, place: Place, reason: str) -> None:
        self.problems.append((place, reason))

    def in_order(self) -> list[tuple[Place, str]]:
        """The problems in the order of their places, each once."""
        ordered = sorted(self.problems, key=lambda problem: [(str(type(step)), step) for step in problem[0]])
        return list(dict.fromkeys(ordered))

    # 1. Its shape.

    def error(self, name: str) -> ConfigError:
        """Build the error that tells all problems; the name stands for the file."""
        return ConfigError(ConfigProblem(name, path_of(place), reason) for place, reason in self.in_order())

    def check_shape(self) -> bool:
        """Note what is wrong with the shape, and say whether that is all of it."""
        errors = _validator().iter_errors(self.document)
        for error in islice(errors, _MOST_TOLD):
            place: Place = tuple(error.absolute_path)
            self.refuse(place, _reason_of(error))
            self.unsound.update(place[:length] for length in range(len(place) + 1))
        if not isinstance(self.document, dict):
            self.document = {}
        if next(errors, None) is None:
            return True
        self.refuse((), f"more than {_MOST_TOLD:,} mistakes; these are the first")
        return False

    def items(self, name: str) -> Iterator[tuple[Place, dict[str, Any]]]:
        """Yield the tables of an array, with their places."""
        for index, item in enumerate(_list_of(self.document.get(name))):
            if isinstance(item, dict):
                yield (name, index), item

    # 2. Its meaning.

    def read_policy(self) -> Policy | None:
        given = self.document.get("policy")
        if given is None or ("policy",) in self.unsound:
            return None
        try:
            policy = read_policy(given)
            Engine(policy)  # refuses what no engine can work with
        except ValueError as error:
            self.refuse(("policy",), str(error))
            return None
        return policy

    def read_lists(self, policy: Policy) -> dict[str, FrozenList]:
        found: dict[str, FrozenList] = {}
        for place, item in self.items("lists"):
            entries = self.read_entries(policy, (*place, "entries"), item.get("entries"))
            name, description = item.get("name"), item.get("description", "")
            if not isinstance(name, str) or not isinstance(description, str):
                continue
            self.check_new((*place, "name"), name, found)
            if policy.keys.describe_lists and not description.strip():
                self.refuse(place, f"lists of {policy.name} need a description")
            found[name] = FrozenList(name, entries, description)
        return found

    def read_keys(self, policy: Policy, lists: Mapping[str, FrozenList], watch: Watch) -> dict[str, KeyRecord]:
        found: dict[str, KeyRecord] = {}
        for place, item in watch(list(self.items("keys"))):
            record = self.read_key(policy, lists, place, item)
            key = item.get("id")
            if not isinstance(key, str) or record is None:
                continue
            self.check_new((*place, "id"), key, found)
            found[key] = record
            if item.get("entries") == []:
                self.empty[key] = (*place, "entries")
        return found

    def read_key(
        self, policy: Policy, lists: Mapping[str, FrozenList], place: Place, item: dict[str, Any]
    ) -> KeyRecord | None:
        entries = self.read_entries(policy, (*place, "entries"), item.get("entries"))
        shadow = self.read_entries(policy, (*place, "shadow"), item.get("shadow"))
        created_at = self.read_moment((*place, "created_at"), item.get("created_at"))
        for field in ("lists", "within"):
            for index, name in enumerate(_list_of(item.get(field))):
                self.check_name((*place, field, index), name, lists)
        if created_at is None:
            return None
        record = KeyRecord(
            created_at=created_at,
            entries=entries,
            lists=tuple(_list_of(item.get("lists"))),
            within=tuple(_list_of(item.get("within"))),
            enabled=item.get("enabled", True),
            owner=item.get("owner"),
            shadow=shadow if "shadow" in item else None,
        )
        self.check_key(policy, place, record)
        return record

    def check_new(self, place: Place, name: str, found: Mapping[str, object]) -> None:
        """Check a name as an engine does, and that nothing has it yet."""
        if name and not name.strip():
            self.refuse(place, "must not be blank")
        if name in found:
            self.refuse(place, f"{quote(name)} is there already")

    def check_key(self, policy: Policy, place: Place, record: KeyRecord) -> None:
        """Check what an engine checks when a key is saved, but for empty lists."""
        if record.entries and policy.keys.binding == "lists":
            self.refuse((*place, "entries"), "keys have no entries of their own here; link a named list")
        if policy.keys.needs_list(record.created_at) and not record.enabled:
            self.refuse((*place, "enabled"), "a key created at the cutover or later cannot do without its list")

    def check_default(self, policy: Policy, lists: Mapping[str, FrozenList]) -> None:
        if "default" in self.document and not policy.keys.default_list:
            self.refuse(("default",), f"{policy.name} has no default list")
        self.check_name(("default",), self.document.get("default"), lists)

    def check_name(self, place: Place, name: object, lists: Mapping[str, FrozenList]) -> None:
        """Check that a list is there, unless the lists themselves could not be read."""
        if isinstance(name, str) and name not in lists and ("lists",) not in self.unsound:
            self.refuse(place, f"there is no list {quote(name)}")

    def read_moment(self, place: Place, text: object) -> datetime | None:
        if not isinstance(text, str) or place in self.unsound:
            return None
        try:
            moment = datetime.fromisoformat(text)
        except ValueError as error:
            self.refuse(place, f"{quote(text)}: {error}")
            return None
        try:
            check_years(quote(text), moment)
        except ValueError as error:
            self.refuse(place, str(error))
            return None
        return moment

    def read_entries(self, policy: Policy, place: Place, given: object) -> tuple[Entry, ...]:
        """Judge entries by the policy; none at all are let in, and deny."""
        entries = _list_of(given)
        if not entries:
            return ()
        report = policy.validate(entries)
        for problem in report.errors:
            where = place if problem.index is None else (*place, problem.index)
            if where not in self.unsound:
                self.refuse(where, problem.line)
        return report.accepted


def _list_of(value: object) -> list[Any]:
    """Take what should be a list as one; where it is none, its shape was refused."""
    return value if isinstance(value, list) else []


# -- Refusing -----------------------------------------------------------------

_TYPES: Final = {
    "string": "a text",
    "object": "an object",
    "array": "a list",
    "boolean": "true or false",
    "integer": "a whole number",
}
_BOUNDS: Final = {
    "minLength": "must not be empty",
    "minItems": "must not be empty",
    "uniqueItems": "holds something twice",
    "minimum": "must be at least {}",
    "maximum": "must be at most {}",
}


def _reason_of(error: Any) -> str:
    """Say what jsonschema found, in our words: its own repeat whole values, unescaped."""
    kind, wanted, given = error.validator, error.validator_value, error.instance
    if kind == "required":
        return f"missing: {', '.join(name for name in wanted if name not in given)}"
    if kind == "additionalProperties":
        known = error.schema["properties"]
        unknown = ", ".join(quote(name) for name in given if name not in known)
        return f"unknown: {unknown}; known: {', '.join(known) or 'nothing'}"
    if kind in _BOUNDS:
        return _BOUNDS[kind].format(wanted)
    return _reason_of_value(kind, wanted, given, error.schema)


def _reason_of_value(kind: str, wanted: Any, given: object, rule: Mapping[str, Any]) -> str:
    """Say what should stand where something else stands; a rule's comment says it best."""
    shown = _shown(given)
    remark = rule.get("$comment")
    if "pattern" in rule:
        return f"must be {remark}, not {shown}"
    if kind == "type":
        types = [wanted] if isinstance(wanted, str) else wanted
        return f"must be {' or '.join(_TYPES[name] for name in types)}, not {noun_of(given)}"
    choices = ", ".join(json.dumps(choice) for choice in (wanted if kind == "enum" else [wanted]))
    return f"must be {'one of ' * (kind == 'enum')}{choices}, not {shown}" + (f"; {remark}" if remark else "")


def _shown(value: object) -> str:
    """Show a value that is small, and name the kind of one that may be large."""
    if isinstance(value, str):
        return quote(value)
    is_small = isinstance(value, bool | float) or (isinstance(value, int) and abs(value) < 1 << 64)
    return json.dumps(value) if is_small else noun_of(value)


def _validator() -> Any:
    """Build what judges the shape; jsonschema's own search for equal items takes the square of their number."""
    jsonschema = _extra("jsonschema")

    def check_unique(_validator: object, wanted: bool, items: object, _schema: object) -> Iterator[Any]:
        plain = [item for item in _list_of(items) if type(item) in (str, int)]  # others are refused by their type
        if wanted and len(set(plain)) < len(plain):
            yield jsonschema.ValidationError("")

    kind = jsonschema.validators.extend(jsonschema.Draft202012Validator, {"uniqueItems": check_unique})
    return kind(schema())


def _extra(name: str) -> ModuleType:
    """Import what the extra brings, or say how to get it."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as missing:
        advice = "configuration files need their extra: pip install 'cidrmatch[config]'"
        raise ModuleNotFoundError(advice, name=name) from missing


# -- Writing ------------------------------------------------------------------


def dump(engine: Engine) -> dict[str, Any]:
    """Give an engine as a document: plain values, lists and keys sorted by name.

    What it does not hold are the engine's clock, its role check, its version, and the counts of trials.

    Raises:
        EngineError: the engine has an `id_secret`, so it does not know the ids that a document says.
    """
    if engine.view.settings.id_hash is not None:
        raise EngineError("a document says the ids of keys, and this engine has only their hashes; save a snapshot")
    view = engine.view
    settings = settings_of(view)
    policy = settings.policy
    document: dict[str, Any] = {
        "format": 1,
        "policy": write_policy(policy),
        "unknown_key": "pass" if settings.unknown_passes else "deny",
        "enforced": settings.is_enforced,
    }
    if view.default is not None:
        document["default"] = view.default
    document["lists"] = [_dump_list(policy, frozen) for _, frozen in sorted(view.lists.items())]
    document["keys"] = [_dump_key(policy, key, record) for key, record in _records(view)]
    return document


def dumps(engine: Engine, file_format: FileFormat) -> str:
    """Give an engine as the text of a configuration file, which `loads` reads.

    Raises:
        EngineError: as `dump`.
        ConfigError: a name or label cannot be written in TOML (it holds half a surrogate pair).
        ModuleNotFoundError: TOML is wanted and the extra "config" is missing.
    """
    document = dump(engine)
    if file_format == "json":
        return json.dumps(document, indent=2) + "\n"
    text: str = _extra("tomli_w").dumps(document) + f"\n{_END}\n"
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise _unreadable("<document>", "half a surrogate pair cannot be written in TOML; write JSON")
    return text


def _records(view: View) -> Iterator[tuple[str, KeyRecord]]:
    for key in sorted(view):
        yield key, cast("Rule", view.rule(key)).record


def _dump_list(policy: Policy, frozen: FrozenList) -> dict[str, Any]:
    fields: dict[str, Any] = {"name": frozen.name}
    if frozen.description:
        fields["description"] = frozen.description
    return fields | {"entries": _dump_entries(policy, frozen.entries)}


def _dump_key(policy: Policy, key: str, record: KeyRecord) -> dict[str, Any]:
    """Write a key without what it does not say."""
    fields: dict[str, Any] = {"id": key, "created_at": record.created_at.isoformat()}
    if record.entries:
        fields["entries"] = _dump_entries(policy, record.entries)
    for name, names in (("lists", record.lists), ("within", record.within)):
        if names:
            fields[name] = list(names)
    if not record.enabled:
        fields["enabled"] = False
    if record.owner is not None:
        fields["owner"] = record.owner
    if record.shadow is not None:
        fields["shadow"] = _dump_entries(policy, record.shadow)
    return fields


def _dump_entries(policy: Policy, entries: Iterable[Entry]) -> list[Any]:
    """Write entries as text, and as a table where there is more to say than the prefix."""
    written = [policy.entry_to_dict(entry) | {"prefix": _written(policy, entry.prefix)} for entry in entries]
    return [fields["prefix"] if len(fields) == 1 else fields for fields in written]


def _written(policy: Policy, prefix: Prefix) -> str:
    """Write a prefix in the one way that the policy takes; where it takes both, in the one it shows."""
    if len(policy.kinds) == 2:
        return policy.canonical(prefix)
    return prefix.address if "address" in policy.kinds else str(prefix)
