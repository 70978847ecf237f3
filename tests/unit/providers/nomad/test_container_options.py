"""What a job may ask of its driver: what concerns its container alone, unless admins alone make environments of it."""

from typing import Any

import pytest

from environments.domain.errors import InvalidJob
from environments.providers.nomad.container_options import option_faults, option_problems
from environments.providers.nomad.rules import adopt
from environments.providers.nomad.schema import DRIVERS
from environments.steps.base import Owner
from environments.steps.hcl.faults import Source
from environments.steps.hcl.tree import parse

ALPHA = Owner("env-1", "alpha")


def job(driver: str = "docker", **config: Any) -> dict[str, Any]:
    task = {"Name": "web", "Driver": driver, "Config": {"image": "x", **config}}
    return {"ID": "web", "TaskGroups": [{"Name": "web", "Tasks": [task], "Networks": [{"Mode": "bridge"}]}]}


OWN: list[dict[str, Any]] = [
    {"privileged": False},
    {"privileged": "false"},
    {"cap_drop": ["all"], "cap_add": ["chown", "CAP_NET_BIND_SERVICE"]},
    {"sysctl": {"net.core.somaxconn": "16384", "net.ipv4.tcp_keepalive_time": "60"}},
    {"sysctl": [{"kernel.shmmax": "1"}]},
    {"ulimit": [{"nofile": "4096:8192", "memlock": "-1"}]},
    {"security_opt": ["no-new-privileges"]},
    {"logging": [{"type": "json-file", "config": [{"max-size": "1m"}]}]},
    {"logging": {"driver": "none"}},
    {"mount": [{"type": "tmpfs", "target": "/a", "readonly": True}]},
    {"mounts": [{"type": "tmpfs", "target": "/a", "tmpfs_options": [{"size": 1}]}]},
    {"runtime": "runc", "oom_score_adj": 500, "devices": [], "load": ""},
    {"extra_hosts": ["a:192.0.2.1"], "group_add": ["7"], "hostname": "a", "shm_size": 1, "pids_limit": 10},
]


@pytest.mark.parametrize("config", OWN, ids=str)
def test_what_concerns_the_container_alone_is_taken(config: dict[str, Any]) -> None:
    assert adopt(job(**config), "web", ALPHA)


REACHING: list[tuple[dict[str, Any], str]] = [
    ({"privileged": True}, "privileged"),
    ({"privileged": "true"}, "privileged"),
    ({"devices": [{"host_path": "/dev/sda"}]}, "devices"),
    ({"load": "image.tar"}, "load"),
    ({"volume_driver": "nfs"}, "volume_driver"),
    ({"network_aliases": ["database"]}, "network_aliases"),
    ({"ipv4_address": "172.17.0.9"}, "ipv4_address"),
    ({"mac_address": "02:42:ac:11:00:02"}, "mac_address"),
    ({"cap_add": ["sys_admin"]}, "cap_add 'sys_admin'"),
    ({"cap_add": ["chown", "ALL"]}, "cap_add 'ALL'"),
    ({"cap_add": ["net_raw"]}, "cap_add 'net_raw'"),
    ({"cap_add": ["${NOMAD_META_x}"]}, "cap_add '${NOMAD_META_x}'"),
    ({"security_opt": ["seccomp=unconfined"]}, "security_opt 'seccomp=unconfined'"),
    ({"security_opt": ["no-new-privileges", "apparmor=unconfined"]}, "security_opt 'apparmor=unconfined'"),
    ({"sysctl": {"net.ipv4.conf.eth0.proxy_arp_pvlan": "1"}}, "sysctl 'net.ipv4.conf.eth0.proxy_arp_pvlan'"),
    ({"sysctl": [{"net.ipv6.conf.all.disable_ipv6": "0"}]}, "sysctl 'net.ipv6.conf.all.disable_ipv6'"),
    ({"sysctl": {"net.ipv4.ip_forward": "1"}}, "sysctl 'net.ipv4.ip_forward'"),
    ({"sysctl": {"net/ipv4/ip_forward": "1"}}, "sysctl 'net/ipv4/ip_forward'"),
    ({"ulimit": [{"rtprio": "99:99"}]}, "ulimit 'rtprio'"),
    ({"ulimit": {"nofile": "1:1", "nice": "40:40"}}, "ulimit 'nice'"),
    ({"logging": [{"type": "syslog", "config": [{"syslog-address": "tcp://127.0.0.1:8400"}]}]}, "logging 'syslog'"),
    ({"logging": [{"type": "json-file", "driver": "gelf"}]}, "logging 'gelf'"),
    ({"mount": [{"source": "/", "target": "/a"}]}, "mount 'volume'"),
    ({"mount": [{"type": "volume", "source": "shared", "target": "/a"}]}, "mount 'volume'"),
    ({"mounts": [{"type": "bind", "source": "/etc", "target": "/a"}]}, "mounts 'bind'"),
    ({"mount": [{"type": "bind", "source": "local/a", "target": "/a"}]}, "mount 'bind'"),
    ({"mount": [{"type": "${NOMAD_META_x}", "target": "/a"}]}, "mount '${NOMAD_META_x}'"),
    ({"mount": [{"type": "tmpfs", "target": "/a", "volume_options": [{}]}]}, "mount 'volume_options'"),
    ({"volumes": ["/etc:/h"]}, "volumes"),
    ({"volumes": ["local/a:/h"]}, "volumes"),
    ({"runtime": "nvidia"}, "runtime 'nvidia'"),
    ({"oom_score_adj": -500}, "oom_score_adj '-500'"),
    ({"some_day": "x"}, "some_day"),
]


