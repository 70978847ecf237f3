"""Host names that belong to the edge: a job with a certificate for one of them could pass for the edge."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from environments.domain.errors import CalvinverseError
from environments.domain.faults import Fault
from environments.domain.names import is_host_name
from environments.domain.template import TEMPLATE_FILE, Bundle
from environments.domain.toml_places import TomlPlaces
from environments.settings import Settings
from environments.steps.options import has_expression

REMEDY = "use a name that isn't the edge's; a step edge.entrypoint gives services names at the edge"


@dataclass(frozen=True)
class EdgeNames:
    """`host`: the service's own name at the edge. `domain`: all entry points are below it. Empty: there is none."""

    host: str = ""
    domain: str = ""

    @classmethod
    def of(cls, settings: Settings) -> "EdgeNames":
        """Those that the service is told. An address without a name, such as an IP address, reserves nothing."""
        host = urlsplit(settings.external_address).hostname or ""
        return cls(host if is_host_name(host) else "", settings.entry_domain)

    def reason(self, name: str) -> str | None:
        """Why no environment gets a certificate for a name; None if it may.

        In `name`, an asterisk stands for any text. OpenBao ignores case, and spaces around a name.
        """
        patterns = [part.strip().rstrip(".").casefold() for part in name.split(",")]
        shown = repr(name[:80])
        if self.host and any(_matches(pattern, self.host) for pattern in patterns):
            return f"{shown} matches {self.host}, the service's own address: a job could pass for the service"
        if self.domain and any(_reaches(pattern, self.domain) for pattern in patterns):
            return f"{shown} matches entry points, below {self.domain}: a job could pass for another environment"
        return None


NO_NAMES = EdgeNames()
"""Of a service without an edge."""


class EdgeNamesJudge:
    """Finds names of the edge in templates. Implements `Judge` of the service.

    Names with expressions are checked when a step runs.
    """

    def __init__(self, reserved: EdgeNames, kind: str) -> None:
        """`kind`: the kind of the steps that have `names`."""
        self._reserved = reserved
        self._kind = kind

    def __call__(self, bundle: Bundle, found: Sequence[Fault], images: Mapping[str, str]) -> list[Fault]:
        """A fault for each such name."""
        try:
            return list(self._faults(bundle))
        except CalvinverseError:
            return []  # `found` has why it can't be read

    def _faults(self, bundle: Bundle) -> Iterator[Fault]:
        places = TomlPlaces(bundle.text(TEMPLATE_FILE))
        for number, step in enumerate(bundle.template().steps):
            names = step.options.get("names") if step.uses == self._kind else None
            for index, name in enumerate(names if isinstance(names, list) else ()):
                if isinstance(name, str) and not has_expression(name) and (why := self._reserved.reason(name)):
                    path = ("with", "names", index)
                    fault = Fault(path=path, message=f"with.names[{index}]: {why}", suggestion=REMEDY)
                    yield fault.within(("steps", number), f"step {step.name!r}: ").at(places)


def _matches(pattern: str, name: str) -> bool:
    first, *rest = pattern.split("*")
    if not rest:
        return pattern == name
    *middle, last = rest
    at, end = len(first), len(name) - len(last)
    if at > end or not name.startswith(first) or not name.endswith(last):
        return False
    for part in middle:
        if (found := name.find(part, at, end)) < 0:
            return False
        at = found + len(part)
    return True


def _reaches(pattern: str, domain: str) -> bool:
    """Whether the pattern matches the domain or any name below it."""
    below = f".{domain}"
    _, asterisk, ending = pattern.rpartition("*")
    return _matches(pattern, domain) or ending.endswith(below) or (bool(asterisk) and below.endswith(ending))
