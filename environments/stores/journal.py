"""The journal of steps and the inventory of resources."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, select

from environments.domain.environment import Resource, StepRecord
from environments.domain.lifecycle import DeploymentKind, ResourceStatus, StepState
from environments.domain.references import SECRET_STEPS, SecretReference, read_before, references_in
from environments.service.pages import Page
from environments.stores.environment_rows import plain
from environments.stores.paging import read_page
from environments.stores.schema import deployments, resources, steps

_STEPS = select(*(steps.c[name] for name in StepRecord.model_fields), deployments.c.environment_id).join(
    deployments, deployments.c.id == steps.c.deployment_id
)
_MAKE_NOTHING = [DeploymentKind.DESTROY.value, DeploymentKind.STOP.value]
"""Deployments whose steps have no outputs."""

_RESOURCE = [resources.c[name] for name in Resource.model_fields]


class SqlJournal:
    """See `environments.service.storage.deployments.Journal`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def lay_out(self, deployment_id: str, rows: Sequence[tuple[str, str, Sequence[str]]]) -> None:
        query = select(steps.c.name, steps.c.position).where(steps.c.deployment_id == deployment_id)
        known: dict[str, int] = dict(self._connection.execute(query).all())
        first = max(known.values(), default=-1) + 1
        new = [
            {
                "deployment_id": deployment_id,
                "name": name,
                "position": position,
                "uses": uses,
                "needs": list(needs),
                "state": StepState.PENDING.value,
                "attempts": 0,
                "outputs": {},
            }
            for position, (name, uses, needs) in enumerate((row for row in rows if row[0] not in known), first)
        ]
        if new:
            self._connection.execute(steps.insert(), new)

    def steps(self, deployment_id: str) -> list[StepRecord]:
        query = _STEPS.where(steps.c.deployment_id == deployment_id).order_by(steps.c.position)
        return [_record(row) for row in self._connection.execute(query)]

    def needs(self, deployment_id: str) -> dict[str, tuple[str, ...]]:
        query = select(steps.c.name, steps.c.needs).where(steps.c.deployment_id == deployment_id)
        return {name: tuple(needs) for name, needs in self._connection.execute(query)}

    def set(
        self,
        deployment_id: str,
        name: str,
        state: StepState,
        now: datetime,
        **values: Any,
    ) -> None:
        changed: dict[str, Any] = {**plain(values), "state": state.value}
        if state is StepState.RUNNING:
            changed |= {
                "attempts": steps.c.attempts + 1,
                "started_at": func.coalesce(steps.c.started_at, now),
            }
        elif state is not StepState.PENDING:
            changed["ended_at"] = now
        self._connection.execute(
            steps.update().where(steps.c.deployment_id == deployment_id, steps.c.name == name).values(**changed)
        )

    def latest(self, environment_id: str) -> dict[str, StepRecord]:
        query = _STEPS.where(
            deployments.c.environment_id == environment_id,
            deployments.c.kind.not_in(_MAKE_NOTHING),
            steps.c.attempts > 0,
        ).order_by(deployments.c.requested_at, deployments.c.started_at)
        return {row.name: _record(row) for row in self._connection.execute(query)}

    def references(self, environment_id: str) -> list[SecretReference]:
        query = _STEPS.where(
            deployments.c.environment_id == environment_id,
            steps.c.uses == SECRET_STEPS,
            steps.c.state == StepState.DONE.value,
        )
        made = (found for row in self._connection.execute(query) for found in references_in(_record(row).outputs))
        return list(dict.fromkeys(made))