@pytest.mark.parametrize(("config", "said"), REACHING, ids=[said for _, said in REACHING])
def test_what_reaches_further_is_refused_unless_admins_alone_make_it(config: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidJob) as caught:
        adopt(job(**config), "web", ALPHA)
    assert f"task 'web' asks for {said}; only jobs of templates with" in caught.value.message
    assert adopt(job(**config), "web", ALPHA, volumes={"builds"})
    assert adopt(job(**config), "web", ALPHA, host_network=True)
    assert adopt(job(**config), "web", ALPHA, trusted=True)


def test_sidecars_and_other_drivers_are_asked_too() -> None:
    sidecar = job()
    connect = {"Connect": {"SidecarTask": {"Config": {"devices": [{"host_path": "/dev/kvm"}]}}}}
    sidecar["TaskGroups"][0]["Services"] = [{"Name": "alpha--web", **connect}]
    for asking, said in (
        (sidecar, "the sidecar of service 'alpha--web' asks for devices"),
        (job("exec", cap_add=["net_admin"]), "task 'web' asks for cap_add 'net_admin'"),
        (job("raw_exec"), "task 'web' runs on its node, in no container"),
        (job("qemu", args=["-drive", "file=/etc/shadow"]), "task 'web' runs on its node, in no container"),
    ):
        with pytest.raises(InvalidJob) as caught:
            adopt(asking, "web", ALPHA)
        assert said in caught.value.message


def test_no_task_becomes_a_plugin_that_gets_the_devices_of_its_node() -> None:
    asking = job()
    asking["TaskGroups"][0]["Tasks"][0]["CSIPluginConfig"] = {"ID": "disks", "Type": "node", "MountDir": "/csi"}
    with pytest.raises(InvalidJob, match="task 'web' has a csi_plugin, to which Nomad gives the devices of its node"):
        adopt(asking, "web", ALPHA)
    assert adopt(asking, "web", ALPHA, volumes={"builds"})
    text = FILE.replace("config {", 'csi_plugin {\nid = "disks"\n}\nconfig {') % ""
    (fault,) = option_faults(Source("app.hcl", parse(text)))
    assert (fault.line, "a task can't have a csi_plugin" in fault.message) == (5, True)


def test_no_system_job_has_jobs_of_others_ended_for_it() -> None:
    for priority in (None, 59):
        assert adopt({**job(), "Type": "system", "Priority": priority}, "web", ALPHA)
    assert adopt({**job(), "Type": "service", "Priority": 100}, "web", ALPHA), "Nomad ends nothing for these"
    asking = {**job(), "Type": "system", "Priority": 60}
    with pytest.raises(
        InvalidJob, match="it is a system job with the priority 60, for which Nomad ends jobs of others"
    ):
        adopt(asking, "web", ALPHA)
    assert adopt(asking, "web", ALPHA, host_network=True)


def test_every_option_of_docker_is_decided_on() -> None:
    """Which ones reach further whatever their value is; a new one is refused until somebody has decided."""
    strange = {"a": [{"strange": "strange"}]}
    refused = {name for name in DRIVERS["docker"] if list(option_problems("docker", {name: strange}, ""))}
    assert refused == {
        *("cap_add", "devices", "ipv4_address", "ipv6_address", "load", "logging", "mac_address", "mount", "mounts"),
        *("network_aliases", "oom_score_adj", "privileged", "runtime", "security_opt", "sysctl", "ulimit"),
        *("volume_driver", "volumes"),
    }


FILE = """job "app" {
  group "app" {
    task "app" {
      driver = "docker"
      config {
        %s
      }
    }
  }
}
"""


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('image = "x"', ""),
        ("privileged = false", ""),
        ("privileged = true", "privileged"),
        ("privileged = var.x", "privileged"),
        ('cap_add = ["chown"]', ""),
        ("cap_add = var.x", ""),
        ('cap_add = ["sys_admin"]', "cap_add 'sys_admin'"),
        ('runtime = "nvidia"', "runtime 'nvidia'"),
        ('volumes = ["/etc:/h"]', "volumes"),
        ('mount {\ntype = "bind"\nsource = "/etc"\ntarget = "/h"\nreadonly = true\n}', "mount 'bind'"),
        ('mount {\ntype = var.x\ntarget = "/h"\n}', ""),
        ('mount {\ntype = "tmpfs"\ntarget = "/h"\n}', ""),
        ('dynamic "devices" {\nfor_each = [1]\ncontent {}\n}', "devices"),
        ('ulimit {\nrtprio = "99"\n}', "ulimit 'rtprio'"),
        ("no_such_option = 1", ""),
    ],
)
def test_the_check_of_a_template_says_it_with_the_line(line: str, said: str) -> None:
    found = list(option_faults(Source("app.hcl", parse(FILE % line))))
    wanted = [(6, f"a task can't have {said}: it reaches its node")] if said else []
    assert [(fault.line, fault.message) for fault in found] == wanted
    assert all("only admins" in fault.suggestion for fault in found)
