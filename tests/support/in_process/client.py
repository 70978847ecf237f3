"""The real API in this process, with a client whose connection a test can cut and whose requests it can have refused.

The use cases, the database and the HTTP application are the product's own. What an engine and the world would do, a
test does: see `scene`.
"""

import inspect
from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime
from typing import Any

from environments.client import Client, Connected, Disconnected
from environments.domain.errors import CalvinverseError, PlanStale, ServiceUnavailable
from environments.wire.deployments import PendingView, WorkerView
from environments.wire.environments import Accepted, EnvironmentView
from tests.fakes.plans import NOW
from tests.support.in_process.rows import put_environment
from tests.support.in_process.scene import Scene
from tests.support.in_process.service import start_api
from tests.support.in_process.stream import CuttableStream

ADDRESS = "http://127.0.0.1:8400"

_READS = frozenset(
    (
        *(
            "environments",
            "environments_page",
            "overview",
            "environment",
            "explain",
            "outputs",
            "deployments",
            "deployment",
            "resources",
            "history",
            "newest_history",
            "containers",
            "container_log",
            "events",
        ),
        *("saved_plan", "drift", "why", "workers", "warning_channels", "templates", "template", "bundle", "validate"),
        *("template_versions",),
        *("images", "image", "image_history", "tokens", "ca", "info", "readiness"),
        *("providers", "try_claims", "who_am_i", "sessions"),
        *("rules", "check_rules", "policies", "calendars", "calendar", "holds"),
        *("triggers", "environment_triggers", "trigger", "test_triggers", "received_events", "received_event"),
        *("previews", "check_creation"),
        *("people", "person", "groups", "group", "members"),
        *("access", "access_table", "why_access", "creators", "roles"),
    )
)
"""Calls that change nothing."""


class InProcessClient(Scene, Client):
    """See the module. `close` ends streams only: a test may connect again. `shut_down` ends everything."""

    def __init__(
        self, *views: EnvironmentView, now: datetime = NOW, owner: str = "ada", address: str = ADDRESS
    ) -> None:
        self.calls: list[tuple[Any, ...]] = []
        """Each call with its arguments, without idempotency keys."""
        self.streams: list[CuttableStream] = []
        self.away: CalvinverseError | None = None
        """While set, every call raises it."""
        self.refuse: CalvinverseError | None = None
        """Raised by the next call that changes something, once."""
        self.moved: list[str] = []
        """What has moved since the plans were made: with any, none of them can be applied."""
        self.pending: dict[str, PendingView] = {}
        """Deployment → why it waits, in place of what the queue says."""
        self.worker_views: list[WorkerView] = []
        """Workers, if the database knows none."""
        self._ending = ExitStack()
        _OPEN.append(self)
        Scene.__init__(self, now, self._ending)
        token = self.service.tokens.first_token(owner, "test")
        Client.__init__(self, address, token, transport=start_api(self.service, self._ending))
        self._ending.callback(super().close)
        with self.service.database.write() as tx:
            for view in views:
                put_environment(tx, view, now)

    def go_away(self, error: CalvinverseError | None = None) -> None:
        """The service can't be reached from now on; streams say so."""
        self.away = error or ServiceUnavailable(f"The service at {self.address} can't be reached.")
        for stream in self.streams:
            stream.give(Disconnected(self.away, 0.5))

    def come_back(self) -> None:
        """The service can be reached again."""
        self.away = None
        for stream in self.streams:
            stream.give(Connected())

    def close(self) -> None:
        for stream in self.streams:
            stream.close()

    def shut_down(self) -> None:
        """Ends the service and removes its database."""
        self.close()
        self._ending.close()

    # --- what no service without an engine and workers can answer ---------------------------------------------------

    def why(self, deployment_id: str) -> PendingView:
        found = super().why(deployment_id)
        return self.pending.get(deployment_id, found)

    def workers(self) -> list[WorkerView]:
        return super().workers() or list(self.worker_views)

    def events(self, after: int | None = None, environment: str | None = None) -> CuttableStream:
        stream = CuttableStream(lambda seen: self._open_stream(seen, environment), after, lambda: self.away)
        self._streams.add(stream)
        self.streams.append(stream)
        return stream

    def apply_plan(self, plan_id: str, *, idempotency_key: str | None = None) -> Accepted:
        if self.moved:
            raise PlanStale(
                f"The plan {plan_id} doesn't fit any more: {'; '.join(self.moved)}.", details={"moved": self.moved}
            )
        return self.begin(super().apply_plan(plan_id, idempotency_key=idempotency_key))

    def create(self, request: Any, *, idempotency_key: str | None = None) -> Accepted:
        return self.begin(super().create(request, idempotency_key=idempotency_key))

    def update(self, name: str, request: Any) -> Accepted:
        return self.begin(super().update(name, request))

    def retry(self, name: str) -> Accepted:
        return self.begin(super().retry(name))

    def repair(self, name: str) -> Accepted:
        return self.begin(super().repair(name))

    def promote(self, name: str) -> Accepted:
        return self.begin(super().promote(name))

    def stop(self, name: str, reason: str = "") -> Accepted:
        return self.begin(super().stop(name, reason))

    def start(self, name: str, reason: str = "") -> Accepted:
        return self.begin(super().start(name, reason))

    def rollback(self, name: str, request: Any) -> Accepted:
        return self.begin(super().rollback(name, request))


def _recorded(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
    signature = inspect.signature(getattr(Client, name))

    def called(self: InProcessClient, *args: Any, **kwargs: Any) -> Any:
        bound = signature.bind(self, *args, **kwargs)
        bound.apply_defaults()
        given = [value for key, value in bound.arguments.items() if key not in ("self", "idempotency_key")]
        self.calls.append((name, *given))
        if self.away is not None and name != "events":
            raise self.away
        if name not in _READS and self.refuse is not None:
            refusal, self.refuse = self.refuse, None
            raise refusal
        return method(self, *args, **kwargs)

    called.__signature__ = signature  # type: ignore[attr-defined]
    return called


for _name, _ in inspect.getmembers(Client, inspect.isfunction):
    if not _name.startswith("_") and _name not in ("close",):
        setattr(InProcessClient, _name, _recorded(_name, getattr(InProcessClient, _name)))

_OPEN: list[InProcessClient] = []


def shut_down_all() -> None:
    """Ends every service that was started here; for the end of a test."""
    while _OPEN:
        _OPEN.pop().shut_down()
