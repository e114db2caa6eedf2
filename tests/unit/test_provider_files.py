"""Providers' files: a small sample of each published shape, made of documentation addresses, and what is refused.

Each sample is read by its suffix alone and by the name of its format, and every address of it must come out: the test
counts the addresses of a sample by a pattern, without knowing its shape.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cidrmatch import parse_entry
from cidrmatch.files.lists import Format, ListFile, ListFileError, read_list
from cidrmatch.files.providers import SHAPES
from cidrmatch.files.sheets import SHEETS

AWS = {
    "syncToken": "1700000000",
    "createDate": "2023-11-14-22-13-20",
    "prefixes": [
        {"ip_prefix": "192.0.2.0/25", "region": "eu-west-1", "service": "S3", "network_border_group": "eu-west-1"},
        {"ip_prefix": "198.51.100.0/24", "region": "us-east-1", "service": "EC2", "network_border_group": "us-east-1"},
        {"ip_prefix": "192.0.2.128/25", "region": "us-east-1", "service": "S3", "network_border_group": "us-east-1"},
    ],
    "ipv6_prefixes": [
        {"ipv6_prefix": "2001:db8::/40", "region": "eu-west-1", "service": "S3", "network_border_group": "eu-west-1"}
    ],
}
GCP = {
    "syncToken": "1700000000000",
    "creationTime": "2023-11-14T22:13:20.000000",
    "prefixes": [
        {"ipv4Prefix": "203.0.113.0/25", "service": "Google Cloud", "scope": "europe-west3"},
        {"ipv6Prefix": "2001:db8:100::/44", "service": "Google Cloud", "scope": "europe-west3"},
    ],
}
GOOG = {"creationTime": "2023-11-14T22:13:20.000000", "prefixes": [{"ipv4Prefix": "203.0.113.0/24"}]}
AZURE = {
    "changeNumber": 300,
    "cloud": "Public",
    "values": [
        {
            "name": "Storage.WestEurope",
            "id": "Storage.WestEurope",
            "properties": {
                "changeNumber": 7,
                "region": "westeurope",
                "regionId": 18,
                "platform": "Azure",
                "systemService": "AzureStorage",
                "addressPrefixes": ["192.0.2.0/26", "2001:db8:200::/48"],
                "networkFeatures": ["API", "NSG"],
            },
        },
        {"name": "Empty", "id": "Empty", "properties": {"region": "", "addressPrefixes": [], "networkFeatures": None}},
    ],
}
GITHUB = {
    "verifiable_password_authentication": False,
    "ssh_key_fingerprints": {"SHA256_ED25519": "abcDEF"},
    "ssh_keys": ["ssh-ed25519 AAAAC3Nz"],
    "hooks": ["192.0.2.0/28", "2001:db8:300::/48"],
    "web": ["192.0.2.16/28"],
    "a_service_of_tomorrow": ["192.0.2.32/28"],
    "domains": {"website": ["*.example.com"]},
}
CLOUDFLARE = {
    "result": {
        "ipv4_cidrs": ["198.51.100.0/25"],
        "ipv6_cidrs": ["2001:db8:400::/48"],
        "jdcloud_cidrs": ["198.51.100.128/25"],
        "etag": "38f79d050aa027e3be3865e495dcc9bc",
    },
    "success": True,
    "errors": [],
    "messages": [],
}
FASTLY = {"addresses": ["203.0.113.0/26"], "ipv6_addresses": ["2001:db8:500::/48"]}
ORACLE = {
    "last_updated_timestamp": "2023-11-14T22:13:20.000000",
    "regions": [
        {
            "region": "eu-frankfurt-1",
            "cidrs": [
                {"cidr": "192.0.2.64/26", "tags": ["OCI"]},
                {"cidr": "192.0.2.128/26", "tags": ["OSN", "OBJECT"]},
            ],
        }
    ],
}
ZSCALER = {
    "cloud.example": {
        "continent : EMEA": {
            "city : Berlin I": [
                {"range": "192.0.2.0/24", "vpn": "", "gre": "", "hostname": "", "latitude": "52.5", "longitude": "13.4"}
            ]
        },
        "continent :_Americas": {"city : Lima": [{"range": "2001:db8:600::/40", "vpn": "", "gre": "", "ext": ""}]},
    },
    "svpnIPs": ["198.51.100.74"],
}
DROP_LINES = """{"cidr":"192.0.2.0/24","sblid":"SBL1","rir":"ripencc"}
{"cidr":"2001:db8::/36","sblid":"SBL2","rir":"apnic"}
{"type":"metadata","timestamp":1700000000,"size":100,"records":2,"copyright":"(c) somebody","terms":"see there"}
"""
DROP_TEXT = "; A list 2023/11/14\n; https://drop.example/\n192.0.2.0/24 ; SBL1\n198.51.100.0/25 ; SBL2\n"
GEOFEED = "# made by hand\n192.0.2.0/24,DE,DE-BE,Berlin,10115\n2001:db8::/48,,,,\n198.51.100.0/24,NL,NL-NH,Amsterdam,\n"
CITIES = (
    "network,geoname_id,registered_country_geoname_id,represented_country_geoname_id,is_anonymous_proxy,"
    "is_satellite_provider,postal_code,latitude,longitude,accuracy_radius,is_anycast\n"
    "192.0.2.0/24,2950159,2921044,,0,0,10115,52.5,13.4,20,\n2001:db8::/32,2921044,2921044,,0,0,,51.2,10.4,200,\n"
)
ASNS = 'network,autonomous_system_number,autonomous_system_organization\n192.0.2.0/24,64500,"Example, Inc."\n'
DECISIONS = (
    "id,source,ip,reason,action,country,as,events_count,expiration,simulated,alert_id\n"
    "1,crowdsec,Ip:192.0.2.1,ssh-bf,ban,DE,64500 Example,6,3h59m,false,9\n"
    "2,cscli,Range:2001:db8::/32,manual,ban,,,1,4h,false,10\n"
)
IMPORTED = "duration,scope,value\n24h,ip,192.0.2.1\n24h,range,192.0.2.0/28\n"
ALLOWED = "value,expiration,comment\n192.0.2.1,24h,office\n2001:db8::/32,,another\n"

SAMPLES: dict[str, tuple[Format, str]] = {
    "aws.json": (Format.AWS, json.dumps(AWS)),
    "cloud.json": (Format.GCP, json.dumps(GCP)),
    "goog.json": (Format.GCP, json.dumps(GOOG)),
    "tags.json": (Format.AZURE, json.dumps(AZURE, indent=2)),
    "meta.json": (Format.GITHUB, json.dumps(GITHUB)),
    "ips.json": (Format.CLOUDFLARE, json.dumps(CLOUDFLARE)),
    "fastly.json": (Format.FASTLY, json.dumps(FASTLY)),
    "oracle.json": (Format.ORACLE, json.dumps(ORACLE)),
    "cenr.json": (Format.ZSCALER, json.dumps(ZSCALER)),
    "drop_v4.json": (Format.SPAMHAUS, DROP_LINES),
    "geo.csv": (Format.GEOFEED, GEOFEED),
    "cities.csv": (Format.MAXMIND, CITIES),
    "asns.csv": (Format.MAXMIND, ASNS),
    "decisions.csv": (Format.CROWDSEC, DECISIONS),
    "imported.csv": (Format.CROWDSEC, IMPORTED),
    "allowed.csv": (Format.CROWDSEC, ALLOWED),
}
ADDRESS = re.compile(r"\b(?:192\.0\.2|198\.51\.100|203\.0\.113)\.[0-9/]+|2001:db8:[0-9a-f:/]+")
"""Any address of a sample; all of them are made of addresses for documentation."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def read(name: str, content: Any, file_format: Format | None = None, **options: Any) -> ListFile:
    Path(name).write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return read_list(name, file_format, **options)


