"""Which deployment is admitted next: people before machines, owners in turn, limits kept."""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from environments.domain.admission import PATIENCE, Lane, Queue, Running, Waiting, line, starts
from environments.domain.lifecycle import DeploymentKind

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


class Request(NamedTuple):
    """What a model of the queue knows of a deployment."""

    id: str
    environment: str
    owner: str
    template: str
    limit: int | None
    by_machine: bool
    at: datetime


class Model:
    """The rules, as a person would tell them: slow, and written down once more."""

    def __init__(self) -> None:
        self.waiting: list[Request] = []
        self.running: list[Request] = []
        self.started: list[Request] = []

    def next(self, now: datetime) -> Request | None:
        """What has to start next."""
        may = [one for one in self.waiting if not self.held_up(one)]
        people = [one for one in may if not self.gives_way(one, now)]
        may = people or may
        if not may:
            return None
        fewest = min(self.count(one.owner) for one in may)
        may = [one for one in may if self.count(one.owner) == fewest]
        longest_ago = min(self.last_start(one.owner) for one in may)
        may = [one for one in may if self.last_start(one.owner) == longest_ago]
        return min(may, key=lambda one: (one.at, one.id))

    def held_up(self, one: Request) -> bool:
        of_template = sum(other.template == one.template for other in self.running)
        full = one.limit is not None and of_template >= one.limit
        return full or any(other.environment == one.environment for other in self.running)

    def gives_way(self, one: Request, now: datetime) -> bool:
        return one.by_machine and now - one.at < PATIENCE

    def count(self, owner: str) -> int:
        return sum(other.owner == owner for other in self.running)

    def last_start(self, owner: str) -> int:
        """The number of the owner's last start; -1 when there was none."""
        return max((number for number, one in enumerate(self.started) if one.owner == owner), default=-1)

    def start(self, one: Request) -> None:
        self.waiting.remove(one)
        self.running.append(one)
        self.started.append(one)

    def queue(self) -> Queue:
        """The same for the code under test."""
        return Queue(
            Lane.DEPLOY,
            tuple(Waiting(*one) for one in self.waiting),
            tuple(
                Running(one.id, one.environment, DeploymentKind.CREATE, one.owner, one.template, "w", 1.0)
                for one in self.running
            ),
            {one.owner: number for number, one in enumerate(self.started, 1)},
        )


Wanted = tuple[str, str, int | None, bool, int]
"""Owner, template, its limit, whether a machine asks, and which of the owner's environments."""

OWNERS, TEMPLATES = ("ada", "grace", "edsger"), ("web", "data")
REQUEST = st.tuples(
    st.sampled_from(OWNERS),
    st.sampled_from(TEMPLATES),
    st.sampled_from([None, 1, 2]),
    st.booleans(),
    st.integers(0, 5),
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), REQUEST),
        st.tuples(st.just("start"), st.none()),
        st.tuples(st.just("end"), st.integers(0, 10)),
        st.tuples(st.just("wait"), st.integers(1, 700)),
    ),
    max_size=40,
)


def request_of(number: int, wanted: Wanted, now: datetime) -> Request:
    owner, template, limit, by_machine, environment = wanted
    # Some share an environment, and then an owner: only one of those runs at a time.
    return Request(f"dep-{number:03}", f"env-{owner}-{environment}", owner, template, limit, by_machine, now)


@given(STEPS)
@settings(deadline=None)
def test_what_starts_is_what_the_rules_say(steps: list[tuple[str, object]]) -> None:
    model, now, asked = Model(), NOW, 0
    previous: Request | None = None
    for verb, value in steps:
        if verb == "ask":
            asked += 1
            model.waiting.append(request_of(asked, value, now))  # type: ignore[arg-type]
        elif verb == "wait":
            now += timedelta(seconds=value)  # type: ignore[arg-type]
        elif verb == "end" and model.running:
            model.running.pop(value % len(model.running))  # type: ignore[operator]
        elif verb == "start":
            expected = model.next(now)
            found = next(starts(model.queue(), now), None)
            assert (found and found.id) == (expected and expected.id)
            if expected is None:
                continue
            if previous is not None and previous.owner == expected.owner:
                # Twice in a row only when everybody else with work that may start has more that runs.
                others = {
                    one.owner
                    for one in model.waiting
                    if one.owner != expected.owner
                    and not model.held_up(one)
                    and model.gives_way(one, now) <= model.gives_way(expected, now)
                }
                assert all(model.count(other) > model.count(expected.owner) for other in others)
            model.start(expected)
            previous = expected
            together = sum(other.template == expected.template for other in model.running)
            assert expected.limit is None or together <= expected.limit
    # Nothing is lost: with everything over, all that waits gets its turn.
    while model.waiting:
        model.running.clear()
        following = next(starts(model.queue(), now), None)
        assert following is not None
        model.start(next(one for one in model.waiting if one.id == following.id))
    assert len(model.started) == asked


@given(st.lists(REQUEST, max_size=15), st.lists(REQUEST, max_size=4))
@settings(deadline=None)
def test_the_line_is_the_order_of_the_starts(waiting: list[Wanted], running: list[Wanted]) -> None:
    model = Model()
    for number, wanted in enumerate(running):
        one = request_of(900 + number, wanted, NOW)
        if not model.held_up(one):
            model.waiting.append(one)
            model.start(one)
    model.waiting = [
        request_of(number, wanted, NOW + timedelta(seconds=number)) for number, wanted in enumerate(waiting)
    ]
    queue, now = model.queue(), NOW + timedelta(minutes=1)
    found = [one.id for one in line(queue, now)]
    assert sorted(found) == sorted(one.id for one in model.waiting)
    expected = []
    while (following := model.next(now)) is not None:
        model.start(following)
        expected.append(following.id)
    assert found[: len(expected)] == expected


def waiting(number: int, owner: str = "ada", **values: object) -> Waiting:
    given = {"template": "web", "limit": None, "by_machine": False, "requested_at": NOW, **values}
    return Waiting(id=f"dep-{number}", environment_id=f"env-{number}", owner=owner, **given)  # type: ignore[arg-type]


def test_a_machine_gives_way_but_not_for_ever() -> None:
    old, young = NOW - PATIENCE, NOW - PATIENCE + timedelta(seconds=1)
    machine = waiting(1, "clock", by_machine=True, requested_at=young)
    person = waiting(2, "ada", requested_at=NOW)
    assert [one.id for one in starts(Queue(Lane.DEPLOY, (machine, person)), NOW)] == ["dep-2", "dep-1"]
    patient = machine._replace(requested_at=old)
    assert [one.id for one in starts(Queue(Lane.DEPLOY, (patient, person)), NOW)] == ["dep-1", "dep-2"]


def test_limits_of_templates_dont_hold_for_destroys() -> None:
    run = Running("dep-9", "env-9", DeploymentKind.CREATE, "ada", "web", "w", 1.0)
    one = waiting(1, limit=1)
    assert list(starts(Queue(Lane.DEPLOY, (one,), (run,)), NOW)) == []
    assert list(starts(Queue(Lane.DESTROY, (one,), (run,)), NOW)) == [one]
    destroying = run._replace(kind=DeploymentKind.DESTROY)
    assert list(starts(Queue(Lane.DEPLOY, (one,), (destroying,)), NOW)) == [one]
