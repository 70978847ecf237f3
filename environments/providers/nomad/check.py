"""Faults of a job file that can be found without Nomad: those that prevent the job from running in any environment."""

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from environments.domain.faults import Fault, meant
from environments.domain.names import META, SERVICE_VOLUMES
from environments.domain.template_parts import Template
from environments.providers.nomad.container_options import OWN_SPACES, option_faults
from environments.providers.nomad.group_networks import group_network_faults, outgoing_faults
from environments.providers.nomad.regions import pool_faults, region_faults
from environments.providers.nomad.registered_services import ENVIRONMENT_VARIABLE, service_faults
from environments.providers.nomad.rules import (
    GROUP_NETWORKS,
    OWN_AUDIENCES,
    OWN_CLUSTERS,
    OWN_NETWORKS,
    OWN_VAULT_ROLES,
)
from environments.providers.nomad.schema import DISABLED, FUNCTIONS
from environments.providers.nomad.structure import structure_faults
from environments.providers.nomad.template_paths import Read, read_paths, template_faults
from environments.service.rendering import whole_expression
from environments.steps.hcl.faults import Source
from environments.steps.hcl.tree import Block, Body, parse
from environments.steps.hcl.types import (
    TYPE_WORDS,
    declared_type,
    default_fits,
    fits,
    schema_fits,
    told,
    type_fault,
    wanted,
)
from environments.steps.options import has_expression

_JOB_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_DISABLED = dict.fromkeys(DISABLED, "Nomad's servers read no files")


def job_faults(file: str, text: str, variables: Any, template: Template) -> Iterator[Fault]:
    """Faults of a job file and of the `variables` that a step passes to it, as the template has them."""
    source = Source(file, parse(text))
    broken = list(source.syntax())
    yield from broken
    if broken:
        return  # all other faults would be consequences
    yield from _job(source)
    yield from structure_faults(source)
    names = _names(source)
    yield from source.undeclared(names, {"var": "variable", "local": "local value"})
    yield from source.calls(FUNCTIONS, _DISABLED)
    if variables is None or isinstance(variables, Mapping):
        yield from _variables(source, variables or {}, template)
    yield from service_faults(source, variables, template.name)
    yield from _ports(source)
    yield from _volumes(source, template)
    yield from outgoing_faults(source)
    yield from template_faults(source)
    if template.name != META:
        yield from _rights(source)
        yield from region_faults(source)
        if template.network != "host":
            yield from _networks(source)
            yield from group_network_faults(source)
            if not template.host_volumes:
                yield from option_faults(source)
                yield from pool_faults(source)
        yield from _paths(source, template)


def _job(source: Source) -> Iterator[Fault]:
    jobs = list(source.tree.body.of("job"))
    if not jobs:
        yield source.fault(0, 'a job file must contain one block `job "<name>" {`, with the name written out')
    for again in jobs[1:]:
        yield source.fault(again.at, "a job file contains one job; this is a second one")
    for job in jobs[:1]:
        if len(job.labels) == 1 and not _JOB_NAME.fullmatch(job.labels[0]):
            yield source.fault(
                job.at, f"{job.labels[0]!r} can't be a job's name; use lower-case letters, digits and hyphens"
            )
        for block, _ in source.tree.walk():
            asked = block.body.attribute("health_check") if block.kind == "update" else None
            if asked is not None and asked.text == "manual":
                yield source.fault(
                    asked.at,
                    'health_check can\'t be "manual": Calvinverse never reports to Nomad that an instance is healthy',
                    'use "checks" or "task_states"',
                )
        inside = {block.kind if block.kind != "dynamic" else "".join(block.labels) for block in job.body.blocks}
        if not inside & {"group", "task"}:
            yield source.fault(job.at, "the job has no group")
        for group in job.body.of("group"):
            if not any(block.kind in ("task", "dynamic") for block in group.body.blocks):
                yield source.fault(group.at, f"the group {' '.join(group.labels)!r} has no task")


def _names(source: Source) -> dict[str, frozenset[str]]:
    body = source.tree.body
    given = {block.labels[0] for block in body.of("variable") if len(block.labels) == 1}
    given |= {attribute.name for block in body.of("variables") for attribute in block.body.attributes}
    own = {attribute.name for block in body.of("locals") for attribute in block.body.attributes}
    return {"var": frozenset(given), "local": frozenset(own)}


