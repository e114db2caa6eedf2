"""Commands about a snapshot: `compile`, `decompile`, `inspect`, `verify`.

    compile    write a configuration as a snapshot, with a later revision than the snapshot that it replaces
    decompile  write a snapshot as the configuration that gives the same engine
    inspect    show a snapshot's header, policy and lists; the body is not verified
    verify     check that every byte is as it was written, and that every record can be read

`check` and `explain` ask a snapshot about one key; they are in `questions`.
"""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from ..engine.engine import Engine
from ..errors import CidrmatchError, quote
from ..files.config import dumps
from .inputs import JsonOption, SecretOption, fail_of_file, load_config, open_snapshot, read_secret
from .output import console, count, fail, finish, print_json, say

__all__ = ["compile_snapshot", "decompile", "inspect", "verify"]

SnapshotArgument = Annotated[str, typer.Argument(metavar="SNAP", help="A file that `compile` or an engine wrote.")]


def compile_snapshot(
    config: Annotated[str, typer.Argument(metavar="FILE", help="A configuration (.toml or .json).")],
    output: Annotated[str, typer.Option("--output", "-o", metavar="SNAP", help="Where the snapshot goes.")],
    id_secret_file: SecretOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a configuration as a snapshot, later than the one that is there, which it replaces."""
    engine = load_config(config, as_json, secret=read_secret(id_secret_file))
    try:
        engine.save(output, replace=True)
        size = os.stat(output).st_size
    except OSError as error:
        fail_of_file(output, error)
    keys, generation = len(engine), _generation(engine)
    if as_json:
        print_json(config=config, snapshot=output, generation=generation, keys=keys, bytes=size)
    else:
        counts = f"{count(keys, 'key')}, {count(size, 'byte')}, generation {generation}"
        say(console(sys.stdout), "accepted", f": {counts}")
    finish(0)


def decompile(
    snapshot: SnapshotArgument,
    output: Annotated[str, typer.Option("--output", "-o", metavar="FILE", help="A configuration: .toml or .json.")],
    as_json: JsonOption = False,
) -> None:
    """Write a snapshot as a configuration, from which `compile` makes the same engine again."""
    suffix = Path(output).suffix.lower()
    if suffix not in (".toml", ".json"):
        raise typer.BadParameter(f"{quote(output)}: the suffix tells no format; it is .toml or .json")
    engine = open_snapshot(snapshot, as_json)
    try:
        text = dumps(engine, "toml" if suffix == ".toml" else "json")
        Path(output).write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        fail_of_file(output, error)
    except (CidrmatchError, ModuleNotFoundError) as error:
        fail(f"{quote(snapshot)}: {error}")
    if as_json:
        print_json(snapshot=snapshot, config=output, keys=len(engine))
    else:
        say(console(sys.stdout), "accepted", f": {count(len(engine), 'key')} in {output}")
    finish(0)


def inspect(snapshot: SnapshotArgument, id_secret_file: SecretOption = None, as_json: JsonOption = False) -> None:
    """Say what is in a snapshot, by its header and its lists."""
    engine = open_snapshot(snapshot, as_json, id_secret_file, verify=False)
    sizes = {name: len(frozen.entries) for name, frozen in engine.lists().items()}
    facts = {
        "epoch": 0 if engine.revision is None else engine.revision.epoch,
        "generation": _generation(engine),
        "bytes": os.stat(snapshot).st_size,
        "keys": len(engine),
        "policy": engine.policy.name,
        "enforced": engine.is_enforced,
        "default": engine.default(),
    }
    if as_json:
        print_json(snapshot=snapshot, **facts, lists=sizes)
    else:
        out = console(sys.stdout)
        for name, value in facts.items():
            say(out, f"{name:<12}{'none' if value is None else value}")
        for name, size in sizes.items():
            say(out, f"list {quote(name)}: {count(size, 'entry', 'entries')}")
    finish(0)


def verify(snapshot: SnapshotArgument, id_secret_file: SecretOption = None, as_json: JsonOption = False) -> None:
    """Say whether every byte of a snapshot is as it was written, and means something."""
    engine = open_snapshot(snapshot, as_json, id_secret_file)
    keys, generation = len(engine), _generation(engine)
    if as_json:
        print_json(snapshot=snapshot, ok=True, generation=generation, keys=keys)
    else:
        say(console(sys.stdout), "clean", f": {count(keys, 'key')}, generation {generation}")
    finish(0)


def _generation(engine: Engine) -> int:
    """The generation of the file that an engine stands on; 0 without a file."""
    return 0 if engine.revision is None else engine.revision.generation
