"""One word for one thing: names in backticks exist, names that misled stay away, and docs/words.md is whole."""

import re

import pytest

from tests.architecture.naming import CODE, IDENTIFIER, ROOT, code_of, existing, files, named_in, pages

FOREIGN = {
    "bgp_v4.txt.gz", "bgp_v6.txt.gz",  # of the folder that CIDRMATCH_DATA names
    "constraints.txt",  # a file that a reader writes
    "ipaddress.is_private", "secrets.token_bytes",  # attributes of the standard library
    "mv", "rsync",  # programs
    "test_B18_...",  # a pattern
    "X_Forwarded_For",  # a header that somebody else may send
    "ProxyFix", "add_x_forwarded_for_proxy", "forwardedHeaders.insecure", "forwardedHeaders.notAppendXForwardedFor",
    "forwardedHeaders.trustedIPs", "insecure", "notAppendXForwardedFor", "proxy_set_header", "reverse_proxy",
    "routing.http.xff_client_port.enabled", "routing.http.xff_header_processing.mode", "set_real_ip_from",
    "skip_xff_append", "trustedIPs", "trusted_proxies_strict", "use_remote_address",
    "xff_client_port",  # settings of proxies
}  # fmt: skip
"""Names that the pages speak of and that are not ours."""

MISLEADING = {
    "Key": "bits of an address, in a library about API keys: Bits",
    "compare_keys": "compare_bits",
}
"""Names that were given up, each with what is said now.  `docs/words.md` tells the rest."""


def sources() -> list[str]:
    return [path.relative_to(ROOT).as_posix() for path in [*files(*CODE), *pages()]]


@pytest.mark.parametrize("name", sources())
def test_names_in_backticks_exist(name: str) -> None:
    missing = [
        f"line {number}: {found}"
        for number, found in named_in(ROOT / name)
        if found not in FOREIGN and not set(IDENTIFIER.findall(found)) <= existing()
    ]
    assert missing == []


def test_a_name_that_only_comments_speak_of_does_not_exist() -> None:
    assert {"AllowList", "find_text", "CIDRMATCH_AVX2", "frozenset"} <= existing()
    assert "wxyzzy" + "_name" not in existing()  # wxyzzy_name


def test_names_that_misled_do_not_come_back() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {name}, {instead}"
        for path in files("src")
        for name, instead in MISLEADING.items()
        if re.search(rf"\b{name}\b", code_of(path))
    ]
    assert found == []


def test_words_have_one_line_each_in_order_and_name_what_exists() -> None:
    text = (ROOT / "docs" / "words.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| \*\*([^*|]+)\*\* \| (.+) \|$", text, re.MULTILINE)
    words = [word for word, _ in rows]
    assert words == sorted(words, key=str.lower)
    assert len(words) == len(set(words)) >= 25
    for word, meaning in rows:
        assert len(re.split(r"[.] ", meaning)) <= 3, word
