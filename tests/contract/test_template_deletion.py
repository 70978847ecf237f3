"""Templates are taken out of the catalogue: over the API, against the real use cases and database."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest

from environments.bootstrap.service import SHIPPER
from environments.client import Client
from environments.domain.errors import Forbidden, PlanStale, TemplateInUse, UnknownTemplate
from environments.domain.lifecycle import DeploymentKind, State
from environments.domain.template import Bundle, make_bundle
from environments.wire.environments import CreateRequest, RollbackRequest, UpdateRequest
from environments.wire.plans import PlanRequest
from environments.wire.tokens import TokenRequest
from tests.fakes.service import WEB, Served, served


def shop(version: str) -> Bundle:
    text = WEB.replace('name = "web"', 'name = "shop"').replace('version = "3"', f'version = "{version}"')
    return make_bundle({"template.toml": text.encode()})


ONE, TWO = shop("1"), shop("2")


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path) as running:
        yield running


@pytest.fixture
def admin(api: Served) -> Iterator[Client]:
    with api.client() as made:
        made.push(ONE)
        made.push(TWO)
        yield made


def test_a_template_goes_with_all_its_versions_and_can_be_pushed_again(admin: Client) -> None:
    gone = admin.delete_template("shop")
    assert (gone.name, gone.digests, gone.deleted_by) == ("shop", (TWO.digest, ONE.digest), "root")
    for digest in (None, ONE.digest):
        with pytest.raises(UnknownTemplate, match="There is no template 'shop'"):
            admin.delete_template("shop", digest)
    assert [view.name for view in admin.templates()] == ["web"]
    for ask in (lambda: admin.template("shop"), lambda: admin.bundle("shop", ONE.digest)):
        with pytest.raises(UnknownTemplate):
            ask()
    with pytest.raises(UnknownTemplate):
        admin.create(CreateRequest(name="late", template="shop"))
    assert admin.push(ONE).digest == ONE.digest
    assert admin.template("shop").version == "1"
    assert admin.delete_template("shop").digests == (ONE.digest,)


def test_one_version_goes_and_the_newest_of_the_others_counts(admin: Client) -> None:
    assert admin.delete_template("shop", TWO.digest).digests == (TWO.digest,)
    assert admin.template("shop").digest == ONE.digest
    for digest in (TWO.digest, "sha256:none"):
        with pytest.raises(UnknownTemplate, match=f"with digest {digest}") as refused:
            admin.delete_template("shop", digest)
        assert "template show shop" in refused.value.hint
    with pytest.raises(UnknownTemplate, match=r"There is no template 'shpo'\. Did you mean 'shop'\?"):
        admin.delete_template("shpo")


def test_nobody_but_an_admin_deletes(api: Served, admin: Client) -> None:
    with api.client(admin.create_token(TokenRequest(owner="alice")).secret) as alice:
        for name in ("shop", "nosuch"):
            with pytest.raises(Forbidden, match="Only admins may delete templates"):
                alice.delete_template(name)
    assert admin.template("shop")


def test_it_is_refused_while_an_environment_stands(api: Served, admin: Client) -> None:
    finish = api.service.finish
    admin.create(CreateRequest(name="demo", template="shop", digest=ONE.digest))
    with pytest.raises(TemplateInUse) as refused:
        admin.delete_template("shop")
    assert refused.value.message == "The template 'shop' is in use by 'demo'."
    assert refused.value.details == {"environments": ["demo"], "count": 1}
    finish("demo", State.READY)
    assert admin.delete_template("shop", TWO.digest).digests == (TWO.digest,), "no environment is at that version"
    with pytest.raises(TemplateInUse, match="This version of the template 'shop' is in use by 'demo'"):
        admin.delete_template("shop", ONE.digest)
    for number in range(12):
        admin.create(CreateRequest(name=f"more-{number:02}", template="shop"))
    with pytest.raises(TemplateInUse, match=r"'more-00', .*'more-08' and 3 other environments\.$"):
        admin.delete_template("shop")
    for number in range(12):
        api.service.move(f"more-{number:02}", State.DESTROYED)
    api.service.move("demo", State.DESTROY_FAILED)
    with pytest.raises(TemplateInUse):
        admin.delete_template("shop")
    api.service.move("demo", State.DESTROYED)
    assert admin.delete_template("shop").digests == (ONE.digest,)


def test_what_was_made_from_it_is_kept_as_long_as_it_is_needed(api: Served, admin: Client) -> None:
    """An environment that went on to another version goes back to the deleted one, and is destroyed as it was made."""
    first = admin.create(CreateRequest(name="demo", template="shop", digest=ONE.digest)).deployment_id
    api.service.finish("demo", State.READY)
    admin.update("demo", UpdateRequest(digest=TWO.digest))
    api.service.finish("demo", State.READY)
    admin.delete_template("shop", ONE.digest)
    long_ago, later = datetime(2000, 1, 1, tzinfo=UTC), datetime.now(UTC) + timedelta(days=1)
    with api.service.database.write() as tx:
        tx.forget_ended(long_ago)
        assert tx.templates.bundle(ONE.digest) == ONE
    assert admin.rollback("demo", RollbackRequest(deployment=first)).environment.bundle == ONE.digest
    api.service.finish("demo", State.READY)
    admin.delete_template("shop", TWO.digest)
    admin.destroy("demo")
    api.service.finish("demo", State.DESTROYED)
    with api.service.database.write() as tx:
        assert tx.templates.bundle(ONE.digest) == ONE
        tx.forget_ended(later)
        assert tx.templates.bundle(ONE.digest) is None, "nothing needs it any more"


def test_a_saved_plan_with_a_deleted_version_is_stale(api: Served, admin: Client) -> None:
    created = admin.plan("fresh", PlanRequest(kind=DeploymentKind.CREATE, template="shop"))
    admin.create(CreateRequest(name="demo", template="shop", digest=ONE.digest))
    api.service.finish("demo", State.READY)
    updated = admin.plan("demo", PlanRequest(kind=DeploymentKind.UPDATE))
    admin.delete_template("shop", TWO.digest)
    for plan in (created, updated):
        with pytest.raises(PlanStale, match="the version of template 'shop'"):
            admin.apply_plan(plan.id)
    repaired = admin.plan("demo", PlanRequest(kind=DeploymentKind.REPAIR))
    assert admin.apply_plan(repaired.id).deployment_id


def test_what_comes_with_the_program_stays_away_until_it_brings_another_version(api: Served, admin: Client) -> None:
    catalogue = api.service.catalogue
    catalogue.push_shipped(SHIPPER, TWO)
    admin.delete_template("shop")
    catalogue.push_shipped(SHIPPER, TWO)
    with pytest.raises(UnknownTemplate):
        admin.template("shop")
    catalogue.push_shipped(SHIPPER, shop("3"))
    assert admin.template("shop").version == "3"
    noted = len(admin.audit({"action": "template:push"}))
    catalogue.push_shipped(SHIPPER, shop("3"))
    assert len(admin.audit({"action": "template:push"})) == noted, "nothing has changed"
    admin.push(TWO)
    catalogue.push_shipped(SHIPPER, TWO)
    assert admin.template("shop").version == "2"


def test_the_answers_are_problem_documents(api: Served, admin: Client) -> None:
    admin.create(CreateRequest(name="demo", template="shop"))
    headers = {"Authorization": f"Bearer {api.token}"}
    for name, status, code in (("shop", 409, "template_in_use"), ("nosuch", 404, "unknown_template")):
        answer = httpx2.delete(f"{api.address}/v1/templates/{name}", headers=headers, timeout=30)
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
        assert answer.json()["code"] == code
