"""The rules for a job in an environment, and what the service writes into the job."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from environments.domain.errors import CalvinverseError, InvalidJob
from environments.domain.names import LONGEST_LABEL, SERVICE_VOLUMES, check_label, service_prefix
from environments.providers.nomad.container_options import CSI_PLUGIN, OWN_SPACES, REMEDY, option_problems
from environments.providers.nomad.group_networks import outgoing_problems
from environments.providers.nomad.ports import Job
from environments.providers.nomad.regions import pool_problems, region_problems
from environments.steps.base import Owner
from environments.steps.hcl.tree import parse
from environments.steps.marks import MARK, mark

OWN_AUDIENCES = frozenset({"vault.io", "consul.io", "nomadproject.io"})
"""Audiences that workload identities of an environment may have.

`nomad-manager` would give full rights to the cluster.
"""

OWN_VAULT_ROLES = frozenset({"", "environment"})
OWN_CLUSTERS = frozenset({"", "default"})

OWN_NETWORKS = frozenset({"", "none"})
"""Values of `network_mode` of a task that leave it in the network of its group; "none" gives it none at all."""

GROUP_NETWORKS = frozenset({"bridge", "none"})
"""Values of `mode` of a `network` block that give a group a network of its own, whatever runs its tasks.

Without a mode Docker puts the tasks into its default network, where containers of all environments and of others reach
each other and the node; other drivers use the node's network.
"""

_HIGHEST_OF_SYSTEM_JOBS = 59
"""Where room or a port lacks for a system job, Nomad ends jobs whose priority is lower by 10 or more; most have 50."""

_UNDECLARED_HOST = (
    'and its template doesn\'t declare network = "host"; write network { mode = "bridge" } in the group, and no '
    "network_mode in its tasks"
)


def job_label(text: str) -> str:
    """The id of the job in a job file, which must be a plain name. Raises `InvalidJob`."""
    labels = _labels("job", text)
    if len(labels) != 1:
        raise InvalidJob('A job file must contain one block `job "<name>" {`, with the name written out.')
    label = labels[0]
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,62}", label):
        raise InvalidJob(f"{label!r} can't be a job's name; use lower-case letters, digits and hyphens.")
    return label


def declared(text: str, given: Iterable[str]) -> set[str]:
    """Names of the variables that a job file declares. Raises `InvalidJob` for `given` ones that it doesn't declare."""
    names = set(_labels("variable", text))
    names |= {found.name for block in parse(text).body.of("variables") for found in block.body.attributes}
    if unknown := sorted(set(given) - names):
        raise InvalidJob(f"The job file declares no variable {unknown[0]!r}.")
    return names


def _labels(kind: str, text: str) -> list[str]:
    """The label of each block of a kind at the top level of a job file."""
    return [block.labels[0] for block in parse(text).body.of(kind) if len(block.labels) == 1]


def adopt(
    job: Job,
    name: str,
    owner: Owner,
    *,
    trusted: bool = False,
    volumes: Collection[str] = (),
    host_network: bool = False,
) -> Job:
    """The job to register for a parsed job: in the environment's namespace, with its marks.

    `trusted` jobs (of the meta environment) may ask for any identity, any host volume and any network, other jobs only
    for the host `volumes` that their template declares, and for the node's network if it declares that
    (`host_network`). If it declares neither, a container gets nothing of its node. Raises `InvalidJob`, which names
    every reason.
    """
    problems = list(_problems(job, name, owner, trusted, frozenset(volumes)))
    if not (trusted or host_network):
        problems += _network_problems(job)
        if not volumes:
            problems += _option_problems(job)
    if problems:
        raise InvalidJob(f"The job {name!r} can't be run: {'; '.join(problems)}.", details={"problems": problems})
    job = {**job, "Namespace": owner.name, "Meta": {**(job.get("Meta") or {}), **mark(owner)}}
    for service in services(job):
        service["Meta"] = {**(service.get("Meta") or {}), MARK: owner.id}
    return job


def services(job: Job) -> Iterator[dict[str, Any]]:
    """All services of a job, of its groups and of its tasks."""
    for group in job.get("TaskGroups") or []:
        yield from group_services(group)


