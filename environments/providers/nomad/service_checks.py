"""The checks of a job's services, read from Consul, which has their results sooner than Nomad."""

from collections.abc import Mapping, Sequence
from typing import Any

from environments.providers.consul.ports import Catalogue
from environments.providers.nomad.ports import SLICE, Allocation, Job
from environments.providers.nomad.rules import group_services

_WHILE_STARTING = 0.25


_OVERLOOKED = ("ignore", "ignore_warnings")
"""Values of `on_update` with which a rollout doesn't wait for a check."""


class Checks:
    """The results of checks for groups that are healthy as soon as their checks pass.

    Includes groups of `system` jobs: Nomad makes no deployments for those, so it doesn't wait for their checks.
    """

    def __init__(self, catalogue: Catalogue, job: Job) -> None:
        self._catalogue = catalogue
        self._services: dict[str, list[str]] = {}
        self._alone = job.get("Type") == "system"
        for group in job.get("TaskGroups") or []:
            update = group.get("Update") or {}
            services = list(group_services(group))
            if self._alone:
                checked = {found["Name"] for found in services if _counts(found)}
                self._services |= {group["Name"]: sorted(checked)} if checked else {}
            elif (
                job.get("Type") == "service"
                and update.get("HealthCheck") == "checks"
                and not update.get("MinHealthyTime")
                and services
                and all(found.get("Checks") and found.get("Provider") in ("", "consul") for found in services)
            ):
                self._services[group["Name"]] = sorted({found["Name"] for found in services})
        self._passing: dict[str, list[str]] = {}
        self._index: dict[str, int] = {}

    def pass_for(self, allocation: Allocation) -> bool:
        """Whether all services of the allocation passed in the last answer of Consul."""
        return allocation.group in self._services and not self._lacking(allocation)

    def missing(self, allocation: Allocation) -> list[str]:
        """Services for whose checks Nomad doesn't wait, and which didn't pass in the last answer of Consul."""
        return self._lacking(allocation) if self._alone else []

    def wait_for_change(self, live: Sequence[Allocation]) -> bool:
        """Queries Consul for one service of these allocations that doesn't pass; waits for a change, a second at most.

        False if all pass, or if the group isn't healthy by passing checks alone.
        """
        service = next((name for allocation in live for name in self._lacking(allocation)), None)
        if service is None:
            return False
        before = self._index.get(service, 0)
        # The wait is short while tasks start, because their events are reported after each query.
        wait = SLICE if all(found.client == "running" for found in live) else _WHILE_STARTING
        index, instances = self._catalogue.instances(service, index=before, wait=wait if before else 0.0)
        self._index[service] = index
        self._passing[service] = [found.id for found in instances if found.passing]
        return True

    def _lacking(self, allocation: Allocation) -> list[str]:
        return [
            service
            for service in self._services.get(allocation.group, ())
            if not any(allocation.id in instance for instance in self._passing.get(service, ()))
        ]


def _counts(service: Mapping[str, Any]) -> bool:
    checks = service.get("Checks") or []
    behind = service.get("Provider") in (None, "", "consul")
    return bool(checks) and behind and not any(check.get("OnUpdate") in _OVERLOOKED for check in checks)
