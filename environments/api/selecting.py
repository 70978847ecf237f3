"""Query parameters that select environments for a list."""

from typing import Annotated

from fastapi import Depends, Query

from environments.domain.errors import InvalidInput
from environments.domain.lifecycle import ENDED, State
from environments.domain.suggesting import told
from environments.service.selection import Selection
from environments.service.standing import Whose
from environments.wire.fields import Moment

MOST_IDS = 200
_LONGEST_IDS = 50 * MOST_IDS
_LONGEST_STATES = 500


async def _selection(
    ended: Annotated[bool, Query(description="Also those that are destroyed or abandoned.")] = False,
    owner: Annotated[str | None, Query(description="Only this owner's.")] = None,
    state: Annotated[
        str,
        Query(
            max_length=_LONGEST_STATES,
            description="Only those in one of these states, separated by commas; ended ones need no `ended`.",
        ),
    ] = "",
    template: Annotated[str | None, Query(max_length=200, description="Only those made from this template.")] = None,
    q: Annotated[str, Query(max_length=200, description="Only those whose names contain this.")] = "",
    ends_before: Annotated[Moment | None, Query(description="Only those whose deadline is before this moment.")] = None,
    attention: Annotated[
        bool,
        Query(
            description="Only those that a person should look at: failed, degraded, drifted, awaiting promotion, held."
        ),
    ] = False,
    ids: Annotated[
        str | None,
        Query(max_length=_LONGEST_IDS, description=f"Only these, at most {MOST_IDS} ids separated by commas."),
    ] = None,
) -> Selection:
    # Async: FastAPI would call it in a thread.
    states = _states(state)
    return Selection(
        owner=owner,
        ended=ended or bool(states & ENDED),
        ids=None if ids is None else _ids(ids),
        states=states,
        template=template,
        name=q.lower(),
        due=ends_before,
        attention=attention,
    )


Selected = Annotated[Selection, Depends(_selection)]
WhoseEnvironments = Annotated[
    Whose | None, Query(description="Only what the caller owns (`mine`), or what others share with them.")
]


def _states(text: str) -> frozenset[State]:
    found = set()
    known = [state.value for state in State]
    for name in filter(None, text.split(",")):
        if name not in known:
            raise InvalidInput(
                told(f"There is no state {name[:40]!r}.", name, known), hint=f"There are {', '.join(known)}."
            )
        found.add(State(name))
    return frozenset(found)


def _ids(text: str) -> frozenset[str]:
    found = frozenset(filter(None, text.split(",")))
    if len(found) > MOST_IDS:
        raise InvalidInput(f"At most {MOST_IDS} ids can be asked for at once.")
    return found
