"""What a new token is limited to, from what somebody asks for."""

from dataclasses import dataclass
from typing import Any

from environments.domain.access import TokenScope
from environments.domain.errors import InvalidInput, UnknownTemplate
from environments.domain.suggesting import suggestion
from environments.service.authorization import Action, Principal, environment_to_read
from environments.service.storage.tokens import TokenRecord
from environments.service.storage.transaction import Transaction

MOST_NAMED = 100
"""Actions, templates, or environments that one token names."""


@dataclass(frozen=True)
class WantedScope:
    """Limits as somebody gives them; None: no limit of that kind. `environments` are names or ids."""

    actions: tuple[str, ...] | None = None
    templates: tuple[str, ...] | None = None
    environments: tuple[str, ...] | None = None


UNLIMITED = WantedScope()


def resolve(tx: Transaction, principal: Principal, wanted: WantedScope) -> TokenScope | None:
    """The scope, with ids of environments that the principal sees; None: without limits.

    Raises `InvalidInput`, `UnknownTemplate`, `UnknownEnvironment`.
    """
    if wanted == UNLIMITED:
        return None
    for kind in ("actions", "templates", "environments"):
        named = getattr(wanted, kind)
        if named is not None and len(named) > MOST_NAMED:
            raise InvalidInput(f"A token names at most {MOST_NAMED} {kind}.")
    known = [action.value for action in Action]
    for action in wanted.actions or ():
        if action not in known:
            raise InvalidInput(
                " ".join(filter(None, (f"There is no action {action!r}.", suggestion(action, known)))),
                hint=f"Actions are {', '.join(known)}.",
            )
    for template in wanted.templates or ():
        if tx.templates.find(template, None) is None:
            raise UnknownTemplate(f"There is no template {template!r}.")
    ids = None
    if wanted.environments is not None:
        ids = sorted({environment_to_read(tx, principal, said).id for said in wanted.environments})
    return TokenScope(
        actions=_each_once(wanted.actions),
        templates=_each_once(wanted.templates),
        environments=None if ids is None else tuple(ids),
    )


def told_token(token: TokenRecord) -> dict[str, Any]:
    """What the audit log tells of a new token."""
    return {
        "role": token.role,
        "note": token.note,
        "expires_at": None if token.expires_at is None else token.expires_at.isoformat(),
        "made_with": token.parent_id,
        "scope": None if token.scope is None else token.scope.model_dump(mode="json"),
    }


def _each_once(values: tuple[str, ...] | None) -> tuple[str, ...] | None:
    return None if values is None else tuple(sorted(set(values)))
