"""Where a list may come from: an Arrow array, a text as people keep it, a field of a pydantic model."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter, ValidationError

from cidrmatch import AllowList, Condition, Entry, InvalidPrefix, Policy, PolicyError, Prefix, parse_prefix, presets
from cidrmatch.files.lists import read_list
from tests.strategies import any_texts
from tests.unit.test_arrow import TEXT_FORMATS, V4, V6, Make, StreamLender, numbers, packed, strings


def list_or_index(make: Any, source: Any) -> Any:
    """The list, or where the text is refused: the position, with the line where that is told."""
    try:
        return make(source)
    except InvalidPrefix as error:
        return error.index if error.line is None else (error.index, error.line)


PREFIXES = ["203.0.113.5", "198.51.100.0/24", "2001:db8::/48", "::ffff:192.0.2.0/120", "2001:db8:1::1", "0.0.0.0/1"] * 3


# -- Arrow --------------------------------------------------------------------


@pytest.mark.parametrize("make", TEXT_FORMATS)
def test_an_arrow_array_of_texts_is_the_list_of_its_texts(make: Make) -> None:
    for count in range(len(PREFIXES) + 1):
        lender = make(PREFIXES[:count])
        assert AllowList(lender) == AllowList(PREFIXES[:count])
        assert sorted(lender.drop()) == ["Array", "Schema"]
    lender = make(PREFIXES)
    lender.array.offset, lender.array.length = 3, 4
    assert AllowList(lender) == AllowList(PREFIXES[3:7])


def test_an_arrow_array_in_chunks_is_the_list_of_all() -> None:
    stream = StreamLender(strings(PREFIXES[:2]), strings([]), strings(PREFIXES[2:]))
    assert AllowList(stream) == AllowList(PREFIXES)
    assert stream.drop().count("Stream") == 1


@pytest.mark.parametrize(("make", "texts"), [(numbers, V4), (packed, V4), (packed, V6)])
def test_an_arrow_array_of_packed_addresses_is_the_list_of_these(make: Make, texts: list[str]) -> None:
    assert AllowList(make(texts)) == AllowList(texts)
    accepted = AllowList(make(texts[2:3]), policy=Policy())
    assert accepted == AllowList(texts[2:3])


@pytest.mark.parametrize("make", TEXT_FORMATS)
@pytest.mark.parametrize("policy", [None, Policy()])
def test_a_null_is_refused_with_its_position(make: Make, policy: Policy | None) -> None:
    lender = make(PREFIXES).with_nulls(4)
    with pytest.raises(InvalidPrefix, match=r"^entry 4: '<null>' is not a prefix") as caught:
        AllowList(lender, policy=policy)
    assert caught.value.index == 4
    assert sorted(lender.drop()) == ["Array", "Schema"]


def test_a_bad_text_in_a_chunk_is_named_by_its_position_in_all() -> None:
    with pytest.raises(InvalidPrefix, match=r"^entry 7: '203\.0\.113\.7/24'") as caught:
        AllowList(StreamLender(strings(PREFIXES[:5]), strings(["1.2.3.4", "::1", "203.0.113.7/24", "junk"])))
    assert caught.value.suggestion == "203.0.113.0/24"


def test_a_policy_judges_an_arrow_array_as_it_judges_its_texts() -> None:
    for texts in (PREFIXES[:3], ["203.0.113.5", "junk", "10.0.0.0/8"], ["::/0"]):
        outcomes = []
        for entries in (texts, strings(texts)):
            try:
                outcomes.append(str(AllowList(entries, policy=presets.bitbybit())))
            except PolicyError as error:
                outcomes.append(str(error))
        assert outcomes[0] == outcomes[1]


@given(st.lists(any_texts(), max_size=6))
def test_an_arrow_array_is_taken_or_refused_as_its_texts(texts: list[str]) -> None:
    encoded = [text.encode("utf-8", "surrogatepass") for text in texts]
    assert list_or_index(AllowList, strings(encoded)) == list_or_index(AllowList, texts)


def test_other_arrow_arrays_are_refused() -> None:
    lender = strings(PREFIXES)
    lender.schema.format = b"i"
    with pytest.raises(TypeError, match="Arrow array"):
        AllowList(lender)


def test_arrays_of_pyarrow_are_lists() -> None:
    pyarrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed; the arrays above are made by hand")
    for kind in (pyarrow.string(), pyarrow.large_string(), pyarrow.string_view()):
        assert AllowList(pyarrow.array(PREFIXES, kind)) == AllowList(PREFIXES)
    assert AllowList(pyarrow.chunked_array([PREFIXES[:2], PREFIXES[2:]])) == AllowList(PREFIXES)
    with pytest.raises(InvalidPrefix, match="entry 1: '<null>'"):
        AllowList(pyarrow.array(["1.2.3.4", None]))


# -- Text ---------------------------------------------------------------------

KEPT = "\ufeff# the office\r\n203.0.113.0/24  # Vienna\r\n\r\n \t2001:db8::/48\n#198.51.100.7\n203.0.113.9"


def test_a_text_is_read_with_comments_a_mark_and_both_line_ends() -> None:
    assert AllowList.from_text(KEPT) == AllowList(["203.0.113.0/24", "2001:db8::/48", "203.0.113.9"])
    assert len(AllowList.from_text("")) == len(AllowList.from_text("\ufeff# nobody\n\n")) == 0


@given(
    lines=st.lists(
        st.sampled_from(
            [
                "",
                "#",
                "203.0.113.7",
                " ::1 #x",
                "10.0.0.0/8\r",
                "junk",
                "\ufeff1.2.3.4",
                "1\f2",
                "::2 ; x",
                "//",
                "#\r::3",
            ]
        )
    )
)
def test_a_text_means_what_the_file_means_to_the_command_line(tmp_path_factory: Any, lines: list[str]) -> None:
    text = "\n".join(lines)
    path = Path(tmp_path_factory.getbasetemp(), "list.txt")
    path.write_bytes(text.encode())
    listed = read_list(path)
    expected, found = list_or_index(AllowList, listed.entries), list_or_index(AllowList.from_text, text)
    if isinstance(expected, int):
        assert found == (expected, listed.marks[expected])
    else:
        assert found == expected


def test_a_bad_line_is_named_by_its_number() -> None:
    with pytest.raises(InvalidPrefix) as caught:
        AllowList.from_text("# two\n203.0.113.5\r\n\n  203.0.113.7/24 # host\n")
    error = caught.value
    assert (error.line, error.index, error.text, error.code) == (4, 1, "203.0.113.7/24", "host_bits")
    assert str(error).startswith("line 4: '203.0.113.7/24' is not a prefix: host bits are set")


@pytest.mark.parametrize("text", [b"203.0.113.5\n", None, 5, ["203.0.113.5"], Path("list.txt")], ids=str)
def test_only_a_text_is_read_as_one(text: Any) -> None:
    with pytest.raises(TypeError, match="a text was expected"):
        AllowList.from_text(text)


# -- pydantic -----------------------------------------------------------------


class Client(BaseModel):
    allow: AllowList
    gateway: Prefix | None = None
    entries: list[Entry] = []


def test_a_field_is_made_of_plain_values() -> None:
    client = Client.model_validate(
        {
            "allow": [
                "203.0.113.5",
                ("198.51.100.0/24", "Office"),
                {"prefix": "::1", "label": None},
                ip_network("10.0.0.0/8"),
            ],
            "gateway": "192.0.2.1",
            "entries": [ip_address("192.0.2.7"), {"prefix": "192.0.2.8", "effect": "deny"}],
        }
    )
    assert client.allow == AllowList(["203.0.113.5", ("198.51.100.0/24", "Office"), "::1", "10.0.0.0/8"])
    assert client.gateway == Prefix("192.0.2.1")
    assert client.entries == [Entry("192.0.2.7"), Entry("192.0.2.8", condition=Condition(effect="deny"))]


def test_a_field_takes_an_object_as_it_is() -> None:
    allow, prefix, entry = AllowList(["::1"]), Prefix("::1"), Entry("::1", "home")
    client = Client(allow=allow, gateway=prefix, entries=[entry])
    assert client.allow is allow
    assert client.gateway is prefix
    assert client.entries[0] is entry


def test_a_field_is_written_as_texts_with_labels_where_there_are_some() -> None:
    allow = AllowList(["203.0.113.5", ("198.51.100.0/24", "Office")])
    written = ["198.51.100.0/24", "203.0.113.5/32"]
    client = Client(allow=allow, gateway=Prefix("10.0.0.0/8"))
    assert json.loads(client.model_dump_json())["allow"] == [{"prefix": written[0], "label": "Office"}, written[1]]
    assert client.model_dump() == json.loads(client.model_dump_json())
    assert client.model_dump(mode="json")["gateway"] == "10.0.0.0/8"


@given(st.lists(st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 32), st.none() | st.text(max_size=5)), max_size=8))
def test_what_is_written_reads_back(parts: list[tuple[int, int, str | None]]) -> None:
    entries = [
        (parse_prefix(f"{ip_address(number)}/{length}", host_bits="mask"), label) for number, length, label in parts
    ]
    allow = AllowList(entries)
    adapter = TypeAdapter(AllowList)
    assert adapter.validate_json(adapter.dump_json(allow)) == allow
    assert adapter.validate_python(adapter.dump_python(allow)) == allow


def test_conditions_are_written_and_read_back() -> None:
    entry = Entry("10.0.0.0/8", "old", Condition(expires=datetime(2026, 1, 1, tzinfo=UTC), enabled=False))
    adapter = TypeAdapter(Entry)
    assert adapter.validate_json(adapter.dump_json(entry)) == entry


@pytest.mark.parametrize(
    ("given_values", "places"),
    [
        (["203.0.113.5", "junk", None, 5, ("::1", 7)], [("allow", number) for number in range(1, 5)]),
        ("203.0.113.5", [("allow",)]),
        (None, [("allow",)]),
        ({"prefix": "::1"}, [("allow",)]),
        ([{"prefix": "::1", "effect": "deny"}], [("allow",)]),
        ([{"prefix": "::1", "colour": "red"}], [("allow", 0)]),
    ],
    ids=str,
)
def test_what_is_refused_is_a_validation_error_with_its_place(given_values: Any, places: list[Any]) -> None:
    with pytest.raises(ValidationError) as caught:
        Client.model_validate({"allow": given_values})
    assert [error["loc"] for error in caught.value.errors()] == places


def test_a_refused_text_says_what_would_be_taken() -> None:
    with pytest.raises(
        ValidationError, match=r"host bits are set \(at position 11\); did you mean 203\.0\.113\.0/24\?"
    ):
        Client.model_validate_json('{"allow": ["203.0.113.7/24"]}')


def test_the_json_schema_is_that_of_a_list_of_texts_or_objects() -> None:
    for mode in ("validation", "serialization"):
        schema = Client.model_json_schema(mode=mode)["properties"]
        text, mapping = schema["allow"]["items"]["anyOf"]
        assert (schema["allow"]["type"], text) == ("array", {"type": "string"})
        assert (mapping["required"], mapping["additionalProperties"]) == (["prefix"], False)
        assert set(mapping["properties"]) == {"prefix", "label", "effect", "enabled", "not_before", "expires"}


def test_the_library_alone_does_not_import_pydantic() -> None:
    code = "import sys, cidrmatch; cidrmatch.AllowList.from_text('::1'); print('pydantic_core' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout == b"False\n"
