"""Renews the certificates of agents while they run, and has each agent read its new one. Supervisor keeps it running.

An agent reads its certificate again when it gets SIGHUP, and ends no request for that. Whether it has done so shows in
the certificate that it serves, so a signal that was lost is sent again.

Usage: `python -m environments.providers.local_cluster.agents.certificate_keeper FILE`; the file names the state folder
and the life of certificates in seconds (JSON: `state`, `life`).
"""

import contextlib
import json
import os
import signal
import sys
import time
from datetime import timedelta
from pathlib import Path

from environments.domain.errors import CalvinverseError, MachineError
from environments.kept_files import NotKept, read_kept
from environments.providers.local_cluster.agents.agent import Agent
from environments.providers.local_cluster.agents.certificates import read_certificate, served_certificate
from environments.providers.local_cluster.agents.local import LocalAgents
from environments.providers.local_cluster.agents.ports import LOOPBACK

_LONGEST_PAUSE = 60.0
_SETTLING = 1.0
"""Seconds between two looks at an agent that doesn't serve its certificate yet."""

_PATIENCE = 10.0
"""Seconds after a signal before the next one."""


class CertificateKeeper:
    """Keeps the certificates of one state folder. Used by one thread."""

    def __init__(self, agents: LocalAgents) -> None:
        self._agents = agents
        self._signalled: dict[str, float] = {}
        self._pause = min(_LONGEST_PAUSE, agents.site.certificate_life.total_seconds() / 24)

    def look(self) -> float:
        """Renews what is due; returns the seconds until the next look."""
        settled = [self._settle(agent) for agent in self._agents.all() if agent.certificate_file.exists()]
        return self._pause if all(settled) else min(self._pause, _SETTLING)

    def _settle(self, agent: Agent) -> bool:
        """Whether the agent serves the certificate in its file; it isn't asked while it doesn't run."""
        try:
            if agent.renew_certificate():
                _say(f"{agent.title} gets a new certificate.")
        except CalvinverseError as error:
            _say(f"The certificate of {agent.title} can't be renewed: {error.message}")
            return False
        served, pid = served_certificate(LOOPBACK, agent.port), agent.pid()
        # Nothing is signalled that isn't listening yet: a program that starts would end.
        if served is None or pid is None or served == read_certificate(agent.certificate_file):
            return True
        now = time.monotonic()
        if now - self._signalled.get(agent.name, -_PATIENCE) >= _PATIENCE:
            self._signalled[agent.name] = now
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGHUP)
        return False


def main(config: Path) -> None:
    """Keeps them until it is told to end. Raises `MachineError`."""
    state, life = told(config)
    keeper = CertificateKeeper(LocalAgents(state, {}, certificate_life=life))
    while True:
        time.sleep(keeper.look())


def told(config: Path) -> tuple[Path, timedelta]:
    """The state folder and the life of certificates in the configuration. Raises `MachineError`."""
    try:
        found = json.loads(read_kept(config))
        return Path(found["state"]), timedelta(seconds=found["life"])
    except (NotKept, ValueError, LookupError, TypeError, OverflowError, RecursionError) as error:
        why = str(error) if isinstance(error, NotKept) else "it is damaged"
        raise MachineError(
            f"The configuration {config} can't be read: {why}.", hint="Run `doit deploy`, which writes it again."
        ) from error


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]))
    except CalvinverseError as error:
        sys.exit(f"{error.message} {error.hint}")
