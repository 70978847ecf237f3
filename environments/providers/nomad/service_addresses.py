"""The addresses of a job's services, from Consul."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from environments.domain.names import service_prefix
from environments.providers.consul.ports import Catalogue, Instance
from environments.providers.nomad.ports import SLICE, Job
from environments.providers.nomad.registered import Outcome
from environments.providers.nomad.rules import group_services
from environments.steps.base import Owner, StepRun


def addresses(
    catalogue: Catalogue, job: Job, owner: Owner, outcome: Outcome, run: StepRun, *, tell: bool
) -> dict[str, Any]:
    """For each service of the job, by its name in the environment, its `name`, `address`, `port` and `url`.

    Address, port and `url` are null for a service of a group with `count = 0`. Of several instances one that serves is
    used: of the new version, or of the version before while the new one awaits promotion. `tell`: the version is new.
    """
    found: dict[str, Any] = {}
    if job.get("Type") in ("batch", "sysbatch"):
        return found
    for count, service in _services(job):
        name = service["Name"]
        label = name.removeprefix(service_prefix(owner.name))
        if count:
            found[label] = _entry(service, _instance(catalogue, name, outcome, run))
        elif label not in found:
            if tell:
                run.log(f"service {label} has no address: its group has count = 0, so it has no instances")
            url: dict[str, Any] = {"url": None} if _scheme(service, service.get("Tags"), service.get("Meta")) else {}
            found[label] = {"name": name, "address": None, "port": None, **url}
    return found


def _services(job: Job) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """The services in Consul, with the count of their group."""
    for group in job.get("TaskGroups") or []:
        for service in group_services(group):
            if service.get("Provider") in (None, "", "consul"):
                yield group.get("Count") or 0, service


def _entry(service: Mapping[str, Any], instance: Instance) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": service["Name"], "address": instance.address, "port": instance.port}
    if scheme := _scheme(service, instance.tags, instance.metadata):
        host = f"[{instance.address}]" if ":" in instance.address else instance.address
        entry["url"] = f"{scheme}://{host}:{instance.port}"
    return entry


def _instance(catalogue: Catalogue, service: str, outcome: Outcome, run: StepRun) -> Instance:
    """Waits until Consul has an instance that serves, and returns it.

    For a service that only the waiting canaries have, it returns one of those.
    """
    index = 0
    while True:
        index, instances = catalogue.instances(service, index=index, wait=SLICE if index else 0.0)
        serving = [found for found in instances if any(one.id in found.id for one in outcome.serving)]
        if choice := serving or (instances if outcome.awaiting or not outcome.serving else []):
            return min(choice, key=lambda found: (not found.passing, found.id))
        run.before_effect()


def _scheme(service: Mapping[str, Any], tags: Collection[str] | None, metadata: Mapping[str, str] | None) -> str:
    """The protocol of a service, from its metadata, a tag or its health check."""
    if metadata and metadata.get("scheme"):
        return metadata["scheme"]
    for scheme in ("https", "http"):
        checks = service.get("Checks") or []
        if scheme in (tags or ()) or any(
            check.get("Protocol") == scheme or (scheme == "http" and check.get("Type") == "http") for check in checks
        ):
            return scheme
    return ""
