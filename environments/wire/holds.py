"""Holds in the API."""

from datetime import datetime

from pydantic import Field

from environments.domain.holds import HoldDecision, HoldKind
from environments.wire.fields import Duration, HoldId, Request, Text, View


class HoldView(View):
    """A pause of destroys by the clock. `environments` counts what an open hold holds; `names` has some of them.

    To admins `reason` also says what set the deadlines.

    `decision` None: it is open, and waits for an admin.
    """

    id: HoldId
    kind: HoldKind
    opened_at: datetime
    reason: str
    environments: int
    names: tuple[str, ...] = ()
    decision: HoldDecision | None = None
    decided_at: datetime | None = None
    decided_by: str = ""
    decision_reason: str = ""


class ReleaseHoldRequest(Request):
    """Lets the clock destroy what a hold holds. `reason` is recorded.

    `environments`: how many it held when you looked; with more by now nothing is released.
    """

    reason: Text = Field(min_length=1)
    environments: int | None = Field(default=None, ge=0)


class CancelHoldRequest(Request):
    """Keeps what a hold holds for a duration from now. `reason` is recorded."""

    reason: Text = Field(min_length=1)
    keep_for: Duration = "24h"