class SqlInventory:
    """See `environments.service.storage.deployments.Inventory`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def intend(self, wanted: Sequence[Resource], ranks: Mapping[str, int]) -> None:
        if not wanted:
            return
        query = select(resources.c.kind, resources.c.address, resources.c.status, resources.c.step).where(
            resources.c.environment_id == wanted[0].environment_id
        )
        found = self._connection.execute(query).all()
        known = {(row.kind, row.address): row.status for row in found}
        steps_of = {(row.kind, row.address): row.step for row in found}
        new = []
        for resource in wanted:
            key = (resource.kind, resource.address)
            if key not in known:
                known[key] = resource.status.value
                row = plain({name: getattr(resource, name) for name in Resource.model_fields})
                rank = ranks.get(f"{resource.kind} {resource.address}", 0)
                new.append({**row, "rank": rank, "finished": []})
            elif known[key] != ResourceStatus.PRESENT.value:
                self.set(*_key(resource), resource.status, "", resource.updated_at)
                if known[key] == ResourceStatus.GONE.value:
                    # It has to be claimed again, and the record of its last run is out of date.
                    self._change(resource.environment_id, *key, held=False, finished=[])
            if None not in (resource.step, steps_of.get(key)) and resource.step != steps_of[key]:
                self._hand_over(resource)
        if new:
            self._connection.execute(resources.insert(), new)

    def _hand_over(self, resource: Resource) -> None:
        """Assigns the resource to another step: the template has renamed the step, or moved the resource to it."""
        self._change(*_key(resource), step=resource.step)

    def of(self, environment_id: str, *, limit: int | None = None, skip: int = 0) -> Page[Resource]:
        query = select(*_RESOURCE).where(resources.c.environment_id == environment_id).order_by(resources.c.id)
        query = query.offset(skip or None)
        return read_page(self._connection, query, limit).each(lambda row: Resource.model_validate(row._mapping))

    def shared_by_rank(self, environment_id: str) -> list[Resource]:
        query = (
            select(*_RESOURCE)
            .where(resources.c.environment_id == environment_id, resources.c.step.is_(None))
            .order_by(resources.c.rank.desc(), resources.c.id.desc())
        )
        return [Resource.model_validate(row._mapping) for row in self._connection.execute(query)]

    def set(
        self,
        environment_id: str,
        kind: str,
        address: str,
        status: ResourceStatus,
        detail: str,
        now: datetime,
    ) -> None:
        self._change(environment_id, kind, address, status=status.value, detail=detail, updated_at=now)

    def settle(self, environment_id: str, refs: Sequence[tuple[str, str]], now: datetime) -> None:
        known = {"status": ResourceStatus.PRESENT.value, "detail": "", "updated_at": now, "held": True}
        for kind, address in refs:
            self._change(environment_id, kind, address, **known)

    def hold(self, environment_id: str, refs: Sequence[tuple[str, str]]) -> None:
        for kind, address in refs:
            self._change(environment_id, kind, address, held=True)

    def held(self, environment_id: str, *, gone: bool = False) -> frozenset[tuple[str, str]]:
        query = select(resources.c.kind, resources.c.address).where(
            resources.c.environment_id == environment_id, resources.c.held.is_(True)
        )
        if not gone:
            query = query.where(resources.c.status != ResourceStatus.GONE.value)
        return frozenset((row.kind, row.address) for row in self._connection.execute(query))

    def finish(self, environment_id: str, kind: str, address: str, marks: Sequence[str]) -> None:
        self._change(environment_id, kind, address, finished=list(marks))

    def finished(self, environment_id: str) -> dict[tuple[str, str], tuple[str, ...] | None]:
        query = select(resources.c.kind, resources.c.address, resources.c.finished).where(
            resources.c.environment_id == environment_id, resources.c.status != ResourceStatus.GONE.value
        )
        return {
            (row.kind, row.address): None if row.finished is None else tuple(row.finished)
            for row in self._connection.execute(query)
        }

    def _change(self, environment_id: str, kind: str, address: str, **values: Any) -> None:
        self._connection.execute(
            resources.update()
            .where(
                resources.c.environment_id == environment_id,
                resources.c.kind == kind,
                resources.c.address == address,
            )
            .values(**values)
        )


def _record(row: Row[*tuple[Any, ...]]) -> StepRecord:
    values = dict(row._mapping)
    environment = values.pop("environment_id")
    if values["uses"] == SECRET_STEPS:
        values["outputs"] = read_before(environment, values["name"], values["outputs"])
    return StepRecord.model_validate(values)


def _key(resource: Resource) -> tuple[str, str, str]:
    return resource.environment_id, resource.kind, resource.address
