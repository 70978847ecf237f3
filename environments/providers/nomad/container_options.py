"""What a task may ask of its driver: what only its own container gets, and nothing of its node or of other containers.

Options are known by name: one that isn't listed here is refused. Templates that admins alone make environments of
(`network = "host"` or `host_volumes` in `[template]`) may ask for all that their Nomad allows, except for `OWN_SPACES`.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from environments.domain.faults import TEMPLATE_FILE, Fault
from environments.steps.hcl.faults import Source
from environments.steps.hcl.tokens import Kind
from environments.steps.hcl.tree import Block

OWN_SPACES = ("pid_mode", "ipc_mode", "uts_mode", "userns_mode", "cgroupns")
"""Options with which a container could share namespaces of its node or of another container; no template may."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_OWN = _words(
    "image advertise_ipv6_address args auth auth_soft_fail cap_drop class class_path command container_exists_attempts "
    "cpu_cfs_period cpu_hard_limit cpuset_cpus dns_options dns_search_domains dns_servers entrypoint extra_hosts "
    "force_pull group_add healthchecks hostname image_pull_timeout init interactive isolation jar_path jvm_options "
    "labels memory_hard_limit network_mode pids_limit port_map ports readonly_rootfs shm_size storage_opt tty "
    "work_dir"
).union(OWN_SPACES)
"""Options of Docker, `exec` and `java` that concern the container alone, or that other rules check."""

_CHECKED_DRIVERS = frozenset({"docker", "exec", "java"})
_NODE_DRIVERS = frozenset({"raw_exec", "qemu"})
"""Drivers that run a task on its node, in no container. QEMU opens every file of the node that its arguments name."""

_CAPABILITIES = _words(
    "AUDIT_WRITE CHOWN DAC_OVERRIDE FOWNER FSETID KILL MKNOD NET_BIND_SERVICE SETFCAP SETGID SETPCAP SETUID SYS_CHROOT"
)
"""Those that Nomad gives to containers without being asked."""

_SECURITY = frozenset({"no-new-privileges", "no-new-privileges:true", "no-new-privileges=true"})
_SYSCTL = re.compile(
    r"kernel\.(shm\w+|msg\w+|sem)|fs\.mqueue\.\w+|net\.core\.somaxconn|net\.unix\.max_dgram_qlen|"
    r"net\.ipv4\.(tcp_\w+|ip_local_port_range|ip_local_reserved_ports|ip_unprivileged_port_start)"
)
"""Settings of the kernel that a container has for itself, and that say nothing of addresses, routes or forwarding."""

_ULIMITS = _words("as core cpu data fsize locks memlock nofile nproc rss stack")
"""Limits that change no priority among the programs of the node."""

_LOGS = frozenset({"", "json-file", "local", "none"})
"""Where the engine keeps output by itself; with others it connects to whatever the job names, from the node."""

_LOG_KEYS = frozenset({"type", "driver", "config"})
_RUNTIMES = frozenset({"runc"})
_MOUNT_KEYS = _words("type target readonly tmpfs_options")
_NOTHING: tuple[Any, ...] = (None, "", False, "false", [], {})

REMEDY = 'only jobs of templates with network = "host" or host_volumes may, which admins alone make environments of'

DECLARED = f'or write network = "host" in [template] of {TEMPLATE_FILE}: then only admins make environments'

CSI_PLUGIN = "to which Nomad gives the devices of its node"
"""What a task gets with a block `csi_plugin`: the node's /dev, writable."""


def option_problems(driver: str, config: Mapping[str, Any], where: str) -> Iterator[str]:
    """What a task or a sidecar of a parsed job asks for that reaches beyond its container.

    Options of drivers that aren't part of Nomad aren't known here.
    """
    if driver in _NODE_DRIVERS:
        yield f"{where} runs on its node, in no container (driver {driver!r}); {REMEDY}"
    if driver not in _CHECKED_DRIVERS:
        return
    for name, value in sorted(config.items()):
        if name in _OWN or value in _NOTHING:
            continue
        refused = _CHECKS[name](value) if name in _CHECKS else [""]
        for said in refused:
            yield f"{where} asks for {_written(name, said)}; {REMEDY}"


