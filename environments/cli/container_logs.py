"""`calvinverse env logs` for what containers write: the list of them, the end of one, and following it."""

import time
from collections.abc import Iterator, Sequence
from datetime import datetime

from environments.cli.session import Session
from environments.cli.tables import table
from environments.client.containers import WAIT_SECONDS
from environments.container_words import short_id, state_of
from environments.domain.containers import Stream
from environments.domain.errors import CalvinverseError
from environments.moments import coarse
from environments.wire.containers import ContainerLogView, ContainerView

MOST_LINES = 1000
_AGAIN_SECONDS = 2.0
_PATIENCE = 120.0
"""Seconds that whoever follows waits for a service that is away."""


def show_containers(session: Session, name: str) -> None:
    """Prints what has a log."""
    found = session.client.containers(name)
    session.show(found, lambda: container_table(found, session.now()))
    if not found and not session.json:
        session.say(f"There are no containers. See how far it is with `calvinverse env show {name}`.")


def container_table(found: Sequence[ContainerView], now: datetime) -> Iterator[str]:
    """What has a log, as a table."""
    head = ("JOB", "GROUP", "TASK", "ALLOCATION", "STATE", "RESTARTS", "AGE")
    rows = [
        (
            one.job,
            one.group,
            one.task,
            short_id(one.allocation),
            state_of(one),
            str(one.restarts),
            coarse(now - one.created_at),
        )
        for one in found
    ]
    return table(head, rows)


def show_container_log(
    session: Session,
    name: str,
    *,
    job: str | None,
    task: str | None,
    allocation: str | None,
    last: int | None,
    follow: bool,
) -> None:
    """Prints the last lines of a container, then what comes until it has ended, if that is wanted.

    When it has ended, following goes on with the one that takes its place, if there is one already.
    """
    lines = min(last, MOST_LINES) if last else None
    part = session.client.container_log(name, job=job, task=task, allocation=allocation, last=lines)
    chosen = part.container
    _say_which(session, chosen)
    if last != 0:
        _write(session, part)
    if not part.lines and not follow and not session.json:
        session.say("It has written nothing yet.")
    while follow:
        if part.ended:
            newer = None if allocation is not None else _newer(session, name, chosen)
            if newer is None:
                session.say(f"{chosen.task} of allocation {short_id(chosen.allocation)} has ended.")
                return
            chosen, after = newer, "beginning"
            _say_which(session, chosen)
        else:
            after = part.after
        part = _next(session, name, chosen, after)
        if part.missed and after != "beginning":
            session.say("… lines are missing: it writes faster than its log is kept.")
        _write(session, part)


def _next(session: Session, name: str, chosen: ContainerView, after: str) -> ContainerLogView:
    """What comes next, or nothing within some seconds; a service that is away for a while is waited for."""
    away_since: float | None = None
    while True:
        try:
            part = session.client.container_log(
                name,
                job=chosen.job,
                task=chosen.task,
                allocation=chosen.allocation,
                after=after,
                wait=WAIT_SECONDS,
            )
        except CalvinverseError as error:
            now = time.monotonic()
            if not error.transient or (away_since is not None and now - away_since > _PATIENCE):
                raise
            if away_since is None:
                away_since = now
                session.say(f"… {error.message} Trying again.")
            time.sleep(_AGAIN_SECONDS)
        else:
            if away_since is not None:
                session.say("… the service is back.")
            return part


def _newer(session: Session, name: str, ended: ContainerView) -> ContainerView | None:
    """The container of the same task that was made after this one, the newest first."""
    same = (ended.job, ended.group, ended.task)
    found = session.client.containers(name)
    later = [one for one in found if (one.job, one.group, one.task) == same and one.created_at > ended.created_at]
    return max(later, key=lambda one: one.created_at, default=None)


def _say_which(session: Session, chosen: ContainerView) -> None:
    if not session.json:
        session.say(f"{chosen.job}/{chosen.task}, allocation {short_id(chosen.allocation)}, {state_of(chosen)}:")


def _write(session: Session, part: ContainerLogView) -> None:
    from environments.words import clean

    for line in part.lines:
        if session.json:
            session.print_json(line, one_line=True)
        else:
            mark = "err: " if line.stream is Stream.STDERR else ""
            session.print(mark + clean(line.text))
