"""States of OpenTofu modules, as OpenTofu's `http` backend asks for them. Not in OpenAPI, which has no LOCK."""

import base64
import binascii
import hashlib
import json
import re
from typing import Any

import anyio.to_thread
from fastapi import APIRouter, Request, Response

from environments.domain.errors import InvalidInput, Unauthenticated
from environments.service.module_access import StateCaller
from environments.service.module_states import ModuleStates

PATH = "/v1/modules/{environment_id}/{step}/state"
LARGEST_STATE = 32 * 1024 * 1024
"""Bytes."""

_PATH = re.compile(r"/v1/modules/([^/]+)/([^/]+)/state")
_JSON = "application/json"


def admit(states: ModuleStates, path: str, authorization: str) -> StateCaller | None:
    """Who asks for the state at a path; None when no state can be there. Raises `Unauthenticated`."""
    found = _PATH.fullmatch(path)
    if found is None:
        return None
    kind, _, encoded = authorization.partition(" ")
    if kind.lower() != "basic":
        raise Unauthenticated(
            "There is no user name and no password in the request.",
            hint="OpenTofu gets its credential from the step that runs it.",
        )
    try:
        username, _, password = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        username = password = ""
    return states.admit(found[1], found[2], username, password)


def module_state_routes(states: ModuleStates) -> APIRouter:
    """/v1/modules: who asks is known by then."""
    router = APIRouter(include_in_schema=False)

    @router.get(PATH)
    def read_state(request: Request) -> Response:
        """The newest state; 204 when there is none."""
        content = states.read(_caller(request))
        return Response(status_code=204) if content is None else Response(content, media_type=_JSON)

    @router.post(PATH)
    async def write_state(request: Request) -> Response:
        """Writes a state under the lock whose id is the query's `ID`."""
        content = await request.body()
        _check_digest(content, request.headers.get("content-md5", ""))
        lock_id = request.query_params.get("ID", "")
        await anyio.to_thread.run_sync(states.write, _caller(request), lock_id, content)
        return Response(status_code=200)

    @router.delete(PATH)
    def delete_state(request: Request) -> Response:
        """Says that there is no state any more."""
        states.delete(_caller(request))
        return Response(status_code=200)

    @router.api_route(PATH, methods=["LOCK"])
    async def lock_state(request: Request) -> Response:
        """Takes the lock; 423 and what its holder said of itself when somebody has it."""
        info = _info(await request.body())
        held = await anyio.to_thread.run_sync(states.lock, _caller(request), info)
        return Response(status_code=200) if held is None else Response(json.dumps(held), 423, media_type=_JSON)

    @router.api_route(PATH, methods=["UNLOCK"])
    async def unlock_state(request: Request) -> Response:
        """Gives the lock back."""
        info = _info(await request.body())
        await anyio.to_thread.run_sync(states.unlock, _caller(request), info)
        return Response(status_code=200)

    return router


def _caller(request: Request) -> StateCaller:
    caller = request.scope["state"]["state_caller"]
    assert isinstance(caller, StateCaller)
    return caller


def _info(body: bytes) -> dict[str, Any]:
    """What OpenTofu says of itself; the guard has seen that a body is JSON."""
    info = json.loads(body) if body else None
    if not isinstance(info, dict):
        raise InvalidInput("The body is not what OpenTofu says of a lock: it is not a JSON object.")
    return info


def _check_digest(content: bytes, digest: str) -> None:
    """OpenTofu sends the MD5 (RFC 1864) of what it sends: a body that was cut short must not become the state."""
    if digest and base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode() != digest.strip():
        raise InvalidInput("The state is not what its sender sent: the digest differs.", hint="Send it again.")
