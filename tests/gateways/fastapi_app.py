"""A service of FastAPI: the host's checks are dependencies, and so is the guard."""

from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException, Request, WebSocket
from fastapi.responses import PlainTextResponse
from starlette.requests import HTTPConnection

from cidrmatch import Response
from cidrmatch.gateways.asgi import decision_of
from cidrmatch.gateways.fastapi import allow_list_dependency, install
from cidrmatch.gateways.guard import GuardDecision
from tests.gateways import host


class Failed(Exception):
    """A check of the host's own failed."""

    def __init__(self, said: object) -> None:
        self.said = said if isinstance(said, Response) else Response(403, (), b"no")


def authenticated(connection: HTTPConnection) -> str:
    try:
        key = host.known(connection.headers.get("x-api-key"))
    except OSError:
        raise HTTPException(503) from None
    if key is None:
        raise HTTPException(401)
    return key


def anybody(connection: HTTPConnection) -> str | None:
    return host.known(connection.headers.get("x-api-key"))


def scoped(key: Annotated[str, Depends(authenticated)]) -> str:
    try:
        said = (host.scope if host.PRESET == "bitbybit" else host.validity)(None, key)
    except OSError:
        raise HTTPException(503) from None
    if said is not True:
        raise Failed(said)
    return key


guard = host.build_guard()
allowed = allow_list_dependency(guard, scoped)
allowed_if_known = allow_list_dependency(guard, anybody)
allowed_without_key = allow_list_dependency(guard, anybody, without_key="pass")


def limited(found: Annotated[GuardDecision, Depends(allowed)]) -> GuardDecision:
    if host.PRESET == "unkey":
        assert found.key is not None
        for step in (host.permissions, host.ratelimit):
            said = step(None, found.key)
            if said is not True:
                raise Failed(said)
    return found


app = FastAPI()
install(app)


@app.exception_handler(Failed)
def tell(request: Request, error: Failed) -> PlainTextResponse:
    return PlainTextResponse(error.said.body, error.said.status)


@app.get("/")
def index(request: Request, found: Annotated[GuardDecision, Depends(limited)]) -> dict[str, object]:
    assert decision_of(request.scope) is found is request.state.cidrmatch
    return host.said(found)


@app.get("/known")
async def known(found: Annotated[GuardDecision, Depends(allowed_if_known)]) -> dict[str, object]:
    return host.said(found)


@app.get("/pass")
async def passes(found: Annotated[Any, Depends(allowed_without_key)]) -> dict[str, object]:
    return host.said(found)


@app.websocket("/")
async def socket(websocket: WebSocket, found: Annotated[GuardDecision, Depends(limited)]) -> None:
    await websocket.accept()
    await websocket.send_json(host.said(found))
    await websocket.close()


async def accepted(websocket: WebSocket) -> str | None:
    """Authenticate after the websocket is open, by its first message."""
    await websocket.accept()
    return host.known(await websocket.receive_text())


allowed_late = allow_list_dependency(guard, accepted)


@app.websocket("/late")
async def late(websocket: WebSocket, found: Annotated[GuardDecision, Depends(allowed_late)]) -> None:
    await websocket.send_json(host.said(found))
    await websocket.close()


bare = FastAPI()
"""An application in which nobody called `install`."""
bare.get("/")(known)
