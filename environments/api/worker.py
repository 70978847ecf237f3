"""The HTTP application of a worker without the API: health and metrics."""

from fastapi import FastAPI

from environments.api import problems
from environments.api.bodies import Limited
from environments.api.concurrency import BackendCalls
from environments.api.guard import Authenticated, Shared, Watched
from environments.api.metrics import Metrics
from environments.api.ports import Service
from environments.api.routes.system import system_routes


def create_worker_app(service: Service) -> FastAPI:
    """The application, with the same middleware as the API."""
    metrics = Metrics(service.reading, service.warnings, service.holding, service.version)
    app = FastAPI(
        title="Calvinverse, a worker", version=service.version, docs_url=None, redoc_url=None, redirect_slashes=False
    )
    problems.install(app)
    # The last one added is the outermost.
    app.add_middleware(Limited)
    app.add_middleware(Shared)
    app.add_middleware(Authenticated, tokens=service.tokens, states=service.module_states)
    app.add_middleware(Watched, observer=metrics.observe)
    app.include_router(system_routes(service, metrics, BackendCalls()))
    return app
