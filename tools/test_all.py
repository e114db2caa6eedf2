"""Run the suite on every CPython from 3.11 up that this machine has, each in an environment of its own.

An interpreter counts if `python3.N` on the PATH starts, or if pyenv keeps one.
The package is installed from a copy of the tree, so nothing built for another
version is picked up.
"""

from __future__ import annotations

import glob
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENTS = ROOT / "build" / "environments"
OLDEST, NEWEST = 11, 20


def answers(python: str) -> bool:
    """Tell whether the interpreter starts and can make environments."""
    return subprocess.run([python, "-c", "import venv, ensurepip"], capture_output=True, check=False).returncode == 0


def candidates(minor: int) -> Iterator[str]:
    """Name the places where an interpreter of this version may be."""
    yield f"python3.{minor}"
    pyenv = shutil.which("pyenv")
    if pyenv:
        root = subprocess.run([pyenv, "root"], capture_output=True, text=True, check=False).stdout.strip()
        own = Path(pyenv).resolve().parent.parent  # pyenv's own folder, when HOME is another one
        for base in (root, str(own)):
            yield from sorted(glob.glob(f"{base}/versions/3.{minor}.*/bin/python3.{minor}"), reverse=True)


def interpreters() -> Iterator[tuple[int, str]]:
    """Find one interpreter of each minor version."""
    for minor in range(OLDEST, NEWEST):
        found = next((python for python in candidates(minor) if shutil.which(python) and answers(python)), None)
        if found:
            yield minor, found


def run_suite(minor: int, python: str) -> bool:
    """Install into a fresh environment and run the suite there."""
    home = ENVIRONMENTS / f"3.{minor}"
    shutil.rmtree(home, ignore_errors=True)
    tree = home / "tree"
    shutil.copytree(
        ROOT, tree, ignore=shutil.ignore_patterns(".git", ".venv", "build", "dist", "*.so", "*.egg-info", "__pycache__")
    )
    subprocess.run([python, "-m", "venv", home / "venv"], check=True)
    inside = str(home / "venv" / "bin" / "python")
    for packages in (["--upgrade", "pip>=25.1"], ["--group", f"{tree}/pyproject.toml:test"], [str(tree)]):
        subprocess.run([inside, "-m", "pip", "install", "--quiet", *packages], check=True)
    suite = [inside, "-m", "pytest", "-q", "-m", "not packaging", "-p", "no:cacheprovider"]
    # The copy without its sources: what is tested is what was installed.
    shutil.rmtree(tree / "src")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(suite, cwd=tree, env=environment, check=False).returncode == 0


def main() -> int:
    """Print a line for each version and fail if one failed."""
    results = {}
    for minor, python in interpreters():
        print(f"== CPython 3.{minor}: {python}", flush=True)
        results[minor] = run_suite(minor, python)
    for minor, passed in results.items():
        print(f"CPython 3.{minor}: {'passed' if passed else 'FAILED'}")
    return 0 if results and all(results.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
