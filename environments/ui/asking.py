"""Pages of actions: what will happen, the fields, and a button. An error leaves all that was typed in its fields."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from pydantic import ValidationError
from starlette.responses import Response

from environments.actions.registry import action
from environments.domain.errors import CalvinverseError, InvalidInput, Unauthenticated
from environments.domain.reasons import reason
from environments.ui.answers import go, page
from environments.ui.faults import status_of
from environments.ui.listing import Section
from environments.ui.visit import BEFORE, SECRET, Visit
from environments.wire.timing import RuleCheckView


@dataclass(frozen=True)
class Field:
    """A field of a form. `kind`: `text`, `number`, `lines` (many lines), `choice`, `check`, `secret` or `hidden`.

    `options` are value and words of a choice. `typed`: what has to be typed, letter by letter, so that nothing is done
    by mistake. The name of a secret begins with `SECRET`, so that no page repeats what was typed. `rules`: what will
    become of the rules that stand in it; None: it isn't for rules.
    """

    name: str
    label: str = ""
    kind: str = "text"
    value: str = ""
    help: str = ""
    options: Sequence[tuple[str, str]] = ()
    required: bool = False
    typed: str = ""
    rules: Sequence[RuleCheckView] | None = None

    def __post_init__(self) -> None:
        if (self.kind == "secret") != self.name.startswith(SECRET):
            raise ValueError(f"{self.name}: the names of secrets, and no others, begin with {SECRET!r}")

    @property
    def before(self) -> str:
        """The mark of a secret that was typed, and isn't on the page any more."""
        return BEFORE + self.name.removeprefix(SECRET)


@dataclass(frozen=True)
class Ask:
    """A page that asks for what an action needs. `id`: the action's. `says`: sentences on what will happen.

    `sections`: what to know before. `back`: where one goes instead, and afterwards. `refused`: why it isn't possible
    now, as far as is known; the service decides. `look`: the title of a second button, which only shows the page anew.
    """

    id: str
    title: str
    says: Sequence[str]
    back: str
    fields: Sequence[Field] = ()
    button: str = ""
    danger: bool = False
    sections: Sequence[Section] = field(default=())
    refused: str = ""
    look: str = ""


LOOK = "look"
"""The field of the second button."""

Asking = Callable[[Visit], Ask]
Doing = Callable[[Visit], str | Response | None]
"""Does it; where to go on instead of the way back, or the page with the answer."""


def pages_of(path: str, asking: Asking, doing: Doing) -> tuple[tuple[str, str, Callable[[Visit], Response]], ...]:
    """The two routes of an action: GET asks, POST does."""

    def show(visit: Visit) -> Response:
        return _page(visit, asking(visit))

    def do(visit: Visit) -> Response:
        ask = asking(visit)
        if ask.look and visit.typed(LOOK):
            return _page(visit, ask)
        try:
            _check(visit, ask)
            answer = doing(visit)
        except Unauthenticated:
            raise
        except ValidationError as fault:
            return _page(visit, ask, _unfit(fault, ask))
        except CalvinverseError as error:
            return _page(visit, ask, error)
        if isinstance(answer, Response):
            return answer
        way = answer or ask.back
        return go(f"{way}{'&' if '?' in way else '?'}done={ask.id}")

    return (("GET", path, show), ("POST", path, do))


def shown_once(visit: Visit, title: str, says: Sequence[str], secret: str, back: str) -> Response:
    """The page with a secret that nobody sees again; it isn't stored anywhere, not by the browser either."""
    return page(visit, "once.html", title=title, says=says, secret=secret, back=back)


def _page(visit: Visit, ask: Ask, error: CalvinverseError | None = None) -> Response:
    status = 200 if error is None else status_of(error)
    title = ask.title or action(ask.id).title
    return page(visit, "ask.html", status, ask=ask, title=title, sections=ask.sections, error=error, done="")


def _unfit(fault: ValidationError, ask: Ask) -> InvalidInput:
    """What doesn't fit, with the labels of the fields."""
    labels = {one.name.removeprefix(SECRET): one.label for one in ask.fields}
    first = fault.errors(include_url=False, include_input=False)[0]
    name = str(first["loc"][0]) if first["loc"] else ""
    return InvalidInput(
        f"{labels.get(name, name)}: {reason(first).rstrip('.')}.", hint="Correct it, and send it again."
    )


def _check(visit: Visit, ask: Ask) -> None:
    """Raises `InvalidInput`."""
    for one in ask.fields:
        given = visit.typed(one.name)
        if one.typed and given != one.typed:
            raise InvalidInput(
                f"{one.label}: this isn't {one.typed!r}, and nothing was done.", hint="Type it as shown."
            )
        if one.kind == "secret" and not given and visit.typed(one.before):
            raise InvalidInput(
                f"{one.label}: you typed it before, and no page keeps it.",
                hint="Type it again; to leave it empty, open the page anew.",
            )
        if one.required and not given.strip():
            raise InvalidInput(f"{one.label} is missing.", hint="Fill it in, and send the form again.")
