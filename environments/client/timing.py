"""The client's calls about what decides about time."""

from environments.client.connection import Connection, Query
from environments.client.names import name_part as _part
from environments.domain.timing import Scope
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


class TimingCalls(Connection):
    """Rules and pins of environments, policies, and holiday calendars. See `environments.client.http.Client`."""

    def rules(self, name: str) -> list[RuleView]:
        """The rules that apply to an environment."""
        return self._pages(f"/v1/environments/{_part(name)}/rules", RuleView)

    def add_rule(self, name: str, request: RuleRequest) -> EnvironmentView:
        """Gives it a rule of its own; one that it has changes nothing."""
        path = f"/v1/environments/{_part(name)}/rules"
        return self._read(self._send("POST", path, request, again=True), EnvironmentView)

    def check_rules(self, *rules: RuleRequest) -> list[RuleCheckView]:
        """The next moments of rules that aren't set yet, or why one can't be set. Changes nothing."""
        answer = self._send("POST", "/v1/rules/check", RuleCheckRequest(rules=rules), again=True)
        return self._read(answer, list[RuleCheckView])

    def remove_rule(self, name: str, request: RuleRequest) -> EnvironmentView:
        """Removes a rule of its own."""
        query: Query = {"rule": request.rule, "action": request.action.value}
        answer = self._request("DELETE", f"/v1/environments/{_part(name)}/rules", query=query)
        return self._read(answer, EnvironmentView)

    def pin(self, name: str, request: PinRequest) -> EnvironmentView:
        """Keeps it until a moment, whatever rules say."""
        return self._read(self._send("PUT", f"/v1/environments/{_part(name)}/pin", request), EnvironmentView)

    def unpin(self, name: str) -> EnvironmentView:
        """Ends its pin."""
        return self._read(self._send("DELETE", f"/v1/environments/{_part(name)}/pin"), EnvironmentView)

    # --- policies and holiday calendars ------------------------------------------------------------------------------

    def policies(self) -> list[PolicyView]:
        """The policies that the caller may see."""
        return self._pages("/v1/policies", PolicyView)

    def set_policy(self, scope: Scope, name: str, request: PolicyRequest, *, dry_run: bool = False) -> PolicyEffectView:
        """Sets a policy (admins), or only tells what it would move."""
        path = f"/v1/policies/{scope.value}/{_part(name)}?dry_run={str(dry_run).lower()}"
        return self._read(self._send("PUT", path, request, again=dry_run), PolicyEffectView)

    def remove_policy(self, scope: Scope, name: str, *, dry_run: bool = False) -> PolicyEffectView:
        """Removes a policy (admins), or only tells what that would move."""
        path = f"/v1/policies/{scope.value}/{_part(name)}?dry_run={str(dry_run).lower()}"
        return self._read(self._send("DELETE", path, again=dry_run), PolicyEffectView)

    def calendars(self) -> list[CalendarView]:
        """The holiday calendars."""
        return self._pages("/v1/calendars", CalendarView)

    def calendar(self, name: str) -> CalendarView:
        """One holiday calendar."""
        return self._read(self._get(f"/v1/calendars/{_part(name)}"), CalendarView)

    def set_calendar(self, name: str, request: CalendarRequest, *, dry_run: bool = False) -> CalendarEffectView:
        """Sets a holiday calendar (admins), or only tells what it would move."""
        path = f"/v1/calendars/{_part(name)}?dry_run={str(dry_run).lower()}"
        return self._read(self._send("PUT", path, request, again=True), CalendarEffectView)

    def remove_calendar(self, name: str) -> CalendarView:
        """Removes a holiday calendar (admins)."""
        return self._read(self._send("DELETE", f"/v1/calendars/{_part(name)}"), CalendarView)