def _variables(source: Source, given: Mapping[str, Any], template: Template) -> Iterator[Fault]:
    declared: dict[str, Block] = {}
    for block in source.tree.body.of("variable"):
        name = " ".join(block.labels)
        if name in declared:
            yield source.fault(block.at, f"the variable {name!r} is declared twice")
        declared[name] = block
        yield from _declaration(source, name, block)
        if name not in given and name != ENVIRONMENT_VARIABLE and block.body.attribute("default") is None:
            yield source.fault(
                block.at, f"the variable {name!r} has no default, and the step gives it no value", meant(name, given)
            )
    known = _names(source)["var"]
    for name, value in given.items():
        path = ("with", "variables", name)
        if name not in known:
            yield Fault(
                path=path,
                message=f"with.variables.{name}: {source.file} declares no variable {name!r}",
                suggestion=meant(name, known - set(given)),
            )
        elif name in declared:
            yield from value_faults(path, name, value, declared[name], template)


def _declaration(source: Source, name: str, variable: Block) -> Iterator[Fault]:
    kind, default = variable.body.attribute("type"), variable.body.attribute("default")
    if kind is not None and (wrong := type_fault(variable)) is not None:
        suggestion = meant(next(iter(declared_type(variable)), ""), TYPE_WORDS)
        yield source.fault(kind.at, f"the variable {name!r}: {wrong}", suggestion)
    elif default is not None and not default_fits(variable):
        wanted_type = wanted(declared_type(variable))
        yield source.fault(default.at, f"the default of the variable {name!r} must be {wanted_type}")


def value_faults(
    path: tuple[str | int, ...], name: str, value: Any, variable: Block, template: Template
) -> Iterator[Fault]:
    """Faults of the value that a step passes to a variable: whether it can have the variable's type."""
    kind = declared_type(variable)
    shown = ".".join(map(str, path))
    if not has_expression(value):
        if not fits(kind, value):
            yield Fault(path=path, message=f"{shown}: the variable {name!r} must be {wanted(kind)}")
        return
    whole = whole_expression(value) if isinstance(value, str) else None
    if whole is not None and len(whole.chain) == 2 and whole.chain[0] == "parameters":
        schema = template.parameters.get(whole.chain[1])
        if schema is not None and not schema_fits(kind, schema):
            message = f"{shown}: the variable {name!r} must be {wanted(kind)}"
            yield Fault(path=path, message=f"{message}, and parameters.{whole.chain[1]} is {told(schema)}")


def _ports(source: Source) -> Iterator[Fault]:
    """Labels of ports that services and checks name and that no network has."""
    for group, _ in source.tree.walk():
        if group.kind != "group":
            continue
        inner = [group, *group.body.of("task")]
        resources = [found for task in inner for found in task.body.of("resources")]
        networks = [found for part in [group, *resources] for found in part.body.of("network")]
        dynamic = [block for part in [group, *networks] for block in part.body.of("dynamic")]
        if dynamic or any(network.body.attribute("port") for network in networks):
            continue
        labels = {" ".join(port.labels) for network in networks for port in network.body.of("port", "reserved_ports")}
        for part in inner:
            for service in part.body.of("service"):
                if next(service.body.of("connect"), None) is None:
                    for asking in [service, *service.body.of("check")]:
                        yield from _port(source, asking, labels)


def _port(source: Source, asking: Block, labels: Collection[str]) -> Iterator[Fault]:
    port = asking.body.attribute("port")
    name = None if port is None else port.text
    if port is not None and name and "${" not in name and not name.isdigit() and name not in labels:
        yield source.fault(port.at, f"no network of the group has a port {name!r}", meant(name, labels))


def _volumes(source: Source, template: Template) -> Iterator[Fault]:
    allowed = set(template.host_volumes) if template.name == META else set(template.host_volumes) - SERVICE_VOLUMES
    for group, _ in source.tree.walk():
        if group.kind != "group":
            continue
        volumes = {" ".join(volume.labels): volume for volume in group.body.of("volume")}
        for volume in volumes.values():
            kind, name = volume.body.attribute("type"), volume.body.attribute("source")
            if kind is None or kind.text != "host" or name is None or name.text is None or template.name == META:
                continue
            if name.text not in allowed:
                suggestion = (
                    meant(name.text, allowed) or f"add it to host_volumes in [template] of {Fault(message='').file}"
                )
                yield source.fault(name.at, f"the template does not declare the host volume {name.text!r}", suggestion)
        if next(group.body.of("dynamic"), None) is not None:
            continue
        for task in group.body.of("task"):
            for mount in task.body.of("volume_mount"):
                asked = mount.body.attribute("volume")
                if asked is not None and asked.text is not None and asked.text not in volumes:
                    yield source.fault(asked.at, f"the group has no volume {asked.text!r}", meant(asked.text, volumes))


