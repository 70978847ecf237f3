"""Consul, OpenBao and Nomad of one state folder, together."""

import os
import sys
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

from environments import state_origin
from environments.belongings import remove_own
from environments.domain.errors import InvalidInput
from environments.private_files import discard, locked, private_folder
from environments.providers.backend.connections import Connections
from environments.providers.local_cluster.agents import leftovers
from environments.providers.local_cluster.agents.agent import Agent, AgentStatus, agents_environment
from environments.providers.local_cluster.agents.consul import ConsulAgent
from environments.providers.local_cluster.agents.isolating import KEEPER
from environments.providers.local_cluster.agents.nomad import NomadAgent
from environments.providers.local_cluster.agents.openbao import OpenBaoAgent
from environments.providers.local_cluster.agents.ports import Ports
from environments.providers.local_cluster.agents.site import CERTIFICATES, Site, choose, chosen_file
from environments.providers.local_cluster.agents.supervisor import Program, Supervisor
from environments.providers.local_cluster.authority import CERTIFICATE_LIFE
from environments.shared_places import is_elsewhere, renew_claims

BINARIES = ("consul", "bao", "nomad")
"""The programs that run them."""
NAMES = ("consul", "openbao", "nomad")
"""In the order of starting; Consul and OpenBao don't need each other, Nomad needs both."""

_CERTIFICATE_KEEPER = "environments.providers.local_cluster.agents.certificate_keeper"

_removing = threading.Lock()


class LocalAgents:
    """The agents of a state folder.

    `binaries` has the paths of `consul`, `bao` and `nomad`; what is missing can't be started. `ports` counts when the
    folder is new; later, None or the same. `infra_image` is what holds the network of a group in bridge mode, by its
    content; without it no group gets one. `certificate_life`: how long a certificate of an agent is valid; it is
    renewed when two thirds of that are over. `reserved_ports` and `limited_port`: see `Site`. Making this object writes
    nothing but the values chosen for a new cluster (0600).
    """

    def __init__(
        self,
        state: Path,
        binaries: Mapping[str, Path],
        ports: Ports | None = None,
        infra_image: str = "",
        certificate_life: timedelta = CERTIFICATE_LIFE,
        *,
        reserved_ports: Iterable[int] = (),
        limited_port: int = 0,
    ) -> None:
        state = state_origin.known_by(state.absolute())
        private_folder(state)
        self.site = Site(
            state,
            {name: path.absolute() for name, path in binaries.items()},
            choose(state, ports),
            infra_image,
            certificate_life,
            frozenset(reserved_ports),
            limited_port,
        )
        programs: dict[str, Program] = {}
        supervisor = Supervisor(self.site.folder / "supervisor", programs, agents_environment(self.site.folder))
        self.supervisor = supervisor
        self.consul = ConsulAgent(self.site, supervisor)
        self.openbao = OpenBaoAgent(self.site, supervisor)
        self.nomad = NomadAgent(self.site, supervisor)
        programs.update({agent.name: agent.program() for agent in self.all()})
        programs[KEEPER] = self.nomad.isolation.program()
        programs[CERTIFICATES] = Program(
            command=(sys.executable, "-I", "-m", _CERTIFICATE_KEEPER, str(self.site.keeper_file)),
            log=self.site.folder / "logs" / f"{CERTIFICATES}.log",
        )

    @staticmethod
    def exist(state: Path) -> bool:
        """Whether this state folder has a local cluster, perhaps an incomplete or damaged one."""
        return os.path.lexists(chosen_file(state)) or any((state / "agents" / name).is_dir() for name in NAMES)

    def all(self) -> Sequence[Agent]:
        """In the order of starting."""
        return (self.consul, self.openbao, self.nomad)

    def agent(self, name: str) -> Agent:
        """The agent of that name. Raises `InvalidInput`."""
        for agent in self.all():
            if agent.name == name:
                return agent
        raise InvalidInput(f"There is no agent {name!r}.", hint=f"The agents are {', '.join(NAMES)}.")

    @property
    def connections(self) -> Connections:
        """The connections to those that have started."""
        path = self.site.connections_file
        return Connections.load(path) if path.exists() else Connections()

    def start(self) -> None:
        """Starts all, Consul and OpenBao in parallel. Raises the first error after everything possible was done."""
        private_folder(self.site.folder)
        self.settle()
        renew_claims(self.site.state)
        with ThreadPoolExecutor(max_workers=2) as pool:
            for started in [pool.submit(agent.start) for agent in (self.consul, self.openbao)]:
                started.result()
        self.consul.trust_ca()
        self.nomad.start()

    def settle(self) -> None:
        """Ends what was started when the state folder had another path, agents and tasks: it names files by that path.

        The next start begins all of it again. Raises `MachineError`, also for a copy of a folder that is still there.
        """
        self._leave_former(settle=True)

    def _leave_former(self, *, settle: bool) -> None:
        """Not `settle`: what says where the folder was stays, for it says what a removal may believe."""
        if state_origin.former(self.site.state) is None:
            return
        with locked(self.site.folder / "place.lock"):
            if (former := state_origin.former(self.site.state)) is None:
                return
            state_origin.refuse_copy(self.site.state)
            moved, volumes = former / self.site.folder.name, former / self.site.volumes.name
            alone = not chosen_file(former).exists() and not any(map(is_elsewhere, (moved, volumes)))
            self.supervisor.leave(moved / "supervisor", alone)
            leftovers.leave(self.nomad.data, moved / "nomad" / "data", volumes, alone)
            if settle:
                self.supervisor.settle()

    def observe(self) -> list[AgentStatus]:
        """The state of each, in the order of starting."""
        return [agent.observe() for agent in self.all()]

    def stop(self) -> None:
        """Stops all and supervisord; data and running jobs stay, and the next start finds them."""
        self.settle()
        for agent in reversed(self.all()):
            agent.stop()
        self.supervisor.shut_down()

    def remove(self, *, progress: Callable[[str], None] = lambda line: None) -> None:
        """Stops all and removes everything of the cluster, including jobs, mounts and the service's data.

        Everything else in the state folder stays; what else is in our folders is told.
        """
        self._leave_former(settle=False)
        for agent in reversed(self.all()):
            progress(f"removing {agent.title}")
            agent.remove()
        for path in self._remove_shared():
            progress(f"{path} stays: deploy didn't make it")

    def remove_one(self, name: str) -> None:
        """Removes one agent, and with the last of them what they share. Nomad goes before the two that it needs."""
        self._leave_former(settle=False)
        self.agent(name).remove()
        with _removing:  # of two that are removed at the same moment, both are the last
            if self.site.folder.exists() and not any(agent.folder.exists() for agent in self.all()):
                self._remove_shared()

    def _remove_shared(self) -> list[Path]:
        """Removes it; returns what isn't ours and stays."""
        self.supervisor.shut_down()
        folders = (self.site.volumes, self.site.folder, self.site.credentials)
        left = [path for folder in folders for path in remove_own(self.site.state, folder.name)]
        discard(self.site.state / ".connections.lock")
        return left
