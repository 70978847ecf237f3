"""Which deployment is admitted next: people before machines, owners in turn, limits kept."""

from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from environments.domain.admission import PATIENCE, Lane, Queue, Running, Waiting, line, starts
from environments.domain.lifecycle import DeploymentKind
from tests.support.admission_model import NOW, REQUEST, STEPS, Model, Request, Wanted, request_of


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
