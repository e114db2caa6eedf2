"""A newcomer walks through docs/first-hour.md: every block is run, in its order, in an empty folder, as it stands.

    ```toml, ```python    a file; its first line is a comment with its name
    ```console            `$` commands, in one shell from top to bottom, and what they print; `...` stands for anything
    ```pycon              an interactive session of Python, one for the whole page

One thing differs: `../cidrmatch` is not compiled again, but the wheel that was built of it is installed.
Requirements: B2, B5, C19.
"""

from __future__ import annotations

import doctest
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "first-hour.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
END = "-- end of what this command prints --"
NEWS = re.compile(r"\[\d+\]|WARNING: ")
"""Lines that say something about jobs, or about the package index of this machine."""
PATIENCE = 60.0
"""Seconds that a command may say something else which begins with `sleep`: a busy machine takes longer."""

pytestmark = pytest.mark.packaging


class Shell:
    """One bash that runs command after command, as a person types them."""

    def __init__(self, folder: Path) -> None:
        own = ("PYTHONPATH", "VIRTUAL_ENV", "CIDRMATCH_BUILD")
        environment = {name: value for name, value in os.environ.items() if name not in own}
        environment |= {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "TERM": "dumb", "COLUMNS": "120"}
        environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
        self.process = subprocess.Popen(
            ["bash", "--norc"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env=environment,
            text=True,
            start_new_session=True,
        )
        self.run("set -m")  # jobs have numbers, as at a terminal

    def run(self, command: str) -> str:
        """Run a command that must succeed, and give what it printed."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{command}\necho {END!r} $?\n")
        self.process.stdin.flush()
        printed: list[str] = []
        for line in self.process.stdout:
            if END in line:
                before, _, status = line.partition(END)
                printed.append(before)
                assert status.strip() == "0", f"{command}: exit status {status}{''.join(printed)}"
                return "".join(line for line in printed if not NEWS.match(line))
            printed.append(line)
        raise AssertionError(f"the shell ended in {command}: {''.join(printed)}")

    def close(self) -> None:
        """End the shell, and each job that it started: with `set -m` a job is a process group of its own."""
        jobs = self.run("jobs -p").split() if self.process.poll() is None else []
        for job in jobs:
            os.killpg(int(job), signal.SIGKILL)
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    shell = Shell(tmp_path)
    yield shell
    shell.close()


def is_as_written(expected: str, printed: str) -> bool:
    return doctest.OutputChecker().check_output(expected, printed, doctest.ELLIPSIS)


def follow_console(shell: Shell, block: str, wheel: Path) -> None:
    """Run each command of a block, and compare what it prints with the lines below it."""
    for command, expected in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE):
        deadline = time.monotonic() + PATIENCE
        printed = shell.run(command.replace("../cidrmatch", str(wheel)))
        while command.startswith("sleep ") and not is_as_written(expected, printed) and time.monotonic() < deadline:
            printed = shell.run(command)
        assert is_as_written(expected, printed), f"$ {command}\n{printed}"


def write_file(folder: Path, text: str) -> None:
    name = text.partition("\n")[0].removeprefix("# ")
    assert re.fullmatch(r"\w+\.\w+", name), f"no name of a file: {name}"
    (folder / name).write_text(text, encoding="utf-8")


def test_the_page_has_all_the_parts_of_the_walk() -> None:
    kinds = [kind for kind, _ in BLOCKS]
    assert set(kinds) == {"console", "pycon", "toml", "python"}
    assert PAGE.count("```") == 2 * len(BLOCKS)
    for step in ("pip install", "lint", "compile", "Engine.edit", "max_age=10", 'when_stale="deny"', "engine.age"):
        assert step in PAGE


def test_B2_B5_C19_what_the_page_shows_is_what_happens(shell: Shell, dist: Path, tmp_path: Path) -> None:
    (wheel,) = dist.glob("*.whl")
    session = ""
    for kind, text in BLOCKS:
        if kind == "console":
            follow_console(shell, text, wheel)
        elif kind == "pycon":
            session += text + "\n"  # what came before is said again
            (tmp_path / "session.txt").write_text(session, encoding="utf-8")
            shell.run("python -m doctest -o ELLIPSIS session.txt")
        else:
            write_file(tmp_path, text)
    where = shell.run("python -c 'import cidrmatch; print(cidrmatch.__file__)'")
    assert where.startswith(str(tmp_path))
