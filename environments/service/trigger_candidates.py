"""Triggers and environments that somebody sees, and what each trigger would do to each of them because of an event."""

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from environments.domain.environment import Environment
from environments.domain.errors import CalvinverseError, InvalidInput
from environments.domain.lifecycle import ENDED
from environments.domain.names import META, check_environment_name
from environments.domain.received_event import NewReceivedEvent
from environments.domain.template_parts import Template
from environments.domain.trigger import PlacedTrigger, Trigger, TriggerAction, of_template
from environments.domain.trigger_rules import MAKES
from environments.service.authorization import Principal, access_of, check_create, check_template_name
from environments.service.deadlines import read_template
from environments.service.drafting import check_name_free
from environments.service.matching import Hit, MatchingReading, Miss, TriggerIndex
from environments.service.roles import ON_ENVIRONMENTS
from environments.service.storage.transaction import Transaction
from environments.service.trigger_checks import TAKES
from environments.service.trigger_effects import LeftOut, there_already
from environments.service.trigger_owners import Actors
from environments.service.webhook_using import check_use

MOST_ENVIRONMENTS = 2000
MOST_JUDGED = 50_000
"""Pairs of a trigger and an environment that one test looks at."""


class Judged(NamedTuple):
    """What a trigger would do, or why it would do nothing: `reason`, which for a hit says why it would be refused.

    `environment` None: it concerns none, or every one. `name`: what a new one would be called.
    """

    trigger: PlacedTrigger
    environment: Environment | None
    hit: bool
    reason: str = ""
    name: str = ""


class Candidates:
    """See the module. `only`: nothing is said of other environments."""

    def __init__(self, tx: Transaction, principal: Principal, now: datetime, only: Environment | None = None) -> None:
        self._tx = tx
        self._principal = principal
        self._now = now
        self._matching = MatchingReading(tx, TriggerIndex())
        self._only = only
        self._actors = Actors(tx, now)
        self._templates: dict[str, Template | None] = {}
        self._environments = _living(tx, principal) if only is None else [only] if _lives(only) else []
        self._by_id = {one.id: one for one in self._environments}

    def judge(self, event: NewReceivedEvent) -> Iterator[Judged]:
        """Each trigger with each environment that it could act on. Raises `InvalidInput` for too many."""
        looked = 0
        for trigger in self._triggers():
            for target in self._targets(trigger):
                looked += 1
                if looked > MOST_JUDGED:
                    raise InvalidInput(
                        f"There are more than {MOST_JUDGED} pairs of a trigger and an environment to look at.",
                        hint="Say which environment: `calvinverse trigger test FILE --env NAME`.",
                    )
                yield self._judged(trigger, target, event)

    def _triggers(self) -> Iterator[PlacedTrigger]:
        tx, principal = self._tx, self._principal
        owners = None if principal.sight.unlimited else {principal.owner}
        placed = {one.id: one for one in tx.triggers.active()}
        placed |= {one.id: one for one in tx.triggers.all(owners=owners)}  # also paused ones
        for one in placed.values():
            if one.environment_id is not None:
                if one.environment_id in self._by_id:
                    yield one
            elif self._only is not None and one.definition.action in MAKES:
                continue
            elif owners is None or (one.owner in owners and not principal.limited):
                yield one
        for environment in self._environments:
            template = self._template(environment)
            for own in template.triggers if template is not None else ():
                yield of_template(environment.template, own, environment.owner, environment.id)

    def _targets(self, trigger: PlacedTrigger) -> Iterator[Environment | None]:
        definition = trigger.definition
        if trigger.environment_id is not None:
            yield self._by_id[trigger.environment_id]
        elif definition.action in MAKES:
            yield None
        else:
            for one in self._environments:
                if one.owner == trigger.owner and definition.template in ("", one.template):
                    yield one

    def _judged(self, trigger: PlacedTrigger, target: Environment | None, event: NewReceivedEvent) -> Judged:
        def missed(reason: str) -> Judged:
            return Judged(trigger, target, hit=False, reason=reason)

        if trigger.paused:
            return missed("it is paused")
        found = self._matching.judge_on(trigger, trigger.owner, target, event, self._now)
        if isinstance(found, Miss):
            return missed(found.reason)
        actor = self._actors.of(trigger)
        refusal = actor if isinstance(actor, str) else found.refused or self._refusal(actor, found, event)
        return Judged(trigger, target, hit=True, reason=refusal.rstrip("."), name=found.name)

    def _refusal(self, actor: Principal, hit: Hit, event: NewReceivedEvent) -> str:
        """Why nothing would be done: the owner's rights don't suffice, or the name is taken. Empty: it would be."""
        definition, target = hit.trigger.definition, hit.environment
        try:
            check_use(self._tx, actor, definition, event)
            if target is None:
                return self._why_not_made(actor, definition, hit.name)
        except CalvinverseError as error:
            return error.message
        role = access_of(self._tx, actor, target).role
        needed = ON_ENVIRONMENTS[TAKES[definition.action]]
        if role is None:
            return f"{actor.owner} doesn't see {target.name}"
        if not role.covers(needed):
            return (
                f"{actor.owner} is {role.value} of {target.name}, and to {definition.action.value} takes {needed.value}"
            )
        return ""

    def _why_not_made(self, actor: Principal, definition: Trigger, name: str) -> str:
        """Likewise, for a new environment. Raises `Forbidden`, `InvalidName`, `NameTaken`."""
        found = self._tx.templates.find(definition.template, None)
        bundle = None if found is None else self._tx.templates.bundle(found.digest)
        check_template_name(actor, definition.template)
        if bundle is None:
            return f"there is no template {definition.template!r}"
        check_create(self._tx, actor, bundle.template())
        if definition.action is not TriggerAction.CREATE:
            return ""
        check_environment_name(name, reserved_allowed=definition.template == META == name)
        there = there_already(self._tx, actor, definition, name)
        if there is None:
            check_name_free(self._tx, actor, name)
        # What waits until the name is free is created in the end.
        return f"nothing is created: {there.why}" if isinstance(there, LeftOut) else ""

    def _template(self, environment: Environment) -> Template | None:
        if environment.bundle not in self._templates:
            self._templates[environment.bundle] = read_template(self._tx, environment)
        return self._templates[environment.bundle]


def _living(tx: Transaction, principal: Principal) -> list[Environment]:
    """Environments that the principal sees and that triggers can act on. Raises `InvalidInput` for too many."""
    found: list[Environment] = []
    before: str | None = None
    while True:
        page = tx.environments.all(sight=principal.sight, limit=1000, before=before)
        found += filter(_lives, page)
        if len(found) > MOST_ENVIRONMENTS:
            raise InvalidInput(
                f"You see more than {MOST_ENVIRONMENTS} environments.",
                hint="Say which one you mean: `calvinverse trigger test FILE --env NAME`.",
            )
        if not page or not (page.more or len(page) == 1000):
            return found
        before = page[-1].id


def _lives(environment: Environment) -> bool:
    return environment.managed_by is None and environment.state not in ENDED
