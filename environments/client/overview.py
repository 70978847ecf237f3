"""Calls for overviews: filtered and sorted pages of environments, and counts."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from environments.client.connection import Connection, Query, next_query
from environments.wire.environments import EnvironmentView, OverviewView


@dataclass(frozen=True)
class Filters:
    """Which environments are wanted; what is None, empty or False limits nothing. `q`: a part of the name.

    `states` and `ids` are separated by commas. `attention`: only what a person should look at.
    """

    whose: Literal["mine", "shared"] | None = None
    owner: str | None = None
    states: str = ""
    template: str | None = None
    q: str = ""
    ends_before: datetime | None = None
    attention: bool = False
    ended: bool = False
    ids: str | None = None

    def query(self) -> dict[str, str | bool | None]:
        """As the API takes them."""
        return {
            "whose": self.whose,
            "owner": self.owner or None,
            "state": self.states or None,
            "template": self.template or None,
            "q": self.q or None,
            "ends_before": None if self.ends_before is None else self.ends_before.isoformat(),
            "attention": self.attention or None,
            "ended": self.ended or None,
            "ids": self.ids,
        }


class OverviewCalls(Connection):
    """See `environments.client.Client`."""

    def environments_page(
        self,
        filters: Filters,
        *,
        sort: str = "-created",
        after: str | None = None,
        limit: int = 50,
        outputs: bool = False,
    ) -> tuple[list[EnvironmentView], str | None]:
        """One page, and where the next one begins if there may be one."""
        query: Query = {**filters.query(), "sort": sort, "after": after, "limit": limit, "outputs": outputs or None}
        answer = self._get("/v1/environments", query)
        behind = next_query(answer)
        found = self._read(answer, list[EnvironmentView])
        return found, next(iter(behind.get("after", behind.get("before", ()))), None)

    def overview(self, filters: Filters) -> OverviewView:
        """How many there are."""
        return self._read(self._get("/v1/overview", filters.query()), OverviewView)
