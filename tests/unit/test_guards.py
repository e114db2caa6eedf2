"""The guards of speed: what makes them fail, and what they say then.

Counting itself takes valgrind and half a minute, and is `make instructions`.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from benchmarks import instructions
from benchmarks.instructions import Count
from tools import yellow

if TYPE_CHECKING:
    from pathlib import Path

HERE = {"python": "cpython-311", "compiler": "GCC 12"}
COMMITTED = {"lookup": Count(300.0, 0.0), "match": Count(600.0, 4.0)}

PROFILE = """\
events: Ir
ob=/usr/bin/python3.11
fn=long_richcompare
12 7000
cob=/x/cidrmatch/_core/allow_list.so
cfn=contains
calls=100 57
13 42000

ob=/x/cidrmatch/_core/allow_list.so
fn=contains
57 1000
cfn=find_range4
calls=100 80
58 2400
cob=/x/cidrmatch/_core/address.so
cfn=read_address
calls=100 90
59 2500
cob=/lib/libc.so.6
cfn=memcpy
calls=30 0
60 9000
61 24

fn=find_range4
80 2400

totals: 99999
"""

TINY = """\
# hot: begin
cdef int twice(int x) noexcept nogil:
    return 2 * x

def shown(x):
    return str(x)
# hot: end

def cold(x):
    return repr(x)
"""


def document(toolchain: dict[str, str]) -> dict[str, object]:
    return {"toolchain": toolchain, "counts": {name: count._asdict() for name, count in COMMITTED.items()}}


# -- Counts ---------------------------------------------------------------------


def test_only_the_core_is_counted_and_only_calls_that_leave_it() -> None:
    assert instructions.read_profile(PROFILE.splitlines()) == (1000 + 24 + 2400, 30)


def test_a_slower_path_is_named_with_both_counts() -> None:
    counts = COMMITTED | {"lookup": Count(306.1, 0.0)}
    assert list(instructions.slower(counts, COMMITTED)) == [
        "lookup: 306.1 instructions an operation, committed are 300.0"
    ]


def test_two_per_cent_are_tolerated_and_less_is_no_fault() -> None:
    counts = {"lookup": Count(306.0, 0.0), "match": Count(10.0, 0.0)}
    assert not list(instructions.slower(counts, COMMITTED))


def test_work_that_moved_out_of_the_core_is_found_by_its_calls() -> None:
    counts = COMMITTED | {"lookup": Count(20.0, 1.0)}
    assert list(instructions.slower(counts, COMMITTED)) == ["lookup: 1.0 calls an operation, committed are 0.0"]


def test_a_path_that_only_one_side_knows_is_a_fault() -> None:
    counts = {"lookup": COMMITTED["lookup"], "batch": Count(1.0, 0.0)}
    assert sorted(instructions.slower(counts, COMMITTED)) == [
        "batch: counted but not committed",
        "match: committed but not counted",
    ]


def test_slower_fails(capsys: pytest.CaptureFixture[str]) -> None:
    assert instructions.judge(COMMITTED | {"match": Count(700.0, 4.0)}, HERE, document(HERE)) == 1
    assert capsys.readouterr().err == "SLOWER match: 700.0 instructions an operation, committed are 600.0\n"


def test_equal_passes_and_faster_asks_to_be_kept(capsys: pytest.CaptureFixture[str]) -> None:
    assert instructions.judge(COMMITTED, HERE, document(HERE)) == 0
    assert "--update" not in capsys.readouterr().out
    assert instructions.judge(COMMITTED | {"match": Count(500.0, 4.0)}, HERE, document(HERE)) == 0
    assert "--update" in capsys.readouterr().out


def test_another_toolchain_is_no_slower_commit(capsys: pytest.CaptureFixture[str]) -> None:
    slower = COMMITTED | {"match": Count(700.0, 4.0)}
    assert instructions.judge(slower, HERE | {"compiler": "GCC 13"}, document(HERE)) == 0
    said = capsys.readouterr()
    assert "700.0" in said.out
    assert "Nothing was compared" in said.out
    assert "compiler: GCC 13; committed: GCC 12" in said.out
    assert said.err == ""


def test_every_hot_path_has_a_committed_count() -> None:
    committed = json.loads(instructions.COMMITTED.read_text(encoding="ascii"))
    assert [path.name for path in instructions.hot_paths()] == list(committed["counts"])
    assert committed["toolchain"].keys() == instructions.toolchain().keys()


# -- Lines that touch Python ----------------------------------------------------


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of one file."""
    monkeypatch.setattr(yellow, "ROOT", tmp_path)
    (tmp_path / "setup.py").write_text(
        "from Cython.Build import cythonize\n"
        "from setuptools import Extension, setup\n"
        "setup(ext_modules=cythonize([Extension('tiny', ['tiny.pyx'])], compiler_directives={'language_level': 3}))\n"
    )
    return tmp_path


def test_hot_lines_that_touch_python_are_listed(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tree / "tiny.pyx").write_text(TINY)
    assert yellow.main() == 1
    listed = [re.fullmatch(r"(.+): \d+: (.+)", line) for line in capsys.readouterr().out.splitlines()]
    assert [found and found.groups() for found in listed] == [
        ("tiny.pyx:5", "def shown(x):"),
        ("tiny.pyx:6", "return str(x)"),
    ]
    assert sorted(path.name for path in tree.iterdir()) == ["setup.py", "tiny.pyx"]


def test_hot_lines_without_python_pass(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tree / "tiny.pyx").write_text(TINY.replace("def shown(x):\n    return str(x)\n", ""))
    assert yellow.main() == 0
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "source",
    [
        "x = 1\n",
        "# hot: begin\n# hot: end\n",
        "# hot: begin\nx = 1\n",
        "# hot: end\n",
        "# hot: begin\n# hot: begin\nx = 1\n# hot: end\n# hot: end\n",
        "# hot: start\nx = 1\n# hot: end\n",
    ],
)
def test_nothing_marked_or_marks_that_are_no_pairs_are_no_success(source: str, tree: Path) -> None:
    (tree / "tiny.pyx").write_text(source)
    assert yellow.main() == 2


def test_the_files_and_directives_of_the_build_are_the_ones_looked_at() -> None:
    sources, directives = yellow.sources_and_directives()
    assert "src/cidrmatch/_core/allow_list.pyx" in [path.relative_to(yellow.ROOT).as_posix() for path in sources]
    assert directives["wraparound"] is False
