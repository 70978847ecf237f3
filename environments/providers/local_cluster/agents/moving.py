"""Prepares a deployment whose agents speak plain HTTP for agents that speak TLS.

The service of an older version calls the agents over plain HTTP. An agent that speaks TLS answers such a call with an
error, which ends a deployment that is running. So the service is stopped first, as by any update: the next one resumes
its deployments. Tasks of environments run on.
"""

import contextlib

from environments.domain.errors import CalvinverseError
from environments.private_files import locked
from environments.providers.backend.calls import Caller, FixedToken
from environments.providers.local_cluster.agents.certificates import speaks_plainly
from environments.providers.local_cluster.agents.nomad import NomadAgent, all_ended
from environments.providers.local_cluster.agents.patience import wait_for
from environments.providers.local_cluster.agents.ports import LOOPBACK, holder_of
from environments.providers.local_cluster.trust.names import MANAGER_JOB, MANAGER_NAMESPACE

_SECONDS = 40.0
"""Within which the service ends; Nomad kills it after 20."""


def stop_service_of_plain_agents(nomad: NomadAgent) -> bool:
    """Stops the service, if its Nomad runs and speaks plain HTTP; returns whether it did.

    The step that updates the service starts it again. Where it can't be stopped the agents move anyway.
    """
    with locked(nomad.site.folder / "moving.lock"):
        pid = nomad.pid()
        # The admin's token goes there in plain HTTP: not to somebody who took the port while Nomad starts.
        if pid is None or holder_of(nomad.port, pid) is None or not speaks_plainly(LOOPBACK, nomad.port):
            return False
        with contextlib.suppress(CalvinverseError, OSError):
            caller = Caller(
                "nomad", f"http://{LOOPBACK}:{nomad.port}", FixedToken(nomad.token_file.read_text().strip())
            )
            caller.call("DELETE", f"/v1/job/{MANAGER_JOB}?namespace={MANAGER_NAMESPACE}", missing_ok=True)
            allocations = f"/v1/job/{MANAGER_JOB}/allocations?namespace={MANAGER_NAMESPACE}"
            return wait_for(lambda: all_ended(caller, allocations), _SECONDS, pause=0.2)
        return False
