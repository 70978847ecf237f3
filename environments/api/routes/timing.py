"""Routes of what decides about time: rules and pins of environments, policies, and holiday calendars."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from environments.api import name_paths, presenting_timing
from environments.api.guard import Caller
from environments.api.paging import PAGE, Limit, Skip, link_next
from environments.api.ports import Service
from environments.api.problems import problems
from environments.api.shown import shown
from environments.domain.errors import (
    Forbidden,
    InvalidInput,
    InvalidLifetime,
    InvalidName,
    ManagedOutside,
    NotAllowedNow,
    NotFound,
    UnknownEnvironment,
)
from environments.domain.timing import Scope, TimedAction
from environments.service.pages import ended_in_time
from environments.wire.environments import EnvironmentView
from environments.wire.timing import (
    CalendarEffectView,
    CalendarRequest,
    CalendarView,
    PinRequest,
    PolicyEffectView,
    PolicyRequest,
    PolicyView,
    RuleCheckRequest,
    RuleCheckView,
    RuleRequest,
    RuleView,
)

_DryRun = Annotated[bool, Query(description="Only compute what it moves; store nothing.")]
_EDITED = problems(UnknownEnvironment, NotAllowedNow, ManagedOutside, InvalidLifetime, InvalidInput)


def timing_routes(service: Service) -> APIRouter:
    """Everything below /v1/policies, /v1/calendars and /v1/rules, and the rules and the pin of an environment."""
    name_paths.register()
    router = APIRouter(prefix="/v1", tags=["timing"])
    edits, policies, calendars = service.time_edits, service.policies, service.calendars

    @router.get("/environments/{name}/rules", responses=problems(UnknownEnvironment))
    def list_rules(
        caller: Caller, request: Request, response: Response, name: str, limit: Limit = PAGE, skip: Skip = 0
    ) -> list[RuleView]:
        """Lists the rules that apply to an environment: its own, those of its template, and those of policies."""
        shown = [presenting_timing.rule(*found) for found in service.reading.rules(caller, name)[skip : skip + limit]]
        page = ended_in_time(shown, lambda rule: len(rule.model_dump_json()))
        link_next(request, response, page, limit, skip=skip + len(page))
        return page

    @router.post("/environments/{name}/rules", responses=_EDITED)
    def add_rule(caller: Caller, name: str, request: RuleRequest) -> EnvironmentView:
        """Gives an environment a rule of its own, whose moments count from now on."""
        return shown(service, caller, edits.add_rule(caller, name, request.action, request.rule))

    @router.delete(
        "/environments/{name}/rules",
        responses=problems(UnknownEnvironment, NotAllowedNow, ManagedOutside, InvalidLifetime, InvalidInput, NotFound),
    )
    def remove_rule(
        caller: Caller,
        name: str,
        rule: Annotated[str, Query(max_length=1000, description="The rule, as the list shows it.")],
        action: Annotated[TimedAction, Query(description="What it does.")] = TimedAction.DESTROY,
    ) -> EnvironmentView:
        """Removes a rule of an environment's own."""
        return shown(service, caller, edits.remove_rule(caller, name, action, rule))

    @router.put(
        "/environments/{name}/pin",
        responses=problems(UnknownEnvironment, NotAllowedNow, ManagedOutside, InvalidLifetime, InvalidInput, Forbidden),
    )
    def pin_environment(caller: Caller, name: str, request: PinRequest) -> EnvironmentView:
        """Keeps an environment until a moment: rules don't stop or destroy it. A person still may.

        A pin ends by itself. It never passes the maximum of the environment, unless an admin says so.
        """
        given = {"ttl": request.ttl, "until": request.until, "past_maximum": request.past_maximum}
        return shown(service, caller, edits.pin(caller, name, request.reason, **given))  # type: ignore[arg-type]  # by name

    @router.delete("/environments/{name}/pin", responses=problems(UnknownEnvironment, NotAllowedNow, ManagedOutside))
    def unpin_environment(caller: Caller, name: str) -> EnvironmentView:
        """Ends a pin. What would end at once ends an hour later, or with the pin if that is earlier."""
        return shown(service, caller, edits.unpin(caller, name))

    @router.post("/rules/check", responses=problems())
    def check_rules(caller: Caller, request: RuleCheckRequest) -> list[RuleCheckView]:
        """Tells the next moments of rules that aren't set yet, and why one can't be set. Stores nothing."""
        found = calendars.check_rules((one.action, one.rule) for one in request.rules)
        return [presenting_timing.checked_rule(one) for one in found]

    @router.get("/policies", responses=problems())
    def list_policies(
        caller: Caller, request: Request, response: Response, limit: Limit = PAGE, skip: Skip = 0
    ) -> list[PolicyView]:
        """Lists the policies; only an admin sees those for other owners."""
        found = policies.policies(caller, limit=limit, skip=skip)
        link_next(request, response, found, limit, skip=skip + len(found))
        return [presenting_timing.policy(one) for one in found]

    @router.put("/policies/{scope}/{name:owner}", responses=problems(Forbidden, InvalidLifetime, InvalidInput))
    def set_policy(
        caller: Caller, scope: Scope, name: str, request: PolicyRequest, dry_run: _DryRun = False
    ) -> PolicyEffectView:
        """Sets the policy for an owner or a template, in place of an earlier one. Admins only.

        The answer has what it moves, also with `dry_run`. Rules count from now on. A new maximum ends nothing within a
        day.
        """
        rules = [(rule.action, rule.rule) for rule in request.rules]
        return presenting_timing.policy_effect(
            policies.set(caller, scope, name, rules, request.maximum, dry_run=dry_run)
        )

    @router.delete("/policies/{scope}/{name:owner}", responses=problems(Forbidden, NotFound))
    def remove_policy(caller: Caller, scope: Scope, name: str, dry_run: _DryRun = False) -> PolicyEffectView:
        """Removes the policy for an owner or a template. Admins only."""
        return presenting_timing.policy_effect(policies.remove(caller, scope, name, dry_run=dry_run))

    @router.get("/calendars", responses=problems())
    def list_calendars(
        caller: Caller,
        request: Request,
        response: Response,
        limit: Limit = PAGE,
        after: Annotated[str, Query(description="Only those whose names come behind this one.")] = "",
    ) -> list[CalendarView]:
        """Lists the holiday calendars, by name."""
        found = calendars.calendars(after=after, limit=limit)
        link_next(request, response, found, limit, after=found[-1].name if found else after)
        return [presenting_timing.calendar(one) for one in found]

    @router.get("/calendars/{name}", responses=problems(NotFound))
    def show_calendar(caller: Caller, name: str) -> CalendarView:
        """Shows a holiday calendar with its days."""
        return presenting_timing.calendar(calendars.calendar(name))

    @router.put("/calendars/{name}", responses=problems(Forbidden, InvalidName, InvalidInput))
    def set_calendar(
        caller: Caller, name: str, request: CalendarRequest, dry_run: _DryRun = False
    ) -> CalendarEffectView:
        """Sets the days of a holiday calendar, in place of earlier ones. Admins only.

        The answer has what it moves, also with `dry_run`. No deadline moves into the past.
        """
        return presenting_timing.calendar_effect(calendars.set(caller, name, request.days, dry_run=dry_run))

    @router.delete("/calendars/{name}", responses=problems(Forbidden, NotFound, NotAllowedNow))
    def remove_calendar(caller: Caller, name: str) -> CalendarView:
        """Removes a holiday calendar that no rule refers to. Admins only."""
        return presenting_timing.calendar(calendars.remove(caller, name))

    return router
