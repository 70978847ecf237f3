"""What people read of previews."""

from typing import NamedTuple

from environments.domain.lifecycle import State
from environments.domain.preview import Preview
from environments.domain.trigger import PlacedTrigger
from environments.service.authorization import Principal
from environments.service.pages import Page, ended_in_time, shown_size
from environments.service.storage.transaction import Storage, Transaction


class PreviewDetails(NamedTuple):
    """A preview, the name of its trigger (empty: it was removed), and the state of its environment, if it has one."""

    preview: Preview
    trigger: str
    state: State | None = None


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
        with self._storage.read() as tx:
            told = [one for one in tx.previews.all(ended=ended) if one.environment_id is not None or one.fault]
            seen = tx.environments.visible(
                principal.sight, {one.environment_id for one in told if one.environment_id is not None}
            )
            all_of = principal.scope is None
            triggers = {one.id: one for one in tx.triggers.all()}
            found = [
                one
                for one in told
                if one.environment_id in seen
                or (all_of and (principal.sees_all or _acts_for(triggers.get(one.trigger_id), principal)))
            ]
            shown = found[skip : None if limit is None else skip + limit]
            page = Page(shown) if limit is None else ended_in_time(shown, shown_size)
            return page.each(lambda one: _details(tx, one, triggers.get(one.trigger_id)))


def _acts_for(placed: PlacedTrigger | None, principal: Principal) -> bool:
    return placed is not None and placed.owner in principal.subjects


def _details(tx: Transaction, preview: Preview, placed: PlacedTrigger | None) -> PreviewDetails:
    state = None if preview.environment_id is None else tx.environments.name_and_state(preview.environment_id)[1]
    return PreviewDetails(preview, "" if placed is None else placed.name, state)
