"""What people read of previews."""

from environments.service.authorization import Principal
from environments.service.pages import Page
from environments.service.storage.previews import PreviewDetails as PreviewDetails  # exported from here
from environments.service.storage.transaction import Storage


class PreviewReading:
    """Lists previews."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def list(
        self, principal: Principal, *, ended: bool = False, limit: int | None = None, skip: int = 0
    ) -> Page[PreviewDetails]:
        """Previews of triggers that act for the caller, or with environments that they see; by repository and number.

        Those without an environment, and without anything wrong, aren't listed: their pull requests get none. At most
        `limit`, without the first `skip`.
        """
        owners = None if principal.sees_all else principal.subjects
        if principal.scope is not None:
            owners = frozenset()
        with self._storage.read() as tx:
            return tx.previews.shown(principal.sight, owners, ended=ended, limit=limit, skip=skip)
