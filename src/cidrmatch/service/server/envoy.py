"""Envoy's question by gRPC: `envoy.service.auth.v3.Authorization/Check`, the filter ext_authz with gRPC.

    client --> Envoy --CheckRequest: source address, header lines--> Check --> guard
                 '<--CheckResponse: OK with headers for the request, or the product's denial--'

The peer is `attributes.source`, the other end of Envoy's own connection.  Nothing else says it: neither the connection
of this call nor its metadata.  So with Envoy at the edge the peer is the client, and "peer" is the strategy.  With a
proxy in front of Envoy, the peer is that proxy, and a strategy reads the header that it wrote.  A source that is a UNIX
socket, or that is missing, is nobody: a key with a list is denied, and a key that is open to every address passes.

Envoy sends the lines of the request in one of two fields:

    header_map   (13)   with encode_raw_headers: each line as it came, as bytes
    headers       (3)   without: lines of one name joined by ",", and "!" for bytes that are no UTF-8

Envoy joins lines of some names, such as Authorization, in both fields.  So a line of the key with a comma is no key, as
two lines are none.  In `headers` a line with "!" is no key either, because the client may have sent another byte there.

A message that cannot be read is denied, and so is one with both fields.  The answer is always a CheckResponse, never an
error of gRPC, which failure_mode_allow would let pass.  One thing is an error: a message of more than 64 KiB.

The messages below have the field numbers that Envoy published, and only the fields that are read or written here.  A
map has the wire format of repeated pairs, so `headers` is declared as such.  They are made in a pool of their own, and
meet no other declaration of these messages in the process.

Cost: the guard's, and that of gRPC in Python.
Threads: one event loop.
Source: Envoy's API v3: service/auth/v3/external_auth.proto and attribute_context.proto, config/core/v3/base.proto and
address.proto, type/v3/http_status.proto; google/rpc/status.proto; B2, B3, B7, U7; C23.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

import grpc
import grpc.aio
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from ...client import UNKNOWN_PEER
from .forward import Answerer, facts_of, kind_of
from .recording import path_of, text_of

if TYPE_CHECKING:
    from ..._keys import Response
    from ...gateways.guard import GuardDecision
    from ..usage.log import UsageLog
    from .forward import Kind, Lines

__all__ = ["MOST_BYTES", "SERVICE", "EnvoyCheck", "listening", "message_class"]

MOST_BYTES: Final = 65_536
"""The most bytes of a question; Envoy's own bound for the head of a request is 60 KiB."""
SERVICE: Final = "envoy.service.auth.v3.Authorization"

_OK, _PERMISSION_DENIED, _UNAUTHENTICATED = 0, 7, 16
_OVERWRITE_IF_EXISTS_OR_ADD = 2
_OURS = ("x-cidrmatch-reason", "x-cidrmatch-state", "x-cidrmatch-token")
_STOP_SECONDS = 5.0
_log = logging.getLogger(__name__)

_FIELDS: dict[str, dict[str, tuple[int, str]]] = {
    "CheckRequest": {"attributes": (1, "AttributeContext")},
    "AttributeContext": {"source": (1, "Peer"), "request": (4, "Request")},
    "Peer": {"address": (1, "Address")},
    "Address": {"socket_address": (1, "SocketAddress")},
    "SocketAddress": {"address": (2, "string")},
    "Request": {"http": (2, "HttpRequest")},
    "HttpRequest": {
        "id": (1, "bytes"),
        "method": (2, "bytes"),
        "headers": (3, "HeaderValue..."),
        "path": (4, "bytes"),
        "header_map": (13, "HeaderMap"),
    },
    "HeaderMap": {"headers": (1, "HeaderValue...")},
    "HeaderValue": {"key": (1, "string"), "value": (2, "string"), "raw_value": (3, "bytes")},
    "CheckResponse": {
        "status": (1, "Status"),
        "denied_response": (2, "DeniedHttpResponse"),
        "ok_response": (3, "OkHttpResponse"),
    },
    "Status": {"code": (1, "int32")},
    "DeniedHttpResponse": {"status": (1, "HttpStatus"), "headers": (2, "HeaderValueOption..."), "body": (3, "string")},
    "OkHttpResponse": {"headers": (2, "HeaderValueOption..."), "headers_to_remove": (5, "string...")},
    "HttpStatus": {"code": (1, "int32")},
    "HeaderValueOption": {"header": (1, "HeaderValue"), "append_action": (3, "int32")},
}
"""The messages: a field's number and type.  "..." is repeated, and an enum has the wire format of an int32.

A path need not be UTF-8, so it is bytes here; a text has the same wire format.
"""


def _make_pool() -> Any:
    protos: Any = descriptor_pb2  # its classes are made when it is imported
    kinds = protos.FieldDescriptorProto
    file = protos.FileDescriptorProto(name="envoy_check.proto", package="cidrmatch", syntax="proto3")
    for name, fields in _FIELDS.items():
        message = file.message_type.add(name=name)
        for field, (number, kind) in fields.items():
            element = kind.removesuffix("...")
            label = kinds.LABEL_OPTIONAL if element == kind else kinds.LABEL_REPEATED
            made = message.field.add(name=field, number=number, label=label)
            if element in _FIELDS:
                made.type, made.type_name = kinds.TYPE_MESSAGE, f".cidrmatch.{element}"
            else:
                made.type = kinds.Type.Value(f"TYPE_{element.upper()}")
    pool: Any = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return pool


_pool = _make_pool()


def message_class(name: str) -> Any:
    """Give the class of a message by its name in Envoy's API, without what is around it."""
    return message_factory.GetMessageClass(_pool.FindMessageTypeByName(f"cidrmatch.{name}"))


