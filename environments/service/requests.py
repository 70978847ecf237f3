"""What people (and the clock) ask for: one transaction writes the environment, the deployment and the event."""

import hashlib
import json
from collections.abc import Callable
from datetime import datetime
from typing import Any, Protocol

from environments.domain.deadline import check_deadline, first_deadline, parse_duration
from environments.domain.environment import Deployment, Environment, EventType
from environments.domain.errors import (
    Forbidden,
    IdempotencyMismatch,
    InvalidLifetime,
    InvalidTemplate,
    ManagedOutside,
    NotAllowedNow,
    UnknownEnvironment,
    UnknownTemplate,
)
from environments.domain.lifecycle import ENDED, DeploymentKind, DeploymentState, State, check_move, check_request
from environments.domain.names import META, check_environment_name, service_name
from environments.domain.template import Bundle, Template
from environments.domain.views import (
    Accepted,
    CreateRequest,
    DestroyRequest,
    EnvironmentView,
    ExtendRequest,
    UpdateRequest,
)
from environments.service.access import Principal
from environments.service.parameters import check_parameters, split_secrets
from environments.service.presenting import environment_view
from environments.service.storage import KnownRequest, Storage, Transaction


class Sealer(Protocol):
    """Encrypts what must wait in the database until OpenBao takes it."""

    def seal(self, secrets: dict[str, str]) -> bytes:
        """Encrypted, and only to be read with the key of this service."""
        ...

    def unseal(self, sealed: bytes) -> dict[str, str]:
        """What was sealed."""
        ...


