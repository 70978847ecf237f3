"""Reads templates from git repositories with the program `git`, in a folder that is removed afterwards.

Nothing is checked out: files are read from the commit's tree, so links, submodules and filters of a repository have no
effect.
"""

import os
import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from environments.domain.errors import InvalidSource, InvalidTemplate, MachineError, SourceFailed, UnknownRevision
from environments.domain.template import LARGEST_BUNDLE, TEMPLATE_FILE, Bundle, make_bundle
from environments.providers.git.calls import SHA256_DIGITS, Git
from environments.service.sources import Fetched

TIME_LIMIT = 90.0
"""Seconds that fetching one template may take."""

PROTOCOLS = ("https", "ssh")

_FULL_COMMIT = re.compile(r"[0-9a-fA-F]{40}(?:[0-9a-fA-F]{24})?")
_COMMIT = re.compile(r"[0-9a-fA-F]{7,64}")
_DEFAULT = "HEAD"
"""The default branch, as git names it."""
_REMOTE = "origin"
_SHORT_SSH = re.compile(r"(?:[A-Za-z0-9_.-]+@)?[A-Za-z0-9][A-Za-z0-9.-]*:(?!//)[^:]+")
"""`git@host:team/templates.git`"""

_LINK, _SUBMODULE = "120000", "160000"


class _Entry(NamedTuple):
    """A file of a tree."""

    mode: str
    blob: str
    path: str


