"""Whether a request to create would be taken, without creating: for forms, while somebody fills them in."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from environments.domain.commands import CreateEnvironment
from environments.domain.errors import (
    CalvinverseError,
    InvalidInput,
    InvalidName,
    InvalidParameters,
    NameTaken,
)
from environments.service.authorization import Principal
from environments.service.checking import Checks, Verdicts
from environments.service.drafting import Draft, new_environment
from environments.service.storage.transaction import Storage

_NO_TIMES = {"ttl": None, "until": None, "rules": ()}


@dataclass(frozen=True)
class Foreseen:
    """What a request to create would come to: what is wrong with it, and when the environment would be destroyed."""

    problems: tuple[CalvinverseError, ...]
    deadline: datetime | None = None


def foresee(
    storage: Storage,
    checks: Checks,
    new_id: Callable[[str], str],
    now: datetime,
    principal: Principal,
    request: CreateEnvironment,
) -> Foreseen:
    """What would come of a request: a name, parameters and times that aren't possible are found side by side.

    Raises what else the request would: `Forbidden`, `UnknownTemplate`, and what `Checks` raise.
    """
    verdicts = Verdicts(checks, principal.owner)

    def draft(asked: CreateEnvironment) -> Draft:
        with storage.read() as tx:
            return new_environment(tx, principal, asked, new_id("env"), now, verdicts)

    problems: list[CalvinverseError] = []
    for asked in _simpler(request, f"check-{new_id('env').removeprefix('env-')}", problems):
        try:
            made = verdicts.settle(partial(draft, asked))
        except (InvalidInput, NameTaken) as error:
            problems.append(error)
        else:
            return Foreseen(tuple(problems), made.environment.deadline)
    return Foreseen(tuple(problems))


def _simpler(request: CreateEnvironment, free: str, problems: list[CalvinverseError]) -> Iterable[CreateEnvironment]:
    """The request, and then without what was found to be wrong with it, as long as that leads further."""
    yield request
    told = 0
    while len(problems) > told:
        told = len(problems)
        newest = problems[-1]
        if isinstance(newest, InvalidName | NameTaken) and request.name != free:
            request = request.model_copy(update={"name": free})
        elif isinstance(newest, InvalidParameters) or not (request.ttl or request.until or request.rules):
            return
        else:
            request = request.model_copy(update=_NO_TIMES)
        yield request
