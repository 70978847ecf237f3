"""Previews: environments that a trigger makes of pull requests. What one is to be follows from what is true now.

No event decides anything here, and no clock is read: `decide` gets the pull request as the forge knows it, what the
preview's record says, and the moment. So events that come late, twice, in another order or never lead to the same.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)

from environments.domain.durations import Wait

LONGEST_LABEL = 100
"""Characters of the label that a rule names."""

LARGEST_PULL = 2**31 - 1
"""Of the numbers of pull requests, of those that are kept; no forge comes near it."""

LONGEST_COMMIT = 100
"""Characters of the id of a commit."""

_STRICTNESS = ("allowed", "label", "never")


class ForkPolicy(StrEnum):
    """Whether pull requests from forks, which hold the code of strangers, get a preview.

    `label`: only with the rule's label, and only for the commit that had it given. `allowed`: as all others.
    """

    NEVER = "never"
    LABEL = "label"
    ALLOWED = "allowed"


class EndRule(StrEnum):
    """What ends a preview; `closed` includes merged."""

    CLOSED = "closed"
    MERGED = "merged"
    BRANCH_DELETED = "branch_deleted"
    LABEL_REMOVED = "label_removed"


class PreviewRule(BaseModel):
    """Which pull requests get a preview, what ends it, and what is written back to the forge."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    forks: ForkPolicy = ForkPolicy.NEVER
    label: str = Field(default="", max_length=LONGEST_LABEL)
    """Pull requests without this label get no preview; empty: none is needed."""
    ends: tuple[EndRule, ...] = Field(default=(EndRule.CLOSED,), min_length=1, max_length=len(EndRule))
    after: Wait = timedelta(0)
    """How long after that a preview is destroyed."""
    drafts: bool = True
    comment: bool = True
    status: bool = True

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not self.label and (self.forks is ForkPolicy.LABEL or EndRule.LABEL_REMOVED in self.ends):
            raise ValueError('forks = "label" and ends = ["label_removed"] need the name of a `label`')
        return self

    @model_serializer(mode="wrap")
    def _as_given(self, serialized: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """What is left out stays left out: the defaults of the template count for it."""
        return {name: value for name, value in serialized(self).items() if name in self.model_fields_set}

    def within(self, template: "PreviewRule | None") -> "PreviewRule":
        """This rule of a trigger with the defaults of its template; of both policies for forks the stricter counts.

        A label that the template's policy for forks needs is needed, whatever the trigger says.
        """
        if template is None:
            return self
        given = {name: getattr(self, name) for name in self.model_fields_set}
        rule = template.model_copy(update=given)
        forks = max(self.forks if "forks" in given else template.forks, template.forks, key=_strictness)
        label = rule.label or template.label
        if forks is ForkPolicy.LABEL and template.forks is ForkPolicy.LABEL:
            label = template.label
        return rule.model_copy(update={"forks": forks, "label": label})


def _strictness(policy: ForkPolicy) -> int:
    return _STRICTNESS.index(policy.value)


def is_pull(number: object) -> bool:
    """Whether that can be the number of a pull request."""
    return isinstance(number, int) and not isinstance(number, bool) and 1 <= number <= LARGEST_PULL


class PullRequest(BaseModel):
    """A pull request (GitLab: merge request) as its forge knows it. Texts are a stranger's data."""

    model_config = ConfigDict(frozen=True)

    repository: str
    number: int
    title: str = ""
    state: str = "open"
    merged: bool = False
    draft: bool = False
    head_branch: str = ""
    head_sha: str = ""
    head_repository: str = ""
    """Empty: the forge doesn't know it any more."""
    base_branch: str = ""
    labels: tuple[str, ...] = ()
    author: str = ""
    url: str = ""
    updated_at: datetime | None = None
    closed_at: datetime | None = None
    branch_exists: bool | None = None
    """Whether its branch does; None: nobody asked."""

    @property
    def fork(self) -> bool:
        """Whether its code comes from another repository, or nobody knows from which."""
        return self.head_repository.lower() != self.repository.lower()

    @property
    def open(self) -> bool:
        """Whether it may still be merged."""
        return self.state == "open" and not self.merged

    def fields(self) -> dict[str, Any]:
        """What triggers read of it: the fields of an event of `git.pull_request`."""
        fields = self.model_dump(exclude={"closed_at", "branch_exists", "updated_at"})
        moment = "" if self.updated_at is None else self.updated_at.isoformat()
        return {**fields, "fork": self.fork, "updated_at": moment}

    @classmethod
    def of_fields(cls, fields: Mapping[str, Any]) -> "PullRequest | None":
        """What an event says; None if it doesn't say enough."""
        known = {name: fields[name] for name in cls.model_fields if fields.get(name) not in (None, "")}
        if not is_pull(known.get("number")):
            return None
        if isinstance(known.get("head_sha"), str):
            known["head_sha"] = known["head_sha"][:LONGEST_COMMIT]
        try:
            return cls.model_validate(known)
        except ValidationError:
            return None


class Wanted(StrEnum):
    """What a preview is to be."""

    ALIVE = "alive"
    ENDED = "ended"


class Written(BaseModel):
    """What the forge was last told of a preview: the comment's id and text, and the commit's state."""

    model_config = ConfigDict(frozen=True)

    comment_id: str = ""
    comment: str = ""
    status_sha: str = ""
    status: str = ""
    status_name: str = ""
    """Empty: the one that all had before each trigger had one of its own."""
    failures: int = 0
    """How often writing has failed since it last succeeded."""

    @property
    def begun(self) -> bool:
        """Whether there is anything of it at the forge."""
        return bool(self.comment_id or self.status_sha)


class Seen(BaseModel):
    """What was last seen of a preview's pull request."""

    model_config = ConfigDict(frozen=True)

    pull: PullRequest | None = None
    approved_sha: str = ""
    """The commit of a fork that had the rule's label given."""
    ending_since: datetime | None = None
    """Since when what ends it is true."""
    labelled_sha: str = ""
    """The commit at which an event said that the label was given, until the next look."""
    told: PullRequest | None = None
    """What the newest event says, for the time when the forge can't be asked."""
    hops: int = 0
    """How many triggers led to the last event that had it looked at."""


class Preview(BaseModel):
    """The record of one pull request that a trigger looks after. `environment_id`: its present or last environment."""

    model_config = ConfigDict(frozen=True)

    id: str
    trigger_id: str
    webhook: str
    repository: str
    number: int
    environment_id: str | None = None
    environment: str = ""
    generation: int = 0
    """How many environments were made for it."""
    wanted: Wanted = Wanted.ENDED
    head_sha: str = ""
    applied_sha: str = ""
    """The commit that its environment was last made or updated for; empty: one is made anew when it is wanted."""
    seen: Seen = Seen()
    because: str = ""
    end_at: datetime | None = None
    look_at: datetime | None = None
    looked_at: datetime | None = None
    attempts: int = 0
    fault: str = ""
    written: Written = Written()
    closed_at: datetime | None = None


class Decision(BaseModel):
    """What a preview is to be, why, and until when. `commit`: the one to run now; empty: it stays as it is."""

    model_config = ConfigDict(frozen=True)

    wanted: Wanted
    because: str
    commit: str = ""
    end_at: datetime | None = None
    ending_since: datetime | None = None


def see(rule: PreviewRule, seen: Seen, pull: PullRequest | None) -> Seen:
    """What is known once the pull request was seen as it is now.

    The label of a rule approves the commit of a fork only if it was given after that commit was there: the commit is
    the same as when the label was seen missing, or the forge's event of the label names it. Otherwise somebody
    could have a harmless commit approved, and push another one.
    """
    approved = seen.approved_sha
    if pull is not None and rule.label and rule.label in pull.labels and pull.head_sha:
        before = seen.pull
        missed = before is not None and rule.label not in before.labels and before.head_sha == pull.head_sha
        if missed or seen.labelled_sha == pull.head_sha:
            approved = pull.head_sha
    return seen.model_copy(update={"pull": pull, "approved_sha": approved})


def decide(rule: PreviewRule, pull: PullRequest | None, seen: Seen, *, made: bool, now: datetime) -> Decision:
    """What the preview of a pull request is to be. `made`: it has an environment that isn't to end.

    `pull` is None when the forge knows no such pull request.
    """
    if pull is None:
        return Decision(wanted=Wanted.ENDED, because="the forge has no such pull request")
    if pull.fork and rule.forks is ForkPolicy.NEVER:
        return Decision(wanted=Wanted.ENDED, because="it comes from a fork, and forks get no preview")
    ended = _ended(rule, pull, made=made)
    if ended:
        since = seen.ending_since or _moment(pull, ended) or now
        end_at = since + rule.after
        if not made or now >= end_at:
            return Decision(wanted=Wanted.ENDED, because=ended, ending_since=since)
        return Decision(wanted=Wanted.ALIVE, because=ended, end_at=end_at, ending_since=since)
    commit = pull.head_sha
    why_not = _why_not_made(rule, pull, seen)
    if why_not and not made:
        return Decision(wanted=Wanted.ENDED, because=why_not)
    if not pull.open or (pull.fork and why_not):
        commit = ""  # what runs may stay, and nothing new is run
    return Decision(wanted=Wanted.ALIVE, because="the pull request is open" if pull.open else "it stays", commit=commit)


def _ended(rule: PreviewRule, pull: PullRequest, *, made: bool) -> str:
    """Why the preview is over; empty: it isn't. One that isn't there yet isn't made for a closed pull request."""
    if pull.merged and (not made or EndRule.CLOSED in rule.ends or EndRule.MERGED in rule.ends):
        return "the pull request was merged"
    if not pull.open and (not made or EndRule.CLOSED in rule.ends):
        return "the pull request was closed"
    if EndRule.BRANCH_DELETED in rule.ends and pull.branch_exists is False:
        return "its branch was deleted"
    if EndRule.LABEL_REMOVED in rule.ends and made and rule.label not in pull.labels:
        return "its label was removed"
    return ""


def _moment(pull: PullRequest, because: str) -> datetime | None:
    """When that became true, where the forge says it."""
    return pull.closed_at if because.startswith("the pull request was") else None


def _why_not_made(rule: PreviewRule, pull: PullRequest, seen: Seen) -> str:
    if pull.draft and not rule.drafts:
        return "it is a draft"
    if rule.label and rule.label not in pull.labels:
        return "it hasn't the label that previews need"
    if pull.fork and rule.forks is ForkPolicy.LABEL and seen.approved_sha != pull.head_sha:
        return "its newest commit came after the label: take the label away and give it again to allow that commit"
    if not pull.head_sha:
        return "the forge doesn't tell its newest commit"
    return ""
