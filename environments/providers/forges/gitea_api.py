"""The APIs of Gitea, Forgejo and GitHub, which are almost the same for what previews need."""

from collections.abc import Iterator
from typing import Any

from environments.domain.errors import ForgeRefused
from environments.domain.preview import PullRequest, is_pull
from environments.providers.forges.calls import ForgeCalls, checked_repository, moment, part, quoted, text
from environments.providers.forges.reading import is_of_nobody
from environments.service.forges import CommitState

_MOST_LABELS = 100
_LONGEST_STATUS = 140
"""Characters of a status's text that GitHub takes."""


class GiteaForge:
    """Gitea or Forgejo. Implements `environments.service.forges.Forge`."""

    page_size = "limit"

    def __init__(self, calls: ForgeCalls) -> None:
        self._calls = calls
        self._account: str | None = None

    def account(self) -> str:
        """See `Forge`."""
        if self._account is None:
            self._account = text(part(self._calls.get("/user").body, "login"))
        return self._account

    def pull_request(self, repository: str, number: int) -> PullRequest | None:
        """See `Forge`."""
        where = self._at(repository)
        found = self._calls.get(f"{where}/pulls/{int(number)}").body
        if found is not None:
            return _pull(repository, found)
        if self._calls.get(where).body is None:
            raise ForgeRefused(
                f"The forge doesn't show the repository {repository}.",
                hint="It was deleted or renamed, or the webhook's token may not read it any more.",
            )
        return None

    def open_pull_requests(self, repository: str) -> Iterator[PullRequest]:
        """See `Forge`."""
        for found in self._calls.pages(f"{self._at(repository)}/pulls", {"state": "open"}, self.page_size):
            yield _pull(repository, found)

    def branch(self, repository: str, branch: str) -> str | None:
        """See `Forge`."""
        if not branch:
            return None
        commit = part(self._calls.get(f"{self._at(repository)}/branches/{quoted(branch)}").body, "commit")
        return text(part(commit, "id")) or text(part(commit, "sha")) or None

    def set_status(self, repository: str, sha: str, name: str, state: CommitState, text: str, url: str = "") -> None:
        """See `Forge`."""
        body = {"state": state, "description": text[:_LONGEST_STATUS], "context": name}
        if url:
            body["target_url"] = url
        self._calls.send("POST", f"{self._at(repository)}/statuses/{quoted(sha)}", body)

    def put_comment(self, repository: str, number: int, comment_id: str, text: str, marker: str) -> str:
        """See `Forge`."""
        where = self._at(repository)
        for known in (comment_id, ""):
            known = known or self._find_comment(where, number, marker)
            if known:
                done = self._calls.send("PATCH", f"{where}/issues/comments/{quoted(known)}", {"body": text}).body
                if done is not None:
                    return known
        made = self._calls.send("POST", f"{where}/issues/{int(number)}/comments", {"body": text}).body
        return _id(made)

    def remove_comment(self, repository: str, number: int, comment_id: str) -> None:
        """See `Forge`."""
        self._calls.send("DELETE", f"{self._at(repository)}/issues/comments/{quoted(comment_id)}")

    def _find_comment(self, where: str, number: int, marker: str) -> str:
        account = self.account()
        for comment in self._comments(where, number):
            mine = account and part(comment, "user", "login") == account
            if mine and text(part(comment, "body")).startswith(marker):
                return _id(comment)
        return ""

    def _comments(self, where: str, number: int) -> Iterator[Any]:
        """All of a pull request: Gitea has no pages of them."""
        found = self._calls.get(f"{where}/issues/{int(number)}/comments").body
        yield from found if isinstance(found, list) else ()

    def _at(self, repository: str) -> str:
        return f"/repos/{checked_repository(repository)}"


class GithubForge(GiteaForge):
    """GitHub. Implements `environments.service.forges.Forge`."""

    page_size = "per_page"

    def account(self) -> str:
        """Whose the token is; empty for the token of an app, which may not ask."""
        try:
            return super().account()
        except ForgeRefused:
            return ""

    def _comments(self, where: str, number: int) -> Iterator[Any]:
        yield from self._calls.pages(f"{where}/issues/{int(number)}/comments", {}, self.page_size)


def _pull(repository: str, found: Any) -> PullRequest:
    number = part(found, "number")
    if not is_pull(number):
        raise ForgeRefused("The forge's answer is no pull request.")
    labels = part(found, "labels")
    names = [text(part(label, "name")) for label in labels] if isinstance(labels, list) else []
    return PullRequest(
        repository=repository,
        number=number,
        title=text(part(found, "title")),
        state="open" if part(found, "state") == "open" else "closed",
        merged=part(found, "merged") is True or bool(part(found, "merged_at")),
        draft=part(found, "draft") is True,
        head_branch=text(part(found, "head", "ref")),
        head_sha=text(part(found, "head", "sha"), 100),
        head_repository="" if is_of_nobody(part(found, "head")) else text(part(found, "head", "repo", "full_name")),
        base_branch=text(part(found, "base", "ref")),
        labels=tuple(name for name in names if name)[:_MOST_LABELS],
        author=text(part(found, "user", "login")),
        url=text(part(found, "html_url")),
        updated_at=moment(part(found, "updated_at")),
        closed_at=moment(part(found, "merged_at")) or moment(part(found, "closed_at")),
    )


def _id(comment: Any) -> str:
    found = part(comment, "id")
    if not isinstance(found, int):
        raise ForgeRefused("The forge's answer is no comment.")
    return str(found)
