"""Writing a policy as plain values, for a file, and reading it again.

    presets.bitbybit()           <-->   "bitbybit"
    presets.nomsa(cutover=...)   <-->   {"preset": "nomsa", "cutover": "2025-06-16T00:00:00+00:00"}
    any other                    <-->   {"name": ..., "families": [4], ..., "keys": {...}}   what is not None

The caller has checked the shape of the values; `Policy` itself checks their
meaning.  The names of presets are part of the file formats, so they must not
change.

Cost: some microseconds.  Threads: safe, keeps no state.
"""

from __future__ import annotations

import dataclasses
from datetime import datetime
from typing import Any

from ..errors import quote
from .policy import KeyRules, Policy
from .presets import PRESETS, nomsa
from .responses import RENDERERS

__all__ = ["read_policy", "write_policy"]


def write_policy(policy: Policy) -> str | dict[str, Any]:
    """Write a policy as plain values: the name of a preset, or all fields."""
    if policy.keys.cutover is not None and policy == nomsa(cutover=policy.keys.cutover):
        return {"preset": "nomsa", "cutover": policy.keys.cutover.isoformat()}
    for name, preset in PRESETS.items():
        if policy == preset():
            return name
    return _write_fields(policy)


def _write_fields(thing: Policy | KeyRules) -> dict[str, Any]:
    """Write all fields of a policy that are not None."""
    fields = {field.name: getattr(thing, field.name) for field in dataclasses.fields(thing)}
    return {name: _write_value(value) for name, value in fields.items() if value is not None}


def _write_value(value: Any) -> Any:
    if isinstance(value, KeyRules):
        return _write_fields(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, frozenset):
        return sorted(value)
    return list(map(str, value)) if isinstance(value, tuple) else value


def read_policy(given: str | dict[str, Any]) -> Policy:
    """Read a policy that `write_policy` wrote, or that a person wrote in the same shape.

    Raises:
        ValueError: its fields contradict each other.
    """
    if isinstance(given, str):
        return PRESETS[given]()
    if "preset" in given:
        return nomsa(cutover=datetime.fromisoformat(given["cutover"]))
    fields, rules = dict(given), dict(given.get("keys", {}))
    if "cutover" in rules:
        rules["cutover"] = datetime.fromisoformat(rules["cutover"])
    if "pipeline" in rules:
        rules["pipeline"] = tuple(rules["pipeline"])
    if rules.get("response", "problem") not in RENDERERS:
        raise ValueError(f"keys.response is one of {', '.join(RENDERERS)}, not {quote(rules['response'])}")
    if "translations" in fields:
        fields["translations"] = tuple(fields["translations"])
    for name in fields.keys() & {"families", "kinds"}:
        fields[name] = frozenset(fields[name])
    return Policy(**{**fields, "keys": KeyRules(**rules)})
