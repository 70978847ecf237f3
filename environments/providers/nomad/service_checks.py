"""The checks of a job's services in Consul, which are known there sooner than in Nomad."""

from collections.abc import Mapping, Sequence
from typing import Any

from environments.providers.consul.ports import Catalogue
from environments.providers.nomad.ports import SLICE, Allocation, Job
from environments.providers.nomad.rules import group_services

_WHILE_STARTING = 0.25


_OVERLOOKED = ("ignore", "ignore_warnings")
"""Values of `on_update` with which a rollout doesn't wait for a check."""


class Checks:
    """What Consul says about the services of those groups for which passing checks are all that counts.

    And about those of `system` jobs: Nomad has no deployments of them, so it doesn't wait for any check.
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
        """Whether each service of the allocation was passing when Consul was asked last."""
        return allocation.group in self._services and not self._lacking(allocation)

    def missing(self, allocation: Allocation) -> list[str]:
        """Services whose checks nobody but us waits for, and which weren't passing when Consul was asked last."""
        return self._lacking(allocation) if self._alone else []

    def wait_for_change(self, live: Sequence[Allocation]) -> bool:
        """Asks Consul about a service that these allocations lack, waiting for a change for a second at most.

        False when none is lacking, or passing checks aren't all that counts.
        """
        service = next((name for allocation in live for name in self._lacking(allocation)), None)
        if service is None:
            return False
        before = self._index.get(service, 0)
        # Short while tasks are being started: their events are reported after each query.
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
