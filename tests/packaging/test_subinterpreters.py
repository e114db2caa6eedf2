"""A subinterpreter is refused by a clear ImportError, whoever imports first, and the main interpreter never notices.

Each test is a process of its own, for what one interpreter loads stays in the process.  An isolated interpreter is made
once in each: a second one crashes CPython 3.12.1 by itself, whatever it imports.  What the running CPython has is used:

    3.11          `_xxsubinterpreters`; all interpreters share one lock
    3.12          `_xxsubinterpreters`; an isolated one has a lock of its own
    from 3.13     `_interpreters`; the same
"""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import cidrmatch

PACKAGE = Path(cidrmatch.__file__).parent
EXTENSIONS = sorted(f"{path.parent.name}.{path.name.partition('.')[0]}" for path in PACKAGE.rglob("*.so"))
REFUSAL = "cidrmatch works in the main interpreter of a process only"
KINDS = ("isolated", "legacy")

# `enter(kind, code)` runs code in a new interpreter and returns what it raised, as text, or None.
ENTER = """
import sys
try:
    import _interpreters as interpreters

    def enter(kind, code):
        interpreter = interpreters.create(kind)
        failure = interpreters.exec(interpreter, code)
        interpreters.destroy(interpreter)
        return failure and failure.formatted

except ImportError:
    import _xxsubinterpreters as interpreters

    def enter(kind, code):
        interpreter = interpreters.create(isolated=kind == "isolated")
        try:
            failure = interpreters.run_string(interpreter, code)  # from 3.12 on returned, before that raised
        except interpreters.RunFailedError as error:
            failure = error
        interpreters.destroy(interpreter)
        return failure and str(getattr(failure, "msg", failure))


def load(kind, module):
    return enter(kind, f"import sys; sys.path[:] = {sys.path!r}; import {module}")


def is_right():
    import cidrmatch
    office = cidrmatch.AllowList(["203.0.113.0/24"])
    return office.contains("203.0.113.7") and not office.contains("203.0.114.7")

"""

pytestmark = pytest.mark.skipif(
    find_spec("_interpreters") is None and find_spec("_xxsubinterpreters") is None,
    reason="this CPython was built without its module for subinterpreters",
)


def run(code: str) -> str:
    """Run code behind ENTER in a new process, and give what it printed."""
    paths = f"import sys; sys.path[:] = {sys.path!r}\n"
    done = subprocess.run([sys.executable, "-c", paths + ENTER + code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("kind", KINDS)
def test_a_subinterpreter_is_refused_and_told_what_to_do(kind: str) -> None:
    printed = run(f"import cidrmatch; print(load({kind!r}, 'cidrmatch'), is_right())")
    assert "ImportError" in printed
    assert REFUSAL in printed
    assert "WSGIApplicationGroup" in printed
    assert printed.split()[-1] == "True"


@pytest.mark.parametrize("kind", KINDS)
def test_a_subinterpreter_that_comes_first_does_not_shut_the_main_one_out(kind: str) -> None:
    """The guard of Cython alone takes whoever comes first, and refuses the main interpreter from then on."""
    printed = run(f"print(load({kind!r}, 'cidrmatch'), is_right())")
    assert REFUSAL in printed
    assert printed.split()[-1] == "True"


def test_every_extension_refuses_when_it_is_loaded_by_its_own_name() -> None:
    assert len(EXTENSIONS) >= 8
    printed = run(f"for name in {EXTENSIONS!r}: print(load('legacy', 'cidrmatch.' + name))\nprint(is_right())")
    *refusals, right = printed.splitlines()
    assert [REFUSAL in refusal for refusal in refusals] == [True] * len(EXTENSIONS)
    assert right == "True"


@pytest.mark.skipif(sys.version_info < (3, 12), reason="before CPython 3.12 all interpreters share one lock")
def test_a_subinterpreter_with_a_lock_of_its_own_is_refused_while_the_main_one_asks() -> None:
    printed = run(
        "import threading\n"
        "refusals = []\n"
        "intruder = threading.Thread(target=lambda: refusals.append(load('isolated', 'cidrmatch')))\n"
        "intruder.start()\n"
        "answers = [is_right()]\n"
        "while intruder.is_alive():\n"
        "    answers.append(is_right())\n"
        f"print({REFUSAL!r} in refusals[0], all(answers))\n"
    )
    assert printed.split() == ["True", "True"]


def test_cpython_itself_is_told_that_the_extensions_are_for_one_interpreter() -> None:
    """Below our refusal is CPython's, where an isolated subinterpreter loads an extension past the package."""
    printed = run(
        "import pathlib\n"
        f"path = next(pathlib.Path({str(PACKAGE / '_core')!r}).glob('address.*.so'))\n"
        "code = (\n"
        "    'import importlib.util as u\\n'\n"
        "    f'spec = u.spec_from_file_location(\"cidrmatch._core.address\", {str(path)!r})\\n'\n"
        "    'spec.loader.exec_module(u.module_from_spec(spec))'\n"
        ")\n"
        "print(is_right(), enter('isolated', code))\n"
    )
    assert printed.startswith("True ")
    assert "ImportError" in printed
