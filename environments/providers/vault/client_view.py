"""The base class of the parts of OpenBao's client."""

from collections.abc import Callable
from typing import Any

import hvac

from environments.providers.backend.link import Link, Missing, TokenLink


class ClientView:
    """A part of OpenBao's client; all parts share one link."""

    def __init__(self, link: Link[hvac.Client] | TokenLink[hvac.Client]) -> None:
        self._link = link

    def _maybe(self, doing: str, use: Callable[[hvac.Client], Any]) -> Any:
        try:
            return self._link.call(doing, use)
        except Missing:
            return None
