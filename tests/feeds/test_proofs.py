"""Digests and signatures: what proves a list, and every way in which a proof is wrong or missing."""

from __future__ import annotations

import base64
import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cidrmatch.service.feeds import Feed, FeedRefused, FeedSettingsError, Proof, Puller
from cidrmatch.service.feeds.proofs import check_signature, digest_in, minisign_key_of

if TYPE_CHECKING:
    from tests.feeds.publishing import Publisher

LIST = b"203.0.113.0/24\n2001:db8::/48\n"
DIGEST = hashlib.sha256(LIST).hexdigest()


class Signer:
    """Sign as minisign does; see its page for the format."""

    def __init__(self) -> None:
        self._key = Ed25519PrivateKey.generate()
        self.key_id = os.urandom(8)
        self.public = base64.b64encode(b"Ed" + self.key_id + self._key.public_key().public_bytes_raw()).decode()

    def sign(self, content: bytes, *, at: int | None = 1_772_366_400, kind: bytes = b"ED") -> bytes:
        message = hashlib.blake2b(content).digest() if kind == b"ED" else content
        signature = self._key.sign(message)
        trusted = "file:list.txt" if at is None else f"timestamp:{at}\tfile:list.txt"
        lines = (
            "untrusted comment: signature of a test",
            base64.b64encode(kind + self.key_id + signature).decode(),
            f"trusted comment: {trusted}",
            base64.b64encode(self._key.sign(signature + trusted.encode())).decode(),
        )
        return "".join(f"{line}\n" for line in lines).encode()


def pulled(feed: Feed) -> tuple[str, str, int]:
    found = Puller(feed).pull()
    return found.outcome, found.code, found.exit_status


# -- Digests ------------------------------------------------------------------


@pytest.mark.parametrize(
    "sidecar",
    [
        DIGEST,
        DIGEST.upper() + "\r\n",
        f"{DIGEST}  list.txt\n",
        f"{DIGEST} *./lists/list.txt\n",
        f"SHA256 (list.txt) = {DIGEST}\n",
        f"{'0' * 64}  other.txt\n{DIGEST}  list.txt\n",
    ],
)
def test_digests_of_a_sidecar(sidecar: str) -> None:
    assert digest_in(sidecar.encode(), "list.txt") == DIGEST


@pytest.mark.parametrize(
    "sidecar",
    [
        "", "junk", DIGEST[1:], f"{DIGEST}\n{DIGEST}\n", f"{DIGEST}  other.txt\n",
        f"{DIGEST}  list.txt\n{'0' * 64}  list.txt\n", "\xff" * 64,
    ],
)  # fmt: skip
def test_a_sidecar_without_one_digest_of_the_list_is_refused(sidecar: str) -> None:
    with pytest.raises(FeedRefused) as caught:
        digest_in(sidecar.encode("latin-1"), "list.txt")
    assert caught.value.code == "digest_missing"


def test_a_list_whose_sidecar_is_wrong_or_missing_is_refused(publisher: Publisher, tmp_path: Path) -> None:
    publisher.put("/list.txt", LIST)
    feed = publisher.feed(tmp_path, proof=Proof(sha256_url=f"{publisher.root}/list.txt.sha256"))
    assert pulled(feed) == ("refused", "digest_missing", 1)
    publisher.put("/list.txt.sha256", "0" * 64)
    assert pulled(feed) == ("refused", "digest", 1)
    publisher.put("/list.txt.sha256", DIGEST + " " * (1 << 16))
    assert pulled(feed) == ("refused", "digest_missing", 1)
    publisher.answer("/list.txt.sha256", status=500)
    assert pulled(feed) == ("unreachable", "status", 2)
    assert len(Puller(feed).status().allow) == 0
    publisher.put("/list.txt.sha256", f"{DIGEST}  list.txt\n")
    assert pulled(feed) == ("changed", "", 0)


# -- Signatures ---------------------------------------------------------------


