"""Which cases are tried, and their lives side by side.

CALVINVERSE_EVERY_CASE tries all and not only the sample; CALVINVERSE_CASES_AT_ONCE says how many at a time.
"""

import os
from concurrent.futures import Future, ThreadPoolExecutor

from environments.client import connect
from environments.context import Context
from tests.cases.life import Jobs, Life, Verdict
from tests.cases.table import VARIABLE, Case, folder, read
from tests.support.cluster import Cluster
from tests.support.cluster_snapshot import Census, Taker
from tests.support.service_process import ServiceProcess

AT_ONCE = int(os.environ.get("CALVINVERSE_CASES_AT_ONCE", "6"))
EVERY = "CALVINVERSE_EVERY_CASE"


def chosen() -> list[Case]:
    """The cases that are tried: those of another folder all, of this one the sample unless all are asked for."""
    cases = read(folder())
    return cases if os.environ.get(VARIABLE) or os.environ.get(EVERY) else [case for case in cases if case.sample]


class Trial:
    """Lives of cases side by side, and what was on the cluster before."""

    def __init__(self, service: ServiceProcess, cluster: Cluster, taker: Taker, cases: list[Case]) -> None:
        self._service = service
        self._taker = taker
        self._jobs = Jobs(cluster.connections)
        self._before = taker.take()
        self._pool = ThreadPoolExecutor(AT_ONCE)
        in_order = sorted(cases, key=lambda case: not case.slow)
        self._lives: dict[str, Future[Verdict]] = {case.name: self._pool.submit(self._live, case) for case in in_order}

    def verdict(self, case: Case) -> Verdict:
        """What became of it, once it is over."""
        return self._lives[case.name].result()

    def left(self) -> dict[str, list[str]]:
        """What is on the cluster when all are over and was not before, by kind."""
        for life in self._lives.values():
            life.result()
        after: Census = self._taker.take()
        return after.since(self._before)

    def close(self) -> None:
        """Waits for those that are alive, so that nothing is left of them."""
        self._pool.shutdown(cancel_futures=True)
        self._jobs.close()

    def _live(self, case: Case) -> Verdict:
        token = self._service.state / "service" / "token"
        with connect(Context(address=self._service.address, token_file=token)) as client:
            return Life(client, self._jobs, case).live()
