"""The admin API against its own description: schemathesis makes requests of every kind, and each answer is described.

What a request asks for may be against the rules of the product, or about a key that is not there.  A schema cannot say
that, so a request that fits its schema may be refused, in the described way.

Requirements: C23 (no request is an error of ours).
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import CHECKS

from cidrmatch.service.server.admin.described import describe
from cidrmatch.service.server.admin.operations import OPERATIONS, ROOT
from tests.servers import ROOT as FOLDER
from tests.service.admin_stand import Stand, serving_store

DOCUMENT = describe(json.loads((FOLDER / "src/cidrmatch/service/server/openapi.json").read_bytes()))


def found_in(document: Any) -> dict[str, Any]:
    """Give the operations of a document by method and path.  To refuse a body that is too large (413) is right, too."""
    loaded: Any = schemathesis.openapi.from_dict(document)
    rejection = loaded.config.checks.negative_data_rejection
    rejection.expected_statuses = [*rejection.expected_statuses, "413"]
    found = (each.ok() for each in loaded.get_all_operations())
    return {f"{each.method.upper()} {each.path}": each for each in found if ROOT in each.path}


def without_security(document: Any) -> Any:
    """Leave the tokens out: a wrong token is overwritten by ours, and would not be the mistake that is looked for."""
    paths = {path: {name: {**each, "security": []} for name, each in methods.items()}
             for path, methods in document["paths"].items()}  # fmt: skip
    return {**document, "paths": paths}


FOUND = {"POSITIVE": found_in(DOCUMENT), "NEGATIVE": found_in(without_security(DOCUMENT))}
NAMES = sorted(FOUND["POSITIVE"], key=lambda name: "/rules" in name)  # those change what the others meet
OF_RULES = CHECKS.get_by_names(["positive_data_acceptance"])


def _says_something(operation: Any) -> bool:
    """Whether a request says something that could be wrong; any text may be the name of a key."""
    return any(each["in"] != "path" for each in operation["parameters"]) or "requestBody" in operation


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    with serving_store(tmp_path_factory.mktemp("openapi")) as found:
        yield found


QUESTIONS = [(name, "POSITIVE") for name in NAMES]
QUESTIONS += [(name, "NEGATIVE") for name in NAMES if _says_something(FOUND["NEGATIVE"][name].definition.raw)]


@pytest.mark.parametrize(("operation", "mode"), QUESTIONS)
def test_C23_every_answer_is_described(stand: Stand, operation: str, mode: str) -> None:
    """NEGATIVE breaks the description on purpose."""
    logging.getLogger("hypothesis").setLevel(logging.ERROR)
    cases = FOUND[mode][operation].as_strategy(generation_mode=schemathesis.GenerationMode[mode])

    @settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
    @given(case=cases)
    def ask(case: Any) -> None:
        headers = {"Authorization": f"Bearer {stand.tokens['admin']}"}
        case.call_and_validate(base_url=stand.base, headers=headers, excluded_checks=OF_RULES)

    ask()


def test_served_document_is_the_described_one(stand: Stand) -> None:
    served = stand.client.get(f"{stand.base}/openapi.json").json()
    assert served == DOCUMENT
    described = {(method.upper(), path) for path, methods in served["paths"].items() for method in methods}
    assert described >= {(each.method, ROOT + each.path) for each in OPERATIONS}
