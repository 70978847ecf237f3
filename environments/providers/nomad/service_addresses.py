"""Where the services of a job listen, as Consul knows them."""

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

    They are null for a service of which no instance is wanted. Of several instances it is one that serves: of the
    version that was made, or of the one before while that waits for promotion. `tell`: the version is new.
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
                run.log(f"service {label} has no address: its group has count = 0, so no instance of it is wanted")
            url: dict[str, Any] = {"url": None} if _scheme(service, service.get("Tags"), service.get("Meta")) else {}
            found[label] = {"name": name, "address": None, "port": None, **url}
    return found


def _services(job: Job) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Those in Consul, with the count of their group."""
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
    """An instance that serves, as soon as Consul knows it.

    A service that only canaries have, which wait for promotion, is told of them.
    """
    index = 0
    while True:
        index, instances = catalogue.instances(service, index=index, wait=SLICE if index else 0.0)
        serving = [found for found in instances if any(one.id in found.id for one in outcome.serving)]
        if choice := serving or (instances if outcome.awaiting or not outcome.serving else []):
            return min(choice, key=lambda found: (not found.passing, found.id))
        run.before_effect()


def _scheme(service: Mapping[str, Any], tags: Collection[str] | None, metadata: Mapping[str, str] | None) -> str:
    """How to talk to a service: its metadata say it, a tag does, or its health check does."""
    if metadata and metadata.get("scheme"):
        return metadata["scheme"]
    for scheme in ("https", "http"):
        checks = service.get("Checks") or []
        if scheme in (tags or ()) or any(
            check.get("Protocol") == scheme or (scheme == "http" and check.get("Type") == "http") for check in checks
        ):
            return scheme
    return ""
