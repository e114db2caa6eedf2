"""Why somebody else does better, where somebody does: a table says so, and this says why.

    REASONS[rival]   { beginning of the question's name: sentence }

The longest beginning that fits is the one that counts.  A loss that is not
explained here is printed as unexplained, so that nobody overlooks it.
"""

UNKNOWN = "no reason is known."

_MERGED = (
    "it keeps merged ranges alone, so it can say yes or no, but no longer which entry matched or with which label."
)

REASONS: dict[str, dict[str, str]] = {
    "ipset_c": {"memory/v": _MERGED},
    "inet_pton + bisect": {"memory/v": _MERGED},
}


def reason_for(question: str, rival: str) -> str:
    """Explain why this rival is ahead in this question."""
    known = REASONS.get(rival, {})
    fitting = [beginning for beginning in known if question.startswith(beginning)]
    return known[max(fitting, key=len)] if fitting else UNKNOWN
