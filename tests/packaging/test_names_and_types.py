"""The public names are these, each with a docstring; the stubs say what the compiled modules do."""

from __future__ import annotations

import doctest
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

import cidrmatch

ROOT = Path(__file__).resolve().parents[2]
MODULES = [
    "cidrmatch",
    "cidrmatch._core.address",
    "cidrmatch.client",
    "cidrmatch.client.proxy_protocol",
    "cidrmatch.client.ready",
    "cidrmatch.client.strategies",
    "cidrmatch._keys.check",
    "cidrmatch._keys.judge",
    "cidrmatch._keys.rule",
    "cidrmatch._keys.view",
    "cidrmatch._keys.store",
    "cidrmatch._core.prefix",
    "cidrmatch._core.prefixes",
    "cidrmatch._core.patricia",
    "cidrmatch._core.refusal",
    "cidrmatch._core.allow_list",
    "cidrmatch.files.config",
    "cidrmatch.engine.engine",
    "cidrmatch.errors",
    "cidrmatch.advice.diff",
    "cidrmatch.advice.engines",
    "cidrmatch.advice.explain",
    "cidrmatch.advice.lint",
    "cidrmatch.advice.suggest",
    "cidrmatch.gateways.pipeline",
    "cidrmatch.policy.policy",
    "cidrmatch.policy.presets",
]


def test_every_public_name_exists_and_has_a_docstring() -> None:
    for name in cidrmatch.__all__:
        thing = getattr(cidrmatch, name)
        assert name == "__version__" or (thing.__doc__ or "").strip(), name


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples_run(name: str) -> None:
    module = importlib.import_module(name)
    things = [thing for thing in vars(module).values() if getattr(thing, "__module__", None) == name]
    names = [thing for thing in things if hasattr(thing, "__name__")]  # an instance has its class's module and no name
    globals_ = {public: getattr(cidrmatch, public) for public in cidrmatch.__all__} | vars(module)
    finder, runner = doctest.DocTestFinder(), doctest.DocTestRunner(optionflags=doctest.IGNORE_EXCEPTION_DETAIL)
    for thing in [module, *names]:
        for test in finder.find(thing, module=False, globs=dict(globals_)):
            runner.run(test)
    assert runner.failures == 0


@pytest.mark.parametrize("page", ["README.md", "docs/texts.md", "docs/keys.md", "docs/client-address.md"])
def test_python_examples_of_the_pages_run(page: str) -> None:
    """Each page is one session: what a block defines, the next ones use."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL)
    assert blocks
    session: dict[str, object] = {}
    runner = doctest.DocTestRunner(optionflags=doctest.IGNORE_EXCEPTION_DETAIL)
    for block in blocks:
        if ">>>" in block:
            example = doctest.DocTestParser().get_doctest(block, session, page, page, 0)
            runner.run(example, clear_globs=False)
            session = example.globs
        else:
            exec(compile(block, page, "exec"), session)
    assert runner.failures == 0


@pytest.mark.packaging
def test_stubs_agree_with_the_compiled_modules() -> None:
    known = ["--allowlist", "tools/stubtest.txt", "--ignore-unused-allowlist"]
    command = [
        "mypy.stubtest",
        "cidrmatch._core",
        "cidrmatch._keys",
        "cidrmatch.client.common",
        "--concise",
        "--mypy-config-file",
        "pyproject.toml",
        *known,
    ]
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_status_codes_stand_in_the_order_of_the_core() -> None:
    """The core hands over a number; the words for it are found by position."""
    from cidrmatch._core.refusal import CODES

    declarations = Path(cidrmatch.__file__).parent / "_core" / "address.pxd"
    body = declarations.read_text(encoding="utf-8").partition("cdef enum Status:")[2].partition("cdef struct")[0]
    names = [line.split()[0].lower() for line in body.splitlines() if line.strip() and not line.strip().startswith("#")]
    assert tuple(names) == CODES


def test_bit_counts_agree_with_their_portable_twins(tmp_path: Path) -> None:
    source = Path(__file__).parent / "programs" / "bits.c"
    package = Path(cidrmatch.__file__).parent
    program = tmp_path / "bits"
    subprocess.run(["cc", "-O2", "-Wall", "-Werror", f"-I{package}", source, "-o", program], check=True)
    assert subprocess.run([program], capture_output=True, text=True, check=True).stdout == "equal\n"
