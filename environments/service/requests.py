"""Requests of people and of the scheduler: one transaction writes the environment, the deployment and the event."""

from collections.abc import Callable
from datetime import datetime

from environments.domain.commands import CreateEnvironment, UpdateEnvironment
from environments.domain.deadline import later, parse_duration
from environments.domain.environment import Environment
from environments.domain.errors import (
    InvalidLifetime,
    InvalidTemplate,
    NotAllowedNow,
)
from environments.domain.lifecycle import SWITCHES, DeploymentKind, State, check_request
from environments.domain.names import check_environment_name
from environments.service import effects, enqueue, transitions
from environments.service.authorization import (
    NO_DEADLINE,
    REMOVED_OUTSIDE,
    Action,
    Principal,
    check_service,
    environment_to_change,
    may,
)
from environments.service.checking import Checks, Verdicts
from environments.service.enqueue import DeploymentRequest
from environments.service.enqueue import Sealer as Sealer  # exported from here
from environments.service.extending import check_extendable, extend_to
from environments.service.idempotency import Once
from environments.service.looking_first import Foreseen, foresee
from environments.service.records import Accepted, accepted
from environments.service.running_again import WhyNot, any_step
from environments.service.storage.deployments import newest_of
from environments.service.storage.transaction import Storage, Transaction

_NOT_MIRRORED = {"deadline": None, "deadline_because": None, "maximum_deadline": None, "rules": ()}
"""Of an environment that another service manages, nothing of this one's calendar counts."""


