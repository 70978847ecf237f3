"""What a forge is told of a preview. Nothing that a stranger wrote is repeated here, and no secret."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from environments.domain.environment import Environment
from environments.domain.lifecycle import ENDED, State
from environments.domain.preview import Preview, Wanted
from environments.service.forges import CommitState

_ADDRESS = re.compile(r"https?://[A-Za-z0-9.-]{1,253}(:[0-9]{1,5})?(/[A-Za-z0-9._~/-]{0,200})?")
_ADDRESS_OUTPUTS = ("url", "address")

_WORKING = {
    State.REQUESTED: "is being made",
    State.DEPLOYING: "is being made",
    State.VALIDATING: "is being checked",
    State.UPDATING: "is being updated",
    State.STOPPING: "is being stopped",
    State.STARTING: "is being started",
}


class Told(NamedTuple):
    """The comment, and the status of the commit."""

    comment: str
    state: CommitState
    status: str
    address: str = ""


def marker(preview: Preview) -> str:
    """What the comment of a preview begins with, so that it is found again; browsers don't show it."""
    return f"<!-- calvinverse:{preview.id} -->"


def told(preview: Preview, environment: Environment | None, address: str, end_at: datetime | None) -> Told:
    """What to tell about a preview whose environment (None: there is none) is as it is now."""
    name = f"`{preview.environment}`"
    command = f"`calvinverse env show {preview.environment}`"
    commit = f" (commit {preview.applied_sha[:10]})" if preview.applied_sha.isalnum() else ""
    if environment is None or environment.state in ENDED:
        if preview.wanted is Wanted.ALIVE and preview.fault:
            text = f"**Preview** {name} can't be made now; `calvinverse preview list` says why. It is tried again."
            return Told(_comment(preview, text), "failure", "The preview can't be made now")
        when = "" if environment is None else _since(environment)
        return Told(_comment(preview, f"**Preview** {name} has ended{when}."), "success", "The preview has ended")
    state, since = environment.state, _since(environment)
    if state is State.DESTROY_FAILED:
        text = f"**Preview** {name} has ended, but something of it is left{since}. It is tried again. {command}"
        return Told(_comment(preview, text), "failure", "Something of the ended preview is left")
    if state is State.DESTROYING or preview.wanted is Wanted.ENDED:
        return Told(_comment(preview, f"**Preview** {name} has ended and is being destroyed."), "pending", "It ends")
    if state is State.FAILED:
        text = f"**Preview** {name} has failed{since}{commit}. {command}"
        return Told(_comment(preview, text), "failure", "The preview has failed")
    if state is State.STOPPED:
        text = f"**Preview** {name} is stopped{since}. `calvinverse env start {preview.environment}`"
        return Told(_comment(preview, text), "success", "The preview is stopped")
    if state in _WORKING:
        working = _WORKING[state]
        return Told(_comment(preview, f"**Preview** {name} {working}{commit}."), "pending", f"The preview {working}")
    end = end_at or environment.deadline
    lives = f" It will be destroyed at {end:%Y-%m-%d %H:%M} UTC." if end is not None else ""
    place = f": {address}" if address else ""
    text = f"**Preview** {name} is ready{place}{commit}.{lives} {command}"
    return Told(_comment(preview, text), "success", "The preview is ready", address)


def address_of(outputs: Mapping[str, Any], entry_points: tuple[str, ...]) -> str:
    """Where the preview is: its first entry point, or what its template gives as `url` or `address`.

    Outputs that are secret aren't looked at, and what isn't plainly an address isn't told.
    """
    found = [outputs.get(name) for name in _ADDRESS_OUTPUTS]
    told = [one.get("value") for one in found if isinstance(one, Mapping) and not one.get("secret")]
    for value in (*entry_points, *told):
        if isinstance(value, str) and _ADDRESS.fullmatch(value):
            return value
    return ""


def _since(environment: Environment) -> str:
    return f" since {environment.state_since:%Y-%m-%d %H:%M} UTC"


def _comment(preview: Preview, text: str) -> str:
    return f"{marker(preview)}\n{text}"
