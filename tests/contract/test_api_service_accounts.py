"""Service accounts over HTTP: who manages them, and that a token reaches no further than it is limited to."""

import contextlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import pytest

from environments.client import Client
from environments.domain.access import Person, PersonKind
from environments.domain.errors import (
    CalvinverseError,
    Forbidden,
    InvalidInput,
    InvalidLifetime,
    InvalidName,
    NameTaken,
    NotAllowedNow,
    NotFound,
    Unauthenticated,
    UnknownEnvironment,
    UnknownPlan,
)
from environments.domain.lifecycle import DeploymentKind
from environments.domain.template import make_bundle
from environments.service.service_accounts import MOST_ACCOUNTS
from environments.service.storage.audit import AuditFilter
from environments.wire.environments import CreateRequest, ExtendRequest
from environments.wire.plans import PlanRequest
from environments.wire.service_accounts import AccountTokenRequest, ServiceAccountChange, ServiceAccountRequest
from environments.wire.tokens import NewToken, TokenRequest
from tests.fakes.listener import Listener, connected
from tests.fakes.service import WEB, Served, served


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path) as running:
        for name in ("shop", "blog"):
            other = WEB.replace('name = "web"', f'name = "{name}"').encode()
            running.service.catalogue.push(running.service.admin, make_bundle({"template.toml": other}))
        yield running


def person(api: Served, owner: str, role: str = "user") -> str:
    """A token of somebody."""
    return api.service.tokens.create_token(api.service.admin, owner, role).secret  # type: ignore[arg-type]


def account(api: Served, name: str = "svc-shop", *, by: str = "", **fields: str) -> None:
    with api.client(by) as client:
        client.create_service_account(ServiceAccountRequest(name=name, **fields))


def token(api: Served, name: str = "svc-shop", *, by: str = "", **fields: Any) -> NewToken:
    with api.client(by) as client:
        return client.create_account_token(name, AccountTokenRequest(**fields))


def refused(kind: type[CalvinverseError], call: Callable[[], object]) -> str:
    """The message of the refusal."""
    with pytest.raises(kind) as refusal:
        call()
    return refusal.value.message


# --- accounts --------------------------------------------------------------------------------------------------------


def test_whoever_is_responsible_and_admins_manage_an_account_and_nobody_else_sees_it(api: Served) -> None:
    ada, grace, auditor = person(api, "ada"), person(api, "grace"), person(api, "eve", "auditor")
    account(api, by=ada, description="pipelines")
    with api.client(ada) as client:
        [shown] = client.service_accounts()
        assert (shown.name, shown.responsible, shown.description, shown.tokens) == ("svc-shop", "ada", "pipelines", 0)
        client.create_account_token("svc-shop", AccountTokenRequest())
        assert client.service_account("svc-shop").tokens == 1
    with api.client(grace) as client:
        assert client.service_accounts() == []
        for call in (
            lambda: client.service_account("svc-shop"),
            lambda: client.account_tokens("svc-shop"),
            lambda: client.create_account_token("svc-shop", AccountTokenRequest()),
            lambda: client.disable_service_account("svc-shop"),
        ):
            assert refused(NotFound, call) == "There is no service account 'svc-shop'."
    with api.client(auditor) as client:
        assert [one.name for one in client.service_accounts()] == ["svc-shop"]
        refused(Forbidden, lambda: client.create_account_token("svc-shop", AccountTokenRequest()))
        refused(Forbidden, lambda: client.enable_service_account("svc-shop"))
    with api.client() as client:
        client.change_service_account("svc-shop", ServiceAccountChange(responsible="grace"))
    with api.client(ada) as client:
        assert client.service_accounts() == []
    with api.client(grace) as client:
        assert [one.name for one in client.service_accounts()] == ["svc-shop"]


def test_a_change_of_nothing_changes_nothing(api: Served) -> None:
    with api.client() as admin:
        made = admin.create_service_account(ServiceAccountRequest(name="svc-idle", description="waits"))
        assert admin.change_service_account("svc-idle", ServiceAccountChange()) == made


