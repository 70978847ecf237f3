"""A plan that has everything in it, and the moment at which clients of tests live."""

from datetime import UTC, datetime
from typing import Any

from environments.domain.plan import Action, Change, StepPlan

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


def plan_steps() -> tuple[StepPlan, ...]:
    """What a plan shows that has everything in it."""

    def step(name: str, uses: str, *changes: Change, **more: Any) -> StepPlan:
        return StepPlan(step=name, uses=uses, changes=changes, **more)

    message = Change(
        kind="consul.kv",
        address="environments/checkout-fix/message",
        action=Action.CHANGE,
        details=("value: Hello → Good morning",),
    )
    limit = Change(kind="consul.kv", address="environments/checkout-fix/limit", action=Action.CREATE)
    job = Change(
        kind="nomad.job", address="web", action=Action.CHANGE, details=("group web, count: 1 → 3", "variable replicas")
    )
    disk = Change(
        kind="opentofu.resource",
        address="restapi_object.disk",
        action=Action.REPLACE,
        details=("size: 10 → 20 (can't be changed in place)",),
    )
    token = Change(kind="vault.secret", address="environments/checkout-fix/token", action=Action.DESTROY)
    return (
        step("settings", "consul.kv", message, limit),
        step("certificate", "vault.certificate"),
        step("disk", "opentofu.module", disk),
        step("app", "nomad.job", job),
        step("answers", "check.http", deferred="decided when app is done"),
        step("token", "vault.secret", token, removed=True),
    )
