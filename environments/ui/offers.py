"""Which actions of the registry the web page offers, and where; and why it lacks others that the TUI has."""

from collections.abc import Mapping

from environments.ui.environment.common import PARTS

OFFERED: Mapping[str, str] = {
    **{id: f"/environments/{{name}}/{part}" for id, part in PARTS.items()},
    "environment.show": "/environments/{name}",
    "environment.outputs": "/environments/{name}/reveal",
    "environment.logs": "/environments/{name}/logs",
    "environment.drift": "/environments/{name}/observe",
    "environment.explain": "/environments/{name}/history",
    "environment.rules": "/environments/{name}/rules",
    "environment.remove_rule": "/environments/{name}/rules/remove",
    "environment.access": "/environments/{name}/access",
    "environment.triggers": "/environments/{name}/triggers",
    "environment.create": "/environments/new",
    "hold.list": "/holds",
    "hold.release": "/holds/{id}/release",
    "hold.cancel": "/holds/{id}/cancel",
    "policy.list": "/policies",
    "policy.set": "/policies/set",
    "policy.change": "/policies/{scope}/{name}",
    "policy.remove": "/policies/{scope}/{name}/remove",
    "calendar.list": "/calendars",
    "calendar.show": "/calendars/{name}",
    "calendar.set": "/calendars/set",
    "calendar.remove": "/calendars/{name}/remove",
    "warning.channels": "/channels",
    "warning.test": "/channels/test",
    "session.whoami": "/settings",
    "preview.list": "/previews",
    "trigger.list": "/triggers",
    "trigger.show": "/triggers/{id}",
    "trigger.add": "/triggers/new",
    "trigger.remove": "/triggers/{id}/remove",
    "trigger.pause": "/triggers/{id}/pause",
    "trigger.resume": "/triggers/{id}/resume",
    "event.list": "/events",
    "event.show": "/events/{id}",
    "event.filter": "/events",
    "event.replay": "/events/{id}/replay",
    "view.filter": "/",
    "view.sort": "/",
    "view.reverse": "/",
    "view.ended": "/",
    "view.follow": "/environments/{name}/logs/live",
}
"""Action → the path of its page."""

NOT_OFFERED: Mapping[str, str] = {
    "view.copy": "The address is a link, which every browser can copy.",
    "view.reload": "Every browser reloads pages.",
    "view.palette": "The links of each page lead to everything, and browsers find text on it.",
    "view.help": "Each page says what it shows; there are no keys to explain.",
    "view.back": "Every browser goes back.",
    "view.quit": "A page is closed with its tab.",
}
"""Action of the TUI → why the web page has no such thing."""
