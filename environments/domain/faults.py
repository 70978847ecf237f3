"""What is wrong with a template: where, what, and what was probably meant."""

from collections.abc import Iterable
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict, Field

from environments.domain.errors import CalvinverseError
from environments.domain.suggesting import near

Path = tuple[str | int, ...]
"""A place in a document: keys of tables and positions in lists, such as `("steps", 0, "with")`."""

TEMPLATE_FILE = "template.toml"

LONGEST = 600
"""Characters of a message."""


class Fault(BaseModel):
    """One fault of a template. `line` and `column` count from 1 and are None where nobody can tell.

    A `warning` keeps no template from being pushed. `path` is where in `template.toml` it is; who knows the text of the
    file makes a line of it (`at`).
    """

    model_config = ConfigDict(frozen=True)

    message: str
    suggestion: str = ""
    file: str = TEMPLATE_FILE
    line: int | None = None
    column: int | None = None
    warning: bool = False
    path: Path = Field(default=(), exclude=True)

    @property
    def sentence(self) -> str:
        """What is wrong and what was meant, without the place."""
        return f"{self.message}; {self.suggestion}" if self.suggestion else self.message

    def __str__(self) -> str:
        """`template.toml:12: parameters.p: "minimun" is no keyword of JSON Schema; did you mean "minimum"?`."""
        return f"{self.file}{'' if self.line is None else f':{self.line}'}: {self.sentence}"

    def at(self, places: "Places") -> "Fault":
        """The fault with its line, and cut to a length that people read."""
        told: dict[str, Any] = {}
        if len(self.message) > LONGEST:
            told["message"] = f"{self.message[: LONGEST - 1]}…"
        if self.line is None and self.file == TEMPLATE_FILE and (found := places.find(self.path)) is not None:
            told["line"], told["column"] = found
        return self.model_copy(update=told) if told else self

    def within(self, path: Path, before: str = "") -> "Fault":
        """The fault of a part as one of the whole: `path` leads to the part, `before` begins the message."""
        return self.model_copy(update={"path": (*path, *self.path), "message": f"{before}{self.message}"})


class Places(Protocol):
    """Knows where in a file a part of its document is."""

    def find(self, path: Path) -> tuple[int, int] | None:
        """Line and column, of the nearest part around it that is known; None without any."""
        ...


def fault_of(error: CalvinverseError, path: Path) -> Fault:
    """The fault that an error tells of: its sentence, and its hint as the suggestion."""
    hint = error.hint.rstrip(".")
    return Fault(path=path, message=error.message.rstrip("."), suggestion=f"{hint[:1].lower()}{hint[1:]}")


def meant(name: str, known: Iterable[str], *, written: str = "{}") -> str:
    """`did you mean "minimum"?`; empty when no known name is near. `written`: how a name is written there."""
    found = near(name, known, most=1)
    return f'did you mean "{written.format(found[0])}"?' if found else ""


def shown(path: Path) -> str:
    """A path for people: `keys.a`, `names[0]`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text[:200]
