"""The port to forges: what previews ask GitHub, GitLab, Gitea and Forgejo, and what they write there."""

import re
from collections.abc import Iterator
from typing import Literal, Protocol

from environments.domain.preview import PullRequest

CommitState = Literal["pending", "success", "failure"]
"""What a commit's status says of a preview: it is being made, it is there (or has ended), it failed."""

FIRST_STATUS_NAME = "calvinverse/preview"
"""The name of all statuses before each trigger had one of its own."""

_LONGEST_NAME = 63
_UNUSUAL = re.compile(r"[^A-Za-z0-9._-]+")


def status_name(trigger: str) -> str:
    """The name of the statuses of a trigger: one for each commit, which is written anew. Every forge takes it."""
    return f"calvinverse/{_UNUSUAL.sub('-', trigger)[:_LONGEST_NAME].strip('-') or 'preview'}"


class Forge(Protocol):
    """A forge, with the address and the token of one webhook.

    Every call has a time limit and a size limit, and raises `ForgeUnavailable` (also when the forge's rate limit is
    reached; then nothing is called until it says so) or `ForgeRefused`.
    """

    def account(self) -> str:
        """Whose the token is; empty where the forge doesn't tell."""
        ...

    def pull_request(self, repository: str, number: int) -> PullRequest | None:
        """A pull request as it is now; None if the repository has no such one.

        A repository that the forge doesn't show is no answer about its pull requests: `ForgeRefused`.
        """
        ...

    def open_pull_requests(self, repository: str) -> Iterator[PullRequest]:
        """All open ones, page by page; pages that haven't changed are asked for by condition."""
        ...

    def branch(self, repository: str, branch: str) -> str | None:
        """The newest commit of a branch; None if there is no such branch, or no such repository."""
        ...

    def set_status(self, repository: str, sha: str, name: str, state: CommitState, text: str, url: str = "") -> None:
        """Sets the status of that name of a commit. A commit that isn't there any more is no error."""
        ...

    def put_comment(self, repository: str, number: int, comment_id: str, text: str, marker: str) -> str:
        """Writes one comment and returns its id: edits the one of that id, or the one of this account with the marker.

        `text` begins with `marker`. A comment that somebody has deleted is written again.
        """
        ...

    def remove_comment(self, repository: str, number: int, comment_id: str) -> None:
        """Removes a comment; one that isn't there is no error."""
        ...


class Forges(Protocol):
    """The forges of all webhooks."""

    def of(self, webhook: str) -> Forge:
        """The forge of a webhook. Raises `NotFound` if there is no such webhook, and `ForgeRefused` without a token."""
        ...
