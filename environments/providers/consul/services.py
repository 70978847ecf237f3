"""The registrations and configuration entries in Consul under the names of an environment's services."""

from collections.abc import Sequence
from typing import ClassVar

from environments.domain.errors import BackendError
from environments.domain.names import service_prefix
from environments.providers.consul.ports import Catalogue, Instance
from environments.steps.base import Observation, Owner, Presence, StepRun
from environments.steps.marks import ABSENT, MARK, foreign

SERVICES_KIND = "consul.services"

_GRACE = 2.0
"""Seconds that stopped services have to deregister before they are removed."""

_PAUSE = 0.1
_NAMED = 10
"""The most services that one line names."""


def check_services(catalogue: Catalogue, owner: Owner) -> None:
    """Raises `ForeignResource` if there are foreign services with names of the environment. Reads only.

    Also for configuration entries of such names, because nothing proves who owns them.
    """
    prefix = service_prefix(owner.name)
    if owner.holds(SERVICES_KIND, prefix):
        return
    strange = {found.service for found in catalogue.registered(prefix) if found.metadata.get(MARK) != owner.id}
    if strange:
        raise foreign(f"a service of the name {prefix}… in Consul", owner, strange)
    if entries := catalogue.configured(prefix):
        raise foreign(f"a configuration entry of the name {prefix}… in Consul", owner, map(str, entries))


class ServicesHandler:
    """Observes and removes an environment's services, by the prefix `<name>--`, and their configuration entries.

    Only the environment's jobs and modules may register these. Metadata that they write proves nothing, so marks are
    ignored if the environment holds the prefix; otherwise services with our mark are ours. Configuration entries have
    no mark.
    """

    kind: ClassVar[str] = SERVICES_KIND
    place: ClassVar[bool] = True

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    def observe(self, address: str, owner: Owner) -> Observation:
        """Names what is left. It is foreign only if nothing of it is ours."""
        instances, entries = self._catalogue.registered(address), self._catalogue.configured(address)
        if not instances and not entries:
            return ABSENT
        ours, held = _of(instances, address, owner), owner.holds(SERVICES_KIND, address)
        names = sorted({instance.service for instance in ours or instances})
        if held or not ours:
            names += map(str, sorted(entries))
        shown = ", ".join(repr(name)[1:-1] for name in names[:_NAMED])
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        return Observation(Presence.OURS if ours or held else Presence.FOREIGN, shown + more)

    def destroy(self, address: str, owner: Owner, run: StepRun) -> None:
        """Waits a moment for instances to deregister, then removes the rest, then configuration entries."""
        failed = self._take_out(address, owner, run)
        if owner.holds(SERVICES_KIND, address):
            failed += self._unconfigure(address, run)
        if failed:
            raise failed[0]

    def _take_out(self, address: str, owner: Owner, run: StepRun) -> list[BackendError]:
        waited = 0.0
        while True:
            ours = _of(self._catalogue.registered(address), address, owner)
            if not ours:
                return []
            if waited >= _GRACE:
                break
            run.wait(_PAUSE)
            waited += _PAUSE
        failed: list[BackendError] = []
        for number, instance in enumerate(ours):
            run.before_effect()
            if number < _NAMED:
                name = repr(instance.service)[1:-1]
                run.log(f"{name} on {instance.node} is still registered in Consul: taken out")
            try:
                self._catalogue.deregister(instance)
            except BackendError as error:
                failed.append(error)  # an instance that can't be removed must not prevent the removal of others
        if len(ours) > _NAMED:
            run.log(f"and {len(ours) - _NAMED} more")
        return failed

    def _unconfigure(self, address: str, run: StepRun) -> list[BackendError]:
        """Removes entries until none is left or can be removed, because entries of one kind may refer to each other."""
        removed = 0
        left = self._catalogue.configured(address)
        while left:
            failed: list[BackendError] = []
            for entry in left:
                run.before_effect()
                try:
                    self._catalogue.unconfigure(entry)
                except BackendError as error:
                    message = f"The configuration entry {entry} in Consul can't be removed: {error.message}"
                    failed.append(BackendError(message, hint=error.hint))
                    continue
                removed += 1
                if removed <= _NAMED:
                    run.log(f"{entry} is configured in Consul: removed")
            if len(failed) == len(left):
                return failed
            left = self._catalogue.configured(address)
        if removed > _NAMED:
            run.log(f"and {removed - _NAMED} more")
        return []


def _of(instances: Sequence[Instance], prefix: str, owner: Owner) -> list[Instance]:
    """The instances that belong to the environment."""
    held = owner.holds(SERVICES_KIND, prefix)
    return [found for found in instances if held or found.metadata.get(MARK) == owner.id]