def refuse(name: str, content: Any, file_format: Format | None = None, **options: Any) -> str:
    with pytest.raises(ListFileError) as caught:
        read(name, content, file_format, **options)
    return str(caught.value)


def labels(listed: ListFile) -> list[str | None]:
    return [label for _, label in listed.entries]


def prefixes(listed: ListFile) -> list[str]:
    return [prefix for prefix, _ in listed.entries]


# -- What is read -------------------------------------------------------------


@pytest.mark.parametrize("name", SAMPLES)
def test_every_address_of_a_sample_is_an_entry(folder: Path, name: str) -> None:
    file_format, content = SAMPLES[name]
    told, named = read(name, content), read(name, content, file_format)
    assert told == named
    assert sorted(prefixes(told)) == sorted(ADDRESS.findall(content))
    assert len(told.entries) == len(told.marks) > 0
    assert [parse_entry(entry) for entry in told.entries]


def test_every_published_format_has_a_sample_that_is_told_by_its_content() -> None:
    assert {str(file_format) for file_format, _ in SAMPLES.values()} == {*SHAPES, *SHEETS}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("aws.json", ["S3, eu-west-1", "EC2, us-east-1", "S3, us-east-1", "S3, eu-west-1"]),
        ("cloud.json", ["Google Cloud, europe-west3"] * 2),
        ("goog.json", [None]),
        ("tags.json", ["Storage.WestEurope"] * 2),
        ("meta.json", ["hooks", "hooks", "web", "a_service_of_tomorrow"]),
        ("ips.json", [None, None, "jdcloud"]),
        ("fastly.json", [None, None]),
        ("oracle.json", ["eu-frankfurt-1, OCI", "eu-frankfurt-1, OSN, OBJECT"]),
        ("cenr.json", ["Berlin I", "Lima", None]),
        ("drop_v4.json", ["SBL1", "SBL2"]),
        ("geo.csv", ["DE, DE-BE, Berlin", None, "NL, NL-NH, Amsterdam"]),
        ("cities.csv", ["2950159", "2921044"]),
        ("asns.csv", ["64500, Example, Inc."]),
        ("decisions.csv", ["ssh-bf", "manual"]),
        ("imported.csv", [None, None]),
        ("allowed.csv", ["office", "another"]),
    ],
)
def test_labels_are_what_the_file_says(folder: Path, name: str, expected: list[str | None]) -> None:
    assert labels(read(name, SAMPLES[name][1])) == expected


