"""What the overview's address says: filters, order and place. Whatever else stands there is left out."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, cast
from urllib.parse import urlencode

from environments.client import Filters
from environments.domain.lifecycle import State
from environments.ui.visit import Visit

SORTS = {"name": "name", "state": "state", "age": "-created", "left": "deadline"}
"""What a column is sorted by at first; a minus in front of its name reverses that."""

ENDS = {"1h": ("an hour", timedelta(hours=1)), "1d": ("a day", timedelta(days=1)), "7d": ("a week", timedelta(days=7))}
WHOSE = {"mine": "mine", "shared": "shared with me"}

_LONGEST = 200


@dataclass(frozen=True)
class Asked:
    """What is asked for; an empty text limits nothing. `needs`: `me` for what a person should look at of their own."""

    whose: str = ""
    needs: str = ""
    ends: str = ""
    state: str = ""
    owner: str = ""
    template: str = ""
    q: str = ""
    ended: str = ""
    sort: str = ""

    def filters(self, now: datetime, ids: str | None = None) -> Filters:
        """As the service takes them."""
        whose = "mine" if self.needs else self.whose or None
        return Filters(
            whose=cast(Literal["mine", "shared"] | None, whose),
            owner=self.owner or None,
            states=self.state,
            template=self.template or None,
            q=self.q,
            ends_before=now + ENDS[self.ends][1] if self.ends else None,
            attention=bool(self.needs),
            ended=bool(self.ended),
            ids=ids,
        )

    def order(self) -> str:
        """As the service takes it."""
        order = SORTS[self.sort.removeprefix("-") or "age"]
        return _other_way(order) if self.sort.startswith("-") else order

    def reversed(self) -> str:
        """The same order, the other way round."""
        return _other_way(self.order())

    def link(self, path: str = "/", **changed: str) -> str:
        """The address of the overview with these filters, some of them changed."""
        given = {name: value for name, value in {**vars(self), **changed}.items() if value}
        return f"{path}?{urlencode(given)}" if given else path

    def by(self, column: str) -> str:
        """The order that a click on a column leads to."""
        return f"-{column}" if (self.sort or "age") == column else column

    def sorted_as(self, column: str) -> str:
        """For `aria-sort`."""
        if (self.sort or "age").removeprefix("-") != column:
            return "none"
        return "descending" if self.sort.startswith("-") else "ascending"

    @property
    def narrow(self) -> bool:
        """Whether there is any filter."""
        return any(value for name, value in vars(self).items() if name != "sort")

    @property
    def comes_and_goes(self) -> bool:
        """Whether a change of its state can bring an environment into the list."""
        return bool(self.needs or self.state)


def _other_way(order: str) -> str:
    return order.removeprefix("-") if order.startswith("-") else f"-{order}"


def asked(visit: Visit) -> Asked:
    """What the address says."""

    def one_of(name: str, known: object) -> str:
        value = visit.asked(name)
        return value if value in known else ""  # type: ignore[operator]

    def text(name: str) -> str:
        return visit.asked(name).strip()[:_LONGEST]

    states = [value for value in visit.asked("state").split(",") if value in {state.value for state in State}]
    return Asked(
        whose=one_of("whose", WHOSE),
        needs=one_of("needs", {"me"}),
        ends=one_of("ends", ENDS),
        state=",".join(dict.fromkeys(states)),
        owner=text("owner"),
        template=text("template"),
        q=text("q"),
        ended=one_of("ended", {"1"}),
        sort=one_of("sort", {*SORTS, *(f"-{name}" for name in SORTS)}),
    )
