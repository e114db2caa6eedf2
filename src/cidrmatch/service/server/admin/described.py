"""The operations as an OpenAPI document, and the judge of what a request says: both read the same schemas.

    OPERATIONS + schemas.json --> paths, components --> /openapi.json
                    '-----------> judge_body, read_query --> 422 with the place of the mistake

So the description and the answers cannot part.  The schema of a policy is that of configurations.

Threads: safe, nothing changes after the import.  Cost: the document is made once, at start.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from jsonschema import Draft202012Validator

from ....files.config import schema as schema_of_config
from .asked import Refusal
from .operations import OPERATIONS, ROOT, Operation

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["describe", "judge_body", "read_name", "read_query"]

_SHARED: Final = ("moment", "policy", "nomsa", "custom", "key_rules")
"""What is taken from the schema of configurations."""
_BOOLEANS: Final = {"true": True, "false": False}
_SHOWN: Final = 300
_ETAG: Final = {"type": "string", "pattern": r'^(\*|"[!#-~]*")$'}


@cache
def _said() -> dict[str, Any]:
    """Read schemas.json, and add what configurations have."""
    found: dict[str, Any] = json.loads(files(__package__ or "").joinpath("schemas.json").read_bytes())
    shared = {name: each for name, each in schema_of_config()["$defs"].items() if name in _SHARED}
    found["schemas"] |= json.loads(json.dumps(shared).replace("#/$defs/", "#/components/schemas/"))
    return found


# -- Judging ------------------------------------------------------------------


@cache
def _judge(schema: str) -> Draft202012Validator:
    components = {"schemas": _said()["schemas"]}
    return Draft202012Validator({"$ref": f"#/components/schemas/{schema}", "components": components})


def judge_body(schema: str, body: dict[str, Any]) -> None:
    """Raise Refusal for the first thing in a body that its schema does not have."""
    error = next(iter(_judge(schema).iter_errors(body)), None)
    if error is not None:
        message = ascii(error.message)[1:-1]
        short = message if len(message) <= _SHOWN else f"{message[:_SHOWN]}..."
        raise Refusal(422, "invalid_body", f"{error.json_path.replace('$', 'the body', 1)}: {short}")


def read_query(operation: Operation, given: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Read a query: each name once, and only those of the operation."""
    found: dict[str, Any] = {}
    for name, text in given:
        if name not in operation.query or name in found:
            allowed = ", ".join(operation.query) or "nothing"
            raise Refusal(422, "invalid_query", f"the query may have, once: {allowed}")
        found[name] = _value(f"{name} in the query", _said()["query"][name], text)
    return found


def read_name(name: str, text: str) -> str:
    """Read a part of the path."""
    return str(_value(f"{name} in the path", _said()["names"][name], text))


def _value(where: str, schema: Mapping[str, Any], text: str) -> Any:
    value: Any = text
    if schema.get("type") == "integer":
        value = int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None
    elif schema.get("type") == "boolean":
        value = _BOOLEANS.get(text)
    if value is None or "\0" in text or not Draft202012Validator(schema).is_valid(value):
        rule = {key: each for key, each in schema.items() if key not in ("description", "default")}
        raise Refusal(422, "invalid_query", f"{where} does not fit {json.dumps(rule)}")
    return value


# -- Describing ---------------------------------------------------------------


def describe(document: dict[str, Any]) -> dict[str, Any]:
    """Add the admin part to a description of the other parts; give a new document."""
    paths: dict[str, Any] = dict(document["paths"])
    for operation in OPERATIONS:
        paths.setdefault(ROOT + operation.path, {})[operation.method.lower()] = _described(operation)
    parts = document["components"]
    schemes = {**parts.get("securitySchemes", {}), "admin": {"type": "http", "scheme": "bearer"}}
    components = {**parts, "schemas": {**parts["schemas"], **_said()["schemas"]}, "securitySchemes": schemes}
    return {**document, "paths": paths, "components": components}


def _described(operation: Operation) -> dict[str, Any]:
    found: dict[str, Any] = {
        "operationId": f"admin_{operation.work.__name__}",
        "summary": (operation.work.__doc__ or "").partition("\n")[0],
        "description": f"Role: {operation.role}.",
        "security": [{"admin": []}],
        "parameters": _parameters(operation),
        "responses": _responses(operation),
    }
    if operation.takes is not None:
        schema = {"$ref": f"#/components/schemas/{operation.takes}"}
        found["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    return found


def _parameters(operation: Operation) -> list[dict[str, Any]]:
    said = _said()
    names = [part[1:-1] for part in operation.parts if part.startswith("{")]
    found = [{"name": name, "in": "path", "required": True, "schema": said["names"][name]} for name in names]
    found += [
        {"name": name, "in": "query", "required": False, "schema": said["query"][name]} for name in operation.query
    ]
    headers = ["If-None-Match"] * operation.tagged + ["If-Match"] * (operation.tagged and operation.is_change)
    return found + [{"name": name, "in": "header", "required": False, "schema": _ETAG} for name in headers]


def _responses(operation: Operation) -> dict[str, Any]:
    answer = {"description": "The answer.", "headers": _headers(operation)}
    schema = {"schema": {"$ref": f"#/components/schemas/{operation.gives}"}}
    answer["content"] = dict.fromkeys(operation.kinds, schema)
    found: dict[str, Any] = {"200": answer}
    if operation.makes:
        found |= {"201": answer}
    if operation.tagged and not operation.is_change:
        found["304"] = {"description": "It is what the caller has."}
    refusals = {400: "A header or the request cannot be read.", 401: "The token is none.", 403: "The role is too low."}
    refusals |= {404: "There is nothing of this name.", 405: "Another method is asked for."}
    refusals |= {422: "What the request says is refused; problems has each reason.", 503: "The store does not answer."}
    if operation.takes is not None:
        refusals |= {413: "The body is too long.", 415: "The body is no JSON."}
    if operation.is_change:
        refusals |= {409: "What there is stands against it."}
    if operation.is_change and operation.tagged:
        refusals |= {412: "Somebody changed it meanwhile.", 428: "If-Match is missing."}
    problem = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Refusal"}}}
    return found | {str(code): {"description": text, "content": problem} for code, text in sorted(refusals.items())}


def _headers(operation: Operation) -> dict[str, Any]:
    text = {"schema": {"type": "string"}}
    found = {"ETag": {"description": "The revision of the thing, in quotes.", **text}} if operation.tagged else {}
    if operation.is_change:
        found["X-Cidrmatch-Revision"] = {"description": "The revision of the data after the change.", **text}
    return found
