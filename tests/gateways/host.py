"""The host that the frameworks' tests run: its keys, its own checks, and what it answers.

    PRESET=bitbybit   authenticate > scope > ip
    PRESET=unkey      validity > ip > permissions > ratelimit
    SHOW_ADDRESS=no   a denial does not tell the address, as products do it; here most tests read it

    key            what is special about it
    key_1          listed: 203.0.113.0/24 "home", 2001:db8::/48, 127.0.0.1 is not
    local          listed: 127.0.0.1
    open           has no list
    no_scope       as key_1; its scope does not suffice (bitbybit)
    expired        as key_1; it is not valid any more (unkey)
    no_permission  as key_1 (unkey)
    broken         as key_1; the host's check of it raises

A key is known if it stands here; any other is none.  Each key has a quota of two requests at Unkey.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

from cidrmatch import Engine, Response, presets
from cidrmatch.gateways.guard import Guard, GuardDecision
from tests.gateways.apps import STRATEGIES

PRESET = os.environ.get("PRESET", "bitbybit")
LISTED = [("203.0.113.0/24", None), ("2001:db8::/48", None)]
KNOWN = ("key_1", "local", "open", "no_scope", "expired", "no_permission", "broken")
QUOTA = 2
used: Counter[str] = Counter()


def build_guard() -> Guard:
    engine = Engine(presets.PRESETS[PRESET]())
    for key in KNOWN:
        engine.put_key(key, {"local": ["127.0.0.1"], "open": None}.get(key, LISTED))
    shows = os.environ.get("SHOW_ADDRESS", "yes") == "yes"
    return Guard(engine, STRATEGIES[os.environ.get("STRATEGY", "proxies")], show_address=shows)


def known(key: str | None) -> str | None:
    """Authenticate: a key that is not known is none."""
    if key == "raises":
        raise OSError("the database of keys does not answer")
    return key if key in KNOWN else None


def scope(request: Any, key: str) -> object:
    if key == "broken":
        raise OSError("no luck with the scopes")
    return key != "no_scope" or Response(403, (("content-type", "text/plain"),), b"INSUFFICIENT_SCOPE")


def validity(request: Any, key: str) -> object:
    return key != "expired" or Response(401, (("content-type", "text/plain"),), b"EXPIRED")


def permissions(request: Any, key: str) -> object:
    return key != "no_permission"


def ratelimit(request: Any, key: str) -> object:
    used[key] += 1
    return used[key] <= QUOTA or Response(429, (("content-type", "text/plain"),), b"RATE_LIMITED")


STEPS: dict[str, dict[str, Callable[[Any, str], object] | None]] = {
    "bitbybit": {"authenticate": None, "scope": scope},
    "unkey": {"validity": validity, "permissions": permissions, "ratelimit": ratelimit},
}


def waiting(step: Callable[[Any, str], object] | None) -> Callable[[Any, str], Awaitable[object]] | None:
    """Make a coroutine function of a step."""
    if step is None:
        return None

    async def asked(request: Any, key: str) -> object:
        return step(request, key)

    return asked


def said(found: GuardDecision | None) -> dict[str, object]:
    """What an endpoint answers."""
    if found is None:
        return {"address": None, "reason": None}
    return {"address": found.address, "reason": str(found.reason)}


def said_bytes(found: GuardDecision | None) -> bytes:
    return json.dumps(said(found)).encode()
