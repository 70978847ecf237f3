"""User names of people of the built-in provider: theirs in the service as soon as an admin makes them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from environments.domain.access import Person, PersonKind
from environments.domain.errors import NameTaken, NotAllowedNow
from environments.service.storage.transaction import Transaction
from environments.service.user_names import variants


class Named(Protocol):
    """Somebody at the provider."""

    @property
    def user_name(self) -> str: ...
    @property
    def subject(self) -> str: ...


def keep_name(tx: Transaction, issuer: str, name: str, display_name: str, by: str, now: datetime) -> bool:
    """Keeps the user name for a person who is about to be made at the provider; False if it was kept already.

    Raises `NameTaken` for the name of anybody else.
    """
    for variant in variants(name):
        found = tx.people.get(variant)
        if found is None:
            continue
        if variant == name and _is_of(found, issuer) and found.subject is None:
            return False
        raise _taken(found, issuer)
    kept = Person(
        name=name, kind=PersonKind.PERSON, issuer=issuer, display_name=display_name, created_at=now, created_by=by
    )
    tx.people.add(kept)
    return True


def recognise(tx: Transaction, issuer: str, person: Named) -> None:
    """Tells the service who the name that was kept is of, if nobody else has that identity."""
    found = tx.people.get(person.user_name)
    if found is None or not _is_of(found, issuer) or found.subject is not None or not person.subject:
        return
    if tx.people.by_identity(issuer, person.subject) is None:
        tx.people.change(found.name, subject=person.subject)


def at_provider(person: Person, issuer: str, all_there: Sequence[Named]) -> Named | None:
    """Who somebody is at the provider; None: nobody."""
    if not _is_of(person, issuer):
        return None
    if person.subject is None:
        return next((one for one in all_there if one.user_name == person.name), None)
    return next((one for one in all_there if one.subject == person.subject), None)


def check_one(tx: Transaction, person: Person, issuer: str, namesake: Named) -> None:
    """Raises `NotAllowedNow` if `namesake`, who has the name of `person` at the provider, is somebody else."""
    if _is_of(person, issuer) and person.subject in (None, namesake.subject):
        return
    other = tx.people.by_identity(issuer, namesake.subject) if namesake.subject else None
    if other is not None:
        whose, hint = f"whose user name here is {other.name}", f"Use {other.name} if you mean that person"
    else:
        whose, hint = "who has never signed in", "The latter is listed by `calvinverse user local`"
    raise NotAllowedNow(
        f"{person.name!r} means two: {_what(person, issuer)}, and a person of the built-in provider {whose}.",
        hint=f"{hint}. With --exact the name means what it is here: see `calvinverse user show {person.name}`.",
        details={"names": [person.name, *([other.name] if other is not None else [])]},
    )


def _is_of(person: Person, issuer: str) -> bool:
    return person.kind is PersonKind.PERSON and person.issuer == issuer


def _what(person: Person, issuer: str) -> str:
    if person.kind is PersonKind.SERVICE_ACCOUNT:
        return "a service account"
    if person.kind is PersonKind.UNCLAIMED:
        return "an owner who is nobody's yet"
    return "another person of that provider" if person.issuer == issuer else "a person of another provider"


def _taken(found: Person, issuer: str) -> NameTaken:
    name = found.name
    if _is_of(found, issuer):
        return NameTaken(
            f"There is a person {name!r} already.",
            hint=f"Choose another name, or give a new password with `calvinverse user reset {name}`.",
        )
    if found.became:
        return NameTaken(
            f"Everything of {name!r} belongs to {found.became!r} now, and nobody else gets the name.",
            hint="Choose another name.",
        )
    hint = "Choose another name."
    if found.kind is PersonKind.UNCLAIMED:
        hint = (
            "Choose another name. After that person's first sign-in, `calvinverse user assign "
            f"{name} PERSON --keep-name` gives them this one and what belongs to it."
        )
    return NameTaken(f"{name!r} is {_what(found, issuer)}.", hint=hint)
