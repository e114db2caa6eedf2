"""A publisher in the network: what is believed, what is bounded, and where nobody is asked."""

from __future__ import annotations

import gzip
import subprocess
import sys
import threading
import tracemalloc
from base64 import b64encode
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cidrmatch.service.feeds import Feed, FeedSettingsError, FeedUnreachable, Puller
from cidrmatch.service.feeds import fetching as room
from cidrmatch.service.feeds.fetching import unpacked
from cidrmatch.service.feeds.public import why_not_public
from tests.feeds.publishing import Publisher

LIST = "203.0.113.0/24\n2001:db8::/48\n"


def pulled(feed: Feed) -> tuple[str, str, int]:
    found = Puller(feed).pull()
    return found.outcome, found.code, found.exit_status


def test_a_list_is_fetched_once_and_then_asked_for_again(publisher: Publisher, tmp_path: Path) -> None:
    publisher.put("/list.txt", LIST, etag='"1"', last_modified="Mon, 02 Mar 2026 10:00:00 GMT")
    feed = publisher.feed(tmp_path)
    assert pulled(feed) == ("changed", "", 0)
    assert pulled(feed) == ("unchanged", "", 0)
    first, second = (headers for _, headers in publisher.asked)
    assert "if-none-match" not in first
    assert "if-modified-since" not in first
    assert second["if-none-match"] == '"1"'
    assert second["if-modified-since"] == "Mon, 02 Mar 2026 10:00:00 GMT"


def test_after_a_refused_list_the_last_good_one_is_asked_for(publisher: Publisher, tmp_path: Path) -> None:
    """Otherwise "not modified" would confirm a list that was never taken."""
    publisher.put("/list.txt", LIST, etag='"1"')
    feed = publisher.feed(tmp_path)
    pulled(feed)
    publisher.put("/list.txt", "0.0.0.0/0\n", etag='"2"')
    assert pulled(feed) == ("refused", "everyone", 1)
    assert pulled(feed) == ("refused", "everyone", 1)
    assert publisher.asked[-1][1]["if-none-match"] == '"1"'


def test_other_settings_fetch_the_list_anew(publisher: Publisher, tmp_path: Path) -> None:
    publisher.put("/list.txt", LIST, etag='"1"')
    feed = publisher.feed(tmp_path)
    pulled(feed)
    pulled(replace(feed, bounds=replace(feed.bounds, min_prefix4=9)))
    assert "if-none-match" not in publisher.asked[-1][1]


def test_not_modified_is_believed_only_if_it_was_asked(publisher: Publisher, tmp_path: Path) -> None:
    publisher.answer("/list.txt", status=304)
    assert pulled(publisher.feed(tmp_path)) == ("unreachable", "status", 2)


@pytest.mark.parametrize(
    ("status", "code"),
    [(404, "gone"), (410, "gone"), (403, "status"), (500, "status"), (206, "status"), (204, "status")],
)
def test_other_answers_are_no_list(publisher: Publisher, tmp_path: Path, status: int, code: str) -> None:
    publisher.put("/list.txt", LIST)
    feed = publisher.feed(tmp_path)
    pulled(feed)
    publisher.answer("/list.txt", status=status, content=b"" if status == 204 else LIST.encode())
    assert pulled(feed) == ("unreachable", code, 2)
    assert "203.0.113.7" in Puller(feed).status().allow


RAW = [
    b"",
    b"junk\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n203.0.113.0/24\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nf\r\n203.0.113.0/24\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
]


@pytest.mark.parametrize("raw", RAW)
def test_an_answer_that_is_cut_short_is_no_list(publisher: Publisher, tmp_path: Path, raw: bytes) -> None:
    publisher.answer("/list.txt", raw=raw)
    assert pulled(publisher.feed(tmp_path)) == ("unreachable", "unreachable", 2)


