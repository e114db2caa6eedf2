"""Messages between Envoy and the server, made and read by the code that was generated from Envoy's own files.

question("203.0.113.9", ("x-api-key", "key_1"))     the bytes of a CheckRequest, as Envoy fills it
read(answer)                                        what a CheckResponse says
"""

from __future__ import annotations

from typing import Any, NamedTuple

from envoy.service.auth.v3 import external_auth_pb2
from google.protobuf.unknown_fields import UnknownFieldSet

Line = tuple[str | bytes, str | bytes]


class Answer(NamedTuple):
    """What Envoy does by an answer: its code, and the headers for the request or the response for the client.

    A header that Envoy takes off a request that passes has the value "".
    """

    code: int
    status: int
    headers: dict[str, str]
    body: str


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode()


def empty() -> Any:
    """Give a CheckRequest without a word about the request."""
    return external_auth_pb2.CheckRequest()


def question(source: str | None, *lines: Line, raw: bool = True) -> bytes:
    """Make a question with what Envoy also says; `raw` gives the lines as `encode_raw_headers` does."""
    asked = empty()
    attributes = asked.attributes
    if source is not None:
        attributes.source.address.socket_address.address = source
        attributes.source.address.socket_address.port_value = 4711
    attributes.source.principal = "spiffe://somebody"
    attributes.destination.address.socket_address.address = "198.51.100.1"
    attributes.destination.address.socket_address.port_value = 443
    attributes.context_extensions["route"] = "one"
    attributes.metadata_context.filter_metadata["a"].update({"b": 1})
    http = attributes.request.http
    http.id, http.method, http.path, http.host, http.scheme = "1", "GET", "/orders?key=x", "test", "https"
    http.size, http.protocol = -1, "HTTP/2"
    attributes.request.time.GetCurrentTime()
    for name, value in ((":method", "GET"), (":path", "/orders"), ("host", "test"), *lines):
        if raw:
            http.header_map.headers.add(key=_bytes(name).decode(), raw_value=_bytes(value))
        else:
            joined = http.headers.get(name)
            http.headers[name] = value if joined is None else f"{joined},{value!s}"
    sent: bytes = asked.SerializeToString()
    return sent


def read(answer: bytes) -> Answer:
    """Read an answer; every field of it is one of Envoy's, and every header replaces what is there."""
    said = external_auth_pb2.CheckResponse.FromString(answer)
    assert said.SerializeToString(deterministic=True)
    assert not unknown(said)
    kind = said.WhichOneof("http_response")
    assert kind == ("denied_response" if said.status.code else "ok_response")
    response = getattr(said, kind)
    overwrite = response.headers.add().OVERWRITE_IF_EXISTS_OR_ADD
    del response.headers[-1]
    assert all(option.append_action == overwrite and not option.HasField("append") for option in response.headers)
    headers = {option.header.key: option.header.value for option in response.headers}
    assert len(headers) == len(response.headers)
    if kind == "ok_response":
        assert not set(response.headers_to_remove) & set(headers)
        return Answer(said.status.code, 200, headers | dict.fromkeys(response.headers_to_remove, ""), "")
    return Answer(said.status.code, response.status.code, headers, response.body)


def unknown(message: Any) -> list[str]:
    """List the fields, here or below, that the message's own declaration does not have."""
    found = [f"{message.DESCRIPTOR.full_name}: {field.field_number}" for field in UnknownFieldSet(message)]
    for field, value in message.ListFields():
        if field.message_type is not None and not field.message_type.GetOptions().map_entry:
            for each in value if field.is_repeated else [value]:
                found += unknown(each)
    return found
