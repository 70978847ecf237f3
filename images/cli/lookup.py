"""Which builds the commands are about, looked up in the catalogue; its modules are loaded when they are needed."""

from typing import TYPE_CHECKING

from environments.cli.extensions import IMAGES

if TYPE_CHECKING:
    from images.catalogue.channels import Catalogue
    from images.catalogue.records import BuildRecord


def open_catalogue() -> "Catalogue":
    """The catalogue. Raises MachineError if this machine lacks something for building images."""
    from environments.domain.errors import MachineError

    try:
        from images.catalogue.channels import Catalogue
    except ImportError as error:
        raise MachineError(IMAGES.missing, hint=IMAGES.hint) from error
    return Catalogue()


def newest(catalogue: "Catalogue", name: str) -> str:
    """The build to use when none is named: the newest validated one, else the newest."""
    from images.catalogue.journal import Channel

    found = catalogue.at(name, Channel.QA)
    if found is not None:
        return found.build
    return next((record.build for record in catalogue.records(name).all()), "~0")


def standing(catalogue: "Catalogue", name: str) -> dict[str, "BuildRecord | None"]:
    """The build of the image in each channel."""
    from images.catalogue.journal import Channel

    return {channel.value: catalogue.at(name, channel) for channel in Channel}
