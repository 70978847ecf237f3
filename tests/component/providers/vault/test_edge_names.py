"""Names of the edge, for which no environment gets a certificate."""

from pathlib import Path
from typing import Any

import pytest

from environments.domain.errors import InvalidTemplate
from environments.domain.names import META
from environments.domain.template import make_bundle
from environments.providers.vault.certificate import VaultCertificate
from environments.providers.vault.edge_names import NO_NAMES, EdgeNames, EdgeNamesJudge
from environments.settings import Settings
from environments.steps.base import Owner, StepContext
from tests.fakes.backends.vault import MemoryPki
from tests.support.step_harness import ALPHA, NOW, Run

EDGE = EdgeNames("calvinverse.example.org", "apps.example.net")

TEMPLATE = """[template]
name = "names"

[parameters.name]
type = "string"

[[steps]]
name = "certificate"
uses = "vault.certificate"

[steps.with]
names = [
    "web.example.org",
    "calvinverse.example.org",
    "{{ parameters.name }}",
]
"""


@pytest.mark.parametrize(
    "name",
    [
        "calvinverse.example.org",
        "Calvinverse.EXAMPLE.org",
        "calvinverse.example.org.",
        " calvinverse.example.org ",
        "web.example.org,calvinverse.example.org",
        "calvinver\u017fe.example.org",
        "*.example.org",
        "*",
        "c*v*.org",
        "calvinverse.*",
        "calvinverse.example.org*",
    ],
)
def test_the_services_own_name_is_refused_however_it_is_written(name: str) -> None:
    assert "the service's own address" in (EDGE.reason(name) or "")


@pytest.mark.parametrize(
    "name",
    ["apps.example.net", "demo.apps.example.net", "web--demo.apps.EXAMPLE.net", "*.net", "web--*", "*s.example.net"],
)
def test_names_of_entry_points_are_refused(name: str) -> None:
    assert "another environment" in (EDGE.reason(name) or "")


@pytest.mark.parametrize(
    "name",
    [
        "example.org",
        "www.example.org",
        "calvinverse.example.organic",
        "my.calvinverse.example.org",
        "calvinverse",
        "myapps.example.net",
        "*.service.consul",
        "c*.example.com",
        "calvinverse.example.orgcalvinverse.example.org",
        "calvinverse*calvinverse.example.org",
        "*c" * 5000,
        "",
    ],
)
def test_other_names_are_anybodys(name: str) -> None:
    assert EDGE.reason(name) is None


def test_without_an_edge_every_name_is_anybodys() -> None:
    assert NO_NAMES.reason("*") is None


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("https://Calvinverse.localhost:8443/", "calvinverse.localhost"),
        ("https://calvinverse.example.org", "calvinverse.example.org"),
        ("http://127.0.0.1:8400", ""),
        ("http://[::1]:8400", ""),
        ("", ""),
    ],
)
def test_the_service_reserves_what_it_is_told(tmp_path: Path, address: str, host: str) -> None:
    settings = Settings(state=tmp_path, external_address=address, entry_domain="apps.localhost")
    assert EdgeNames.of(settings) == EdgeNames(host, "apps.localhost")


def test_a_template_is_told_the_line_of_such_a_name() -> None:
    judge = EdgeNamesJudge(EDGE, VaultCertificate.kind)
    (fault,) = judge(make_bundle({"template.toml": TEMPLATE.encode()}), [], {})
    assert str(fault) == (
        "template.toml:14: step 'certificate': with.names[1]: 'calvinverse.example.org' matches "
        "calvinverse.example.org, the service's own address: a job could pass for the service; "
        "use a name that isn't the edge's; a step edge.entrypoint gives services names at the edge"
    )
    assert not fault.warning
    assert judge(make_bundle({"template.toml": b"no template"}), [], {}) == []
    assert judge(make_bundle({"template.toml": TEMPLATE.replace("vault.", "a.").encode()}), [], {}) == []


def context(owner: Owner, **options: Any) -> StepContext:
    read = VaultCertificate.options.model_validate(options)
    return StepContext(owner, "certificate", read, make_bundle({"template.toml": TEMPLATE.encode()}))


def test_a_role_never_gets_a_name_of_the_edge_that_came_from_a_value() -> None:
    pki = MemoryPki(NOW)
    step = VaultCertificate(pki, EDGE)
    wanted = context(ALPHA, names=["web.example.org", "calvinverse.example.org"])
    for act in (step.apply, step.plan):
        with pytest.raises(InvalidTemplate, match="No environment gets a certificate for this name") as refused:
            act(wanted, Run())
        assert refused.value.hint == (
            "Use a name that isn't the edge's; a step edge.entrypoint gives services names at the edge."
        )
    assert pki.role(ALPHA.name) is None
    assert step.apply(context(ALPHA, names=["web.example.org"]), Run())["common_name"] == "web.example.org"


def test_the_edge_itself_gets_its_name() -> None:
    pki = MemoryPki(NOW)
    VaultCertificate(pki, EDGE).apply(context(Owner("env-meta", META), names=[EDGE.host]), Run())
    assert EDGE.host in (pki.role(META) or {})["allowed_domains"]
