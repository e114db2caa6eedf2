"""The settings of the server: what is refused before it listens.

Requirements: C23 (nobody gets in by a setting that nobody made).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cidrmatch.client import SingleHeader, TrustedHops, TrustedProxies
from cidrmatch.service.server.settings import Settings, SettingsError

GOOD = Settings("keys.snap", trusted=("127.0.0.1",))


def refusal_of(settings: Settings) -> str:
    with pytest.raises(SettingsError) as refused:
        settings.check()
    return str(refused.value)


@pytest.fixture
def secured(tmp_path: Path) -> Settings:
    token = tmp_path / "token"
    token.write_text("0123456789abcdef")
    return replace(GOOD, listen="0.0.0.0:9180", tls_cert="c", tls_key="k", api_token_file=str(token))


def test_settings_survive_their_way_to_a_worker() -> None:
    assert Settings.from_json(GOOD.to_json()) == GOOD


@pytest.mark.parametrize("listen", ["127.0.0.1:9180", "127.9.9.9:1", "[::1]:9180", "unix:/run/cidrmatch/s"])
def test_loopback_and_unix_sockets_need_nothing_more(listen: str) -> None:
    replace(GOOD, listen=listen).check()


@pytest.mark.parametrize("listen", ["0.0.0.0:9180", "[::]:9180", "192.0.2.1:9180", "[2001:db8::1]:443"])
def test_C23_others_reach_it_only_with_tls_and_a_token_or_said_twice(listen: str, secured: Settings) -> None:
    replace(secured, listen=listen).check()
    for missing in ({"tls_cert": None, "tls_key": None}, {"api_token_file": None}):
        bare = replace(secured, listen=listen, **missing)  # type: ignore[arg-type]
        assert "say it twice" in refusal_of(bare)
        assert "say it twice" in refusal_of(replace(bare, insecure_listen="0.0.0.0:1"))
        replace(bare, insecure_listen=listen).check()


def test_C23_admin_part_is_reached_by_others_with_tls_alone_or_said_twice(secured: Settings) -> None:
    with_store = replace(secured, snapshot="", store="sqlite:///keys.db")
    with_store.check()
    bare = replace(with_store, tls_cert=None, tls_key=None)
    assert "say it twice" in refusal_of(bare)
    replace(bare, insecure_listen=bare.listen).check()


def test_store_without_its_packages_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cidrmatch.service.server.settings.find_spec", lambda name: None if name == "psycopg" else name)
    replace(GOOD, snapshot="", store="sqlite:///keys.db").check()
    refused = refusal_of(replace(GOOD, snapshot="", store="postgresql://host/name"))
    assert refused == "--store needs psycopg: pip install 'cidrmatch[server,sql]'"


@pytest.mark.parametrize(
    "listen",
    ["", "9180", "localhost:9180", "127.0.0.1", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:65536", "unix:s"],
)
def test_address_that_is_none_is_refused(listen: str) -> None:
    assert "--listen" in refusal_of(replace(GOOD, listen=listen))


@pytest.mark.parametrize("trusted", [(), ("*",), ("0.0.0.0/0",), ("::/0",), ("::ffff:0:0/96",), ("10.0.0.0/33",)])
@pytest.mark.parametrize("client", ["x-forwarded-for", "forwarded", "header:x-real-ip", "hops:1", "nginx", "envoy"])
def test_C23_nobody_is_trusted_by_accident(client: str, trusted: tuple[str, ...]) -> None:
    assert "--trusted" in refusal_of(replace(GOOD, client=client, trusted=trusted))


def test_each_strategy_is_the_one_that_was_named() -> None:
    def made(client: str) -> object:
        return replace(GOOD, client=client).strategy()

    assert isinstance(made("x-forwarded-for"), TrustedProxies)
    assert isinstance(forwarded := made("forwarded"), TrustedProxies)
    assert forwarded.header == "forwarded"
    assert isinstance(single := made("header:x-real-ip"), SingleHeader)
    assert single.header == "x-real-ip"
    assert isinstance(made("hops:2"), TrustedHops)
    assert isinstance(made("cloudflare"), SingleHeader)


@pytest.mark.parametrize("client", ["", "hops", "hops:0", "hops:x", "header:", "header:a b", "peer", "fastly"])
def test_strategy_that_is_none_is_refused(client: str) -> None:
    assert "--client" in refusal_of(replace(GOOD, client=client))


@pytest.mark.parametrize(
    ("field", "value", "option"),
    [
        ("max_age", 1.0, "--max-age"),
        ("max_age", float("nan"), "--max-age"),
        ("max_age", float("inf"), "--max-age"),
        ("when_stale", "open", "--when-stale"),
        ("workers", 0, "--workers"),
        ("connections", 1, "--connections"),
        ("key_header", "", "--key-header"),
        ("key_header", "x api", "--key-header"),
        ("key_header", "é", "--key-header"),
        ("tls_cert", "c", "--tls-cert"),
        ("token_file", "/nowhere/token", "--token-file"),
        ("api_token_file", "/nowhere/token", "--api-token-file"),
    ],
)
def test_value_that_means_nothing_is_refused(field: str, value: object, option: str) -> None:
    assert option in refusal_of(replace(GOOD, **{field: value}))  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["", "short", "fifteen-letters", "has a space in it, and more", "ümlaut-0123456789"])
def test_token_is_long_and_visible(tmp_path: Path, text: str) -> None:
    path = tmp_path / "token"
    path.write_text(text, encoding="utf-8")
    assert "--token-file" in refusal_of(replace(GOOD, token_file=str(path)))


def test_ready_strategy_that_knows_no_unix_socket_is_refused_there() -> None:
    assert "UNIX" in refusal_of(replace(GOOD, client="nginx", listen="unix:/run/s"))
    replace(GOOD, client="header:x-real-ip", listen="unix:/run/s").check()


def test_missing_server_is_named_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {"starlette": object(), "prometheus_client": object()}
    monkeypatch.setattr("cidrmatch.service.server.settings.find_spec", found.get)
    assert refusal_of(GOOD) == "cidrmatch serve needs granian: pip install 'cidrmatch[server]'"
