"""Keys from the registry of actions: Textual's bindings, and how keys are written."""

from textual.binding import Binding, BindingType

from environments.actions.action import BOTH, Action, Place
from environments.actions.registry import at

_WRITTEN = {
    "slash": "/",
    "colon": ":",
    "question_mark": "?",
    "escape": "esc",
    "enter": "⏎",
}

_NOT_IN_FOOTER = {
    (Place.LIST, "view.back"),
    *((place, id) for place in BOTH for id in ("environment.pin", "environment.unpin", "environment.explain")),
}
"""The bottom line has 80 cells. Back leads to the list, which therefore doesn't need the entry."""


def written(key: str) -> str:
    """A key in the usual notation: `/`, `^d`, `esc`, `D`."""
    if key.startswith("ctrl+"):
        return f"^{key.removeprefix('ctrl+')}"
    return _WRITTEN.get(key, key)


def handler(action: Action) -> str:
    """The name of the screen's method, after `action_`, that carries out the action: `environment_destroy`."""
    return action.id.replace(".", "_")


def bindings(place: Place) -> list[BindingType]:
    """The bindings of a screen. Their ids are those of the actions, so that a keymap can change them."""
    return [
        Binding(
            ",".join(action.keys),
            handler(action),
            action.footer or action.title,
            show=bool(action.footer) and (place, action.id) not in _NOT_IN_FOOTER,
            key_display=written(action.keys[0]),
            tooltip=action.help,
            id=action.id,
        )
        for action in at(place)
        if action.keys
    ]
