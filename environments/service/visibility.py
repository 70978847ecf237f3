"""Which environments a person may see, and which may be changed here."""

from environments.domain.environment import Environment
from environments.domain.errors import ManagedOutside, UnknownEnvironment
from environments.service.authorization import Action, Principal, may, sees
from environments.service.storage import Transaction


def visible(tx: Transaction, principal: Principal, name: str) -> Environment:
    """The environment of that name or id, if the principal may see it. Raises `UnknownEnvironment`.

    In a transaction that writes, nobody else changes it until that has ended.
    """
    environment = tx.environments.get(name)
    if environment is None or not sees(principal, environment.owner):
        raise UnknownEnvironment(f"There is no environment {name!r}.")
    may(principal, Action.ENVIRONMENT_READ, environment)
    return environment


def owned(tx: Transaction, principal: Principal, name: str) -> Environment:
    """Likewise, and this service carries it out. Raises `ManagedOutside` too.

    What is done with it then needs its own `environments.service.authorization.may`.
    """
    environment = visible(tx, principal, name)
    if environment.managed_by is not None:
        raise ManagedOutside(f"Environment {environment.name!r} is managed by {environment.managed_by}.")
    return environment
