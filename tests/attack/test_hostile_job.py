"""A job that tries everything with what Nomad gave it: its own places open, everything else shut."""

import base64
import json
from typing import Any

import pytest

from tests.support.attack_harness import CASES, Person, Target, bundle, until


@pytest.fixture(scope="module")
def report(target: Target) -> Any:
    """What the job says of itself, beside an environment of alice. In the network of the node it reaches every part."""
    target.alice.made("hostile-victim", "attack-notes")
    addresses = {part: str(client.base_url).rstrip("/") for part, client in target.parts.items()}
    try:
        parameters = {"victim": "hostile-victim", "addresses": {**addresses, "service": target.address}}
        target.admin.made("hostile", "attack-hostile", parameters)

        def lines() -> list[str]:
            said = target.output("hostile", "app").splitlines()
            return [line for line in said if line.startswith("REPORT ") and line.endswith("}")]

        (line,) = until(lines, "the job reports nothing", 30)  # Nomad has its output a moment after its end
        yield json.loads(line.removeprefix("REPORT "))
    finally:
        print(target.output("hostile", "app"))
        target.admin.destroy("hostile")
        target.alice.destroy("hostile-victim")


def test_its_own_places_are_open(report: Any) -> None:
    assert {what: status for what, (status, _) in report["own"].items() if status != 200} == {}


def test_everything_else_is_shut(report: Any) -> None:
    refused = (400, 401, 403, 404)
    # A list may also be answered without what the asker mayn't see.
    open_ones = {
        what: (status, said)
        for what, (status, said) in report["shut"].items()
        if status not in refused and said.strip() not in ("[]", "null")
    }
    assert open_ones == {}
    assert len(report["shut"]) > 20


def test_no_token_of_the_service_is_in_its_environment(report: Any) -> None:
    assert report["tokens"] == []
    assert "VAULT_TOKEN" in report["names"]
    assert not [name for name in report["names"] if name.startswith("CALVINVERSE")]


@pytest.mark.parametrize(
    "way",
    [
        "privileged = true",
        'pid_mode = "host"',
        'volumes = ["/etc:/h"]',
        'cap_add = ["sys_admin"]',
        'network_mode = "host"',
        'network_mode = "container:${NOMAD_ALLOC_ID}"',
        'devices = [{ host_path = "/dev/kmsg" }]',
        'security_opt = ["seccomp=unconfined"]',
        'sysctl = { "net.ipv4.conf.eth0.proxy_arp" = "1" }',
        'mount {\ntype = "volume"\nsource = "everybody"\ntarget = "/h"\n}',
        'logging {\ntype = "syslog"\nconfig {\nsyslog-address = "tcp://127.0.0.1:8400"\n}\n}',
        'ulimit {\nrtprio = "99"\n}',
    ],
)
def test_a_job_gets_no_way_out_of_its_container(target: Target, admin: Person, mallory: Person, way: str) -> None:
    """An admin's template may ask; the service or the node refuses."""
    files = bundle(CASES / "echo", {'name = "attack-echo"': 'name = "attack-out"'})
    text = base64.b64decode(files["app.nomad.hcl"]).decode()
    files["app.nomad.hcl"] = base64.b64encode(
        text.replace("force_pull = false", f"force_pull = false\n        {way}").encode()
    ).decode()
    answer = admin.http.post("/v1/templates", json={"files": files})
    if answer.status_code == 422:
        return
    name = "out-of-it"
    try:
        view = mallory.create(name, "attack-out")
        assert view["state"] == "failed", view
    finally:
        mallory.destroy(name)
