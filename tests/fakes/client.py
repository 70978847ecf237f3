"""A client without a service: what the TUI's and the command line's tests put in place of the HTTP client.

Its state is plain data that a test sets (`put`, `catalogue`, `secrets`, `away`), and what was asked is in `calls`. It
follows the lifecycle's rules for requests but runs nothing: a test moves an environment on with `put` and tells of it
with `tell`.
"""

import queue
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from environments.client.protocol import Connected, Disconnected, StreamItem
from environments.domain.deadline import check_deadline, first_deadline, parse_duration
from environments.domain.environment import Drift, Event, EventType
from environments.domain.errors import (
    CalvinverseError,
    ImageNotPublished,
    ManagedOutside,
    NameTaken,
    NotAllowedNow,
    NotFound,
    PlanStale,
    ServiceUnavailable,
    UnknownEnvironment,
    UnknownPlan,
    UnknownTemplate,
)
from environments.domain.images import check_image_name, check_reference
from environments.domain.lifecycle import (
    ENDED,
    ENDED_DEPLOYMENTS,
    DeploymentKind,
    DeploymentState,
    State,
    StepState,
    check_request,
)
from environments.domain.names import BY_ID, BY_NAME, check_environment_name
from environments.domain.plan import StepPlan
from environments.domain.references import MASK
from environments.domain.template import Bundle
from environments.wire.deployments import CancelRequest, DeploymentView, PendingView, StepView, WorkerView
from environments.wire.environments import (
    AbandonRequest,
    Accepted,
    CreateRequest,
    DriftView,
    EnvironmentView,
    ExtendRequest,
    OutputView,
    ResourceView,
    RollbackRequest,
    UpdateRequest,
)
from environments.wire.images import ImageView, PublishImageRequest
from environments.wire.plans import PlanRequest, PlanView
from environments.wire.system import Info, Readiness
from environments.wire.templates import (
    GitPushRequest,
    TemplateDeletionView,
    TemplateSource,
    TemplateStepView,
    TemplateView,
    Validation,
)
from environments.wire.tokens import NewToken, TokenRequest, TokenView
from tests.fakes.plans import NOW, plan_steps


def web_template() -> TemplateView:
    """A template with parameters of several types."""
    return TemplateView(
        name="web",
        version="1",
        description="A small HTTPS service",
        digest="sha256:" + "0" * 64,
        pushed_at=NOW,
        pushed_by="ada",
        default_lifetime=8 * 3600.0,
        maximum_lifetime=14 * 86400.0,
        parameters_schema={
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "properties": {
                "replicas": {"type": "integer", "default": 1, "minimum": 1, "maximum": 20, "description": "How many"},
                "message": {"type": "string", "default": "Hello", "maxLength": 200, "description": "What it says"},
                "branch": {"type": "string", "description": "Which branch"},
                "verbose": {"type": "boolean", "default": False},
            },
            "required": ["branch"],
            "additionalProperties": False,
        },
        steps=(
            TemplateStepView(name="settings", uses="consul.kv"),
            TemplateStepView(name="app", uses="nomad.job", needs=("settings",)),
        ),
        outputs={"url": "Where it answers", "password": "For the page"},
    )


def environment_view(name: str = "demo", state: State = State.READY, **changes: Any) -> EnvironmentView:
    """An environment of the template `web`; anything can be changed."""
    values: dict[str, Any] = {
        "id": f"env-{name}",
        "name": name,
        "owner": "ada",
        "template": "web",
        "template_version": "1",
        "bundle": "sha256:" + "0" * 64,
        "parameters": {"replicas": 1, "message": "Hello", "branch": "main"},
        "state": state,
        "state_since": NOW,
        "created_at": NOW,
        "deadline": NOW + timedelta(hours=8),
        "maximum_deadline": NOW + timedelta(days=14),
    }
    return EnvironmentView(**{**values, **changes})


class FakeStream:
    """What `FakeClient.events` gives; `give` puts anything into it."""

    def __init__(self, environment: str | None = None) -> None:
        self.environment = environment
        self._items: queue.SimpleQueue[StreamItem | CalvinverseError | None] = queue.SimpleQueue()
        self.closed = False

    def give(self, item: StreamItem | CalvinverseError) -> None:
        """The next thing that the reader sees; an error is raised there."""
        self._items.put(item)

    def __iter__(self) -> Iterator[StreamItem]:
        while (item := self._items.get()) is not None:
            if isinstance(item, CalvinverseError):
                raise item
            yield item

    def close(self) -> None:
        self.closed = True
        self._items.put(None)


