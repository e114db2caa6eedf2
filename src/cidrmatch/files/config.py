"""The whole engine as one document, TOML or JSON.

    format = 1                                    the version of this format
    policy = "bitbybit"                           a preset; or a table: nomsa with its cutover, or a policy of your own
    default = "office"                            more fields: unknown_key, enforced

    [[lists]]
    name = "office"
    entries = ["198.51.100.0/24", { prefix = "198.51.100.66", effect = "deny" }]

    [[keys]]
    id = "key_live_1"
    created_at = 2026-07-01T00:00:00Z             more fields: within, enabled, owner, shadow
    entries = [{ prefix = "203.0.113.5", label = "CI", expires = 2027-01-01T00:00:00Z }]
    lists = ["office"]

    [end]                                         the last line of a TOML file, always

The end mark protects against a TOML file that was cut short.  Most beginnings of a TOML file are valid TOML with
another meaning: without its last lines a key is unrestricted, an entry does not expire, or a deny entry allows.  JSON
needs no mark, because a JSON document that was cut short is not valid.

A document is judged in two steps.  One error names all problems, each with its place (`keys.toml:keys[3].entries[0]`):

    1. its shape, by `config.schema.json`        unknown fields and wrong types are refused
    2. its meaning, by the policy and the names  the same rules as for every list that is saved

A document is loaded as a whole, or not at all.  A document may have an empty list in use; a change of an engine refuses
that.  An empty list that a key is linked to denies (C22).  A key that needs a list and has none is inactive (C8).  If
`entries = []` leaves a key open, there is a warning.  For a key that is meant to be open, leave the line out.

The library `jsonschema` judges the shape, and `tomli_w` writes TOML.  Both come with the extra "config".  No other room
of the package needs them.
Cost: some hundred microseconds for each key, nearly all of it for the shape.  If a document has very many mistakes of
shape, only the first thousand are reported.
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
"""The fields that hold a moment; in any other field, a TOML date-time is a mistake."""
_MOST_TOLD: Final = 1_000
"""The most mistakes of shape that are reported; to find one takes a part of a millisecond."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ConfigProblem:
    """Name one thing that is wrong with a configuration.

    Attributes:
        file: the file as the user named it.
        path: the position in the document, such as `keys[3].entries[0]`; empty for the document as a whole; None if
            the file could not be read as a document at all.
        reason: what is wrong, in words.
    """

    file: str
    path: str | None
    reason: str

    @property
    def place(self) -> str:
        """The file, and the position in it."""
        return place_in(self.file, self.path)

    def __str__(self) -> str:
        return f"{self.place}: {self.reason}"


