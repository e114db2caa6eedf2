"""Completion in a real bash: commands, options, formats and presets."""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from cidrmatch.files.lists import Format
from cidrmatch.policy.presets import PRESETS

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")

SCRIPT = """
PATH="$PWD:$PATH"
eval "$(cidrmatch --show-completion bash)"
COMP_WORDS=($1 "$2"); COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_cidrmatch_completion cidrmatch "$2"
printf '%s\\n' "${COMPREPLY[@]}"
"""


def complete(folder: Path, before: str, begun: str) -> list[str]:
    """What bash offers for a word that was begun."""
    command = folder / "cidrmatch"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m cidrmatch "$@"\n', encoding="utf-8")
    command.chmod(0o755)
    script = ["bash", "-c", SCRIPT, "bash", before, begun]
    ended = subprocess.run(script, cwd=folder, capture_output=True, text=True, timeout=120, check=True)
    return ended.stdout.split()


@pytest.mark.parametrize(
    ("before", "begun", "offered"),
    [
        ("cidrmatch", "val", ["validate"]),
        ("cidrmatch check", "--addr", ["--addresses"]),
        ("cidrmatch validate office.txt --preset", "", list(PRESETS)),
        ("cidrmatch suggest seen.txt --preset", "b", ["bitbybit"]),
        ("cidrmatch check --format", "j", [name for name in Format if name.startswith("j")]),
    ],
)
def test_bash_completes(tmp_path: Path, before: str, begun: str, offered: list[str]) -> None:
    assert complete(tmp_path, before, begun) == offered