@pytest.mark.parametrize(
    ("name", "places"),
    [
        ("tags.json", ["values[0].properties.addressPrefixes[0]", "values[0].properties.addressPrefixes[1]"]),
        ("drop_v4.json", ["1", "2"]),
        ("geo.csv", ["2", "3", "4"]),
        ("goog.json", ["prefixes[0].ipv4Prefix"]),
    ],
)
def test_places_lead_to_the_entry(folder: Path, name: str, places: list[str]) -> None:
    listed = read(name, SAMPLES[name][1])
    assert [listed.place(index) for index in range(len(places))] == [f"{name}:{place}" for place in places]


def test_lists_as_text_are_read_by_the_name_of_the_provider(folder: Path) -> None:
    listed = read("drop.txt", DROP_TEXT, Format.SPAMHAUS)
    assert listed.entries == (("192.0.2.0/24", "SBL1"), ("198.51.100.0/25", "SBL2"))
    assert listed.marks == (3, 4)
    assert prefixes(read("ips-v4", "192.0.2.0/24\n198.51.100.0/24\n", Format.CLOUDFLARE)) == [
        "192.0.2.0/24",
        "198.51.100.0/24",
    ]


# -- Filters ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "where", "expected"),
    [
        ("aws.json", {"service": "S3", "region": "eu-west-1"}, ["192.0.2.0/25", "2001:db8::/40"]),
        ("aws.json", {"service": ["S3"], "region": ["us-east-1", "eu-west-1"]}, 3),
        ("cloud.json", {"scope": "europe-west3"}, 2),
        ("tags.json", {"name": "Storage.WestEurope"}, 2),
        ("tags.json", {"networkFeatures": "NSG"}, 2),
        ("tags.json", {"regionId": "18"}, 2),
        ("meta.json", {"service": "web"}, ["192.0.2.16/28"]),
        ("oracle.json", {"tags": "OBJECT"}, ["192.0.2.128/26"]),
        ("cenr.json", {"continent": "Americas"}, ["2001:db8:600::/40"]),
        ("cenr.json", {"city": "Berlin I"}, ["192.0.2.0/24"]),
        ("drop_v4.json", {"rir": "apnic"}, ["2001:db8::/36"]),
        ("geo.csv", {"country": "NL"}, ["198.51.100.0/24"]),
        ("cities.csv", {"geoname_id": "2950159"}, ["192.0.2.0/24"]),
        ("decisions.csv", {"scope": "Range"}, ["2001:db8::/32"]),
        ("imported.csv", {"scope": "ip"}, ["192.0.2.1"]),
        ("ips.json", {"success": "true"}, 3),
    ],
)
def test_a_filter_takes_entries_that_have_all_the_fields(
    folder: Path, name: str, where: dict[str, Any], expected: list[str] | int
) -> None:
    found = prefixes(read(name, SAMPLES[name][1], where=where))
    assert (len(found) if isinstance(expected, int) else found) == expected


