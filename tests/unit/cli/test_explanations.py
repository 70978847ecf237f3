"""`env explain` and the dialog of the terminal UI say that a destroy is held, by which hold and why."""

from datetime import UTC, datetime, timedelta

import pytest

from environments.cli.explanation_tables import explanation_lines
from environments.domain.holds import HoldKind
from environments.domain.timing import Because, Source, TimedAction
from environments.timing_words import HELD
from environments.wire.environments import ExplanationView, HeldView, MomentView

NOW = datetime(2027, 3, 1, 12, tzinfo=UTC)
BY = "hold-7f3kq2m4p6r8"


@pytest.mark.parametrize("kind", HoldKind)
def test_an_explanation_names_the_hold(kind: HoldKind) -> None:
    due = MomentView(at=NOW - timedelta(hours=1), action=TimedAction.DESTROY, because=Because(source=Source.LIFETIME))
    view = ExplanationView(environment="demo", moments=(due,), held=HeldView(hold=BY, kind=kind, since=NOW))
    first, *_ = explanation_lines(view, UTC, NOW)
    assert first == f"{BY} keeps it from being destroyed until an admin decides, because {HELD[kind]}."
