"""Templates from git repositories: the service fetches them and pins the commit."""

import re
from typing import NamedTuple, Protocol

from environments.domain.errors import InvalidSource
from environments.domain.shapes import REVISION_PATTERN
from environments.domain.template import Bundle
from environments.service.authorization import Action, Principal, check_service
from environments.service.catalogue import Catalogue
from environments.service.records import CataloguedTemplate, TemplateSource

_REF = re.compile(REVISION_PATTERN)


class Fetched(NamedTuple):
    """A template of a commit. `ref` is the requested revision, or the default branch."""

    commit: str
    ref: str
    bundle: Bundle


class Repositories(Protocol):
    """Fetches from git repositories."""

    def fetch(self, url: str, ref: str | None, path: str) -> Fetched:
        """The template in the folder `path` (empty: the root) of a tag, branch or commit, or of the default branch.

        Raises `InvalidSource`, `InvalidTemplate`, `UnknownRevision`, `SourceFailed`, `MachineError`.
        """
        ...


class Sources:
    """Pushes templates from git repositories."""

    def __init__(self, catalogue: Catalogue, repositories: Repositories) -> None:
        self._catalogue = catalogue
        self._repositories = repositories

    def push(self, principal: Principal, url: str, ref: str | None = None, path: str = "") -> CataloguedTemplate:
        """Fetches a template and makes it the newest of its name; each call fetches again.

        Only an admin may do this. Raises `Forbidden`, `InvalidTemplate`, and what `Repositories.fetch` raises.
        """
        check_service(principal, Action.TEMPLATE_PUSH)
        path = _checked_path(path)
        if ref is not None:
            _check_ref(ref)
        found = self._repositories.fetch(url, ref, path)
        source = TemplateSource(url=url, ref=found.ref, commit=found.commit, path=path)
        return self._catalogue.push(principal, found.bundle, source)


def _check_ref(ref: str) -> None:
    if (
        not _REF.fullmatch(ref)
        or not ref.isprintable()
        or ".." in ref
        or "@{" in ref
        or ref.endswith((".", "/", ".lock"))
    ):
        raise InvalidSource(f"{ref!r} can't be the name of a tag, a branch or a commit.", hint="Give one of these.")


def _checked_path(path: str) -> str:
    """The path from the repository's root, without slashes around it. Raises `InvalidSource` when it leaves it."""
    plain = path.removeprefix(".") if path in (".", "./") else path.removeprefix("./")
    plain = plain.removeprefix("/").removesuffix("/")
    if plain and any(part in ("", ".", "..") for part in plain.split("/")):
        raise InvalidSource(f"{path!r} is not a folder of a repository.", hint="Give one such as templates/web.")
    if any(not character.isprintable() for character in plain):
        raise InvalidSource("The folder's name holds characters that can't be printed.")
    return plain
