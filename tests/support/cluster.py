"""A real, secured cluster of Consul, OpenBao and Nomad for tests: on free ports, in its own folder, gone afterwards.

By hand: `python -m tests.support.cluster FOLDER` runs one until it is interrupted.
"""

import contextlib
import hashlib
import os
import shutil
import signal
import sys
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path
from typing import TextIO

from environments.domain.errors import PortTaken
from environments.providers.backend.connections import Connections
from environments.providers.local_cluster.agents import leftovers, processes
from environments.providers.local_cluster.agents.local import NAMES, LocalAgents
from environments.providers.local_cluster.agents.site import CERTIFICATES
from environments.providers.local_cluster.authority import CERTIFICATE_LIFE, keep_authority
from environments.providers.local_cluster.trust.cluster import Trust
from images.errors import ImageNotBuilt
from images.toolchain import require
from tests.support import images_here
from tests.support.claimed_ports import PortClaim, claim_ports
from tests.support.shared_folder import shared_folder

EXTERNAL_ADDRESS = "https://calvinverse.localhost:8443"
"""Where people would reach a service of the cluster."""


@dataclass(frozen=True)
class Cluster:
    """A running cluster; `state` is its state folder."""

    state: Path
    agents: LocalAgents
    _claim: TextIO | None = field(default=None, repr=False)
    _ports: PortClaim | None = field(default=None, repr=False)

    @property
    def connections(self) -> Connections:
        """Addresses and admin credentials of all parts."""
        return self.agents.connections

    def close(self) -> None:
        """Removes everything: jobs, processes, mounts, files."""
        self.agents.remove()
        shutil.rmtree(self.state, ignore_errors=True)
        if self._claim is not None:
            Path(self._claim.name).unlink(missing_ok=True)
            self._claim.close()


def _claims() -> Path:
    """A file for each cluster, holding its state folder, locked while the process that started the cluster lives."""
    return shared_folder("clusters")


def _claim(state: Path) -> TextIO:
    path = _claims() / hashlib.sha256(os.fsencode(state)).hexdigest()[:16]
    while True:
        file = path.open("a+")
        flock(file, LOCK_EX)
        if path.exists() and os.path.samestat(os.fstat(file.fileno()), path.stat()):
            break
        file.close()  # somebody removed it as stale before we had locked it
    file.truncate(0)
    file.write(str(state))
    file.flush()
    return file


def remove_stale() -> None:
    """Removes the clusters of test runs that were killed."""
    for path in _claims().glob("*"):
        # Runs side by side do this too, and those that end take their claims with them.
        with contextlib.suppress(FileNotFoundError), path.open() as file:
            try:
                flock(file, LOCK_EX | LOCK_NB)
            except BlockingIOError:
                continue  # its run is alive
            if not os.path.samestat(os.fstat(file.fileno()), path.stat()):
                continue  # somebody has just removed it, and another run has claimed the same folder
            state = file.read()
            if state:
                _remove_left(Path(state))
            path.unlink(missing_ok=True)


def _remove_left(state: Path) -> None:
    if LocalAgents.exist(state):
        LocalAgents(state, require("consul", "bao", "nomad")).remove()
    # pytest removes folders of old runs, also those whose agents still run.
    agents = state / "agents"
    processes.stop(processes.started_with(str(agents / "supervisor" / "supervisord.conf")), patience=40)
    processes.stop(
        [pid for name in (*NAMES, CERTIFICATES) for pid in processes.started_with(str(agents / name / "config.json"))],
        patience=20,
    )
    leftovers.clear(agents / "nomad" / "data", [])
    shutil.rmtree(state, ignore_errors=True)


def start_cluster(folder: Path, *, bridge: bool = True, certificate_life: timedelta = CERTIFICATE_LIFE) -> Cluster:
    """A cluster with its trust set up, ready for jobs, in about 6 s. `bridge`: jobs can have networks of their own."""
    remove_stale()
    state = folder / "state"
    claim = _claim(state)
    binaries = require("consul", "bao", "nomad")
    for attempt in range(5):
        ports, claimed = (None, None) if LocalAgents.exist(state) else claim_ports()
        agents = LocalAgents(state, binaries, ports, _infra_image() if bridge else "", certificate_life)
        try:
            agents.start()
        except PortTaken:
            agents.remove()
            if attempt == 4:
                raise
            continue
        authority = keep_authority(agents.site.credentials, datetime.now(UTC))
        Trust(agents.connections, signer=authority, external_address=EXTERNAL_ADDRESS).apply()
        return Cluster(state, agents, claim, claimed)
    raise AssertionError("unreachable")


def _infra_image() -> str:
    """Most tests need no networks of jobs, and so not that image."""
    try:
        return images_here.reference("pause")
    except ImageNotBuilt:
        return ""


def main() -> None:
    """Runs a cluster in the folder given until SIGINT or SIGTERM comes."""
    cluster = start_cluster(Path(sys.argv[1]).absolute())
    print(cluster.agents.site.connections_file, flush=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        cluster.close()


if __name__ == "__main__":
    main()
