"""A real `cidrmatch serve --store` on a free port, with a token of each role, and calls of its admin API.

with serving_store(folder, url) as stand:
    stand.call("PUT", "/keys/key_1", {"entries": ["203.0.113.0/24"]}, role="editor")
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from cidrmatch import Policy, presets
from cidrmatch.service.stores.store import Store
from cidrmatch.service.stores.tokens import ROLES, Tokens
from tests.gateways.serving import PYTHON, Reply, ask
from tests.servers import free_port, started
from tests.service.serving import environment


@dataclass(frozen=True)
class Stand:
    """A server with its store."""

    port: int
    store: Store
    tokens: Mapping[str, str]
    log: Path
    client: httpx.Client

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def call(
        self, method: str, path: str, body: Any = None, role: str = "admin", tag: str | None = None, **more: Any
    ) -> httpx.Response:
        """Call the admin API; `tag` becomes If-Match, `headers` and `params` are those of httpx."""
        headers = {"authorization": f"Bearer {self.tokens[role]}"} | more.pop("headers", {})
        headers |= {} if tag is None else {"if-match": tag}
        return self.client.request(method, f"{self.base}/v1/admin{path}", json=body, headers=headers, **more)

    def ask(self, key: str, address: str) -> Reply:
        """Ask as a gateway does."""
        return ask(self.port, key, f"X-Forwarded-For: {address}", path="/auth")


@contextmanager
def serving_store(folder: Path, url: str | None = None, *options: str, policy: Policy | None = None) -> Iterator[Stand]:
    """Run a server by a new store: in SQLite, or where `url` says."""
    url = url or f"sqlite:///{folder / 'store.db'}"
    store, port, log = Store.create(url, policy=policy or presets.bitbybit()), free_port(), folder / "log"
    tokens = {role: Tokens(store).create(f"the {role}", role) for role in ROLES}
    words = [PYTHON, "-m", "cidrmatch", "serve", f"--store={url}", f"--listen=127.0.0.1:{port}", "--trusted=127.0.0.1"]
    with started([*words, *options], port, log, environment()), httpx.Client(timeout=30) as client:
        yield Stand(port, store, tokens, log, client)
    store.close()
