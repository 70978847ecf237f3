"""Promotion, its undo, pruning, pushing and verifying, on images that were really built and validated."""

import base64
import json
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from images.catalogue import attesting
from images.catalogue.attesting import sign, verify_build
from images.catalogue.journal import Channel, JournalEvent
from images.catalogue.promotion import promote, undo
from images.catalogue.prune import prune
from images.catalogue.push import push
from images.catalogue.records import PACKAGES, PROVENANCE, RECORD, SBOM, SUMS, BuildRecord
from images.catalogue.transit import Found
from images.errors import (
    ImageMismatch,
    ImageNotBuilt,
    ImageTampered,
    ImageUnsigned,
    ImageValidationFailed,
    NotPromoted,
    UnknownBuild,
)
from images.pipeline.builder import Builder
from images.toolchain import require
from tests.fakes.signer import MemorySigner
from tests.support.image_checkout import Checkout, docker, id_of
from tests.support.service_process import free_port


@pytest.fixture
def checkout(image_checkout: Checkout) -> Checkout:
    return image_checkout


def rebuilt(checkout: Checkout, mark: str) -> BuildRecord:
    """Another build of the first image."""
    checkout.provision(checkout.first, f"echo served > /opt/purpose; true {mark}")
    (record,) = checkout.build(checkout.first)
    return record


def production(checkout: Checkout) -> str | None:
    return id_of(f"calvinverse/{checkout.first}:production")


def test_promotion_moves_the_tag_is_recorded_and_can_be_undone(checkout: Checkout) -> None:
    (one,) = checkout.build(checkout.first)
    assert promote(checkout.catalogue, checkout.first) == one
    assert production(checkout) == one.image_id
    two = rebuilt(checkout, "two")
    assert production(checkout) == one.image_id  # production moves when it is told to
    assert promote(checkout.catalogue, checkout.first) == two
    assert promote(checkout.catalogue, checkout.first) == two  # again changes nothing

    assert undo(checkout.catalogue, checkout.first) == (two, one)
    assert production(checkout) == one.image_id
    assert checkout.catalogue.at(checkout.first, Channel.PRODUCTION) == one
    assert undo(checkout.catalogue, checkout.first) == (one, None)
    assert production(checkout) is None
    with pytest.raises(NotPromoted):
        undo(checkout.catalogue, checkout.first)
    happened = [
        (entry.what.value, entry.build)
        for entry in checkout.catalogue.journal(checkout.first).entries()
        if entry.channel is Channel.PRODUCTION
    ]
    assert happened == [("moved", one.build), ("moved", two.build), ("undone", two.build), ("undone", one.build)]
    assert all(entry.by for entry in checkout.catalogue.journal(checkout.first).entries())


def test_an_older_build_can_be_promoted_by_its_key(checkout: Checkout) -> None:
    (one,) = checkout.build(checkout.first)
    rebuilt(checkout, "two")
    assert promote(checkout.catalogue, checkout.first, one.key[:12]) == one
    assert checkout.catalogue.deployable(checkout.first, Channel.PRODUCTION).reference == one.image_id


def test_only_what_was_validated_is_promoted_deployed_or_pushed(checkout: Checkout) -> None:
    checkout.provision(checkout.first, "echo broken > /opt/purpose")
    with pytest.raises(ImageValidationFailed):
        checkout.build(checkout.first)
    (failed,) = checkout.builds(checkout.first)
    with pytest.raises(ImageNotBuilt):
        promote(checkout.catalogue, checkout.first)
    with pytest.raises(NotPromoted):
        promote(checkout.catalogue, checkout.first, failed.build)
    with pytest.raises(ImageNotBuilt):
        checkout.catalogue.deployable(checkout.first)
    with pytest.raises(ImageNotBuilt):
        push(checkout.catalogue, failed, "127.0.0.1:1")
    with pytest.raises(UnknownBuild):
        promote(checkout.catalogue, checkout.first, "nonsense")
    assert production(checkout) is None


def test_an_image_that_is_gone_is_not_promoted_and_production_not_undone_to_it(checkout: Checkout) -> None:
    (one,) = checkout.build(checkout.first)
    promote(checkout.catalogue, checkout.first)
    two = rebuilt(checkout, "two")
    promote(checkout.catalogue, checkout.first)
    docker("image", "rm", "--force", one.image_id)
    with pytest.raises(ImageNotBuilt):
        undo(checkout.catalogue, checkout.first)
    assert production(checkout) == two.image_id
    with pytest.raises(ImageNotBuilt):
        promote(checkout.catalogue, checkout.first, one.build)


