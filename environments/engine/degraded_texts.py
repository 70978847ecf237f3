"""The texts about a degraded environment: of bounded length, without secrets and without terminal control codes."""

from collections.abc import Sequence
from datetime import datetime

from environments.domain.cleaning import Cleaner
from environments.domain.environment import DegradedReason
from environments.domain.errors import CalvinverseError
from environments.steps.base import Owner
from environments.steps.job_health import Trouble
from environments.steps.secret_words import Words

MOST = 20
"""How many reasons are stored for one environment; further ones are counted."""

_LONGEST_ADDRESS = 200
_LONGEST_SAID = 300
_LONGEST_QUOTE = 300
"""Characters; whoever can register a check chooses its name and its output."""


class Texts:
    """`words` are an environment's secrets. If they can't be read, output of checks and tasks is not quoted."""

    def __init__(self, words: Words) -> None:
        self._words = words

    def reason(
        self, owner: Owner, trouble: Trouble, step: str | None, now: datetime, told: DegradedReason | None
    ) -> DegradedReason:
        """One reason. An earlier reason is kept, unless its text changes."""
        said = _line(Cleaner(), trouble.said, _LONGEST_SAID)
        if told is not None and told.reason.startswith(said):
            return told
        quote = self._quote(owner, trouble.quote) if trouble.quote else ""
        return DegradedReason(
            since=now if told is None else told.since,
            step=step,
            kind=trouble.kind,
            address=trouble.address,
            reason=f"{said}: {quote.rstrip('.')}." if quote else f"{said}.",
        )

    def more(self, reasons: Sequence[DegradedReason], count: int) -> Sequence[DegradedReason]:
        """A last reason with the number of further ones, if `count` is greater than the number of `reasons`."""
        if count <= len(reasons):
            return ()
        rest = f"{count - len(reasons)} more of this environment don't work."
        return (DegradedReason(since=reasons[0].since, kind="", address="", reason=rest),)

    def message(self, name: str, reasons: Sequence[DegradedReason]) -> str:
        """The event's message."""
        if not reasons:
            return f"{name} works again as a whole"
        first, more = reasons[0], f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
        where = f"{first.step}: " if first.step else ""
        return f"{name} is degraded: {where}{first.reason.rstrip('.')}{more}"

    def _quote(self, owner: Owner, text: str) -> str:
        try:
            words = self._words(owner)
        except CalvinverseError:
            return ""
        return _line(Cleaner(words), text, _LONGEST_QUOTE)


def short(address: str) -> str:
    """An address, cut to the length that is stored."""
    return _line(Cleaner(), address, _LONGEST_ADDRESS)


def _line(cleaner: Cleaner, text: str, longest: int) -> str:
    """The text as one line. It is cleaned before it is cut, because the cut could leave half a secret."""
    return cleaner.clean(" ".join(cleaner.clean(text).split()), longest)
