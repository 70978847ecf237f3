"""Facts about builds, for the tests of the catalogue of images."""

from datetime import UTC, datetime, timedelta

from images.catalogue.attestation import (
    BuildFacts,
)
from images.catalogue.packages import Package

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


DIGEST = "sha256:" + "ab" * 32


def deb(version: str, name: str = "a", architecture: str = "amd64") -> Package:
    return Package("deb", name, version, architecture)


FILES = {"packages.tsv": "1" * 64, "sbom.cdx.json": "2" * 64}


MADE = BuildFacts(
    image="web",
    name="calvinverse/web",
    reference="calvinverse/web:0123456789ab",
    image_id=DIGEST,
    build="20261101T120000-0123456789ab-0f0f",
    key="0123456789ab" + "0" * 52,
    version="0.1.0",
    started=NOON,
    finished=NOON + timedelta(seconds=30),
    commit="c" * 40,
    files=FILES,
    inputs={"images/web/image.toml": "3" * 64, "images/web/provision/install.sh": "4" * 64 + "+x"},
    tools={"packer": "1.12.0", "mmdebstrap": "mmdebstrap 1.3.5"},
    parent="calvinverse/base:ba9876543210",
    parent_id="sha256:" + "5" * 64,
)
