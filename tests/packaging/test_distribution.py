"""The sdist builds the wheel, and the wheel works in a place where nothing else of ours is.

All is built twice: from the tree, and from the sdist in another folder, later, under another umask.  Nothing differs.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from cidrmatch import __version__
from tests.packaging.building import run
from tests.packaging.test_hardening import faults

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "cidrmatch"
ROOMS = sorted(path.relative_to(PACKAGE).with_suffix("").as_posix() for path in PACKAGE.rglob("*.pyx"))
HEADERS = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.h"))
MIGRATIONS = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.glob("service/stores/migrations/**/*.py"))

pytestmark = pytest.mark.packaging


def hashes(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def test_who_builds_it_again_from_the_sdist_gets_the_same_bytes(dist: Path, tmp_path: Path) -> None:
    (sdist,) = dist.glob("*.tar.gz")
    elsewhere = tmp_path / "a folder of another name"
    with tarfile.open(sdist) as archive:
        archive.extractall(elsewhere, filter="data")
    (tree,) = elsewhere.iterdir()
    again = tmp_path / "again"
    run(sys.executable, tree / "tools" / "dist.py", "--no-isolation", "--outdir", again, cwd=tmp_path, umask=0o077)
    assert hashes(again) == hashes(dist)


def test_no_file_of_the_wheel_names_the_folder_in_which_it_was_built(dist: Path) -> None:
    (wheel,) = dist.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            content = archive.read(name)
            assert f"{tempfile.gettempdir()}/build-".encode() not in content, name
            assert str(ROOT).encode() not in content, name


def test_shared_objects_of_the_wheel_are_hardened(dist: Path, tmp_path: Path) -> None:
    (wheel,) = dist.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    extensions = sorted(tmp_path.glob("cidrmatch/*/*.so"))
    assert len(extensions) >= 8
    assert {path.name: list(faults(path)) for path in extensions} == {path.name: [] for path in extensions}


EXTRAS = {
    "jsonschema",
    "tomli-w",
    "typer",
    "rich",
    "granian",
    "uvloop",
    "starlette",
    "prometheus-client",
    "grpcio",
    "protobuf",
    "sqlalchemy",
    "alembic",
    "psycopg",
    "pyarrow",
    "redis",
    "fsspec",
    "httpx",
    "zstandard",
    "polars",
    "duckdb",
    "pyspark",
    "pyyaml",
    "cryptography",
    "dnspython",
}
"""What an extra needs; the library itself needs nothing."""


def test_bill_of_materials_names_what_is_in_the_wheel_and_nothing_else(dist: Path) -> None:
    (wheel,) = dist.glob("*.whl")
    (sbom,) = dist.glob("*.cdx.json")
    text = sbom.read_text(encoding="utf-8")
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    document = json.loads(text)
    library = document["metadata"]["component"]
    assert (library["name"], library["version"]) == ("cidrmatch", __version__)
    assert library["licenses"] == [{"expression": "Apache-2.0"}]
    assert library["hashes"] == [{"alg": "SHA-256", "content": hashlib.sha256(wheel.read_bytes()).hexdigest()}]
    with zipfile.ZipFile(wheel) as archive:
        files = {name: hashlib.sha256(archive.read(name)).hexdigest() for name in archive.namelist()}
    parts = document["components"]
    assert {part["name"]: part["hashes"][0]["content"] for part in parts if part["type"] == "file"} == files
    scopes = {part["name"]: part["scope"] for part in parts if part["type"] != "file"}
    assert {name for name, scope in scopes.items() if scope == "optional"} == EXTRAS
    tools = {part["name"]: part["version"] for part in parts if part["scope"] == "excluded"}
    assert {name: tools.get(name) for name in ("setuptools", "Cython")} == {
        "setuptools": version("setuptools"),
        "Cython": version("Cython"),
    }
    assert len(tools) >= 3  # and a C compiler
    (depends,) = [each for each in document["dependencies"] if each["ref"] == library["bom-ref"]]
    assert not depends.get("dependsOn")


def test_bill_of_materials_refuses_a_wheel_that_requires_a_package(dist: Path, tmp_path: Path) -> None:
    """That the library needs no other package is read, not assumed."""
    (wheel,) = dist.glob("*.whl")
    other = tmp_path / wheel.name
    with zipfile.ZipFile(wheel) as old, zipfile.ZipFile(other, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name.endswith("METADATA"):
                content = content.replace(b"Requires-Dist:", b"Requires-Dist: left-pad\nRequires-Dist:", 1)
            new.writestr(name, content)
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "sbom.py", other], capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "required at run time: left-pad" in done.stderr


def test_sdist_carries_the_sources_and_no_generated_file(dist: Path) -> None:
    (sdist,) = dist.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    for room in ROOMS:
        assert f"src/cidrmatch/{room}.pyx" in names
        assert f"src/cidrmatch/{room}.pyi" in names
    assert {f"src/cidrmatch/{header}" for header in HEADERS} <= names
    assert {"LICENSE", "README.md", "Makefile", "pyproject.toml", "src/cidrmatch/py.typed"} <= names
    assert {"examples/demo.py", "tests/reference.py", "docs/adr"} <= names
    assert not [name for name in names if name.endswith((".so", ".pyc"))]
    assert not [name for name in names if name.endswith(".c") and not name.startswith("tests/")]


def test_wheel_carries_types_and_declarations_and_no_sources_of_the_build(dist: Path) -> None:
    (wheel,) = dist.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    for room in ROOMS:
        assert f"cidrmatch/{room}.pyi" in names
        assert [name for name in names if name.startswith(f"cidrmatch/{room}.c") and name.endswith(".so")]
    assert "cidrmatch/py.typed" in names
    assert "cidrmatch/_core/address.pxd" in names
    assert {f"cidrmatch/{header}" for header in HEADERS} <= set(names)
    assert {f"cidrmatch/{name}" for name in MIGRATIONS} <= set(names)
    assert "cidrmatch/service/stores/migrations/versions/0001_tables.py" in names  # a file that no `import` could name
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
