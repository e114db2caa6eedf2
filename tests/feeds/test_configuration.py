"""feeds.toml: every key, and every way in which a key is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from cidrmatch import presets
from cidrmatch.files.documents import DocumentError
from cidrmatch.files.lists import Format
from cidrmatch.service.feeds import Bounds, Feed, FeedSettingsError, Hosts, Proof, Targets, read_feeds
from cidrmatch.service.feeds.configuration import KEYS

KEY = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3"
ALL = f"""
state = "state"

[feeds.edge]
source = "https://example.net/list.json?a=1"
use = "allow"
private_source = true
token_file = "token"
ca_file = "ca.pem"
format = "json"
options = {{}}
max_age = "7d"
when_stale = "keep"
sha256 = "{"0" * 64}"
sha256_url = "https://example.net/list.json.sha256"
minisign_key = "{KEY}"
signature_url = "https://example.net/list.json.minisig"
policy = "unkey"
min_prefix4 = 9
min_prefix6 = 20
max_share = 0.1
max_growth = 2
max_shrink = 0.1
max_bytes = 1000
timeout = 5
output = "edge.txt"
snapshot = "keys.snap"
id_secret_file = "secret"
store = "sqlite:///keys.db"
tenant = "acme"
list = "office"
hook = ["/bin/true", "a"]

[feeds.plain]
source = "http://example.net/list.txt"
insecure_source = "http://example.net/list.txt"
use = "deny"

