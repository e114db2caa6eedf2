"""How much is tried, with which seed, and what waits for `--run-long`.

    HYPOTHESIS_PROFILE=dev      a glance while writing
    HYPOTHESIS_PROFILE=ci       the default
    HYPOTHESIS_PROFILE=night    as long as there is time

Every run draws its own seed and prints it in the header, so a failure seen once
can be seen again: `pytest --hypothesis-seed=THE_NUMBER`.
"""

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.shell import Shell

SLOW_MACHINE = [HealthCheck.too_slow]

settings.register_profile("dev", max_examples=25, deadline=None, suppress_health_check=SLOW_MACHINE)
settings.register_profile(
    "ci", max_examples=100, deadline=None, database=None, print_blob=True, suppress_health_check=SLOW_MACHINE
)
settings.register_profile(
    "night", max_examples=20_000, deadline=None, database=None, print_blob=True, suppress_health_check=SLOW_MACHINE
)
PROFILE = os.environ.get("HYPOTHESIS_PROFILE", "ci")
settings.load_profile(PROFILE)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--run-long", action="store_true", help="also run the tests marked `long` (minutes)")


# Hypothesis reads its option in its own pytest_configure: the seed must be there first.
@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "long: millions of comparisons; skipped unless --run-long is given")
    if config.option.hypothesis_seed is None:
        config.option.hypothesis_seed = str(random.SystemRandom().randrange(2**32))


def pytest_report_header(config: pytest.Config) -> str:
    return f"hypothesis: profile {PROFILE}, repeat with --hypothesis-seed={config.option.hypothesis_seed}"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--run-long"):
        return
    for item in items:
        if "long" in item.keywords:
            item.add_marker(pytest.mark.skip(reason="needs --run-long"))


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    """A shell in an empty folder, for the commands of a page."""
    shell = Shell(tmp_path)
    yield shell
    shell.close()
