"""The HTTP application over the use cases."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import Depends, FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from starlette.middleware import Middleware
from starlette.routing import BaseRoute

from environments.api import problems
from environments.api.auditing import Audited
from environments.api.bodies import Limited
from environments.api.clients import Clients, EdgeSecret
from environments.api.concurrency import BackendCalls
from environments.api.guard import Authenticated, Shared, Watched
from environments.api.methods import Headed
from environments.api.metrics import Metrics
from environments.api.ports import Service
from environments.api.provider_endpoints import PassedOn
from environments.api.queries import DESCRIPTION, known_queries
from environments.api.routes.access import access_routes
from environments.api.routes.audit import audit_routes
from environments.api.routes.ci_exchange import ci_exchange_routes
from environments.api.routes.containers import container_routes
from environments.api.routes.deployments import deployment_routes
from environments.api.routes.drift import drift_routes
from environments.api.routes.edge import edge_routes
from environments.api.routes.environments import environment_routes
from environments.api.routes.events import event_routes
from environments.api.routes.extend_link import extend_link_routes
from environments.api.routes.groups import group_routes
from environments.api.routes.heartbeats import heartbeat_routes
from environments.api.routes.holds import hold_routes
from environments.api.routes.images import image_routes
from environments.api.routes.local_people import local_people_routes
from environments.api.routes.module_states import module_state_routes
from environments.api.routes.overview import overview_routes
from environments.api.routes.people import people_routes
from environments.api.routes.plans import plan_routes
from environments.api.routes.previews import preview_routes
from environments.api.routes.received_events import received_event_routes
from environments.api.routes.recovery import recovery_routes
from environments.api.routes.service_accounts import service_account_routes
from environments.api.routes.sign_in import sign_in_routes
from environments.api.routes.switching import switching_routes
from environments.api.routes.system import system_routes
from environments.api.routes.templates import template_routes
from environments.api.routes.timing import timing_routes
from environments.api.routes.tokens import token_routes
from environments.api.routes.triggers import trigger_routes
from environments.api.routes.warnings import warning_routes
from environments.api.routes.webhooks import delivery_routes, webhook_routes
from environments.api.routes.workers import worker_routes
from environments.api.shapes import describe
from environments.api.streams import Hub
from environments.wire.system import Problem

_DESCRIPTION = "Creates, updates and destroys whole environments, and destroys them on time."


def create_app(service: Service, edge_secret: Path | None = None, front: Middleware | None = None) -> FastAPI:
    """The application; `environments.serving.server` closes all of `app.state.waiting` when the server begins to stop.

    `edge_secret`: the file by which the edge's requests are known; None: there is no edge. `front`: answers some paths
    by itself, before any token is asked for: the pages for browsers.
    """
    backend_calls = BackendCalls()
    hub = Hub(service.reading, service.feed, service.tokens)
    metrics = Metrics(service.reading, service.warnings, service.holding, service.version)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await hub.start()
        try:
            yield
        finally:
            await hub.stop()

    app = FastAPI(
        title="Calvinverse",
        version=service.version,
        description=_DESCRIPTION,
        lifespan=lifespan,
        openapi_url=None,  # ours refuses unknown query parameters, as all paths do
        docs_url=None,  # its scripts come from other people's servers
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=_operation_id,
        dependencies=[Depends(known_queries)],
    )
    app.state.waiting = hub, service.edge_routes
    problems.install(app)
    # The last one added is the outermost.
    app.add_middleware(Headed)
    app.add_middleware(Limited, too_large=service.deliveries.too_large)
    app.add_middleware(Shared)
    secret = EdgeSecret(edge_secret)
    collector = service.audit_collector
    app.add_middleware(Audited, collector=collector)
    app.add_middleware(
        Authenticated,
        tokens=service.tokens,
        states=service.module_states,
        edge_secret=secret,
        collector=collector,
    )
    if front is not None:
        app.add_middleware(front.cls, *front.args, **front.kwargs)
    app.add_middleware(PassedOn, endpoints=service.provider_endpoints)
    app.add_middleware(Watched, observer=metrics.observe)
    app.add_middleware(Clients, secret=secret)
    deliveries = delivery_routes(service)
    for router in (
        environment_routes(service, backend_calls),
        overview_routes(service),
        plan_routes(service, backend_calls),
        recovery_routes(service),
        switching_routes(service),
        heartbeat_routes(service),
        drift_routes(service, backend_calls),
        container_routes(service),
        deployment_routes(service),
        event_routes(service, hub),
        template_routes(service, backend_calls),
        image_routes(service),
        timing_routes(service),
        access_routes(service),
        token_routes(service),
        people_routes(service),
        group_routes(service),
        service_account_routes(service),
        ci_exchange_routes(service),
        sign_in_routes(service),
        local_people_routes(service.local_people, service.issuers),
        worker_routes(service),
        preview_routes(service),
        warning_routes(service, backend_calls),
        webhook_routes(service, backend_calls),
        deliveries,
        extend_link_routes(service.extend_links),
        hold_routes(service),
        trigger_routes(service),
        received_event_routes(service),
        module_state_routes(service.module_states),
        edge_routes(service.edge_routes),
        audit_routes(service, backend_calls),
        system_routes(service, metrics, backend_calls),
    ):
        app.include_router(router)
    described = list(app.routes)
    # Routes are looked at one by one, and most requests in a storm are deliveries.
    app.router.routes.sort(key=lambda route: getattr(route, "original_router", None) is not deliveries)
    app.openapi = lambda: _openapi(app, described)  # type: ignore[method-assign]  # FastAPI's documented way to extend it

    @app.get(DESCRIPTION, include_in_schema=False)
    def description() -> JSONResponse:
        return JSONResponse(app.openapi())

    return app


def _operation_id(route: APIRoute) -> str:
    return route.name


def _openapi(app: FastAPI, routes: Sequence[BaseRoute]) -> dict[str, Any]:
    if app.openapi_schema is None:
        document = get_openapi(title=app.title, version=app.version, description=app.description, routes=routes)
        describe(document["paths"])
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        schemas["Problem"] = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        app.openapi_schema = document
    return app.openapi_schema
