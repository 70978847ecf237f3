"""Previews in the API."""

from datetime import datetime

from environments.domain.lifecycle import State
from environments.domain.preview import Wanted
from environments.wire.fields import ShownName, View


class PreviewView(View):
    """A preview of a pull request. Times are UTC.

    `trigger` is the name of its trigger, empty if that was removed; `state` that of its environment, None if it has
    none. `because` says why it is to be as it is, `fault` what keeps it from being so. `commit` is the one that its
    environment was last made or updated for. `end_at`: when it will be destroyed; `ended_at`: when all of it was over.
    """

    id: str
    trigger: str = ""
    webhook: str
    repository: str
    number: int
    environment: ShownName
    state: State | None = None
    wanted: Wanted
    because: str = ""
    fault: str = ""
    commit: str = ""
    end_at: datetime | None = None
    looked_at: datetime | None = None
    look_at: datetime | None = None
    ended_at: datetime | None = None
