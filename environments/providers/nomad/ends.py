"""How jobs have ended, for triggers: Nomad is asked at that moment, so no event needs to be complete or in order."""

from environments.providers.nomad.ports import NomadApi
from environments.steps.source_ports import JobEnd

_LOST = frozenset({"failed", "lost"})


class NomadJobEnds:
    """Implements `JobEnds`."""

    def __init__(self, nomad: NomadApi) -> None:
        self._nomad = nomad

    def end(self, namespace: str, job: str) -> JobEnd | None:
        """Nomad calls a job dead that has ended and one that was stopped; only the first has ended by itself.

        It has failed if an instance that nothing replaces has failed, and is complete if all are. A service that is
        complete wasn't meant to end, so that is none.
        """
        found = self._nomad.job(namespace, job)
        if found is None or found.get("Status") != "dead" or found.get("Stop"):
            return None
        if (found.get("Periodic") or found.get("ParameterizedJob")) and not found.get("ParentID"):
            return None
        version = found.get("Version") or 0
        _, allocations = self._nomad.allocations(namespace, job)
        last = [one for one in allocations if one.job_version == version and one.desired == "run" and not one.replaced]
        if not last or not all(one.terminal for one in last):
            return None
        failed = any(one.client in _LOST for one in last)
        if not failed and found["Type"] not in ("batch", "sysbatch"):
            return None
        parent, submitted = found.get("ParentID") or "", int(found.get("SubmitTime") or 0)
        return JobEnd("failed" if failed else "complete", found["Type"], parent, submitted)