@pytest.mark.parametrize(
    ("name", "where", "message"),
    [
        ("aws.json", {"service": "s3"}, "aws.json: no entry has 'service' equal to 's3'; there are: S3, ..."),
        ("aws.json", {"service": ["S3", "S4"]}, "aws.json: no entry has 'service' equal to 'S4'; there are: EC2, S3"),
        ("aws.json", {"servic": "S3"}, "aws.json: no entry has a field 'servic'; there are: service, ..."),
        (
            "aws.json",
            {"service": "EC2", "region": "eu-west-1"},
            "aws.json: no entry has all the wanted values together",
        ),
        ("goog.json", {"service": "S3"}, "goog.json: no entry has a field 'service'; there are: creationTime"),
        ("geo.csv", {"country": "de"}, "geo.csv: no entry has 'country' equal to 'de'; there are: DE, ..."),
    ],
)
def test_a_filter_that_finds_nothing_is_an_error(folder: Path, name: str, where: dict[str, Any], message: str) -> None:
    assert refuse(name, SAMPLES[name][1], where=where) == message


# -- Which shape --------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "choices"),
    [
        ("a.json", {**AWS, "creationTime": ""}, "fits 2 formats; say which one it is: --format aws or --format gcp"),
        (
            "a.json",
            {"entries": [], **FASTLY},
            "fits 2 formats; say which one it is: --format json or --format fastly",
        ),
        (
            "a.csv",
            "prefix,network,geoname_id\n",
            "fits 2 formats; say which one it is: --format csv or --format maxmind",
        ),
        (
            "a.csv",
            "network,geoname_id,duration,value\n",
            "fits 2 formats; say which one it is: --format maxmind or --format crowdsec",
        ),
    ],
)
def test_two_shapes_that_fit_are_never_chosen_between(folder: Path, name: str, content: Any, choices: str) -> None:
    assert refuse(name, content) == f"{name}: {choices}"


def test_a_named_format_is_not_overridden_by_the_content(folder: Path) -> None:
    assert refuse("a.json", FASTLY, Format.JSON) == (
        "a.json: unknown key 'addresses'; known: entries; it looks like --format fastly"
    )
    assert refuse("a.json", FASTLY, Format.AWS).endswith("was expected; it looks like --format fastly")
    assert refuse("a.csv", GEOFEED, Format.CSV).endswith("it looks like --format geofeed")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({**FASTLY, "office": ["192.0.2.1"]}, "a.json:office: is not known here and holds the address '192.0.2.1'"),
        ({**FASTLY, "more": {"deep": [{"x": "192.0.2.1-192.0.2.9"}]}}, "a.json:more: is not known here and holds"),
        ({**FASTLY, "more": {"2001:db8::/32": True}}, "a.json:more: is not known here and holds"),
        (
            {**GOOG, "prefixes": [{"ipv4Prefix": "192.0.2.1", "ipv5Prefix": "192.0.2.2"}]},
            "a.json:prefixes[0].ipv5Prefix: is not known here and holds the address '192.0.2.2'",
        ),
        ({**GITHUB, "domains": {"x": ["192.0.2.1"]}}, "a.json:domains: is not known here and holds"),
        ({**CLOUDFLARE, "messages": ["192.0.2.1 moved"]}, "a.json:messages: is not known here and holds"),
    ],
)
def test_an_address_in_a_place_that_nobody_reads_refuses_the_document(folder: Path, content: Any, message: str) -> None:
    assert refuse("a.json", content).startswith(message)