def test_a_name_is_never_given_again_and_only_somebody_there_is_responsible(api: Served) -> None:
    ada = person(api, "ada")
    person(api, "grace")
    account(api, by=ada)
    with api.client(ada) as client:
        refused(NameTaken, lambda: client.create_service_account(ServiceAccountRequest(name="svc-shop")))
        for name in ("", "grace", "me", "svc-", "svc-Shop", "svc-a..b", "svc-a-", "svc-a b", "svc-" + "x" * 60):
            refused(InvalidName, partial(client.create_service_account, ServiceAccountRequest(name=name)))
        for subject in ("grace", "group:platform", "everyone", "svc-shop", "nobody"):
            request = ServiceAccountRequest(name="svc-other", responsible=subject)
            refused(Forbidden, partial(client.create_service_account, request))
    with api.client() as client:
        for subject in ("nobody", "group:nothing", "everyone", "svc-shop"):
            request = ServiceAccountRequest(name="svc-other", responsible=subject)
            assert "can't be responsible" in refused(InvalidInput, partial(client.create_service_account, request))
        other = ServiceAccountRequest(name="svc-other", responsible="grace")
        assert client.create_service_account(other).name == "svc-other"


def test_no_account_has_the_name_of_a_person_and_no_owner_that_of_an_account(api: Served) -> None:
    with api.client() as admin:
        for name in ("shop", "clock", "tok-deployer"):
            with pytest.raises(InvalidName, match="begin with 'svc-'") as raised:
                admin.create_service_account(ServiceAccountRequest(name=name))
            assert f"svc-{name}" in raised.value.hint
        for owner in ("svc-shop", "SVC-shop", "clock", "Me", "unknown", "env-qzwdg2zx7swt"):
            refused(InvalidName, partial(admin.create_token, TokenRequest(owner=owner)))


def test_an_account_from_before_names_had_to_begin_so_keeps_working(api: Served) -> None:
    old = Person(name="shop-ci", kind=PersonKind.SERVICE_ACCOUNT, created_at=datetime.now(UTC), responsible="root")
    with api.service.database.write() as tx:
        tx.people.add(old)
    with api.client(token(api, "shop-ci").secret) as ci:
        assert ci.info().owner == "shop-ci"
    with api.client() as admin:
        admin.disable_service_account("shop-ci")
        assert admin.enable_service_account("shop-ci").name == "shop-ci"


def test_one_is_responsible_for_so_many_accounts(api: Served) -> None:
    ada, grace = person(api, "ada"), person(api, "grace")
    for number in range(MOST_ACCOUNTS):
        account(api, f"svc-{number}", by=ada)
    assert "can't be more" in refused(NotAllowedNow, lambda: account(api, "svc-more", by=ada))
    account(api, "svc-more", by=grace)
    with api.client() as admin:
        change = ServiceAccountChange(responsible="ada")
        refused(NotAllowedNow, lambda: admin.change_service_account("svc-more", change))
        assert admin.change_service_account("svc-1", change).responsible == "ada"


def test_disabling_ends_all_tokens_at_once_and_enabling_gives_none_back(api: Served) -> None:
    account(api)
    secret = token(api).secret
    with api.client(secret) as ci, api.client() as admin:
        listener = Listener(ci.events())
        listener.until(connected)
        admin.disable_service_account("svc-shop")
        listener.until(lambda seen: seen.error is not None)
        refused(Unauthenticated, ci.info)
        assert "is disabled" in refused(
            NotAllowedNow, lambda: admin.create_account_token("svc-shop", AccountTokenRequest())
        )
        assert admin.service_account("svc-shop").disabled_by == "root"
        assert admin.enable_service_account("svc-shop").disabled_at is None
        refused(Unauthenticated, ci.info)
        with api.client(admin.create_account_token("svc-shop", AccountTokenRequest()).secret) as again:
            assert again.info().owner == "svc-shop"


def test_a_token_lives_for_as_long_as_the_setting_says_at_most(api: Served) -> None:
    account(api)
    made = token(api).token
    assert made.expires_at is not None
    assert timedelta(days=89) < made.expires_at - datetime.now(UTC) <= timedelta(days=90)
    short = token(api, ttl="1h").token
    assert short.expires_at is not None
    assert short.expires_at - short.created_at == timedelta(hours=1)
    assert "90d at most" in refused(InvalidLifetime, lambda: token(api, ttl="91d"))


def test_one_who_is_responsible_revokes_a_token_of_the_account_and_no_other(api: Served) -> None:
    ada = person(api, "ada")
    account(api, by=ada)
    account(api, name="svc-other")
    mine, other = token(api, by=ada), token(api, "svc-other")
    with api.client(ada) as client:
        refused(NotFound, lambda: client.revoke_account_token("svc-shop", other.token.id))
        assert client.revoke_account_token("svc-shop", mine.token.id).revoked_at is not None
    with api.client(mine.secret) as ci:
        refused(Unauthenticated, ci.info)
    with api.client(other.secret) as ci:
        ci.info()


