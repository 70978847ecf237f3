"""What holds for every image: it is the one that was built, not root, labelled, and clean."""

import os
from typing import Any

import pytest
from testinfra.host import Host

LABELS = ("title", "description", "version")
LABELS_OF_CHILDREN = ("created", "revision", "base.name", "base.digest")
OCI = "org.opencontainers.image"

LEFTOVERS = (
    "/etc/machine-id",
    "/etc/apt/sources.list",
    "/packer-files",
    "/root/.cache",
    "/root/.ssh",
    "/var/lib/dbus/machine-id",
)

EMPTY_FOLDERS = ("/mnt", "/var/tmp", "/etc/apt/sources.list.d", "/var/cache/apt")


def test_it_is_the_image_that_was_built(image: dict[str, Any]) -> None:
    assert image["Id"] == os.environ["CALVINVERSE_IMAGE_ID"]


def test_nobody_in_it_is_root(host: Host, image: dict[str, Any]) -> None:
    assert image["Config"]["User"] == "10001:10001"
    assert host.user().name == "calvinverse"
    assert set(host.check_output("stat -c %u /proc/[0-9]*/status 2>/dev/null || true").split()) == {"10001"}


def test_no_password_opens_an_account(host: Host) -> None:
    assert host.file("/etc/shadow").exists
    assert host.run("cat /etc/shadow").failed
    assert all(fields.split(":")[1] == "x" for fields in host.file("/etc/passwd").content_string.splitlines())


def test_labels_say_what_it_is_and_where_it_comes_from(image: dict[str, Any], image_name: str) -> None:
    labels = image["Config"]["Labels"]
    wanted = [*LABELS, *(LABELS_OF_CHILDREN if image_name != "base" else ())]
    assert [name for name in wanted if not labels.get(f"{OCI}.{name}")] == []
    assert len(labels["calvinverse.key"]) == 64


@pytest.mark.parametrize("path", LEFTOVERS)
def test_nothing_of_the_building_machine_is_left(host: Host, path: str) -> None:
    assert not host.file(path).exists


@pytest.mark.parametrize("path", EMPTY_FOLDERS)
def test_no_caches_are_left(host: Host, path: str) -> None:
    assert host.check_output("find %s -mindepth 1 -type f -size +0 | head -n 5", path) == ""


def test_no_package_lists_are_left(host: Host) -> None:
    assert host.check_output("find /var/lib/apt/lists -type f -size +0 2>/dev/null | head -n 5") == ""


def test_no_private_keys_are_left(host: Host) -> None:
    found = host.run("grep -rlsE -e '-----BEGIN [A-Z ]*PRIVATE KEY-----$' /etc /opt /home /root /srv")
    assert found.stdout.split() == []


def test_its_program_can_not_be_changed_by_its_user(host: Host) -> None:
    own = "-not -path '/proc/*' -not -path '/tmp/*' -not -path '/var/lib/calvinverse/*'"
    assert host.check_output(f"find / -xdev -writable -type f {own} | head -n 5") == ""
