"""The API of GitLab: merge requests, notes and statuses of commits (docs.gitlab.com/api)."""

from collections.abc import Iterator
from typing import Any

from environments.domain.errors import ForgeRefused
from environments.domain.preview import PullRequest, is_pull
from environments.providers.forges.calls import ForgeCalls, checked_repository, moment, part, quoted, text
from environments.service.forges import CommitState

_STATES = {"pending": "pending", "success": "success", "failure": "failed"}
_MOST_LABELS = 100
_LONGEST_STATUS = 255


class GitlabForge:
    """GitLab. Implements `environments.service.forges.Forge`.

    The repository of a fork is the number of its project: merge requests name it by that.
    """

    def __init__(self, calls: ForgeCalls) -> None:
        self._calls = calls
        self._account: str | None = None

    def account(self) -> str:
        """See `Forge`."""
        if self._account is None:
            self._account = text(part(self._calls.get("/user").body, "username"))
        return self._account

    def pull_request(self, repository: str, number: int) -> PullRequest | None:
        """See `Forge`."""
        where = self._at(repository)
        found = self._calls.get(f"{where}/merge_requests/{int(number)}").body
        if found is not None:
            return _pull(repository, found)
        if self._calls.get(where).body is None:
            raise ForgeRefused(
                f"The forge doesn't show the project {repository}.",
                hint="It was deleted or renamed, or the webhook's token may not read it any more.",
            )
        return None

    def open_pull_requests(self, repository: str) -> Iterator[PullRequest]:
        """See `Forge`."""
        for found in self._calls.pages(f"{self._at(repository)}/merge_requests", {"state": "opened"}, "per_page"):
            yield _pull(repository, found)

    def branch(self, repository: str, branch: str) -> str | None:
        """See `Forge`."""
        if not branch:
            return None
        found = self._calls.get(f"{self._at(repository)}/repository/branches/{quoted(branch)}").body
        return text(part(found, "commit", "id")) or None

    def set_status(self, repository: str, sha: str, name: str, state: CommitState, text: str, url: str = "") -> None:
        """See `Forge`. A status that is the same already is refused by GitLab, and no error here."""
        body = {"state": _STATES[state], "description": text[:_LONGEST_STATUS], "name": name}
        if url:
            body["target_url"] = url
        try:
            self._calls.send("POST", f"{self._at(repository)}/statuses/{quoted(sha)}", body)
        except ForgeRefused as error:
            if "Cannot transition status" not in error.message:
                raise

    def put_comment(self, repository: str, number: int, comment_id: str, text: str, marker: str) -> str:
        """See `Forge`."""
        notes = self._notes(repository, number)
        for known in (comment_id, ""):
            known = known or self._find_note(notes, marker)
            if known and self._calls.send("PUT", f"{notes}/{quoted(known)}", {"body": text}).body is not None:
                return known
        return _id(self._calls.send("POST", notes, {"body": text}).body)

    def remove_comment(self, repository: str, number: int, comment_id: str) -> None:
        """See `Forge`."""
        self._calls.send("DELETE", f"{self._notes(repository, number)}/{quoted(comment_id)}")

    def _find_note(self, notes: str, marker: str) -> str:
        account = self.account()
        for note in self._calls.pages(notes, {"sort": "asc"}, "per_page"):
            mine = account and part(note, "author", "username") == account
            if mine and text(part(note, "body")).startswith(marker):
                return _id(note)
        return ""

    def _notes(self, repository: str, number: int) -> str:
        return f"{self._at(repository)}/merge_requests/{int(number)}/notes"

    def _at(self, repository: str) -> str:
        return f"/projects/{quoted(checked_repository(repository))}"


def _pull(repository: str, found: Any) -> PullRequest:
    number, source, target = (part(found, name) for name in ("iid", "source_project_id", "target_project_id"))
    if not is_pull(number):
        raise ForgeRefused("The forge's answer is no merge request.")
    labels = part(found, "labels")
    state = part(found, "state")
    return PullRequest(
        repository=repository,
        number=number,
        title=text(part(found, "title")),
        state="open" if state in ("opened", "locked") else "closed",  # locked: it is being merged
        merged=state == "merged",
        draft=part(found, "draft") is True,
        head_branch=text(part(found, "source_branch")),
        head_sha=text(part(found, "sha"), 100),
        head_repository=_project(repository, source, target),
        base_branch=text(part(found, "target_branch")),
        labels=tuple(name for name in map(text, labels) if name)[:_MOST_LABELS] if isinstance(labels, list) else (),
        author=text(part(found, "author", "username")),
        url=text(part(found, "web_url")),
        updated_at=moment(part(found, "updated_at")),
        closed_at=moment(part(found, "merged_at")) or moment(part(found, "closed_at")),
    )


def _project(repository: str, source: Any, target: Any) -> str:
    if source is None:
        return ""
    return repository if source == target else str(source)


def _id(note: Any) -> str:
    found = part(note, "id")
    if not isinstance(found, int):
        raise ForgeRefused("The forge's answer is no note.")
    return str(found)
