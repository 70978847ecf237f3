"""Policies: rules and a maximum lifetime for all environments of an owner or of a template."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from environments.domain.deadline import parse_duration
from environments.domain.errors import InvalidInput, NotFound
from environments.domain.names import META
from environments.domain.timing import OwnRule, Policy, Scope, TimedAction
from environments.service.authorization import Action, Principal, check_service, may
from environments.service.deadlines import check_calendars, new_rule
from environments.service.pages import Page
from environments.service.retiming import Preview, Retiming, preview
from environments.service.storage.transaction import Storage, Transaction
from environments.service.time_edits import check_action
from environments.service.timing_facts import Change

MOST_SHOWN = 100
"""Deadlines that an answer lists."""

_LONGEST_NAME = 200


@dataclass(frozen=True)
class PolicyChange:
    """A policy (None: it is removed) and what it moves; `applied` False: it was only previewed."""

    policy: Policy | None
    preview: Preview
    applied: bool


class Policies:
    """Sets, removes and lists policies. What one moves is computed before it is stored."""

    def __init__(self, storage: Storage, clock: Callable[[], datetime], retiming: Retiming) -> None:
        self._storage = storage
        self._clock = clock
        self._retiming = retiming

    def policies(self, principal: Principal, *, limit: int | None = None, skip: int = 0) -> Page[Policy]:
        """All for an admin; for others those for templates, and the one for themselves."""
        with self._storage.read() as tx:
            return tx.policies.all(owner=None if principal.sees_all else principal.owner, limit=limit, skip=skip)

    def set(
        self,
        principal: Principal,
        scope: Scope,
        name: str,
        rules: Sequence[tuple[TimedAction, str]],
        maximum: str | None,
        *,
        dry_run: bool = False,
    ) -> PolicyChange:
        """Sets a policy in place of an earlier one; with `dry_run` it only computes what that moves.

        A rule that is in the earlier one goes on; a new one counts from now on. Raises `Forbidden`, `InvalidLifetime`,
        `InvalidInput` for a policy that says nothing, or for `meta`.
        """
        check_service(principal, Action.POLICY_SET)
        _check_name(scope, name)
        longest = None if maximum is None else parse_duration(maximum)
        if not rules and longest is None:
            raise InvalidInput("A policy needs a rule or a maximum.", hint="Remove it if nothing should apply.")
        now = self._clock()
        for action, _ in rules:
            check_action(action)
        fresh = [new_rule(action, text, now, principal.owner) for action, text in rules]
        with self._storage.read() if dry_run else self._storage.write() as tx:
            if not dry_run:
                may(tx, principal, Action.POLICY_SET)
                tx.policies.alone()
            check_calendars(tx, fresh)
            before = tx.policies.get(scope, name)
            policy = Policy(
                scope=scope,
                name=name,
                rules=_kept(before, fresh),
                maximum=longest,
                maximum_since=_since(before, longest, now),
                set_by=principal.owner,
                set_at=now,
            )
            found = preview(tx, Change(scope, name, policy), now, MOST_SHOWN)
            if not dry_run:
                tx.policies.put(policy)
                _tell(tx, scope, name, before, policy)
                verb = "set" if before is None else "changed"
                self._mark(tx, scope, name, f"{principal.owner} {verb} the policy for {scope.value} {name}")
        return PolicyChange(policy, found, applied=not dry_run)

    def remove(self, principal: Principal, scope: Scope, name: str, *, dry_run: bool = False) -> PolicyChange:
        """Removes a policy; with `dry_run` it only computes what that moves. Raises `Forbidden`, `NotFound`."""
        check_service(principal, Action.POLICY_SET)
        now = self._clock()
        with self._storage.read() if dry_run else self._storage.write() as tx:
            if not dry_run:
                may(tx, principal, Action.POLICY_SET)
                tx.policies.alone()
            before = tx.policies.get(scope, name)
            if before is None:
                raise NotFound(
                    f"There is no policy for {scope.value} {name!r}.",
                    hint="See the policies with `calvinverse policy list`.",
                )
            found = preview(tx, Change(scope, name), now, MOST_SHOWN)
            if not dry_run:
                tx.policies.remove(scope, name)
                _tell(tx, scope, name, before, None)
                self._mark(tx, scope, name, f"{principal.owner} removed the policy for {scope.value} {name}")
        return PolicyChange(None, found, applied=not dry_run)

    def _mark(self, tx: Transaction, scope: Scope, name: str, why: str) -> None:
        owner, template = (name, None) if scope is Scope.OWNER else (None, name)
        tx.environments.mark_to_retime(why, owner=owner, template=template)
        self._retiming.page(tx)


def _tell(tx: Transaction, scope: Scope, name: str, before: Policy | None, after: Policy | None) -> None:
    """Tells the audit log what became of a policy."""
    old, new = (None if one is None else one.model_dump(mode="json") for one in (before, after))
    tx.audit.changed(before=old, after=new, object_kind="policy", object_name=f"{scope.value} {name}")


def _check_name(scope: Scope, name: str) -> None:
    if not name.strip() or len(name) > _LONGEST_NAME:
        raise InvalidInput(f"That can't be the name of an {scope.value}.", hint="Name an owner, or a template.")
    if scope is Scope.TEMPLATE and name == META:
        raise InvalidInput(f"No policy applies to {META!r}.", hint="`doit undeploy` removes it.")


def _kept(before: Policy | None, fresh: Sequence[OwnRule]) -> tuple[OwnRule, ...]:
    known = {(rule.action, rule.rule): rule for rule in (before.rules if before else ())}
    return tuple(known.get((rule.action, rule.rule), rule) for rule in fresh)


def _since(before: Policy | None, longest: timedelta | None, now: datetime) -> datetime | None:
    """Since when the maximum applies: a longer one needs no notice."""
    if longest is None:
        return None
    if before is None or before.maximum is None or longest < before.maximum:
        return now
    return before.maximum_since
