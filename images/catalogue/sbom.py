"""The content of an image as a CycloneDX 1.6 document: https://cyclonedx.org/docs/1.6/json/."""

import uuid
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final

from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.tool import ToolRepository
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from images.catalogue.packages import Package

_SPACE: Final = uuid.UUID("6c8a2f0e-9d3b-5f41-8b57-2f1f5f0f7a10")
"""The name space of our serial numbers (RFC 9562, section 5.5)."""

SOURCE = "calvinverse:deb:source"
"""Property of a Debian package: its source package and version."""


def cyclonedx(
    image: str,
    reference: str,
    digest: str,
    packages: Iterable[Package],
    made_at: datetime,
    tools: Mapping[str, str],
) -> str:
    """The document as JSON; the same arguments give the same bytes.

    `image` is the name without a tag (`calvinverse/web`), `reference` the one with it, `digest` is `sha256:<hex>`,
    `tools` has versions by name.
    """
    tag = reference.removeprefix(f"{image}:")
    container = Component(
        type=ComponentType.CONTAINER,
        bom_ref=reference,
        name=image,
        version=tag,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest.removeprefix("sha256:"))],
        purl=PackageURL("oci", name=image.rpartition("/")[2], version=digest, qualifiers={"tag": tag}),
    )
    used = [
        Component(type=ComponentType.APPLICATION, bom_ref=f"tool:{name}", name=name, version=version)
        for name, version in tools.items()
    ]
    bom = Bom(
        serial_number=uuid.uuid5(_SPACE, f"{reference} {digest} {made_at.isoformat()}"),
        metadata=BomMetaData(timestamp=made_at, component=container, tools=ToolRepository(components=used)),
        components=[_component(package) for package in set(packages)],
    )
    bom.register_dependency(container, bom.components)
    return JsonV1Dot6(bom).output_as_string(indent=2) + "\n"


def purl(package: Package) -> str:
    """The package URL: https://github.com/package-url/purl-spec."""
    return _purl(package).to_string()


def _purl(package: Package) -> PackageURL:
    if package.kind == "pypi":
        return PackageURL("pypi", name=package.name, version=package.version)
    arch = {"arch": package.architecture} if package.architecture else {}
    return PackageURL("deb", namespace="debian", name=package.name, version=package.version, qualifiers=arch)


def _component(package: Package) -> Component:
    name = _purl(package)
    return Component(
        type=ComponentType.LIBRARY,
        bom_ref=name.to_string(),
        name=package.name,
        version=package.version,
        purl=name,
        properties=[Property(name=SOURCE, value=package.source)] if package.source else [],
    )
