"""Situations that only pages show: people with a group, a service account and tokens, an image, a saved plan."""

from environments.domain.access import Person, PersonKind
from environments.domain.lifecycle import DeploymentKind
from environments.wire.access import CreatorRequest, ShareRequest
from environments.wire.images import PublishImageRequest
from environments.wire.people import GroupRequest
from environments.wire.people_local import LocalPersonRequest
from environments.wire.plans import PlanRequest
from environments.wire.service_accounts import AccountTokenRequest, ServiceAccountRequest
from environments.wire.tokens import TokenRequest
from tests.support.in_process.client import InProcessClient

ISSUER = "https://login.example.net"


def put_people(client: InProcessClient) -> None:
    """Grace and Linus, Rosalind of the built-in provider, the group `payments`, and the service account `svc-ci`."""
    with client.service.database.write() as tx:
        for name in ("grace", "linus"):
            tx.people.add(
                Person(
                    name=name,
                    kind=PersonKind.PERSON,
                    issuer=ISSUER,
                    subject=f"{name}-1",
                    email=f"{name}@example.net",
                    created_at=client.now,
                )
            )
    client.create_local_person(LocalPersonRequest(user_name="rosalind"))
    client.create_group(GroupRequest(name="payments", description="Who keeps the payments running"))
    client.add_member("payments", "grace")
    client.create_service_account(ServiceAccountRequest(name="svc-ci", description="Builds of acme/shop"))
    client.create_account_token("svc-ci", AccountTokenRequest(note="pipeline"))
    client.create_token(TokenRequest(owner="linus", note="laptop"))
    client.share("checkout-fix", ShareRequest(subject="group:payments"))


def put_catalogue(client: InProcessClient) -> None:
    """Two records of the image `shop`, and who may create from the template `web`."""
    for letter, build in zip("ab", ("7", "8"), strict=True):
        request = PublishImageRequest(reference=f"sha256:{letter * 64}", channel="qa", build=build)
        client.publish_image("shop", request)
    client.set_creator("web", CreatorRequest(subject="group:payments", most=3))


def put_plan(client: InProcessClient) -> str:
    """Saves what a new value would change of the environment `checkout-fix`. Its id."""
    request = PlanRequest(kind=DeploymentKind.UPDATE, parameters={"message": "Good morning"})
    return client.plan("checkout-fix", request).id
