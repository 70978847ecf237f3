"""The blocks and arguments of a job file: those of Nomad 1.10 (its `api` structs and `jobspec2`).

A kind of block is written as a list of arguments, each `name:type`, and a list of blocks, each `name`, or `name=kind`
if the kind has another name. Types: `s` text, `n` number, `b` boolean, `d` duration, `l` list, `a` anything.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

FREE = "free"
"""Kind of the blocks that accept any argument, such as `meta`."""


@dataclass(frozen=True)
class Kind:
    """A kind of block: name → type of its arguments, name → kind of its blocks, and its number of labels."""

    arguments: Mapping[str, str]
    blocks: Mapping[str, str] = field(default_factory=dict)
    labels: int = 0


def _kind(arguments: str, blocks: str = "", labels: int = 0) -> Kind:
    pairs = (word.partition("=") for word in blocks.split())
    return Kind(
        dict(word.split(":") for word in arguments.split()), {name: kind or name for name, _, kind in pairs}, labels
    )


_CONSTRAINT = (
    "attribute:s value:s operator:s distinct_property:s distinct_hosts:b regexp:s version:s semver:s set_contains:s "
    "set_contains_all:s set_contains_any:s is_set:s is_not_set:s"
)
_UPDATE = "max_parallel:n health_check:s min_healthy_time:d healthy_deadline:d"

KINDS: dict[str, Kind] = {
    "file": _kind("", "job variable locals variables"),
    "variable": _kind("type:a default:a description:s", "validation", 1),
    "validation": _kind("condition:a error_message:s"),
    "locals": _kind(""),
    "variables": _kind(""),
    "job": _kind(
        "region:s namespace:s id:s name:s type:s priority:n all_at_once:b datacenters:l node_pool:s meta:a",
        "constraint affinity group update multiregion spread periodic parameterized reschedule migrate meta=free ui "
        "task vault",
        1,
    ),
    "constraint": _kind(_CONSTRAINT),
    "affinity": _kind(
        "attribute:s value:s operator:s weight:n regexp:s version:s semver:s set_contains:s set_contains_all:s "
        "set_contains_any:s"
    ),
    "group": _kind(
        "count:n shutdown_delay:d stop_after_client_disconnect:d max_client_disconnect:d prevent_reschedule_on_lost:b "
        "meta:a",
        "constraint affinity task spread volume restart disconnect reschedule ephemeral_disk update migrate network "
        "meta=free service scaling consul vault",
        1,
    ),
    "task": _kind(
        "driver:s user:s kill_timeout:d leader:b shutdown_delay:d kill_signal:s kind:s env:a meta:a",
        "lifecycle config=free constraint affinity env=free service resources restart meta=free logs artifact vault "
        "consul template dispatch_payload volume_mount csi_plugin scaling=task_scaling identity action schedule",
        1,
    ),
    "lifecycle": _kind("hook:s sidecar:b"),
    "service": _kind(
        "name:s tags:l canary_tags:l enable_tag_override:b port:s address_mode:s address:s task:s on_update:s "
        "provider:s cluster:s kind:s",
        "check check_restart connect meta=free canary_meta=free tagged_addresses=free identity weights",
    ),
    "check": _kind(
        "name:s type:s command:s args:l path:s protocol:s port:s expose:b address_mode:s advertise:s interval:d "
        "timeout:d initial_status:s notes:s tls_server_name:s tls_skip_verify:b method:s grpc_service:s grpc_use_tls:b "
        "task:s success_before_passing:n failures_before_critical:n failures_before_warning:n body:s on_update:s",
        "header=free check_restart",
    ),
    "check_restart": _kind("limit:n grace:d ignore_warnings:b"),
    "connect": _kind("native:b", "gateway sidecar_service sidecar_task"),
    "gateway": _kind("", "proxy=gateway_proxy ingress terminating mesh=free"),
    "gateway_proxy": _kind(
        "connect_timeout:d envoy_gateway_bind_tagged_addresses:b envoy_gateway_no_default_bind:b "
        "envoy_dns_discovery_type:s",
        "envoy_gateway_bind_addresses=bind_address config=free",
    ),
    "bind_address": _kind("address:s port:n", "", 1),
    "ingress": _kind("", "tls=gateway_tls listener"),
    "gateway_tls": _kind("enabled:b tls_min_version:s tls_max_version:s cipher_suites:l", "sds"),
    "sds": _kind("cluster_name:s cert_resource:s"),
    "listener": _kind("port:n protocol:s", "service=ingress_service"),
    "ingress_service": _kind(
        "name:s hosts:l max_connections:n max_pending_requests:n max_concurrent_requests:n",
        "tls=gateway_tls request_headers=header_changes response_headers=header_changes",
    ),
    "header_changes": _kind("remove:l", "add=free set=free"),
    "terminating": _kind("", "service=linked_service"),
    "linked_service": _kind("name:s ca_file:s cert_file:s key_file:s sni:s"),
    "sidecar_service": _kind("tags:l port:s disable_default_tcp_check:b", "proxy meta=free"),
    "proxy": _kind("local_service_address:s local_service_port:n", "expose upstreams transparent_proxy config=free"),
    "expose": _kind("", "path"),
    "path": _kind("path:s protocol:s local_path_port:n listener_port:s"),
    "upstreams": _kind(
        "destination_name:s destination_namespace:s destination_peer:s destination_partition:s destination_type:s "
        "local_bind_port:n datacenter:s local_bind_address:s local_bind_socket_path:s local_bind_socket_mode:s",
        "mesh_gateway config=free",
    ),
    "mesh_gateway": _kind("mode:s"),
    "transparent_proxy": _kind(
        "uid:s outbound_port:n exclude_inbound_ports:l exclude_outbound_ports:l exclude_outbound_cidrs:l "
        "exclude_uids:l no_dns:b"
    ),
    "sidecar_task": _kind(
        "name:s driver:s user:s kill_timeout:d shutdown_delay:d kill_signal:s",
        "config=free env=free resources meta=free logs volume_mount",
    ),
    "resources": _kind("cpu:n cores:n memory:n memory_max:n disk:n secrets:n iops:n", "network device numa"),
    "network": _kind("mode:s device:s cidr:s ip:s hostname:s mbits:n", "dns reserved_ports=port port cni"),
    "dns": _kind("servers:l searches:l options:l"),
    "port": _kind("static:n to:n host_network:s ignore_collision:b", "", 1),
    "cni": _kind("args:a"),
    "device": _kind("count:n", "constraint affinity", 1),
    "numa": _kind("affinity:s devices:l"),
    "logs": _kind("max_files:n max_file_size:n enabled:b disabled:b"),
    "volume_mount": _kind("volume:s destination:s read_only:b propagation_mode:s selinux_label:s"),
    "identity": _kind("name:s aud:l change_mode:s change_signal:s env:b file:b filepath:s service_name:s ttl:d"),
    "weights": _kind("passing:n warning:n"),
    "restart": _kind("interval:d attempts:n delay:d mode:s render_templates:b"),
    "artifact": _kind("source:s mode:s insecure:b destination:s chown:b", "options=free headers=free"),
    "vault": _kind(
        "policies:l role:s namespace:s cluster:s env:b disable_file:b change_mode:s change_signal:s "
        "allow_token_expiration:b"
    ),
    "consul": _kind("namespace:s cluster:s partition:s"),
    "template": _kind(
        "source:s destination:s data:s change_mode:s change_signal:s once:b splay:d perms:s uid:n gid:n "
        "left_delimiter:s right_delimiter:s env:b vault_grace:d error_on_missing_key:b",
        "change_script wait",
    ),
    "change_script": _kind("command:s args:l timeout:d fail_on_error:b"),
    "wait": _kind("min:d max:d"),
    "dispatch_payload": _kind("file:s"),
    "csi_plugin": _kind("id:s type:s mount_dir:s stage_publish_base_dir:s health_timeout:d"),
    "scaling": _kind("min:n max:n enabled:b type:s", "policy=free"),
    "task_scaling": _kind("min:n max:n enabled:b type:s", "policy=free", 1),
    "action": _kind("command:s args:l", "", 1),
    "schedule": _kind("", "cron"),
    "cron": _kind("start:s end:s timezone:s"),
    "spread": _kind("attribute:s weight:n", "target"),
    "target": _kind("percent:n", "", 1),
    "volume": _kind(
        "type:s source:s read_only:b sticky:b access_mode:s attachment_mode:s per_alloc:b", "mount_options", 1
    ),
    "mount_options": _kind("fs_type:s mount_flags:l"),
    "disconnect": _kind("lost_after:d stop_on_client_after:d replace:b reconcile:s"),
    "reschedule": _kind("attempts:n interval:d delay:d delay_function:s max_delay:d unlimited:b"),
    "ephemeral_disk": _kind("sticky:b migrate:b size:n"),
    "update": _kind(f"{_UPDATE} stagger:d progress_deadline:d canary:n auto_revert:b auto_promote:b"),
    "migrate": _kind(_UPDATE),
    "multiregion": _kind("", "strategy region"),
    "strategy": _kind("max_parallel:n on_failure:s"),
    "region": _kind("count:n datacenters:l node_pool:s", "meta=free", 1),
    "periodic": _kind("enabled:b cron:s crons:l prohibit_overlap:b time_zone:s"),
    "parameterized": _kind("payload:s meta_required:l meta_optional:l"),
    "ui": _kind("description:s", "link"),
    "link": _kind("label:s url:s"),
}


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


CHOICES: dict[tuple[str, str], tuple[str, ...]] = {
    ("job", "type"): ("service", "batch", "system", "sysbatch"),
    ("lifecycle", "hook"): ("prestart", "poststart", "poststop"),
    ("restart", "mode"): ("fail", "delay"),
    ("update", "health_check"): ("checks", "task_states", "manual"),
    ("template", "change_mode"): ("noop", "restart", "signal", "script"),
    ("vault", "change_mode"): ("noop", "restart", "signal"),
    ("service", "provider"): ("consul", "nomad"),
    ("service", "address_mode"): ("auto", "alloc", "alloc_ipv6", "driver", "host"),
    ("check", "type"): ("http", "tcp", "script", "grpc"),
    ("check", "protocol"): ("http", "https"),
    ("reschedule", "delay_function"): ("constant", "exponential", "fibonacci"),
    ("parameterized", "payload"): ("optional", "required", "forbidden"),
    ("volume", "type"): ("host", "csi"),
}
"""The allowed values of arguments that accept only certain words."""

DRIVERS: dict[str, frozenset[str]] = {
    "docker": _words(
        "image advertise_ipv6_address args auth auth_soft_fail cap_add cap_drop cgroupns command cpuset_cpus "
        "cpu_hard_limit cpu_cfs_period container_exists_attempts devices dns_search_domains dns_options dns_servers "
        "entrypoint extra_hosts force_pull group_add healthchecks hostname init interactive ipc_mode ipv4_address "
        "ipv6_address isolation labels load logging mac_address memory_hard_limit mount mounts network_aliases "
        "network_mode oom_score_adj runtime pids_limit pid_mode ports port_map privileged image_pull_timeout "
        "readonly_rootfs security_opt shm_size storage_opt sysctl tty ulimit uts_mode userns_mode volumes "
        "volume_driver work_dir"
    ),
    "exec": _words("command args pid_mode ipc_mode cap_add cap_drop work_dir"),
    "raw_exec": _words("command args cgroup_v2_override cgroup_v1_override oom_score_adj work_dir denied_envvars"),
    "java": _words("class class_path jar_path jvm_options args pid_mode ipc_mode cap_add cap_drop work_dir"),
    "qemu": _words("image_path drive_interface accelerator graceful_shutdown guest_agent args port_map"),
}
"""The drivers that Nomad includes, and the arguments of their `config`."""

NEEDED: dict[str, str] = {"lifecycle": "hook", "action": "command", "scaling": "max"}
"""The argument that a block must have."""

REQUIRED: dict[str, str] = {"docker": "image", "exec": "command", "raw_exec": "command", "qemu": "image_path"}
"""The argument that a driver's `config` must have."""

PLUGINS = _words(
    "containerd-driver exec2 firecracker-task-driver iis jail-task-driver lxc mock_driver nspawn nomad-driver- "
    "virt podman pledge pot rkt singularity systemd-nspawn virt wasmtime"
)
"""Drivers that are available as plugins; there are others."""

FUNCTIONS = _words(
    "abs base64decode base64encode bcrypt can ceil chomp chunklist cidrhost cidrnetmask cidrsubnet cidrsubnets "
    "coalesce coalescelist compact concat contains convert csvdecode distinct element flatten floor format "
    "formatdate formatlist indent index join jsondecode jsonencode keys length log lookup lower max md5 merge min "
    "parseint pow range reverse replace regex_replace rsadecrypt setintersection setproduct setunion sha1 sha256 "
    "sha512 signum slice sort split strlen strrev substr timeadd title trim trimprefix trimspace trimsuffix try "
    "upper urlencode uuidv4 uuidv5 values yamldecode yamlencode zipmap abspath basename dirname file filebase64 "
    "fileexists fileset pathexpand"
)
"""The functions of expressions in a job file, including the `DISABLED` ones."""

DISABLED = _words("abspath basename dirname file filebase64 pathexpand")
"""Functions that Nomad's servers refuse to run."""
