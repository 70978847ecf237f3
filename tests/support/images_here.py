"""The images that `doit build` made on this machine, named by their content: for tests that run containers."""

from environments.client import Client
from environments.wire.images import PublishImageRequest
from images.catalogue.channels import Catalogue


def reference(name: str) -> str:
    """The id of the validated image of that name. Raises `ImageNotBuilt`."""
    return Catalogue().deployable(name).reference


class ByName(dict[str, str]):
    """What expressions of templates see as `images`; looked up when they do."""

    def __missing__(self, name: str) -> str:
        return reference(name)


def publish(client: Client, *names: str) -> None:
    """Tells a service of the validated images of these names, as `doit deploy` does."""
    for name in names:
        image = Catalogue().deployable(name)
        request = PublishImageRequest(
            reference=image.reference, channel=image.channel, key=image.key, build=image.build
        )
        client.publish_image(name, request)
