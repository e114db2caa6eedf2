"""The twin itself, against two judges that are older: `inet_pton` and `ipaddress`.  A wrong twin proves nothing."""

import ipaddress

from hypothesis import given
from hypothesis import strategies as st

from tests import reference
from tests.judges import inet_pton
from tests.reference import Address, Span
from tests.strategies import addresses, any_texts, span_lists, spans


def network(span: Span) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    return ipaddress.ip_network((reference.packed_of(span.family, span.first), reference.length_of(span)))


@given(any_texts())
def test_twin_takes_the_addresses_that_inet_pton_takes(text: str) -> None:
    try:
        twin = reference.packed_of(*reference.parse_address(text))
    except reference.Refused:
        twin = None
    assert twin == inet_pton(text)


@given(addresses())
def test_twin_formats_as_ipaddress_does(address: Address) -> None:
    assert reference.format_address(address) == str(ipaddress.ip_address(reference.packed_of(*address)))


@given(spans())
def test_twin_reads_its_own_text(span: Span) -> None:
    assert reference.parse_prefix(reference.format_span(span)) == span
    assert reference.format_span(span) == str(network(span))


@given(span_lists())
def test_twin_aggregates_as_ipaddress_does(found: list[Span]) -> None:
    for family in (4, 6):
        mine = [span for span in found if span.family == family]
        theirs = ipaddress.collapse_addresses(network(span) for span in mine)  # type: ignore[type-var]
        assert [network(span) for span in reference.aggregate(mine)] == list(theirs)


@given(spans(), st.data())
def test_twin_excludes_as_ipaddress_does(outer: Span, data: st.DataObject) -> None:
    length = data.draw(st.integers(reference.length_of(outer), reference.bits_of(outer.family)))
    hole = reference.build_span(outer.family, data.draw(st.integers(outer.first, outer.last)), length)
    theirs = sorted(network(outer).address_exclude(network(hole)))  # type: ignore[arg-type]
    kept = [rest for rest in theirs if network(Span(6, 0xFFFF << 32, 0xFFFFFFFFFFFF)) != rest]
    mine = [network(span) for span in reference.exclude([outer], hole)]
    if hole == reference.fold_span(hole):
        assert mine == kept