def option_faults(source: Source) -> Iterator[Fault]:
    """The same in a job file, where it says so in plain words."""
    for block, around in source.tree.walk():
        if block.kind == "config" and around is not None and around.kind in ("task", "sidecar_task"):
            driver = around.body.attribute("driver")
            if (driver.text if driver is not None else "docker") in _CHECKED_DRIVERS:
                for at, name, said in _asked(block):
                    yield source.fault(
                        at,
                        f"a task can't have {_written(name, said)}: it reaches its node",
                        f"leave it out, {DECLARED}",
                    )
        elif block.kind == "csi_plugin":
            message = f"a task can't have a csi_plugin, {CSI_PLUGIN}"
            yield source.fault(block.at, message, f"leave it out, {DECLARED}")
        elif block.kind == "task":
            driver = block.body.attribute("driver")
            if driver is not None and driver.text in _NODE_DRIVERS:
                message = f"the driver {driver.text!r} runs tasks on the node, in no container"
                yield source.fault(driver.at, message, f'write driver = "docker", {DECLARED}')


def _asked(config: Block) -> Iterator[tuple[int, str, str]]:
    """Position, option and value of what is refused, as far as the file has it without expressions."""
    for attribute in config.body.attributes:
        if attribute.name in _OWN or attribute.text == "" or attribute.word in ("false", "null"):
            continue
        plain: Any = attribute.text
        if plain is None and attribute.tokens and attribute.tokens[0].text == "[":
            codes = {Kind.CODE, Kind.WORD}
            if not any(token.kind in codes for token in attribute.tokens):
                plain = [token.text for token in attribute.tokens if token.kind is Kind.TEXT]
        for said in _said(attribute.name, plain):
            yield attribute.at, attribute.name, said
    for inner in config.body.blocks:
        name = inner.labels[0] if inner.kind == "dynamic" and inner.labels else inner.kind
        if name in _OWN:
            continue
        texts = {found.name: found.word if found.text is None else found.text for found in inner.body.attributes}
        plain = texts if inner.kind == name and all(text is not None for text in texts.values()) else None
        for said in _said(name, plain):
            yield inner.at, name, said


def _said(name: str, plain: Any) -> Collection[str]:
    if name not in _CHECKS:
        return [""] if name in _REFUSED else []  # others don't exist, which is another fault
    return [] if plain is None else list(_CHECKS[name](plain))


def _written(name: str, said: str) -> str:
    return f"{name} {said[:80]!r}" if said else name


def _texts(value: Any) -> list[str]:
    return [str(item) for item in (value if isinstance(value, list) else [value])]


def _tables(value: Any) -> Iterator[Mapping[str, Any]]:
    """Blocks and lists of objects: Nomad's parser gives either; anything else is a table with one strange entry."""
    for item in value if isinstance(value, list) else [value]:
        yield item if isinstance(item, Mapping) else {"": item}


def _among(allowed: Collection[str]) -> Callable[[Any], Iterator[str]]:
    def check(value: Any) -> Iterator[str]:
        return (text for text in _texts(value) if text not in allowed)

    return check


def _capabilities(value: Any) -> Iterator[str]:
    return (text for text in _texts(value) if text.upper().removeprefix("CAP_") not in _CAPABILITIES)


def _named(allowed: Callable[[str], Any]) -> Callable[[Any], Iterator[str]]:
    def check(value: Any) -> Iterator[str]:
        return (str(name) for table in _tables(value) for name in table if not allowed(str(name)))

    return check


def _logs(value: Any) -> Iterator[str]:
    for table in _tables(value):
        yield from (str(name) for name in table if name not in _LOG_KEYS)
        for name in ("type", "driver"):
            if (kind := str(table.get(name) or "")) not in _LOGS:
                yield kind


def _priority(value: Any) -> Iterator[str]:
    if not re.fullmatch(r"\d+", str(value)):
        yield str(value)


def _mounts(value: Any) -> Iterator[str]:
    for table in _tables(value):
        if (kind := table.get("type")) != "tmpfs":
            # A volume of Docker belongs to no environment, and its driver's options may name a folder of the node. What
            # is bound is looked up on the node when the task starts: also by a link that the task has put there before.
            yield str(kind or "volume")
        else:
            yield from sorted(str(name) for name in table if name not in _MOUNT_KEYS)


_REFUSED = _words("privileged devices load volumes volume_driver network_aliases ipv4_address ipv6_address mac_address")
"""Options that have no value that concerns the container alone."""

_CHECKS: Mapping[str, Callable[[Any], Iterator[str]]] = {
    "cap_add": _capabilities,
    "logging": _logs,
    "mount": _mounts,
    "mounts": _mounts,
    "oom_score_adj": _priority,
    "runtime": _among(_RUNTIMES),
    "security_opt": _among(_SECURITY),
    "sysctl": _named(_SYSCTL.fullmatch),
    "ulimit": _named(_ULIMITS.__contains__),
}
"""Options of which some values concern the container alone: what of a value doesn't."""
