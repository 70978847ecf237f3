"""Asks a forge whether what one of its events says is still true, before a trigger acts on it."""

from environments.domain.errors import CalvinverseError, StorageError
from environments.domain.preview import PullRequest
from environments.domain.received_event import ReceivedEvent, Source
from environments.service.forges import Forge, Forges


class ForgeSources:
    """Implements `environments.service.firing.Sources` for events of `git.*`."""

    def __init__(self, forges: Forges) -> None:
        self._forges = forges

    def still(self, event: ReceivedEvent) -> bool | None:
        """Whether it is still so; None where the forge can't be asked: its webhook has no token, or it is away."""
        try:
            forge = self._forges.of(event.origin)
            if event.source is Source.PULL_REQUEST:
                return _of_pull_request(forge, event)
            if event.source is Source.BRANCH:
                return _of_branch(forge, event)
        except StorageError:
            raise
        except CalvinverseError:
            return None
        return None


def _of_pull_request(forge: Forge, event: ReceivedEvent) -> bool | None:
    repository, number, label = (event.fields.get(name) for name in ("repository", "number", "label"))
    if not isinstance(repository, str) or not isinstance(number, int):
        return None
    return _is_so(event, forge.pull_request(repository, number), label if isinstance(label, str) else "")


def _is_so(event: ReceivedEvent, pull: PullRequest | None, label: str) -> bool | None:
    if event.kind == "closed":
        return pull is None or not pull.open
    if event.kind == "merged":
        return pull is not None and pull.merged
    if event.kind == "unlabelled":
        return pull is None or not label or label not in pull.labels
    if pull is None or not pull.open:
        return False
    if event.kind == "labelled":
        return not label or label in pull.labels
    return event.kind != "pushed" or pull.head_sha == event.fields.get("head_sha")


def _of_branch(forge: Forge, event: ReceivedEvent) -> bool | None:
    repository, branch, sha = (event.fields.get(name) for name in ("repository", "branch", "sha"))
    if not isinstance(repository, str) or not isinstance(branch, str):
        return None
    there = forge.branch(repository, branch)
    if event.kind == "deleted":
        return there is None
    return there is not None and (not sha or there == sha)
