"""What a denied client is told: each product's form by the letter, and what is never shown."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from cidrmatch import Decision, Engine, KeyRules, Policy, Reason, Response, presets
from cidrmatch.policy.responses import RENDERERS, render

LISTED, UNLISTED = "203.0.113.5", "198.51.100.9"


def deny(policy: Policy, key: str = "key_1", client: object = UNLISTED) -> Decision:
    engine = Engine(policy)
    engine.put_list("office", [LISTED], description="what for")
    engine.put_key("key_1", lists=["office"])
    return engine.check(key, client)


def problem(status: int, title: str, reason: Reason) -> dict[str, Any]:
    return {"type": "about:blank", "title": title, "status": status, "detail": reason.text, "reason": str(reason)}


def headers_of(response: Response) -> dict[str, str]:
    return dict(response.headers)


def test_B3_bitbybit_body_by_the_letter() -> None:
    response = deny(presets.bitbybit()).response()
    assert response.status == 403
    assert response.body == (
        b'{"error":{"code":"IP_NOT_ALLOWED","message":"Request IP address is not in the API key\'s allowlist"}}'
    )
    assert headers_of(response) == {
        "content-type": "application/json",
        "content-length": str(len(response.body)),
        "cache-control": "no-store",
    }


def test_U8_unkey_body_by_the_letter() -> None:
    response = deny(presets.unkey()).response()
    assert response.body == b'{"data":{"valid":false,"code":"FORBIDDEN","keyId":"key_1"}}'
    assert response.status == 403


@pytest.mark.parametrize("policy", [presets.pigment(), Policy()])
def test_C12_silent_products_speak_rfc_9457(policy: Policy) -> None:
    response = deny(policy).response()
    assert response.status == 403
    assert headers_of(response)["content-type"] == "application/problem+json"
    assert json.loads(response.body) == problem(403, "Forbidden", Reason.NOT_LISTED)


@pytest.mark.parametrize("policy", [presets.bitbybit(), presets.unkey(), presets.pigment()])
def test_unknown_key_is_a_401_problem_for_every_product(policy: Policy) -> None:
    response = deny(policy, key="nobody").response()
    assert response.status == 401
    assert json.loads(response.body) == problem(401, "Unauthorized", Reason.UNKNOWN_KEY)
    assert b"nobody" not in response.body


@pytest.mark.parametrize("policy", [presets.bitbybit(), presets.unkey(), presets.pigment()])
@pytest.mark.parametrize("client", [UNLISTED, "2001:db8::1", None, "junk"])
def test_C26_address_is_shown_only_when_asked_for(policy: Policy, client: object) -> None:
    decision = deny(policy, client=client)
    assert str(client).encode() not in decision.response().body
    body = json.loads(decision.response(show_address=True).body)
    [shown] = [part["address"] for part in (body, body.get("error", {}), body.get("data", {})) if "address" in part]
    assert shown == (client if client in (UNLISTED, "2001:db8::1") else None)


def test_C13_our_reason_is_never_in_a_prescribed_body() -> None:
    for policy in (presets.bitbybit(), presets.unkey()):
        for reason_text in (str(Reason.NOT_LISTED), Reason.NOT_LISTED.text, str(Reason.CLIENT_IP_UNKNOWN)):
            assert reason_text.encode() not in deny(policy).response().body
            assert reason_text.encode() not in deny(policy, client=None).response().body


@pytest.mark.parametrize("policy", [presets.bitbybit(), presets.unkey(), presets.pigment()])
def test_allowed_request_has_no_response(policy: Policy) -> None:
    decision = deny(policy, client=LISTED)
    assert decision.allowed
    shows: tuple[Callable[[], Response], ...] = (decision.response, lambda: render(decision))
    for show in shows:
        with pytest.raises(ValueError, match="nothing to refuse"):
            show()


@pytest.mark.parametrize("key", ['"}', "ключ", "\ud800", "a\nb\0", "<script>"], ids=ascii)
def test_key_of_any_text_makes_valid_json(key: str) -> None:
    engine = Engine(presets.unkey())
    engine.put_key(key, [LISTED])
    response = engine.check(key, UNLISTED).response()
    assert json.loads(response.body)["data"]["keyId"] == key
    assert headers_of(response)["content-length"] == str(len(response.body))


def test_renderer_is_chosen_by_the_policy_and_a_wrong_name_is_heard() -> None:
    assert set(RENDERERS) == {"problem", "bitbybit", "unkey"}
    for name in RENDERERS:
        assert deny(Policy(keys=KeyRules(response=name))).response() == render(
            deny(Policy(keys=KeyRules(response=name)))
        )
    with pytest.raises(KeyError):
        deny(Policy(keys=KeyRules(response="no such"))).response()


def test_every_reason_has_a_sentence() -> None:
    assert len({reason.text for reason in Reason}) == len(Reason)
    assert str(Reason.NOT_LISTED) == "ip_not_listed"
    assert f"{Reason.MATCHED}" == "matched"
