"""Envoy's question by gRPC: the messages, the rules, and a real client over a real port.

Messages are made and read by the code generated from Envoy's files, so a wrong number of a field is noticed.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import grpc
import pytest

from cidrmatch import Engine, presets
from cidrmatch.client import ClientAddress, PeerAddress, TrustedProxies
from cidrmatch.gateways.guard import Guard, GuardDecision
from cidrmatch.service.server import envoy
from cidrmatch.service.server.settings import Settings, SettingsError
from tests.servers import ROOT, free_port
from tests.service.envoy_messages import Answer, Line, empty, question, read
from tests.service.serving import environment, envoy_words, serving_envoy

HOME, AWAY, PROXY = "203.0.113.9", "198.51.100.7", "10.0.0.7"
TOKEN = "a-token-that-is-long-enough"
KEY: Line = ("x-api-key", "key_1")
REFUSED = '{"error":{"code":"IP_NOT_ALLOWED","message":"Request IP address is not in the API key\'s allowlist"}}'
OK, PERMISSION_DENIED, UNAUTHENTICATED = 0, 7, 16


def make_engine() -> Engine:
    engine = Engine(presets.bitbybit())
    engine.put_key("key_1", ["203.0.113.0/24", "2001:db8::/48", "127.0.0.9"])
    engine.put_key("key_!", ["203.0.113.0/24"])
    engine.put_key("key_1,key_1", ["203.0.113.0/24"])
    return engine


def make_check(client: Any = None, notes: list[tuple[GuardDecision, float]] | None = None, **more: Any) -> Any:
    guard = Guard(make_engine(), client or PeerAddress())
    noted = [] if notes is None else notes
    facts = {"key_header": "x-api-key", "token": TOKEN, "note": lambda *found: noted.append(found), **more}
    return envoy.EnvoyCheck(guard, facts["key_header"], facts["token"], facts["note"])


def ask(source: str | None, *lines: Line, raw: bool = True, client: Any = None) -> Answer:
    return read(make_check(client).answer(question(source, *lines, raw=raw)))


# The messages


HOMES = {
    "envoy.service.auth.v3.external_auth_pb2": (
        "CheckRequest", "CheckResponse", "DeniedHttpResponse", "OkHttpResponse",
    ),
    "envoy.service.auth.v3.attribute_context_pb2": (
        "AttributeContext", "AttributeContext.Peer", "AttributeContext.Request", "AttributeContext.HttpRequest",
    ),
    "envoy.config.core.v3.address_pb2": ("Address", "SocketAddress"),
    "envoy.config.core.v3.base_pb2": ("HeaderMap", "HeaderValue", "HeaderValueOption"),
    "envoy.type.v3.http_status_pb2": ("HttpStatus",),
    "google.rpc.status_pb2": ("Status",),
}  # fmt: skip
PUBLISHED = [(module, name) for module, names in HOMES.items() for name in names]
ON_THE_WIRE = {"ENUM": "INT32", "STRING": "BYTES"}


def kind_of(field: Any) -> tuple[str, bool]:
    kinds = {value: name.removeprefix("TYPE_") for name, value in vars(type(field)).items() if name.startswith("TYPE_")}
    kind = kinds[field.type]
    return ON_THE_WIRE.get(kind, kind), field.is_repeated


@pytest.mark.parametrize(("module", "name"), PUBLISHED)
def test_every_field_has_the_number_and_the_type_that_envoy_published(module: str, name: str) -> None:
    theirs: Any = import_module(module)
    for part in name.split("."):
        theirs = getattr(theirs, part)
    ours = envoy.message_class(name.rpartition(".")[2]).DESCRIPTOR
    assert ours.fields
    for field in ours.fields:
        published = theirs.DESCRIPTOR.fields_by_name[field.name]
        assert field.number == published.number
        assert kind_of(field) == kind_of(published)
        if field.message_type is not None and not published.message_type.GetOptions().map_entry:
            assert field.message_type.name == published.message_type.name


def test_every_message_is_compared_with_the_published_one() -> None:
    made = {name.rpartition(".")[2] for _, name in PUBLISHED}
    assert made == set(envoy.message_class("CheckRequest").DESCRIPTOR.file.message_types_by_name)


def test_the_method_has_the_published_name() -> None:
    theirs: Any = import_module("envoy.service.auth.v3.external_auth_pb2")
    assert list(theirs.DESCRIPTOR.services_by_name) == [envoy.SERVICE.rpartition(".")[2]]
    assert theirs.DESCRIPTOR.package == envoy.SERVICE.rpartition(".")[0]


# The rules


def test_an_allowance_carries_the_token_and_the_reason() -> None:
    said = ask(HOME, KEY)
    assert (said.code, said.body) == (OK, "")
    assert said.headers == {
        "x-cidrmatch-reason": "matched", "x-cidrmatch-state": "restricted", "x-cidrmatch-token": TOKEN,
    }  # fmt: skip


def test_no_answer_is_that_of_another_request() -> None:
    engine = make_engine()
    engine.put_key("open")
    check = envoy.EnvoyCheck(Guard(engine, PeerAddress()), "x-api-key", TOKEN, lambda *_: None)
    for _ in range(2):
        for source, key, code, state in (
            (HOME, "key_1", OK, "restricted"),
            (AWAY, "open", OK, "unrestricted"),
            (AWAY, "key_1", PERMISSION_DENIED, "restricted"),
            (AWAY, "key_2", UNAUTHENTICATED, None),
        ):
            said = read(check.answer(question(source, ("x-api-key", key))))
            assert (said.code, said.headers.get("x-cidrmatch-state")) == (code, state)
            assert ("x-cidrmatch-token" in said.headers) is (code == OK)


def test_a_denial_is_the_response_of_the_product() -> None:
    said = ask(AWAY, KEY)
    assert (said.code, said.status, said.body) == (PERMISSION_DENIED, 403, REFUSED)
    assert said.headers == {
        "x-cidrmatch-reason": "ip_not_listed", "x-cidrmatch-state": "restricted",
        "content-type": "application/json", "cache-control": "no-store",
    }  # fmt: skip


@pytest.mark.parametrize("raw", [True, False])
@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ([], "no_key"),
        ([("x-api-key", "")], "no_key"),
        ([KEY, KEY], "no_key"),
        ([KEY, ("x-api-key", "")], "no_key"),
        ([("x-api-key", "key_1,key_1")], "no_key"),
        ([("x-api-key", "key_2")], "unknown_key"),
        ([("x-api-keys", "key_1")], "no_key"),
    ],
)
def test_without_one_known_key_nobody_is_authenticated(lines: list[Line], reason: str, raw: bool) -> None:
    said = ask(HOME, *lines, raw=raw)
    assert (said.code, said.status, said.headers["x-cidrmatch-reason"]) == (UNAUTHENTICATED, 401, reason)
    assert json.loads(said.body)["status"] == 401


def test_bytes_that_are_no_text_are_no_key() -> None:
    assert ask(HOME, ("x-api-key", b"key_\xff")).headers["x-cidrmatch-reason"] == "no_key"


def test_a_mark_that_may_stand_for_another_byte_is_no_key() -> None:
    for name in ("x-api-key", "X-API-Key"):
        assert ask(HOME, (name, "key_!"), raw=False).headers["x-cidrmatch-reason"] == "no_key"
    assert ask(HOME, ("x-api-key", "key_!"), raw=True).code == OK


def test_names_of_headers_have_no_case() -> None:
    assert ask(HOME, ("X-API-Key", "key_1"), raw=False).code == OK
    assert ask(HOME, ("X-API-Key", "key_1"), KEY, raw=False).headers["x-cidrmatch-reason"] == "no_key"


def test_authorization_is_a_bearer_and_two_joined_ones_are_none() -> None:
    check = make_check(key_header="authorization")
    assert read(check.answer(question(HOME, ("authorization", "Bearer key_1")))).code == OK
    for value in ("Bearer key_1,Bearer key_1", "Bearer key_1, Bearer key_2", "Basic key_1", "Bearer "):
        said = read(check.answer(question(HOME, ("authorization", value))))
        assert said.headers["x-cidrmatch-reason"] == "no_key", value


@pytest.mark.parametrize(
    ("source", "code"),
    [
        *((text, OK) for text in (HOME, "2001:db8::9", "2001:0DB8:0::0009", "::ffff:203.0.113.9")),
        *((text, PERMISSION_DENIED) for text in (AWAY, "2001:db9::9", "2001:db8::9%eth0", "[2001:db8::9]")),
        *(
            (text, PERMISSION_DENIED)
            for text in ("203.0.113.9:4711", "shop.example", "unix", "203.0.113.9\n", "", None)
        ),
    ],
)
def test_the_source_is_the_peer(source: str | None, code: int) -> None:
    assert ask(source, KEY).code == code


LOCAL = TrustedProxies([], unix=True)


@pytest.mark.parametrize("client", [PeerAddress(), LOCAL, TrustedProxies(["10.0.0.0/8"], unix=True)])
def test_a_source_without_an_address_is_nobody_even_where_a_unix_socket_is_trusted(client: Any) -> None:
    lines = (KEY, ("x-forwarded-for", HOME))
    assert LOCAL.find(None, [("x-forwarded-for", HOME)]).address == HOME
    check = make_check(client)
    asked = empty()
    asked.ParseFromString(question(None, *lines))
    address = asked.attributes.source.address
    for set_source in (
        lambda: None,
        lambda: address.pipe.__setattr__("path", "/run/envoy.sock"),
        lambda: address.envoy_internal_address.__setattr__("server_listener_name", "inner"),
        lambda: address.socket_address.__setattr__("address", ""),
    ):
        set_source()
        said = read(check.answer(asked.SerializeToString()))
        assert (said.code, said.body) == (PERMISSION_DENIED, REFUSED)


@pytest.mark.parametrize("raw", [True, False])
def test_a_header_is_read_only_if_the_source_is_trusted(raw: bool) -> None:
    behind = TrustedProxies(["10.0.0.0/8"])

    def code(source: str, *lines: str, client: Any = behind) -> int:
        return ask(source, KEY, *(("x-forwarded-for", line) for line in lines), raw=raw, client=client).code

    assert code(PROXY, HOME) == OK
    assert code(PROXY, f"6.6.6.6,{HOME},10.0.0.8") == OK
    assert code(PROXY, "6.6.6.6", HOME) == OK
    assert code(PROXY, HOME, AWAY) == PERMISSION_DENIED
    assert code(PROXY) == PERMISSION_DENIED
    assert code(PROXY, f"{HOME},") == OK
    assert code(PROXY, f"{HOME},!") == PERMISSION_DENIED
    assert code(AWAY, HOME) == PERMISSION_DENIED
    assert code(HOME, AWAY) == OK
    assert code(AWAY, HOME, client=PeerAddress()) == PERMISSION_DENIED


def test_a_message_that_cannot_be_read_is_denied_and_noted() -> None:
    notes: list[tuple[GuardDecision, float]] = []
    check = make_check(notes=notes)
    both = empty()
    both.ParseFromString(question(HOME, KEY))
    both.attributes.request.http.headers["x-api-key"] = "key_1"
    whole = question(HOME, KEY)
    broken = [b"\xff", whole[:-1], whole + b"\x0a", b"\x0a\x05\x0a\x03\x0a\x01\xff", both.SerializeToString()]
    broken.append(whole.replace(b"203.0.113.9", b"203.0.113.\xff"))
    for message in broken:
        said = read(check.answer(message))
        assert (said.code, said.status, said.headers["x-cidrmatch-reason"]) == (PERMISSION_DENIED, 503, "guard_error")
    assert [(found.allowed, found.reason) for found, _ in notes] == [(False, "guard_error")] * len(broken)
    assert read(check.answer(b"")).headers["x-cidrmatch-reason"] == "no_key"


class Raising:
    """A strategy of the host with a mistake."""

    def find(self, peer: str | None, headers: Any = (), /) -> ClientAddress:
        raise ZeroDivisionError


def test_what_raises_denies() -> None:
    assert ask(HOME, KEY, client=Raising()).status == 503

    def note(found: GuardDecision, seconds: float) -> None:
        raise OSError

    said = read(make_check(note=note).answer(question(HOME, KEY)))
    assert said == Answer(PERMISSION_DENIED, 503, {}, "")


def test_without_a_token_the_answer_has_none() -> None:
    said = read(make_check(token=None).answer(question(HOME, KEY)))
    assert said.code == OK
    assert said.headers["x-cidrmatch-token"] == ""


def test_headers_of_ours_that_have_no_value_are_taken_off_the_request() -> None:
    engine = Engine(presets.bitbybit(), unknown_key="pass")
    check = envoy.EnvoyCheck(Guard(engine, PeerAddress()), "x-api-key", TOKEN, lambda *_: None)
    said = read(check.answer(question(AWAY, KEY, ("x-cidrmatch-state", "forged"))))
    assert said.code == OK
    assert said.headers["x-cidrmatch-state"] == ""
    assert said.headers["x-cidrmatch-token"] == TOKEN


# The settings


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"grpc_listen": "0.0.0.0:9181"}, "others reach 0.0.0.0:9181, and gRPC has no TLS here; say it twice"),
        ({"grpc_listen": "[::]:9181", "insecure_grpc_listen": "0.0.0.0:9181"}, "others reach"),
        ({"grpc_listen": "127.0.0.1:9181", "listen": "127.0.0.1:9181"}, "another port"),
        ({"grpc_listen": "127.0.0.2:9180"}, "another port"),
        ({"grpc_listen": "localhost:9181"}, "--grpc-listen is an address and a port, not"),
        ({"grpc_listen": "unix:/run/a"}, "--grpc-listen is an address and a port, not"),
        ({"grpc_listen": "127.0.0.1:0"}, "--grpc-listen: a port is 1 to 65535, not 0"),
        ({}, "--client peer needs --grpc-listen"),
        ({"grpc_listen": "127.0.0.1:9181", "trusted": ("10.0.0.7",)}, "nobody to trust"),
    ],
)
def test_settings_that_open_a_door_are_refused(more: dict[str, Any], said: str) -> None:
    settings = Settings("keys.snap", **{"client": "peer", **more})
    with pytest.raises(SettingsError, match=re.escape(said)):
        settings.check()


@pytest.mark.parametrize(
    "more",
    [
        {"grpc_listen": "127.0.0.1:9181"},
        {"grpc_listen": "[::1]:9181"},
        {"grpc_listen": "0.0.0.0:9181", "insecure_grpc_listen": "0.0.0.0:9181"},
        {"grpc_listen": "127.0.0.1:9180", "listen": "unix:/run/a"},
        {"grpc_listen": "127.0.0.1:9181", "client": "envoy", "trusted": ("10.0.0.7",)},
    ],
)
def test_settings_that_close_it_are_taken(more: dict[str, Any]) -> None:
    settings = Settings("keys.snap", **{"client": "peer", **more})
    settings.check()
    assert Settings.from_json(settings.to_json()) == settings


@pytest.mark.parametrize("missing", ["grpc", "google.protobuf", "google"])
def test_without_the_extra_the_setting_is_refused(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def find(name: str) -> object:
        if name == missing:
            return None
        if name.startswith(f"{missing}."):
            raise ModuleNotFoundError(name)
        return object()

    monkeypatch.setattr("cidrmatch.service.server.settings.find_spec", find)
    said = rf"--grpc-listen needs {re.escape(missing)}[a-z.]*: pip install 'cidrmatch\[server-grpc\]'"
    with pytest.raises(SettingsError, match=said):
        Settings("keys.snap", client="peer", grpc_listen="127.0.0.1:9181").check()
    Settings("keys.snap", trusted=("10.0.0.7",)).check()


# The server


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("envoy")
    make_engine().save(folder / "keys.snap")
    folder.joinpath("token").write_text(TOKEN, encoding="ascii")
    return folder


@pytest.fixture(scope="module")
def ports(folder: Path) -> Iterator[tuple[int, int]]:
    """A server with two workers, for Envoy at the edge."""
    with serving_envoy(folder, "--client=peer", "--workers=2") as (http, port, _):
        yield http, port


@contextmanager
def channel(port: int) -> Iterator[Any]:
    with grpc.insecure_channel(f"127.0.0.1:{port}", options=[("grpc.enable_http_proxy", 0)]) as opened:
        yield opened.unary_unary(f"/{envoy.SERVICE}/Check")


def call(port: int, message: bytes, *metadata: tuple[str, str]) -> Answer:
    with channel(port) as method:
        return read(method(message, metadata=metadata, timeout=30, wait_for_ready=True))


def test_a_real_client_gets_the_answers(ports: tuple[int, int]) -> None:
    assert call(ports[1], question(HOME, KEY)).headers["x-cidrmatch-token"] == TOKEN
    assert call(ports[1], question("2001:db8::1", KEY)).code == OK
    assert call(ports[1], question(AWAY, KEY)).body == REFUSED
    assert call(ports[1], question(HOME)).code == UNAUTHENTICATED
    assert call(ports[1], b"\xff").status == 503


def test_metadata_of_the_call_is_no_header_of_the_request(ports: tuple[int, int]) -> None:
    said = call(ports[1], question(AWAY, KEY), ("x-forwarded-for", HOME), ("x-api-key", "key_1"))
    assert said.code == PERMISSION_DENIED
    assert call(ports[1], question(HOME), ("x-api-key", "key_1")).code == UNAUTHENTICATED


def test_a_question_has_a_bound(ports: tuple[int, int]) -> None:
    fits = question(HOME, KEY, ("x-long", "x" * 60_000))
    assert call(ports[1], fits).code == OK
    with channel(ports[1]) as method, pytest.raises(grpc.RpcError) as caught:
        method(question(HOME, KEY, ("x-long", "x" * envoy.MOST_BYTES)), timeout=30, wait_for_ready=True)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def get(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
            f"http://127.0.0.1:{port}{path}", timeout=30
        ) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def decisions(port: int) -> dict[str, float]:
    found = re.findall(
        r'^cidrmatch_decisions_total\{.*reason="(\w+)".*\} (\S+)$', get(port, "/metrics")[1], re.MULTILINE
    )
    return {reason: float(count) for reason, count in found}


def test_decisions_of_all_workers_are_counted(ports: tuple[int, int]) -> None:
    before = decisions(ports[0])
    for _ in range(20):  # a connection each, so that both workers have some
        call(ports[1], question(AWAY, KEY))
    after = decisions(ports[0])
    assert after["ip_not_listed"] - before.get("ip_not_listed", 0) == 20


def test_where_the_peer_is_the_client_no_gateway_asks_by_http(ports: tuple[int, int]) -> None:
    for path in ("/auth", "/auth/quiet", "/envoy/orders"):
        assert get(ports[0], path)[0] == 404
    assert get(ports[0], "/livez")[0] == 200


def test_a_port_of_somebody_else_is_not_shared(folder: Path, ports: tuple[int, int]) -> None:
    second = envoy_words(folder, free_port(), ports[1], "--client=peer")
    done = subprocess.run(second, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode != 0
    assert "Address already in use" in done.stderr


def test_the_server_stops_and_another_takes_the_port(folder: Path) -> None:
    http, port = free_port(), free_port()
    for _ in range(2):
        options = ("--client=envoy", "--trusted=10.0.0.7")
        with serving_envoy(folder, *options, http=http, port=port) as (_, _, process):
            assert call(port, question(PROXY, KEY, ("x-forwarded-for", HOME))).code == OK
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
