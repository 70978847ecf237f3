"""Which triggers of one source stand where: those of templates, on environments, and alone."""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from environments.domain.access import ServiceRole
from environments.domain.environment import Environment
from environments.domain.lifecycle import ENDED
from environments.domain.received_event import Source
from environments.domain.trigger import PlacedTrigger, Trigger, template_trigger_id
from environments.service.storage.transaction import Transaction
from environments.service.timing_facts import template_of_version


class Standing(NamedTuple):
    """A trigger, and the environments that it is for. `placed`: None for one that stands in a template."""

    id: str
    trigger: Trigger
    placed: PlacedTrigger | None
    environments: tuple[str, ...]


class StandingTriggers:
    """The triggers of a source. They are read again when any trigger has changed, and a version of a template once."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._version: int | None = None
        self._placed: list[PlacedTrigger] = []
        self._of_bundles: dict[str, tuple[Trigger, ...]] = {}

    def any(self, tx: Transaction) -> bool:
        """Whether there are any."""
        return bool(self._read(tx)) or any(self._in_bundle(tx, digest) for _, digest in tx.triggers.living_bundles())

    def of(self, tx: Transaction) -> list[Standing]:
        """All of them that are for living environments, and those that stand alone."""
        found = []
        for placed in self._read(tx):
            if placed.environment_id is not None:
                its = tx.triggers.living_environments(ids=[placed.environment_id])
            else:
                template = placed.definition.template or None
                its = tx.triggers.living_environments(owner=placed.owner, template=template)
            if its or placed.environment_id is None:
                found.append(Standing(placed.id, placed.definition, placed, tuple(its)))
        bundles = tx.triggers.living_bundles()
        for template, digest in bundles:
            triggers = self._in_bundle(tx, digest)
            its = tx.triggers.living_environments(bundle=digest, template=template) if triggers else []
            found += [Standing(template_trigger_id(template, one.name), one, None, tuple(its)) for one in triggers]
        digests = {digest for _, digest in bundles}
        self._of_bundles = {digest: found for digest, found in self._of_bundles.items() if digest in digests}
        return found

    def _read(self, tx: Transaction) -> list[PlacedTrigger]:
        version = tx.triggers.version()
        if version != self._version:
            self._placed = [placed for placed in tx.triggers.active() if placed.definition.on is self._source]
            self._version = version
        return self._placed

    def _in_bundle(self, tx: Transaction, digest: str) -> tuple[Trigger, ...]:
        if digest not in self._of_bundles:
            template = template_of_version(tx, digest)
            triggers = () if template is None else template.triggers
            self._of_bundles[digest] = tuple(one for one in triggers if one.on is self._source)
        return self._of_bundles[digest]


def living_named(tx: Transaction, name: str) -> Environment | None:
    """The environment of that name, if it hasn't ended and this service manages it."""
    found = tx.environments.named(name)
    return None if found is None or found.state in ENDED or found.managed_by is not None else found


def environments_of(tx: Transaction, standing: Iterable[Standing]) -> dict[str, Environment]:
    """The environments that triggers are for, by their ids."""
    ids = dict.fromkeys(id for one in standing for id in one.environments)
    return {one.id: one for one in tx.environments.of_ids(list(ids))}


def acts_for_admin(tx: Transaction, one: Standing, now: datetime) -> bool:
    """Whether a trigger acts for an admin, who may watch what is no environment's."""
    return one.placed is not None and tx.people.standing(one.placed.owner, now).role is ServiceRole.ADMIN