def _rights(source: Source) -> Iterator[Fault]:
    """What `rules.adopt` refuses, where the file states it without an expression."""
    for block, around in source.tree.walk():
        body = block.body
        if block.kind == "job":
            yield from _only(source, body, "namespace", ("", "default"), "the namespace is the environment's")
        elif block.kind == "vault":
            yield from _only(source, body, "role", OWN_VAULT_ROLES, "the role is the environment's")
            yield from _only(source, body, "namespace", ("",), "jobs have no other namespace")
            yield from _only(source, body, "cluster", OWN_CLUSTERS, "jobs have one cluster")
            if (policies := body.attribute("policies")) is not None and len(policies.tokens) > 2:
                yield source.fault(policies.at, "a job can't name policies of OpenBao")
        elif block.kind == "consul":
            for name in ("namespace", "partition"):
                yield from _only(source, body, name, ("",), f"jobs have no other {name}")
            yield from _only(source, body, "cluster", OWN_CLUSTERS, "jobs have one cluster")
        elif block.kind == "identity":
            audience = body.attribute("aud")
            for token in () if audience is None else audience.tokens:
                if token.kind.value == "text" and token.text not in OWN_AUDIENCES:
                    yield source.fault(token.at, f"a job can't have an identity for {token.text!r}")
        elif block.kind == "config" and around is not None and around.kind == "task":
            for name in OWN_SPACES:
                yield from _only(source, body, name, ("", "private", "none"), "a task shares nothing with its node")


def _networks(source: Source) -> Iterator[Fault]:
    """Uses of the node's network, and of others', where the file says it in plain words."""
    head = f'or write network = "host" in [template] of {Fault(message="").file}: then only admins make environments'
    for block, around in source.tree.walk():
        if block.kind == "network":
            why = "the group uses the node's network"
            allowed = GROUP_NETWORKS | {""}  # without a mode it depends on the tasks
            yield from _only(source, block.body, "mode", allowed, why, f'write mode = "bridge", {head}')
        elif block.kind == "config" and around is not None and around.kind in ("task", "sidecar_task"):
            why = "the task leaves the network of its group"
            yield from _only(source, block.body, "network_mode", OWN_NETWORKS, why, f"leave it out, {head}")


def _only(
    source: Source, body: Body, name: str, allowed: Collection[str], why: str, suggestion: str = ""
) -> Iterator[Fault]:
    attribute = body.attribute(name)
    if attribute is not None and attribute.text is not None and attribute.text not in allowed:
        yield source.fault(attribute.at, f"{name} can't be {attribute.text[:80]!r}: {why}", suggestion)


def _paths(source: Source, template: Template) -> Iterator[Fault]:
    """Faults of what templates read: paths outside of the environment, and paths that no step writes."""
    written = _written(template)
    for found in read_paths(source):
        if isinstance(found, Fault):
            yield found
        elif (known := written.get(found.function)) is not None and found.path not in known:
            yield _unwritten(source, found, known)


def _written(template: Template) -> dict[str, frozenset[str]]:
    """Function → the paths that the steps write. Functions whose paths a module may write too are left out."""
    if any(step.uses == "opentofu.module" for step in template.steps):
        return {}
    keys = [step.options.get("keys") for step in template.steps if step.uses == "consul.kv"]
    secrets = frozenset(step.name for step in template.steps if step.uses == "vault.secret")
    return {
        "key": frozenset(name for found in keys if isinstance(found, Mapping) for name in found),
        "secret": secrets,
    }


def _unwritten(source: Source, found: Read, known: Collection[str]) -> Fault:
    what = "step of the kind vault.secret has the name" if found.function == "secret" else "step writes the key"
    return Fault(
        message=f"no {what} {found.path[:100]!r}; the task waits until it is written",
        suggestion=meant(found.path, known),
        file=source.file,
        line=found.line,
        warning=True,
    )
