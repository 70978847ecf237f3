"""Orders the nodes of a dependency graph, and runs them: independent ones in parallel, each in its own thread."""

import queue
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from heapq import heappop, heappush


@dataclass
class Outcome:
    """The result of a run. `errors` has them in the order in which they were raised."""

    done: set[str] = field(default_factory=set)
    errors: dict[str, BaseException] = field(default_factory=dict)


def in_order(needs: Mapping[str, Iterable[str]]) -> list[str]:
    """The nodes, each after all that it needs and otherwise in the order of `needs`. Raises `CycleError`."""
    positions = {name: position for position, name in enumerate(needs)}
    names, sorter = list(needs), _sorter(needs)
    ready: list[int] = []
    found = []
    while sorter.is_active():
        for name in sorter.get_ready():
            heappush(ready, positions[name])
        found.append(names[heappop(ready)])
        sorter.done(found[-1])
    return found


def _sorter(needs: Mapping[str, Iterable[str]]) -> TopologicalSorter[str]:
    """A prepared sorter, which returns nodes that are ready together in the order of `needs`. Raises `CycleError`."""
    sorter = TopologicalSorter[str](dict.fromkeys(needs, ()))
    for name, parents in needs.items():
        sorter.add(name, *(parent for parent in parents if parent in needs))
    sorter.prepare()
    return sorter


def run_graph(
    needs: Mapping[str, Iterable[str]],
    work: Callable[[str], None],
    *,
    done: Iterable[str] = (),
    stop_on_error: bool | Callable[[str, BaseException], bool] = True,
    before_start: Callable[[set[str], str], None] = lambda done, name: None,
) -> Outcome:
    """Calls `work` for each node that is not in `done`, after all nodes that it needs are done.

    After an error, no node starts that needs the failed one. With `stop_on_error`, or if it returns True for a node and
    its error, no other node starts at all. Returns when all running nodes have ended. `before_start(done, name)` is
    called in the caller's thread; what it raises is the node's error. Raises `CycleError`.
    """
    outcome = Outcome(done=set(done))
    waiting = _sorter({name: parents for name, parents in needs.items() if name not in outcome.done})
    running: set[str] = set()
    stopped = False
    finished: queue.SimpleQueue[tuple[str, BaseException | None]] = queue.SimpleQueue()

    def call(name: str) -> None:
        try:
            work(name)
        except BaseException as error:  # noqa: BLE001 - returned to the caller, which handles it
            finished.put((name, error))
        else:
            finished.put((name, None))

    def failed(name: str, error: BaseException) -> bool:
        outcome.errors[name] = error
        return stop_on_error if isinstance(stop_on_error, bool) else stop_on_error(name, error)

    while True:
        if not stopped:
            for name in waiting.get_ready():
                try:
                    before_start(outcome.done, name)
                except BaseException as refused:  # noqa: BLE001 - likewise
                    stopped |= failed(name, refused)
                    if stopped:
                        break
                    continue
                running.add(name)
                threading.Thread(target=call, args=(name,), name=f"step-{name}", daemon=True).start()
        if not running:
            return outcome
        name, error = finished.get()
        running.discard(name)
        if error is None:
            outcome.done.add(name)
            waiting.done(name)
        else:
            stopped |= failed(name, error)
