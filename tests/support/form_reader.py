"""Forms of pages as a browser reads and sends them."""

from dataclasses import dataclass, field
from html.parser import HTMLParser


@dataclass
class Form:
    """A form: where it goes, and what is sent without any button."""

    action: str = ""
    method: str = "get"
    fields: dict[str, list[str]] = field(default_factory=dict)
    buttons: list[tuple[str, str]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    """What stands beside fields as being wrong with them."""

    def add(self, name: str, value: str) -> None:
        """One more value of a name."""
        self.fields.setdefault(name, []).append(value.replace("\n", "\r\n"))

    def with_(self, **typed: str) -> dict[str, list[str]]:
        """What is sent with other values; `__` in a name stands for a dot."""
        return {**self.fields, **{name.replace("__", "."): [value] for name, value in typed.items()}}


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.forms: list[Form] = []
        self._form: Form | None = None
        self._area: str | None = None
        self._text = ""
        self._select: str | None = None
        self._chosen: str | None = None
        self._first: str | None = None
        self._in_error = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._form = Form(given.get("action", ""), given.get("method", "get").lower())
            self.forms.append(self._form)
        if self._form is None:
            return
        name = given.get("name", "")
        if tag == "input" and name:
            kind = given.get("type", "text")
            if kind not in ("radio", "checkbox") or "checked" in given:
                self._form.add(name, given.get("value", "").replace("\r", "").replace("\n", ""))
        elif tag == "textarea":
            self._area, self._text = name, ""
        elif tag == "select":
            self._select, self._chosen, self._first = name, None, None
        elif tag == "option" and self._select is not None:
            value = given.get("value", "")
            self._first = value if self._first is None else self._first
            self._chosen = value if "selected" in given else self._chosen
        elif tag == "button" and given.get("type", "submit") == "submit":
            self._form.buttons.append((name, given.get("value", "")))
        elif tag == "small" and given.get("class") == "error":
            self._in_error, self._text = True, ""

    def handle_data(self, data: str) -> None:
        if self._area is not None or self._in_error:
            self._text += data

    def handle_endtag(self, tag: str) -> None:
        if self._form is None:
            return
        if tag == "textarea" and self._area is not None:
            text = self._text.replace("\r\n", "\n").replace("\r", "\n")
            self._form.add(self._area, text.removeprefix("\n"))
            self._area = None
        elif tag == "select" and self._select is not None:
            chosen = self._first if self._chosen is None else self._chosen
            if chosen is not None:
                self._form.add(self._select, chosen)
            self._select = None
        elif tag == "small" and self._in_error:
            self._in_error = False
            if said := self._text.replace("✗", "").strip():
                self._form.errors.append(said)
        elif tag == "form":
            self._form = None


def forms_in(page: str) -> list[Form]:
    """The forms of a page, as they are sent when nobody has touched them."""
    reader = _Reader()
    reader.feed(page)
    reader.close()
    return reader.forms


def form_to(page: str, action: str) -> Form:
    """The form of a page that goes there."""
    return next(form for form in forms_in(page) if form.action.partition("?")[0] == action)
