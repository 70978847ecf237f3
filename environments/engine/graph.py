"""Runs the nodes of a dependency graph, independent ones side by side, each in a thread of its own."""

import queue
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field


@dataclass
class Outcome:
    """What became of the nodes. `errors` in the order in which they came."""

    done: set[str] = field(default_factory=set)
    errors: dict[str, BaseException] = field(default_factory=dict)


def ancestors(needs: Mapping[str, Iterable[str]], name: str) -> set[str]:
    """All that a node needs, directly or not."""
    found: set[str] = set()
    queue = list(needs[name])
    while queue:
        other = queue.pop()
        if other not in found:
            found.add(other)
            queue.extend(needs[other])
    return found


def run_graph(
    needs: Mapping[str, Iterable[str]],
    work: Callable[[str], None],
    *,
    done: Iterable[str] = (),
    stop_on_error: bool | Callable[[str, BaseException], bool] = True,
    before_start: Callable[[set[str], str], None] = lambda done, name: None,
) -> Outcome:
    """Calls `work` for every node that is not in `done`, once all that it needs is done.

    After an error nothing that needs the failed node starts; with `stop_on_error` (or where it says so of a node and
    its error) nothing new starts at all. What runs is waited for. `before_start(done, name)` is called in the caller's
    thread; what it raises is the node's error.
    """
    outcome = Outcome(done=set(done))
    waiting = {name: set(parents) & set(needs) for name, parents in needs.items() if name not in outcome.done}
    running: set[str] = set()
    stopped = False
    finished: queue.SimpleQueue[tuple[str, BaseException | None]] = queue.SimpleQueue()

    def call(name: str) -> None:
        try:
            work(name)
        except BaseException as error:  # noqa: BLE001 - handed to the caller, which alone decides what it means
            finished.put((name, error))
        else:
            finished.put((name, None))

    def failed(name: str, error: BaseException) -> bool:
        outcome.errors[name] = error
        return stop_on_error if isinstance(stop_on_error, bool) else stop_on_error(name, error)

    while True:
        if not stopped:
            for name in [name for name, parents in waiting.items() if parents <= outcome.done]:
                del waiting[name]
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
        else:
            stopped |= failed(name, error)
