"""Template authors are trusted: only admins are, and even their jobs get no folder of a node that isn't declared."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from environments.domain.commands import CreateEnvironment, UpdateEnvironment
from environments.domain.errors import Forbidden, InvalidTemplate
from environments.domain.lifecycle import State
from environments.domain.template import Bundle, make_bundle
from environments.service.authorization import Principal
from tests.fakes.service import WEB, FakeService, make_service

EVE = Principal("eve", "user", "tok-eve")


@pytest.fixture
def service(tmp_path: Path) -> Iterator[FakeService]:
    service = make_service(tmp_path)
    yield service
    service.database.close()


def mounting(*volumes: str) -> Bundle:
    """The template `web`, with host volumes declared."""
    names = ", ".join(f'"{name}"' for name in volumes)
    return make_bundle({"template.toml": WEB.replace("[lifetime]", f"host_volumes = [{names}]\n[lifetime]").encode()})


def test_a_user_makes_environments_from_templates_but_pushes_none(service: FakeService) -> None:
    before = service.catalogue.template("web").digest
    with pytest.raises(Forbidden):
        service.catalogue.push(EVE, make_bundle({"template.toml": WEB.encode(), "x": b""}))
    assert service.catalogue.template("web").digest == before
    service.requests.create(EVE, CreateEnvironment(name="hers", template="web"))


def test_only_an_admin_makes_environments_whose_jobs_get_host_volumes(service: FakeService) -> None:
    request = CreateEnvironment(name="build", template="web")
    view = service.catalogue.push(service.admin, mounting("docker-socket", "builds"))
    assert view.template.host_volumes == ("docker-socket", "builds")
    with pytest.raises(Forbidden, match="docker-socket, builds"):
        service.requests.create(EVE, request)
    service.requests.create(service.admin, request)


def test_a_user_keeps_an_environment_from_before_but_gets_no_host_volume_by_an_update(service: FakeService) -> None:
    before = service.catalogue.template("web").digest
    service.requests.create(EVE, CreateEnvironment(name="hers", template="web"))
    service.move("hers", State.DEPLOYING, State.VALIDATING)
    service.finish("hers", State.READY)
    service.catalogue.push(service.admin, mounting("builds"))
    with pytest.raises(Forbidden, match="builds"):
        service.requests.update(EVE, "hers", UpdateEnvironment())
    service.requests.update(EVE, "hers", UpdateEnvironment(digest=before))


@pytest.mark.parametrize("volumes", [("calvinverse-data",), ("calvinverse-postgres",), ("a--b",), ("${x}",), ("/etc",)])
def test_a_template_declares_no_volume_that_is_nobodys_to_give(service: FakeService, volumes: tuple[str, ...]) -> None:
    with pytest.raises(InvalidTemplate, match="host volume"):
        service.catalogue.push(service.admin, mounting(*volumes))


NEIGHBOURLY = WEB.replace("[lifetime]", 'network = "host"\n[lifetime]')


def test_only_an_admin_makes_environments_whose_jobs_use_the_network_of_their_node(service: FakeService) -> None:
    request = CreateEnvironment(name="near", template="web")
    view = service.catalogue.push(service.admin, make_bundle({"template.toml": NEIGHBOURLY.encode()}))
    assert view.template.network == "host"
    with pytest.raises(Forbidden, match="its jobs get the network of their node"):
        service.requests.create(EVE, request)
    assert service.requests.create(service.admin, request).environment.network == "host"


def test_the_network_of_an_environment_is_that_of_its_version(service: FakeService) -> None:
    before = service.catalogue.template("web").digest
    service.requests.create(EVE, CreateEnvironment(name="hers", template="web"))
    service.move("hers", State.DEPLOYING, State.VALIDATING)
    service.finish("hers", State.READY)
    service.catalogue.push(service.admin, make_bundle({"template.toml": NEIGHBOURLY.encode()}))
    with pytest.raises(Forbidden, match="the network"):
        service.requests.update(EVE, "hers", UpdateEnvironment())
    assert service.requests.update(service.admin, "hers", UpdateEnvironment()).environment.network == "host"
    service.finish("hers", State.READY)
    updated = service.requests.update(EVE, "hers", UpdateEnvironment(digest=before))
    assert updated.environment.network == "bridge"


def test_a_template_declares_no_other_network(service: FakeService) -> None:
    text = NEIGHBOURLY.replace('"host"', '"cni/macvlan"')
    with pytest.raises(InvalidTemplate, match="network"):
        service.catalogue.push(service.admin, make_bundle({"template.toml": text.encode()}))
