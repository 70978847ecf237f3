"""The pipeline of images on real Docker and Packer: small images made in a checkout of their own."""

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from images.catalogue.records import BuildRecord, Records
from images.docker import Docker
from images.errors import ImageBuildFailed, ImageNotBuilt, ImageValidationFailed
from images.pipeline.builder import Builder, build

RECIPE = """
variable "work" { type = string }
variable "container" { type = string }
variable "parent" { type = string }
variable "labels" { type = map(string) }

source "docker" "it" {
  image       = var.parent == "" ? "calvinverse/base:good" : var.parent
  pull        = false
  commit      = true
  exec_user   = "0"
  run_command = ["-d", "-i", "-t", "--user=0", "--network=none", "--name=${var.container}", "--entrypoint=/bin/sh",
                 "--", "{{ .Image }}"]
  changes     = concat(["USER 10001:10001"], [for name, value in var.labels : "LABEL ${name}=${jsonencode(value)}"])
}

build {
  sources = ["source.docker.it"]
  provisioner "shell" { script = "${path.root}/provision.sh" }
  post-processor "manifest" { output = "${var.work}/manifest.json" }
}
"""

SHARED_TEST = """
def test_user(host):
    assert host.user().name == "calvinverse"
"""

OWN_TEST = """
def test_purpose(host):
    assert host.file("/opt/purpose").content_string == "served\\n"
"""

CONTROL = """
import sys
from pathlib import Path
from images.pipeline.builder import Builder
Builder(Path(sys.argv[1]), Path(sys.argv[2])).build([sys.argv[3]], print)
"""


@dataclass
class Checkout:
    """A checkout with two images, the second made from the first, and the talk of its builder."""

    folder: Path
    state: Path
    first: str
    second: str
    said: list[str] = field(default_factory=list)

    @property
    def builder(self) -> Builder:
        return Builder(self.folder, self.state)

    def build(self, *names: str) -> list[BuildRecord]:
        self.said.clear()
        return self.builder.build(names or None, self.said.append)

    def provision(self, image: str, script: str) -> None:
        file = self.folder / "images" / image / "provision.sh"
        file.write_text(f"set -eu\nmkdir -p /opt\n{script}\n")

    def builds(self, image: str) -> list[BuildRecord]:
        files = sorted((self.state / "images" / image / "builds").glob("*/record.json"))
        return [BuildRecord.model_validate_json(file.read_bytes()) for file in files]


def docker(*arguments: str) -> str:
    done = subprocess.run(["docker", *arguments], check=True, capture_output=True, text=True, timeout=60)
    return done.stdout.strip()


def id_of(reference: str) -> str | None:
    return Docker().image_ids([reference]).get(reference)


def containers_of(checkout: Checkout) -> list[str]:
    """Containers of any build in the checkout; a build's id is its folder's name."""
    builds = [folder.name for folder in checkout.state.glob("images/*/builds/*")]
    names = docker("ps", "--all", "--format", "{{.Names}}").splitlines()
    return [name for name in names if any(name.endswith(build) for build in builds)]


def untagged_of(checkout: Checkout) -> list[str]:
    """Untagged images that builds of the checkout made."""
    found: list[str] = []
    for folder in checkout.state.glob("images/*/builds/*"):
        label = f"label=calvinverse.build={folder.name}"
        found += docker("image", "ls", "--quiet", "--filter", "dangling=true", "--filter", label).splitlines()
    return found


@pytest.fixture(scope="module", autouse=True)
def base() -> None:
    build(["base"], print)


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[Checkout]:
    mark = secrets.token_hex(3)
    made = Checkout(tmp_path / "checkout", tmp_path / "state", f"test-{mark}-a", f"test-{mark}-b")
    tests = made.folder / "tests" / "images"
    tests.mkdir(parents=True)
    (tests / "conftest.py").write_text("")
    (tests / "test_hygiene.py").write_text(SHARED_TEST)
    (made.folder / "pyproject.toml").write_text('[project]\nname = "t"\nversion = "1.2.3"\n')
    for name, parent in ((made.first, ""), (made.second, f'parent = "{made.first}"')):
        folder = made.folder / "images" / name
        folder.mkdir(parents=True)
        (folder / "it.pkr.hcl").write_text(RECIPE)
        about = f'[image]\ntitle = "T"\ndescription = "D"\n{parent}\n'
        (folder / "image.toml").write_text(f'{about}[validate]\ncommand = ["sleep", "60"]\n')
        (tests / f"test_{name}.py").write_text(OWN_TEST)
        made.provision(name, "echo served > /opt/purpose")
    yield made
    for name in (made.second, made.first):
        for reference in docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}", f"calvinverse/{name}").split():
            docker("image", "rm", "--force", reference)


