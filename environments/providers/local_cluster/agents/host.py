"""What the steps `agent.local` and `cluster.trust` do, on the real machine."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from environments.addresses import exposes_tokens
from environments.context import AUTHORITY_FILE
from environments.domain.errors import BackendDenied, BackendError, BackendUnavailable, InvalidInput, UnsafeAddress
from environments.homes import expanded
from environments.kept_files import NotKept, read_token
from environments.private_files import locked, write_if_changed
from environments.providers.backend.calls import TITLES, Caller, FixedToken, Part
from environments.providers.backend.connections import CONNECTIONS_FILE, Connections, Endpoint, TokenFile
from environments.providers.local_cluster.agent_step import FoundAgent, RunningAgent
from environments.providers.local_cluster.agents.local import BINARIES, LocalAgents
from environments.providers.local_cluster.agents.moving import stop_service_of_plain_agents
from environments.providers.local_cluster.agents.ports import Ports
from environments.providers.local_cluster.authority import keep_authority
from environments.providers.local_cluster.trust.cluster import Trust
from environments.providers.local_cluster.trust_step import Lack

_PARTS: dict[str, Part] = {"consul": "consul", "openbao": "vault", "nomad": "nomad"}

_SELF: dict[Part, str] = {
    "consul": "/v1/acl/token/self",
    "vault": "/v1/auth/token/lookup-self",
    "nomad": "/v1/acl/token/self",
}


class LocalCluster:
    """The agents of one state folder. See `AgentHost` and `TrustKeeper` beside those steps."""

    def __init__(self, state: Path) -> None:
        self._state = state.absolute()

    def start(
        self,
        agent: str,
        owner: str,
        binaries: Mapping[str, str],
        ports: Mapping[str, Any],
        infra_image: str,
        reserved_ports: Sequence[int],
        limited_port: int,
    ) -> RunningAgent:
        """Brings the agent up. Raises `PortTaken`, `MachineError`, `BackendError`."""
        agents = self._agents(binaries, ports, infra_image, reserved_ports, limited_port)
        agents.settle()
        started = agents.agent(agent)
        started.claim(owner)
        stop_service_of_plain_agents(agents.nomad)
        started.start()
        if agent == "nomad" and agents.consul.pid() is not None:
            agents.consul.trust_ca()  # Nomad comes after both, so the CA is there by now
        status = started.observe()
        return RunningAgent(
            address=status.address,
            version=status.version,
            ca=started.site.authority_file.read_text(),
            server_name=started.server_name,
            warning=started.warning,
        )

    def adopt(self, agent: str, address: str, token_file: str, ca_file: str) -> RunningAgent:
        """Sees that it answers and takes the token, and keeps where it is. Raises `BackendError`, `InvalidInput`."""
        part = _PARTS[agent]
        _require_safe(part, address)
        if not token_file:
            raise InvalidInput(
                f"To use {TITLES[part]} at {address}, a file with a token for it is needed.",
                hint=f"Give it with {_token_option(agent)}.",
            )
        endpoint = Endpoint(
            address=address.rstrip("/"),
            authentication=TokenFile(token_file=expanded(token_file, f"--{agent}-token-file").absolute()),
            ca_file=expanded(ca_file, f"--{agent}-ca-file").absolute() if ca_file else None,
        )
        version = _version(part, agent, endpoint)
        with locked(self._state / ".connections.lock"):
            path = self._state / CONNECTIONS_FILE
            before = Connections.kept(path)
            after = before.model_copy(update={part: endpoint})
            if after != before:
                after.save(path)
        return RunningAgent(
            address=endpoint.address,
            version=version,
            ca=endpoint.ca_file.read_text() if endpoint.ca_file else "",
        )

    def find(self, agent: str) -> FoundAgent | None:
        """Its folder and its process."""
        if not LocalAgents.exist(self._state):
            return None
        found = self._agents({}, {}).agent(agent)
        pid = found.pid()
        if pid is None and not found.folder.exists():
            return None
        detail = f"process {pid}" if pid else "its files are here, it doesn't run"
        return FoundAgent(found.owner(), detail, running=pid is not None)

    def remove(self, agent: str) -> None:
        """Removes it, and what they share with the last one."""
        if LocalAgents.exist(self._state):
            self._agents({}, {}).remove_one(agent)

    def establish(
        self, external_address: str, before_effect: Callable[[], None], log: Callable[[str], None]
    ) -> Sequence[Lack]:
        """Makes or verifies every setting. Raises `BackendError`."""
        path = self._state / CONNECTIONS_FILE
        trust = self._trust(Connections.load(path), external_address)
        missing = trust.establish(self._ours(), before_effect, log)
        return [Lack(fault.what, fault.where, fault.fix) for fault in missing]

    def lacking(self, external_address: str) -> Sequence[Lack] | None:
        """What `establish` would make, and what an administrator has to make. Raises `BackendError`."""
        path = self._state / CONNECTIONS_FILE
        connections = Connections.load(path) if path.exists() else Connections()
        if None in (connections.consul, connections.vault, connections.nomad):
            return None
        ours = {TITLES[part] for part in self._ours()}
        return [
            Lack(fault.what, fault.where, fault.fix, fault.where in ours)
            for fault in self._trust(connections, external_address).verify()
            if fault.where in ours or not fault.optional
        ]

    def keep_authority(self) -> str:
        """Writes the authority of the meta environment's parts where clients of this machine find it.

        Raises `BackendError`, `MachineError`.
        """
        authority = self._trust(Connections.load(self._state / CONNECTIONS_FILE)).parts_authority()
        write_if_changed(self._state / AUTHORITY_FILE, authority)
        return authority

    def _trust(self, connections: Connections, external_address: str = "") -> Trust:
        """Our own authority signs for an OpenBao that runs here, and for no other one."""
        signer = keep_authority(self._state / "credentials", datetime.now(UTC)) if "vault" in self._ours() else None
        return Trust(connections, signer=signer, external_address=external_address)

    def _ours(self) -> list[Part]:
        return [part for agent, part in _PARTS.items() if self.find(agent) is not None]

    def _agents(
        self,
        binaries: Mapping[str, str],
        ports: Mapping[str, Any],
        infra_image: str = "",
        reserved_ports: Sequence[int] = (),
        limited_port: int = 0,
    ) -> LocalAgents:
        paths = {name: Path(path) for name, path in binaries.items() if name in BINARIES}
        for name in BINARIES:
            if name not in paths and (found := shutil.which(name)):
                paths[name] = Path(found)
        try:
            chosen = Ports.model_validate(dict(ports)) if ports else None
        except ValidationError as error:
            fault = error.errors(include_url=False)[0]
            raise InvalidInput(f"The ports don't fit: {'.'.join(map(str, fault['loc']))}: {fault['msg']}.") from error
        return LocalAgents(
            self._state, paths, chosen, infra_image, reserved_ports=reserved_ports, limited_port=limited_port
        )


def _require_safe(part: Part, address: str) -> None:
    """Raises `UnsafeAddress` for plain HTTP beyond loopback."""
    if exposes_tokens(address):
        raise UnsafeAddress(
            f"{TITLES[part]} at {address} is not used: over plain HTTP, tokens could be read on the way.",
            hint="Give it TLS and its https:// address; plain HTTP is only for agents on this machine.",
        )


def _token_option(agent: str) -> str:
    return f"`--{agent}-token-file FILE`; the file holds a token with an operator's rights"


def _version(part: Part, agent: str, endpoint: Endpoint) -> str:
    """The version of an agent that takes the token. Raises `BackendError`."""
    token = endpoint.authentication
    assert isinstance(token, TokenFile)
    try:
        text = read_token(token.token_file)
    except NotKept as error:
        raise BackendDenied(
            f"The token for {TITLES[part]} can't be read from {token.token_file}: {error}.",
            hint=f"Give another file with {_token_option(agent)}.",
        ) from error
    caller = Caller(part, endpoint.address, FixedToken(text), ca_file=endpoint.ca_file)
    try:
        caller.call("GET", _SELF[part])
    except BackendDenied as error:
        raise BackendDenied(
            f"{TITLES[part]} at {endpoint.address} refuses the token in {token.token_file}.",
            hint=f"Give another one with {_token_option(agent)}.",
            details=error.details,
        ) from error
    except BackendUnavailable as error:
        raise type(error)(
            error.message,
            hint=f"Check the address, and give the right one with `--{agent} URL`; for one that deploy starts itself, "
            "run `doit undeploy --force` and deploy without that option.",
            details=error.details,
        ) from error
    if part == "vault":
        return str(caller.call("GET", "/v1/sys/health?standbyok=true")["version"])
    config = caller.call("GET", "/v1/agent/self")
    try:
        return str(config["Config"]["Version"] if part == "consul" else config["config"]["Version"]["Version"])
    except (KeyError, TypeError) as error:
        raise BackendError(f"{endpoint.address} doesn't answer as {TITLES[part]} does.") from error
