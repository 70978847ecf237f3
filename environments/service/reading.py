"""Queries: everybody sees what they own and what is shared with them, admins and auditors see all."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Protocol

from environments.domain.environment import Environment, Event, Resource
from environments.domain.errors import CalvinverseError, NotFound
from environments.domain.lifecycle import ENDED, DeploymentKind, DeploymentState, State
from environments.domain.references import MASK, SecretReference, references_in
from environments.service.authorization import Action, Principal, check_service, environment_to_read, may, sees
from environments.service.costs import Costs
from environments.service.deadlines import active_pin
from environments.service.entry_points import EntryPoints
from environments.service.explaining import held_by, next_left_out, next_moments, next_of_each
from environments.service.looking_back import what_happened
from environments.service.overview import theirs
from environments.service.pages import Page, ended_in_time
from environments.service.records import EnvironmentDetails, Explanation, Journaled, Output, ServiceInfo, with_journal
from environments.service.secret_outputs import secret_of
from environments.service.selection import Selection
from environments.service.standing import EnvironmentStanding, Whose, standings
from environments.service.storage.events import SharedEvent
from environments.service.storage.transaction import Storage
from environments.service.timing import TimedRule
from environments.service.zone_database import zone_database

_NOT_SHOWN = {"parameters", "outputs", "inputs", "run_again"}
"""Fields of deployments and steps that lists don't show."""


class Secrets(Protocol):
    """Reads secrets that a person wants to reveal."""

    def read_secrets(self, environment: Environment, references: Mapping[str, SecretReference]) -> dict[str, Any]:
        """The values under the same names, with their original types.

        The references are those of the environment, and each secret must bear its mark.

        Raises `NotFound`, `ForeignResource`, `BackendError`.
        """
        ...


class Authority(Protocol):
    """The certificate authority that signs the environments' certificates."""

    def ca_chain(self) -> str:
        """The CA's certificates, PEM. Raises `BackendError`."""
        ...


class Parts(Protocol):
    """The backends that the service uses."""

    def addresses(self) -> dict[str, str]:
        """Backend → address; an empty text if it isn't known yet."""
        ...

    def troubles(self) -> dict[str, str]:
        """Backend → one sentence, for each configured backend that doesn't answer."""
        ...


