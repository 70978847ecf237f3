"""Checks input whose check may take more time and memory than its size suggests: templates, parameters, expressions.

`Checks` is a port, because such a check needs a process of its own with limits of time and memory:
`environments.checking` implements it. `DirectChecks` checks in this process, without limits: the checking process runs
it, and tests without hostile input use it.
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
"""How often the template of a request may be replaced while its parameters are checked."""

Note = Callable[[str], None]
"""Is called with the parameter, step or file that is checked next."""


class Checks(Protocol):
    """Checks what `owner` sent.

    All methods raise `CheckTooCostly`, and `TooManyRequests` while the owner has many checks.
    """

    def template(self, owner: str, bundle: Bundle, images: Collection[str] | None = None) -> list[Fault]:
        """Every fault of a template. A template with only warnings is valid. `images`: the published images."""
        ...

    def parameters(
        self, owner: str, template: Template, given: Mapping[str, Any], known: frozenset[str]
    ) -> dict[str, Any]:
        """Returns and raises what `environments.service.parameters.check_parameters` does."""
        ...

    def expression(self, text: str, names: Mapping[str, Any], where: str) -> Any:
        """Returns and raises what `rendering.evaluate` does.

        For calls of the service itself, which wait for a free process.
        """
        ...


class Judge(Protocol):
    """Validates a template's files with a connected backend."""

    def __call__(self, bundle: Bundle, found: Sequence[Fault], images: Mapping[str, str]) -> list[Fault]:
        """The faults in addition to those already `found`. A backend that can't be asked gives a warning.

        `images`: references of the published images by their names.
        """
        ...


def unjudged(bundle: Bundle, found: Sequence[Fault], images: Mapping[str, str]) -> list[Fault]:
    """Finds nothing: for services without a backend."""
    return []


def judged_by(*judges: Judge) -> Judge:
    """A judge that finds what all of them find."""

    def judge(bundle: Bundle, found: Sequence[Fault], images: Mapping[str, str]) -> list[Fault]:
        return [fault for one in judges for fault in one(bundle, found, images)]

    return judge


class DirectChecks:
    """Checks in this process, without limits."""

    def __init__(self, kinds: Mapping[str, StepKind], note: Note = lambda place: None) -> None:
        self._kinds = kinds
        self._note = note

    def template(self, owner: str, bundle: Bundle, images: Collection[str] | None = None) -> list[Fault]:
        """Every fault of a template."""
        return template_faults(bundle, self._kinds, self._note, images)

    def parameters(
        self, owner: str, template: Template, given: Mapping[str, Any], known: frozenset[str]
    ) -> dict[str, Any]:
        """The parameters as they are stored."""
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

    When a transaction needs a check that hasn't been made, it is rolled back, the check is made, and it starts over.
    """

    def __init__(self, checks: Checks, owner: str) -> None:
        self._checks = checks
        self._owner = owner
        self._found: dict[str, dict[str, Any] | CalvinverseError] = {}

    def parameters(
        self, template: Template, given: Mapping[str, Any], *, known: frozenset[str] = frozenset()
    ) -> dict[str, Any]:
        """The checked parameters. Raises what the check raised, and `Unchecked`, which `settle` handles."""
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
        """The result of the transaction, which is repeated until all parameters that it needs are checked."""
        for _ in range(_VERSIONS):
            try:
                return transaction()
            except Unchecked as question:
                self._check(question)
        raise NotAllowedNow(
            "New versions of the template are pushed during each check.",
            hint="Send the request again.",
        )

    def _check(self, question: Unchecked) -> None:
        try:
            found: dict[str, Any] | CalvinverseError = self._checks.parameters(
                self._owner, question.template, question.given, question.known
            )
        except CalvinverseError as error:
            found = error
        self._found[question.key] = found
