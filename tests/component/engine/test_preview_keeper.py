"""The thread that looks after previews: on the leader alone, and on through faults."""

from datetime import timedelta
from pathlib import Path

from environments.engine.preview_keeper import PreviewKeeper
from environments.providers.local_cluster.agents.patience import wait_for
from tests.fakes.forge import away
from tests.support.preview_world import PreviewWorld


def test_it_makes_ends_and_goes_on_through_faults(tmp_path: Path) -> None:
    here = PreviewWorld(tmp_path)
    leads = [False]
    keeper = PreviewKeeper(
        here.previews, here.noting, lambda: leads[0], here.clock, sweep=timedelta(seconds=0), every=0.01
    )
    keeper.start()
    try:
        here.forge.open(12)  # nobody tells of it
        here.forge.fault = away()
        leads[0] = True
        assert wait_for(lambda: "open_pull_requests" in here.forge.calls, 60), "nothing is compared"
        here.forge.fault = RuntimeError("a fault of ours")
        here.forge.calls.clear()
        assert wait_for(lambda: "open_pull_requests" in here.forge.calls, 60), "a fault ended the thread"
        assert here.made() == 0
        here.forge.fault = None
        assert wait_for(lambda: len(here.living()) == 1, 60), "a lost event isn't found"
        here.work()
        here.forge.close(12)
        assert wait_for(lambda: not here.living(), 60), "a lost end isn't found"
    finally:
        keeper.stop()
