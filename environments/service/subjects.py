"""Subjects as people type them: a user name, `group:NAME`, or `everyone`."""

from environments.domain.access import EVERYONE, GROUP, Person, ServiceRole
from environments.domain.errors import InvalidInput, NotAllowedNow, NotFound
from environments.domain.suggesting import MOST_SUGGESTED_FROM, told
from environments.service.authorization import Principal
from environments.service.roles import ON_SERVICE, Action
from environments.service.storage.transaction import Transaction

_MEMBERS = 50
"""Members of a group whose addresses are looked at."""


def known_subject(tx: Transaction, principal: Principal, said: str, *, everyone: bool = False) -> str:
    """The subject that somebody typed: there is one of that name, and it isn't disabled. `everyone`: that counts too.

    Whether a name is known is all that anybody learns by it; similar names are suggested only to those who may list
    people. Raises `NotFound`, `NotAllowedNow`, `InvalidInput`.
    """
    name = said.strip()
    if name == EVERYONE:
        if not everyone:
            raise InvalidInput("Name a person, a service account, or a group.", hint="For example `group:platform`.")
        return name
    if name.startswith(GROUP):
        return f"{GROUP}{known_group(tx, principal, name.removeprefix(GROUP))}"
    person = known_person(tx, principal, name)
    if person.disabled_at is not None:
        raise NotAllowedNow(f"{person.name} is disabled.", hint="Choose somebody else.")
    return person.name


def known_person(tx: Transaction, principal: Principal, name: str) -> Person:
    """Whoever has that user name. Raises `NotFound`; whose name was given up is told with the one that they have."""
    person = tx.people.get(name)
    if person is None and name.startswith(GROUP):
        raise NotFound(
            f"{name!r} is a group, and no person.",
            hint=f"Name somebody who is in it: `calvinverse group show {name.removeprefix(GROUP)}`.",
        )
    if person is None:
        names = tx.people.names(MOST_SUGGESTED_FROM) if lists_people(principal) else []
        raise NotFound(told(f"There is nobody named {name!r}.", name, names), hint=_hint(principal, "user"))
    if person.became:
        raise NotFound(
            f"Everything of {name!r} belongs to {person.became!r} now.", hint=f"Use the name {person.became!r}."
        )
    return person


def known_group(tx: Transaction, principal: Principal, name: str) -> str:
    """The group of that name. Raises `NotFound`."""
    if tx.groups.get(name) is None:
        names = (
            [group.name for group in tx.groups.all(limit=MOST_SUGGESTED_FROM)]
            if lists_people(principal)
            else principal.groups
        )
        raise NotFound(told(f"There is no group {name!r}.", name, sorted(names)), hint=_hint(principal, "group"))
    return name


def lists_people(principal: Principal) -> bool:
    """Whether the principal may know who there is."""
    enough = ServiceRole(principal.role).rank >= ON_SERVICE[Action.PERSON_LIST].rank
    scope = principal.scope
    return enough and (scope is None or (scope.actions is not None and Action.PERSON_LIST.value in scope.actions))


def verified_addresses(tx: Transaction, owner: str) -> list[str]:
    """Addresses that a provider has verified of the owner, or of a group's first members; of nobody who is disabled."""
    names = [owner]
    if owner.startswith(GROUP):
        names = [found.person for found in tx.groups.members(owner.removeprefix(GROUP), limit=_MEMBERS)]
    people = (tx.people.get(name) for name in names)
    return [person.email for person in people if person is not None and person.email and person.disabled_at is None]


def _hint(principal: Principal, noun: str) -> str:
    if lists_people(principal):
        return f"See `calvinverse {noun} list`."
    return f"Ask them, or an admin, for the exact name of the {noun}."