class ConfigError(CidrmatchError, ValueError):
    """A configuration was refused, and nothing of it was loaded; `problems` has everything that is wrong."""

    def __init__(self, problems: Iterable[ConfigProblem]) -> None:
        self.problems = tuple(problems)
        super().__init__(self.problems)

    @property
    def is_unreadable(self) -> bool:
        """Whether there was no document to judge: for example no such file, no TOML, or a file that was cut short."""
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
        clock, permits, id_secret: as for `Engine`; they are not data, so no file holds them.  The ids in the document
            are plain, with or without a secret.
        watch: a function that gets the list of keys and yields them one by one; a progress bar is an example.
        warn: a function that gets a problem for each `entries = []` that leaves its key open; by default a log message.
    Returns:
        `Engine`, at version 1.
    Raises:
        ConfigError: it has everything that is wrong.  ModuleNotFoundError: the extra "config" is missing.
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
    """Build an engine from the text of a configuration; errors use `name` for the file.  All else is as for `load`."""
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
    # The document is valid, so at its last line no string and no array is open: the line is a header of a table.
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
    """Build an engine; `host` has the arguments of `Engine` that are not data."""
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
    """Copy a document, and write its moments as text."""
    if isinstance(value, Mapping):
        return {key: _plain(inner, key) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return value.isoformat() if isinstance(value, datetime) and name in _MOMENTS else value


class _Reader:
    """Reads a document of any shape, and collects everything that is wrong with it.

    If the shape of a value is wrong, its meaning is not judged.
    """

    def __init__(self, document: Any) -> None:
        self.document = document
        self.problems: list[tuple[Place, str]] = []
        self.unsound: set[Place] = set()
        self.empty: dict[str, Place] = {}

    def refuse(self, place: Place, reason: str) -> None:
        self.problems.append((place, reason))

    def in_order(self) -> list[tuple[Place, str]]:
        """Give the problems in the order of their places, each only once."""
        ordered = sorted(self.problems, key=lambda problem: [(str(type(step)), step) for step in problem[0]])
        return list(dict.fromkeys(ordered))

    # 1. Its shape.

    def error(self, name: str) -> ConfigError:
        """Build the error with all problems; `name` is the name of the file."""
        return ConfigError(ConfigProblem(name, path_of(place), reason) for place, reason in self.in_order())

    def check_shape(self) -> bool:
        """Collect what is wrong with the shape; return False if there are more mistakes than are reported."""
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
        """Check that a name is not blank, as an engine does, and that it is not used yet."""
        if name and not name.strip():
            self.refuse(place, "must not be blank")
        if name in found:
            self.refuse(place, f"{quote(name)} is there already")

    def check_key(self, policy: Policy, place: Place, record: KeyRecord) -> None:
        """Check what an engine checks when a key is saved, except for empty lists, which are accepted here."""
        if record.entries and policy.keys.binding == "lists":
            self.refuse((*place, "entries"), "keys have no entries of their own here; link a named list")
        if policy.keys.needs_list(record.created_at) and not record.enabled:
            self.refuse((*place, "enabled"), "a key created at the cutover or later cannot do without its list")

    def check_default(self, policy: Policy, lists: Mapping[str, FrozenList]) -> None:
        if "default" in self.document and not policy.keys.default_list:
            self.refuse(("default",), f"{policy.name} has no default list")
        self.check_name(("default",), self.document.get("default"), lists)

    def check_name(self, place: Place, name: object, lists: Mapping[str, FrozenList]) -> None:
        """Check that a list exists, unless the lists themselves could not be read."""
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
        """Judge entries by the policy; no entries at all are accepted here."""
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
    """Give a list as it is, and anything else as an empty list, because its shape was refused already."""
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
    """Say what jsonschema found, in words of our own; its messages repeat whole values without escaping them."""
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
    """Say what was expected in the place of a value; the comment of the schema's rule, if there is one, is used."""
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
    """Show a small value; of a value that may be large, name the type."""
    if isinstance(value, str):
        return quote(value)
    is_small = isinstance(value, bool | float) or (isinstance(value, int) and abs(value) < 1 << 64)
    return json.dumps(value) if is_small else noun_of(value)


def _validator() -> Any:
    """Build the validator of the shape, with a quick search for equal items; jsonschema's own takes quadratic time."""
    jsonschema = _extra("jsonschema")

    def check_unique(_validator: object, wanted: bool, items: object, _schema: object) -> Iterator[Any]:
        plain = [item for item in _list_of(items) if type(item) in (str, int)]  # the type of all others is refused
        if wanted and len(set(plain)) < len(plain):
            yield jsonschema.ValidationError("")

    kind = jsonschema.validators.extend(jsonschema.Draft202012Validator, {"uniqueItems": check_unique})
    return kind(schema())


def _extra(name: str) -> ModuleType:
    """Import a module of the extra "config", or say how to install it."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as missing:
        advice = "configuration files need their extra: pip install 'cidrmatch[config]'"
        raise ModuleNotFoundError(advice, name=name) from missing


# -- Writing ------------------------------------------------------------------


def dump(engine: Engine) -> dict[str, Any]:
    """Give an engine as a document of plain values; its lists and keys are sorted by name.

    The document does not hold the engine's clock, its role check, its version, or the counts of trials.

    Raises:
        EngineError: the engine has an `id_secret`, so it does not know the plain ids that a document needs.
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
    """Write a key; fields that say nothing are left out."""
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
    """Write each entry as a text; as a table if it has more than a prefix."""
    written = [policy.entry_to_dict(entry) | {"prefix": _written(policy, entry.prefix)} for entry in entries]
    return [fields["prefix"] if len(fields) == 1 else fields for fields in written]


def _written(policy: Policy, prefix: Prefix) -> str:
    """Write a prefix in the form that the policy accepts; if it accepts both forms, in its canonical form."""
    if len(policy.kinds) == 2:
        return policy.canonical(prefix)
    return prefix.address if "address" in policy.kinds else str(prefix)
