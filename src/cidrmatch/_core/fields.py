"""Fields of pydantic models: how pydantic reads and writes a list, an entry and a prefix.

pydantic asks a type for its schema by `__get_pydantic_core_schema__`.  Only
then pydantic is imported here; the library works without it.

    field        in JSON
    Prefix       "203.0.113.0/24"
    Entry        the same, or {"prefix": ..., "label": ...} if it has a label or a condition
    AllowList    a list of entries

A value from Python is what `parse_prefix`, `parse_entry` or `AllowList` takes,
or an object of the type itself.  A refused value becomes a `ValidationError` of
pydantic, with the position of the entry.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .condition import FIELDS, fields_of_entry

if TYPE_CHECKING:
    from pydantic_core import CoreSchema

__all__ = ["allow_list_schema", "entry_schema", "prefix_schema"]


def prefix_schema(kind: type, parse: Callable[[Any], Any]) -> CoreSchema:
    """Build the schema of `Prefix`."""
    from pydantic_core import core_schema

    text = core_schema.str_schema()
    return _field(kind, parse, text, core_schema.any_schema(), str, text)


def entry_schema(kind: type, parse: Callable[[Any], Any]) -> CoreSchema:
    """Build the schema of `Entry`."""
    from pydantic_core import core_schema

    written = _entry_in_json()
    return _field(kind, parse, written, core_schema.any_schema(), write_entry, written)


def allow_list_schema(kind: type, entry: type, parse: Callable[[Any], Any]) -> CoreSchema:
    """Build the schema of `AllowList`; `entry` is the type of its items, and `parse` makes one."""
    from pydantic_core import core_schema

    entries = core_schema.list_schema(entry_schema(entry, parse))
    written = core_schema.list_schema(_entry_in_json())
    return _field(kind, kind, entries, entries, _write_entries, written)


def write_entry(entry: Any) -> str | dict[str, object]:
    """Give an entry as plain values: its text, or a mapping if it has a label or a condition."""
    fields = fields_of_entry(str(entry), entry.label, entry.condition)
    return fields if len(fields) > 1 else str(entry)


def _write_entries(allow: Any) -> list[str | dict[str, object]]:
    return [write_entry(entry) for entry in allow]


def _entry_in_json() -> CoreSchema:
    """Build the schema of an entry in JSON."""
    from pydantic_core import core_schema

    text = core_schema.str_schema()
    kinds = {
        "label": core_schema.nullable_schema(text),
        "effect": core_schema.literal_schema(["allow", "deny"]),
        "enabled": core_schema.bool_schema(),
    }
    optional = {
        name: core_schema.typed_dict_field(kinds.get(name, text), required=False) for name in ("label", *FIELDS)
    }
    mapping = {"prefix": core_schema.typed_dict_field(text), **optional}
    return core_schema.union_schema([text, core_schema.typed_dict_schema(mapping, extra_behavior="forbid")])


def _field(
    kind: type,
    parse: Callable[[Any], Any],
    in_json: CoreSchema,
    in_python: CoreSchema,
    write: Callable[[Any], object],
    written: CoreSchema,
) -> CoreSchema:
    """Build a schema: an object of the type, or what `parse` makes of plain values."""
    from pydantic_core import PydanticCustomError, core_schema

    def parsed(value: Any) -> Any:
        try:
            return parse(value)
        except (ValueError, TypeError) as error:  # for pydantic, a TypeError is a bug of the program
            raise PydanticCustomError("cidrmatch", "{reason}", {"reason": str(error)}) from None

    def taken(value: Any, read: Callable[[Any], Any]) -> Any:
        return value if type(value) is kind else parsed(read(value))

    return core_schema.json_or_python_schema(
        json_schema=core_schema.no_info_after_validator_function(parsed, in_json),
        python_schema=core_schema.no_info_wrap_validator_function(taken, in_python),
        serialization=core_schema.plain_serializer_function_ser_schema(write, return_schema=written),
    )
