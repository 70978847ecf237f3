"""Limits on what one owner may store, so that no owner fills the database."""

from datetime import datetime

from environments.domain.errors import TooManyRequests
from environments.service.storage.transaction import Transaction

MOST_PLANS = 100
"""Saved plans that can be applied."""

MOST_TOKENS = 100
"""Valid tokens, of those that somebody keeps."""

_SHORT_LIVED = frozenset({"session", "ci"})
"""Kinds of tokens that have limits of their own."""


def check_plans(tx: Transaction, owner: str, now: datetime) -> None:
    """Raises `TooManyRequests` when the owner has the largest allowed number of saved plans."""
    ends = tx.plans.living(owner, now)
    if len(ends) >= MOST_PLANS:
        raise TooManyRequests(
            f"{owner} has {len(ends)} saved plans that have not been applied, and {MOST_PLANS} at most are kept.",
            hint=f"Apply one of them, or wait until {ends[0]:%Y-%m-%d %H:%M} UTC, when the oldest expires.",
            details={"retry_after": int((ends[0] - now).total_seconds()) + 1},
        )


def check_tokens(tx: Transaction, owner: str, now: datetime) -> None:
    """Raises `TooManyRequests` when the owner has the largest allowed number of valid tokens."""
    living = [token for token in tx.tokens.living(owner, now) if token.kind not in _SHORT_LIVED]
    if len(living) >= MOST_TOKENS:
        raise TooManyRequests(
            f"{owner} has {len(living)} valid tokens; the limit is {MOST_TOKENS}.",
            hint="Revoke one. This one has been unused for the longest time: `calvinverse token revoke "
            f"{living[0].id}`.",
            details={"unused": [token.id for token in living[:10]]},
        )
