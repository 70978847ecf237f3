"""`agent.local`: runs Consul, OpenBao or Nomad on this machine, or uses one that already runs elsewhere."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar, Literal, Protocol

from pydantic import Field

from environments.domain.environment import ResourceRef
from environments.domain.faults import Fault
from environments.domain.plan import Action, Change
from environments.domain.template import Bundle
from environments.steps.base import Intended, Observation, Options, Owner, Presence, StepContext, StepRun
from environments.steps.changes import OwnThingsOnly, change
from environments.steps.marks import ABSENT, foreign
from environments.steps.options import faults

AGENT_KIND = "agent.local"

AgentName = Literal["consul", "openbao", "nomad"]


@dataclass(frozen=True)
class RunningAgent:
    """An agent that can be used.

    `ca` is the certificate (PEM) of the authority that its own one is checked against; empty: the well-known ones.
    `server_name` is the name that its certificate must have; empty: the host of the address.
    `warning` is what people should know about how it was started, in whole sentences.
    """

    address: str
    version: str
    ca: str = ""
    server_name: str = ""
    warning: str = ""


@dataclass(frozen=True)
class FoundAgent:
    """What is on this machine of an agent; `owner` is the id of the environment that it was started for, if any.

    Not `running`: only its files are here.
    """

    owner: str | None
    detail: str
    running: bool = True


class AgentHost(Protocol):
    """What this step needs of the machine."""

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
        """Starts the agent and waits until it can be used. Idempotent.

        Raises `PortTaken`, `MachineError`, `BackendError`.
        """
        ...

    def adopt(self, agent: str, address: str, token_file: str, ca_file: str) -> RunningAgent:
        """Connects to an existing agent; changes nothing in it. Raises `BackendError`, `InvalidInput`."""
        ...

    def find(self, agent: str) -> FoundAgent | None:
        """What is here of the agent: processes or files; None when there is nothing."""
        ...

    def remove(self, agent: str) -> None:
        """Stops it and removes all of it: jobs, mounts, files. Raises `MachineError`."""
        ...


class AgentLocalOptions(Options):
    """`agent`: which one. With `address` an existing one is used, with the token in `token_file`, and not changed.

    `binaries` has the paths of `consul`, `bao` and `nomad`; those on the PATH otherwise. `ports` has those that differ
    from the makers' own. `infra_image` is the image, by its content, that holds the networks of groups of jobs;
    without it Nomad gives groups no networks of their own. `reserved_ports` are ports of the node that Nomad gives to
    no job with a network of its own, also while nobody listens there. `limited_port`, of Nomad: where jobs are
    isolated, the firewall limits the connections of one client to that port; 0: to none.
    """

    agent: AgentName
    address: str = ""
    token_file: str = ""
    ca_file: str = ""
    binaries: dict[str, str] = Field(default_factory=dict)
    ports: dict[str, int | str] = Field(default_factory=dict)
    infra_image: str = ""
    reserved_ports: list[int] = Field(default_factory=list)
    limited_port: int = Field(0, ge=0, le=65535)


class AgentLocal(OwnThingsOnly):
    """Starts an agent below the state folder, under supervisor."""

    kind: ClassVar[str] = AGENT_KIND
    only_for_meta: ClassVar[bool] = True
    options: ClassVar[type[Options]] = AgentLocalOptions
    time_limit: ClassVar[timedelta] = timedelta(minutes=3)
    description: ClassVar[str] = "Runs Consul, OpenBao or Nomad on this machine, or uses one whose address is given."
    plans_itself: ClassVar[bool] = True
    """A running agent may still have to be unsealed or set up: `apply` does that each time, and nothing else."""

    def __init__(self, host: AgentHost) -> None:
        self._host = host

    @classmethod
    def check(cls, options: Mapping[str, Any], bundle: Bundle) -> list[Fault]:
        """Unknown options and wrong values."""
        return faults(AgentLocalOptions, options)

    def resources(self, context: StepContext) -> Sequence[Intended]:
        """The agent, unless it is an existing one."""
        options: AgentLocalOptions = context.options
        return [] if options.address else [Intended(ResourceRef(kind=AGENT_KIND, address=options.agent))]

    def apply(self, context: StepContext, run: StepRun) -> dict[str, Any]:
        """Gives `address`, `version`, `ca` (PEM) and `server_name` (or empty), and `ours`: whether it runs here."""
        options: AgentLocalOptions = context.options
        run.before_effect()
        if options.address:
            agent = self._host.adopt(options.agent, options.address, options.token_file, options.ca_file)
            run.log(f"{options.agent} {agent.version} at {agent.address} is used as it is")
        else:
            self._find(options.agent, context.owner)
            agent = self._host.start(
                options.agent,
                context.owner.id,
                options.binaries,
                options.ports,
                options.infra_image,
                options.reserved_ports,
                options.limited_port,
            )
            run.log(f"{options.agent} {agent.version} runs at {agent.address}")
            if agent.warning:
                run.log(f"Warning: {agent.warning}")
        return {
            "address": agent.address,
            "version": agent.version,
            "ca": agent.ca,
            "server_name": agent.server_name,
            "ours": not options.address,
        }

    def plan(self, context: StepContext, run: StepRun) -> Sequence[Change]:
        """Whether the agent would be started. An existing one is never changed."""
        options: AgentLocalOptions = context.options
        if options.address:
            return ()
        found = self._find(options.agent, context.owner)
        if found is None:
            return [change(Action.CREATE, AGENT_KIND, options.agent, after=context.owner.id)]
        if found.running:
            return ()
        lines = [f"is started again: {found.detail}"]
        return [change(Action.CHANGE, AGENT_KIND, options.agent, before="stopped", after="running", details=lines)]

    def _find(self, agent: str, owner: Owner) -> FoundAgent | None:
        found = self._host.find(agent)
        if found is not None and found.owner not in (None, owner.id):
            raise foreign(f"a local {agent} agent", owner)
        return found


class AgentHandler:
    """Knows a local agent by its name."""

    kind: ClassVar[str] = AGENT_KIND

    def __init__(self, host: AgentHost) -> None:
        self._host = host

    def observe(self, address: str, owner: Owner) -> Observation:
        """Checks its processes and files."""
        found = self._host.find(address)
        if found is None:
            return ABSENT
        return Observation(Presence.OURS if found.owner in (None, owner.id) else Presence.FOREIGN, found.detail)

    def runs(self, address: str) -> bool:
        """Whether its process runs; what is inside the agent can't be reached otherwise."""
        found = self._host.find(address)
        return found is not None and found.running

    def destroy(self, address: str, owner: Owner, run: StepRun) -> None:
        """Removes it with everything that it made on this machine."""
        if self.observe(address, owner).presence is Presence.OURS:
            run.before_effect()
            self._host.remove(address)
