"""A service whose API keys work from listed addresses alone; its workers follow one file of keys.  See README.md."""

import hashlib
import hmac
import logging
import os
import secrets
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Header, HTTPException, Request
from fastapi.responses import JSONResponse

from cidrmatch import CidrmatchError, Engine, LockOut, PolicyError, UnknownName
from cidrmatch.client import TrustedProxies
from cidrmatch.gateways.asgi import origin_of
from cidrmatch.gateways.fastapi import allow_list_dependency, install
from cidrmatch.gateways.guard import Guard, GuardDecision

KEYS, ADMIN = os.environ["KEYS_FILE"], os.environ["ADMIN_TOKEN"].encode()  # without them it does not start
logging.basicConfig(level=logging.INFO, format="%(asctime)s %(process)d %(message)s")
engine = Engine.open(KEYS)
engine.follow(1.0, max_age=10, when_stale="deny")
proxies = TrustedProxies(os.environ["PROXIES"].split(","))
guard = Guard(engine, proxies, on_decision=lambda found: logging.info("%s", found.to_dict()))
app = FastAPI()
install(app)


def id_of(secret: str) -> str:
    return "key_" + hashlib.sha256(secret.encode()).hexdigest()[:32]  # neither file nor log holds an API key


def authenticated(x_api_key: Annotated[str, Header()] = "") -> str:
    if id_of(x_api_key) not in engine:
        raise HTTPException(401)
    return id_of(x_api_key)


def admin(request: Request, authorization: Annotated[str, Header()] = "") -> str:
    if not hmac.compare_digest(authorization.removeprefix("Bearer ").encode(), ADMIN):
        raise HTTPException(401)
    return guard.client.find(*origin_of(request.scope)).address or "unknown"  # who must not lock themselves out


@app.get("/")
def index(found: Annotated[GuardDecision, Depends(allow_list_dependency(guard, authenticated))]) -> Any:
    return {"key": found.key, "address": found.address, "worker": os.getpid()}


@app.post("/admin/keys", dependencies=[Depends(admin)])
def create_key(entries: list[str]) -> Any:
    secret = secrets.token_urlsafe(32)
    with Engine.edit(KEYS) as edited:  # one writer at a time, in all workers
        report = edited.put_key(id_of(secret), entries)
    return {"key": id_of(secret), "secret": secret, **report.to_dict()}


@app.put("/admin/keys/{key}")
def put_entries(key: str, entries: list[str], caller: Annotated[str, Depends(admin)], force: bool = False) -> Any:
    with Engine.edit(KEYS) as edited:
        return edited.update_key(key, entries=entries, caller=caller, force=force).to_dict()


@app.exception_handler(CidrmatchError)
def tell(_request: Request, error: CidrmatchError) -> JSONResponse:
    problems = error.report.to_dict()["errors"] if isinstance(error, PolicyError) else [str(error)]
    return JSONResponse(
        {"problems": problems}, {PolicyError: 422, LockOut: 409, UnknownName: 404}.get(type(error), 503)
    )