def test_a_second_run_with_nothing_changed_does_nothing_and_takes_under_two_seconds(checkout: Checkout) -> None:
    first = checkout.build()
    assert [record.status for record in first] == ["good", "good"]
    for file in checkout.folder.rglob("*.*"):
        file.touch()

    started = time.monotonic()
    second = checkout.build()

    assert time.monotonic() - started < 2.0
    assert second == first
    assert checkout.said == []
    assert all(checkout.builder.up_to_date(name) for name in (checkout.first, checkout.second))


def test_an_image_is_tagged_recorded_and_labelled(checkout: Checkout) -> None:
    _, record = checkout.build()

    assert record.reference == f"calvinverse/{checkout.second}:{record.key[:12]}"
    assert id_of(record.reference) == id_of(f"calvinverse/{checkout.second}:good") == record.image_id
    assert checkout.builder.good_image(checkout.second) == record
    assert record.validation is not None
    assert record.validation.passed == 2
    assert record.size > 0
    assert set(record.seconds) == {"prepare", "build", "validate"}
    assert f"images/{checkout.second}/provision.sh" in record.inputs
    assert "Provisioning with shell script" in (record.log.parent / "packer.log").read_text()
    labels = json.loads(docker("image", "inspect", "--format", "{{json .Config.Labels}}", record.reference))
    assert labels["calvinverse.key"] == record.key
    assert labels["org.opencontainers.image.version"] == "1.2.3"
    assert labels["org.opencontainers.image.base.digest"] == record.parent_id
    assert all(file.stat().st_mode & 0o077 == 0 for file in checkout.state.rglob("*"))
    assert containers_of(checkout) == untagged_of(checkout) == []


def test_a_changed_input_makes_exactly_the_images_that_depend_on_it(checkout: Checkout) -> None:
    before = checkout.build()
    checkout.provision(checkout.second, "echo served > /opt/purpose # changed")
    one = checkout.build()
    assert [old == new for old, new in zip(before, one, strict=True)] == [True, False]
    assert any(f"images/{checkout.second}/provision.sh" in line for line in checkout.said)

    checkout.provision(checkout.first, "echo served > /opt/purpose # changed")
    both = checkout.build()
    assert [old == new for old, new in zip(one, both, strict=True)] == [False, False]


def test_going_back_to_earlier_inputs_builds_nothing_but_proves_the_image_again(checkout: Checkout) -> None:
    (before,) = checkout.build(checkout.first)
    checkout.provision(checkout.first, "echo served > /opt/purpose # changed")
    checkout.build(checkout.first)
    checkout.provision(checkout.first, "echo served > /opt/purpose")

    (again,) = checkout.build(checkout.first)

    assert again.image_id == before.image_id == id_of(f"calvinverse/{checkout.first}:good")
    assert again.made_by == before.build != again.build
    assert "build" not in again.seconds


def test_changed_tests_prove_the_image_again_without_building_it(checkout: Checkout) -> None:
    (before,) = checkout.build(checkout.first)
    file = checkout.folder / "tests" / "images" / f"test_{checkout.first}.py"
    file.write_text(OWN_TEST + "\n\ndef test_more(host):\n    assert host.exists('python3')\n")

    assert not checkout.builder.up_to_date(checkout.first)
    (after,) = checkout.build(checkout.first)

    assert after.image_id == before.image_id
    assert after.validation is not None
    assert after.validation.passed == 3


def test_an_image_that_was_removed_is_built_again(checkout: Checkout) -> None:
    (record,) = checkout.build(checkout.first)
    docker("image", "rm", "--force", record.image_id)
    assert not checkout.builder.up_to_date(checkout.first)
    with pytest.raises(ImageNotBuilt):
        checkout.builder.good_image(checkout.first)

    (again,) = checkout.build(checkout.first)

    assert again.key == record.key
    assert id_of(again.reference) == again.image_id
    assert any("the image is gone" in line for line in checkout.said)


