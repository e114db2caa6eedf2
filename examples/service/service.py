"""A service whose API keys work from listed addresses alone; its workers follow one file of keys.  See README.md."""

import hashlib
import hmac
import logging
import os
import sys
from typing import Annotated, Any

from fastapi import Body, Depends, FastAPI, Header, HTTPException, Request

from cidrmatch import Engine
from cidrmatch.client import TrustedProxies
from cidrmatch.gateways.asgi import origin_of
from cidrmatch.gateways.fastapi import allow_list_dependency, install
from cidrmatch.gateways.guard import Guard, GuardDecision

KEYS, ADMIN, PROXIES = (os.environ.get(name, "").strip() for name in ("KEYS_FILE", "ADMIN_TOKEN", "PROXIES"))
if not (KEYS and ADMIN and PROXIES):  # an empty token would make everybody the administrator
    print("KEYS_FILE, ADMIN_TOKEN and PROXIES must be set, and not be empty", file=sys.stderr)
    sys.exit(3)  # for uvicorn this means: do not start the worker again
logging.basicConfig(level=logging.INFO, format="%(asctime)s %(process)d %(message)s")
engine = Engine.open(KEYS)
engine.follow(1.0, max_age=10, when_stale="deny")
guard = Guard(engine, TrustedProxies(PROXIES.split(",")), on_decision=lambda found: logging.info(found.to_dict()))
app = FastAPI()
install(app)  # answers what the guard denies, and what a change is refused for
Entries = Annotated[list[str | dict[str, Any]], Body(min_length=1)]  # a key without any would be open to everybody


def id_of(secret: str) -> str:
    return "key_" + hashlib.sha256(secret.encode()).hexdigest()[:32]  # neither file nor log holds an API key


def authenticated(x_api_key: Annotated[str, Header()] = "") -> str | None:
    return id_of(x_api_key) if id_of(x_api_key) in engine else None  # the guard answers None with 401


def admin(request: Request, authorization: Annotated[str, Header()] = "") -> str:
    if not hmac.compare_digest(authorization.removeprefix("Bearer ").encode(), ADMIN.encode()):
        raise HTTPException(401)
    return guard.client.find(*origin_of(request.scope)).address or "unknown"  # who must not lock themselves out


@app.get("/")
def index(found: Annotated[GuardDecision, Depends(allow_list_dependency(guard, authenticated))]) -> Any:
    return {"key": found.key, "address": found.address, "worker": os.getpid()}


@app.post("/admin/keys", dependencies=[Depends(admin)])
def create_key(entries: Entries) -> Any:
    secret = os.urandom(32).hex()
    with Engine.edit(KEYS) as edited:  # one writer at a time, in all workers; all of the change, or nothing
        return {"key": id_of(secret), "secret": secret, **edited.put_key(id_of(secret), entries).to_dict()}


@app.put("/admin/keys/{key}")
def put_entries(key: str, entries: Entries, caller: Annotated[str, Depends(admin)], force: bool = False) -> Any:
    with Engine.edit(KEYS) as edited:
        return edited.update_key(key, entries=entries, caller=caller, force=force).to_dict()