def test_size_is_bounded_before_and_after_unpacking(publisher: Publisher, tmp_path: Path) -> None:
    feed = publisher.feed(tmp_path, max_bytes=1_000)
    publisher.put("/list.txt", b"#" * 1_001)
    assert pulled(feed) == ("unreachable", "too_large", 2)
    publisher.put("/list.txt", gzip.compress(b"#" * 100_000_000), content_encoding="gzip")
    assert pulled(replace(feed, max_bytes=1_000_000)) == ("unreachable", "too_large", 2)
    publisher.put("/list.txt", gzip.compress(LIST.encode()), content_encoding="gzip")
    assert pulled(feed) == ("changed", "", 0)
    publisher.put("/list.txt", LIST.encode().ljust(1_000, b"#"))
    assert pulled(feed) == ("unchanged", "", 0)
    publisher.put("/list.txt", LIST, content_encoding="br")
    assert pulled(feed) == ("unreachable", "coding", 2)


def test_a_packed_file_is_unpacked_by_its_name(publisher: Publisher, tmp_path: Path) -> None:
    publisher.put("/list.txt.gz", gzip.compress(LIST.encode()))
    assert pulled(publisher.feed(tmp_path, "/list.txt.gz")) == ("changed", "", 0)
    publisher.put("/list.txt.gz", gzip.compress(b"#" * 100_000_000))
    assert pulled(publisher.feed(tmp_path, "/list.txt.gz", max_bytes=1_000_000)) == ("unreachable", "too_large", 2)


def test_gzip_that_is_damaged_is_told() -> None:
    packed = gzip.compress(b"203.0.113.0/24")
    assert unpacked(packed + packed, 28, "a") == b"203.0.113.0/24" * 2
    for damaged in (b"", b"junk", packed[:-1], packed + b"x", packed * 65):
        with pytest.raises(FeedUnreachable) as caught:
            unpacked(damaged, 10_000, "a")
        assert caught.value.code == "unpacking"
    with pytest.raises(FeedUnreachable, match="unpacks to more than 13 bytes"):
        unpacked(packed, 13, "a")


def test_time_is_bounded_for_all_that_a_look_fetches(publisher: Publisher, tmp_path: Path) -> None:
    publisher.answer("/list.txt", content=LIST.encode(), wait=threading.Event())
    assert pulled(publisher.feed(tmp_path, timeout=0.3)) == ("unreachable", "timeout", 2)
    publisher.answer("/list.txt", content=b"#" * 10_000, drips=True)
    assert pulled(publisher.feed(tmp_path, timeout=0.5)) == ("unreachable", "timeout", 2)


# -- Where nobody is asked ----------------------------------------------------


def test_redirects_go_to_https_and_are_counted(publisher: Publisher, tmp_path: Path) -> None:
    publisher.put("/list.txt", LIST)
    for number in range(6):
        publisher.answer(
            f"/{number}.txt", status=302, headers={"Location": f"/{number - 1}.txt" if number else "/list.txt"}
        )
    assert pulled(publisher.feed(tmp_path, "/4.txt")) == ("changed", "", 0)
    assert pulled(publisher.feed(tmp_path, "/5.txt")) == ("unreachable", "redirects", 2)
    targets = (
        "http://127.0.0.1/list.txt",
        "file:///etc/passwd",
        "ftp://a.example/",
        "https://a:b@a.example/",
    )
    for target in targets:
        publisher.answer("/0.txt", status=302, headers={"Location": target})
        found = Puller(publisher.feed(tmp_path, "/0.txt")).pull()
        assert (found.outcome, found.code) == ("unreachable", "redirect"), target
        assert "which is not https" in found.reason
    publisher.answer("/0.txt", status=302, headers={"Location": f"https://{'a' * 70}.example/"})
    assert pulled(publisher.feed(tmp_path, "/0.txt")) == ("unreachable", "name", 2)
    publisher.answer("/0.txt", status=302)
    assert pulled(publisher.feed(tmp_path, "/0.txt")) == ("unreachable", "redirect", 2)


