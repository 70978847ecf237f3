"""Which environments a person may see, and which may be changed here."""

from environments.domain.environment import Environment
from environments.domain.errors import ManagedOutside, UnknownEnvironment
from environments.domain.names import BY_ID, BY_NAME, is_id
from environments.domain.suggesting import MOST_SUGGESTED_FROM, suggestion
from environments.service.authorization import Action, Principal, may, sees
from environments.service.storage import Transaction

# Names and ids are two namespaces. What a person types is looked up here; all else goes by ids.


def visible(tx: Transaction, principal: Principal, said: str) -> Environment:
    """The environment that a person means, if they may see it. Raises `UnknownEnvironment`.

    `id:…` is an id and `name:…` a name. Else what has the shape of an id is one, unless the principal sees none of that
    id: it may be the name of an environment from when such names were allowed. All else is a name.

    In a transaction that writes, nobody else changes it until that has ended.
    """
    environment = _meant(tx, principal, said)
    if environment is None:
        raise UnknownEnvironment(f"There is no environment {said!r}.{_meant_perhaps(tx, principal, said)}")
    may(principal, Action.ENVIRONMENT_READ, environment)
    return environment


CHANGED_OUTSIDE = "`doit deploy`, on the machine that deployed it, changes and repairs it."
REMOVED_OUTSIDE = "`doit undeploy`, on the machine that deployed it, removes it."
NO_DEADLINE = "It has no deadline: it stays until `doit undeploy`, on the machine that deployed it, removes it."
STOPPED_OUTSIDE = "Only `doit deploy` and `doit undeploy` work on it, on the machine that deployed it: stop them there."
"""What can be done instead, to what is only shown here."""


def owned(tx: Transaction, principal: Principal, said: str, instead: str = CHANGED_OUTSIDE) -> Environment:
    """Likewise, and this service carries it out. Raises `ManagedOutside` too; `instead` is its hint.

    What is done with it then needs its own `environments.service.authorization.may`.
    """
    environment = visible(tx, principal, said)
    if environment.managed_by is not None:
        raise ManagedOutside(
            f"Environment {environment.name!r} is managed by {environment.managed_by}, and only shown here.",
            hint=instead,
        )
    return environment


def _meant_perhaps(tx: Transaction, principal: Principal, said: str) -> str:
    """What may have been meant, as a sentence: only names of environments that the principal sees anyway."""
    typed = said.removeprefix(BY_NAME)
    if said.startswith(BY_ID) or is_id(typed):
        return ""
    found = suggestion(typed, tx.environments.names(owner=principal.sees_only, limit=MOST_SUGGESTED_FROM))
    return f" {found}" if found else ""


def _meant(tx: Transaction, principal: Principal, said: str) -> Environment | None:
    if said.startswith(BY_ID):
        return _seen(tx, principal, said.removeprefix(BY_ID))
    if said.startswith(BY_NAME):
        return tx.environments.named(said.removeprefix(BY_NAME), owner=principal.sees_only)
    found = _seen(tx, principal, said) if is_id(said) else None
    return found or tx.environments.named(said, owner=principal.sees_only)


def _seen(tx: Transaction, principal: Principal, environment_id: str) -> Environment | None:
    environment = tx.environments.get(environment_id)
    return environment if environment is not None and sees(principal, environment.owner) else None
