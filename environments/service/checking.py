"""Looks at what people send that may cost more than its size: templates, parameters, expressions.

A port, because such a look needs a process of its own with limits of time and memory: `environments.checking`
has it. `DirectChecks` does the same here, without limits; it is what that process runs, and what tests without hostile
input use.
"""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from environments.domain.errors import CalvinverseError, CheckTooCostly, NotAllowedNow
from environments.domain.faults import Fault
from environments.domain.template import Bundle
from environments.domain.template_parts import Template
from environments.service.inspecting import StepKind, template_faults
from environments.service.parameters import check_values
from environments.service.rendering import evaluate

T = TypeVar("T")

_VERSIONS = 5
"""Times that the template of a request may be replaced while its parameters are checked."""

Note = Callable[[str], None]
"""Told which parameter, step or file is looked at next."""


class Checks(Protocol):
    """Looks at what `owner` sent. All raise `CheckTooCostly`, and `TooManyRequests` when others have to be let in."""

    def template(self, owner: str, bundle: Bundle, images: Collection[str] | None = None) -> list[Fault]:
        """Every fault of a template; none but warnings: it is valid. `images`: those that are published now."""
        ...

    def parameters(
        self, owner: str, template: Template, given: Mapping[str, Any], known: frozenset[str]
    ) -> dict[str, Any]:
        """What `environments.service.parameters.check_parameters` gives and raises."""
        ...

    def expression(self, text: str, names: Mapping[str, Any], where: str) -> Any:
        """What `rendering.evaluate` gives and raises. For the service itself: it waits its turn."""
        ...


class Judge(Protocol):
    """Asks a part that is connected what it thinks of a template's files."""

    def __call__(self, bundle: Bundle, found: Sequence[Fault], images: Mapping[str, str]) -> list[Fault]:
        """Faults beside those that are `found` already; a part that can't be asked is told as a warning.

        `images`: references of the published images by their names.
        """
        ...


def unjudged(bundle: Bundle, found: Sequence[Fault], images: Mapping[str, str]) -> list[Fault]:
    """Asks nobody."""
    return []


class DirectChecks:
    """Looks right here, without limits."""

    def __init__(self, kinds: Mapping[str, StepKind], note: Note = lambda place: None) -> None:
        self._kinds = kinds
        self._note = note

    def template(self, owner: str, bundle: Bundle, images: Collection[str] | None = None) -> list[Fault]:
        """Every fault of a template."""
        return template_faults(bundle, self._kinds, self._note, images)

    def parameters(
        self, owner: str, template: Template, given: Mapping[str, Any], known: frozenset[str]
    ) -> dict[str, Any]:
        """The parameters as they are kept."""
        return check_values(template.name, template.parameters, given, known, self._note)

    def expression(self, text: str, names: Mapping[str, Any], where: str) -> Any:
        """The value of a text."""
        self._note(where)
        return evaluate(text, names, where)


class Unchecked(Exception):
    """Parameters haven't been checked against this version of the template; for `Verdicts.settle` only."""

    def __init__(self, key: str, template: Template, given: Mapping[str, Any], known: frozenset[str]) -> None:
        super().__init__(template.name)
        self.key, self.template, self.given, self.known = key, template, given, known


class Verdicts:
    """The checks of one request's parameters, made outside of transactions: a check may take a second.

    A transaction that needs a verdict which isn't there is left, the check is made, and the transaction is begun again.
    """

    def __init__(self, checks: Checks, owner: str) -> None:
        self._checks = checks
        self._owner = owner
        self._found: dict[str, dict[str, Any] | CalvinverseError] = {}

    def parameters(
        self, template: Template, given: Mapping[str, Any], *, known: frozenset[str] = frozenset()
    ) -> dict[str, Any]:
        """The checked parameters. Raises what the check raised, and `Unchecked`, which `settle` takes care of."""
        try:
            key = json.dumps([template.name, template.parameters, dict(given), sorted(known)], default=str)
        except RecursionError:
            raise CheckTooCostly("The parameters are nested too deeply to be checked.") from None
        found = self._found.get(key)
        if found is None:
            raise Unchecked(key, template, given, known)
        if isinstance(found, CalvinverseError):
            raise found
        return dict(found)

    def settle(self, transaction: Callable[[], T]) -> T:
        """What the transaction gives, once all parameters that it asks about are checked."""
        for _ in range(_VERSIONS):
            try:
                return transaction()
            except Unchecked as question:
                self._check(question)
        raise NotAllowedNow("The template keeps being pushed.", hint="Send the request again.")

    def _check(self, question: Unchecked) -> None:
        try:
            found: dict[str, Any] | CalvinverseError = self._checks.parameters(
                self._owner, question.template, question.given, question.known
            )
        except CalvinverseError as error:
            found = error
        self._found[question.key] = found
