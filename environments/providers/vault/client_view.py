"""What the views of OpenBao's client share: one link."""

from collections.abc import Callable
from typing import Any

import hvac

from environments.providers.backend.link import Link, Missing, TokenLink


class ClientView:
    """What each view of OpenBao shares: one link."""

    def __init__(self, link: Link[hvac.Client] | TokenLink[hvac.Client]) -> None:
        self._link = link

    def _maybe(self, doing: str, use: Callable[[hvac.Client], Any]) -> Any:
        try:
            return self._link.call(doing, use)
        except Missing:
            return None
