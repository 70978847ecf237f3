"""A service that knows its edge refuses the edge's names, in templates and in steps."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from environments.bootstrap.service import SHIPPER, Service, build
from environments.domain.errors import InvalidTemplate
from environments.domain.template import make_bundle
from environments.providers.vault.certificate import VaultCertificate
from environments.providers.vault.provide import provide
from environments.settings import Settings
from environments.steps.base import StepContext
from tests.support.parts import memory_parts
from tests.support.step_harness import ALPHA, Run

ADDRESS = "https://calvinverse.example.org:8443"
TEMPLATE = """[template]
name = "names"

[[steps]]
name = "certificate"
uses = "vault.certificate"
with = {{ names = ["{name}"] }}
"""


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    service = build(Settings(state=tmp_path, external_address=ADDRESS, entry_domain="apps.example.net"))
    service.checks.start()
    try:
        yield service
    finally:
        service.checks.stop()
        service.database.close()


@pytest.mark.parametrize("name", ["calvinverse.example.org", "web--other.apps.example.net"])
def test_a_template_with_a_name_of_the_edge_is_not_pushed(service: Service, name: str) -> None:
    bundle = make_bundle({"template.toml": TEMPLATE.format(name=name).encode()})
    with pytest.raises(InvalidTemplate, match=f"{name}' matches .* use a name that isn't the edge's"):
        service.catalogue.push(SHIPPER, bundle)


def test_a_template_with_a_name_of_its_own_is_pushed(service: Service) -> None:
    bundle = make_bundle({"template.toml": TEMPLATE.format(name="www.example.org").encode()})
    assert service.catalogue.push(SHIPPER, bundle).template.name == "names"


def test_a_step_of_the_service_refuses_a_name_of_the_edge(tmp_path: Path) -> None:
    settings = Settings(state=tmp_path, external_address=ADDRESS)
    parts = replace(memory_parts(), settings=settings)
    (step,) = (executor for executor in provide(parts).executors if executor.kind == VaultCertificate.kind)
    options = step.options.model_validate({"names": ["calvinverse.example.org"]})
    context = StepContext(ALPHA, "certificate", options, make_bundle({"template.toml": b""}))
    with pytest.raises(InvalidTemplate, match="the service's own address"):
        step.apply(context, Run())
