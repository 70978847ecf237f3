"""Which images a prune leaves because Calvinverse runs from them."""

from types import SimpleNamespace
from typing import Any, cast

from environments.client import Client
from environments.domain.errors import UnknownEnvironment
from images.cli.commands import _of_meta
from jobs.meta_template import meta_bundle


class Service:
    """A service that knows the meta environment with these parameters; None: it doesn't know it."""

    def __init__(self, parameters: dict[str, Any] | None) -> None:
        self._parameters = parameters

    def environment(self, name: str) -> object:
        if name != "meta" or self._parameters is None:
            raise UnknownEnvironment(f"There is no environment {name}.")
        return SimpleNamespace(parameters=self._parameters)


def of_meta(parameters: dict[str, Any] | None) -> list[str]:
    return _of_meta(cast("Client", Service(parameters)))


def test_the_images_of_the_meta_environment_are_in_use() -> None:
    names = {name for name in meta_bundle(edge=True).template().parameters if "image" in name}
    assert {"image", "postgres_image", "infra_image", "edge_image", "ui_image"} <= names
    given: dict[str, Any] = {name: f"sha256:{name}" for name in names}
    assert of_meta({**given, "port": 8400, "deployer": "ada"}) == list(given.values())
    assert of_meta({"image": "sha256:a", "postgres_image": ""}) == ["sha256:a"]


def test_without_a_meta_environment_there_are_none() -> None:
    assert of_meta(None) == []
