"""Every list comes in pages, which the client puts together: over a socket, on the real use cases and database."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from environments.api import paging
from environments.client import Client
from environments.domain.access import Group, PersonKind
from environments.domain.environment import Resource
from environments.domain.holds import Hold, HoldDecision, HoldKind
from environments.domain.lifecycle import DeploymentKind, ResourceStatus, State
from environments.domain.preview import Preview
from environments.domain.received_event import NewReceivedEvent, Source
from environments.domain.template import make_bundle
from environments.domain.timing import Holiday, Scope
from environments.domain.trigger import PlacedTrigger, Trigger
from environments.service.storage.deployments import WorkerRecord
from environments.service.storage.templates import PublishedImage
from environments.service.storage.webhooks import Webhook
from environments.wire.environments import CreateRequest, UpdateRequest
from environments.wire.images import PublishImageRequest
from environments.wire.people_local import LocalPersonRequest
from environments.wire.plans import PlanRequest
from environments.wire.service_accounts import AccountTokenRequest, ServiceAccountRequest
from environments.wire.timing import CalendarRequest, PolicyRequest, RuleRequest
from environments.wire.tokens import TokenRequest
from tests.fakes.service import WEB, Served, served

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MANY = 7


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("pages")) as running:
        fill(running)
        yield running


@pytest.fixture
def http(api: Served) -> Iterator[httpx2.Client]:
    headers = {"Authorization": f"Bearer {api.token}"}
    with httpx2.Client(base_url=api.address, headers=headers, trust_env=False, timeout=30) as made:
        yield made


def fill(api: Served) -> None:
    """Several of everything that is listed."""
    service = api.service
    with api.client() as client:
        environment = client.create(CreateRequest(name="demo", template="web")).environment
        service.finish("demo", State.READY)
        for number in range(MANY):
            client.create(CreateRequest(name=f"more-{number}", template="web"))
            client.update("demo", UpdateRequest(parameters={"message": str(number)}))
            service.finish("demo", State.READY)
            text = WEB.replace('name = "web"', f'name = "web-{number}"', 1)
            client.push(make_bundle({"template.toml": text.encode()}))
            text = WEB.replace('name = "web"', 'name = "demo"', 1).replace('version = "3"', f'version = "{number}"', 1)
            client.push(make_bundle({"template.toml": text.encode()}))
            client.create_token(TokenRequest(owner="ada"))
            reference = f"sha256:{number:064x}"
            client.publish_image(f"image-{number}", PublishImageRequest(reference=reference, channel="qa"))
            client.publish_image("image", PublishImageRequest(reference=reference, channel="qa"))
            rule = RuleRequest(rule=f"0 {number} * * *")
            client.add_rule("demo", rule)
            client.set_policy(Scope.OWNER, f"owner-{number}", PolicyRequest(rules=(rule,)))
            day = Holiday(day=date(2030, 1, 1 + number))
            client.set_calendar(f"calendar-{number}", CalendarRequest(days=(day,)))
            client.create_service_account(ServiceAccountRequest(name=f"svc-{number}"))
            client.create_account_token("svc-0", AccountTokenRequest())
            client.create_local_person(LocalPersonRequest(user_name=f"local-{number}"))
    with service.database.write() as tx:
        for number in range(MANY):
            worker = WorkerRecord(f"worker-{number}", "host", number, "1", {}, NOW + timedelta(hours=number), NOW, True)
            tx.workers.beat(worker, 60)
            resource = Resource(
                environment_id=environment.id,
                kind="fake",
                address=f"thing-{number}",
                step="app",
                status=ResourceStatus.PRESENT,
                created_at=NOW,
                updated_at=NOW,
            )
            tx.inventory.intend([resource], {})
            hold = Hold(id=f"hold-{number}", kind=HoldKind.CLOCK, opened_at=NOW + timedelta(hours=number), reason="why")
            tx.holds.add(hold)
            tx.holds.decide(hold.id, HoldDecision.ENDED, "clock", NOW, "the clocks agree again")
            tx.groups.add(Group(name=f"group-{number}", created_at=NOW))
            rule_of_trigger = Trigger.model_validate(
                {"name": f"trigger-{number}", "on": "idle", "for": "1h", "cpu": 1, "action": "stop", "template": "web"}
            )
            tx.triggers.add(
                PlacedTrigger(
                    id=f"trg-{number}",
                    name=f"trigger-{number}",
                    owner="root",
                    definition=rule_of_trigger,
                    created_by="root",
                    created_at=NOW,
                )
            )
            received = NewReceivedEvent(
                source=Source.KEY, kind="changed", origin="consul", delivery=str(number), subject=f"key-{number}"
            )
            tx.received.add(received, f"evt-{number}", NOW)
            tx.webhooks.add(Webhook(f"hook-{number}", "generic", "", (), "root", NOW), ["everyone"])
            tx.previews.add(
                Preview(
                    id=f"prv-{number}",
                    trigger_id="trg-1",
                    webhook="shop",
                    repository="acme/shop",
                    number=number,
                    environment=f"acme-shop-pr-{number}",
                    fault="name_taken: The name is taken.",
                )
            )
            tx.people.keep(f"person-{number}", PersonKind.UNCLAIMED, NOW, "root")
            tx.groups.join("group-0", f"person-{number}", NOW)
        images = tx.images.history("image")
    assert all(isinstance(image, PublishedImage) for image in images)


def _versions(client: Client) -> list[Any]:
    """All pages of them, which the client reads one by one."""
    found: list[Any] = []
    skip: int | None = 0
    while skip is not None:
        page, skip = client.template_versions("demo", skip=skip, limit=1000)
        found += page
    return found


LISTS: dict[str, Callable[[Client], list[Any]]] = {
    "/v1/environments": lambda client: client.environments(),
    "/v1/environments/demo/deployments": lambda client: client.deployments("demo"),
    "/v1/environments/demo/resources": lambda client: client.resources("demo"),
    "/v1/environments/demo/events": lambda client: client.history("demo"),
    "/v1/environments/demo/rules": lambda client: client.rules("demo"),
    "/v1/policies": lambda client: client.policies(),
    "/v1/calendars": lambda client: client.calendars(),
    "/v1/templates": lambda client: client.templates(),
    "/v1/templates/demo/versions": _versions,
    "/v1/images": lambda client: client.images(),
    "/v1/images/image/history": lambda client: client.image_history("image"),
    "/v1/tokens": lambda client: client.tokens(),
    "/v1/workers": lambda client: client.workers(),
    "/v1/previews": lambda client: client.previews(),
    "/v1/triggers": lambda client: client.triggers(),
    "/v1/received-events": lambda client: client.received_events({}, 1000),
    "/v1/webhooks": lambda client: client.webhooks(),
    "/v1/holds?ended=true": lambda client: client.holds(ended=True),
    "/v1/people": lambda client: client.people(),
    "/v1/groups": lambda client: client.groups(),
    "/v1/memberships?group=group-0": lambda client: client.members("group-0"),
    "/v1/service-accounts": lambda client: client.service_accounts(),
    "/v1/service-accounts/svc-0/tokens": lambda client: client.account_tokens("svc-0"),
    "/v1/local-people": lambda client: client.local_people(),
    "/v1/audit": lambda client: client.audit({}),
}

WHOLE = {
    "/v1/environments/{name}/containers": "it has what Nomad still knows of one environment",
    "/v1/environments/{name}/triggers": "an environment has `triggers.MOST_ON_ENVIRONMENT` at most",
    "/v1/access/table": "one row for each action",
    "/v1/roles": "admins write each of them",
    "/v1/creators": "admins write each of them",
    "/v1/auth/providers": "the operator names each of them in a file",
    "/v1/issuers": "the providers' addresses, and the addresses that they had before",
    "/v1/auth/sessions": "a person has `sessions.MOST` at most",
}
"""Lists without pages, and why they stay short."""


def limited(path: str, limit: object) -> str:
    """The address of a page of so many."""
    return f"{path}{'&' if '?' in path else '?'}limit={limit}"


def test_every_list_has_a_limit(http: httpx2.Client) -> None:
    """Whatever route is added: it gives a list in pages, none larger than the largest, unless the list stays short."""
    lists, whole = {}, set()
    for path, methods in http.get("/openapi.json").json()["paths"].items():
        answer = methods.get("get", {}).get("responses", {}).get("200", {}).get("content", {}).get("application/json")
        if answer and answer["schema"].get("type") == "array":
            parameters = {told["name"]: told["schema"] for told in methods["get"].get("parameters", ())}
            if path in WHOLE and "limit" not in parameters:
                whole.add(path)
            else:
                lists[path] = parameters.get("limit", {})
    assert whole == set(WHOLE)
    named = (path.partition("?")[0].replace("/image/", "/demo/").replace("/svc-0/", "/demo/") for path in LISTS)
    assert {path.replace("{name}", "demo", 1) for path in lists} == set(named)
    for path, limit in lists.items():
        assert limit.get("maximum") == paging.LARGEST_PAGE, path
        assert 0 < limit.get("default", 0) <= paging.LARGEST_PAGE, path


@pytest.mark.parametrize("path", LISTS)
def test_pages_follow_each_other_without_gap(http: httpx2.Client, path: str) -> None:
    whole = http.get(limited(path, 1000)).json()
    assert len(whole) >= MANY
    for size in (1, 2, 3, len(whole)):
        found: list[Any] = []
        address: str | None = limited(path, size)
        while address is not None:
            answer = http.get(address)
            assert answer.status_code == 200
            assert len(answer.json()) <= size
            found += answer.json()
            address = answer.links.get("next", {}).get("url")
        assert found == whole
    for wrong in ("0", "1001", "-1", "many"):
        assert http.get(limited(path, wrong)).status_code == 422


@pytest.mark.parametrize("path", [path for path in LISTS if not path.endswith("events")])
def test_the_client_reads_all_pages(api: Served, http: httpx2.Client, path: str) -> None:
    whole = http.get(limited(path, 1000)).json()

    def small(request: httpx2.Request) -> httpx2.Response:
        """The service, with a smaller page where none is asked for."""
        url = request.url if "limit" in request.url.params else request.url.copy_merge_params({"limit": "2"})
        answer = http.get(str(url).removeprefix(api.address))
        return httpx2.Response(200, headers={"Link": answer.headers.get("Link", "")}, content=answer.content)

    with Client(api.address, api.token, transport=httpx2.MockTransport(small)) as client:
        found = LISTS[path](client)
    assert [each.model_dump(mode="json") for each in found] == [
        type(found[0]).model_validate(each).model_dump(mode="json") for each in whole
    ]


def test_the_client_follows_no_address_out_of_the_list() -> None:
    asked = []

    def elsewhere(request: httpx2.Request) -> httpx2.Response:
        asked.append(str(request.url))
        return httpx2.Response(200, headers={"Link": '<http://evil.example/v1/tokens?x=1>; rel="next"'}, json=[])

    with Client("http://127.0.0.1:1", "cv_x", transport=httpx2.MockTransport(elsewhere)) as client:
        assert client.tokens() == []
    assert asked == ["http://127.0.0.1:1/v1/tokens"]


def test_a_place_that_is_not_there_is_told(http: httpx2.Client) -> None:
    for path in ("/v1/environments", "/v1/environments/demo/deployments", "/v1/tokens"):
        answer = http.get(path, params={"before": "nothing"})
        assert answer.status_code == 404
        assert "'nothing' to continue from" in answer.json()["detail"]


def test_a_page_keeps_what_was_asked_for(http: httpx2.Client, tmp_path: Path) -> None:
    answer = http.get("/v1/environments", params={"limit": 1, "ended": "true", "owner": "root"})
    url = httpx2.URL(answer.links["next"]["url"])
    assert dict(url.params) == {"limit": "1", "ended": "true", "owner": "root", "before": answer.json()[0]["id"]}


def test_a_place_among_what_others_have_is_like_one_that_nobody_has(api: Served) -> None:
    with api.client() as admin:
        secret = admin.create_token(TokenRequest(owner="mallory")).secret
        others = {
            "/v1/environments": admin.environment("demo").id,
            "/v1/environments/mine/deployments": admin.deployments("demo")[0].id,
            "/v1/tokens": next(token.id for token in admin.tokens() if token.owner == "ada"),
        }
    with api.client(secret) as mallory:
        mallory.create(CreateRequest(name="mine", template="web"))
    headers = {"Authorization": f"Bearer {secret}"}
    with httpx2.Client(base_url=api.address, headers=headers, trust_env=False, timeout=30) as http:
        for path, id in others.items():
            made_up = id[:-4] + "zzzz"
            foreign = http.get(path, params={"before": id})
            nothing = http.get(path, params={"before": made_up})
            assert foreign.status_code == nothing.status_code == 404, path
            assert foreign.text.replace(id, made_up) == nothing.text
            mine = http.get(path).json()
            assert http.get(path, params={"before": mine[0]["id"]}).status_code == 200


def test_ids_of_others_are_like_ids_of_nobody(api: Served) -> None:
    with api.client() as admin:
        secret = admin.create_token(TokenRequest(owner="eve")).secret
        deployment = admin.deployments("demo")[0].id
        token = next(token.id for token in admin.tokens() if token.owner == "ada")
        plan = admin.plan("demo", PlanRequest(kind=DeploymentKind.DESTROY)).id
    with api.client(secret) as eve:
        eve.create(CreateRequest(name="eves", template="web"))
        own = {token.id for token in eve.tokens()}
    api.service.finish("eves", State.READY)
    asks: list[tuple[str, str, str, dict[str, Any] | None]] = [
        ("GET", "/v1/deployments/{}", deployment, None),
        ("POST", "/v1/environments/eves/rollback", deployment, {"deployment": "{}"}),
        ("POST", "/v1/environments/eves/plan", deployment, {"kind": "update", "rollback_to": "{}"}),
        ("DELETE", "/v1/tokens/{}", token, None),
        ("GET", "/v1/plans/{}", plan, None),
        ("POST", "/v1/plans/{}/apply", plan, None),
    ]
    headers = {"Authorization": f"Bearer {secret}"}
    with httpx2.Client(base_url=api.address, headers=headers, trust_env=False, timeout=30) as http:
        for method, path, id, body in asks:
            answers = []
            for word in (id, id[:-4] + "zzzz"):
                said = body and {key: value.replace("{}", word) for key, value in body.items()}
                answer = http.request(method, path.replace("{}", word), json=said)
                assert set(re.findall(r"Did you mean '(\S+)'", answer.text)) <= own
                told = re.sub(r" Did you mean '\S+'\?", "", answer.text)
                answers.append((answer.status_code, told.replace(word, "ID")))
            assert answers[0] == answers[1], path
            assert answers[0][0] == 404, (path, answers[0])


def test_numbers_are_of_ascii_digits_and_few_of_them(http: httpx2.Client) -> None:
    for wrong in ("\u0663h", "\uff12h", "9" * 5000 + "h", "9" * 900 + "h", "1h" * 400):
        assert http.post("/v1/tokens", json={"owner": "ada", "ttl": wrong}).status_code == 422
        asked = {"name": "digits", "template": "web"}
        assert http.post("/v1/environments", json={**asked, "ttl": wrong}).status_code == 422
        assert http.post("/v1/environments/demo/extend", json={"by": wrong}).status_code == 422
    for wrong in ("\u0662\u0660\u0662\u0667-01-01T00:00:00Z", "9" * 5000):
        assert http.post("/v1/environments/demo/extend", json={"until": wrong}).status_code == 422
    assert http.get("/v1/events", headers={b"Last-Event-ID": "\u0663".encode()}).status_code == 422
    for path in ("/v1/tokens", "/v1/environments/demo/resources"):
        assert http.get(path, params={"limit": "\u0663"}).status_code == 422


def test_texts_of_a_request_have_an_end(http: httpx2.Client) -> None:
    long = "x" * 1001
    for method, path, body in (
        ("POST", "/v1/tokens", {"owner": "ada", "note": long}),
        ("POST", "/v1/tokens", {"owner": long}),
        ("POST", "/v1/environments/demo/destroy", {"reason": long}),
        ("PUT", "/v1/environments/demo", {"digest": long}),
        ("PUT", "/v1/environments/demo", {"parameters": {long: 1}}),
        ("POST", "/v1/environments", {"name": "long", "template": long}),
    ):
        answer = http.request(method, path, json=body)
        assert answer.status_code == 422
        assert len(answer.content) < 10_000


def test_an_answer_to_a_wrong_request_is_short(http: httpx2.Client) -> None:
    for body in ({"x" * 200_000: 1}, {f"x{number}": 1 for number in range(5000)}, {"parameters": {"y" * 200_000: 1}}):
        answer = http.put("/v1/environments/demo", json=body)
        assert answer.status_code == 422
        assert len(answer.content) < 20_000