class Requests:
    """Takes requests; the engine carries them out."""

    def __init__(
        self, storage: Storage, sealer: Sealer, clock: Callable[[], datetime], new_id: Callable[[str], str]
    ) -> None:
        self._storage = storage
        self._sealer = sealer
        self._clock = clock
        self._new_id = new_id

    def create(self, principal: Principal, request: CreateRequest, idempotency_key: str | None = None) -> Accepted:
        """A new environment, to be deployed. The same key (per token) with the same body makes one.

        Raises `InvalidName`, `NameTaken`, `UnknownTemplate`, `InvalidParameters`, `InvalidLifetime`,
        `IdempotencyMismatch`, and `Forbidden` for a template that asks for host volumes, unless an admin asks.
        """
        now = self._clock()
        body = hashlib.sha256(request.model_dump_json().encode()).hexdigest()
        with self._storage.write() as tx:
            if idempotency_key is not None:
                known = tx.requests.find(principal.token_id, idempotency_key)
                if known is not None:
                    return _again(tx, known, body, idempotency_key)
            environment, secrets = self._new_environment(tx, principal, request, now)
            tx.environments.add(environment, self._sealer.seal(secrets) if secrets else None)
            tx.events.add(
                EventType.ENVIRONMENT_REQUESTED,
                environment.id,
                now,
                message=f"{principal.owner} asked for {environment.name} ({environment.template})",
                data={"deadline": environment.deadline.isoformat() if environment.deadline else None},
            )
            deployment = self._queue(tx, environment, DeploymentKind.CREATE, principal.owner, "created", now)
            if idempotency_key is not None:
                entry = KnownRequest(body, environment.id, deployment.id)
                tx.requests.add(principal.token_id, idempotency_key, entry, now)
        return Accepted(environment=environment_view(environment), deployment_id=deployment.id)

    def update(self, principal: Principal, name: str, request: UpdateRequest) -> Accepted:
        """Applies every step again, with the newest (or named) version of the template and changed parameters.

        Raises `NotAllowedNow`, `InvalidParameters`, `UnknownTemplate`, `Forbidden` as `create` does, and
        `InvalidTemplate` when a step that may have made something is missing in the new version.
        """
        now = self._clock()
        with self._storage.write() as tx:
            environment = _owned(tx, principal, name)
            check_request(environment.name, environment.state, DeploymentKind.UPDATE)
            bundle = _bundle(tx, environment.template, request.digest)
            template = bundle.template()
            _check_volumes(principal, template)
            made_by = {resource.step for resource in tx.inventory.of(environment.id)} - {None}
            lost = sorted(str(step) for step in made_by - {step.name for step in template.steps})
            if lost:
                raise InvalidTemplate(
                    f"The new version of template {template.name!r} lacks step {', '.join(lost)}, which made things.",
                    hint="Destroy the environment and create it again with the new version.",
                )
            given = {**environment.parameters, **(request.parameters or {})}
            # Secrets that were handed to OpenBao stay there unless new ones come.
            opened, secrets = split_secrets(
                template, check_parameters(template, given, known=template.secret_parameters())
            )
            changes: dict[str, Any] = {"parameters": opened, "bundle": bundle.digest}
            if secrets:
                waiting = tx.environments.sealed(environment.id)
                changes["sealed"] = self._sealer.seal({**(self._sealer.unseal(waiting) if waiting else {}), **secrets})
            tx.environments.change(environment.id, **changes, template_version=template.version)
            environment = environment.model_copy(update={"parameters": opened, "bundle": bundle.digest})
            deployment = self._queue(tx, environment, DeploymentKind.UPDATE, principal.owner, "updated", now)
        return Accepted(environment=environment_view(environment), deployment_id=deployment.id)

    def retry(self, principal: Principal, name: str) -> Accepted:
        """Tries a failed create again, or a failed destroy at once. Raises `NotAllowedNow`."""
        now = self._clock()
        with self._storage.write() as tx:
            environment = _owned(tx, principal, name)
            if environment.state is State.DESTROY_FAILED:
                return self._destroy(tx, environment, principal.owner, "tried again by hand", now)
            check_request(environment.name, environment.state, DeploymentKind.CREATE)
            deployment = self._queue(tx, environment, DeploymentKind.CREATE, principal.owner, "tried again", now)
        return Accepted(environment=environment_view(environment), deployment_id=deployment.id)

    def destroy(self, principal: Principal, name: str, request: DestroyRequest | None = None) -> Accepted:
        """Destroys now, whatever runs; asked again while it runs, it names the running deployment."""
        reason = (request.reason if request else "") or f"asked for by {principal.owner}"
        with self._storage.write() as tx:
            return self._destroy(tx, _owned(tx, principal, name), principal.owner, reason, self._clock())

    def destroy_due(self) -> list[str]:
        """Asks to destroy every environment whose time is over, and tries failed destroys again; their names."""
        now = self._clock()
        with self._storage.read() as tx:
            if not tx.environments.due(now):
                return []
        with self._storage.write() as tx:
            due = tx.environments.due(now)
            for environment in due:
                again = environment.state is State.DESTROY_FAILED
                reason = "tried again" if again else f"its time was over at {environment.deadline:%Y-%m-%d %H:%M:%S %Z}"
                self._destroy(tx, environment, "clock", reason, now)
        return [environment.name for environment in due]

    def extend(self, principal: Principal, name: str, request: ExtendRequest) -> EnvironmentView:
        """Moves the deadline, later or earlier. Raises `InvalidLifetime`, `NotAllowedNow`."""
        now = self._clock()
        if [request.by, request.ttl, request.until].count(None) != 2:
            raise InvalidLifetime("Give one of: how much longer, how long from now, or until when.")
        with self._storage.write() as tx:
            environment = _owned(tx, principal, name)
            if environment.state in ENDED or environment.state in (State.DESTROYING, State.DESTROY_FAILED):
                raise NotAllowedNow(f"Environment {environment.name!r} is {environment.state.value} already.")
            if request.by is not None:
                wanted = (environment.deadline or now) + parse_duration(request.by)
            elif request.ttl is not None:
                wanted = now + parse_duration(request.ttl)
            else:
                assert request.until is not None
                wanted = request.until
            latest = environment.maximum_deadline
            maximum = latest - environment.created_at if latest is not None else None
            deadline = check_deadline(wanted, now=now, created=environment.created_at, maximum=maximum)
            tx.environments.change(environment.id, deadline=deadline, warned=False)
            tx.events.add(
                EventType.ENVIRONMENT_EXTENDED,
                environment.id,
                now,
                message=f"{principal.owner} moved the deadline to {deadline:%Y-%m-%d %H:%M:%S %Z}",
                data={"deadline": deadline.isoformat()},
            )
            return environment_view(environment.model_copy(update={"deadline": deadline, "warned": False}))

    def mirror(self, principal: Principal, view: EnvironmentView) -> EnvironmentView:
        """Shows an environment that somebody else owns, read-only. Raises `Forbidden`, `NameTaken`."""
        if principal.role != "admin":
            raise Forbidden("Only an admin shows environments from outside.")
        if view.managed_by is None:
            raise InvalidTemplate("An environment from outside has to say who manages it.")
        fields = {name: getattr(view, name) for name in Environment.model_fields if hasattr(view, name)}
        outputs = {name: output.model_dump(mode="json") for name, output in view.outputs.items()}
        environment = Environment(**{**fields, "outputs": outputs, "deadline": None, "maximum_deadline": None})
        with self._storage.write() as tx:
            known = tx.environments.get(environment.id)
            if known is None:
                tx.environments.add(environment)
            elif known.managed_by is None:
                raise NotAllowedNow(f"Environment {environment.name!r} is owned by this service.")
            else:
                tx.environments.change(
                    environment.id, **{name: getattr(environment, name) for name in Environment.model_fields}
                )
            tx.events.add(
                EventType.ENVIRONMENT_STATE,
                environment.id,
                self._clock(),
                message=f"{environment.name} is {environment.state.value}, managed by {view.managed_by}",
                data={"state": environment.state.value},
            )
        return environment_view(environment)

    def _new_environment(
        self, tx: Transaction, principal: Principal, request: CreateRequest, now: datetime
    ) -> tuple[Environment, dict[str, str]]:
        if request.template == META and principal.role != "admin":
            raise Forbidden("Only an admin makes the meta environment.")
        name = check_environment_name(request.name, reserved_allowed=request.template == META == request.name)
        bundle = _bundle(tx, request.template, request.digest)
        template = bundle.template()
        _check_volumes(principal, template)
        opened, secrets = split_secrets(template, check_parameters(template, request.parameters))
        for service in _literal_services(template):
            service_name(name, service)
        lifetime = template.lifetime
        deadline = first_deadline(
            now,
            default=lifetime.default,
            maximum=lifetime.maximum,
            ttl=None if request.ttl is None else parse_duration(request.ttl),
            until=request.until,
        )
        environment = Environment(
            id=self._new_id("env"),
            name=name,
            owner=principal.owner,
            template=template.name,
            template_version=template.version,
            bundle=bundle.digest,
            parameters=opened,
            state=State.REQUESTED,
            state_since=now,
            created_at=now,
            deadline=deadline,
            maximum_deadline=now + lifetime.maximum if lifetime.maximum else None,
        )
        return environment, secrets

    def _destroy(self, tx: Transaction, environment: Environment, by: str, reason: str, now: datetime) -> Accepted:
        running = [run for run in tx.deployments.unfinished(environment.id) if run.kind is DeploymentKind.DESTROY]
        if running:
            return Accepted(environment=environment_view(environment), deployment_id=running[0].id)
        if environment.state in ENDED:
            raise NotAllowedNow(f"Environment {environment.name!r} is {environment.state.value} already.")
        tx.deployments.supersede(environment.id, now)
        check_move(environment.name, environment.state, State.DESTROYING)
        changes: dict[str, Any] = {"state": State.DESTROYING, "state_since": now, "destroy_again_at": None}
        tx.environments.change(environment.id, **changes)
        tx.events.add(
            EventType.ENVIRONMENT_STATE,
            environment.id,
            now,
            message=f"{environment.name} is being destroyed: {reason}",
            data={"state": State.DESTROYING.value},
        )
        environment = environment.model_copy(update=changes)
        deployment = self._queue(tx, environment, DeploymentKind.DESTROY, by, reason, now)
        return Accepted(environment=environment_view(environment), deployment_id=deployment.id)

    def _queue(
        self, tx: Transaction, environment: Environment, kind: DeploymentKind, by: str, reason: str, now: datetime
    ) -> Deployment:
        if kind is not DeploymentKind.DESTROY and tx.deployments.unfinished(environment.id):
            raise NotAllowedNow(f"A deployment of environment {environment.name!r} waits or runs already.")
        deployment = Deployment(
            id=self._new_id("dep"),
            environment_id=environment.id,
            kind=kind,
            state=DeploymentState.QUEUED,
            reason=reason,
            requested_by=by,
            requested_at=now,
            bundle=environment.bundle,
        )
        tx.deployments.add(deployment)
        tx.events.add(
            EventType.DEPLOYMENT_REQUESTED,
            environment.id,
            now,
            deployment_id=deployment.id,
            message=f"{kind.value} of {environment.name}: {reason}",
            data={"kind": kind.value, "state": deployment.state.value},
        )
        return deployment