class Requests:
    """Queues requests; the engine carries them out."""

    def __init__(
        self,
        storage: Storage,
        sealer: Sealer,
        clock: Callable[[], datetime],
        new_id: Callable[[str], str],
        checks: Checks,
        why_not_again: WhyNot = any_step,
    ) -> None:
        """`why_not_again` returns why a step can't be run again, or an empty text."""
        self._checks = checks
        self._why_not_again = why_not_again
        self._storage = storage
        self._sealer = sealer
        self._clock = clock
        self._new_id = new_id

    def create(self, principal: Principal, request: CreateEnvironment, idempotency_key: str | None = None) -> Accepted:
        """Creates an environment and queues its deployment, once for the same Idempotency-Key (per token) and body.

        Raises `InvalidName`, `NameTaken`, `UnknownTemplate`, `InvalidParameters`, `InvalidLifetime`,
        `IdempotencyMismatch`, and `Forbidden` for a template that asks for host volumes, unless an admin asks; and what
        `Checks` raises.
        """
        verdicts = Verdicts(self._checks, principal.owner)
        return verdicts.settle(lambda: self._create(principal, request, idempotency_key, verdicts))

    def _create(
        self, principal: Principal, request: CreateEnvironment, idempotency_key: str | None, verdicts: Verdicts
    ) -> Accepted:
        now = self._clock()
        once = Once(principal, idempotency_key, request.model_dump_json(), self._sealer, now=now)
        with self._storage.write() as tx:
            if (before := once.known(tx)) is not None:
                return before
            asked = self._new_request(principal.owner, "created", now)
            done = effects.create(tx, principal, request, self._new_id("env"), asked, verdicts, self._sealer)
            once.remember(tx, done.environment, asked.id)
            return done

    def check(self, principal: Principal, request: CreateEnvironment) -> Foreseen:
        """What `create` would say, without creating: see `looking_first`."""
        return foresee(self._storage, self._checks, self._new_id, self._clock(), principal, request)

    def update(self, principal: Principal, name: str, request: UpdateEnvironment) -> Accepted:
        """Queues an update to the newest (or named) version of the template, with changed parameters.

        What steps made that the new version doesn't have is destroyed. Raises `NotAllowedNow`, `InvalidParameters`,
        `UnknownTemplate`, and `Forbidden` as `create` does.
        """
        verdicts = Verdicts(self._checks, principal.owner)
        return verdicts.settle(lambda: self._update(principal, name, request, verdicts))

    def _update(self, principal: Principal, name: str, request: UpdateEnvironment, verdicts: Verdicts) -> Accepted:
        now = self._clock()
        with self._storage.write() as tx:
            environment = environment_to_change(tx, principal, name)
            asked = self._new_request(principal.owner, "updated", now)
            again = self._why_not_again
            return effects.update(tx, principal, environment, request, asked, verdicts, self._sealer, again)

    def retry(self, principal: Principal, name: str) -> Accepted:
        """Retries a failed create, stop or start, or a failed destroy without waiting. Raises `NotAllowedNow`."""
        now = self._clock()
        with self._storage.write() as tx:
            environment = environment_to_change(tx, principal, name)
            allowed = may(tx, principal, Action.ENVIRONMENT_RETRY, environment)
            if environment.state is State.DESTROY_FAILED:
                asked = self._new_request(principal.owner, "retried by hand", now)
                return effects.destroy_allowed(tx, environment, asked, allowed)
            check_request(environment.name, environment.state, DeploymentKind.CREATE)
            asked = self._new_request(principal.owner, "tried again", now)
            deployment = enqueue.add(tx, environment, _to_retry(tx, environment), asked, allowed)
            return accepted(tx, environment, deployment)

    def destroy(self, principal: Principal, name: str, reason: str = "") -> Accepted:
        """Queues a destroy, which supersedes any other deployment; returns a running destroy."""
        reason = reason or f"requested by {principal.owner}"
        with self._storage.write() as tx:
            environment = environment_to_change(tx, principal, name, REMOVED_OUTSIDE)
            asked = self._new_request(principal.owner, reason, self._clock())
            return effects.destroy(tx, principal, environment, asked)

    def extend(
        self,
        principal: Principal,
        name: str,
        *,
        by: str | None = None,
        ttl: str | None = None,
        until: datetime | None = None,
    ) -> Environment:
        """Moves the deadline by a duration, to a duration from now, or to a moment.

        Raises `InvalidLifetime` (also unless exactly one of them is given) and `NotAllowedNow`.
        """
        now = self._clock()
        if [by, ttl, until].count(None) != 2:
            raise InvalidLifetime("Give one of: how much longer, how long from now, or until when.")
        with self._storage.write() as tx:
            environment = environment_to_change(tx, principal, name, NO_DEADLINE)
            check_extendable(tx, principal, environment)
            if by is not None:
                wanted = later(environment.deadline or now, parse_duration(by))
            elif ttl is not None:
                wanted = later(now, parse_duration(ttl))
            else:
                assert until is not None
                wanted = until
            return extend_to(tx, environment, wanted, principal.owner, now)

    def mirror(self, principal: Principal, environment: Environment) -> Environment:
        """Shows an environment that another service manages, read-only and without a deadline.

        Raises `Forbidden`, `InvalidName`, `NameTaken`.
        """
        check_service(principal, Action.ENVIRONMENT_MIRROR)
        if environment.managed_by is None:
            raise InvalidTemplate("An environment that another service manages needs the name of its manager.")
        environment = environment.model_copy(update=_NOT_MIRRORED)
        with self._storage.write() as tx:
            may(tx, principal, Action.ENVIRONMENT_MIRROR)
            known = tx.environments.get(environment.id)
            if known is None:
                check_environment_name(environment.name, reserved_allowed=True)
            elif known.managed_by is None:
                raise NotAllowedNow(f"Environment {environment.name!r} is owned by this service.")
            transitions.mirror(tx, environment, self._clock())
        return environment

    def _new_request(self, by: str, reason: str, now: datetime, *, by_machine: bool = False) -> DeploymentRequest:
        return DeploymentRequest(self._new_id("dep"), by, reason, now, by_machine=by_machine)


def _to_retry(tx: Transaction, environment: Environment) -> DeploymentKind:
    """What a retry of a failed environment does: the stop or the start that failed, else what makes all of it."""
    newest = newest_of(tx.deployments, environment.id)
    return newest.kind if newest is not None and newest.kind in SWITCHES else DeploymentKind.CREATE
