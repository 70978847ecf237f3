"""Issuers of people, and the move of all people of one to another: when the address of the provider changes."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

from environments.domain.access import PersonKind
from environments.domain.errors import InvalidInput, NotFound
from environments.identity_settings import check_issuer
from environments.service.authorization import Action, Principal, check_service, entry_of
from environments.service.storage.transaction import Storage


@dataclass(frozen=True)
class KnownIssuer:
    """An issuer, and how many people it has. `built_in`: it is the issuer of the built-in provider now."""

    issuer: str
    people: int
    built_in: bool


class Issuers:
    """Which issuers people have."""

    def __init__(self, storage: Storage, built_in: Callable[[], str]) -> None:
        self._storage = storage
        self._built_in = built_in

    def all(self, principal: Principal) -> list[KnownIssuer]:
        """All issuers of which there are people, and the built-in provider's. Raises `Forbidden`."""
        check_service(principal, Action.PERSON_LIST)
        own = self._built_in()
        with self._storage.read() as tx:
            counts = Counter(person.issuer for person in tx.people.all(kind=PersonKind.PERSON) if person.issuer)
        return [KnownIssuer(issuer, counts[issuer], issuer == own) for issuer in sorted({*counts, own})]

    def move(self, principal: Principal, old: str, new: str) -> int:
        """Everybody of the old issuer becomes one of the new issuer, with the same subject; says how many.

        Both must be the same provider at another address: else its people become others. Raises `Forbidden`,
        `InvalidInput`, `NotFound` (nobody has the old issuer), and `NameTaken` when somebody has signed in with the
        new issuer already.
        """
        check_service(principal, Action.PERSON_MANAGE)
        if old == new:
            raise InvalidInput("The new issuer is the old one.")
        try:
            check_issuer(new)
        except ValueError as error:
            raise InvalidInput(f"This can't be an issuer: {error}.") from None
        with self._storage.write() as tx:
            moved = tx.people.move_issuer(old, new)
            if not moved:
                raise NotFound("Nobody has this issuer.", hint="Copy it from `calvinverse user list --json`.")
            entry = replace(
                entry_of(principal, Action.PERSON_MANAGE),
                object_kind="issuer",
                object_name=new,
                before={"issuer": old},
                after={"issuer": new, "people": moved},
            )
            tx.audit.add(entry)
        return moved
