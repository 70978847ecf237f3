"""What people read about a degraded environment: bounded, and clean of secrets and of what a terminal would obey."""

from collections.abc import Sequence
from datetime import datetime

from environments.domain.cleaning import Cleaner
from environments.domain.environment import DegradedReason
from environments.domain.errors import CalvinverseError
from environments.steps.base import Owner
from environments.steps.job_health import Trouble
from environments.steps.secret_words import Words

MOST = 20
"""Reasons of one environment that are kept; the others are counted."""

_LONGEST_ADDRESS = 200
_LONGEST_SAID = 300
_LONGEST_QUOTE = 300
"""Characters; whoever can register a check chooses what it is called and what it says."""


class Texts:
    """`words` are an environment's secrets: where they can't be told, nothing that strangers said is quoted."""

    def __init__(self, words: Words) -> None:
        self._words = words

    def reason(
        self, owner: Owner, trouble: Trouble, step: str | None, now: datetime, told: DegradedReason | None
    ) -> DegradedReason:
        """One reason. What was told of it already stays as it is, unless something else is to be said of it."""
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
        """What says that there are more, if of `count` reasons only these are kept."""
        if count <= len(reasons):
            return ()
        rest = f"{count - len(reasons)} more of this environment don't work."
        return (DegradedReason(since=reasons[0].since, kind="", address="", reason=rest),)

    def message(self, name: str, reasons: Sequence[DegradedReason]) -> str:
        """What the event says."""
        if not reasons:
            return f"{name} works again as a whole"
        first, more = reasons[0], f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
        where = f"{first.step}: " if first.step else ""
        return f"{name} is degraded: {where}{first.reason.rstrip('.')}{more}"

    def _quote(self, owner: Owner, text: str) -> str:
        try:
            words = self._words(owner)
        except CalvinverseError:
            words = None
        return "" if words is None else _line(Cleaner(words), text, _LONGEST_QUOTE)


def short(address: str) -> str:
    """An address as far as it is kept."""
    return _line(Cleaner(), address, _LONGEST_ADDRESS)


def _line(cleaner: Cleaner, text: str, longest: int) -> str:
    """The text as one line. It is cleaned as a whole: what is cut may be half a secret."""
    return cleaner.clean(" ".join(cleaner.clean(text).split()), longest)
