"""Host names as a source: answers with their age, answers that are refused, and a real name server on the loopback."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest

from cidrmatch import Engine, presets
from cidrmatch.advice.lint import lint
from cidrmatch.service.feeds import Answer, Feed, FeedError, FeedSettingsError, Hosts, Puller, Targets
from cidrmatch.service.feeds.resolvers import dns_resolver, system_resolver
from tests.feeds.publishing import Clock

VIENNA, GRAZ = "vienna.example.net", "graz.example.net"


class Names:
    """A resolver whose answers a test sets; None is no answer."""

    def __init__(self, **answers: tuple[str, ...]) -> None:
        self.answers: dict[str, tuple[str, ...] | None] = {f"{name}.example.net": it for name, it in answers.items()}
        self.ttl = 300.0
        self.asked: list[str] = []

    def __call__(self, name: str) -> Answer:
        self.asked.append(name)
        found = self.answers.get(name)
        if found is None:
            raise LookupError("SERVFAIL")
        return Answer(found, self.ttl)


def feed_of(folder: Path, *names: str, **settings: Any) -> Feed:
    given: dict[str, Any] = {"name": "offices", "use": "allow", "state": str(folder / "offices.feed"), "max_age": 3_600}
    own = {key: settings.pop(key) for key in ("private", "min_ttl", "max_ttl", "max_addresses") if key in settings}
    return Feed(**given | {"hosts": Hosts(names=names or (VIENNA, GRAZ), **own)} | settings)


def puller_of(feed: Feed, names: Names, clock: Clock) -> Puller:
    return Puller(feed, resolver=names, clock=clock)


def entries_of(puller: Puller) -> set[tuple[str, str | None]]:
    return {(str(entry.prefix), entry.label) for entry in puller.status().allow}


def test_names_become_entries_and_are_asked_again_when_their_time_is_over(tmp_path: Path) -> None:
    names, clock = Names(vienna=("93.184.216.34", "2606:4700::7"), graz=("93.184.216.35",)), Clock()
    puller = puller_of(feed_of(tmp_path), names, clock)
    assert puller.pull().exit_status == 0
    assert entries_of(puller) == {
        ("93.184.216.34/32", f"host {VIENNA}"),
        ("2606:4700::7/128", f"host {VIENNA}"),
        ("93.184.216.35/32", f"host {GRAZ}"),
    }
    clock.now += 299
    puller.pull()
    assert names.asked == [VIENNA, GRAZ]
    clock.now += 1
    names.answers[VIENNA] = ("93.184.216.36",)
    pulled = puller.pull()
    assert names.asked == [VIENNA, GRAZ] * 2
    assert pulled.changes is not None
    assert [str(prefix) for prefix in pulled.changes.lost] == ["93.184.216.34/32", "2606:4700::7/128"]


@pytest.mark.parametrize(("ttl", "first"), [(0, 60), (59, 60), (61, 61), (86_400, 900)])
def test_the_time_to_live_is_bounded_below_and_above(tmp_path: Path, ttl: float, first: float) -> None:
    names, clock = Names(vienna=("93.184.216.34",)), Clock()
    names.ttl = ttl
    puller = puller_of(feed_of(tmp_path, VIENNA, max_ttl=900.0), names, clock)
    puller.pull()
    clock.now += first - 1
    puller.pull()
    assert len(names.asked) == 1
    clock.now += 1
    puller.pull()
    assert len(names.asked) == 2


def test_a_name_without_an_answer_keeps_its_last_one_until_that_is_too_old(tmp_path: Path) -> None:
    names, clock = Names(vienna=("93.184.216.34",), graz=("93.184.216.35",)), Clock()
    puller = puller_of(feed_of(tmp_path), names, clock)
    puller.pull()
    names.answers[VIENNA] = None
    clock.now += 3_600
    pulled = puller.pull()
    assert (pulled.outcome, pulled.exit_status, pulled.reason) == ("unreachable", 2, f"{VIENNA}: SERVFAIL")
    assert "93.184.216.34" in pulled.status.allow
    clock.now += 1
    found = puller.status()
    assert (found.is_stale, {str(entry.prefix) for entry in found.allow}) == (True, {"93.184.216.35/32"})
    pulled = puller.pull()
    assert pulled.changes is not None
    assert [str(prefix) for prefix in pulled.changes.lost] == ["93.184.216.34/32"]
    names.answers[GRAZ] = None
    clock.now += 3_601
    assert len(puller.pull().status.allow) == 0
    names.answers[VIENNA] = names.answers[GRAZ] = ("93.184.216.37",)
    assert puller.pull().exit_status == 0
    assert not puller.status().is_stale


def test_a_list_file_says_that_a_name_is_left_out(tmp_path: Path) -> None:
    names, clock = Names(vienna=("93.184.216.34",), graz=("93.184.216.35",)), Clock()
    output = tmp_path / "out.txt"
    puller = puller_of(feed_of(tmp_path, targets=Targets(output=str(output))), names, clock)
    puller.pull()
    assert "stale" not in output.read_text()
    names.answers[VIENNA] = None
    clock.now += 3_601
    puller.pull()
    assert output.read_text().splitlines()[1:] == [
        "# the list is stale: names without an answer that is young enough are left out",
        f"93.184.216.35/32  # host {GRAZ}",
    ]


def test_an_empty_answer_is_no_answer(tmp_path: Path) -> None:
    names, clock = Names(vienna=("93.184.216.34",)), Clock()
    puller = puller_of(feed_of(tmp_path, VIENNA), names, clock)
    puller.pull()
    names.answers[VIENNA] = ()
    clock.now += 300
    pulled = puller.pull()
    assert (pulled.code, "93.184.216.34" in pulled.status.allow) == ("names", True)


BAD = ["10.0.0.1", "127.0.0.1", "::1", "169.254.169.254", "64:ff9b::10.0.0.1", "224.0.0.1", "fe80::1%eth0", "junk"]


@pytest.mark.parametrize("bad", [*BAD, "::ffff:93.184.216.34"])
def test_an_answer_with_an_address_of_the_own_network_is_refused_as_a_whole(tmp_path: Path, bad: str) -> None:
    names, clock = Names(vienna=("93.184.216.34",), graz=("93.184.216.35",)), Clock()
    puller = puller_of(feed_of(tmp_path), names, clock)
    puller.pull()
    names.answers[VIENNA] = ("93.184.216.99", bad)
    names.answers[GRAZ] = ("93.184.216.98",)
    clock.now += 300
    pulled = puller.pull()
    assert (pulled.outcome, pulled.exit_status) == ("refused", 1)
    assert {str(entry.prefix) for entry in pulled.status.allow} == {"93.184.216.34/32", "93.184.216.98/32"}


def test_private_addresses_are_taken_if_that_was_said(tmp_path: Path) -> None:
    for bad in ("224.0.0.1", "0.0.0.0", "fe80::1%eth0", "::ffff:10.0.0.1"):
        names = Names(vienna=(bad,))
        assert puller_of(feed_of(tmp_path, VIENNA, private=True), names, Clock()).pull().outcome == "refused"
    names = Names(vienna=("10.0.0.1", "FD00::1"))
    puller = puller_of(feed_of(tmp_path, VIENNA, private=True), names, Clock())
    assert puller.pull().exit_status == 0
    assert entries_of(puller) == {("10.0.0.1/32", f"host {VIENNA}"), ("fd00::1/128", f"host {VIENNA}")}


def test_an_answer_with_too_many_addresses_is_refused(tmp_path: Path) -> None:
    names = Names(vienna=tuple(f"93.184.216.{number}" for number in range(33)))
    puller = puller_of(feed_of(tmp_path, VIENNA), names, Clock())
    assert puller.pull().reason == f"{VIENNA}: 33 addresses, and max_addresses is 32"


def test_a_name_that_left_the_settings_leaves_the_list(tmp_path: Path) -> None:
    names, clock = Names(vienna=("93.184.216.34",), graz=("93.184.216.35",)), Clock()
    puller_of(feed_of(tmp_path), names, clock).pull()
    puller = puller_of(feed_of(tmp_path, GRAZ), names, clock)
    assert entries_of(puller) == {("93.184.216.35/32", f"host {GRAZ}")}
    puller.pull()
    assert entries_of(puller) == {("93.184.216.35/32", f"host {GRAZ}")}


@pytest.mark.parametrize("when_stale", [None, "keep"])
def test_an_answer_that_the_settings_no_longer_take_leaves_the_list_at_once(
    tmp_path: Path, when_stale: str | None
) -> None:
    names, clock = Names(vienna=("10.0.0.5",)), Clock()
    settings = {"when_stale": when_stale}
    puller_of(feed_of(tmp_path, VIENNA, private=True, **settings), names, clock).pull()
    puller = puller_of(feed_of(tmp_path, VIENNA, **settings), names, clock)
    assert entries_of(puller) == set()
    assert puller.pull().outcome == "refused"
    assert entries_of(puller) == set()
    assert entries_of(puller_of(feed_of(tmp_path, GRAZ, private=True, **settings), names, clock)) == set()


def test_a_policy_judges_the_addresses_of_names(tmp_path: Path) -> None:
    names = Names(vienna=("93.184.216.34", "2606:4700::7"))
    policy = presets.pigment()
    pulled = puller_of(feed_of(tmp_path, VIENNA, policy=policy), names, Clock()).pull()
    assert (pulled.outcome, pulled.code) == ("refused", "policy")


@pytest.mark.parametrize(
    "name",
    [
        "localhost",
        "a..b",
        "*.example.net",
        "-a.example",
        "a.example.",
        "A.example",
        "10.0.0.1",
        "b\u00fcro.example",
        "",
    ],
)
def test_what_is_no_host_name_is_refused_at_once(name: str) -> None:
    with pytest.raises(FeedSettingsError, match="hosts: "):
        Hosts(names=(name,))


def test_an_engine_fails_closed_by_the_age_of_each_answer_and_lint_tells_it(tmp_path: Path) -> None:
    names, clock = Names(vienna=("93.184.216.34",), graz=("93.184.216.35",)), Clock()
    snapshot = tmp_path / "keys.snap"
    engine = Engine(clock=clock)
    engine.put_list("offices", ["192.0.2.1"])
    engine.put_key("key_1", lists=["offices"])
    engine.save(snapshot)
    puller = puller_of(feed_of(tmp_path, targets=Targets(snapshot=str(snapshot))), names, clock)
    answered = clock.now
    assert puller.pull().exit_status == 0
    clock.now += 1_800
    names.answers[VIENNA] = None
    puller.pull()
    followed = Engine.open(snapshot, clock=clock)
    assert not followed.allows("key_1", "192.0.2.1")
    found = [finding for finding in lint(followed) if finding.code == "host_name"]
    assert found[0].message == f"it stands for the host name {VIENNA}, which was answered 1,800 seconds ago"
    assert found[1].message == f"it stands for the host name {GRAZ}, which was answered 0 seconds ago"
    clock.now = answered + 3_599
    assert followed.allows("key_1", "93.184.216.34")
    clock.now = answered + 3_600
    assert not followed.allows("key_1", "93.184.216.34"), "nobody pulled, and still it is over"
    assert followed.allows("key_1", "93.184.216.35")
    clock.now = answered + 9_000
    names.answers[GRAZ] = None
    assert puller.pull().exit_status == 2
    assert not Engine.open(snapshot, clock=clock).allows("key_1", "93.184.216.35")


# -- Resolvers ----------------------------------------------------------------


@contextmanager
def name_server(zone: dict[tuple[str, str], tuple[int, list[str]]], rcode: int = dns.rcode.NOERROR) -> Iterator[str]:
    """A name server by UDP: it answers from a zone, (name, kind) -> (TTL, records)."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(0.05)
        is_over = threading.Event()

        def serve() -> None:
            while not is_over.is_set():
                try:
                    asked, client = server.recvfrom(4_096)
                except TimeoutError:
                    continue
                query = dns.message.from_wire(asked)
                answer = dns.message.make_response(query)
                answer.flags |= dns.flags.RA
                answer.set_rcode(dns.rcode.Rcode(rcode))
                question = query.question[0]
                name, kind = question.name.to_text().rstrip("."), dns.rdatatype.to_text(question.rdtype)
                while (name, "CNAME") in zone:
                    ttl, (target,) = zone[name, "CNAME"]
                    answer.answer.append(dns.rrset.from_text(f"{name}.", ttl, "IN", "CNAME", f"{target}."))
                    name = target
                if (name, kind) in zone:
                    ttl, records = zone[name, kind]
                    answer.answer.append(dns.rrset.from_text(f"{name}.", ttl, "IN", kind, *records))
                server.sendto(answer.to_wire(), client)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield f"127.0.0.1#{server.getsockname()[1]}"
        finally:
            is_over.set()
            thread.join()


