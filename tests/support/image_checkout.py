"""A checkout with two small images of its own, for tests of the pipeline on real Docker and Packer."""

import secrets
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from images.catalogue.channels import Catalogue
from images.catalogue.records import BuildRecord
from images.docker import Docker
from images.pipeline.builder import Builder

RECIPE = """
variable "work" { type = string }
variable "container" { type = string }
variable "parent" { type = string }
variable "labels" { type = map(string) }

source "docker" "it" {
  image       = var.parent == "" ? "//base" : var.parent
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

    @property
    def catalogue(self) -> Catalogue:
        return Catalogue(self.state)

    def build(self, *names: str) -> list[BuildRecord]:
        self.said.clear()
        return self.builder.build(names or None, self.said.append)

    def provision(self, image: str, script: str) -> None:
        file = self.folder / "images" / image / "provision.sh"
        file.write_text(f"set -eu\nmkdir -p /opt\n{script}\n")

    def sibling(self, mark: str) -> str:
        """Adds another image like the second and gives its name."""
        name = f"{self.first.rpartition('-')[0]}-{mark}"
        shutil.copytree(self.folder / "images" / self.second, self.folder / "images" / name)
        (self.folder / "tests" / "images" / f"test_{name}.py").write_text(OWN_TEST)
        return name

    def builds(self, image: str) -> list[BuildRecord]:
        files = sorted((self.state / "images" / image / "builds").glob("*/record.json"))
        return [BuildRecord.model_validate_json(file.read_bytes()) for file in files]


def docker(*arguments: str) -> str:
    done = subprocess.run(["docker", *arguments], check=True, capture_output=True, text=True, timeout=120)
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


@pytest.fixture
def image_checkout(tmp_path: Path) -> Iterator[Checkout]:
    """A checkout of two images that starts from `base`; afterwards none of its images is left."""
    base = Builder().good_image("base").image_id  # other checkouts move its tags
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
        (folder / "it.pkr.hcl").write_text(RECIPE.replace("//base", base))
        about = f'[image]\ntitle = "T"\ndescription = "D"\n{parent}\n'
        (folder / "image.toml").write_text(f'{about}[validate]\ncommand = ["sleep", "60"]\n')
        (tests / f"test_{name}.py").write_text(OWN_TEST)
        made.provision(name, "echo served > /opt/purpose")
    yield made
    for name in (made.second, made.first):
        for reference in docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}", f"calvinverse/{name}").split():
            docker("image", "rm", "--force", reference)