class GitRepositories:
    """Implements `Repositories`. `credentials` is a file as `git credential-store` writes it, for https."""

    def __init__(
        self,
        protocols: Sequence[str] = PROTOCOLS,
        credentials: Path | None = None,
        *,
        time_limit: float = TIME_LIMIT,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self._protocols = tuple(protocols)
        self._credentials = credentials
        self._time_limit = time_limit
        self._environ = environ

    def fetch(self, url: str, ref: str | None, path: str) -> Fetched:
        """See `Repositories.fetch`. A commit gives the same bundle as its folder on a disk."""
        self._check(url)
        program = shutil.which("git", path=self._environ.get("PATH"))
        if program is None:
            raise MachineError("There is no git where the service runs.", hint="Install git, or push a folder instead.")
        with tempfile.TemporaryDirectory(prefix="calvinverse-git-") as folder:
            git = Git(program, Path(folder), self._protocols, self._credentials, self._time_limit, self._environ)
            try:
                return _Repository(git, url).read(ref, path)
            except SourceFailed as error:
                if not error.details.get("refused"):
                    raise
            # Some servers know filters, and don't give single files.
            return _Repository(git, url, whole=True).read(ref, path)

    def _check(self, url: str) -> None:
        if (
            url.startswith("-")
            or "::" in url
            or any(not character.isprintable() or character == " " for character in url)
        ):
            raise InvalidSource("That can't be the address of a git repository.")
        protocol = _protocol(url)
        if protocol not in self._protocols:
            raise InvalidSource(
                f"The service reads no git repositories over {protocol}.",
                hint=f"Give an address of these kinds: {', '.join(self._protocols)}.",
            )
        if protocol in ("https", "http") and (urlsplit(url).query or urlsplit(url).fragment):
            raise InvalidSource("The address of a git repository has neither `?` nor `#`.")
        if protocol in ("https", "http") and "@" in urlsplit(url).netloc:
            raise InvalidSource(
                "The address holds a user name or a password, which would be kept and shown.",
                hint="Leave them out, and put them into the file that CALVINVERSE_GIT_CREDENTIALS names.",
            )
        if protocol == "ssh" and "://" in url and urlsplit(url).password is not None:
            raise InvalidSource("The address holds a password.", hint="Give the service a key for ssh instead.")


def _protocol(url: str) -> str:
    try:
        scheme = urlsplit(url).scheme if "://" in url else ""
        if scheme:
            urlsplit(url).port  # noqa: B018 - a port that is no number raises
    except ValueError as error:
        raise InvalidSource("That can't be the address of a git repository.") from error
    if scheme:
        return scheme.lower()
    if _SHORT_SSH.fullmatch(url):
        return "ssh"
    if not url.startswith("/"):
        raise InvalidSource("That can't be the address of a git repository.")
    return "file"


class _Repository:
    """A repository elsewhere, of which commits and folders are fetched at first, and then the files of the template.

    `whole`: all files of a commit are fetched with it, as they are where the server knows no filters.
    """

    def __init__(self, git: Git, url: str, *, whole: bool = False) -> None:
        self._git = git
        self._url = url
        self._whole = whole

    def read(self, ref: str | None, path: str) -> Fetched:
        """What `Repositories.fetch` gives."""
        self._git.begin()
        name, commit = self._get(ref)
        return Fetched(commit, name, self._bundle(commit, path))

    def _get(self, ref: str | None) -> tuple[str, str]:
        """Fetches what `ref` stands for; the name and the commit, both as they are there now."""
        if ref is not None and _FULL_COMMIT.fullmatch(ref):
            if len(ref) == SHA256_DIGITS:
                self._git.begin(sha256=True)
            return ref, self._get_commit(ref.lower())
        found = self._git.remote(self._url, ref or _DEFAULT)
        if found.sha256:
            self._git.begin(sha256=True)
        if ref in (None, _DEFAULT):
            if _DEFAULT not in found.refs:
                raise UnknownRevision(f"The repository {self._url} has no default branch.", hint="Name one with --ref.")
            return found.branch or _DEFAULT, self._fetch(_DEFAULT)
        assert ref is not None
        named = [name for name in found.refs if name.startswith("refs/")]
        if len(named) > 1:
            raise InvalidSource(
                f"{ref!r} is both a tag and a branch of {self._url}.",
                hint=f"Give refs/tags/{ref} or refs/heads/{ref}.",
            )
        if named:
            return ref, self._fetch(named[0])
        if _COMMIT.fullmatch(ref):
            return ref, self._find_commit(ref.lower())
        raise UnknownRevision(f"The repository {self._url} has no tag and no branch {ref!r}.")

    def _fetch(self, name: str) -> str:
        self._call("--depth=1", _REMOTE, f"+{name}:refs/it")
        return self._commit_of("refs/it", name)

    def _get_commit(self, commit: str) -> str:
        try:
            return self._fetch(commit)
        except SourceFailed as error:
            if error.transient or not error.details.get("refused"):
                raise
        # Some servers only give what a branch or a tag points at: then fetch everything, and search in it.
        return self._find_commit(commit)

    def _find_commit(self, commit: str) -> str:
        self._call(_REMOTE, "+refs/heads/*:refs/all/h/*", "+refs/tags/*:refs/all/t/*")
        return self._commit_of(commit, commit)

    def _call(self, *arguments: str, given: bytes = b"") -> None:
        """`git fetch`. A filter is kept for a remote, which needs a name for that."""
        filters = [] if self._whole else ["--filter=blob:none"]
        # Without history to compare: what a filter left out is no end of it.
        settings = ["-c", f"remote.{_REMOTE}.url={self._url}", "-c", "fetch.negotiationAlgorithm=noop"]
        options = ["--quiet", "--no-tags", "--no-write-fetch-head", *filters]
        self._git.run(*settings, "fetch", *options, *arguments, given=given)

    def _commit_of(self, name: str, what: str) -> str:
        found = self._git.maybe("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
        if found is None:
            raise UnknownRevision(f"There is no commit {what} of {self._url}.")
        return found.decode().strip()

    def _bundle(self, commit: str, path: str) -> Bundle:
        """Every file below `path` but hidden ones and Python's caches, as for a folder on disk."""
        shown = [entry for entry in _entries(self._git, commit, path) if not _hidden(entry.path)]
        if TEMPLATE_FILE not in {entry.path for entry in shown}:
            raise _no_template(self._git, commit, path)
        for entry in shown:
            if entry.mode in (_LINK, _SUBMODULE):
                kind = "link" if entry.mode == _LINK else "submodule"
                raise InvalidTemplate(
                    f"{entry.path} is a {kind}, which is not followed.", hint="Put a copy of it there."
                )
        blobs = [entry.blob for entry in shown]
        if not self._whole:
            wanted = "".join(f"{blob}\n" for blob in dict.fromkeys(blobs)).encode()
            self._call("--stdin", _REMOTE, given=wanted)
        if sum(self._git.sizes(blobs)) > LARGEST_BUNDLE:
            raise InvalidTemplate(
                f"The folder {path or 'of the repository'} holds more than {LARGEST_BUNDLE} bytes.",
                hint="Name the template's own folder with --path.",
            )
        return make_bundle(self._git.blobs({entry.path: entry.blob for entry in shown}))


def _entries(git: Git, commit: str, path: str) -> list[_Entry]:
    listed = git.maybe("ls-tree", "-r", "-z", "--full-tree", f"{commit}:{path}")
    if listed is None:
        raise _no_template(git, commit, path)
    return [_entry(line) for line in listed.split(b"\0") if line]


def _entry(line: bytes) -> _Entry:
    head, _, name = line.partition(b"\t")
    mode, _, blob = head.decode().split()
    try:
        return _Entry(mode, blob, name.decode())
    except UnicodeDecodeError as error:
        raise InvalidTemplate(f"The name of the file {name!r} is not UTF-8.") from error


def _hidden(path: str) -> bool:
    return any(part.startswith(".") or part == "__pycache__" for part in path.split("/"))


def _no_template(git: Git, commit: str, path: str) -> InvalidTemplate:
    every = [entry.path for entry in _entries(git, commit, "")]
    folders = [name.removesuffix(f"/{TEMPLATE_FILE}") for name in every if name.endswith(f"/{TEMPLATE_FILE}")]
    if TEMPLATE_FILE in every:
        folders.insert(0, "the root: leave --path out")
    hint = f"There is one in {', '.join(folders[:5])}; name its folder with --path." if folders else ""
    return InvalidTemplate(
        f"Commit {commit[:12]} has no {TEMPLATE_FILE} in {f'folder {path}' if path else 'its root'}.",
        hint=hint or "Start one with `calvinverse template new`.",
    )
