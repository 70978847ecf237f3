"""Why a machine can't isolate jobs: a reason for programs, and a sentence with what to do for people."""

import os
import shutil
from pathlib import Path

import pytest

from environments import node_firewall
from environments.node_firewall import Lack, NotIsolated, Reason, bridge_lack, lack

PROGRAMS = {"iptables-save", "iptables-restore", "ip6tables-save", "ip6tables-restore", "ip"}


@pytest.fixture
def plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine that lacks nothing; gives its folder of plugins."""
    for name in ("bridge", "ipv6", "firewall"):
        (tmp_path / name).touch()
    monkeypatch.setattr(node_firewall, "_BRIDGED", tmp_path / "bridge")
    monkeypatch.setattr(node_firewall, "IPV6", tmp_path / "ipv6")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(shutil, "which", lambda name, path: name if name in PROGRAMS else None)
    monkeypatch.setattr(node_firewall, "run_program", lambda command, text: "")
    return tmp_path


def _reason(plugins: Path | None) -> tuple[Reason, str]:
    found = lack(plugins)
    assert found is not None
    assert found.message.endswith(".")
    return found.reason, found.hint


def test_a_machine_that_lacks_nothing(plugins: Path) -> None:
    assert lack(plugins) is None
    assert bridge_lack() is None


def test_only_root_writes_rules(plugins: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert _reason(plugins) == (Reason.NOT_ROOT, "Start the agents as root.")


@pytest.mark.parametrize("absent", sorted(PROGRAMS))
def test_programs_are_needed(plugins: Path, monkeypatch: pytest.MonkeyPatch, absent: str) -> None:
    monkeypatch.setattr(shutil, "which", lambda name, path: None if name == absent else name)
    expected = (
        (Reason.NO_IP, "Install the package iproute2.")
        if absent == "ip"
        else (Reason.NO_IPTABLES, "Install the package iptables.")
    )
    assert _reason(plugins) == expected


def test_a_kernel_without_ipv6_needs_no_rules_for_it(plugins: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (plugins / "ipv6").unlink()
    monkeypatch.setattr(shutil, "which", lambda name, path: None if name.startswith("ip6") else name)
    assert lack(plugins) is None


def test_the_plugins_of_cni_are_needed(plugins: Path) -> None:
    assert _reason(None)[0] is Reason.NO_CNI_PLUGINS
    (plugins / "firewall").unlink()
    assert _reason(plugins)[0] is Reason.NO_CNI_PLUGINS


def test_the_firewall_has_to_see_what_bridges_carry(plugins: Path) -> None:
    (plugins / "bridge").unlink()
    reason, hint = _reason(plugins)
    assert reason is Reason.NO_BRIDGE_NETFILTER
    assert "modprobe br_netfilter" in hint


def test_what_iptables_refuses_is_told(plugins: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refusal = Lack(Reason.REFUSED, "iptables-save failed: Operation not permitted.", "See what it says.")

    def refuse(command: object, text: str) -> str:
        raise NotIsolated(refusal)

    monkeypatch.setattr(node_firewall, "run_program", refuse)
    assert lack(plugins) is refusal
