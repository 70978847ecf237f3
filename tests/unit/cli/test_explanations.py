"""`env explain` says that a destroy is held, by which hold and why, and no words of people control a terminal."""

from datetime import UTC, datetime, timedelta

import pytest

from environments.cli.explanation_tables import explanation_lines
from environments.cli.session import Session
from environments.domain.holds import HoldKind
from environments.domain.timing import Because, Pin, Source, TimedAction
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


def test_the_words_of_a_pin_are_one_line_without_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    pin = Pin(end=NOW + timedelta(days=1), by="grace", reason="demo \x1b]0;mine\a\nfree", since=NOW)
    view = ExplanationView(environment="demo", moments=(), pin=pin)
    first, *_ = explanation_lines(view, UTC, NOW)
    assert first.endswith(": demo �]0;mine� free")
    session = Session()
    session.show(view, lambda: [f"pinned for {pin.reason}"])
    session.say(pin.reason)
    told = capsys.readouterr()
    assert "\x1b" not in told.out + told.err
    assert "\a" not in told.out + told.err
