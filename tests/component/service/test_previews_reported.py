"""The failures of previews that users of other tools report; none of them happens here."""

from collections.abc import Callable

import pytest

from tests.support.preview_world import PreviewWorld

World = Callable[..., PreviewWorld]


def test_a_pull_request_gets_one_environment_and_the_forge_its_address(world: World) -> None:
    here = world()
    here.tell(here.forge.open(12, head="a1"))
    here.settle()

    [environment] = here.living()
    assert (environment.name, environment.owner) == ("acme-shop-pr-12", "ada")
    assert environment.parameters["commit"] == "a1"
    [comment] = here.forge.mine(12)
    assert "https://acme-shop-pr-12.example/" in comment
    assert here.forge.statuses["a1", "calvinverse/shop"][0] == "success"


def test_a_push_updates_it_in_place(world: World) -> None:
    here = world()
    here.tell(here.forge.open(12, head="a1"))
    here.settle()
    here.tell(here.forge.push(12, "b2"))
    here.settle()

    [environment] = here.living()
    assert environment.parameters["commit"] == "b2"
    assert here.made() == 1
    assert len(here.forge.mine(12)) == 1


def test_it_is_gone_when_its_pull_request_is_closed(world: World) -> None:
    """jenkins-x#3335, coolify#2485 and #11441, pullpreview/action#104, argilla#3647: the preview stayed."""
    here = world()
    here.tell(here.forge.open(12))
    here.settle()
    here.tell(here.forge.close(12))
    here.settle()

    assert here.living() == []
    [comment] = here.forge.mine(12)
    assert "has ended" in comment
    assert here.record(12).closed_at is not None


def test_it_is_gone_although_the_webhook_was_lost(world: World) -> None:
    """opf/openproject#9989: a nightly sweep had to be written for events that never came."""
    here = world()
    here.tell(here.forge.open(12))
    here.settle()
    here.forge.close(12)
    here.settle()
    assert len(here.living()) == 1, "nobody told of it"

    here.noting.sweep()
    here.settle()

    assert here.living() == []


def test_the_event_that_ends_it_makes_no_other(world: World) -> None:
    """activepieces#14951, jenkins-x#5493: another rule on the closing event built it again."""
    here = world()
    here.tell(here.forge.open(12))
    here.settle()
    closing = here.forge.close(12)
    late = [here.forge.event(kind, 12) for kind in ("labelled", "pushed", "unlabelled", "closed", "opened")]
    here.tell(closing, *late)
    here.settle()
    here.noting.sweep()
    here.settle()

    assert here.living() == []
    assert here.made() == 1


@pytest.mark.parametrize(
    ("ends", "act"),
    [
        ("closed", "close"),
        ("closed", "merge"),
        ("merged", "merge"),
        ("branch_deleted", "delete"),
        ("label_removed", "unlabel"),
    ],
)
def test_it_ends_by_the_rule_that_was_chosen_and_by_no_other(world: World, ends: str, act: str) -> None:
    """kortix-ai/suna#7023: closing wasn't the end, deleting the branch was."""
    here = world(ends=[ends], label="preview" if ends == "label_removed" else "")
    here.tell(here.forge.open(12, labels=("preview",)))
    here.settle()
    acts = {
        "close": lambda: here.forge.close(12),
        "merge": lambda: here.forge.close(12, merged=True),
        "delete": lambda: here.forge.delete_branch(12),
        "unlabel": lambda: here.forge.unlabel(12, "preview"),
    }
    others = {"merged": ["delete", "close"], "branch_deleted": ["close"], "label_removed": ["delete", "close"]}
    for other in others.get(ends, ["delete"]):
        here.tell(acts[other]())
        here.settle()
        assert len(here.living()) == 1, f"{other} isn't what ends it"
    here.tell(acts[act]())
    here.settle()

    assert here.living() == []


def test_no_record_is_left_behind_at_the_forge(world: World) -> None:
    """loopover#8620: 1,254 records of previews that were gone stayed at the forge."""
    here = world()
    for round_ in range(6):
        here.tell(here.forge.open(12, head=f"a{round_}"))
        here.settle()
        here.tell(here.forge.push(12, f"b{round_}"))
        here.settle()
        here.tell(here.forge.close(12))
        here.settle()

    assert len(here.forge.comments) == 1
    assert "has ended" in here.forge.mine(12)[0]
    assert not [state for state, _, _ in here.forge.statuses.values() if state == "pending"]
    assert set(here.forge.calls) <= {"pull_request", "put_comment", "set_status"}


def test_no_push_is_dropped_while_a_deployment_runs(world: World) -> None:
    """dokploy#4074: a limit dropped updates."""
    here = world()
    here.tell(here.forge.open(12, head="c0"))
    for number in range(1, 12):
        here.look()
        here.tell(here.forge.push(12, f"c{number}"))
        here.look()
        here.look()
    here.settle()

    [environment] = here.living()
    assert environment.parameters["commit"] == "c11"
    assert here.made() == 1


@pytest.mark.parametrize("forks", ["never", "label"])
def test_strangers_code_does_not_run_with_ones_keys(world: World, forks: str) -> None:
    """atlantis#3297: a fork's pull request ran with the keys of the repository."""
    here = world(forks=forks, **({"label": "preview"} if forks == "label" else {}))
    here.tell(here.forge.open(12, head="evil", fork=True))
    here.tell(here.forge.push(12, "evil2"))
    here.settle()
    here.noting.sweep()
    here.settle()

    assert here.made() == 0
    assert here.forge.comments == {}
    assert here.forge.statuses == {}


def test_an_approval_counts_for_one_commit_of_a_fork(world: World) -> None:
    here = world(forks="label", label="preview")
    here.tell(here.forge.open(12, head="good", fork=True))
    here.settle()
    here.tell(here.forge.label(12, "preview"))
    here.settle()
    assert [one.parameters["commit"] for one in here.living()] == ["good"]

    here.tell(here.forge.push(12, "evil"))
    here.settle()
    here.noting.sweep()
    here.settle()
    assert [one.parameters["commit"] for one in here.living()] == ["good"]

    here.tell(here.forge.unlabel(12, "preview"))
    here.settle()
    here.tell(here.forge.label(12, "preview"))
    here.settle()
    assert [one.parameters["commit"] for one in here.living()] == ["evil"], "a maintainer gave it again"


def test_a_commit_pushed_between_the_label_and_the_look_is_not_approved(world: World) -> None:
    here = world(forks="label", label="preview")
    opened = here.forge.open(12, head="good", fork=True)
    labelled = here.forge.label(12, "preview")
    pushed = here.forge.push(12, "evil")
    here.tell(opened, labelled, pushed)
    here.settle()

    assert here.made() == 0


def test_the_policy_of_the_template_is_not_widened_by_a_trigger(world: World) -> None:
    from tests.support.preview_world import PREVIEW

    here = world(template=f'{PREVIEW}\n[preview]\nforks = "never"\n', forks="allowed")
    here.tell(here.forge.open(12, fork=True))
    here.settle()

    assert here.made() == 0
