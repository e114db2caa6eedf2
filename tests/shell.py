"""A shell that runs the commands of a page, and compares what they print with what the page says.

$ COMMAND          run in one bash, from top to bottom; `\\` at the end of a line goes on in the next
what it prints     `...` stands for anything; a command that begins with `sleep` is given more time
"""

from __future__ import annotations

import doctest
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.servers import ROOT

__all__ = ["Shell", "blocks_of", "follow_console", "follow_session"]

END = "-- end of what this command prints --"
NEWS = re.compile(r"\[\d+\]|WARNING: ")
"""Lines that say something about jobs, or about the package index of this machine."""
PATIENCE = 60.0
"""Seconds that a command may say something else which begins with `sleep`: a busy machine takes longer."""


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


def is_as_written(expected: str, printed: str) -> bool:
    """Compare, whether or not the last line ends."""
    return doctest.OutputChecker().check_output(expected.rstrip(), printed.rstrip(), doctest.ELLIPSIS)


def follow_console(shell: Shell, block: str) -> None:
    """Run each command of a block, and compare what it prints with the lines below it."""
    for command, expected in re.findall(r"^\$ ((?:.*\\\n)*.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE):
        deadline = time.monotonic() + PATIENCE
        printed = shell.run(command)
        while command.startswith("sleep ") and not is_as_written(expected, printed) and time.monotonic() < deadline:
            printed = shell.run(command)
        assert is_as_written(expected, printed), f"$ {command}\n{printed}"


def blocks_of(page: str, *kinds: str) -> list[tuple[str, str]]:
    """Give the blocks of a page in docs that are of these kinds, each with its kind, in their order."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    return re.findall(rf"^```({'|'.join(kinds)})\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def follow_session(shell: Shell, folder: Path, text: str, options: str = "") -> None:
    """Run a session with Python in the shell's folder; doctest compares what it prints."""
    (folder / "session.txt").write_text(text, encoding="utf-8")
    assert shell.run(f"python -m doctest {options} session.txt") == ""
