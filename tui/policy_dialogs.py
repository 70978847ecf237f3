"""The dialogs that set and remove a policy."""

from collections.abc import Iterable, Sequence

from textual.app import ComposeResult

from environments.domain.calendar_rule import parse_rule
from environments.domain.deadline import format_duration, parse_duration
from environments.domain.errors import CalvinverseError
from environments.domain.timing import Scope, TimedAction
from environments.wire.timing import PolicyRequest, PolicyView, RuleRequest
from environments.words import clean
from tui.clock import Clock
from tui.effect_dialog import Edit, EffectDialog
from tui.fields import ChoiceField, TextField

RULED = {TimedAction.DESTROY: "Destroy at", TimedAction.STOP: "Stop at", TimedAction.START: "Start at"}
"""What the rules of a policy do, and the label of their field."""


class PolicyDialog(EffectDialog):
    """Sets a policy, or changes the one that is given."""

    def __init__(self, clock: Clock, known: Sequence[PolicyView], present: PolicyView | None = None) -> None:
        """`known`: all policies, of which a new one may replace one. `present`: the one to change."""
        if present is None:
            super().__init__("Set a policy", "Set it", "set", clock)
        else:
            super().__init__(
                f"Change the policy for {present.scope.value} {clean(present.name)}", "Change it", "changed", clock
            )
        self._known = known
        self._present = present

    def fields(self) -> ComposeResult:
        """Whom it is for, its rules and its maximum."""
        present = self._present
        if present is None:
            yield ChoiceField(
                "scope", "For all of", [("an owner", Scope.OWNER), ("a template", Scope.TEMPLATE)], value=Scope.OWNER
            )
            yield TextField("name", "Its name", required=True)
        for action, label in RULED.items():
            rules = () if present is None else [rule.rule for rule in present.rules if rule.action is action]
            example = f"such as 0 19 * * 1-5 {self._clock.zone_name()}; a `;` divides several"
            help = example if action is TimedAction.START else ""
            yield TextField(action.value, label, help, value="; ".join(rules))
        maximum = format_duration(present.maximum) if present is not None and present.maximum is not None else ""
        yield TextField("maximum", "Maximum lifetime", "from creation, such as 7d", value=maximum)

    def on_mount(self) -> None:
        """Focuses the first field that is empty."""
        super().on_mount()
        self.field("name" if self._present is None else TimedAction.DESTROY.value).control().focus()

    def _whose(self) -> tuple[Scope, str]:
        if self._present is not None:
            return self._present.scope, self._present.name
        return Scope(self.field("scope").value), str(self.field("name").value).strip()

    def read(self) -> Edit | None:
        """The policy, if there is a name, and a rule or a maximum, and none of them is wrong."""
        scope, name = self._whose()
        rules: list[RuleRequest] = []
        good = bool(name)
        for action in RULED:
            field = self.field(action.value)
            problem = ""
            try:
                rules += _rules(action, str(field.value))
            except CalvinverseError as error:
                problem, good = error.message, False
            field.say(problem)
        field = self.field("maximum")
        maximum = str(field.value).strip() or None
        field.say("")
        try:
            if maximum is not None:
                parse_duration(maximum)
        except CalvinverseError as error:
            field.say(error.message)
            good = False
        if not good or not (rules or maximum):
            return None
        request = PolicyRequest(rules=tuple(rules), maximum=maximum)
        return lambda client, dry: client.set_policy(scope, name, request, dry_run=dry)

    def named(self) -> str:
        """The owner, or the template."""
        return self._whose()[1]

    def subject(self) -> str:
        """Whom it is for."""
        scope, name = self._whose()
        return f"The policy for {scope.value} {clean(name)}"

    def note(self) -> str:
        """Whether another policy goes."""
        whose = self._whose()
        if self._present is None and any((one.scope, one.name) == whose for one in self._known):
            return "It replaces the present policy with all of its rules."
        return ""


class RemovePolicyDialog(EffectDialog):
    """Removes a policy, after it has shown what that moves."""

    has_fields = False
    back = "Back (esc)"

    def __init__(self, clock: Clock, policy: PolicyView) -> None:
        super().__init__(f"Remove the policy for {policy.scope.value} {clean(policy.name)}", "Remove", "removed", clock)
        self._policy = policy

    def read(self) -> Edit:
        """The removal."""
        policy = self._policy
        return lambda client, dry: client.remove_policy(policy.scope, policy.name, dry_run=dry)

    def named(self) -> str:
        """The owner, or the template."""
        return self._policy.name

    def subject(self) -> str:
        """Whom it was for."""
        return f"The policy for {self._policy.scope.value} {clean(self._policy.name)}"


def _rules(action: TimedAction, typed: str) -> Iterable[RuleRequest]:
    parts: Sequence[str] = [part.strip() for part in typed.split(";")]
    return [RuleRequest(action=action, rule=str(parse_rule(part))) for part in parts if part]
