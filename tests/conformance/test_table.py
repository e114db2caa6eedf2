"""The table in docs/conformance.md and the tests beside this file say the same.

The ids stand here once more, as the requirements number them, so neither the
table nor a test can lose one unnoticed.
"""

import ast
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

HERE = Path(__file__).parent
TABLE = HERE.parents[1] / "docs" / "conformance.md"

FILES = {
    "N": "test_nomsa.py",
    "B": "test_bitbybit.py",
    "U": "test_unkey.py",
    "P": "test_pigment.py",
    "C": "test_rulings.py",
}
_NUMBERS = """
    N1 N2 N3 N4 N5 N6 N7 N8 N9 N10 N11 N12 N13 N14 N15
    B1 B2 B3 B4 B5 B6 B7 B8 B9 B10 B11 B12 B13 B14 B15 B16 B17 B18 B19 B20 B21 B22 B23 B24
    B25 B26 B27 B28 B29 B30 B31 B32
    U1 U2 U3 U4 U5 U6 U7 U8 U9 U10 U11 U12 U13 U14
    P1 P2 P3 P4 P5 P6 P7 P8 P9 P10 P11 P12
    C1 C2 C3 C4 C5 C6 C7 C8 C9 C10 C11 C12 C13 C15 C16 C17 C18 C19 C21 C22 C23 C24 C25 C26
"""
IDS = _NUMBERS.split()
LOGGED = HERE.parent / "usage" / "test_conformance.py"
IN_LOG = ("B25", "B26", "B27", "B29")
"""What it takes the usage log to show."""
STORED = HERE.parent / "stores" / "test_conformance.py"
IN_STORES = ("B11", "C19")
"""What it takes a store to show."""
SHOWN_TWICE = ("B9", "B10", "B11", "P1", "P7", "P9", "P10", "P11", "C8", "C9", "C19", "C21", "C22")
"""What is shown on a store, too, in two databases."""


@dataclass(frozen=True)
class Row:
    id: str
    statement: str
    state: str
    where: str


def rows_of(text: str) -> list[Row]:
    lines = [line for line in text.splitlines() if re.match(r"\| *[A-Z]\d", line)]
    return [Row(*(cell.strip() for cell in line.strip("|").split("|"))) for line in lines]


def find_tests(path: Path) -> list[str]:
    """Name the tests of a file, as pytest collects them."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]


def id_of(test: str) -> str:
    return test.split("_")[1]


def ids_of(path: Path) -> set[str]:
    """Give the ids that the names of a file's tests begin with."""
    return {word for test in find_tests(path) for word in test.split("_") if word in IDS}


ROWS = rows_of(TABLE.read_text(encoding="utf-8"))
TESTS = {name: find_tests(HERE / name) for name in FILES.values()}


def test_every_id_stands_in_the_table_once_and_in_order() -> None:
    assert [row.id for row in ROWS] == IDS
    assert all(row.statement for row in ROWS)


def test_no_id_waits() -> None:
    assert {row.state for row in ROWS} == {"shown"}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_shown_id_has_a_test_with_its_name_where_the_table_says(row: Row) -> None:
    if row.id in IN_STORES:
        assert row.where == "`../stores/test_conformance.py`"
        assert row.id in ids_of(STORED)
        return
    if row.id in IN_LOG:
        assert row.where == "`../usage/test_conformance.py`"
        assert row.id in ids_of(LOGGED)
        return
    assert row.where == f"`{FILES[row.id[0]]}`"
    assert row.id in {id_of(test) for test in TESTS[FILES[row.id[0]]]}


def test_each_id_about_changes_has_a_test_on_a_store() -> None:
    assert ids_of(STORED) == set(SHOWN_TWICE)
    said = TABLE.read_text(encoding="utf-8").partition("## In a database")[2].partition(" are about lists")[0]
    assert tuple(re.findall(r"[A-Z]\d+", said)) == SHOWN_TWICE


def test_every_test_here_is_of_an_id_that_the_table_calls_shown() -> None:
    shown = {row.id for row in ROWS if row.state == "shown"}
    strays = [test for tests in TESTS.values() for test in tests if id_of(test) not in shown]
    assert strays == []


END_TO_END = ["B2", "B3", "B5", "B6", "B7", "B8", "B28", "U1", "U6", "U7", "U8", "U9", "U10", "U11", "C23"]
"""What a client sees of the address check."""
FACES = re.findall(
    r"^\| (\w+) \| ([\w, ]+) \| `(test_\w+\.py)` \| ([A-Z0-9 ]+) \|$", TABLE.read_text(encoding="utf-8"), re.MULTILINE
)


def test_four_faces_show_what_a_client_sees() -> None:
    assert [face for face, *_ in FACES] == ["ASGI", "WSGI", "Django", "gRPC"]
    assert {tuple(ids.split()) for *_, ids in FACES} == {tuple(END_TO_END)}


@pytest.mark.parametrize(("servers", "name", "ids"), [row[1:] for row in FACES])
def test_each_id_of_a_face_has_a_test_with_real_servers(servers: str, name: str, ids: str) -> None:
    path = HERE.parent / "gateways" / name
    text = path.read_text(encoding="utf-8")
    assert set(ids.split()) <= {word for test in find_tests(path) for word in test.split("_")}
    assert "with running(" in text
    assert [server for server in servers.split(", ") if f'["{server}", ' not in text and server != "grpcio"] == []


@pytest.mark.parametrize("name", TESTS)
def test_no_test_hides_another_of_the_same_name(name: str) -> None:
    assert len(TESTS[name]) == len(set(TESTS[name]))