def test_dns_gives_both_families_and_the_shortest_time_to_live() -> None:
    zone = {
        (VIENNA, "CNAME"): (45, ["dyn.example.org"]),
        ("dyn.example.org", "A"): (300, ["93.184.216.34", "93.184.216.35"]),
        ("dyn.example.org", "AAAA"): (600, ["2606:4700::7"]),
        (GRAZ, "A"): (120, ["93.184.216.36"]),
    }
    with name_server(zone) as server:
        resolver = dns_resolver([server])
        answer = resolver(VIENNA)
        assert (set(answer.addresses), answer.ttl) == ({"93.184.216.34", "93.184.216.35", "2606:4700::7"}, 45)
        assert resolver(GRAZ) == Answer(("93.184.216.36",), 120)
        assert resolver("nothing.example.net").addresses == ()


@pytest.mark.parametrize("rcode", [dns.rcode.NXDOMAIN, dns.rcode.SERVFAIL, dns.rcode.REFUSED])
def test_dns_that_fails_is_no_answer(rcode: int) -> None:
    with name_server({(VIENNA, "A"): (300, ["93.184.216.34"])}, rcode) as server, pytest.raises(LookupError):
        dns_resolver([server], seconds=1.0)(VIENNA)


def test_dns_that_does_not_answer_is_no_answer() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mute:
        mute.bind(("127.0.0.1", 0))
        with pytest.raises(LookupError):
            dns_resolver([f"127.0.0.1#{mute.getsockname()[1]}"], seconds=0.2)(VIENNA)


@pytest.mark.parametrize("server", ["ns.example.net", "127.0.0.1#x", ""])
def test_a_name_server_is_an_address(server: str) -> None:
    with pytest.raises(FeedError) as caught:
        dns_resolver([server])
    assert caught.value.code == "nameservers"


def test_names_of_a_feed_are_asked_by_its_own_name_servers(tmp_path: Path) -> None:
    with name_server({(VIENNA, "A"): (300, ["93.184.216.34"])}) as server:
        hosts = Hosts(names=(VIENNA,), nameservers=(server,))
        puller = Puller(Feed(name="a", use="allow", state=str(tmp_path / "a.feed"), hosts=hosts))
        assert puller.pull().exit_status == 0
    assert entries_of(puller) == {("93.184.216.34/32", f"host {VIENNA}")}


def test_the_system_tells_no_time_to_live_so_the_caller_does() -> None:
    answer = system_resolver(ttl=120)("localhost")
    assert answer.ttl == 120
    assert set(answer.addresses) <= {"127.0.0.1", "::1"}
    with pytest.raises(OSError, match=r"\S"):
        system_resolver(ttl=120)("no-such-name.invalid")
