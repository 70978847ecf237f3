"""One environment: what it is now, what happened to it, and what can be done with it."""

from environments.ui.environment import show

PAGES = (*show.PAGES,)
