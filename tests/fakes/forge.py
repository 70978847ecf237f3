"""A forge in memory: pull requests, branches, comments and statuses, and the ways in which a forge fails."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from environments.domain.errors import ForgeRefused, ForgeUnavailable
from environments.domain.preview import PullRequest
from environments.domain.received_event import NewReceivedEvent, Source
from environments.service.forges import CommitState


class MemoryForge:
    """Implements `environments.service.forges.Forge`, and `Forges` for every webhook.

    What people do returns the event that a webhook would tell. `fault` is raised by every call from now on; `refuses`
    names methods that are refused.
    """

    def __init__(self, repository: str = "acme/shop") -> None:
        self.repository = repository
        self.pulls: dict[int, PullRequest] = {}
        self.branches: dict[tuple[str, str], str] = {}
        self.comments: dict[str, tuple[int, str, str]] = {}
        """Id → number, author and text."""
        self.statuses: dict[tuple[str, str], tuple[CommitState, str, str]] = {}
        self.calls: list[str] = []
        self.fault: Exception | None = None
        self.refuses: set[str] = set()
        self.before: Callable[[str], None] = lambda method: None
        self._numbers = iter(range(1, 10**9))

    def of(self, webhook: str) -> "MemoryForge":
        """See `Forges`."""
        return self

    # --- what people do there ---------------------------------------------------------------------------------------

    def open(self, number: int, *, head: str = "a1", fork: bool = False, **more: Any) -> NewReceivedEvent:
        """Opens a pull request."""
        source = "eve/shop" if fork else self.repository
        pull = PullRequest(
            repository=self.repository,
            number=number,
            head_sha=head,
            head_branch=more.pop("branch", f"branch-{number}"),
            head_repository=source,
            **{"title": "Fix", "base_branch": "main", "updated_at": self._now(), **more},
        )
        self.pulls[number] = pull
        self.branches[source, pull.head_branch] = head
        return self.event("opened", number)

    def close(self, number: int, *, merged: bool = False, at: datetime | None = None) -> NewReceivedEvent:
        """Closes or merges it."""
        self._change(number, state="closed", merged=merged, closed_at=at)
        return self.event("merged" if merged else "closed", number)

    def reopen(self, number: int) -> NewReceivedEvent:
        """Opens it again."""
        self._change(number, state="open", merged=False, closed_at=None)
        return self.event("reopened", number)

    def push(self, number: int, head: str) -> NewReceivedEvent:
        """Pushes a commit to its branch."""
        self._change(number, head_sha=head)
        pull = self.pulls[number]
        self.branches[pull.head_repository, pull.head_branch] = head
        return self.event("pushed", number)

    def label(self, number: int, label: str) -> NewReceivedEvent:
        """Gives it a label."""
        self._change(number, labels=(*self.pulls[number].labels, label))
        return self.event("labelled", number, label=label)

    def unlabel(self, number: int, label: str) -> NewReceivedEvent:
        """Takes a label away."""
        self._change(number, labels=tuple(one for one in self.pulls[number].labels if one != label))
        return self.event("unlabelled", number, label=label)

    def delete_branch(self, number: int) -> NewReceivedEvent:
        """Deletes its branch."""
        pull = self.pulls[number]
        self.branches.pop((pull.head_repository, pull.head_branch), None)
        fields = {"repository": self.repository, "branch": pull.head_branch, "deleted": True}
        subject = f"{self.repository}@{pull.head_branch}"
        return self._new(Source.BRANCH, "deleted", subject, fields)

    def event(self, kind: str, number: int, **more: Any) -> NewReceivedEvent:
        """An event that tells of a pull request as it is now."""
        fields = {**self.pulls[number].fields(), **more}
        return self._new(Source.PULL_REQUEST, kind, f"{self.repository}#{number}", fields)

    def mine(self, number: int) -> list[str]:
        """The texts of this account's comments on a pull request."""
        return [text for of, author, text in self.comments.values() if of == number and author == self.account()]

    # --- the port ---------------------------------------------------------------------------------------------------

    def account(self) -> str:
        """See `Forge`."""
        return "calvinverse-bot"

    def pull_request(self, repository: str, number: int) -> PullRequest | None:
        """See `Forge`."""
        self._called("pull_request", repository)
        return self.pulls.get(number)

    def open_pull_requests(self, repository: str) -> Iterator[PullRequest]:
        """See `Forge`."""
        self._called("open_pull_requests", repository)
        yield from [pull for pull in self.pulls.values() if pull.open]

    def branch(self, repository: str, branch: str) -> str | None:
        """See `Forge`."""
        self._called("branch", self.repository)
        return self.branches.get((repository, branch))

    def set_status(self, repository: str, sha: str, name: str, state: CommitState, text: str, url: str = "") -> None:
        """See `Forge`."""
        self._called("set_status", repository)
        self.statuses[sha, name] = (state, text, url)

    def put_comment(self, repository: str, number: int, comment_id: str, text: str, marker: str) -> str:
        """See `Forge`."""
        self._called("put_comment", repository)
        if comment_id not in self.comments:
            mine = (
                known
                for known, (of, author, body) in self.comments.items()
                if of == number and author == self.account() and body.startswith(marker)
            )
            comment_id = next(mine, "") or str(next(self._numbers))
        self.comments[comment_id] = (number, self.account(), text)
        return comment_id

    def remove_comment(self, repository: str, number: int, comment_id: str) -> None:
        """See `Forge`."""
        self._called("remove_comment", repository)
        self.comments.pop(comment_id, None)

    def _called(self, method: str, repository: str) -> None:
        self.before(method)
        self.calls.append(method)
        if self.fault is not None:
            raise self.fault
        if method in self.refuses:
            raise ForgeRefused(f"The forge refuses {method} with status 403.")
        if repository.lower() != self.repository.lower():
            raise ForgeRefused(f"The forge doesn't show the repository {repository}.")

    def _change(self, number: int, **values: Any) -> None:
        self.pulls[number] = self.pulls[number].model_copy(update={**values, "updated_at": self._now()})

    def _new(self, source: Source, kind: str, subject: str, fields: dict[str, Any]) -> NewReceivedEvent:
        delivery = f"delivery-{next(self._numbers)}"
        return NewReceivedEvent(
            source=source, kind=kind, origin="shop", delivery=delivery, subject=subject, fields=fields
        )

    def _now(self) -> datetime:
        return datetime.fromtimestamp(1_800_000_000 + next(self._numbers), UTC)


def away(retry_after: float | None = None) -> ForgeUnavailable:
    """What every call raises while a forge is away, or takes no more calls."""
    details = {} if retry_after is None else {"retry_after": retry_after}
    return ForgeUnavailable("The forge takes no calls.", details=details)