class FakeClient:
    """See the module. Checked against `environments.client.Client` by mypy and by a test."""

    def __init__(self, *views: EnvironmentView, now: datetime = NOW, owner: str = "ada") -> None:
        self.address = "http://127.0.0.1:8400"
        self.now = now
        self.owner = owner
        self.views: dict[str, EnvironmentView] = {}
        self.catalogue: dict[str, TemplateView] = {"web": web_template()}
        self.bundles: dict[str, Bundle] = {}
        self.secrets: dict[str, dict[str, str]] = {}
        """Environment → output → what is revealed."""
        self.inventory: dict[str, list[ResourceView]] = {}
        self.plan_steps: tuple[StepPlan, ...] = plan_steps()
        """What every plan from now on shows."""
        self.plans: dict[str, tuple[PlanView, PlanRequest]] = {}
        self.moved: list[str] = []
        """What has moved since the plans were made: with any, none of them can be applied."""
        self.looks: dict[str, Drift] = {}
        """Environment → what the last look found; `observe` finds it again."""
        self.pending: dict[str, PendingView] = {}
        """Deployment → why it waits."""
        self.worker_views: list[WorkerView] = []
        self.published: dict[str, list[ImageView]] = {}
        """Image → all that was published under its name, newest first."""
        self.token_views: list[TokenView] = []
        self.stored: list[Event] = []
        self.streams: list[FakeStream] = []
        self.calls: list[tuple[Any, ...]] = []
        self.away: CalvinverseError | None = None
        """While set, every call raises it."""
        self.refuse: CalvinverseError | None = None
        """Raised by the next call that changes something, once."""
        for view in views:
            self.put(view)

    # --- for the test -------------------------------------------------------------------------------------------------

    def put(self, view: EnvironmentView) -> None:
        """Makes an environment be like this, without telling of it."""
        self.views[view.name] = view

    def tell(self, type_: EventType, environment: str, message: str = "", **fields: Any) -> Event:
        """Stores an event and gives it to the open streams that want it."""
        view = self.views.get(environment)
        event = Event(
            id=len(self.stored) + 1,
            at=self.now,
            type=type_,
            environment_id=view.id if view else f"env-{environment}",
            environment=environment,
            message=message,
            **fields,
        )
        self.stored.append(event)
        for stream in self.streams:
            if not stream.closed and stream.environment in (None, event.environment, event.environment_id):
                stream.give(event)
        return event

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

    # --- the client ---------------------------------------------------------------------------------------------------

    def environments(
        self,
        *,
        ended: bool = False,
        owner: str | None = None,
        limit: int | None = None,
        before: str | None = None,
        outputs: bool = False,
    ) -> list[EnvironmentView]:
        self._called("environments", ended, owner)
        found = [
            view.model_copy(update={"deployment": None, **({} if outputs else {"outputs": {}})})
            for view in self.views.values()
            if (ended or view.state not in ENDED) and owner in (None, view.owner)
        ]
        first = 1 + [view.id for view in found].index(before) if before else 0
        return found[first:][:limit]

    def environment(self, name: str) -> EnvironmentView:
        self._called("environment", name)
        return self._find(name)

    def create(self, request: CreateRequest, *, idempotency_key: str | None = None) -> Accepted:
        self._called("create", request, changes=True)
        return self._made(request)

    def _made(self, request: CreateRequest) -> Accepted:
        check_environment_name(request.name)
        template = self.template(request.template)
        if request.name in self.views and self.views[request.name].state not in ENDED:
            raise NameTaken(f"There is an environment {request.name!r} already.")
        defaults = {
            key: schema["default"]
            for key, schema in template.parameters_schema["properties"].items()
            if "default" in schema
        }
        maximum = timedelta(seconds=template.maximum_lifetime) if template.maximum_lifetime else None
        deadline = first_deadline(
            self.now,
            default=timedelta(seconds=template.default_lifetime) if template.default_lifetime else None,
            maximum=maximum,
            ttl=parse_duration(request.ttl) if request.ttl else None,
            until=request.until,
        )
        view = environment_view(
            request.name,
            State.REQUESTED,
            owner=self.owner,
            parameters={**defaults, **request.parameters},
            state_since=self.now,
            created_at=self.now,
            deadline=deadline,
            maximum_deadline=self.now + maximum if maximum else None,
        )
        return self._deploy(view, DeploymentKind.CREATE, State.REQUESTED)

    def update(self, name: str, request: UpdateRequest) -> Accepted:
        self._called("update", name, request, changes=True)
        view = self._changeable(name, DeploymentKind.UPDATE)
        view = view.model_copy(update={"parameters": {**view.parameters, **(request.parameters or {})}})
        return self._deploy(view, DeploymentKind.UPDATE, State.UPDATING)

    def retry(self, name: str) -> Accepted:
        self._called("retry", name, changes=True)
        if self._find(name).state is State.DESTROY_FAILED:
            return self._deploy(
                self._changeable(name, DeploymentKind.DESTROY), DeploymentKind.DESTROY, State.DESTROYING
            )
        return self._deploy(self._changeable(name, DeploymentKind.CREATE), DeploymentKind.CREATE, State.DEPLOYING)

    def extend(self, name: str, request: ExtendRequest) -> EnvironmentView:
        self._called("extend", name, request, changes=True)
        view = self._find(name)
        if view.managed_by:
            raise ManagedOutside(f"Environment {name!r} is managed by {view.managed_by}.")
        if view.state in ENDED:
            raise NotAllowedNow(f"Environment {name!r} is {view.state.value}.")
        if request.by:
            deadline = (view.deadline or self.now) + parse_duration(request.by)
        elif request.ttl:
            deadline = self.now + parse_duration(request.ttl)
        else:
            assert request.until is not None
            deadline = request.until
        maximum = view.maximum_deadline - view.created_at if view.maximum_deadline else None
        check_deadline(deadline, now=self.now, created=view.created_at, maximum=maximum)
        view = view.model_copy(update={"deadline": deadline, "warned": False})
        self.put(view)
        self.tell(EventType.ENVIRONMENT_EXTENDED, view.name, data={"deadline": deadline.isoformat()})
        return view

    def destroy(self, name: str, reason: str = "") -> Accepted:
        self._called("destroy", name, reason, changes=True)
        view = self._find(name)
        if view.state is State.DESTROYING:
            return Accepted(environment=view, deployment_id=view.deployment.id if view.deployment else None)
        view = self._changeable(name, DeploymentKind.DESTROY)
        return self._deploy(view, DeploymentKind.DESTROY, State.DESTROYING)

    def plan(self, name: str, request: PlanRequest) -> PlanView:
        self._called("plan", name, request, changes=True)
        if request.kind is DeploymentKind.CREATE:
            view = environment_view(name, template=request.template or "web", parameters=request.parameters or {})
        else:
            view = self._changeable(name, request.kind)
        plan = PlanView(
            id=f"plan-{len(self.plans) + 1}",
            kind=request.kind,
            environment=view.name,
            template=view.template,
            template_version=view.template_version,
            bundle=view.bundle,
            parameters={**view.parameters, **(request.parameters or {})},
            requested_by=self.owner,
            created_at=self.now,
            expires_at=self.now + timedelta(hours=1),
            steps=self.plan_steps,
        )
        self.plans[plan.id] = (plan, request)
        return plan

    def saved_plan(self, plan_id: str) -> PlanView:
        self._called("saved_plan", plan_id)
        return self._saved(plan_id)

    def apply_plan(self, plan_id: str, *, idempotency_key: str | None = None) -> Accepted:
        self._called("apply_plan", plan_id, changes=True)
        plan = self._saved(plan_id)
        if self.moved or plan.used_by is not None:
            raise PlanStale(
                f"The plan {plan_id} doesn't fit any more: {'; '.join(self.moved) or 'it was applied already'}.",
                details={"moved": self.moved},
            )
        if plan.kind is DeploymentKind.CREATE:
            made = CreateRequest(name=plan.environment, template=plan.template, parameters=plan.parameters)
            return self._made(made)
        view = self._changeable(plan.environment, plan.kind).model_copy(update={"parameters": plan.parameters})
        state = State.DESTROYING if plan.kind is DeploymentKind.DESTROY else State.UPDATING
        return self._deploy(view, plan.kind, state)

    def repair(self, name: str) -> Accepted:
        self._called("repair", name, changes=True)
        return self._deploy(self._changeable(name, DeploymentKind.REPAIR), DeploymentKind.REPAIR, State.UPDATING)

    def promote(self, name: str) -> Accepted:
        self._called("promote", name, changes=True)
        view = self._changeable(name, DeploymentKind.PROMOTE)
        if not view.awaiting_promotion:
            raise NotAllowedNow(f"Nothing of environment {view.name!r} awaits promotion.")
        return self._deploy(view, DeploymentKind.PROMOTE, State.UPDATING)

    def rollback(self, name: str, request: RollbackRequest) -> Accepted:
        self._called("rollback", name, request, changes=True)
        return self._deploy(self._changeable(name, DeploymentKind.UPDATE), DeploymentKind.UPDATE, State.UPDATING)

    def cancel(self, name: str, request: CancelRequest) -> DeploymentView:
        self._called("cancel", name, request, changes=True)
        view = self._find(name)
        if view.deployment is None or view.deployment.state in ENDED_DEPLOYMENTS:
            raise NotAllowedNow(f"No deployment of environment {name!r} is queued or running.")
        asked = {"cancel_requested_at": self.now, "cancel_requested_by": self.owner}
        deployment = view.deployment.model_copy(update=asked)
        self.put(view.model_copy(update={"deployment": deployment}))
        self.tell(EventType.DEPLOYMENT_STATE, view.name, deployment_id=deployment.id, data={"state": "running"})
        return deployment

    def abandon(self, name: str, request: AbandonRequest) -> EnvironmentView:
        self._called("abandon", name, request, changes=True)
        view = self._find(name)
        if view.state is not State.DESTROY_FAILED:
            raise NotAllowedNow(f"Environment {name!r} is {view.state.value}.")
        view = view.model_copy(update={"state": State.ABANDONED, "state_since": self.now, "destroyed_at": self.now})
        self.put(view)
        self.tell(EventType.ENVIRONMENT_STATE, view.name, data={"state": view.state.value})
        return view

    def drift(self, name: str) -> DriftView:
        self._called("drift", name)
        view = self._find(name)
        return DriftView(environment=view.name, drift=self.looks.get(view.name))

    def observe(self, name: str) -> DriftView:
        self._called("observe", name, changes=True)
        view = self._find(name)
        if view.state is not State.READY:
            raise NotAllowedNow(f"Environment {name!r} is {view.state.value}: only a ready one has drift.")
        found = self.looks.setdefault(view.name, Drift(observed_at=self.now))
        self.looks[view.name] = found.model_copy(update={"observed_at": self.now})
        self.put(view.model_copy(update={"drifted": found.found}))
        return DriftView(environment=view.name, drift=self.looks[view.name])

    def why(self, deployment_id: str) -> PendingView:
        self._called("why", deployment_id)
        deployment = next(
            (
                view.deployment
                for view in self.views.values()
                if view.deployment is not None and view.deployment.id == deployment_id
            ),
            None,
        )
        if deployment is None:
            raise NotFound(f"There is no deployment {deployment_id!r}.")
        lane = "destroy" if deployment.kind is DeploymentKind.DESTROY else "deploy"
        return self.pending.get(deployment_id) or PendingView(
            deployment_id=deployment_id, state=deployment.state, lane=lane
        )

    def workers(self) -> list[WorkerView]:
        self._called("workers")
        return list(self.worker_views)

    def outputs(self, name: str, *, reveal: bool = False) -> dict[str, OutputView]:
        self._called("outputs", name, reveal)
        view = self._find(name)
        secrets = self.secrets.get(view.name, {})
        return {
            key: output.model_copy(update={"value": secrets.get(key, output.value) if reveal else MASK})
            if output.secret
            else output
            for key, output in view.outputs.items()
        }

    def deployments(self, name: str) -> list[DeploymentView]:
        self._called("deployments", name)
        view = self._find(name)
        return [view.deployment] if view.deployment else []

    def deployment(self, deployment_id: str) -> DeploymentView:
        self._called("deployment", deployment_id)
        for view in self.views.values():
            if view.deployment is not None and view.deployment.id == deployment_id:
                return view.deployment
        raise NotFound(f"There is no deployment {deployment_id!r}.")

    def resources(self, name: str) -> list[ResourceView]:
        self._called("resources", name)
        return list(self.inventory.get(self._find(name).name, []))

    def history(self, name: str, *, after: int = 0, limit: int = 500) -> list[Event]:
        self._called("history", name, after, limit)
        view = self._find(name)
        return [event for event in self.stored if event.environment == view.name and event.id > after][:limit]

    def events(self, after: int | None = None, environment: str | None = None) -> FakeStream:
        self.calls.append(("events", after, environment))
        stream = FakeStream(environment)
        stream.give(Disconnected(self.away, 0.5) if self.away else Connected())
        if after is not None:
            for event in self.stored:
                if event.id > after and environment in (None, event.environment, event.environment_id):
                    stream.give(event)
        self.streams.append(stream)
        return stream

    def mirror(self, view: EnvironmentView) -> EnvironmentView:
        self._called("mirror", view, changes=True)
        self.put(view)
        return view

    def templates(self) -> list[TemplateView]:
        self._called("templates")
        return list(self.catalogue.values())

    def template(self, name: str, digest: str | None = None) -> TemplateView:
        self._called("template", name, digest)
        try:
            return self.catalogue[name]
        except KeyError:
            raise UnknownTemplate(f"There is no template {name!r}.") from None

    def delete_template(self, name: str, digest: str | None = None) -> TemplateDeletionView:
        self._called("delete_template", name, digest, changes=True)
        gone = self.catalogue.pop(name, None)
        if gone is None:
            raise UnknownTemplate(f"There is no template {name!r}.")
        return TemplateDeletionView(name=name, digests=(gone.digest,), deleted_at=NOW, deleted_by="root")

    def push(self, bundle: Bundle) -> TemplateView:
        self._called("push", bundle, changes=True)
        template = bundle.template()
        view = web_template().model_copy(
            update={
                "name": template.name,
                "version": template.version,
                "digest": bundle.digest,
                "parameters_schema": template.parameters_schema(),
                "host_volumes": template.host_volumes,
            }
        )
        self.catalogue[template.name] = view
        self.bundles[template.name] = bundle
        return view

    def push_from_git(self, request: GitPushRequest) -> TemplateView:
        self._called("push_from_git", request, changes=True)
        source = TemplateSource(url=request.url, ref=request.ref or "main", commit="1a2b3c4d" * 5, path=request.path)
        view = web_template().model_copy(update={"source": source})
        self.catalogue[view.name] = view
        return view

    def validate(self, bundle: Bundle) -> Validation:
        self._called("validate", bundle)
        try:
            bundle.template()
        except CalvinverseError as error:
            return Validation(problems=tuple(error.details.get("problems", [error.message])))
        return Validation()

    def bundle(self, name: str, digest: str | None = None) -> Bundle:
        self._called("bundle", name, digest)
        try:
            return self.bundles[name]
        except KeyError:
            raise UnknownTemplate(f"There is no template {name!r}.") from None

    def images(self) -> list[ImageView]:
        self._called("images")
        newest = [history[0] for _, history in sorted(self.published.items())]
        return [image for image in newest if image.withdrawn_at is None]

    def image(self, name: str) -> ImageView:
        self._called("image", name)
        return self._published(name)

    def image_history(self, name: str) -> list[ImageView]:
        self._called("image_history", name)
        if name not in self.published:
            raise ImageNotPublished(f"No image {name!r} is published.")
        return list(self.published[name])

    def publish_image(self, name: str, request: PublishImageRequest) -> ImageView:
        self._called("publish_image", name, request, changes=True)
        check_image_name(name)
        check_reference(request.reference)
        content = request.model_dump()
        image = ImageView(name=name, published_at=self.now, published_by=self.owner, **content)
        history = self.published.setdefault(name, [])
        if history and history[0].withdrawn_at is None and history[0].model_dump(include=set(content)) == content:
            return history[0]
        history.insert(0, image)
        return image

    def withdraw_image(self, name: str) -> ImageView:
        self._called("withdraw_image", name, changes=True)
        image = self._published(name)
        image = image.model_copy(update={"withdrawn_at": self.now, "withdrawn_by": self.owner})
        self.published[name][0] = image
        return image

    def tokens(self) -> list[TokenView]:
        self._called("tokens")
        return list(self.token_views)

    def create_token(self, request: TokenRequest) -> NewToken:
        self._called("create_token", request, changes=True)
        view = TokenView(
            id=f"token-{len(self.token_views) + 1}",
            owner=request.owner,
            role=request.role,
            note=request.note,
            created_at=self.now,
            expires_at=self.now + parse_duration(request.ttl) if request.ttl else None,
            revoked_at=None,
            last_used_at=None,
        )
        self.token_views.append(view)
        return NewToken(token=view, secret=f"secret-of-{view.id}")

    def revoke_token(self, token_id: str) -> TokenView:
        self._called("revoke_token", token_id, changes=True)
        for index, view in enumerate(self.token_views):
            if view.id == token_id:
                self.token_views[index] = view.model_copy(update={"revoked_at": self.now})
                return self.token_views[index]
        raise NotFound(f"There is no token {token_id!r}.")

    def ca(self) -> str:
        self._called("ca")
        return "-----BEGIN CERTIFICATE-----\nZmFrZQ==\n-----END CERTIFICATE-----\n"

    def info(self) -> Info:
        self._called("info")
        return Info(
            version="0.1.0",
            started_at=self.now,
            now=self.now,
            owner=self.owner,
            role="admin",
            step_kinds=("consul.kv", "nomad.job"),
            parts={"consul": "http://127.0.0.1:8500", "database": "sqlite"},
        )

    def readiness(self) -> Readiness:
        self._called("readiness")
        return Readiness(ready=True)

    def close(self) -> None:
        for stream in self.streams:
            stream.close()

    # --- inside -------------------------------------------------------------------------------------------------------

    def _called(self, *call: Any, changes: bool = False) -> None:
        self.calls.append(call)
        if self.away is not None:
            raise self.away
        if changes and self.refuse is not None:
            refusal, self.refuse = self.refuse, None
            raise refusal

    def _find(self, name: str) -> EnvironmentView:
        """By id or by name, as the service does it for an admin."""
        said = name.removeprefix(BY_ID).removeprefix(BY_NAME)
        views = list(self.views.values())
        by_id = [] if name.startswith(BY_NAME) else [view for view in views if view.id == said]
        by_name = [] if name.startswith(BY_ID) else [view for view in views if view.name == said]
        for view in (*by_id, *by_name):
            return view
        raise UnknownEnvironment(f"There is no environment {name!r}.")

    def _saved(self, plan_id: str) -> PlanView:
        if plan_id not in self.plans:
            raise UnknownPlan(f"There is no plan {plan_id!r}.")
        return self.plans[plan_id][0]

    def _published(self, name: str) -> ImageView:
        history = self.published.get(name)
        if not history or history[0].withdrawn_at is not None:
            raise ImageNotPublished(f"No image {name!r} is published.")
        return history[0]

    def _changeable(self, name: str, kind: DeploymentKind) -> EnvironmentView:
        view = self._find(name)
        if view.managed_by:
            raise ManagedOutside(f"Environment {name!r} is managed by {view.managed_by}.")
        check_request(view.name, view.state, kind)
        return view

    def _deploy(self, view: EnvironmentView, kind: DeploymentKind, state: State) -> Accepted:
        steps = tuple(
            StepView(name=step.name, uses=step.uses, needs=step.needs, state=StepState.PENDING)
            for step in self.catalogue["web"].steps
        )
        deployment = DeploymentView(
            id=f"dep-{len(self.calls)}",
            kind=kind,
            state=DeploymentState.QUEUED,
            reason="asked by a person",
            requested_by=self.owner,
            requested_at=self.now,
            steps=steps,
        )
        view = view.model_copy(update={"state": state, "state_since": self.now, "deployment": deployment})
        self.put(view)
        self.tell(EventType.DEPLOYMENT_REQUESTED, view.name, deployment_id=deployment.id, data={"kind": kind.value})
        self.tell(EventType.ENVIRONMENT_STATE, view.name, data={"state": state.value})
        return Accepted(environment=view, deployment_id=deployment.id)
