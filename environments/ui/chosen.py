"""Several environments at once: extend, stop or destroy those that were chosen on the overview."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pydantic import ValidationError
from starlette.responses import Response

from environments.actions.action import Action
from environments.actions.refusal import refusal
from environments.actions.registry import action
from environments.client import Client, Filters
from environments.domain.errors import CalvinverseError, InvalidInput, Unauthenticated
from environments.domain.lifecycle import State
from environments.pages.requests import own_path
from environments.ui.answers import page
from environments.ui.visit import Visit
from environments.wire.environments import EnvironmentView, ExtendRequest

MOST = 200
"""Environments that can be chosen at once."""

EXTEND_BY = "1d"


@dataclass(frozen=True)
class One:
    """An environment that was chosen. `why_not`: one sentence that says why it can't be done; empty: it can."""

    view: EnvironmentView
    why_not: str


@dataclass(frozen=True)
class Result:
    """What became of it. `fault`: one sentence; empty: it was done, or has begun."""

    name: str
    fault: str


def ask(visit: Visit) -> Response:
    """Lists what was chosen, says what can't be done, and asks; with the answer it does it."""
    do = visit.typed("do")
    if do not in _DOING:
        raise InvalidInput("This can't be done to several environments at once.", hint="Go back to the overview.")
    what = action(f"environment.{do}")
    ones = _ones(visit, what)
    able = [one.view for one in ones if not one.why_not]
    fault = None
    if able and visit.typed("confirmed"):
        try:
            _check(visit, do, len(able))
            return _page(visit, "chosen_results.html", what, results=_do(visit, _DOING[do](visit), able), ones=ones)
        except InvalidInput as error:
            fault = error
    status = 200 if fault is None else 400
    return _page(visit, "chosen.html", what, status, ones=ones, able=able, do=do, fault=fault, extend_by=EXTEND_BY)


def _page(visit: Visit, template: str, what: Action, status: int = 200, **values: object) -> Response:
    back = own_path(visit.typed("back", "/"))
    return page(visit, template, status, title=f"{what.title} the chosen environments", what=what, back=back, **values)


def _ones(visit: Visit, what: Action) -> list[One]:
    ids = sorted(set(filter(None, visit.form.get("id", ()))))
    if len(ids) > MOST:
        raise InvalidInput(f"At most {MOST} environments can be chosen at once.")
    if not ids or any("," in id for id in ids):
        return []
    found, _ = visit.client.environments_page(Filters(ids=",".join(ids), ended=True), sort="name", limit=MOST)
    return [One(view, _why_not(visit, what, view)) for view in found]


def _why_not(visit: Visit, what: Action, view: EnvironmentView) -> str:
    if view.state is State.FAILED and what.id == "environment.stop":  # whether a stop failed, lists don't say
        try:
            view = visit.client.environment(f"id:{view.id}")
        except Unauthenticated:
            raise
        except CalvinverseError as error:
            return error.message
    return refusal(what, view) or ""


def _check(visit: Visit, do: str, count: int) -> None:
    """Raises `InvalidInput` unless the number was typed, and if since it was shown it has become another one."""
    if do == "destroy" and visit.typed("count").strip() != str(count):
        raise InvalidInput(f"Type {count}, the number of environments that will be destroyed.")


Doing = Callable[[Client, str], object]


def _extend(visit: Visit) -> Doing:
    try:
        request = ExtendRequest(by=visit.typed("by", EXTEND_BY).strip())
    except ValidationError:
        raise InvalidInput("That isn't a duration.", hint="Give one such as 4h, 1d or 90m.") from None
    return lambda client, name: client.extend(name, request)


def _stop(visit: Visit) -> Doing:
    reason = visit.typed("reason")
    return lambda client, name: client.stop(name, reason)


def _destroy(visit: Visit) -> Doing:
    reason = visit.typed("reason")
    return lambda client, name: client.destroy(name, reason)


_DOING: dict[str, Callable[[Visit], Doing]] = {"extend": _extend, "stop": _stop, "destroy": _destroy}


def _do(visit: Visit, doing: Doing, able: Sequence[EnvironmentView]) -> list[Result]:
    """One by one; what fails for one is told, and the others go on."""
    results: list[Result] = []
    for view in able:
        try:
            doing(visit.client, f"id:{view.id}")
            results.append(Result(view.name, ""))
        except CalvinverseError as error:
            if isinstance(error, Unauthenticated) and not results:
                raise
            results.append(Result(view.name, f"{error.message} {error.hint}".strip()))
        except ValidationError:
            raise InvalidInput("The reason is too long, or holds characters that no text has.") from None
    return results


PAGES = (("POST", "/chosen", ask),)