def test_pruning_takes_no_image_in_use(checkout: Checkout) -> None:
    (in_production, child) = checkout.build()
    promote(checkout.catalogue, checkout.first)
    in_container = rebuilt(checkout, "container")
    published = rebuilt(checkout, "published")
    pushed = rebuilt(checkout, "pushed")
    repository, digest = "registry.example/web", f"sha256:{'1' * 64}"
    checkout.catalogue.note(pushed, JournalEvent.PUSHED, repository=repository, digest=digest)
    deployed = [published.image_id, f"{repository}@{digest}"]
    forgotten = rebuilt(checkout, "forgotten")
    newest = rebuilt(checkout, "newest")
    container = docker("create", "--label", "calvinverse.test=prune", in_container.image_id, "true")
    try:
        only_said = prune(checkout.catalogue, 1, deployed, dry=True)
        assert id_of(forgotten.image_id) is not None
        done = prune(checkout.catalogue, 1, deployed)
    finally:
        docker("rm", "--force", container)

    assert [record.build for record in done.removed] == [forgotten.build]
    assert [record.build for record in only_said.removed] == [forgotten.build]
    kept = {record.build: why for record, why in done.kept}
    assert "production" in kept[in_production.build]
    assert "container" in kept[in_container.build]
    assert "service" in kept[published.build]
    assert "service" in kept[pushed.build]
    assert id_of(forgotten.image_id) is None
    for record in (in_production, child, in_container, published, pushed, newest):
        assert id_of(record.image_id) == record.image_id
    # The record stays, and with it what was in the image.
    assert checkout.catalogue.find(checkout.first, forgotten.build) == forgotten
    assert checkout.catalogue.packages(forgotten)


def test_a_parent_of_an_image_that_stays_stays(checkout: Checkout) -> None:
    parent, child = checkout.build()
    rebuilt(checkout, "two")
    prune(checkout.catalogue, 1)
    assert id_of(parent.image_id) == parent.image_id
    assert id_of(child.image_id) == child.image_id


def test_a_record_says_what_is_inside_and_has_checksums(checkout: Checkout) -> None:
    (record,) = checkout.build(checkout.first)
    folder = record.folder
    summed = {line.partition("  ")[2] for line in (folder / SUMS).read_text().splitlines()}
    assert {RECORD, PACKAGES, SBOM, "packer.log", "validation.log"} <= summed
    done = subprocess.run(["sha256sum", "--check", "--quiet", SUMS], cwd=folder, timeout=120, check=False)
    assert done.returncode == 0
    bill = json.loads((folder / SBOM).read_text())
    assert bill["specVersion"] == "1.6"
    names = {component["name"] for component in bill["components"]}
    assert {"libc6", "python3"} <= names
    assert {package.name for package in checkout.catalogue.packages(record)} == names
    assert record.tools["packer"]
    assert record.validation is not None
    assert record.validation.by == record.by != ""
    assert f"tests/images/test_{checkout.first}.py" in record.validation.files