def test_a_failed_validation_leaves_the_last_good_image(checkout: Checkout) -> None:
    (good,) = checkout.build(checkout.first)
    checkout.provision(checkout.first, "echo broken > /opt/purpose")

    with pytest.raises(ImageValidationFailed, match="test_purpose") as caught:
        checkout.build(checkout.first)

    assert id_of(f"calvinverse/{checkout.first}:good") == good.image_id
    assert checkout.builder.good_image(checkout.first) == good
    failed = checkout.builds(checkout.first)[-1]
    assert failed.status == "failed"
    assert id_of(failed.image_id) is None
    assert id_of(failed.reference) is None
    assert str(failed.log) in caught.value.hint
    assert "broken" in failed.log.read_text()
    assert containers_of(checkout) == untagged_of(checkout) == []


def test_an_image_that_no_test_looked_at_is_not_good(checkout: Checkout) -> None:
    for file in (checkout.folder / "tests" / "images").glob("test_*.py"):
        file.write_text("import pytest\n\n\n@pytest.mark.skip\ndef test_nothing(host): ...\n")
    with pytest.raises(ImageValidationFailed):
        checkout.build(checkout.first)
    assert id_of(f"calvinverse/{checkout.first}:good") is None


def test_a_container_that_ends_by_itself_is_named_as_the_reason(checkout: Checkout) -> None:
    file = checkout.folder / "images" / checkout.first / "image.toml"
    file.write_text(file.read_text().replace('["sleep", "60"]', '["sh", "-c", "echo I give up >&2; exit 7"]'))
    with pytest.raises(ImageValidationFailed, match="status 7: I give up"):
        checkout.build(checkout.first)


def test_a_failed_build_names_the_line_that_matters_and_the_log(checkout: Checkout) -> None:
    checkout.provision(checkout.first, "echo 'E: no such thing' >&2; exit 3")

    with pytest.raises(ImageBuildFailed, match="E: no such thing") as caught:
        checkout.build(checkout.first)

    failed = checkout.builds(checkout.first)[-1]
    assert str(failed.log) in caught.value.hint
    assert "E: no such thing" in failed.log.read_text()
    assert id_of(failed.reference) is None
    assert containers_of(checkout) == untagged_of(checkout) == []


def test_a_build_that_takes_too_long_is_stopped(checkout: Checkout) -> None:
    checkout.provision(checkout.first, "sleep 60")
    file = checkout.folder / "images" / checkout.first / "image.toml"
    file.write_text(file.read_text() + '[build]\ntime_limit = "3s"\n')
    with pytest.raises(ImageBuildFailed, match="took longer than 3 s"):
        checkout.build(checkout.first)
    assert containers_of(checkout) == untagged_of(checkout) == []


def start(checkout: Checkout) -> subprocess.Popen[bytes]:
    """A builder in a process of its own that has got as far as a running container."""
    command = [sys.executable, "-c", CONTROL, str(checkout.folder), str(checkout.state), checkout.first]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 30
    while not containers_of(checkout) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert containers_of(checkout)
    return process


def test_an_interrupted_build_leaves_nothing(checkout: Checkout) -> None:
    (good,) = checkout.build(checkout.first)
    checkout.provision(checkout.first, "sleep 60")
    process = start(checkout)

    process.send_signal(signal.SIGINT)

    assert process.wait(30) != 0
    assert checkout.builds(checkout.first)[-1].status == "interrupted"
    assert id_of(f"calvinverse/{checkout.first}:good") == good.image_id
    assert containers_of(checkout) == untagged_of(checkout) == []


def test_the_next_build_removes_what_a_killed_one_left(checkout: Checkout) -> None:
    checkout.provision(checkout.first, "sleep 60")
    process = start(checkout)
    process.kill()
    process.wait(30)
    unfinished = Records(checkout.state, checkout.first).unfinished()
    assert unfinished is not None

    checkout.provision(checkout.first, "echo served > /opt/purpose")
    (record,) = checkout.build(checkout.first)

    assert record.status == "good"
    assert any(unfinished in line for line in checkout.said)
    assert containers_of(checkout) == untagged_of(checkout) == []
