"""A state folder as a deployment and people leave it, and what may be in its files, or in their place."""

import json
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from environments import open_files
from environments.belongings import claim
from environments.context import Context, write_context
from environments.named_contexts import NamedContext, store
from environments.private_files import write_private
from environments.providers.backend.connections import Connections, Endpoint, TokenFile
from environments.providers.local_cluster.agents import leftovers, networks, processes
from environments.providers.local_cluster.agents.local import LocalAgents
from environments.providers.local_cluster.agents.networks import SUBNETS
from environments.providers.local_cluster.authority import keep_authority
from environments.stored_sessions import StoredSession
from environments.stored_sessions import store as store_session
from jobs import status

NOW = datetime(2026, 11, 28, tzinfo=UTC)
GONE = "https://127.0.0.1:9"
SUBNET = str(SUBNETS[0])
CLAIM = "claims/" + SUBNET.replace("/", "_")

Place = Callable[[Path], None]


def as_bytes(content: bytes) -> Place:
    def put(path: Path) -> None:
        path.write_bytes(content)

    return put


def full_folder(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.mkdir(parents=True)
    (path / "x").touch()


def _loop(path: Path) -> None:
    """It can't be read, not by root either."""
    path.unlink()
    path.symlink_to(path)


GARBAGE: dict[str, Place] = {
    "empty": as_bytes(b""),
    "list": as_bytes(b"[]"),
    "null": as_bytes(b"null"),
    "half": as_bytes(b"{"),
    "number": as_bytes(b'{"consul": 5, "vault": 5, "nomad": 5}'),
    "binary": as_bytes(b"\xff\xfe\x00\x80" * 10),
    "nested": as_bytes(b"[" * 100_000),
    "folder": full_folder,
    "unreadable": _loop,
}

FILES = (
    "context.json",
    "connections.json",
    "token",
    "service-ca.pem",
    "contexts/current",
    "contexts/far.json",
    "contexts/far.token",
    "sessions/far.json",
    "sessions/far.token",
    "credentials/cluster.json",
    "credentials/place.json",
    "credentials/consul-admin.token",
    "credentials/nomad-admin.token",
    "credentials/openbao-admin.token",
    "credentials/parts-ca.pem",
    "credentials/parts-ca.key",
    "credentials/ca.pem",
    "credentials/openbao-recovery.json",
    "credentials/openbao-seal.key",
    "agents/consul/owner",
    "agents/nomad/subnet",
    "agents/nomad/config.json",
    "agents/nomad/isolation/network.json",
    "agents/openbao/former-audit",
    "agents/certificates/config.json",
    CLAIM,
    "local/parameters.key",
    "local/place.json",
    "images/web/journal.jsonl",
    "images/web/current",
    "images/web/builds/1/record.json",
    "versions.json",
    "tools/go/1/build.json",
)


LOCKS = (
    "deploy.lock",
    ".connections.lock",
    ".left-containers.lock",
    "local/lock",
    "credentials/lock",
    "credentials/parts-ca.lock",
    "agents/consul.lock",
    "agents/openbao.lock",
    "agents/nomad.lock",
    "agents/certificates.lock",
    "agents/place.lock",
    "agents/supervisor/lock",
    "agents/nomad/isolation/lock",
    "images/web/lock",
    "claims/lock",
)


def make_state(state: Path, monkeypatch: pytest.MonkeyPatch) -> LocalAgents:
    """The folder; nothing runs, and this machine has neither an engine nor networks of jobs. Gives its agents."""
    state.mkdir(mode=0o700)
    claim(state)
    for name in ("CALVINVERSE_STATE", "CALVINVERSE_CACHE"):
        monkeypatch.setenv(name, str(state))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{state}/no.sock")
    # Reading this machine's own authorities, and waiting for its disk, takes most of the time otherwise.
    monkeypatch.setenv("SSL_CERT_FILE", str(state / "no-authorities.pem"))
    monkeypatch.setattr(os, "fsync", lambda file: None)
    monkeypatch.setattr(status, "_docker", lambda: status.Line("docker", "✗ doesn't answer"))
    for module in (processes, open_files):
        monkeypatch.setattr(module, "every", _nothing)
    monkeypatch.setattr(leftovers, "_CGROUPS", state.parent / "cgroups")
    monkeypatch.setattr(networks, "_INTERFACES", state.parent / "interfaces")
    monkeypatch.setattr(networks, "find", lambda program: None)
    ours = (networks.claim, networks.release, networks.subnets_of, networks.subnets_of_others, networks.clusters_in)
    for function in ours:
        monkeypatch.setattr(networks, function.__name__, _elsewhere(function, state))
    agents = LocalAgents(state, {})
    keep_authority(state / "credentials", NOW)
    parts = {}
    for part, agent in (("consul", "consul"), ("vault", "openbao"), ("nomad", "nomad")):
        token = state / "credentials" / f"{agent}-admin.token"
        write_private(token, "secret\n")
        ca = state / "credentials" / "parts-ca.pem"
        parts[part] = Endpoint(address=GONE, authentication=TokenFile(token_file=token), ca_file=ca)
    Connections(**parts).save(state / "connections.json")
    write_private(state / "service-ca.pem", (state / "credentials" / "parts-ca.pem").read_text())
    write_private(state / "credentials" / "ca.pem", (state / "credentials" / "parts-ca.pem").read_text())
    write_private(state / "token", f"cv_{'x' * 43}\n")
    write_context(state, Context(address=GONE, token_file=state / "token", ca_file=state / "service-ca.pem"))
    store(state, "far", NamedContext(address=GONE), "cv_far")
    store_session(state, "far", StoredSession(address=GONE, user_name="ada"), "cv_session")
    write_private(state / "contexts" / "current", "far\n")
    write_private(state / "tools" / "go" / "1" / "build.json", "{}")
    write_private(state / "routes", "Iface\n")
    write_private(agents.nomad.data / "client" / "state.db", "")
    write_private(state / CLAIM, str(agents.nomad.data))
    write_private(state / "agents" / "nomad" / "subnet", f"{SUBNET}\n")
    client = {"cgroup_parent": agents.nomad.cgroup, "bridge_network_subnet": SUBNET}
    write_private(agents.nomad.config, json.dumps({"data_dir": str(agents.nomad.data), "client": client}))
    write_private(state / "local" / "parameters.key", "7VjzMDt8Vw2zPGCRuDJBeOLIVjTEjvSxLQjgFLr4xVE=")
    write_private(state / "credentials" / "openbao-seal.key", "k" * 32)
    write_private(state / "credentials" / "openbao-recovery.json", json.dumps({"recovery_keys": ["k"]}))
    for name in FILES:
        if not (state / name).exists():
            write_private(state / name, "1")
    return agents


def _nothing() -> Iterator[int]:
    return iter(())


def _elsewhere(function: Callable[..., object], state: Path) -> Callable[..., object]:
    """The function with claims and routes of this state folder alone."""
    names = function.__code__.co_varnames[: function.__code__.co_argcount]
    places = {"claims": state / "claims", "routes": state / "routes"}
    own = {name: place for name, place in places.items() if name in names}

    def called(*arguments: object) -> object:
        return function(*arguments, **own)

    return called
