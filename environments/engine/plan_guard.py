"""Checks that a deployment does what its saved plan shows. A step that would do anything else doesn't start."""

from collections.abc import Iterable, Sequence, Set

from environments.domain.errors import PlanStale
from environments.domain.plan import Action, Change, Plan
from environments.engine.history import OUTDATED

_DONE = {
    Action.CREATE: "created",
    Action.CHANGE: "changed",
    Action.REPLACE: "replaced",
    Action.DESTROY: "destroyed",
}

_MAKES = frozenset({Action.CREATE, Action.REPLACE})


class PlanGuard:
    """Compares a saved plan with what each step would do now."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan

    def decides(self, step: str) -> bool:
        """Whether the plan shows what the step does; False if it is decided later."""
        shown = self._plan.step(step)
        return shown is None or not shown.deferred

    def check_step(self, step: str, now: Sequence[Change], shared: Set[tuple[str, str]], *, resumed: bool) -> None:
        """Raises `PlanStale` unless the changes of a step are those of the plan.

        `resumed`: an earlier attempt may have made some of the changes; the remaining ones must be in the plan.
        Resources that several steps of the plan change are left out, because the first of these steps has changed them
        already. If the plan decides another step later, resources that the step shares (`shared`: kind and address) are
        left out too.
        """
        elsewhere = {_place(change) for other in self._plan.steps if other.step != step for change in other.changes}
        if any(other.deferred for other in self._plan.steps if other.step != step):
            elsewhere |= shared
        shown = self._plan.step(step)
        saved = _by_place(change for change in (shown.changes if shown else ()) if change.fingerprint != OUTDATED)
        found = _by_place(now)
        for place in elsewhere & {*saved, *found}:
            saved.pop(place, None)
            found.pop(place, None)
        moved = [
            *(_unexpected(change) for place, change in found.items() if place not in saved),
            *(
                f"{change.kind} {change.address} isn't as it was when the plan was made"
                for place, change in found.items()
                if place in saved and not _fits(saved[place], change, resumed=resumed)
            ),
        ]
        if not resumed:
            moved += [
                f"{change.kind} {change.address} was to be {_DONE[change.action]}, and needs nothing now"
                for place, change in saved.items()
                if place not in found
            ]
        self._refuse(step, moved)

    def check_removal(self, step: str, now: Sequence[Change]) -> None:
        """Raises `PlanStale` if something would be removed that the plan doesn't show; removing less is fine."""
        if any(plan.deferred for plan in self._plan.steps):
            return  # the plan decides later which resources are obsolete
        shown = self._plan.step(step)
        saved = {_place(change) for change in (shown.changes if shown else ())}
        self._refuse(step, [_unexpected(change) for change in now if _place(change) not in saved])

    def _refuse(self, step: str, moved: Sequence[str]) -> None:
        if moved:
            raise PlanStale(
                f"The plan {self._plan.id} no longer fits at step {step!r}: {'; '.join(moved)}.",
                details={"moved": list(moved)},
            )


def _place(change: Change) -> tuple[str, str]:
    return change.kind, change.address


def _by_place(changes: Iterable[Change]) -> dict[tuple[str, str], Change]:
    return {_place(change): change for change in changes}


def _fits(saved: Change, now: Change, *, resumed: bool) -> bool:
    if (saved.action, saved.fingerprint) == (now.action, now.fingerprint):
        return True
    # An earlier attempt may have done half: it created a resource, which must now be changed, or changed one.
    half = saved.action is now.action or (saved.action in _MAKES and now.action is not Action.DESTROY)
    return resumed and half


def _unexpected(change: Change) -> str:
    return f"{change.kind} {change.address} would be {_DONE[change.action]} now"