def test_a_token_made_by_a_token_ends_with_it_and_one_made_by_a_session_does_not(api: Served) -> None:
    ada = api.service.tokens.create_token(api.service.admin, "ada")
    account(api, by=ada.secret)
    child = token(api, by=ada.secret)
    assert child.token.parent_id == ada.token.id
    with api.service.database.write() as tx:
        [session] = tx.tokens.line(ada.token.id, 1)
        end = datetime.now(UTC) + timedelta(hours=1)
        tx.tokens.add(session._replace(kind="session", role="own", expires_at=end))
    kept = token(api, by=ada.secret)
    assert kept.token.parent_id is None
    assert kept.token.expires_at is not None
    assert kept.token.expires_at > end
    with api.client() as admin:
        admin.revoke_token(ada.token.id)
    with api.client(child.secret) as ci:
        refused(Unauthenticated, ci.info)
    with api.client(kept.secret) as ci:
        assert ci.info().owner == "svc-shop"


def test_a_program_makes_no_accounts_and_no_tokens_of_accounts(api: Served) -> None:
    account(api)
    with api.client(token(api).secret) as ci:
        assert "can't manage" in refused(
            Forbidden, lambda: ci.create_service_account(ServiceAccountRequest(name="svc-stays"))
        )
        assert [one.name for one in ci.service_accounts()] == ["svc-shop"]
        refused(Forbidden, lambda: ci.create_account_token("svc-shop", AccountTokenRequest()))
        child = ci.create_token(TokenRequest(owner="svc-shop", templates=("shop",), ttl="1h"))
        assert child.token.scope is not None
        assert child.token.scope.templates == ("shop",)
        refused(Forbidden, lambda: ci.create_token(TokenRequest(owner="root")))


# --- what a token reaches --------------------------------------------------------------------------------------------


@contextlib.contextmanager
def limited(api: Served, **limits: Any) -> Iterator[tuple[Client, str]]:
    """A client with a token of an account that owns an environment of each template; and the token."""
    account(api)
    with api.client(token(api).secret) as whole:
        for name in ("shop", "blog"):
            whole.create(CreateRequest(name=f"a-{name}", template=name))
            api.service.outputs(f"a-{name}", {"url": {"value": f"http://{name}", "description": "", "secret": False}})
            api.service.log(f"a-{name}", f"log of {name}")
    made = token(api, **limits)
    with api.client(made.secret) as client:
        yield client, made.secret


def test_a_token_for_a_template_shows_nothing_that_is_made_from_another_one(api: Served) -> None:
    with limited(api, templates=["shop"]) as (ci, secret):
        assert [one.name for one in ci.environments()] == ["a-shop"]
        assert [one.name for one in ci.environments(owner="svc-shop")] == ["a-shop"]
        assert ci.outputs("a-shop")
        with api.client() as admin:
            hidden = admin.environment("a-blog")
            visible = admin.environment("a-shop")
            plan = admin.plan("a-blog", PlanRequest(kind=DeploymentKind.DESTROY))
        for said in ("a-blog", hidden.id, f"id:{hidden.id}", f"name:{hidden.name}"):
            calls: tuple[Callable[[], object], ...] = (
                partial(ci.environment, said),
                partial(ci.outputs, said),
                partial(ci.explain, said, 3),
                partial(ci.extend, said, ExtendRequest(by="1h")),
                partial(ci.destroy, said),
                partial(ci.plan, said, PlanRequest(kind=DeploymentKind.DESTROY)),
                partial(next, iter(ci.events(0, said))),
            )
            for call in calls:
                message = refused(UnknownEnvironment, call)
                assert "a-blog" not in message.replace(repr(said), "")
        deployment = hidden.deployment
        assert deployment is not None
        refused(NotFound, lambda: ci.deployment(deployment.id))
        refused(UnknownPlan, lambda: ci.saved_plan(plan.id))
        with httpx2.Client(
            base_url=api.address, headers={"Authorization": f"Bearer {secret}"}, trust_env=False, timeout=60
        ) as raw:
            found = {
                path: raw.get(path).text
                for path in ("/v1/environments?ended=true", "/v1/deployments", "/v1/policies", "/v1/holds")
            }
            assert raw.get("/metrics").status_code == 403, "it counts everybody's environments"
        for path, text in found.items():
            assert "a-blog" not in text, path
            assert hidden.id not in text, path
        listener = Listener(ci.events(0))
        listener.until(lambda seen: "log of shop" in seen.messages)
        api.service.log("a-blog", "later of blog")
        api.service.log("a-shop", "later of shop")
        listener.until(lambda seen: "later of shop" in seen.messages)
        assert {event.environment_id for event in listener.events} == {visible.id}
        assert not [message for message in listener.messages if "blog" in message]
        listener.close()
        assert ci.create(CreateRequest(name="b-shop", template="shop")).environment.name == "b-shop"
        assert refused(CalvinverseError, lambda: ci.create(CreateRequest(name="b-blog", template="blog")))
        assert {one.name for one in ci.environments()} == {"a-shop", "b-shop"}


