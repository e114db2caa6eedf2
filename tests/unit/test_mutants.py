"""The table of mutations is in step with the code that it breaks, and with the rules that it is about."""

from __future__ import annotations

import importlib.util
import re
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / "tools" / "mutants.py"

pytestmark = pytest.mark.skipif(not (ROOT / "src").is_dir(), reason="what is tested is installed; there are no sources")


def load_tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("mutants", TOOL)
    assert spec is not None
    assert spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    sys.modules["mutants"] = tool
    spec.loader.exec_module(tool)
    return tool


tool = load_tool()
ROWS = tool.read_tables()


def words(text: str) -> str:
    return " ".join(text.split())


def test_every_row_breaks_what_is_there_exactly_once() -> None:
    faults = [f"{row.table}: {row.breaks}: {fault}" for row in ROWS if (fault := tool.find_fault(row))]
    assert not faults, "\n".join(faults)


def test_there_are_enough_rows_in_every_room_and_none_twice() -> None:
    counting = [row for row in ROWS if not row.equal]
    assert len(counting) >= 120
    assert len({row.digest for row in ROWS}) == len(ROWS)
    assert len({(row.table, row.breaks) for row in ROWS}) == len(ROWS)
    tables = {row.table for row in counting}
    assert tables >= {
        "parser", "search", "store", "judge", "conditions", "engine", "policy", "snapshot", "config", "client",
        "gateways",
    }  # fmt: skip
    assert len(ROWS) - len(counting) <= len(ROWS) // 20


def test_every_section_of_the_rules_of_keys_has_a_row() -> None:
    text = (ROOT / "docs" / "keys.md").read_text(encoding="utf-8")
    sections = {part.partition("\n")[0]: words(part) for part in re.split(r"^## ", text, flags=re.MULTILINE)[1:]}
    assert sections
    rules = {words(row.rule) for row in ROWS if row.rule and not row.equal}
    unknown = [rule for rule in rules if not any(rule in section for section in sections.values())]
    assert not unknown, "these rules are not in docs/keys.md any more"
    bare = [name for name, section in sections.items() if not any(rule in section for rule in rules)]
    assert not bare, "no row breaks a rule of these sections"


def test_a_row_whose_text_moved_is_an_error() -> None:
    row = ROWS[0]
    assert tool.find_fault(row) is None
    for change in (
        {"old": "no such text"},
        {"old": "\n"},
        {"new": row.old},
        {"file": "src/none.py"},
        {"tests": ("x",)},
    ):
        assert tool.find_fault(replace(row, **change)) is not None
    name = "tests/unit/test_mutants.py::test_that_is_not_there"
    assert tool.find_fault(replace(row, tests=(name,))) == f"there is no test {name}"


def test_a_share_has_the_changed_rows_first_and_all_rows_in_turn() -> None:
    file = ROWS[0].file
    touched = [row for row in ROWS if row.file == file]
    assert set(tool.choose(ROWS, {file}, 1_000, 3)) == set(ROWS)
    chosen = tool.choose(ROWS, {file}, len(touched) + 5, 3)
    assert len(chosen) == len(touched) + 5
    assert set(chosen) >= set(touched)
    assert tool.choose(ROWS, set(), 10, 4) == tool.choose(ROWS, set(), 10, 4)
    seen = [row for turn in range(-(-len(ROWS) // 10)) for row in tool.choose(ROWS, set(), 10, turn)]
    assert set(seen) == set(ROWS)
    assert len(tool.choose(ROWS, {file}, 2, 0)) == 2


def test_a_changed_file_compiles_what_reads_it_and_nothing_else() -> None:
    package = "src/cidrmatch/"
    assert tool.affected_rooms(package + "_keys/check.pyx") == ["check"]
    assert set(tool.affected_rooms(package + "_keys/c/answer.h")) >= {"store", "check"}
    assert "address" not in tool.affected_rooms(package + "_keys/c/answer.h")
    assert {"address", "store"} <= set(tool.affected_rooms(package + "_core/c/bits.h"))
    assert tool.affected_rooms(package + "engine/engine.py") == []
    assert tool.affected_rooms(package + "_core/condition.py") == []


def test_a_program_that_hangs_is_ended_with_its_children(tmp_path: Path) -> None:
    child = "import time, pathlib; time.sleep(2); pathlib.Path('alive').touch()"
    parent = f"import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', {child!r}]); time.sleep(60)"
    done = tool.run([sys.executable, "-c", parent], tmp_path, 1.0)
    assert done.code is None
    assert tool.named_failure(done) == "its time was up"
    time.sleep(2.5)
    assert not (tmp_path / "alive").exists()
    assert tool.run([sys.executable, "-c", "import os; os.abort()"], tmp_path, 60).code == -6
