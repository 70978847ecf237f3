"""Lists of environments as JSON: the same as of their views, and made once while nothing changes."""

import json

from environments.api.environment_texts import EnvironmentTexts
from environments.api.presenting import environment as view_of
from environments.domain.access import EnvironmentRole
from environments.domain.environment import Environment
from environments.domain.lifecycle import State
from environments.domain.references import SecretReference
from environments.service.standing import UNTOLD, EnvironmentStanding
from tests.fakes.plans import NOW

OWNER = EnvironmentStanding(EnvironmentRole.OWNER, ("update", "destroy"), 2)


def record(number: int, message: str = "") -> Environment:
    return Environment(
        id=f"env-{number}",
        name=f"one-{number}",
        owner="ada",
        template="web",
        template_version="1",
        bundle="sha256:0",
        parameters={"message": message},
        state=State.READY,
        state_since=NOW,
        created_at=NOW,
        outputs={
            "url": {"value": "https://127.0.0.1:20000", "description": "", "secret": False},
            "key": {"value": SecretReference("env-1", "key", "a/b", "key"), "description": "", "secret": True},
        },
    )


def test_a_list_has_what_the_views_have_for_each_who_asks() -> None:
    records = [record(1, "ä\u2028"), record(2)]
    texts = EnvironmentTexts()
    for standings in ({"env-1": OWNER, "env-2": UNTOLD}, {"env-1": UNTOLD, "env-2": OWNER}):
        views = [view_of(one, standing=standings[one.id]).model_dump(mode="json") for one in records]
        assert json.loads(texts.of(records, standings, outputs=True)) == views
        for view in views:
            del view["outputs"]
        assert json.loads(texts.of(records, standings, outputs=False)) == views
    assert texts.of([], {}, outputs=True) == b"[]"


def test_a_record_that_has_changed_is_shown_as_it_is_however_little_room_there_is() -> None:
    for texts in (EnvironmentTexts(), EnvironmentTexts(most=1)):
        for message in ("before", "after", "again"):
            found = json.loads(
                texts.of([record(1, message), record(2)], {"env-1": OWNER, "env-2": OWNER}, outputs=True)
            )
            assert [one["parameters"]["message"] for one in found] == [message, ""]