def test_a_redirect_into_the_own_network_is_refused(publisher: Publisher, tmp_path: Path) -> None:
    """The source's own host may be private if that was said; another host never."""
    (tmp_path / "inner").mkdir()
    with Publisher(tmp_path / "inner") as inner:
        inner.put("/secret", LIST)
        publisher.answer("/list.txt", status=302, headers={"Location": f"{inner.root}/secret"})
        found = Puller(publisher.feed(tmp_path)).pull()
        assert (found.outcome, found.code) == ("unreachable", "private")
        assert "127.0.0.1 is loopback" in found.reason
        assert inner.asked == []


def test_a_source_in_the_own_network_must_be_said(publisher: Publisher, tmp_path: Path) -> None:
    publisher.put("/list.txt", LIST)
    found = Puller(publisher.feed(tmp_path, private_source=False)).pull()
    assert (found.code, found.exit_status, publisher.asked) == ("private", 2, [])


def test_a_name_that_changes_between_check_and_connection_is_noticed(
    publisher: Publisher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def passes(_url: str) -> None:
        pass

    publisher.put("/list.txt", LIST)
    monkeypatch.setattr(room, "_check_public", passes)
    assert pulled(publisher.feed(tmp_path, private_source=False)) == ("unreachable", "private", 2)


def test_a_token_goes_to_the_own_origin_alone(
    publisher: Publisher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "token").write_text("secret-1\n")
    (tmp_path / "other").mkdir()
    with Publisher(tmp_path / "other") as other:
        publisher.answer("/list.txt", status=302, headers={"Location": "/2"})
        publisher.answer("/2", status=302, headers={"Location": f"{other.root}/3"})
        monkeypatch.setattr(room, "why_not_public", lambda _: None)
        monkeypatch.setattr(room.Fetcher, "_trusted", lambda _: False)
        other.put("/3", LIST)
        assert pulled(publisher.feed(tmp_path, token_file=str(tmp_path / "token"))) == ("changed", "", 0)
    assert [headers.get("authorization") for _, headers in publisher.asked] == ["Bearer secret-1"] * 2
    assert "authorization" not in other.asked[0][1]


def test_a_certificate_of_another_authority_is_refused(publisher: Publisher, tmp_path: Path) -> None:
    publisher.put("/list.txt", LIST)
    assert pulled(publisher.feed(tmp_path, ca_file=None)) == ("unreachable", "unreachable", 2)
    assert pulled(publisher.feed(tmp_path, ca_file=str(tmp_path / "none.pem"))) == ("unreachable", "ca_file", 2)
    assert publisher.asked == []


def test_http_is_asked_only_if_the_source_was_said_twice(tmp_path: Path) -> None:
    with Publisher(tmp_path, tls=False) as plain:
        plain.put("/list.txt", LIST)
        for again in (None, plain.root, plain.root.replace("http", "https")):
            with pytest.raises(FeedSettingsError, match="http is taken if insecure_source says the source again"):
                plain.feed(tmp_path, insecure_source=again)
        assert pulled(plain.feed(tmp_path, insecure_source=f"{plain.root}/list.txt")) == ("changed", "", 0)


def test_a_publisher_that_is_not_there_is_told(tmp_path: Path) -> None:
    with Publisher(tmp_path) as publisher:
        feed = publisher.feed(tmp_path)
    assert pulled(feed) == ("unreachable", "unreachable", 2)


def test_secrets_of_a_query_are_shown_nowhere(publisher: Publisher, tmp_path: Path) -> None:
    feed = publisher.feed(tmp_path, "/list.txt?license=s3cret")
    found = Puller(feed).pull()
    assert "s3cret" not in found.reason
    assert "s3cret" not in (tmp_path / "edge.feed").read_text()
    publisher.put("/list.txt?license=s3cret", LIST)
    assert pulled(feed) == ("changed", "", 0)


NOT_PUBLIC = [
    ("10.0.0.1", "private"), ("127.0.0.1", "loopback"), ("169.254.1.1", "link-local"), ("224.0.0.1", "multicast"),
    ("0.0.0.0", "unspecified"), ("100.64.0.1", "not of"), ("::1", "loopback"), ("fe80::1%eth0", "link-local"),
    ("fd00::1", "private"), ("ff02::1", "multicast"), ("::", "unspecified"), ("::ffff:10.0.0.1", "private"),
    ("64:ff9b::127.0.0.1", "loopback"), ("2002:a00:1::", "private"), ("240.0.0.1", "private"),
    ("::10.0.0.1", "private"), ("fec0::1", "not of"), ("8000::1", "not of"), ("64:ff9b:1::10.0.0.1", "not of"),
    ("::ffff:0:127.0.0.1", "not of"), ("192.0.0.192", "not of"), ("3fff::1", "not of"),
]  # fmt: skip


@pytest.mark.parametrize(("address", "why"), NOT_PUBLIC)
def test_addresses_that_are_not_of_the_public_internet(address: str, why: str) -> None:
    assert why in (why_not_public(address) or "")


@pytest.mark.parametrize("address", ["1.1.1.1", "2606:4700::1111", "64:ff9b::1.1.1.1", "2002:101:101::"])
def test_addresses_of_the_public_internet(address: str) -> None:
    assert why_not_public(address) is None


# -- Files --------------------------------------------------------------------


def test_files_are_regular_and_bounded(tmp_path: Path) -> None:
    def feed(**settings: Any) -> Feed:
        return Feed(name="edge", use="allow", state=str(tmp_path / "edge.feed"), **settings)

    (tmp_path / "list.txt").write_text(LIST)
    path = str(tmp_path / "list.txt")
    assert pulled(feed(source=path, max_bytes=len(LIST) - 1)) == ("unreachable", "too_large", 2)
    assert pulled(feed(source=path, max_bytes=len(LIST))) == ("changed", "", 0)
    assert pulled(feed(source=str(tmp_path))) == ("unreachable", "unreachable", 2)
    assert pulled(feed(source="/dev/zero")) == ("unreachable", "unreachable", 2)
    assert pulled(feed(source=str(tmp_path / "none.txt"))) == ("unreachable", "gone", 2)
    for url in ("file:///etc/hosts", "ftp://a.example/list.txt", "https://a:b@a.example/list.txt", "https:///x"):
        with pytest.raises(FeedSettingsError):
            feed(source=url)


WITHOUT = """
import sys

for name in ("httpx", "cryptography", "dns"):
    sys.modules[name] = None

from cidrmatch.service.feeds import Feed, Hosts, Proof, Puller

folder, key = sys.argv[1:]
known = {"use": "allow", "state": f"{folder}/edge.feed", "name": "edge"}
for settings in (
    {"source": f"{folder}/list.txt"},
    {"source": "https://publisher.example/list.txt"},
    {"source": f"{folder}/list.txt", "proof": Proof(minisign_key=key)},
    {"hosts": Hosts(names=("a.example",))},
):
    pulled = Puller(Feed(**known, **settings)).pull()
    print(pulled.exit_status, pulled.code, pulled.reason.rpartition(": ")[2])
"""


def test_a_file_needs_no_extra_and_everything_else_names_it(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text(LIST)
    raw, whole = b64encode(b"ED" + bytes(72)).decode(), b64encode(bytes(64)).decode()
    signature = f"untrusted comment:\n{raw}\ntrusted comment: none\n{whole}\n"
    (tmp_path / "list.txt.minisig").write_text(signature)
    key = b64encode(b"Ed" + bytes(40)).decode()
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, str(tmp_path), key], capture_output=True, text=True, check=True
    )
    advice = "pip install 'cidrmatch[feeds]'"
    assert done.stdout.splitlines() == ["0  ", f"2 extra {advice}", f"2 extra {advice}", f"2 extra {advice}"]


def test_a_gzip_bomb_takes_no_memory() -> None:
    bomb = gzip.compress(bytes(50_000_000))
    tracemalloc.start()
    try:
        with pytest.raises(FeedUnreachable, match="unpacks to more than 1,000 bytes"):
            unpacked(bomb, 1_000, "a")
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()
