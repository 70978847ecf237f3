"""A process that was paused goes on with a look although another process leads by now, and has looked since."""

from collections.abc import Callable

from environments.domain.preview import Preview
from tests.support.preview_world import PreviewWorld

World = Callable[..., PreviewWorld]


def once(here: PreviewWorld, point: str, meanwhile: Callable[[], None]) -> None:
    """Pauses the next look at a point; `meanwhile` is what happens until it goes on."""

    def reached(now: str) -> None:
        if now == point:
            here.at = lambda point: None
            meanwhile()

    here.at = reached


def looked_at_by_another(here: PreviewWorld) -> Preview:
    """The new leader looks until there is nothing left to do."""
    mine, here.previews = here.previews, here.make()
    here.settle()
    here.previews = mine
    return here.record(12)


def test_what_was_asked_before_it_was_closed_makes_nothing_afterwards(world: World) -> None:
    here = world()
    here.tell(here.forge.open(12))

    def closed() -> None:
        here.tell(here.forge.close(12))
        assert looked_at_by_another(here).closed_at is not None

    once(here, "asked", closed)
    here.settle()
    assert here.living(every=True) == []
    record = here.record(12)
    assert (record.look_at, record.closed_at is None) == (None, False)


def test_an_older_answer_does_not_undo_what_followed_from_a_newer_one(world: World) -> None:
    here = world()
    here.tell(here.forge.open(12, head="a1"))

    def pushed() -> None:
        here.tell(here.forge.push(12, "b2"))
        looked_at_by_another(here)

    once(here, "asked", pushed)
    here.settle()
    [environment] = here.living()
    assert environment.parameters["commit"] == "b2"
    with here.service.database.read() as tx:
        deployments = tx.deployments.of(environment.id)
    assert len(deployments) == 1, "it went back to the older commit in between"
    assert here.made() == 1


def test_a_fault_of_a_look_that_is_too_late_changes_nothing(world: World) -> None:
    here = world()
    here.tell(here.forge.open(12))

    def closed(method: str) -> None:
        here.forge.before = lambda method: None
        here.tell(here.forge.close(12))
        assert looked_at_by_another(here).closed_at is not None
        here.forge.refuses = {"pull_request"}

    here.forge.before = closed
    here.settle()
    assert here.look() == 0, "it is looked at again and again"
    assert here.record(12).closed_at is not None


def test_what_was_to_be_told_before_it_ended_does_not_stay_at_the_forge(world: World) -> None:
    here = world()
    here.tell(here.forge.open(12))
    here.settle()
    here.tell(here.forge.push(12, "b2"))

    def closed(method: str) -> None:
        if method == "put_comment":
            here.forge.before = lambda method: None
            here.tell(here.forge.close(12))
            assert looked_at_by_another(here).closed_at is not None

    here.forge.before = closed
    here.settle()
    [comment] = here.forge.mine(12)
    assert "has ended" in comment
    assert {state for state, _, _ in here.forge.statuses.values()} == {"success"}
    assert here.record(12).closed_at is not None


def test_of_two_comments_that_were_made_at_once_one_stays(world: World) -> None:
    here = world()
    here.tell(here.forge.open(12))
    put_comment = here.forge.put_comment

    def late(repository: str, number: int, comment_id: str, text: str, marker: str) -> str:
        here.forge.put_comment = put_comment  # type: ignore[method-assign]
        looked_at_by_another(here)
        here.forge.comments["late"] = (number, here.forge.account(), text)  # it had looked for one before
        return "late"

    here.forge.put_comment = late  # type: ignore[method-assign]
    here.settle()
    [comment] = here.forge.mine(12)
    assert "is ready" in comment
    assert "late" not in here.forge.comments
    here.tell(here.forge.close(12))
    here.settle()
    [comment] = here.forge.mine(12)
    assert "has ended" in comment