class TestVerify:
    @pytest.fixture
    def signer(self, monkeypatch: pytest.MonkeyPatch) -> MemorySigner:
        signer = MemorySigner()
        monkeypatch.setattr(attesting, "find_signer", lambda state: Found(signer))  # type: ignore[arg-type]
        return signer

    def test_a_good_record_is_told_from_a_tampered_and_an_unsigned_one(
        self, checkout: Checkout, signer: MemorySigner
    ) -> None:
        (record,) = checkout.build(checkout.first)
        verified = verify_build(checkout.catalogue, record, signer.public_keys())
        about = {subject["name"] for subject in verified.statement["subject"]}
        assert {f"calvinverse/{checkout.first}", RECORD, PACKAGES, SBOM} <= about

        self.tampered_record(checkout, record, signer)
        self.tampered_list(checkout, record, signer)
        self.tampered_statement(checkout, record, signer)
        self.another_image(checkout, record, signer)
        self.unsigned(checkout, record, signer)

    def tampered_record(self, checkout: Checkout, record: BuildRecord, signer: MemorySigner) -> None:
        file = record.folder / RECORD
        good = file.read_text()
        file.write_text(good.replace('"dirty": false', '"dirty": true'))
        with pytest.raises(ImageMismatch, match="record"):
            verify_build(checkout.catalogue, record, signer.public_keys())
        file.write_text(good)

    def tampered_list(self, checkout: Checkout, record: BuildRecord, signer: MemorySigner) -> None:
        file = record.folder / PACKAGES
        good = file.read_text()
        file.write_text(good + "deb\tbackdoor\t1\tall\t\n")
        with pytest.raises(ImageMismatch, match="packages"):
            verify_build(checkout.catalogue, record, signer.public_keys())
        file.write_text(good)

    def tampered_statement(self, checkout: Checkout, record: BuildRecord, signer: MemorySigner) -> None:
        file = record.folder / PROVENANCE
        good = file.read_text()
        document = json.loads(good)
        said = base64.b64decode(document["payload"]).replace(b'"dirty":false', b'"dirty":true')
        file.write_text(json.dumps({**document, "payload": base64.b64encode(said).decode()}))
        with pytest.raises(ImageTampered):
            verify_build(checkout.catalogue, record, signer.public_keys())
        file.write_text(good)

    def another_image(self, checkout: Checkout, record: BuildRecord, signer: MemorySigner) -> None:
        docker("tag", Builder().good_image("base").image_id, record.reference)
        with pytest.raises(ImageMismatch, match="another image"):
            verify_build(checkout.catalogue, record, signer.public_keys())
        docker("tag", record.image_id, record.reference)
        verify_build(checkout.catalogue, record, signer.public_keys())

    def unsigned(self, checkout: Checkout, record: BuildRecord, signer: MemorySigner) -> None:
        file = record.folder / PROVENANCE
        file.write_text(json.dumps({**json.loads(file.read_text()), "signatures": []}))
        with pytest.raises(ImageUnsigned):
            verify_build(checkout.catalogue, record, signer.public_keys())

    def test_what_was_made_while_nobody_signed_can_be_signed_later(
        self, checkout: Checkout, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (record,) = checkout.build(checkout.first)
        assert any("isn't signed" in line for line in checkout.said)
        signer = MemorySigner()
        with pytest.raises(ImageUnsigned):
            verify_build(checkout.catalogue, record, signer.public_keys())
        monkeypatch.setattr(attesting, "find_signer", lambda state: Found(signer))  # type: ignore[arg-type]
        sign(record, checkout.state)
        verify_build(checkout.catalogue, record, signer.public_keys())


@dataclass(frozen=True)
class Registry:
    address: str

    def manifest(self, repository: str, digest: str) -> bytes:
        accept = "application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json"
        url = f"http://{self.address}/v2/{repository}/manifests/{digest}"
        return httpx2.get(url, headers={"Accept": accept}, timeout=10).raise_for_status().content


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    """The toolchain's registry on a free port of loopback."""
    port = free_port()
    config = tmp_path / "registry.json"
    config.write_text(
        json.dumps(
            {
                "version": "0.1",
                "storage": {"filesystem": {"rootdirectory": str(tmp_path / "registry")}},
                "http": {"addr": f"127.0.0.1:{port}"},
            }
        )
    )
    command = [str(require("registry")["registry"]), "serve", str(config)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while True:
        try:
            httpx2.get(f"http://127.0.0.1:{port}/v2/", timeout=5).raise_for_status()
            break
        except httpx2.HTTPError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    yield Registry(f"127.0.0.1:{port}")
    process.terminate()
    process.wait(20)


def test_a_pushed_image_is_known_by_its_digest_and_can_be_started_from(checkout: Checkout, registry: Registry) -> None:
    (record,) = checkout.build(checkout.first)

    reference = push(checkout.catalogue, record, registry.address)

    repository, _, digest = reference.partition("@")
    assert repository == f"{registry.address}/calvinverse/{checkout.first}"
    manifest = json.loads(registry.manifest(f"calvinverse/{checkout.first}", digest))
    assert manifest["config"]["digest"] == record.image_id
    (entry,) = checkout.catalogue.journal(checkout.first).pushes(record.build)
    assert (entry.repository, entry.digest) == (repository, digest)
    assert checkout.catalogue.deployable(checkout.first, pushed=reference).reference == reference

    # Another image names it, by digest and from the registry alone.
    file = checkout.folder / "images" / checkout.second / "image.toml"
    file.write_text(file.read_text().replace(f'parent = "{checkout.first}"', f'from = "{reference}"'))
    docker("image", "rm", "--force", record.image_id)
    (child,) = checkout.build(checkout.second)
    assert child.parent_id == record.image_id
    assert child.inputs[f"from:{reference}"] == digest
    labels = json.loads(docker("image", "inspect", "--format", "{{json .Config.Labels}}", child.reference))
    assert labels["org.opencontainers.image.base.name"] == repository
    docker("image", "rm", "--force", child.image_id)
    docker("image", "rm", "--force", record.image_id)
