"""The sdist builds the wheel, and the wheel works in a place where nothing else of ours is."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("address", "prefix", "patricia", "arrow", "table", "check")
HEADERS = ("ask.h", "bits.h", "many.h", "search.h", "text.h", "text_avx512.h", "vectors.h")

pytestmark = pytest.mark.packaging


def run(*command: str | Path, cwd: Path) -> str:
    """Run a command without our own path in its environment, and give what it printed."""
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "CIDRMATCH_BUILD")}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the sdist from the tree, then the wheel from the sdist, as a package index would get them."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT, cwd=folder)
    return folder


def test_sdist_carries_the_sources_and_no_generated_file(dist: Path) -> None:
    (sdist,) = dist.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    for room in ROOMS:
        assert f"src/cidrmatch/_core/{room}.pyx" in names
        assert f"src/cidrmatch/_core/{room}.pyi" in names
    assert {f"src/cidrmatch/_core/{header}" for header in HEADERS} <= names
    assert {"LICENSE", "README.md", "Makefile", "pyproject.toml", "src/cidrmatch/py.typed"} <= names
    assert {"examples/demo.py", "tests/reference.py", "docs/adr"} <= names
    assert not [name for name in names if name.endswith((".c", ".so", ".pyc"))]


def test_wheel_carries_types_and_declarations_and_no_sources_of_the_build(dist: Path) -> None:
    (wheel,) = dist.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    for room in ROOMS:
        assert f"cidrmatch/_core/{room}.pyi" in names
        assert [name for name in names if name.startswith(f"cidrmatch/_core/{room}.c") and name.endswith(".so")]
    assert "cidrmatch/py.typed" in names
    assert "cidrmatch/_core/address.pxd" in names
    assert {f"cidrmatch/_core/{header}" for header in HEADERS} <= set(names)
    assert not [name for name in names if name.endswith((".pyx", ".c"))]
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"cidrmatch"}


def test_wheel_states_its_licence_its_python_and_no_dependency_of_the_core(dist: Path) -> None:
    (wheel,) = dist.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        (metadata_name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        metadata = archive.read(metadata_name).decode()
    assert "License-Expression: Apache-2.0" in metadata
    assert "Requires-Python: >=3.11" in metadata
    required = [line for line in metadata.splitlines() if line.startswith("Requires-Dist:")]
    assert required
    assert all("extra ==" in line for line in required)


def test_wheel_passes_the_unit_tests_in_a_clean_place(dist: Path, tmp_path: Path) -> None:
    (wheel,) = dist.glob("*.whl")
    run(sys.executable, "-m", "venv", tmp_path / "venv", cwd=tmp_path)
    python = tmp_path / "venv" / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", f"{wheel}[cli]", "pytest", "hypothesis", cwd=tmp_path)
    (tmp_path / "tests").symlink_to(ROOT / "tests")
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    where = run(python, "-c", "import cidrmatch; print(cidrmatch.__file__)", cwd=tmp_path)
    assert where.startswith(str(tmp_path))
    suite = ["-q", "--import-mode=importlib", "-p", "no:cacheprovider", f"--rootdir={tmp_path}", "-c", os.devnull]
    printed = run(python, "-m", "pytest", *suite, "-o", "pythonpath=.", "tests/unit/test_allow_list.py", cwd=tmp_path)
    assert " passed" in printed
    assert "cidrmatch" in run(tmp_path / "venv" / "bin" / "cidrmatch", "--help", cwd=tmp_path)
