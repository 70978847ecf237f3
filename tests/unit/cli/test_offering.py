"""The next steps that commands offer are those that the reader's role allows."""

import re
from datetime import UTC
from typing import Any

import pytest

from environments.actions.refusal import beyond_role
from environments.actions.registry import for_command
from environments.cli.environment_tables import next_step
from environments.cli.plan_tables import drift_next, plan_next
from environments.domain.access import EnvironmentRole
from environments.domain.environment import Drift
from environments.domain.lifecycle import DeploymentKind, State
from environments.service.roles import actions_of, short
from environments.wire.environments import DriftView, EnvironmentView
from environments.wire.plans import PlanView
from tests.fakes.plans import NOW, plan_steps
from tests.support.views import BUNDLE, environment_view

_COMMAND = re.compile(r"`calvinverse (env|plan) ([a-z]+)([^`]*)`")


def seen(role: EnvironmentRole, **changes: Any) -> EnvironmentView:
    """An environment as somebody of that role sees it."""
    return environment_view(role=role, may=tuple(map(short, actions_of(role))), **changes)


def check_offers(said: str, view: EnvironmentView, applies: str = "") -> None:
    """Each command after `Next` is allowed; `applies`: what a plan's application needs."""
    for group, verb, more in _COMMAND.findall(said.partition("Next")[2] if "Next" in said else ""):
        if group == "plan":
            assert applies in view.may, said
        elif "--plan" in more or "--observe" in more:
            assert "plan" in view.may, said
        else:
            assert beyond_role(for_command(group, verb), view) is None or verb == "outputs", said


@pytest.mark.parametrize("role", list(EnvironmentRole))
@pytest.mark.parametrize("state", list(State))
def test_the_next_step_is_one_that_the_role_allows(role: EnvironmentRole, state: State) -> None:
    for changes in ({}, {"awaiting_promotion": ("app",)}):
        view = seen(role, state=state, **changes)
        said = next_step(view)
        check_offers(said, view)
        assert "Next" in said or "ada, who owns it, can" in said or "nothing of it is left" in said


@pytest.mark.parametrize("role", list(EnvironmentRole))
def test_what_follows_drift_and_a_plan_is_what_the_role_allows(role: EnvironmentRole) -> None:
    view = seen(role)
    found = Drift(observed_at=NOW, steps=plan_steps()[:2])
    for drift in (None, found, Drift(observed_at=NOW, troubles={"app": "OpenBao is sealed."})):
        check_offers(drift_next(DriftView(environment="demo", drift=drift), view), view)
    for kind, action in ((DeploymentKind.UPDATE, "update"), (DeploymentKind.DESTROY, "destroy")):
        plan = PlanView(
            id="plan-7k2m9p4q8r3t",
            kind=kind,
            environment="demo",
            template="web",
            template_version="1",
            bundle=BUNDLE.digest,
            requested_by="bob",
            created_at=NOW,
            expires_at=NOW,
            steps=plan_steps(),
        )
        said = plan_next(plan, UTC, view)
        assert ("To apply exactly this plan" in said) == (action in view.may)
        assert ("ada, who owns demo, can" in said) == (action not in view.may)
