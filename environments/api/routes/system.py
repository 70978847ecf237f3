"""The service about itself: who it is, whether it lives and can work, its numbers, and the CA it signs with."""

import anyio.to_thread
from fastapi import APIRouter, Request, Response

from environments.api import presenting
from environments.api.concurrency import BackendCalls
from environments.api.guard import Caller
from environments.api.metrics import CONTENT_TYPE, Metrics
from environments.api.ports import Service
from environments.api.problems import problems
from environments.api.readiness import Ready
from environments.domain.errors import BackendError, BackendUnavailable, Forbidden, NotConnected
from environments.wire.system import Info, Readiness

PEM = "application/x-pem-file"


def system_routes(service: Service, metrics: Metrics, backend_calls: BackendCalls) -> APIRouter:
    """/self, /metrics and /v1/ca."""
    router = APIRouter(tags=["service"])
    reading = service.reading
    ready = Ready(reading.ready)

    @router.get("/self/info", responses=problems())
    def show_info(caller: Caller) -> Info:
        """Gives the version, the caller, and the addresses of the backends."""
        return presenting.info(reading.info(caller))

    @router.get("/self/liveness", openapi_extra={"security": []})
    async def liveness() -> dict[str, bool]:
        """Answers as long as the process does; needs no token."""
        return {"alive": True}

    @router.get(
        "/self/readiness",
        openapi_extra={"security": []},
        responses={503: {"description": "The service can't do its work.", "model": Readiness}},
    )
    async def readiness(request: Request, response: Response) -> Readiness:
        """Says whether the service is ready; needs no token, but gives the reasons only to callers with one."""
        known = "principal" in request.scope["state"]
        troubles = await ready.troubles(fresh=known)
        if troubles:
            response.status_code = 503
        if not known:
            return Readiness(ready=not troubles, problems=dict.fromkeys(troubles, "not ready"))
        notices = {} if "database" in troubles else await anyio.to_thread.run_sync(service.holding.notices)
        return Readiness(ready=not troubles, problems=troubles, notices=notices)

    @router.get("/self/started", responses=problems())
    async def started(caller: Caller) -> dict[str, bool]:
        """Answers once the service has started: the database is migrated, interrupted deployments are resumed."""
        return {"started": True}

    @router.get(
        "/metrics",
        response_class=Response,
        responses={
            **problems(Forbidden),
            200: {"description": "Text format of Prometheus.", "content": {"text/plain": {}}},
        },
    )
    def show_metrics(caller: Caller) -> Response:
        """Gives the service's metrics in Prometheus' format; for admins and auditors: they count everything."""
        reading.check_metrics(caller)
        return Response(metrics.render(), headers={"Content-Type": CONTENT_TYPE})

    @router.get(
        "/v1/ca",
        response_class=Response,
        responses={
            **problems(BackendError, BackendUnavailable, NotConnected),
            200: {"description": "PEM.", "content": {PEM: {}}},
        },
    )
    async def show_ca(caller: Caller) -> Response:
        """Gives the certificate of the authority that signs environments' certificates."""
        return Response(await backend_calls.run(caller.owner, reading.ca), media_type=PEM)

    return router
