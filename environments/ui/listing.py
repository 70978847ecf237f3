"""Pages that list things, and pages that tell all of one thing: the same look for each kind."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar
from urllib.parse import quote, urlencode

from starlette.responses import Response

from environments.actions.registry import action
from environments.ui.answers import page
from environments.ui.paths import part
from environments.ui.visit import Visit
from environments.words import Mood, Sign

T = TypeVar("T")


@dataclass(frozen=True)
class Link:
    """A text that leads to a page of ours."""

    text: str
    path: str


@dataclass(frozen=True)
class At:
    """A moment that leads to a page of ours."""

    at: datetime
    path: str


@dataclass(frozen=True)
class Code:
    """A text to be copied, or one that a machine wrote."""

    text: str


Cell = str | int | datetime | Sign | Link | At | Code | None
"""What a cell of a table shows; None: nothing."""


@dataclass(frozen=True)
class Column(Generic[T]):
    """A column: its title, and what it shows of a thing."""

    title: str
    cell: Callable[[T], Cell]


@dataclass(frozen=True)
class Button:
    """Leads to the page of an action. `why_not`: one sentence that says why it can't be done; empty: it can."""

    title: str
    path: str
    why_not: str = ""
    danger: bool = False


@dataclass(frozen=True)
class Table:
    """Rows of cells below titles; `none`: what is said where there are no rows; `more`: leads to what isn't shown."""

    titles: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    none: str
    caption: str = ""
    more: Link | None = None


@dataclass(frozen=True)
class Facts:
    """What is known of one thing, line by line; lines of which nothing is known are left out."""

    lines: Sequence[tuple[str, Cell]]
    caption: str = ""


@dataclass(frozen=True)
class Text:
    """Lines that somebody or some machine wrote, as they are."""

    text: str
    caption: str = ""


@dataclass(frozen=True)
class Document:
    """HTML that `environments.ui.documents` has made."""

    html: str
    caption: str = ""


@dataclass(frozen=True)
class Choice:
    """A filter: the name of its value in the address, its label, and what can be chosen; none: any text."""

    name: str
    label: str
    options: Sequence[tuple[str, str]] = ()


Section = Table | Facts | Text | Document


def place(*parts: str, **query: str) -> str:
    """The address of a page of ours: names of people, groups and owners may hold anything. The first is the room's."""
    room, *names = parts
    path = f"/{room}" + "".join(f"/{quote(part(one), safe=':')}" for one in names)
    return f"{path}?{urlencode(query)}" if query else path


def to_environment(name: str) -> Link | None:
    """Leads to an environment; nothing for no name."""
    return Link(name, place("environments", name)) if name else None


def sign(word: str, mood: Mood = "plain", glyph: str = "·") -> Sign:
    """A word with a colour."""
    return Sign(glyph, word, mood)


def active(is_active: bool) -> Sign:
    """Whether somebody, or an account, may sign in."""
    return sign("active", "good", "●") if is_active else sign("disabled", "gone", "○")


def admins_only(visit: Visit) -> str:
    """Why a button isn't for the reader; empty for admins."""
    return "" if visit.me.role == "admin" else "only admins may."


def table(
    columns: Sequence[Column[T]], things: Iterable[T], none: str, caption: str = "", more: Link | None = None
) -> Table:
    """A table of things."""
    rows = [[column.cell(thing) for column in columns] for thing in things]
    return Table([column.title for column in columns], rows, none, caption, more)


def given(visit: Visit, filters: Sequence[Choice]) -> dict[str, str | None]:
    """What the address says for each filter; None: nothing."""
    return {choice.name: visit.asked(choice.name).strip() or None for choice in filters}


def told(
    visit: Visit,
    title: str,
    sections: Sequence[Section],
    *,
    intro: str = "",
    up: Link | None = None,
    buttons: Sequence[Button] = (),
    filters: Sequence[Choice] = (),
    beside: Sequence[Link] = (),
    more: str = "",
    status: int = 200,
    **values: Any,
) -> Response:
    """A page of sections. `up`: where it belongs to; `beside`: pages of the same room; `more`: the next page's address.

    After an action its title is told: the address says which one it was.
    """
    return page(
        visit,
        "told.html",
        status,
        title=title,
        sections=sections,
        intro=intro,
        up=up,
        buttons=buttons,
        filters=filters,
        beside=beside,
        more=more,
        done=_done(visit),
        **values,
    )


def _done(visit: Visit) -> str:
    """What was done just now, by the id in the address; empty for none, and for an id that isn't one."""
    try:
        return action(visit.asked("done")).title
    except KeyError:
        return ""
