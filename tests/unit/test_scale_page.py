"""docs/scale.md shows what the model of a fleet says, with the costs that were measured."""

from benchmarks.scale import COSTS, table
from tests.servers import ROOT

PAGE = (ROOT / "docs" / "scale.md").read_text(encoding="utf-8")


def test_the_table_of_the_page_is_the_one_of_the_model() -> None:
    """`python -m benchmarks.scale` writes it."""
    assert table() in PAGE


def test_the_page_names_the_measured_costs() -> None:
    for name in ("SQLite look here", "PostgreSQL look here", "PostgreSQL look server", "PostgreSQL probe server"):
        assert f"{COSTS[name]:,.0f} µs" in PAGE, name
