"""What is destroyed is confirmed by its name; without a terminal the advice is the command line that works."""

import io
import sys

import pytest

from environments.actions.registry import for_command
from environments.cli.session import Session
from environments.domain.errors import InvalidInput


@pytest.mark.parametrize(
    ("typed", "advice"),
    [
        (("env", "destroy", "demo"), "`calvinverse env destroy demo --yes`"),
        (("env", "transfer", "demo", "group:our team"), "`calvinverse env transfer demo 'group:our team' --yes`"),
        (("-o", "json", "env", "destroy", "demo"), "`calvinverse -o json env destroy demo --yes`"),
        (("user", "disable", "--", "-odd"), "`calvinverse user disable --yes -- -odd`"),
    ],
)
def test_the_advice_has_everything_that_was_typed(
    monkeypatch: pytest.MonkeyPatch, typed: tuple[str, ...], advice: str
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("demo\n"))
    with pytest.raises(InvalidInput) as refused:
        Session(typed=typed).confirm(for_command("env", "destroy"), "demo", False)
    assert refused.value.hint == f"Add --yes: {advice}."