def test_other_unknown_keys_are_information(folder: Path) -> None:
    content = {**FASTLY, "note": "hello", "version": 2, "contacts": [{"mail": "noc@example.com"}], "none": None}
    assert len(read("a.json", content).entries) == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            {**GOOG, "prefixes": [{"service": "x"}]},
            "a.json:prefixes[0]: an object with the key 'ipv4Prefix' or 'ipv6Prefix' was expected",
        ),
        ({**GOOG, "prefixes": {}}, "a.json:prefixes: a list was expected, not an object"),
        ({**GOOG, "prefixes": None}, "a.json:prefixes: a list was expected, not null"),
        ({**GOOG, "prefixes": ["192.0.2.1"]}, "a.json:prefixes[0]: an object with the key"),
        (
            {**GOOG, "prefixes": [{"ipv4Prefix": 5}]},
            "a.json:prefixes[0].ipv4Prefix: a text was expected, not a number",
        ),
        ({**FASTLY, "addresses": [["192.0.2.1"]]}, "a.json:addresses[0]: a text was expected, not a list"),
        (
            {**CLOUDFLARE, "result": {"ipv4_cidrs": None, "ipv6_cidrs": []}},
            "a.json:result.ipv4_cidrs: a list was expected, not null",
        ),
    ],
)
def test_an_entry_that_cannot_be_read_refuses_the_document(folder: Path, content: Any, message: str) -> None:
    assert refuse("a.json", content).startswith(message)


def test_a_line_without_an_address_refuses_the_lines(folder: Path) -> None:
    assert refuse("a.json", DROP_LINES + '{"sblid":"SBL3"}\n') == (
        "a.json:4: an object with the key 'cidr' was expected"
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            GEOFEED + "192.0.2.1,DE,DE-BE,Berlin,10115,192.0.2.2\n",
            "a.csv:5: a cell that is not read holds an address: '192.0.2.2'",
        ),
        (
            "network,geoname_id,vpn\n192.0.2.1,5,192.0.2.2\n",
            "a.csv:2: the column 'vpn', which is not read, holds the address '192.0.2.2'; --column names the one column"
            " that is read",
        ),
        ("network,geoname_id\n192.0.2.1\n", "a.csv:2: the number of cells differs from the header's: 1, not 2"),
    ],
)
def test_an_address_in_a_cell_that_nobody_reads_refuses_the_sheet(folder: Path, content: str, message: str) -> None:
    assert refuse("a.csv", content) == message


def test_a_geofeed_may_leave_cells_out_and_have_more(folder: Path) -> None:
    listed = read("a", "192.0.2.0/24\n192.0.2.1,DE\n192.0.2.2,DE,DE-BE,Berlin,10115,note\n", Format.GEOFEED)
    assert listed.entries == (("192.0.2.0/24", None), ("192.0.2.1", "DE"), ("192.0.2.2", "DE, DE-BE, Berlin"))


def test_a_decision_about_no_address_is_kept_for_the_parser_to_refuse(folder: Path) -> None:
    listed = read("a.csv", DECISIONS + "3,cscli,Country:DE,manual,ban,,,1,4h,false,11\n")
    assert prefixes(listed)[2] == "Country:DE"


# -- A column that the user names ---------------------------------------------


def test_a_column_of_a_sheet_is_read_by_its_name(folder: Path) -> None:
    content = "Name,Network,Since\nLab,192.0.2.0/24,2023\nHQ,192.0.2.1,2024\n"
    assert refuse("a.csv", content) == (
        "a.csv:1: unknown column 'Name'; the columns are prefix and label; --column Network reads that one and passes"
        " over the others"
    )
    assert read("a.csv", content, column="Network").entries == (("192.0.2.0/24", None), ("192.0.2.1", None))
    assert read("a.csv", content, column="Network", label_column="Name").entries[0] == ("192.0.2.0/24", "Lab")
    assert read("a.csv", content, column="Network", where={"Since": "2024"}).entries == (("192.0.2.1", None),)
    assert refuse("a.csv", content, column="network").startswith("a.csv:1: no column 'network'; the columns are 'Name'")


