"""Who may create from which template, and how many of its environments each person may have at once.

From a template without a rule everybody may create. `environments.service.authorization.check_creator` decides.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from environments.domain.access import Creator
from environments.domain.errors import Forbidden, InvalidInput, NotFound
from environments.domain.suggesting import told
from environments.domain.template_parts import Template
from environments.service.authorization import Action, Principal, check_create, check_service, may, most_of
from environments.service.catalogue import unknown_template
from environments.service.storage.transaction import Storage, Transaction
from environments.service.subjects import known_subject, lists_people

MOST = 1_000_000
"""The largest limit: more is no limit."""


@dataclass(frozen=True)
class Creation:
    """Whether somebody may create from a template, and why not. `most`: how many they may have, of which `have` are.

    `rules`: who may; None: the caller may not know. Without a rule everybody may.
    """

    allowed: bool
    why_not: str = ""
    most: int | None = None
    have: int | None = None
    rules: tuple[Creator, ...] | None = None


class Creators:
    """Sets, removes and lists rules about who may create."""

    def __init__(self, storage: Storage, clock: Callable[[], datetime]) -> None:
        self._storage = storage
        self._clock = clock

    def creators(self, principal: Principal, template: str | None = None) -> list[Creator]:
        """All rules, or a template's. Raises `Forbidden` unless the caller may see who there is."""
        check_service(principal, Action.PERSON_LIST)
        with self._storage.read() as tx:
            return tx.creators.all() if template is None else tx.creators.of(template)

    def set(self, principal: Principal, template: str, subject: str, most: int | None = None) -> list[Creator]:
        """Lets a subject create; returns the template's rules. `most`: how many each person may have at once.

        Raises `Forbidden`, `UnknownTemplate`, `InvalidInput`, `NotFound` and `NotAllowedNow` for the subject.
        """
        if most is not None and not 1 <= most <= MOST:
            raise InvalidInput(f"{most} is no limit.", hint=f"Give a number from 1 to {MOST}, or none.")
        with self._storage.write() as tx:
            may(tx, principal, Action.CREATOR_SET)
            tx.templates.hold(template)
            if tx.templates.find(template, None) is None:
                raise unknown_template(tx, template, None)
            known = known_subject(tx, principal, subject, everyone=True)
            before = tx.creators.remove(template, known)
            rule = Creator(template=template, subject=known, most=most, by=principal.owner, at=self._clock())
            tx.creators.put(rule)
            _audit(tx, template, before, rule)
            return tx.creators.of(template)

    def remove(self, principal: Principal, template: str, subject: str) -> list[Creator]:
        """Removes a rule; returns those that are left: without one, everybody may create. Raises `NotFound`."""
        with self._storage.write() as tx:
            may(tx, principal, Action.CREATOR_SET)
            tx.templates.hold(template)
            gone = tx.creators.remove(template, subject.strip())
            left = tx.creators.of(template)
            if gone is None:
                message = f"No rule lets {subject.strip()!r} create from the template {template!r}."
                raise NotFound(
                    told(message, subject.strip(), [rule.subject for rule in left]),
                    hint=f"See `calvinverse template creators list {template}`.",
                )
            _audit(tx, template, gone, None)
            return left

    def creations(self, principal: Principal, templates: Sequence[Template]) -> dict[str, Creation]:
        """Whether the caller may create from each of these templates, by name."""
        with self._storage.read() as tx:
            rules: dict[str, list[Creator]] = {}
            for rule in tx.creators.all():
                rules.setdefault(rule.template, []).append(rule)
            return {one.name: _creation(tx, principal, one, rules.get(one.name, [])) for one in templates}


def _creation(tx: Transaction, principal: Principal, template: Template, rules: Sequence[Creator]) -> Creation:
    shown = tuple(rules) if lists_people(principal) else None
    most = None
    if principal.role != "admin":
        most = most_of([rule for rule in rules if rule.subject in principal.subjects])
    have = None if most is None else tx.environments.count_unended(principal.owner, template.name)
    try:
        check_create(tx, principal, template)
    except Forbidden as refused:
        return Creation(False, refused.message, most, have, shown)
    return Creation(True, "", most, have, shown)


def _audit(tx: Transaction, template: str, before: Creator | None, after: Creator | None) -> None:
    tx.audit.changed(
        before=_told(before), after=_told(after), object_kind="template", object_name=template, template=template
    )


def _told(rule: Creator | None) -> dict[str, Any]:
    return {} if rule is None else {"creator": rule.model_dump(mode="json", include={"subject", "most"})}