def group_services(group: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """All services of a group and of its tasks."""
    yield from group.get("Services") or []
    for task in group.get("Tasks") or []:
        yield from task.get("Services") or []


def _problems(job: Job, name: str, owner: Owner, trusted: bool, volumes: frozenset[str]) -> Iterator[str]:
    if job.get("ID") != name:
        yield f"its id is {job.get('ID')!r}"
    if job.get("Namespace") not in (None, "", "default", owner.name):
        yield f"it names the namespace {job['Namespace']!r}"
    if not trusted:
        yield from region_problems(job)
    for field in ("VaultNamespace", "ConsulNamespace", "VaultToken", "ConsulToken"):
        if job.get(field):
            yield f"it sets {field}"
    for group in job.get("TaskGroups") or []:
        yield from _consul_problems(group.get("Consul"), f"group {group['Name']!r}")
        yield from outgoing_problems(group)
        if not trusted:
            yield from _volume_problems(group.get("Volumes"), f"group {group['Name']!r}", volumes - SERVICE_VOLUMES)
        for task in group.get("Tasks") or []:
            where = f"task {task['Name']!r}"
            yield from _space_problems(task.get("Config"), where)
            yield from _consul_problems(task.get("Consul"), where)
            yield from _vault_problems(task.get("Vault"), where, trusted)
            for identity in [task.get("Identity"), *(task.get("Identities") or [])]:
                yield from _identity_problems(identity, where, trusted)
    for service in services(job):
        yield from _service_problems(service, owner, trusted)


def _space_problems(config: Mapping[str, Any] | None, where: str) -> Iterator[str]:
    for field in OWN_SPACES:
        if (value := (config or {}).get(field)) not in (None, "", "private", "none"):
            yield f"{where} asks for {field} {value!r}, which isn't its own"


def _option_problems(job: Job) -> Iterator[str]:
    yield from pool_problems(job)
    if job.get("Type") == "system" and (priority := job.get("Priority") or 0) > _HIGHEST_OF_SYSTEM_JOBS:
        yield f"it is a system job with the priority {priority}, for which Nomad ends jobs of others; {REMEDY}"
    for group in job.get("TaskGroups") or []:
        for driver, where, config in _containers(group):
            yield from option_problems(driver, config, where)
        for task in group.get("Tasks") or []:
            if task.get("CSIPluginConfig"):
                yield f"task {task['Name']!r} has a csi_plugin, {CSI_PLUGIN}; {REMEDY}"


def _network_problems(job: Job) -> Iterator[str]:
    for group in job.get("TaskGroups") or []:
        alone = not _has_gateway(group) and all(
            driver == "docker" and config.get("network_mode") == "none" for driver, _, config in _containers(group)
        )
        for mode in [network.get("Mode") or "" for network in group.get("Networks") or [{}]]:
            if mode not in GROUP_NETWORKS and not (alone and not mode):
                said = f"the network mode {mode!r}" if mode else "no network of its own"
                yield f"group {group['Name']!r} has {said} {_UNDECLARED_HOST}"
        for task in group.get("Tasks") or []:
            for network in (task.get("Resources") or {}).get("Networks") or []:
                if (mode := network.get("Mode") or "") not in GROUP_NETWORKS | {""}:
                    yield f"task {task['Name']!r} has the network mode {mode!r} {_UNDECLARED_HOST}"
        for _, where, config in _containers(group):
            if (mode := config.get("network_mode") or "") not in OWN_NETWORKS:
                yield f"{where} asks for network_mode {mode!r}, {_UNDECLARED_HOST}"


def _containers(group: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Everything that a group runs, the sidecars of its services too: driver, name for people, and configuration.

    Without a driver sidecars run in Docker, and Nomad refuses tasks.
    """
    for task in group.get("Tasks") or []:
        yield task.get("Driver") or "docker", f"task {task['Name']!r}", task.get("Config") or {}
    for service in group_services(group):
        if (sidecar := (service.get("Connect") or {}).get("SidecarTask")) is not None:
            where = f"the sidecar of service {service.get('Name')!r}"
            yield sidecar.get("Driver") or "docker", where, sidecar.get("Config") or {}


def _has_gateway(group: Mapping[str, Any]) -> bool:
    """Whether Nomad adds a task of its own, which has the node's network unless the group has another one."""
    return any((service.get("Connect") or {}).get("Gateway") for service in group_services(group))


def _consul_problems(consul: Mapping[str, Any] | None, where: str) -> Iterator[str]:
    if not consul:
        return
    if consul.get("Cluster") not in (None, *OWN_CLUSTERS):
        yield f"{where} names the Consul cluster {consul['Cluster']!r}"
    for field in ("Namespace", "Partition"):
        if consul.get(field):
            yield f"{where} names the Consul {field.lower()} {consul[field]!r}"


def _vault_problems(vault: Mapping[str, Any] | None, where: str, trusted: bool) -> Iterator[str]:
    if not vault:
        return
    if vault.get("Cluster") not in (None, *OWN_CLUSTERS):
        yield f"{where} names the OpenBao cluster {vault['Cluster']!r}"
    if vault.get("Namespace"):
        yield f"{where} names the OpenBao namespace {vault['Namespace']!r}"
    if not trusted and (vault.get("Role") or "") not in OWN_VAULT_ROLES:
        yield f"{where} names the OpenBao role {vault['Role']!r}"
    if vault.get("Policies"):
        yield f"{where} names OpenBao policies"


def _identity_problems(identity: Mapping[str, Any] | None, where: str, trusted: bool) -> Iterator[str]:
    for audience in (identity or {}).get("Audience") or []:
        if not trusted and audience not in OWN_AUDIENCES:
            yield f"{where} has an identity for {audience!r}"


def _volume_problems(volumes: Mapping[str, Any] | None, where: str, allowed: frozenset[str]) -> Iterator[str]:
    for volume in (volumes or {}).values():
        if volume.get("Type") != "host":
            continue
        # A folder of the host belongs to no environment; one of them contains the service's database.
        if volume.get("Source") not in allowed:
            yield f"{where} asks for the host volume {volume.get('Source')!r}, which its template doesn't declare"
        elif volume.get("PerAlloc"):
            yield f"{where} asks for another volume than {volume['Source']!r} in each allocation"


def _service_problems(service: Mapping[str, Any], owner: Owner, trusted: bool) -> Iterator[str]:
    name = service.get("Name") or ""
    prefix = service_prefix(owner.name)
    where = f"service {name!r}"
    if not name.startswith(prefix):
        yield f"{where} doesn't begin with {prefix!r}"
        return
    try:
        # For a name with an interpolation Nomad would use its own token, which bypasses the environment's policy.
        check_label(name.removeprefix(prefix), "a service")
        if len(name) > LONGEST_LABEL:
            yield f"{where} is longer than {LONGEST_LABEL} characters"
    except CalvinverseError as error:
        yield error.message.rstrip(".")
    if service.get("Cluster") not in (None, *OWN_CLUSTERS):
        yield f"{where} names the Consul cluster {service['Cluster']!r}"
    if service.get("Namespace"):
        yield f"{where} names the Consul namespace {service['Namespace']!r}"
    yield from _identity_problems(service.get("Identity"), where, trusted)