def test_a_token_for_an_environment_reaches_no_other_one(api: Served) -> None:
    with limited(api, environments=["a-shop"]) as (ci, _):
        assert [one.name for one in ci.environments()] == ["a-shop"]
        assert ci.extend("a-shop", ExtendRequest(by="1h")).name == "a-shop"
        refused(UnknownEnvironment, lambda: ci.environment("a-blog"))
        planned = PlanRequest(kind=DeploymentKind.CREATE, template="shop")
        for create in (
            lambda: ci.create(CreateRequest(name="b-shop", template="shop")),
            lambda: ci.plan("b-shop", planned),
        ):
            assert "for some environments alone, and creates none" in refused(Forbidden, create)
        with api.client() as admin:
            assert [one.name for one in admin.environments()] == ["a-blog", "a-shop"]


def test_a_token_for_an_action_does_this_alone_and_reads(api: Served) -> None:
    with limited(api, actions=["environment:extend"]) as (ci, _):
        assert {one.name for one in ci.environments()} == {"a-shop", "a-blog"}
        ci.extend("a-shop", ExtendRequest(by="1h"))
        for call in (
            lambda: ci.destroy("a-shop"),
            lambda: ci.stop("a-shop"),
            lambda: ci.plan("a-shop", PlanRequest(kind=DeploymentKind.DESTROY)),
            lambda: ci.create(CreateRequest(name="b-shop", template="shop")),
            lambda: ci.create_token(TokenRequest(owner="svc-shop")),
        ):
            assert "The token isn't for the action" in refused(Forbidden, call)


def test_a_token_for_an_action_and_an_environment_is_told_that_it_does_not_create(api: Served) -> None:
    with limited(api, actions=["environment:extend"], environments=["a-shop"]) as (ci, _):
        for create in (
            lambda: ci.create(CreateRequest(name="b-shop", template="shop")),
            lambda: ci.plan("b-shop", PlanRequest(kind=DeploymentKind.CREATE, template="shop")),
        ):
            assert "The token isn't for the action environment:create" in refused(Forbidden, create)
        scope = ci.who_am_i().scope
        assert scope is not None
        assert (scope.actions, scope.environments) == (("environment:extend",), (ci.environment("a-shop").id,))


def test_why_a_token_cannot_be_made_is_said(api: Served) -> None:
    with api.client(person(api, "ada")) as ada:
        assert "tokens for others" in refused(Forbidden, lambda: ada.create_token(TokenRequest(owner="bob")))
        message = refused(Forbidden, lambda: ada.create_token(TokenRequest(owner="ada", role="admin")))
        assert message == "Only an admin can create tokens with the role admin: a token can't do more than yours."


def test_what_an_account_does_is_in_the_audit_log(api: Served) -> None:
    ada = person(api, "ada")
    account(api, by=ada, description="pipelines")
    made = token(api, by=ada, templates=["shop"], note="main")
    with api.client(ada) as client:
        client.disable_service_account("svc-shop")
    with api.service.database.read() as tx:
        entries = [one.entry for one in tx.audit.list(AuditFilter(action="account:manage"))]
    assert {(entry.actor, entry.object_kind, entry.object_name) for entry in entries} == {
        ("ada", "service_account", "svc-shop")
    }
    disabled, given, created = entries
    assert created.after == {"responsible": "ada", "description": "pipelines"}
    assert given.after is not None
    assert (given.after["made"], given.after["scope"]["templates"]) == (made.token.id, ["shop"])
    assert made.secret not in str(entries)
    assert disabled.after == {"disabled": True, "revoked": 1}