_CheckRequest, _CheckResponse = message_class("CheckRequest"), message_class("CheckResponse")


class EnvoyCheck(Answerer):
    """EnvoyCheck(guard, key_header, token, note, usage=...): answer the questions that Envoy asks by gRPC."""

    def __init__(self, *arguments: Any, usage: UsageLog | None = None) -> None:
        super().__init__(*arguments)
        self._usage = usage
        self._allowances: dict[Kind, bytes] = {}

    async def check(self, message: bytes, context: object) -> bytes:  # noqa: ARG002  its peer is Envoy
        """Answer one CheckRequest by a CheckResponse, both as bytes."""
        return self.answer(message)

    def answer(self, message: bytes) -> bytes:
        """Answer one question; whatever raises, the answer is a denial."""
        try:
            started = perf_counter()
            found, http = self.decide(message)
            denial = None if found.allowed else found.response()
            if self._usage is not None:
                _note(self._usage, found, http, None if denial is None else denial.status, perf_counter() - started)
            kind = kind_of(found)
            return self._allowance(kind) if denial is None else _denial(denial, facts_of(kind))
        except Exception:
            _log.exception("a request was denied because its answer could not be made")
            return _REFUSED

    def decide(self, message: bytes) -> tuple[GuardDecision, Any]:
        """Decide about the request that a message describes; a message that cannot be read is denied.

        Returns:
            The decision, and the part of the message about HTTP; None if it cannot be read.
        """
        http = None
        try:
            attributes = _CheckRequest.FromString(message).attributes
            http = attributes.request.http
            peer, headers = self.origin_of(attributes)
        except Exception as error:  # whatever it is, nobody gets in by it
            return self.fail(error), http
        return self.ask(peer, headers), http

    def _allowance(self, kind: Kind) -> bytes:
        """Let the request pass, and leave no header of ours as the client sent it.

        An answer is made once for each reason and state, because making it takes as long as the decision.
        """
        made = self._allowances.get(kind)
        if made is None:
            told = _texts_of([*facts_of(kind), *self.proof])
            names = {name for name, _ in told}
            options = [_option(name, value) for name, value in told]
            removed = [name for name in _OURS if name not in names]
            made = _response_of(_OK, ok_response={"headers": options, "headers_to_remove": removed})
            self._allowances[kind] = made
        return made

    def origin_of(self, attributes: Any) -> tuple[str, Lines]:
        """Give the other end of Envoy's connection, and the lines of the request.

        Raises:
            ValueError: the message has both kinds of headers.
        """
        http = attributes.request.http
        joined, raw = http.headers, http.header_map.headers
        if joined and raw:
            raise ValueError("a request has headers or header_map, not both")
        lines = [(line.key.lower().encode(), line.raw_value or line.value.encode()) for line in raw or joined]
        doubtful = b",!" if joined else b","
        for name, value in lines[:]:
            if name == self.key_header and not set(doubtful).isdisjoint(value):
                lines.append((name, b""))  # two lines are no key
        return attributes.source.address.socket_address.address or UNKNOWN_PEER, lines


def _note(log: UsageLog, found: GuardDecision, http: Any, status: int | None, seconds: float) -> None:
    """Note a question in the usage log; `http` is None for a message that cannot be read."""
    told = (b"", b"", b"") if http is None else (http.method, http.path, http.id)
    method, path, request_id = (text_of(value or None) for value in told)
    log.note(found, method=method, path=path_of(path), status=status, request_id=request_id, seconds=seconds)


def _option(name: str, value: str) -> dict[str, object]:
    """Make a header that takes the place of what the client sent by this name."""
    return {"header": {"key": name, "value": value}, "append_action": _OVERWRITE_IF_EXISTS_OR_ADD}


def _texts_of(lines: Lines) -> list[tuple[str, str]]:
    return [(name.decode("ascii"), value.decode("ascii")) for name, value in lines]


def _denial(denial: Response, facts: Lines) -> bytes:
    """Give the product's response; Envoy counts the bytes of the body itself."""
    told = _texts_of(facts) + [(name, value) for name, value in denial.headers if name != "content-length"]
    return _refusal(denial.status, told, denial.body.decode("utf-8"))


def _refusal(status: int, told: list[tuple[str, str]], body: str) -> bytes:
    options = [_option(name, value) for name, value in told]
    response = {"status": {"code": status}, "headers": options, "body": body}
    code = _UNAUTHENTICATED if status == 401 else _PERMISSION_DENIED
    return _response_of(code, denied_response=response)


def _response_of(code: int, **response: object) -> bytes:
    made: bytes = _CheckResponse(status={"code": code}, **response).SerializeToString()
    return made


_REFUSED = _refusal(503, [], "")


@asynccontextmanager
async def listening(check: EnvoyCheck, host: str, port: int) -> AsyncIterator[None]:
    """Answer by gRPC on a port that the workers share, until the block ends.

    Raises:
        RuntimeError: the port is not free.
    """
    server = grpc.aio.server(options=[("grpc.max_receive_message_length", MOST_BYTES), ("grpc.so_reuseport", 1)])
    handlers: dict[str, Any] = {"Check": grpc.unary_unary_rpc_method_handler(check.check)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    if server.add_insecure_port(f"[{host}]:{port}" if ":" in host else f"{host}:{port}") != port:
        raise RuntimeError(f"gRPC cannot listen on {host}, port {port}")
    await server.start()
    try:
        yield
    finally:
        await server.stop(_STOP_SECONDS)
