"""Use cases of triggers: set, change, pause, remove, list and show them.

A trigger acts for whoever set it, so only they choose what it does. It may do no more than they may: their rights are
checked when it is set, with the limits of their token, and again each time it fires. Who may change triggers on an
environment may also pause and remove those of others there.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from environments.domain.environment import Environment
from environments.domain.errors import Forbidden, NameTaken, NotAllowedNow, NotFound
from environments.domain.lifecycle import ENDED
from environments.domain.trigger import Firing, PlacedTrigger, Trigger, TriggerAction, of_template
from environments.domain.trigger_file import check_definition
from environments.domain.trigger_rules import Place
from environments.service.authorization import Action, Principal, environment_to_change, environment_to_read, may, sees
from environments.service.deadlines import read_template
from environments.service.firing_sight import firings_in_sight
from environments.service.pages import Page
from environments.service.storage.transaction import Storage, Transaction
from environments.service.trigger_checks import (
    check_limits,
    check_rights_alone,
    check_rights_on,
    check_sources,
    check_token,
)
from environments.service.trigger_owners import Actors
from environments.service.webhook_checks import forge_of
from environments.service.webhook_using import check_setting

MOST_OF_OWNER = 100
"""Triggers that act for one owner."""

MOST_ON_ENVIRONMENT = 20
"""Triggers that stand on one environment, beside those of its template."""

SHOWN_FIRINGS = 20
"""Firings that are shown with a trigger."""

_LIST = "See `calvinverse trigger list`."


@dataclass(frozen=True)
class TriggerDetails:
    """A trigger, the name of the environment that it stands on, and its newest firings that the caller sees.

    `stopped`: why it does nothing now, because its owner may do nothing any more.
    """

    trigger: PlacedTrigger
    environment: str = ""
    stopped: str = ""
    firings: Sequence[Firing] = ()


class Triggers:
    """See the module. Admins and auditors see all triggers; others theirs, and those on environments that they see."""

    def __init__(self, storage: Storage, clock: Callable[[], datetime], new_id: Callable[[str], str]) -> None:
        self._storage = storage
        self._clock = clock
        self._new_id = new_id

    def all(self, principal: Principal, *, limit: int | None = None, before: str | None = None) -> Page[TriggerDetails]:
        """Newest first; to others than admins and auditors those that act for them. Raises `NotFound` for `before`."""
        owners = None if principal.sight.unlimited else {principal.owner}
        with self._storage.read() as tx:
            found = tx.triggers.all(owners=owners, limit=limit, before=before)
            seen = [(one, environment) for one in found if (environment := _where(tx, principal, one)) is not None]
            more = found.more or len(found) == limit  # what isn't seen counts for the page, too
            actors = Actors(tx, self._clock())
            shown = [TriggerDetails(one, environment, actors.why_stopped(one)) for one, environment in seen]
            return Page(shown, more=more)

    def on_environment(self, principal: Principal, name: str) -> list[TriggerDetails]:
        """Those that stand on an environment, and in its template. Raises `UnknownEnvironment`."""
        with self._storage.read() as tx:
            environment = environment_to_read(tx, principal, name)
            may(tx, principal, Action.ENVIRONMENT_READ, environment)
            own = tx.triggers.all(environment_id=environment.id)
            placed = [*_of_template(tx, environment), *sorted(own, key=lambda one: one.name)]
            actors = Actors(tx, self._clock())
            return [TriggerDetails(one, environment.name, actors.why_stopped(one)) for one in placed]

    def one(self, principal: Principal, trigger_id: str) -> TriggerDetails:
        """One trigger with what it did last. Raises `NotFound`, also for one that the principal may not see."""
        with self._storage.read() as tx:
            trigger, environment = _seen(tx, principal, trigger_id)
            firings = tx.firings.of_trigger(trigger.id, limit=10 * SHOWN_FIRINGS)
            shown = firings_in_sight(tx, principal, firings)[:SHOWN_FIRINGS]
            return self._details(tx, trigger, environment, shown)

    def set(
        self, principal: Principal, definition: Mapping[str, Any], environment: str | None = None
    ) -> TriggerDetails:
        """A new trigger, alone or on an environment, which acts for the principal.

        Raises `InvalidTrigger`, `Forbidden`, `UnknownEnvironment`, `NotAllowedNow`, and `NameTaken`, whose
        `details["trigger"]` is the id of the one that has the name, if the principal sees that.
        """
        with self._storage.write() as tx:
            target = None if environment is None else environment_to_change(tx, principal, environment)
            trigger = self._checked(tx, principal, definition, target)
            _check_room(tx, principal, trigger, target)
            _check_status_name(tx, principal, trigger)
            placed = PlacedTrigger(
                id=self._new_id("trg"),
                name=trigger.name,
                owner=principal.owner,
                definition=trigger,
                environment_id=None if target is None else target.id,
                created_by=principal.owner,
                created_at=self._clock(),
            )
            tx.triggers.add(placed)
            _note(tx, placed, after=_told(placed))
            return self._details(tx, placed, "" if target is None else target.name)

    def change(
        self,
        principal: Principal,
        trigger_id: str,
        definition: Mapping[str, Any] | None = None,
        paused: bool | None = None,
    ) -> TriggerDetails:
        """Replaces a definition (its owner does), or pauses or resumes the trigger.

        Raises `InvalidTrigger`, `Forbidden`, `NotFound`, `NotAllowedNow`, `NameTaken`.
        """
        with self._storage.write() as tx:
            trigger, environment = _seen(tx, principal, trigger_id)
            target = _target(tx, trigger)
            changes: dict[str, Any] = {}
            _authorize(tx, principal, trigger, target)
            if definition is not None:
                _check_owner(principal, trigger, "says what it does")
                new = self._checked(tx, principal, definition, target)
                if new.name != trigger.name:
                    _check_name(tx, principal, new.name, target)
                if _told_as(tx, new) != _told_as(tx, trigger.definition):
                    _check_status_name(tx, principal, new)
                changes |= {"definition": new, "name": new.name}
            if paused is not None:
                if not paused:
                    if principal.role != "admin":
                        _check_owner(principal, trigger, "or an admin resumes it")
                    check_token(principal, trigger.definition, target)
                changes["paused"] = paused
            if not changes:
                return self._details(tx, trigger, environment)
            tx.triggers.change(trigger.id, **changes)
            changed = trigger.model_copy(update=changes)
            _note(tx, changed, before=_told(trigger), after=_told(changed))
            return self._details(tx, changed, environment)

    def remove(self, principal: Principal, trigger_id: str) -> TriggerDetails:
        """Removes a trigger; what it has begun goes on. Raises `Forbidden`, `NotFound`."""
        with self._storage.write() as tx:
            trigger, environment = _seen(tx, principal, trigger_id)
            _authorize(tx, principal, trigger, _target(tx, trigger))
            tx.triggers.remove(trigger.id)
            _note(tx, trigger, before=_told(trigger))
            return self._details(tx, trigger, environment)

    def _details(
        self, tx: Transaction, trigger: PlacedTrigger, environment: str, firings: Sequence[Firing] = ()
    ) -> TriggerDetails:
        return TriggerDetails(trigger, environment, Actors(tx, self._clock()).why_stopped(trigger), firings)

    def _checked(
        self, tx: Transaction, principal: Principal, definition: Mapping[str, Any], target: Environment | None
    ) -> Trigger:
        """The trigger that may stand there and that the principal may set; the role refuses before all else."""
        if target is None:
            may(tx, principal, Action.TRIGGER_MANAGE)
            trigger = check_definition(definition, Place.ALONE)
            check_limits(principal, trigger)
            check_rights_alone(tx, principal, trigger)
        else:
            may(tx, principal, Action.ENVIRONMENT_TRIGGERS, target)
            if target.state in ENDED:
                raise NotAllowedNow(f"Environment {target.name!r} is {target.state.value}.")
            trigger = check_definition(definition, Place.ENVIRONMENT)
            check_rights_on(tx, principal, trigger, target)
        check_sources(tx, principal, trigger, target)
        check_setting(tx, principal, trigger, self._clock())
        return trigger


def _where(tx: Transaction, principal: Principal, trigger: PlacedTrigger) -> str | None:
    """The name of the environment that it stands on (empty: none), if the principal may see the trigger."""
    if trigger.environment_id is None:
        if principal.sight.unlimited:
            return ""
        return "" if trigger.owner == principal.owner and not principal.limited else None
    environment = tx.environments.get(trigger.environment_id)
    return environment.name if environment is not None and sees(tx, principal, environment) else None


def _seen(tx: Transaction, principal: Principal, trigger_id: str) -> tuple[PlacedTrigger, str]:
    trigger = tx.triggers.get(trigger_id)
    environment = None if trigger is None else _where(tx, principal, trigger)
    if trigger is None or environment is None:
        raise NotFound(f"There is no trigger {trigger_id!r}.", hint=_LIST)
    return trigger, environment


def _target(tx: Transaction, trigger: PlacedTrigger) -> Environment | None:
    return None if trigger.environment_id is None else tx.environments.get(trigger.environment_id)


def _authorize(tx: Transaction, principal: Principal, trigger: PlacedTrigger, target: Environment | None) -> None:
    if target is not None:
        may(tx, principal, Action.ENVIRONMENT_TRIGGERS, target)
        return
    may(tx, principal, Action.TRIGGER_MANAGE)
    if principal.role != "admin":
        _check_owner(principal, trigger, "or an admin manages it")


def _check_owner(principal: Principal, trigger: PlacedTrigger, what: str) -> None:
    if trigger.owner != principal.owner:
        raise Forbidden(
            f"The trigger {trigger.name!r} acts for {trigger.owner}: only {trigger.owner} {what}.",
            hint="You can set one of your own, which acts for you.",
            details={"needs": "owner", "has": principal.role},
        )


def _check_room(tx: Transaction, principal: Principal, trigger: Trigger, target: Environment | None) -> None:
    _check_name(tx, principal, trigger.name, target)
    if tx.triggers.count(principal.owner) >= MOST_OF_OWNER:
        raise NotAllowedNow(f"{MOST_OF_OWNER} triggers act for {principal.owner} already.", hint="Remove one first.")
    if target is not None and len(tx.triggers.all(environment_id=target.id, limit=MOST_ON_ENVIRONMENT)) >= (
        MOST_ON_ENVIRONMENT
    ):
        raise NotAllowedNow(
            f"{MOST_ON_ENVIRONMENT} triggers stand on {target.name!r} already.", hint="Remove one first."
        )


def _check_name(tx: Transaction, principal: Principal, name: str, target: Environment | None) -> None:
    if target is None:
        known, where = tx.triggers.named(name, owner=principal.owner), "of yours"
    else:
        known, where = tx.triggers.named(name, environment_id=target.id), f"on {target.name}"
        if known is None and any(one.name == name for one in _of_template(tx, target)):
            raise NameTaken(
                f"The template {target.template!r} has a trigger {name!r} already, which also stands on {target.name}.",
                hint="Choose another name.",
            )
    if known is not None:
        raise NameTaken(
            f"There is a trigger {name!r} {where} already.",
            hint="Choose another name, or change that one.",
            details={} if _where(tx, principal, known) is None else {"trigger": known.id},
        )


def _check_status_name(tx: Transaction, principal: Principal, trigger: Trigger) -> None:
    """Raises `NameTaken` where somebody else's previews of the same repository have statuses of that name."""
    mine = _told_as(tx, trigger)
    if mine is None:
        return
    for other in tx.triggers.named_alike(trigger.name):
        if other.owner != principal.owner and _told_as(tx, other.definition) == mine:
            raise NameTaken(
                f"Previews of {trigger.repository} by a trigger {trigger.name!r} of somebody else have statuses of "
                "that name.",
                hint="Choose another name for yours.",
            )


