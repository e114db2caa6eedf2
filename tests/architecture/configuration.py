"""The tables of docs/configuration.md, read from the schema of a configuration.

    python -m tests.architecture.configuration      writes the tables between their marks

    ### `key`                   an object of the schema, with its description
    | field | what may stand there | default | what it means |

A field without a description in the schema has none here, and a test refuses it.
"""

from __future__ import annotations

import json
from typing import Any, Final

from tests.architecture.reading import PACKAGE, write_between

SCHEMA: Final = json.loads((PACKAGE / "files" / "config.schema.json").read_text(encoding="utf-8"))
PAGE: Final = PACKAGE.parents[1] / "docs" / "configuration.md"
BEGIN, END = "<!-- fields: begin -->\n", "<!-- fields: end -->\n"
SIMPLE: Final = {"name": "a text, not empty", "names": "a list of texts", "moment": "a date and time with its zone"}
"""Definitions of the schema that are no objects, in words."""


def objects() -> dict[str, dict[str, Any]]:
    """Give each object of the schema that has fields: the whole document first, then the definitions in their order."""
    inner = {name: part for name, part in SCHEMA["$defs"].items() if "properties" in part}
    return {"the document": SCHEMA, **inner}


def kind_of(field: dict[str, Any]) -> str:
    """Say in words what may stand in a field."""
    if "$ref" in field:
        name = field["$ref"].rpartition("/")[2]
        return SIMPLE.get(name) or ("a list of `entry`" if name == "entries" else f"`{name}`")
    if "const" in field:
        return f"`{json.dumps(field['const'])}`"
    if "enum" in field:
        return " or ".join(f"`{json.dumps(value)}`" for value in field["enum"])
    if field["type"] == "array":
        return f"a list of {kind_of(field['items'])}".replace("a list of a text", "a list of texts")
    words = {"minimum": "at least", "maximum": "at most"}
    bounds = [f"{word} {field[bound]}" for bound, word in words.items() if bound in field]
    noun = {"string": "a text", "integer": "a number", "boolean": "`true` or `false`", "object": "an empty table"}
    return ", ".join([noun[field["type"]], *bounds])


def meaning_of(field: dict[str, Any]) -> str:
    """Give the description of a field, or of what it refers to."""
    referred = SCHEMA["$defs"].get(field.get("$ref", "").rpartition("/")[2], {})
    return str(field.get("description") or referred.get("description", ""))


def rows_of(part: dict[str, Any]) -> list[str]:
    """Write a row for each field of an object."""
    rows = ["| field | what may stand there | default | what it means |", "|---|---|---|---|"]
    for name, field in part["properties"].items():
        must = name in part.get("required", [])
        default = "required" if must else f"`{json.dumps(field['default'])}`" if "default" in field else ""
        rows.append(f"| `{name}` | {kind_of(field)} | {default} | {meaning_of(field)} |")
    return rows


def tables() -> str:
    """Write all tables."""
    parts: list[str] = []
    for name, part in objects().items():
        title = "The document" if part is SCHEMA else f"`{name}`"
        parts += [f"### {title}", "", part["description"], "", *rows_of(part), ""]
    return "\n".join(parts)


def main() -> None:
    """Write the tables into the page."""
    write_between(PAGE, BEGIN, END, tables())


if __name__ == "__main__":
    main()