[feeds.names]
hosts = ["a.example"]
use = "allow"
min_ttl = "2m"
max_ttl = "10m"
max_addresses = 4
private = true
nameservers = ["127.0.0.1#53"]
"""


def read(folder: Path, text: str) -> dict[str, Feed]:
    (folder / "feeds.toml").write_text(text, encoding="utf-8")
    return read_feeds(folder / "feeds.toml")


def test_every_key_is_read(tmp_path: Path) -> None:
    feeds = read(tmp_path, ALL)
    assert feeds["edge"] == Feed(
        name="edge",
        use="allow",
        state=str(tmp_path / "state" / "edge.feed"),
        source="https://example.net/list.json?a=1",
        private_source=True,
        token_file=str(tmp_path / "token"),
        ca_file=str(tmp_path / "ca.pem"),
        file_format=Format.JSON,
        max_age=7 * 86_400,
        when_stale="keep",
        proof=Proof(
            sha256="0" * 64,
            sha256_url="https://example.net/list.json.sha256",
            minisign_key=KEY,
            signature_url="https://example.net/list.json.minisig",
        ),
        policy=presets.unkey(),
        bounds=Bounds(min_prefix4=9, min_prefix6=20, max_share=0.1, max_growth=2, max_shrink=0.1),
        max_bytes=1_000,
        timeout=5,
        targets=Targets(
            output=str(tmp_path / "edge.txt"),
            snapshot=str(tmp_path / "keys.snap"),
            id_secret_file=str(tmp_path / "secret"),
            store="sqlite:///keys.db",
            tenant="acme",
            list_name="office",
            hook=("/bin/true", "a"),
        ),
    )
    assert feeds["plain"].insecure_source == feeds["plain"].source
    hosts = Hosts(
        names=("a.example",), min_ttl=120, max_ttl=600, max_addresses=4, private=True, nameservers=("127.0.0.1#53",)
    )
    assert (feeds["names"].hosts, feeds["names"].max_age) == (hosts, 3_600)
    for key in KEYS:
        assert f"\n{key} = " in ALL, key


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    feeds = read(tmp_path, '[feeds.a]\nsource = "list.txt"\nuse = "deny"\n')
    assert (feeds["a"].source, feeds["a"].state) == (str(tmp_path / "list.txt"), str(tmp_path / "a.feed"))
    assert not feeds["a"].is_remote


FEED = '[feeds.a]\nsource = "list.txt"\nuse = "allow"\n'
WRONG = [
    ("", "a table such as [feeds.office] was expected"),
    ("a = ", "is not TOML"),
    ("feed = 1", "unknown key 'feed'; known: state, feeds"),
    ("feeds = 1", "a table such as [feeds.office] was expected"),
    ("state = 1\n" + FEED, "state is a text, not a number"),
    ("[feeds]\na = 1", "feeds.a: a table was expected, not a number"),
    (FEED.replace("feeds.a", "feeds.A"), "name: is small letters"),
    (FEED + "sourse = 1", "unknown key 'sourse'; known: "),
    (FEED.replace('use = "allow"', ""), "use is missing: 'allow' or 'deny'"),
    (FEED.replace('"allow"', '"both"'), "use: is 'allow' or 'deny'"),
    ('[feeds.a]\nuse = "allow"', "source: a feed has either a source or hosts"),
    (FEED + 'hosts = ["a.example"]', "source: a feed has either a source or hosts"),
    (FEED + "private = true", "private is for hosts, and there are none"),
    (FEED + 'list = "a"', "list is for a snapshot or a store, and there is neither"),
    (FEED + 'id_secret_file = "a"', "id_secret_file is for a snapshot or a store"),
    (FEED + 'tenant = "a"', "tenant is of a store, and there is none"),
    (FEED + 'format = "xml"', "format is one of "),
    (FEED + 'policy = "mine"', "policy is one of nomsa, bitbybit, unkey, pigment"),
    (FEED + "options = 1", "options is a table, not a number"),
    (FEED + "options = {colour = 1}", "options: lists are read without an option 'colour'"),
    (FEED + 'options = {content = "0.0.0.0/0"}', "options: lists are read without an option 'content'"),
    (FEED + 'private_source = "no"', "private_source is true or false, not a text"),
    (FEED + 'max_age = "soon"', "max_age is a time such as 90s, 15m, 2h or 7d, not 'soon'"),
    (FEED + "max_age = true", "max_age is a time"),
    (FEED + "max_age = 59", "max_age: must be a number from 60 to "),
    (FEED + "max_age = nan", "max_age: must be a number from 60 to "),
    (FEED + "timeout = 0", "timeout: must be a number from 0.1 to 3600, not 0.0"),
    (FEED + "max_bytes = 0", "max_bytes: must be a number from 1 to "),
    (FEED + 'when_stale = "ask"', "when_stale: is 'deny' or 'keep', not 'ask'"),
    (FEED.replace("allow", "deny") + 'when_stale = "deny"', "when_stale: a deny list that is stale stays in force"),
    (FEED + "min_prefix4 = 0", "min_prefix4: must be a whole number from 1 to 32, not 0"),
    (FEED + "min_prefix6 = 129", "min_prefix6: must be a whole number from 1 to 128, not 129"),
    (FEED + "min_prefix4 = 8.0", "min_prefix4: must be a whole number"),
    (FEED + "max_shrink = 1.1", "max_shrink: must be a number from 0 to 1, not 1.1"),
    (FEED + "max_growth = -1", "max_growth: must be a number from 0 to 1000, not -1"),
    (FEED + "max_share = nan", "max_share: must be a number from 0 to 8, not nan"),
    (FEED + 'sha256 = "0"', "sha256: is 64 small hexadecimal digits, not '0'"),
    (FEED + 'signature_url = "https://a.example/"', "signature_url: needs a minisign_key"),
    (FEED + 'sha256_url = "https://a.example/"', "sha256_url: a URL of a proof is for a source that is a URL"),
    (FEED + 'output = "a.csv"', "output: is a .txt or a .json file"),
    (FEED + 'output = ""', "output is a text, not an empty one"),
    (FEED + 'hook = "rm"', "hook is a list of texts"),
    (FEED + "hook = []", "hook is a list of texts"),
    ('[feeds.a]\nhosts = ["a.example"]\nuse = "allow"\nmax_ttl = "2h"', "max_ttl: is longer than max_age"),
    (
        '[feeds.a]\nhosts = ["a.example"]\nuse = "allow"\nmin_ttl = "2h"\nmax_ttl = "1h"',
        "max_ttl: must be a number from 7200",
    ),
    ('[feeds.a]\nhosts = ["a.example", "a.example"]\nuse = "allow"', "hosts: a name stands twice"),
    (
        '[feeds.a]\nhosts = ["a.example"]\nuse = "allow"\nsha256 = "' + "0" * 64 + '"',
        "a URL of a proof is for a source",
    ),
    (
        '[feeds.a]\nsource = "http://a.example/"\nuse = "allow"',
        "http is taken if insecure_source says the source again",
    ),
    ('[feeds.a]\nsource = "https://a.example/"\nuse = "allow"\nsha256_url = "http://a.example/"', "is no https URL"),
    ('[feeds.a]\nsource = "https://a.example:x/"\nuse = "allow"', "is no URL"),
]


@pytest.mark.parametrize(("text", "message"), WRONG, ids=[message[:50] for _, message in WRONG])
def test_what_is_wrong_is_named_with_its_feed(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(FeedSettingsError) as caught:
        read(tmp_path, text)
    assert message in str(caught.value)
    assert str(caught.value).startswith(str(tmp_path / "feeds.toml"))


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(DocumentError):
        read_feeds(tmp_path / "feeds.toml")