def visible(tx: Transaction, principal: Principal, name: str) -> Environment:
    """The environment of that name or id, if the principal may see it. Raises `UnknownEnvironment`."""
    environment = tx.environments.get(name)
    if environment is None or principal.sees_only not in (None, environment.owner):
        raise UnknownEnvironment(f"There is no environment {name!r}.")
    return environment


def _owned(tx: Transaction, principal: Principal, name: str) -> Environment:
    environment = visible(tx, principal, name)
    if environment.managed_by is not None:
        raise ManagedOutside(f"Environment {environment.name!r} is managed by {environment.managed_by}.")
    return environment


def _again(tx: Transaction, known: KnownRequest, body: str, key: str) -> Accepted:
    if known.request_hash != body:
        raise IdempotencyMismatch(f"The Idempotency-Key {key!r} was used for another request.")
    environment = tx.environments.get(known.environment_id)
    if environment is None:
        raise UnknownEnvironment("The environment that this Idempotency-Key made is gone.")
    return Accepted(environment=environment_view(environment), deployment_id=known.deployment_id)


def _bundle(tx: Transaction, template: str, digest: str | None) -> Bundle:
    push = tx.templates.find(template, digest)
    bundle = None if push is None else tx.templates.bundle(push.digest)
    if bundle is None:
        version = f" with digest {digest}" if digest else ""
        raise UnknownTemplate(f"There is no template {template!r}{version}.")
    return bundle


def _check_volumes(principal: Principal, template: Template) -> None:
    if template.host_volumes and principal.role != "admin":
        raise Forbidden(
            f"Only an admin makes or updates environments with the template {template.name!r}: "
            f"its jobs get {', '.join(template.host_volumes)} of their node."
        )


def _literal_services(template: Template) -> set[str]:
    """Names of services that steps mention as they stand: enough to refuse a name that is too long at once."""
    found = {json.dumps(step.options.get("service")) for step in template.steps if "service" in step.options}
    return {json.loads(name) for name in found if "{{" not in name and name.startswith('"')}
