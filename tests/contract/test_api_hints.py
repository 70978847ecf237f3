"""Unknown names are answered with near ones that the asking person may see, and refusals with what fits the state."""

from collections.abc import Iterator

import pytest

from environments.client import Client
from environments.domain.errors import (
    ImageNotPublished,
    InvalidLifetime,
    InvalidParameters,
    NameTaken,
    NotAllowedNow,
    NotFound,
    UnknownEnvironment,
    UnknownTemplate,
)
from environments.domain.lifecycle import DeploymentKind, State, check_request, way_on
from environments.wire.environments import CreateRequest, ExtendRequest, RollbackRequest, UpdateRequest
from environments.wire.images import PublishImageRequest
from environments.wire.plans import PlanRequest
from environments.wire.tokens import TokenRequest
from tests.fakes.service import Served, served


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("service")) as running:
        yield running


@pytest.fixture
def admin(api: Served) -> Iterator[Client]:
    with api.client() as made:
        yield made


@pytest.fixture
def alice(api: Served, admin: Client) -> Iterator[Client]:
    with api.client(admin.create_token(TokenRequest(owner="alice")).secret) as made:
        yield made


def test_environments_are_suggested_to_those_who_see_them(admin: Client, alice: Client) -> None:
    admin.create(CreateRequest(name="demo", template="web"))
    own = alice.create(CreateRequest(name="demos", template="web")).environment
    for typed, said in (
        ("dmeo", "There is no environment 'dmeo'. Did you mean 'demo'?"),
        ("name:dmeo", "There is no environment 'name:dmeo'. Did you mean 'demo'?"),
        ("quite-another", "There is no environment 'quite-another'."),
        (f"{own.id[:-1]}{'b' if own.id[-1] == 'a' else 'a'}", "'."),
    ):
        with pytest.raises(UnknownEnvironment) as refused:
            admin.environment(typed)
        assert refused.value.message.endswith(said)
    for typed, said in (
        ("demo", "There is no environment 'demo'. Did you mean 'demos'?"),
        ("demso", "There is no environment 'demso'. Did you mean 'demos'?"),
        ("demx", "There is no environment 'demx'."),
    ):
        for ask in (alice.environment, alice.destroy, alice.resources):
            with pytest.raises(UnknownEnvironment) as refused:
                ask(typed)
            assert refused.value.message == said, "whether there is one that isn't hers makes no difference"


def test_other_names_are_suggested_too(api: Served, admin: Client, alice: Client) -> None:
    image = PublishImageRequest(reference=f"sha256:{'a' * 64}", channel="qa", key="", build="")
    admin.publish_image("postgres", image)
    token = admin.create_token(TokenRequest(owner="bob")).token.id
    wrong = f"{token}x"
    asks = (
        (lambda: admin.template("wbe"), UnknownTemplate, "Did you mean 'web'?"),
        (lambda: alice.create(CreateRequest(name="a", template="wbe")), UnknownTemplate, "Did you mean 'web'?"),
        (lambda: alice.image("postgers"), ImageNotPublished, "Did you mean 'postgres'?"),
        (lambda: admin.image_history("postgers"), ImageNotPublished, "Did you mean 'postgres'?"),
        (
            lambda: alice.create(CreateRequest(name="a", template="web", parameters={"replica": 1})),
            InvalidParameters,
            "replica: there is no such parameter (did you mean 'replicas'?)",
        ),
    )
    for ask, kind, said in asks:
        with pytest.raises(kind) as refused:
            ask()
        assert said in refused.value.message
    with pytest.raises(NotFound) as of_admin:
        admin.revoke_token(wrong)
    with pytest.raises(NotFound) as of_alice:
        alice.revoke_token(wrong)
    assert repr(token) in of_admin.value.message
    assert repr(token) not in of_alice.value.message


def test_a_name_that_is_taken_is_told_by_what_one_may_see(admin: Client, alice: Client) -> None:
    admin.create(CreateRequest(name="theirs", template="web"))
    alice.create(CreateRequest(name="hers", template="web"))
    for name, message, hint in (
        ("hers", "There is an environment named 'hers' already.", "`calvinverse env destroy hers`"),
        ("theirs", "The name 'theirs' is taken.", "it belongs to somebody else"),
    ):
        for ask in (
            lambda name=name: alice.create(CreateRequest(name=name, template="web")),
            lambda name=name: alice.plan(name, PlanRequest(kind=DeploymentKind.CREATE, template="web")),
        ):
            with pytest.raises(NameTaken) as refused:
                ask()
            assert refused.value.message == message
            assert hint in refused.value.hint
    assert "destroy" not in refused.value.hint
    with pytest.raises(NameTaken) as refused:
        admin.create(CreateRequest(name="hers", template="web"))
    assert "`calvinverse env destroy hers`" in refused.value.hint


def test_what_does_not_fit_the_state_is_answered_with_what_does(api: Served, admin: Client) -> None:
    created = admin.create(CreateRequest(name="stateful", template="web"))
    with pytest.raises(NotAllowedNow) as busy:
        admin.update("stateful", UpdateRequest())
    assert "`calvinverse env watch stateful`" in busy.value.hint
    api.service.finish("stateful", State.READY)
    with pytest.raises(NotAllowedNow) as ready:
        admin.retry("stateful")
    assert ready.value.hint.startswith("Nothing has to be tried again: `calvinverse env update stateful`")
    with pytest.raises(NotFound) as unknown:
        admin.rollback("stateful", RollbackRequest(deployment="dep-x"))
    assert unknown.value.hint == "`calvinverse env history stateful` lists its deployments."
    api.service.move("stateful", State.DESTROYING, State.DESTROYED)
    for ask in (
        lambda: admin.retry(created.environment.id),
        lambda: admin.destroy(created.environment.id),
        lambda: admin.extend(created.environment.id, ExtendRequest(by="1h")),
    ):
        with pytest.raises(NotAllowedNow) as gone:
            ask()
        assert "its name is free" in gone.value.hint


@pytest.mark.parametrize("state", State)
def test_no_hint_names_what_the_state_refuses(state: State) -> None:
    """A command that a hint of a state names is one that this state takes."""
    hint = way_on("demo", state)
    for kind, word in ((DeploymentKind.UPDATE, "env update"), (DeploymentKind.REPAIR, "env repair")):
        if word in hint:
            check_request("demo", state, kind)
    if "env retry" in hint:
        assert state in (State.FAILED, State.DESTROY_FAILED)


def test_a_lifetime_is_answered_with_what_is_wrong_with_it(admin: Client) -> None:
    for wanted, hint in (
        ({"ttl": "15d"}, "Give 14d or less, counted from creation."),
        (
            {"until": "2020-01-01T00:00:00Z"},
            "Give a later moment.",
        ),
    ):
        with pytest.raises(InvalidLifetime) as refused:
            admin.create(CreateRequest.model_validate({"name": "brief", "template": "web", **wanted}))
        assert refused.value.hint == hint
