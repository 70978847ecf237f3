"""One service on one real cluster for all cases, several at a time. A table says at the end what became of each."""

from collections.abc import Iterator

import pytest

from images.toolchain import provider_mirror, require
from tests.cases.life import Verdict
from tests.cases.table import Case
from tests.cases.trial import AT_ONCE, Trial
from tests.support import images_here
from tests.support.cluster import Cluster
from tests.support.cluster_snapshot import Taker
from tests.support.service_process import ServiceProcess

_VERDICTS = pytest.StashKey[list[Verdict]]()


@pytest.fixture(scope="module")
def trial(
    request: pytest.FixtureRequest, cluster: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Trial]:
    """All cases that this run of pytest has selected, begun at once."""
    service = ServiceProcess(
        tmp_path_factory.mktemp("cases") / "state",
        cluster.agents.site.connections_file,
        CALVINVERSE_TOFU=str(require("tofu")["tofu"]),
        CALVINVERSE_PROVIDERS=str(provider_mirror()),
        CALVINVERSE_MODULES_AT_ONCE=str(AT_ONCE),
    )
    taker = Taker(cluster.connections, cluster.state)
    service.start()
    try:
        images_here.publish(service.client, "base", "web")
        selected = [item.callspec.params.get("case") for item in request.session.items if hasattr(item, "callspec")]
        trial = Trial(service, cluster, taker, [case for case in selected if isinstance(case, Case)])
        try:
            yield trial
        finally:
            trial.close()
    finally:
        service.stop()
        taker.close()


@pytest.fixture
def verdicts(request: pytest.FixtureRequest) -> list[Verdict]:
    """Those so far, for the table."""
    return request.config.stash.setdefault(_VERDICTS, [])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """The table."""
    found = config.stash.get(_VERDICTS, [])
    if not found:
        return
    terminalreporter.section("cases")
    width = max(len(verdict.case.name) for verdict in found)
    for verdict in sorted(found, key=lambda verdict: verdict.case.name):
        said = verdict.said.replace("\n", " | ")
        mark = "✗" if verdict.faults else "✓"
        terminalreporter.write_line(
            f"{mark} {verdict.case.name:{width}}  {verdict.ended:8}  {verdict.seconds:6.1f} s  {said[:150]}".rstrip()
        )
    wrong = sum(bool(verdict.faults) for verdict in found)
    terminalreporter.write_line(f"{len(found)} case{'s' * (len(found) != 1)}, {wrong} not as expected.toml says")
