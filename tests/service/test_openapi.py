"""The API against its own description: schemathesis makes requests of every kind, and each answer has to be described.

Requirements: C23 (no request is an error of ours).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings

from cidrmatch.policy.presets import PRESETS
from tests.servers import ROOT
from tests.service.serving import Server, serving

DOCUMENT = ROOT / "src/cidrmatch/service/server/openapi.json"
loaded: Any = schemathesis.openapi.from_path(DOCUMENT)
OPERATIONS = {f"{found.ok().method.upper()} {found.ok().path}": found.ok() for found in loaded.get_all_operations()}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("openapi")) as found:
        yield found


QUESTIONS = [(name, "POSITIVE") for name in OPERATIONS] + [(name, "NEGATIVE") for name in OPERATIONS if "/v1/" in name]


@pytest.mark.parametrize(("operation", "mode"), QUESTIONS)
def test_C23_every_answer_is_described(server: Server, operation: str, mode: str) -> None:
    """NEGATIVE breaks the description on purpose; where nothing is asked, there is nothing to break."""
    cases = OPERATIONS[operation].as_strategy(generation_mode=schemathesis.GenerationMode[mode])

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(case=cases)
    def ask(case: Any) -> None:
        case.call_and_validate(base_url=f"http://127.0.0.1:{server.target}")

    ask()


def test_description_names_the_presets_that_there_are(server: Server) -> None:
    document = json.loads(server.get("/openapi.json").body)
    assert document["components"]["schemas"]["Preset"]["enum"] == list(PRESETS)