class Reading:
    """Answers queries; changes nothing."""

    def __init__(
        self,
        storage: Storage,
        secrets: Secrets,
        authority: Authority,
        parts: Parts,
        step_kinds: Mapping[str, object],
        clock: Callable[[], datetime],
        version: str,
        entry_points: EntryPoints,
    ) -> None:
        self._storage = storage
        self._secrets = secrets
        self._authority = authority
        self._parts = parts
        self._step_kinds = step_kinds
        self._clock = clock
        self._version = version
        self._started_at = clock()
        self._entry_points = entry_points
        self._costs = Costs()

    def listing(
        self,
        principal: Principal,
        *,
        ended: bool = False,
        owner: str | None = None,
        limit: int | None = None,
        before: str | None = None,
        whose: Whose | None = None,
    ) -> tuple[Page[Environment], dict[str, EnvironmentStanding]]:
        """Newest first, with what the principal is for each of them, by id.

        At most `limit`, older than the one with the id `before`. Raises `UnknownEnvironment`.
        """
        sight, which = theirs(principal, Selection(owner=owner, ended=ended), whose)
        with self._storage.read() as tx:
            found = tx.environments.selected(sight, which, limit=limit, before=before)
            return found, standings(tx, principal, found)

    def standing(self, principal: Principal, environment: Environment) -> EnvironmentStanding:
        """What the principal is for one environment."""
        with self._storage.read() as tx:
            return standings(tx, principal, [environment])[environment.id]

    def now(self) -> datetime:
        """The moment, by the service's clock (UTC)."""
        return self._clock()

    def environment(self, principal: Principal, name: str) -> EnvironmentDetails:
        """One environment with its newest deployment. Raises `UnknownEnvironment`."""
        with self._storage.read() as tx:
            environment = environment_to_read(tx, principal, name)
            newest = tx.deployments.of(environment.id, limit=1)
            addresses = self._entry_points.addresses(tx, environment.id)
            warned = () if environment.deadline is None else tx.warnings.of(environment.id, environment.deadline)
            latest = with_journal(tx, newest[0]) if newest else None
            mine = standings(tx, principal, [environment])[environment.id]
            cost = self._costs.amount(tx, environment.id, environment.destroyed_at or self._clock())
            return EnvironmentDetails(environment, latest, addresses, tuple(warned), mine, cost)

    def explain(
        self,
        principal: Principal,
        name: str,
        count: int,
        *,
        why_not: bool = False,
        past: int = 0,
        past_before: int | None = None,
    ) -> Explanation:
        """What the calendar will do to it next, at most `count` times; with `why_not` also what it won't do, likewise.

        Also the last `past` things that happened to it, newest first, before the event `past_before`.

        Raises `UnknownEnvironment`.
        """
        now = self._clock()
        with self._storage.read() as tx:
            environment = environment_to_read(tx, principal, name)
            happened = what_happened(tx, environment, past, past_before)
            if environment.state in ENDED or environment.managed_by is not None:
                return Explanation(environment, zone_database(), past=happened)
            return Explanation(
                environment,
                zone_database(),
                tuple(next_moments(tx, environment, now, count)),
                tuple(next_left_out(tx, environment, now, count)) if why_not else (),
                active_pin(environment, now),
                happened,
                held_by(tx, environment),
            )

    def rules(self, principal: Principal, name: str) -> list[tuple[TimedRule, datetime | None]]:
        """The rules that apply to it, each with its next moment (UTC) by itself. Raises `UnknownEnvironment`."""
        with self._storage.read() as tx:
            environment = environment_to_read(tx, principal, name)
            return next_of_each(tx, environment, self._clock())

    def outputs(self, principal: Principal, name: str, *, reveal: bool = False) -> dict[str, Output]:
        """The outputs. With `reveal`, secret ones are read from OpenBao, which records that in its audit log."""
        with self._storage.write() if reveal else self._storage.read() as tx:
            environment = environment_to_read(tx, principal, name)
            if reveal:
                may(tx, principal, Action.ENVIRONMENT_REVEAL, environment)
            shown = shown_outputs(environment.outputs)
            hidden = [name for name, output in shown.items() if output.secret]
            references = {output: secret_of(tx, environment, output) for output in hidden} if reveal else {}
        revealed = self._secrets.read_secrets(environment, references) if references else {}
        for output, value in revealed.items():
            shown[output] = replace(shown[output], value=value)
        return shown

    def deployments(
        self, principal: Principal, name: str, *, limit: int | None = None, before: str | None = None
    ) -> Page[Journaled]:
        """An environment's deployments with their journals, newest first: at most `limit`, older than the one `before`.

        Raises `UnknownEnvironment`, and `NotFound` when there is none of that id.
        """
        with self._storage.read() as tx:
            environment = environment_to_read(tx, principal, name)
            found = tx.deployments.of(environment.id, limit=limit, before=before)
            journaled = (with_journal(tx, deployment) for deployment in found)
            return Page(journaled) if limit is None else ended_in_time(journaled, _shown_size, more=found.more)

    def deployment(self, principal: Principal, deployment_id: str) -> Journaled:
        """One deployment with its journal. Raises `NotFound`."""
        with self._storage.read() as tx:
            deployment = tx.deployments.get(deployment_id)
            environment = tx.environments.get(deployment.environment_id) if deployment else None
            if deployment is None or environment is None or not sees(tx, principal, environment):
                raise NotFound(f"There is no deployment {deployment_id!r}.")
            return with_journal(tx, deployment)

    def resources(self, principal: Principal, name: str, *, limit: int | None = None, skip: int = 0) -> Page[Resource]:
        """The inventory of an environment, in the order of creation; at most `limit`, without the first `skip`."""
        with self._storage.read() as tx:
            environment = environment_to_read(tx, principal, name)
            return tx.inventory.of(environment.id, limit=limit, skip=skip)

    def events(self, principal: Principal, name: str, *, after: int = 0, limit: int = 500) -> Page[Event]:
        """Events of an environment newer than the id `after`, oldest first. Raises `UnknownEnvironment`."""
        with self._storage.read() as tx:
            environment_id = environment_to_read(tx, principal, name).id
            return tx.events.after(after, environment_id=environment_id, sight=principal.sight, limit=limit)

    def latest_events(
        self, principal: Principal, name: str, *, before: int | None = None, limit: int = 500
    ) -> Page[Event]:
        """The newest events of an environment, older than `before`; the oldest of them first. Raises likewise."""
        with self._storage.read() as tx:
            environment_id = environment_to_read(tx, principal, name).id
            return tx.events.latest(before, environment_id=environment_id, sight=principal.sight, limit=limit)

    def events_for(self, principal: Principal, environment_id: str | None, *, after: int, limit: int) -> Page[Event]:
        """Events newer than the id `after`, oldest first: of one environment, or of all that the principal may see."""
        with self._storage.read() as tx:
            return tx.events.after(after, environment_id=environment_id, sight=principal.sight, limit=limit)

    def shared_events(self, *, after: int, limit: int) -> Page[SharedEvent]:
        """Everybody's, each with what decides who sees it: for those who pass them on."""
        with self._storage.read() as tx:
            return tx.events.shared_after(after, limit=limit)

    def newest_event(self) -> int:
        """The id of the newest event: a stream of new events starts after it."""
        with self._storage.read() as tx:
            return tx.events.newest()

    def ca(self) -> str:
        """The CA that signs the environments' certificates, PEM. Raises `BackendError`."""
        return self._authority.ca_chain()

    def info(self, principal: Principal) -> ServiceInfo:
        """The version, the caller, and the backends."""
        return ServiceInfo(
            version=self._version,
            started_at=self._started_at,
            now=self._clock(),
            owner=principal.owner,
            role=principal.role,
            step_kinds=tuple(sorted(self._step_kinds)),
            parts=self._parts.addresses(),
            zone_database=zone_database(),
        )

    def ready(self) -> dict[str, str]:
        """Why the service isn't ready, by backend; empty if it is ready."""
        troubles = self._parts.troubles()
        try:
            with self._storage.read() as tx:
                tx.events.newest()
        except CalvinverseError as error:
            troubles["database"] = error.message
        return troubles

    def check_metrics(self, principal: Principal) -> None:
        """Raises `Forbidden` unless the principal may read the metrics: they count what everybody has."""
        check_service(principal, Action.METRICS_READ)

    def counts(self) -> tuple[dict[State, int], dict[tuple[DeploymentKind, DeploymentState], int]]:
        """Environments by state, and deployments by kind and state, for metrics."""
        with self._storage.read() as tx:
            return tx.environments.count_by_state(), tx.deployments.count()


def shown_outputs(outputs: Mapping[str, Any]) -> dict[str, Output]:
    """The outputs of an environment (name → its record), secret ones masked."""
    return {name: _shown(output) for name, output in outputs.items()}


def _shown(output: Mapping[str, Any]) -> Output:
    secret = bool(output.get("secret")) or any(references_in(output.get("value")))
    return Output(MASK if secret else output["value"], output.get("description", ""), secret)


def _shown_size(found: Journaled) -> int:
    """The approximate size in bytes of a deployment with its journal in the API."""
    steps = (len(step.model_dump_json(exclude=_NOT_SHOWN)) for step in found.steps)
    return len(found.deployment.model_dump_json(exclude=_NOT_SHOWN)) + sum(steps)
