"""The files for a cluster that deploy doesn't start: they fit the jobs and the page that uses them."""

import json
import re

import pytest

from environments.domain.names import SERVICE_VOLUMES
from environments.providers.consul.access import policy_rules
from environments.providers.local_cluster.trust import names
from environments.steps.hcl.tree import parse
from images.places import CHECKOUT
from tests.support.page_commands import blocks

FOLDER = CHECKOUT / "jobs" / "existing_cluster"
PAGE = "how-to/deploy-with-nomad.md"
FROM_THE_SCRIPT = {"deployer", "deployer_token"}
"""What `secrets.sh` writes into a file of its own."""


def declared(job: str) -> dict[str, bool]:
    """Variables of a job, and whether each has a default."""
    text = (CHECKOUT / "jobs" / "meta" / f"{job}.nomad.hcl").read_text(encoding="utf-8")
    return {block.labels[0]: block.body.attribute("default") is not None for block in parse(text).body.of("variable")}


@pytest.mark.parametrize("job", ["postgres", "provisioning", "ui", "edge"])
def test_every_variable_without_a_default_has_a_value_and_no_other_is_given(job: str) -> None:
    given = {found.name for found in parse((FOLDER / f"{job}.vars.hcl").read_text("utf-8")).body.attributes}
    if job == "provisioning":
        given |= FROM_THE_SCRIPT
    variables = declared(job)
    assert sorted(given - set(variables)) == []
    assert sorted(name for name, has_default in variables.items() if not has_default and name not in given) == []


def test_the_jobs_of_the_meta_environment_have_the_rights_that_those_of_all_environments_have() -> None:
    rules = json.loads((FOLDER / "consul-meta.json").read_text(encoding="utf-8"))
    assert rules == policy_rules(names.MANAGER_NAMESPACE)


def test_the_agents_get_what_the_step_trust_looks_for() -> None:
    body = parse((FOLDER / "nomad-agent.hcl").read_text(encoding="utf-8")).body
    (client,), (vault,), (consul,) = (body.of(kind) for kind in ("client", "vault", "consul"))
    assert {block.labels[0] for block in client.body.of("host_volume")} == SERVICE_VOLUMES
    for name, value in {
        "jwt_auth_backend_path": names.OPENBAO_LOGIN,
        "create_from_role": names.OPENBAO_WORKLOADS,
    }.items():
        attribute = vault.body.attribute(name)
        assert attribute is not None
        assert attribute.text == value
    assert [block.kind for block in consul.body.blocks] == ["service_identity", "task_identity"]


def test_the_page_uses_every_file_and_no_other() -> None:
    page = (CHECKOUT / "docs" / PAGE).read_text(encoding="utf-8")
    used = set(re.findall(r"[\w-]+\.(?:sh|json|hcl)\b", page.replace(".nomad.hcl", "").replace(".vars.hcl", ".vars")))
    scripts = {path.name for path in FOLDER.iterdir() if ".vars." not in path.name}
    assert sorted(scripts - used) == []
    for command in (line for found in blocks(PAGE).values() for block in found for line in block.splitlines()):
        for name in re.findall(r"\$files/([\w.-]+)", command):
            assert (FOLDER / name).is_file(), command
