"""The thread that matches events gives way to all others, where it shares no interpreter with requests."""

import os
import threading
from datetime import UTC, datetime

from environments.engine.event_processor import EventProcessor
from environments.service.matching import Matching


def niceness_while_it_runs(*, gives_way: bool) -> int:
    seen: list[int] = []
    looked = threading.Event()

    def leads() -> bool:
        seen.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
        looked.set()
        return False

    nothing: object = None
    processor = EventProcessor(
        nothing,  # type: ignore[arg-type]  # who doesn't lead reads nothing
        Matching(),
        nothing,  # type: ignore[arg-type]  # and carries out nothing
        lambda: datetime.now(UTC),
        lambda kind: kind,
        leads,
        gives_way=gives_way,
    )
    processor.start()
    try:
        assert looked.wait(60)
    finally:
        processor.stop()
    return seen[0]


def test_only_a_worker_matches_events_with_a_lower_priority() -> None:
    here = os.getpriority(os.PRIO_PROCESS, 0)
    assert niceness_while_it_runs(gives_way=False) == here
    assert niceness_while_it_runs(gives_way=True) == max(here, 10)
    assert os.getpriority(os.PRIO_PROCESS, 0) == here
