"""Keys from the registry of actions: Textual's bindings, and how keys are written for people."""

from textual.binding import Binding, BindingType

from environments.actions import Action, Place, at

_WRITTEN = {
    "slash": "/",
    "colon": ":",
    "question_mark": "?",
    "escape": "esc",
    "enter": "⏎",
}

_NOT_IN_FOOTER = {(Place.LIST, "view.back")}
"""The list is where back leads to; its bottom line has 80 cells to fit in."""


def written(key: str) -> str:
    """A key of Textual's as people write it: `/`, `^d`, `esc`, `D`."""
    if key.startswith("ctrl+"):
        return f"^{key.removeprefix('ctrl+')}"
    return _WRITTEN.get(key, key)


def handler(action: Action) -> str:
    """The name of the method, after `action_`, that does it on a screen: `environment_destroy`."""
    return action.id.replace(".", "_")


def bindings(place: Place) -> list[BindingType]:
    """The bindings of a screen. Their ids are those of the actions, so that a keymap can change the keys."""
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
