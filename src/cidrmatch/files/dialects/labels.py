"""Labels in configuration: which characters may stand there, and what becomes of the others.

A label is whatever a person typed.  In a comment or a description it stands in the middle of configuration, so one
character too many would be configuration, too: a newline ends a comment, `{$HOME}` is replaced by Caddy even there,
`${...}` by Terraform, `{{...}}` by Traefik.  So nothing is escaped.  Each dialect names the characters that it
takes, and each other one becomes "_":

    Vienna, 2nd floor (VPN)         stays
    Office # "HQ"; }\\n deny all     Office _ _HQ__ __ deny all

Letters and digits are those of Unicode; without control, format and separator characters there is no other line and no
other direction of writing.  A label that changed is told: `writing` counts them.
"""

from __future__ import annotations

import unicodedata
from typing import Final, NamedTuple

__all__ = ["ANY", "AWS", "CLOUDFLARE", "COMMENT", "LOST", "QUOTED_128", "QUOTED_255", "Charset", "harmless"]


class Charset(NamedTuple):
    """Say which characters of a label may be written, and how many.

    Attributes:
        most_bytes: the largest size in UTF-8; 0 if the dialect keeps no labels.
        marks: what is allowed besides letters, digits and spaces.
        is_ascii: whether letters and digits are only those of ASCII.
    """

    most_bytes: int
    marks: str
    is_ascii: bool = False


_MARKS: Final = "-_.,:/()+@=&'!?~^|<>[]%"
"""No quote, no backslash, no "#", no ";", no brace, no "$", no "*", no backtick."""

ANY: Final = Charset(1 << 30, "")
"""Our own formats: a parser takes back what a person typed; nothing is replaced."""
LOST: Final = Charset(0, "")
"""The dialect keeps no labels."""
COMMENT: Final = Charset(200, _MARKS)
"""A comment to the end of the line; no line becomes so long that a product refuses it."""
QUOTED_255: Final = Charset(255, _MARKS)
"""Between quotes: iptables takes 255 bytes (XT_MAX_COMMENT_LEN is 256, with the NUL), ipset 255
(IPSET_MAX_COMMENT_SIZE)."""
QUOTED_128: Final = Charset(127, _MARKS)
"""Between quotes: nftables takes 127 bytes (NFTNL_UDATA_COMMENT_MAXLEN is 128, with the NUL)."""
AWS: Final = Charset(255, ". _-:/()#,@[]+=&;{}!$*", is_ascii=True)
"""The description of a security group's rule: API reference of Amazon EC2, IpRange."""
CLOUDFLARE: Final = Charset(500, _MARKS + '#;{}$*"\\`')
"""The comment of an item of a list: it stands in JSON or in a cell of CSV, which quote it."""


def harmless(label: str | None, charset: Charset) -> str | None:
    """Give what a dialect may hold of a label; None if nothing is left.

    >>> harmless('HQ "Vienna"; }', COMMENT)
    'HQ _Vienna__ _'
    """
    if charset is ANY and label is not None:
        kept = label.replace("\0", "_")  # a file with a NUL is refused, and a lone surrogate cannot be in one
        return kept.encode("utf-8", "replace").decode("utf-8") or None
    if label is None or charset.most_bytes == 0:
        return None
    kept = "".join(one if _is_allowed(one, charset) else "_" for one in label).strip(" ")
    return kept.encode("utf-8")[: charset.most_bytes].decode("utf-8", "ignore").strip(" ") or None


def _is_allowed(one: str, charset: Charset) -> bool:
    if one == " " or one in charset.marks:
        return True
    if one.isascii() or charset.is_ascii:
        return one.isascii() and one.isalnum()
    return unicodedata.category(one)[0] in "LNM"  # letters, numbers, and marks that belong to a letter