def _told_as(tx: Transaction, trigger: Trigger) -> tuple[str, str, str] | None:
    """Where statuses of its previews are, and by which name; None: it makes none. A forge may have several webhooks."""
    if trigger.action is not TriggerAction.PREVIEW:
        return None
    webhook = tx.webhooks.get(trigger.webhook)
    forge = "" if webhook is None else forge_of(webhook)
    return trigger.name, forge or trigger.webhook, trigger.repository.lower()


def _of_template(tx: Transaction, environment: Environment) -> list[PlacedTrigger]:
    template = read_template(tx, environment)
    if template is None or environment.state in ENDED:
        return []
    return [of_template(environment.template, one, environment.owner, environment.id) for one in template.triggers]


def _told(trigger: PlacedTrigger) -> dict[str, Any]:
    return {"definition": trigger.definition.written(), "paused": trigger.paused}


def _note(
    tx: Transaction,
    trigger: PlacedTrigger,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """Completes the entry of the audit log; one about an environment keeps that as its object."""
    if trigger.environment_id is not None:
        name = {"trigger": f"{trigger.name} ({trigger.id}, for {trigger.owner})"}
        tx.audit.changed(
            before={**(before or {}), **(name if before else {})}, after={**(after or {}), **(name if after else {})}
        )
        return
    tx.audit.changed(
        before=before or {}, after=after or {}, object_kind="trigger", object_id=trigger.id, object_name=trigger.name
    )
