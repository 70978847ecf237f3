"""A transaction that knows shares and who may create, and nothing else: what `may` asks."""

from collections.abc import Iterable, Sequence
from typing import cast

from environments.domain.access import Creator, Share
from environments.service.storage.transaction import Transaction


class _Shares:
    def __init__(self, shares: Sequence[Share]) -> None:
        self._shares = shares

    def of(self, environment_id: str, subjects: Iterable[str] | None = None) -> list[Share]:
        among = None if subjects is None else set(subjects)
        found = (share for share in self._shares if share.environment_id == environment_id)
        return [share for share in found if among is None or share.subject in among]


class _Creators:
    def __init__(self, creators: Sequence[Creator]) -> None:
        self._creators = creators

    def of(self, template: str) -> list[Creator]:
        return [creator for creator in self._creators if creator.template == template]


class _Environments:
    def __init__(self, living: int) -> None:
        self._living = living

    def count_unended(self, owner: str, template: str) -> int:
        return self._living


class _Transaction:
    writes = False

    def __init__(self, shares: Sequence[Share], creators: Sequence[Creator], living: int) -> None:
        self.shares = _Shares(shares)
        self.creators = _Creators(creators)
        self.environments = _Environments(living)


def transaction(*shares: Share, creators: Sequence[Creator] = (), living: int = 0) -> Transaction:
    """One with these shares and creators; everybody has `living` environments."""
    return cast(Transaction, _Transaction(shares, creators, living))
