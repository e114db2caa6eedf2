"""What a package index would get is built once, for all tests that need it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.packaging.building import ROOT, run


@pytest.fixture(scope="session")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the sdist from the tree, then the wheel from the sdist, as a package index would get them."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, ROOT / "tools" / "dist.py", "--no-isolation", "--outdir", folder, cwd=folder)
    return folder
