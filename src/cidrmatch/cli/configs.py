"""Commands about a whole configuration: `lint` and `schema`.

    lint    what is allowed and still looks like a mistake; exit 1 if there is a warning
    schema  the JSON Schema that every configuration fits

`check` and `explain` ask a configuration about one key; they are in `questions`.  `compile` writes a configuration as a
snapshot; it is in `snapshots`.
"""

import json
import sys
from typing import Annotated

import typer

from ..advice.lint import OPEN
from ..advice.lint import lint as lint_engine
from ..errors import quote
from ..files.config import schema
from .inputs import JsonOption, QuietOption, load_config
from .output import console, count, finish, print_json, say

__all__ = ["lint", "print_schema"]


def lint(
    config: Annotated[
        str, typer.Option("--config", metavar="FILE", help="A configuration, .toml or .json; - is stdin.")
    ],
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Say what looks like a mistake in a configuration.

    Advice alone is clean, exit 0; a warning is exit 1.
    """
    findings = lint_engine(load_config(config, as_json, warn=lambda _problem: None))  # lint says the same itself
    warnings = [finding for finding in findings if finding.severity == "warning"]
    if quiet:
        finish(1 if warnings else 0)
    open_keys = {finding.name for finding in findings if finding.kind == "key" and finding.code in OPEN}
    if as_json:
        print_json(
            config=config,
            clean=not warnings,
            open_keys=len(open_keys),
            findings=[finding.to_dict() for finding in findings],
        )
    else:
        out = console(sys.stdout)
        for finding in findings:
            entry = "" if finding.entry is None else f"{finding.entry}: "
            place = f"{config}: {finding.kind} {quote(finding.name)}: "
            say(out, finding.severity, f": {entry}{finding.message}", place=place)
        advice = f"{len(findings) - len(warnings):,} of advice"
        if open_keys:
            advice += f"; {count(len(open_keys), 'open key')}"
        say(out, "clean" if not warnings else "suspicious", f": {count(len(warnings), 'warning')}, {advice}")
    finish(1 if warnings else 0)


def print_schema() -> None:
    """Print the JSON Schema of a configuration."""
    sys.stdout.write(json.dumps(schema(), indent=2) + "\n")
    finish(0)
