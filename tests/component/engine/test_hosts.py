"""A destroy of what is inside a host that doesn't run, together with the host."""

from dataclasses import replace
from pathlib import Path

from environments.domain.errors import BackendUnavailable
from environments.domain.lifecycle import State
from environments.steps.base import Owner, StepRun
from environments.steps.registry import StepRegistry
from tests.fakes.things import SERVER, ServerHandler
from tests.support.engine_harness import ADMIN, EngineHarness

HOSTED = """
[template]
name = "things"
version = "1"

[[steps]]
name = "host"
uses = "test.server"

[[steps]]
name = "guest"
uses = "test.thing"
needs = ["host"]
"""


class Host(ServerHandler):
    """A server with all things in it."""

    def runs(self, address: str) -> bool:
        return address in self._world.running

    def destroy(self, address: str, owner: Owner, run: StepRun) -> None:
        self._world.lose("one/guest")
        super().destroy(address, owner, run)


class HostedHarness(EngineHarness):
    """Things are inside the server `one/host`, and can't be reached while that doesn't run."""

    def make_registry(self) -> StepRegistry:
        registry = super().make_registry()
        handlers = {**registry.handlers, SERVER: Host(self.world)}
        return replace(registry, handlers=handlers, hosted_by={"thing": (SERVER, "one/host")})


def test_what_is_inside_a_host_that_does_not_run_is_destroyed_with_it(tmp_path: Path) -> None:
    setting = HostedHarness(tmp_path / "data")
    try:
        setting.push(HOSTED)
        setting.worker.start()
        setting.create()
        assert setting.wait_for(State.READY, State.FAILED).state is State.READY

        def away(verb: str, address: str) -> None:
            if address == "one/guest":
                raise BackendUnavailable("The host is away.")

        setting.world.before = away
        setting.world.running.clear()
        setting.requests.destroy(ADMIN, "one")
        assert setting.wait_for(State.DESTROYED, State.DESTROY_FAILED).state is State.DESTROYED
        assert setting.world.removed == ["one/host"]
    finally:
        setting.stop()