def test_a_key_of_objects_is_read_by_its_name_or_its_path(folder: Path) -> None:
    rows = [{"ip": "192.0.2.1", "who": "Lab"}, {"ip": "192.0.2.2", "who": "HQ"}]
    both = (("192.0.2.1", "Lab"), ("192.0.2.2", "HQ"))
    assert read("a.json", rows, column="ip", label_column="who").entries == both
    assert read("a.json", {"entries": rows}, column="ip", label_column="who").entries == both
    assert read("a.json", {"x": {"y": rows}}, column="x.y[].ip", label_column="who").entries == both
    lines = "\n".join(map(json.dumps, rows))
    assert read("a.jsonl", lines, column="ip", label_column="who").entries == both
    assert read("a.jsonl", lines, column="ip", where={"who": "HQ"}).entries == (("192.0.2.2", None),)
    assert refuse("a.json", [*rows, {"who": "x"}], column="ip") == (
        "a.json:[2]: an object with the key 'ip' was expected"
    )


@pytest.mark.parametrize("key", ["effect", "enabled", "not_before", "expires"])
def test_a_key_that_may_turn_an_entry_off_is_never_passed_over(folder: Path, key: str) -> None:
    assert refuse("a.json", [{"ip": "192.0.2.1", key: "deny"}], column="ip") == (
        f"a.json:[0].{key}: the key '{key}' says when an entry counts, and is not read"
    )
    assert refuse("a.csv", f"ip,{key}\n192.0.2.1,deny\n", column="ip") == (
        f"a.csv:1: the column '{key}' says when an entry counts, and is not read"
    )


def test_json_lines_are_values_on_lines(folder: Path) -> None:
    listed = read("a.jsonl", '"192.0.2.1"\r\n\n{"prefix": "192.0.2.2", "label": "Lab"}\n')
    assert listed.entries == (("192.0.2.1", None), ("192.0.2.2", "Lab"))
    assert listed.marks == (1, 3)
    assert refuse("a.ndjson", '"192.0.2.1"\n{"prefix": "192.0.2.2",}\n').startswith("a.ndjson:2: is not JSON: a comma")
    assert refuse("a.jsonl", '{"prefix": "192.0.2.2", "effect": "deny"}\n').startswith(
        "a.jsonl:1: unknown key 'effect'"
    )


def test_a_format_without_fields_takes_no_column_and_no_filter(folder: Path) -> None:
    told = "a.txt: the format text has no fields; --column and --where are for CSV and JSON"
    assert refuse("a.txt", "192.0.2.1", column="ip") == refuse("a.txt", "192.0.2.1", where={"x": "y"}) == told
    assert "no fields" in refuse("a.txt", "192.0.2.1", Format.CLOUDFLARE, where={"x": "y"})
    assert "says which key is the prefix" in refuse("a.json", FASTLY, column="ip")


# -- Laws ---------------------------------------------------------------------

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["192.0.2.1", "x", "2001:db8::/32"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@given(
    document=st.sampled_from([AWS, GCP, AZURE, GITHUB, CLOUDFLARE, FASTLY, ORACLE, ZSCALER]),
    changed=values,
    data=st.data(),
)
def test_a_document_that_was_changed_anywhere_loses_no_address(
    tmp_path_factory: pytest.TempPathFactory, document: dict[str, Any], changed: Any, data: st.DataObject
) -> None:
    """Every address of a changed document comes out, or the document is refused; where nothing else ever happens."""
    path = Path(tmp_path_factory.getbasetemp(), "changed.json")
    content = json.loads(json.dumps(document))
    inner: Any = content
    while True:
        step = data.draw(st.sampled_from(sorted(inner) if isinstance(inner, dict) else range(len(inner))))
        if not isinstance(inner[step], dict | list) or not inner[step] or data.draw(st.booleans()):
            break
        inner = inner[step]
    inner[step] = changed
    path.write_text(json.dumps(content), encoding="utf-8")
    try:
        found = read_list(path)
    except ListFileError:
        return
    aside = {"gre", "vpn", "ext"} if document is ZSCALER else set()
    if step not in aside:
        assert sorted(filter(ADDRESS.match, prefixes(found))) == sorted(
            ADDRESS.findall(path.read_text(encoding="utf-8"))
        )
