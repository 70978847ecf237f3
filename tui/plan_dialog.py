"""The dialog of a plan: what a change would do, step by step, before it is applied."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Button, Static

from environments.domain.errors import CalvinverseError, PlanStale
from environments.domain.plan import Action, summary
from environments.wire.plans import PlanRequest, PlanView
from environments.words import clean
from tui import plan_sections
from tui.dialogs import Dialog, problem_text


class PlanDialog(Dialog):
    """Requests a plan, shows it, and applies it as shown. If something has changed meanwhile, it plans again."""

    back = "Back (esc)"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "scroll(-1)", show=False),
        Binding("down,j", "scroll(1)", show=False),
        Binding("pageup", "scroll(-10)", show=False),
        Binding("pagedown", "scroll(10)", show=False),
    ]

    def __init__(
        self, name: str, id: str, request: PlanRequest, title: str, said: str, *, plan: PlanView | None = None
    ) -> None:
        """`id` of the environment, or its name where it isn't made yet.

        `said` ends the sentence that tells of its being done: `is being repaired`. `plan`: made already.
        """
        super().__init__(title, "Apply")
        self._named = name
        self._id_of = id
        self._request = request
        self._said = said
        self._plan = plan
        self._key = ""

    def body(self) -> ComposeResult:
        """The steps, which scroll, and their sum."""
        with VerticalScroll(id="plan"):
            yield Static(id="plan-steps", markup=False)
        yield Static(id="plan-sum", markup=False)

    def on_mount(self) -> None:
        """Shows the plan, or requests it."""
        super().on_mount()
        if self._plan is None:
            self._ask()
        else:
            self._show(self._plan)

    def _ask(self) -> None:
        self._plan = None
        self.complain(None)
        self.query_one("#go", Button).disabled = True
        self.query_one("#cancel").focus()
        self.query_one("#plan-steps", Static).update(
            Content.assemble(("Asking every step what it would do…", "$faint"))
        )
        self.query_one("#plan-sum", Static).update("")
        id, request, client = self._id_of, self._request, self.shell.client
        self.ask(lambda: client().plan(id, request), self._show, self._not_planned)

    def _show(self, plan: PlanView) -> None:
        self._plan = plan
        self._key = self.shell.make_key()
        self.query_one("#plan-steps", Static).update(plan_sections.plan(plan.steps))
        until = self.shell.clock.moment(plan.expires_at)
        self.query_one("#plan-sum", Static).update(
            Content.assemble(
                (f"{summary(plan.steps).capitalize()}.", "bold"),
                *([f" It expires {self.shell.clock.moment(plan.deadline)}."] if plan.deadline is not None else []),
                (f"\nSaved until {until} as {clean(plan.id)}", "$faint"),
            )
        )
        loses = any(change.action in (Action.DESTROY, Action.REPLACE) for step in plan.steps for change in step.changes)
        self.query_one("#dialog").set_class(loses, "-dangerous")
        go = self.query_one("#go", Button)
        go.label = self.verb = "Apply"
        go.disabled = False
        go.variant = "error" if loses else "primary"
        # Focuses the cautious button if the plan destroys something: Enter alone must not do that.
        self.query_one("#cancel" if loses else "#go").focus()

    def _not_planned(self, error: CalvinverseError) -> None:
        self.query_one("#plan-steps", Static).update("There is no plan.")
        self.refused(error)

    def refused(self, error: CalvinverseError) -> None:
        """Shows why the plan was refused and what has changed; the button then plans again."""
        self.complain(error)
        moved = error.details.get("moved")
        if isinstance(error, PlanStale) and isinstance(moved, list):
            lines = "".join(f"\n  • {clean(str(one))}" for one in moved if str(one) not in error.message)
            self.query_one("#problem", Static).update(Content.assemble(problem_text(error), lines))
        if self._plan is None or isinstance(error, PlanStale):
            self._plan = None
            go = self.query_one("#go", Button)
            go.label = self.verb = "Plan again"
            go.disabled = False

    def action_scroll(self, lines: int) -> None:
        """Scrolls the plan."""
        self.query_one("#plan").scroll_relative(y=lines, animate=False)

    def go(self) -> None:
        """Applies the plan as shown, or plans again."""
        plan, key = self._plan, self._key
        if plan is None:
            self._ask()
        else:
            self.send(lambda client: client.apply_plan(plan.id, idempotency_key=key), f"{self._named} {self._said}.")
