"""Names and ids are two namespaces: who names an environment like another's id gets nothing of it, over HTTP."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from environments.client import Client
from environments.domain.environment import Environment
from environments.domain.errors import InvalidName, NameTaken, StateRefused, UnknownEnvironment
from environments.domain.lifecycle import DeploymentKind, State
from environments.domain.names import is_id
from environments.service.module_access import StateCaller
from environments.wire.environments import CreateRequest, EnvironmentView, UpdateRequest
from environments.wire.plans import PlanRequest
from environments.wire.tokens import TokenRequest
from tests.fakes.listener import Listener, connected
from tests.fakes.service import Served, served


@dataclass
class Clash:
    """Alice's environment `prod`, and mallory's, which an older version let be named by the id of alice's."""

    api: Served
    admin: Client
    alice: Client
    mallory: Client
    hers: EnvironmentView
    his: EnvironmentView


@pytest.fixture
def clash(tmp_path: Path) -> Iterator[Clash]:
    with served(tmp_path) as api, ExitStack() as stack:
        admin = stack.enter_context(api.client())
        alice, mallory = (
            stack.enter_context(api.client(admin.create_token(TokenRequest(owner=owner)).secret))
            for owner in ("alice", "mallory")
        )
        hers = alice.create(CreateRequest(name="prod", template="web")).environment
        api.service.finish("prod", State.READY)
        other = mallory.create(CreateRequest(name="his", template="web")).environment
        api.service.finish("his", State.READY)
        with api.service.database.write() as tx:
            tx.environments.change(other.id, name=hers.id)
        yield Clash(api, admin, alice, mallory, hers, mallory.environment(other.id))


def test_ids_of_the_service_are_no_names(tmp_path: Path) -> None:
    with served(tmp_path) as api, api.client() as client:
        for name in ("env-abcdefghjkmn", "env-pqrstuvwxyz2", "env-345678999999"):
            assert is_id(name)
            with pytest.raises(InvalidName, match="looks like an id"):
                client.create(CreateRequest(name=name, template="web"))
            with pytest.raises(InvalidName, match="looks like an id"):
                client.plan(name, PlanRequest(kind=DeploymentKind.CREATE, template="web"))
        for name in ("env-production", "env-aaaaaaaaaaa", "env-aaaaaaaaaaaaa", "env-000000000000"):
            assert not is_id(name)
            client.create(CreateRequest(name=name, template="web"))


def test_an_id_stands_for_its_owners_environment_whoever_has_it_for_a_name(clash: Clash) -> None:
    assert clash.alice.environment(clash.hers.id).name == "prod"
    assert clash.admin.environment(clash.hers.id).owner == "alice"
    assert clash.admin.resources(clash.hers.id) == clash.alice.resources("prod")
    assert clash.alice.deployments(clash.hers.id)[0].id == clash.alice.deployments("prod")[0].id


def test_a_name_like_an_id_still_works_for_who_has_it(clash: Clash) -> None:
    said = clash.hers.id
    assert clash.mallory.environment(said).owner == "mallory"
    assert clash.mallory.update(said, UpdateRequest(parameters={"message": "x"})).environment.id == clash.his.id
    assert clash.mallory.destroy(said).environment.id == clash.his.id
    assert clash.alice.environment("prod").state is State.READY


def test_an_admin_says_which_one(clash: Clash) -> None:
    assert clash.admin.environment(f"id:{clash.hers.id}").owner == "alice"
    assert clash.admin.environment(f"name:{clash.hers.id}").owner == "mallory"
    assert clash.admin.environment("name:prod").owner == "alice"
    for client, said in (
        (clash.mallory, f"id:{clash.hers.id}"),
        (clash.alice, f"name:{clash.hers.id}"),
        (clash.mallory, "name:prod"),
        (clash.admin, "id:prod"),
        (clash.admin, "id:"),
        (clash.admin, "name:"),
    ):
        with pytest.raises(UnknownEnvironment, match=said):
            client.environment(said)


def test_the_stream_gives_nothing_of_another_environment(clash: Clash) -> None:
    listeners = [Listener(clash.mallory.events()), Listener(clash.mallory.events(None, clash.hers.id))]
    for listener in listeners:
        listener.until(connected)
    clash.api.service.log("prod", "password-reset link")
    clash.api.service.move("prod", State.UPDATING)
    clash.api.service.log(clash.hers.id, "his own")
    for listener in listeners:
        listener.until(lambda seen: seen.messages)
        listener.close()
        assert listener.messages == ["his own"]
        assert {event.environment_id for event in listener.events} == {clash.his.id}


def test_who_may_hear_of_an_environment_is_asked_with_each_event(clash: Clash) -> None:
    """No answer is kept: neither from before there was the environment, nor from before it had another owner."""
    listener = Listener(clash.mallory.events())
    listener.until(connected)
    clash.api.service.log("prod", "not his")
    with clash.api.service.database.write() as tx:
        tx.environments.change(clash.hers.id, owner="mallory")
    clash.api.service.log("prod", "handed over")
    listener.until(lambda seen: "handed over" in seen.messages)
    with clash.api.service.database.write() as tx:
        tx.environments.change(clash.hers.id, owner="alice")
    clash.api.service.log("prod", "taken back")
    clash.mallory.create(CreateRequest(name="new", template="web"))
    listener.until(lambda seen: "new" in [event.environment for event in seen.events])
    listener.close()
    assert [event.message for event in listener.events if event.environment == "prod"][-1] == "handed over"
    assert "taken back" not in listener.messages


def test_states_of_modules_go_by_ids(clash: Clash) -> None:
    states = clash.api.service.module_states
    assert states.read(StateCaller(clash.hers.id, "infra", None)) is None
    with pytest.raises(StateRefused):
        states.read(StateCaller("prod", "infra", None))


def test_a_plan_is_applied_to_the_environment_that_it_was_made_for(clash: Clash) -> None:
    plan = clash.alice.plan("prod", PlanRequest(kind=DeploymentKind.UPDATE, parameters={"message": "x"}))
    assert clash.admin.apply_plan(plan.id).environment.owner == "alice"


def test_the_copy_of_an_environment_from_outside_is_not_named_like_an_id(clash: Clash) -> None:
    copy = clash.hers.model_copy(update={"id": "env-zzzzzzzzzzzz", "managed_by": "somebody else"})
    with pytest.raises(InvalidName):
        clash.admin.mirror(copy.model_copy(update={"name": clash.his.id}))
    with pytest.raises(NameTaken):
        clash.admin.mirror(copy)


def test_of_a_name_that_several_have_had_each_gets_their_own(tmp_path: Path) -> None:
    with served(tmp_path) as api, api.client() as admin:
        mine = admin.create(CreateRequest(name="shared", template="web")).environment
        api.service.finish("shared", State.READY)
        with api.service.database.write() as tx:
            record = tx.environments.get(mine.id)
            assert isinstance(record, Environment)
            ended = {"state": State.DESTROYED, "destroyed_at": record.created_at}
            tx.environments.add(record.model_copy(update={"id": "env-old", "owner": "alice", **ended}))
        with api.client(admin.create_token(TokenRequest(owner="alice")).secret) as alice:
            assert alice.environment("shared").id == "env-old"
        assert admin.environment("shared").id == mine.id
