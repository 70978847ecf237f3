"""Giving environments another owner: a person, a service account, or a group whose members then are its owners."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any

from environments.domain.access import EVERYONE, GROUP, group_subject
from environments.domain.environment import Environment, EventType
from environments.domain.errors import Forbidden, InvalidInput, NotAllowedNow
from environments.domain.lifecycle import ENDED
from environments.service.auditing import entry_of, on_environment
from environments.service.authorization import Action, Principal, environment_to_change, may, most_of
from environments.service.retiming import Retiming
from environments.service.storage.transaction import Storage, Transaction
from environments.service.subjects import known_subject

_INSTEAD = "It belongs to whoever deployed it."


class Ownership:
    """Transfers environments one by one."""

    def __init__(self, storage: Storage, clock: Callable[[], datetime], retiming: Retiming) -> None:
        self._storage = storage
        self._clock = clock
        self._retiming = retiming

    def transfer(self, principal: Principal, name: str, to: str) -> Environment:
        """Gives an environment to somebody, whose policies then apply to it; shares stay. Returns it as it is then.

        The owner before has no access any more, unless it is shared with them. Raises `UnknownEnvironment`,
        `Forbidden` also if the new owner may have no more from its template, `NotFound`, `NotAllowedNow`.
        """
        now = self._clock()
        with self._storage.write() as tx:
            _lock_heir(tx, to)
            environment = environment_to_change(tx, principal, name, _INSTEAD)
            may(tx, principal, Action.ENVIRONMENT_TRANSFER, environment)
            if environment.state in ENDED:
                raise NotAllowedNow(
                    f"Environment {environment.name!r} is {environment.state.value}.", hint="It needs no owner."
                )
            heir = known_subject(tx, principal, to)
            if heir == environment.owner:
                raise InvalidInput(f"{heir} owns {environment.name!r} already.", hint="There is nothing to do.")
            _check_room(tx, principal, heir, environment.template, now)
            changed = give(tx, environment, heir, principal.owner, now)
            self._retiming.page(tx)
            return tx.environments.get(environment.id) or changed


def give(tx: Transaction, environment: Environment, heir: str, by: str, now: datetime, why: str = "") -> Environment:
    """Makes `heir` (a checked subject) the owner, and tells so in the environment's history. `why` ends the sentence.

    Deadlines are marked to be computed again by the policies of the new owner.
    """
    changes: dict[str, Any] = {"owner": heir}
    if environment.warned and environment.deadline is not None:
        changes["warn_at"] = now  # whoever was warned isn't the owner any more
    tx.environments.change(environment.id, **changes)
    told = f"{by} transferred {environment.name} from {environment.owner} to {heir}"
    tx.environments.mark_to_retime(told, environment_id=environment.id)
    tx.events.add(
        EventType.ENVIRONMENT_TRANSFERRED,
        environment.id,
        now,
        message=f"{told}: {why}" if why else told,
        data={"by": by, "before": environment.owner, "owner": heir},
    )
    return environment.model_copy(update=changes)


def note_transfers(tx: Transaction, principal: Principal, before: Iterable[Environment], why: str) -> None:
    """Writes to the audit log of each environment, as it was before, that it has another owner now, and because of
    what."""
    for environment in before:
        entry = on_environment(entry_of(principal, Action.ENVIRONMENT_TRANSFER), environment)
        tx.audit.add(replace(entry, rule=why), environment)


def _lock_heir(tx: Transaction, said: str) -> None:
    """People are locked before environments everywhere, so that no two transactions wait for each other."""
    if not said.strip().startswith(GROUP):
        tx.people.get(said.strip())


def _check_room(tx: Transaction, principal: Principal, heir: str, template: str, now: datetime) -> None:
    """Raises `Forbidden` when the heir has as many environments from the template as they may have."""
    if principal.role == "admin":
        return
    subjects = {heir, EVERYONE}
    if not heir.startswith(GROUP):
        subjects.update(map(group_subject, tx.people.standing(heir, now).groups))
    rules = tx.creators.of(template)
    theirs = [rule for rule in rules if rule.subject in subjects]
    if rules and not theirs:
        raise Forbidden(
            f"{heir} may not have environments from the template {template!r}: no rule about who creates from it names "
            "them.",
            hint="An admin says who may, and can transfer it to anybody: `calvinverse template creators set`.",
        )
    most = most_of(theirs)
    if most is not None and tx.environments.count_unended(heir, template) >= most:
        raise Forbidden(
            f"{heir} may have no more environments from the template {template!r}.", hint="Ask an admin for more."
        )
