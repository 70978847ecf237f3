"""What holds for every image: it is the one that was built, not root, labelled, and clean."""

import os
from typing import Any

from testinfra.host import Host

OCI = "org.opencontainers.image"
LABELS = ("title", "description", "version", "revision", "created", "source")
LABELS_OF_CHILDREN = ("base.name", "base.digest")

LEFTOVERS = (
    "/etc/machine-id",
    "/etc/apt/sources.list",
    "/packer-files",
    "/root/.cache",
    "/root/.ssh",
    "/var/lib/dbus/machine-id",
)

EMPTY_FOLDERS = (
    "/mnt",
    "/var/tmp",
    "/var/log",
    "/etc/apt/preferences.d",
    "/etc/apt/sources.list.d",
    "/var/cache/apt",
    "/var/lib/apt/lists",
)

SETUID = {
    *("/usr/bin/chage", "/usr/bin/chfn", "/usr/bin/chsh", "/usr/bin/expiry", "/usr/bin/gpasswd", "/usr/bin/mount"),
    *("/usr/bin/newgrp", "/usr/bin/passwd", "/usr/bin/su", "/usr/bin/umount", "/usr/sbin/unix_chkpwd"),
}
"""Programs that run with the rights of another, as Debian 12 has them in every installation."""

USERS = {"edge": ("edge", "10002"), "ui": ("ui", "10003")}
"""Images with a user of their own."""

EVERYWHERE = "find / -xdev -path /proc -prune -o -path /sys -prune -o"


def test_it_is_the_image_that_was_built(image: dict[str, Any]) -> None:
    assert image["Id"] == os.environ["CALVINVERSE_IMAGE_ID"]


def test_nobody_in_it_is_root(host: Host, image: dict[str, Any], image_name: str) -> None:
    name, number = USERS.get(image_name, ("calvinverse", "10001"))
    assert image["Config"]["User"] == f"{number}:{number}"
    assert host.check_output("id -un") == name
    assert set(host.check_output("stat -c %u /proc/[0-9]*/status 2>/dev/null || true").split()) == {number}


def test_no_password_opens_an_account(host: Host, root: Host) -> None:
    assert host.run("cat /etc/shadow").failed
    assert set(root.check_output("cut -d: -f2 /etc/passwd").split()) == {"x"}
    passwords = root.check_output("cut -d: -f2 /etc/shadow").split()
    assert [password for password in passwords if password[0] not in "!*"] == []


def test_labels_say_what_it_is_and_where_it_comes_from(image: dict[str, Any], image_name: str) -> None:
    labels = image["Config"]["Labels"]
    wanted = [*LABELS, *(LABELS_OF_CHILDREN if image_name != "base" else ())]
    assert [name for name in wanted if not labels.get(f"{OCI}.{name}")] == []
    assert len(labels["calvinverse.key"]) == 64


def test_it_says_how_its_health_is_asked_for(image: dict[str, Any]) -> None:
    check = image["Config"]["Healthcheck"]
    assert check["Test"][0] in ("CMD", "CMD-SHELL")
    assert 0 < check["Timeout"] <= check["Interval"]


def test_nothing_of_the_building_machine_is_left(root: Host) -> None:
    assert root.check_output(f"ls -d {' '.join(LEFTOVERS)} 2>/dev/null || true") == ""


def test_no_caches_lists_or_logs_are_left(root: Host) -> None:
    assert root.check_output(f"find {' '.join(EMPTY_FOLDERS)} -type f -size +0 2>/dev/null | head -n 5") == ""
    caches = r"-type d \( -name .cache -o -name .npm \) -print -o -type f \( -name '*.deb' -o -name '*.whl' \) -print"
    assert root.check_output(f"{EVERYWHERE} {caches} | head -n 5") == ""


def test_no_private_keys_are_left(root: Host) -> None:
    places = "/etc /home /opt /root /srv /tmp /usr/local /var"
    found = root.run(f"grep -rlsIE -e '^-----BEGIN ([A-Z]+ )*PRIVATE KEY-----' {places}")
    assert found.stdout.split() == []


def test_no_program_gives_more_rights_than_those_of_debian(root: Host) -> None:
    found = root.check_output(f"{EVERYWHERE} -type f -perm /6000 -print").split()
    assert set(found) - SETUID == set()


def test_its_program_can_not_be_changed_by_its_user(host: Host) -> None:
    own = "-not -path '/proc/*' -not -path '/tmp/*' -not -path '/var/lib/calvinverse/*'"
    assert host.check_output(f"find / -xdev -writable -type f {own} | head -n 5") == ""
