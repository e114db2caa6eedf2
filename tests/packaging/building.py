"""Commands that build and install, away from the tree."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def run(*command: str | Path, cwd: Path, umask: int = -1) -> str:
    """Run a command without our own path in its environment, and give what it printed."""
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "CIDRMATCH_BUILD")}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False, umask=umask)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
