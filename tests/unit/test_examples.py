"""The example lists are what they say they are, and the demo runs and fits on a screen."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cidrmatch.files.lists import read_list
from cidrmatch.policy.presets import PRESETS

EXAMPLES = Path(__file__).parents[2] / "examples"
LISTS = {"nomsa": "nomsa.txt", "bitbybit": "bitbybit.csv", "unkey": "unkey.json", "pigment": "pigment.toml"}


def test_every_preset_has_an_example() -> None:
    assert LISTS.keys() == PRESETS.keys()


@pytest.mark.parametrize("preset", LISTS)
def test_a_product_accepts_its_example(preset: str) -> None:
    report = PRESETS[preset]().validate(read_list(EXAMPLES / LISTS[preset]).entries)
    assert report.ok, report.errors


def test_the_refused_example_breaks_several_rules() -> None:
    report = PRESETS["nomsa"]().validate(read_list(EXAMPLES / "refused.txt").entries)
    assert {problem.code for problem in report.errors} >= {
        "duplicate",
        "kind",
        "family",
        "leading_zero",
        "never_matches",
    }
    assert report.accepted == ()


@pytest.mark.parametrize("rival", ["pytricia", "nothing"])
def test_the_demo_fits_on_a_screen_with_and_without_the_rival(rival: str) -> None:
    if rival == "nothing":
        pytest.importorskip("pytricia")
    script = (
        f"import sys, runpy; sys.modules[{rival!r}] = None; runpy.run_path('examples/demo.py', run_name='__main__')"
    )
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8", "NO_COLOR": "1", "COLUMNS": "200"}
    ended = subprocess.run(
        [sys.executable, "-c", script],
        cwd=EXAMPLES.parent,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    lines = ended.stdout.splitlines()
    assert len(lines) <= 60
    assert max(map(len, lines)) <= 80
    for word in ("accepted", "allowed", "denied", "refused.txt", "cidrmatch", "pytricia", "ipaddress"):
        assert word in ended.stdout
    assert ("not installed" in ended.stdout) == (rival == "pytricia")