def test_a_list_without_its_signature_is_refused(publisher: Publisher, tmp_path: Path) -> None:
    signer = Signer()
    publisher.put("/list.txt", LIST)
    feed = publisher.feed(tmp_path, proof=Proof(minisign_key=signer.public))
    assert pulled(feed) == ("refused", "signature_missing", 1)
    publisher.put("/list.txt.minisig", signer.sign(LIST + b"0.0.0.0/0\n"))
    assert pulled(feed) == ("refused", "signature", 1)
    publisher.put("/list.txt.minisig", Signer().sign(LIST))
    assert pulled(feed) == ("refused", "signature", 1)
    publisher.put("/list.txt.minisig", signer.sign(LIST))
    assert pulled(feed) == ("changed", "", 0)
    publisher.put("/list.txt", LIST + b"203.0.112.0/24\n")
    assert pulled(feed) == ("refused", "signature", 1)


def test_a_signature_stands_where_the_settings_say(publisher: Publisher, tmp_path: Path) -> None:
    signer = Signer()
    publisher.put("/list.txt?v=1", LIST)
    publisher.put("/list.txt.minisig?v=1", signer.sign(LIST, kind=b"Ed"))
    assert pulled(publisher.feed(tmp_path, "/list.txt?v=1", proof=Proof(minisign_key=signer.public)))[0] == "changed"
    publisher.put("/elsewhere", signer.sign(LIST))
    proof = Proof(minisign_key=signer.public, signature_url=f"{publisher.root}/elsewhere")
    publisher.put("/list.txt", LIST)
    assert pulled(publisher.feed(tmp_path, proof=proof)) == ("unchanged", "", 0)


def test_a_file_has_its_signature_beside_it(tmp_path: Path) -> None:
    signer = Signer()
    (tmp_path / "list.txt").write_bytes(LIST)
    feed = Feed(
        name="edge", use="allow", state=str(tmp_path / "edge.feed"), source=str(tmp_path / "list.txt"),
        proof=Proof(minisign_key=signer.public),
    )  # fmt: skip
    assert pulled(feed) == ("refused", "signature_missing", 1)
    (tmp_path / "list.txt.minisig").write_bytes(signer.sign(LIST))
    assert pulled(feed) == ("changed", "", 0)


def test_an_old_list_with_its_valid_signature_does_not_come_back(publisher: Publisher, tmp_path: Path) -> None:
    signer = Signer()
    feed = publisher.feed(tmp_path, proof=Proof(minisign_key=signer.public))
    longer = LIST + b"203.0.112.0/24\n"
    for content, at, expected in (
        (longer, 100, "changed"),
        (LIST, 200, "changed"),
        (longer, 100, "refused"),
        (longer, None, "refused"),
        (LIST, 200, "unchanged"),
        (longer, 201, "changed"),
    ):
        publisher.put("/list.txt", content)
        publisher.put("/list.txt.minisig", signer.sign(content, at=at))
        found = Puller(feed).pull()
        assert found.outcome == expected, (content, at)
        assert found.code in ("", "signature_old")


def test_every_damage_of_a_signature_file_is_refused() -> None:
    signer = Signer()
    key = minisign_key_of(signer.public)
    good = signer.sign(LIST)
    assert check_signature(LIST, good, key, None) == 1_772_366_400
    lines = good.splitlines(keepends=True)
    damaged = [b"", b"\xff", b"".join(lines[:3]), good + b"more\n", good.replace(b"timestamp:1", b"timestamp:2")]
    damaged += [good.replace(b"trusted comment: ", b"trusted: "), lines[0] + b"QUJD\n" + b"".join(lines[2:])]
    damaged += [lines[0] + lines[1].replace(b"RU", b"Ru", 1) + b"".join(lines[2:])]
    damaged += [
        good[:index] + bytes([good[index] ^ 1]) + good[index + 1 :] for index in range(len(lines[0]), len(good) - 1, 3)
    ]
    for text in damaged:
        with pytest.raises(FeedRefused) as caught:
            check_signature(LIST, text, key, None)
        assert caught.value.code == "signature"


@pytest.mark.parametrize("key", ["", "junk", "RWQ", base64.b64encode(b"Xx" + bytes(40)).decode()])
def test_what_is_no_key_is_refused_at_once(key: str) -> None:
    with pytest.raises(FeedSettingsError, match="minisign_key: a public key of minisign is 56 characters"):
        Proof(minisign_key=key)
