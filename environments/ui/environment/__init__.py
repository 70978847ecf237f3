"""One environment: what it is now, what happened to it, and what can be done with it."""

from environments.ui.environment import beside, deadline, history, logs, planned, rules, sharing, show, switching

PAGES = (
    *show.PAGES,
    *logs.PAGES,
    *history.PAGES,
    *beside.PAGES,
    *sharing.PAGES,
    *rules.PAGES,
    *deadline.PAGES,
    *switching.PAGES,
    *planned.PAGES,
)
