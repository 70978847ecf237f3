"""What a preview is to be follows from what is true now, and from nothing else."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from environments.domain.preview import (
    Decision,
    EndRule,
    ForkPolicy,
    PreviewRule,
    PullRequest,
    Seen,
    Wanted,
    decide,
    see,
)

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
OPEN = PullRequest(
    repository="acme/shop", number=12, head_branch="fix", head_sha="a1", head_repository="acme/shop", base_branch="main"
)
FORK = OPEN.model_copy(update={"head_repository": "eve/shop"})
CLOSED = OPEN.model_copy(update={"state": "closed", "closed_at": NOW})
MERGED = CLOSED.model_copy(update={"merged": True})
BY_LABEL = PreviewRule(forks=ForkPolicy.LABEL, label="preview")

PULLS = st.builds(
    PullRequest,
    repository=st.just("acme/shop"),
    number=st.just(12),
    state=st.sampled_from(["open", "closed"]),
    merged=st.booleans(),
    draft=st.booleans(),
    head_sha=st.sampled_from(["", "a1", "b2"]),
    head_repository=st.sampled_from(["", "acme/shop", "eve/shop", "Acme/Shop"]),
    labels=st.lists(st.sampled_from(["preview", "bug", "Preview"]), max_size=3).map(tuple),
    branch_exists=st.sampled_from([None, True, False]),
)
RULES = st.builds(
    PreviewRule,
    forks=st.sampled_from(ForkPolicy),
    label=st.just("preview"),
    ends=st.lists(st.sampled_from(EndRule), min_size=1, max_size=4, unique=True).map(tuple),
    after=st.sampled_from([timedelta(0), timedelta(hours=1)]),
    drafts=st.booleans(),
)


def settle(rule: PreviewRule, pulls: list[PullRequest]) -> Decision:
    seen, made = Seen(), False
    for pull in pulls:
        seen = see(rule, seen, pull)
        decision = decide(rule, pull, seen, made=made, now=NOW)
        made = decision.wanted is Wanted.ALIVE
    return decision


def test_an_open_pull_request_has_a_preview_of_its_newest_commit() -> None:
    decision = decide(PreviewRule(), OPEN, Seen(), made=False, now=NOW)

    assert (decision.wanted, decision.commit, decision.end_at) == (Wanted.ALIVE, "a1", None)


@pytest.mark.parametrize("pull", [None, CLOSED, MERGED])
@pytest.mark.parametrize("made", [True, False])
def test_what_is_gone_or_closed_has_none(pull: PullRequest | None, made: bool) -> None:
    assert decide(PreviewRule(), pull, Seen(), made=made, now=NOW).wanted is Wanted.ENDED


@given(RULES, PULLS)
def test_one_that_is_closed_is_never_made(rule: PreviewRule, pull: PullRequest) -> None:
    if not pull.open:
        assert decide(rule, pull, Seen(), made=False, now=NOW).wanted is Wanted.ENDED


@given(RULES, PULLS)
def test_a_fork_runs_nothing_that_the_policy_forbids(rule: PreviewRule, pull: PullRequest) -> None:
    decision = decide(rule, pull, see(rule, Seen(), pull), made=False, now=NOW)

    if pull.fork and rule.forks is not ForkPolicy.ALLOWED:
        assert decision.wanted is Wanted.ENDED
    if pull.fork and rule.forks is not ForkPolicy.ALLOWED:
        assert not decision.commit


@given(RULES, st.lists(PULLS, max_size=6), PULLS)
def test_where_labels_approve_nothing_the_past_counts_only_by_what_was_made(
    rule: PreviewRule, past: list[PullRequest], pull: PullRequest
) -> None:
    rule = rule.model_copy(update={"forks": ForkPolicy.ALLOWED, "after": timedelta(0)})
    made = bool(past) and settle(rule, past).wanted is Wanted.ALIVE

    assert settle(rule, [*past, pull]) == decide(rule, pull, Seen(), made=made, now=NOW)


@given(RULES, st.lists(PULLS, max_size=6))
def test_looking_twice_changes_nothing(rule: PreviewRule, pulls: list[PullRequest]) -> None:
    if pulls:
        once, twice = settle(rule, pulls), settle(rule, [*pulls, pulls[-1]])
        # Why it is over may be told otherwise: what ended it needn't be the first that keeps it from being made.
        assert (once.wanted, once.commit, once.end_at) == (twice.wanted, twice.commit, twice.end_at)


def test_a_label_given_after_a_commit_allows_that_commit_of_a_fork_alone() -> None:
    labelled = FORK.model_copy(update={"labels": ("preview",)})
    pushed = labelled.model_copy(update={"head_sha": "evil"})

    assert settle(BY_LABEL, [labelled]).wanted is Wanted.ENDED, "nobody saw the commit without the label"
    assert settle(BY_LABEL, [FORK, labelled]).commit == "a1"
    assert settle(BY_LABEL, [FORK, labelled, pushed]).commit == "", "what runs stays; the new commit isn't run"
    assert settle(BY_LABEL, [FORK, pushed]).wanted is Wanted.ENDED
    assert settle(BY_LABEL, [FORK, labelled, pushed, pushed.model_copy(update={"labels": ()}), pushed]).commit == "evil"


def test_the_event_of_a_label_approves_the_commit_that_it_names() -> None:
    labelled = FORK.model_copy(update={"labels": ("preview",)})

    assert see(BY_LABEL, Seen(labelled_sha="a1"), labelled).approved_sha == "a1"
    assert see(BY_LABEL, Seen(labelled_sha="b2"), labelled).approved_sha == ""
    assert see(BY_LABEL, Seen(labelled_sha="a1"), FORK).approved_sha == "", "the label is gone already"


def test_a_label_of_the_same_look_is_no_label() -> None:
    other = FORK.model_copy(update={"labels": ("Preview", "preview ", "\u0440review")})

    assert settle(BY_LABEL, [FORK, other]).wanted is Wanted.ENDED


def test_drafts_wait_where_the_rule_says_so() -> None:
    draft = OPEN.model_copy(update={"draft": True})

    assert decide(PreviewRule(drafts=False), draft, Seen(), made=False, now=NOW).wanted is Wanted.ENDED
    assert decide(PreviewRule(drafts=False), draft, Seen(), made=True, now=NOW).wanted is Wanted.ALIVE
    assert decide(PreviewRule(), draft, Seen(), made=False, now=NOW).wanted is Wanted.ALIVE


def test_a_preview_lives_on_for_the_time_after_its_end() -> None:
    rule = PreviewRule(after=timedelta(hours=1))

    soon = decide(rule, CLOSED, Seen(), made=True, now=NOW + timedelta(minutes=59))
    later = decide(rule, CLOSED, Seen(), made=True, now=NOW + timedelta(hours=1))

    assert (soon.wanted, soon.end_at, soon.commit) == (Wanted.ALIVE, NOW + timedelta(hours=1), "")
    assert later.wanted is Wanted.ENDED
    assert decide(rule, CLOSED, Seen(), made=False, now=NOW).wanted is Wanted.ENDED, "nothing is made in that time"
    assert decide(rule, OPEN, Seen(ending_since=NOW), made=True, now=NOW).end_at is None, "it was opened again"


@pytest.mark.parametrize(
    ("ends", "pull", "ended"),
    [
        (EndRule.MERGED, CLOSED, False),
        (EndRule.MERGED, MERGED, True),
        (EndRule.CLOSED, MERGED, True),
        (EndRule.BRANCH_DELETED, CLOSED.model_copy(update={"branch_exists": True}), False),
        (EndRule.BRANCH_DELETED, CLOSED.model_copy(update={"branch_exists": False}), True),
        (EndRule.BRANCH_DELETED, OPEN, False),
        (EndRule.LABEL_REMOVED, OPEN, True),
        (EndRule.LABEL_REMOVED, OPEN.model_copy(update={"labels": ("preview",)}), False),
    ],
)
def test_the_rule_chooses_what_ends_it(ends: EndRule, pull: PullRequest, ended: bool) -> None:
    rule = PreviewRule(ends=(ends,), label="preview" if ends is EndRule.LABEL_REMOVED else "")

    assert (decide(rule, pull, Seen(), made=True, now=NOW).wanted is Wanted.ENDED) == ended


def test_of_two_policies_for_forks_the_stricter_counts() -> None:
    template = PreviewRule(forks=ForkPolicy.LABEL, label="reviewed", after=timedelta(hours=2))

    assert PreviewRule(forks=ForkPolicy.ALLOWED).within(template).forks is ForkPolicy.LABEL
    assert PreviewRule(forks=ForkPolicy.ALLOWED, label="mine").within(template).label == "reviewed"
    assert PreviewRule(forks=ForkPolicy.NEVER).within(template).forks is ForkPolicy.NEVER
    assert PreviewRule().within(template).forks is ForkPolicy.LABEL
    assert PreviewRule().within(template).after == timedelta(hours=2)
    assert PreviewRule(after=timedelta(minutes=1)).within(template).after == timedelta(minutes=1)
    assert PreviewRule(forks=ForkPolicy.ALLOWED).within(None).forks is ForkPolicy.ALLOWED


def test_a_rule_survives_its_own_writing() -> None:
    rule = PreviewRule(forks=ForkPolicy.LABEL, label="x", ends=(EndRule.MERGED, EndRule.BRANCH_DELETED))

    again = PreviewRule.model_validate(rule.model_dump(mode="json"))

    assert again == rule
    assert again.model_fields_set == rule.model_fields_set, "what is left out stays left out"


@pytest.mark.parametrize("wrong", [{"forks": "label"}, {"ends": ["label_removed"]}, {"ends": []}, {"unknown": 1}])
def test_rules_that_mean_nothing_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        PreviewRule.model_validate(wrong)


@pytest.mark.parametrize(("number", "known"), [(1, True), (2**31 - 1, True), (2**31, False), (0, False), (True, False)])
def test_an_event_tells_of_a_pull_request_that_can_be_kept(number: int, *, known: bool) -> None:
    found = PullRequest.of_fields({"repository": "acme/shop", "number": number, "head_sha": "a" * 1000})
    assert (found is not None) is known
    assert found is None or found.head_sha == "a" * 100
