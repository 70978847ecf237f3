"""The service in this process, and what there has to be for a request that only rights could refuse."""

import base64
import itertools
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2

from environments.domain.access import (
    Creator,
    EnvironmentRole,
    Group,
    Person,
    PersonKind,
    ServiceRole,
    ServiceRoleGrant,
    Share,
)
from environments.domain.commands import MakePlan
from environments.domain.deadline import later
from environments.domain.environment import Drift
from environments.domain.holds import Hold, HoldDecision, HoldKind
from environments.domain.lifecycle import DeploymentKind, DeploymentState, State, StepState
from environments.domain.received_event import NewReceivedEvent, Source
from environments.domain.references import SECRET_STEPS
from environments.domain.template import make_bundle
from environments.domain.timing import Holiday, Scope, TimedAction
from environments.domain.trigger import Firing, FiringState, TriggerAction
from environments.service.authorization import Principal
from environments.service.storage.audit import AuditFilter
from environments.service.storage.tokens import TokenRecord
from environments.service.storage.webhooks import Webhook
from environments.wire.deployments import DeploymentView, StepView
from environments.wire.environments import OutputView
from tests.support.in_process.rows import put_deployment, put_environment, secret_reference
from tests.support.in_process.service import start_api, start_service
from tests.support.views import WEB, environment_view

ADDRESS = "http://127.0.0.1:8400"
HEADERS = 60.0
"""Seconds within which an answer begins."""


@dataclass
class Given:
    """What one request is about. Everything of it has the tag in its name, and `marks` nobody else may read."""

    tag: str
    owner: str = ""
    environment_id: str = ""
    environment: str = ""
    template: str = "web"
    ids: dict[str, str] = field(default_factory=dict)
    """Fields of paths and bodies → values."""
    body: dict[str, Any] | None = None
    """In place of the row's."""
    marks: tuple[str, ...] = ()
    owners_token: str = ""
    """The id of a token that the request is about: it has to be the caller's own, unless they are an admin."""
    owners_kind: str = "token"


class World:
    """See the module."""

    def __init__(self, ending: ExitStack) -> None:
        self.service = start_service(lambda: datetime.now(UTC), ending)
        self.service.tokens.first_token("operator", "the way in that is left when admins are disabled")
        self.transport = start_api(self.service, ending)
        self.app = self.transport.app
        self.http = ending.enter_context(httpx2.Client(base_url=ADDRESS, transport=self.transport, timeout=HEADERS))
        self._numbers = itertools.count(1)

    def tag(self) -> str:
        """A text that nothing else has in its name."""
        return f"q{next(self._numbers):05}x"

    def given(self, what: str) -> Given:
        """Makes it."""
        given = Given(self.tag())
        GIVEN[what](self, given)
        given.ids.setdefault("template", given.template)
        return given

    def environment(self, given: Given, state: State = State.READY, **changes: Any) -> None:
        """Adds an environment with outputs, a secret and a deployment."""
        tag, now = given.tag, datetime.now(UTC)
        given.owner, given.environment = f"olive-{tag}", f"plum-{tag}"
        newest = DeploymentView(
            id=f"dep-{tag}",
            kind=changes.pop("kind", DeploymentKind.CREATE),
            state=changes.pop("deployment", DeploymentState.SUCCEEDED),
            reason=f"because {tag}",
            requested_by=given.owner,
            requested_at=now,
            steps=(_step("password", SECRET_STEPS), _step("app", "nomad.job")),
        )
        view = environment_view(
            given.environment,
            state,
            owner=given.owner,
            parameters={"replicas": 1, "message": f"word {tag}", "branch": "main"},
            state_since=now,
            created_at=now,
            deadline=later(now, timedelta(hours=8)),
            maximum_deadline=later(now, timedelta(days=14)),
            deployment=newest,
            outputs={
                "url": OutputView(value=f"https://{tag}.example.net/"),
                "password": OutputView(value="***", secret=True),
            },
            **changes,
        )
        with self.service.database.write() as tx:
            put_environment(tx, view, now)
            found = tx.environments.get(view.id)
            assert found is not None
            reference = secret_reference(found, "password")
            put_deployment(tx, found, newest, {"password": reference})
        self.service.world.secrets[reference.path, reference.key] = f"swordfish {tag}"
        given.environment_id = view.id
        given.ids |= {"name": given.environment, "environment_id": view.id, "deployment_id": newest.id}
        given.marks = (given.environment, view.id, given.owner, newest.id, f"word {tag}", f"swordfish {tag}")

    def change(self, given: Given, **values: Any) -> None:
        """Changes the environment's record."""
        with self.write() as tx:
            tx.environments.change(given.environment_id, **values)

    def write(self) -> Any:
        """A writing transaction."""
        return self.service.database.write()

    def read(self) -> Any:
        """A reading one."""
        return self.service.database.read()

    def as_admin(self) -> Any:
        """The principal that makes what the catalogue has."""
        return self.service.admin


def _step(name: str, uses: str) -> StepView:
    return StepView(name=name, uses=uses, state=StepState.DONE, attempts=1)


def _new(world: World, given: Given) -> None:
    given.ids["new"] = f"pear-{given.tag}"


def _with_good(world: World, given: Given) -> None:
    """Failed, with a good deployment behind it."""
    world.environment(given, State.FAILED, last_good=f"dep-good-{given.tag}")


def _observed(world: World, given: Given) -> None:
    world.environment(given)
    world.change(given, drift=Drift(observed_at=datetime.now(UTC), steps=()))


def _planned(world: World, given: Given) -> None:
    world.environment(given)
    owner = Principal(given.owner, "user", "")
    plan = world.service.planning.plan(
        owner, given.environment, MakePlan(kind=DeploymentKind.UPDATE, parameters={"message": f"next {given.tag}"})
    )
    given.ids["plan_id"] = plan.id
    given.marks = (*given.marks, f"next {given.tag}")


def _running(world: World, given: Given) -> None:
    world.environment(given)
    container = world.service.run(given.environment, f"job-{given.tag}")
    world.service.containers.write(container, f"spoke {given.tag}\n")
    given.marks = (*given.marks, f"job-{given.tag}", f"spoke {given.tag}")


def _in(state: State, **changes: Any) -> Callable[[World, Given], None]:
    def make(world: World, given: Given) -> None:
        world.environment(given, state, **changes)

    return make


def _ruled(world: World, given: Given) -> None:
    world.environment(given)
    world.service.time_edits.add_rule(world.as_admin(), given.environment, TimedAction.DESTROY, "0 5 * * *")


def _pinned(world: World, given: Given) -> None:
    world.environment(given)
    world.service.time_edits.pin(world.as_admin(), given.environment, f"for {given.tag}", ttl="3h")


def _template(world: World, given: Given) -> None:
    name = given.template = given.ids["name"] = f"kit-{given.tag}"
    text = WEB.replace('name = "web"', f'name = "{name}"')
    world.service.catalogue.push(world.as_admin(), make_bundle({"template.toml": text.encode()}))


def _bundle(world: World, given: Given) -> None:
    text = WEB.replace('name = "web"', f'name = "kit-{given.tag}"')
    given.body = {"files": {"template.toml": base64.b64encode(text.encode()).decode()}}


def _image(world: World, given: Given) -> None:
    given.ids["name"] = f"image-{given.tag}"
    world.service.images.publish(world.as_admin(), given.ids["name"], "sha256:" + "b" * 64, "production")


def _policy(world: World, given: Given) -> None:
    given.ids |= {"scope": "owner", "name": f"olive-{given.tag}"}
    world.service.policies.set(world.as_admin(), Scope.OWNER, given.ids["name"], [], "20d")


def _calendar(world: World, given: Given) -> None:
    given.ids["name"] = f"days-{given.tag}"
    day = datetime(2031, 12, 25, tzinfo=UTC).date()
    world.service.calendars.set(world.as_admin(), given.ids["name"], (Holiday(day=day),))


def _held(world: World, given: Given) -> None:
    world.environment(given)
    now = datetime.now(UTC)
    hold = Hold(
        id=f"hold-{given.tag}", kind=HoldKind.TOO_MANY, opened_at=now, reason="Many are due.", cause=f"by {given.owner}"
    )
    with world.write() as tx:
        for open_one in tx.holds.open():  # there is at most one of a kind
            tx.holds.decide(open_one.id, HoldDecision.ENDED, "test", now, "")
        tx.holds.add(hold)
        tx.holds.hold([given.environment_id], hold.id, now)
    given.ids["hold_id"] = hold.id


def _mirrored(world: World, given: Given) -> None:
    given.ids["name"] = f"plum-{given.tag}"
    view = environment_view(given.ids["name"], managed_by="another")
    given.body = view.model_dump(mode="json")


def _token(world: World, given: Given) -> None:
    """A token of the caller's, which `tests.support.access.callers` makes."""
    given.owners_token = given.ids["token_id"] = f"tok-{given.tag}"


def _triggered(world: World, given: Given) -> None:
    """A trigger of the owner's on the environment."""
    world.environment(given)
    name = f"rest-{given.tag}"
    rest = {"name": name, "on": "idle", "for": "2h", "cpu": 20, "action": "notify", "message": "idle"}
    owner = Principal(given.owner, "user", "")
    given.ids["trigger_id"] = world.service.triggers.set(owner, rest, given.environment).trigger.id
    given.marks = (*given.marks, name)


def _received(world: World, given: Given) -> None:
    """A received event that led to a firing on the environment."""
    _triggered(world, given)
    now = datetime.now(UTC)
    event = NewReceivedEvent(
        source=Source.PULL_REQUEST,
        kind="closed",
        origin="forge",
        delivery=given.tag,
        subject=f"acme/{given.tag}#12",
        fields={"title": f"title {given.tag}"},
    )
    firing = Firing(
        id=f"fir-{given.tag}",
        event_id=f"evt-{given.tag}",
        trigger_id=given.ids["trigger_id"],
        trigger_name=f"rest-{given.tag}",
        owner=given.owner,
        environment_id=given.environment_id,
        environment=given.environment,
        action=TriggerAction.NOTIFY,
        state=FiringState.DONE,
        created_at=now,
    )
    with world.write() as tx:
        if tx.webhooks.get("forge") is None:
            tx.webhooks.add(Webhook("forge", "gitea", "", (), "root", now), ["everyone"])
        tx.received.add(event, firing.event_id, now)
        tx.firings.add([firing])
    given.ids["event_id"] = firing.event_id
    given.marks = (*given.marks, event.subject, f"title {given.tag}")


def _person(world: World, given: Given) -> None:
    """Somebody who has signed in, and somebody else who has."""
    given.ids |= {"person": f"rose-{given.tag}", "other": f"fern-{given.tag}"}
    with world.write() as tx:
        for name in (given.ids["person"], given.ids["other"]):
            tx.people.add(_known(name, PersonKind.PERSON, issuer="https://id.example.net", subject=name))
    given.marks = (*given.marks, given.ids["person"], given.ids["other"])


def _unclaimed(world: World, given: Given) -> None:
    _person(world, given)
    given.ids["person"] = f"old-{given.tag}"
    with world.write() as tx:
        tx.people.add(_known(given.ids["person"], PersonKind.UNCLAIMED))


def _heir(world: World, given: Given) -> None:
    world.environment(given)
    marks = given.marks
    _person(world, given)
    given.marks = marks


def _shared(world: World, given: Given) -> None:
    _heir(world, given)
    share = Share(
        id=f"share-{given.tag}",
        environment_id=given.environment_id,
        subject=given.ids["other"],
        role=EnvironmentRole.VIEWER,
        by=given.owner,
        at=datetime.now(UTC),
    )
    with world.write() as tx:
        tx.shares.put(share)


def _granted(world: World, given: Given) -> None:
    _person(world, given)
    grant = ServiceRoleGrant(subject=given.ids["other"], role=ServiceRole.AUDITOR, by="test", at=datetime.now(UTC))
    with world.write() as tx:
        tx.service_roles.put(grant)


def _creatable(world: World, given: Given) -> None:
    _person(world, given)
    _template(world, given)


def _creator(world: World, given: Given) -> None:
    _creatable(world, given)
    rule = Creator(template=given.template, subject=given.ids["other"], by="test", at=datetime.now(UTC))
    with world.write() as tx:
        tx.creators.put(rule)


def _group(world: World, given: Given) -> None:
    _person(world, given)
    given.ids["group"] = f"team-{given.tag}"
    with world.write() as tx:
        tx.groups.add(Group(name=given.ids["group"], description=f"of {given.tag}", created_at=datetime.now(UTC)))
    given.marks = (*given.marks, given.ids["group"])


def _member(world: World, given: Given) -> None:
    _group(world, given)
    with world.write() as tx:
        tx.groups.join(given.ids["group"], given.ids["person"], datetime.now(UTC))


def _account(world: World, given: Given) -> None:
    """A service account with a token, for which somebody else is responsible."""
    _person(world, given)
    given.ids |= {"name": f"robot-{given.tag}", "token_id": f"tok-{given.tag}"}
    with world.write() as tx:
        tx.people.add(_known(given.ids["name"], PersonKind.SERVICE_ACCOUNT, responsible=given.ids["person"]))
        tx.tokens.add(
            TokenRecord(
                *(given.ids["token_id"], f"cv_{given.tag}", "0" * 64, given.ids["name"], "user", f"note {given.tag}"),
                *(datetime.now(UTC), None, None, None),
            )
        )
    given.marks = (*given.marks, given.ids["name"], f"note {given.tag}")


def _known(name: str, kind: PersonKind, **values: Any) -> Person:
    return Person(name=name, kind=kind, created_at=datetime.now(UTC), **values)


def _webhook(world: World, given: Given) -> None:
    given.ids["webhook"] = f"hook-{given.tag}"
    world.service.webhooks.create(world.as_admin(), given.ids["webhook"], "gitea", address="https://forge.example")


def _session(world: World, given: Given) -> None:
    _token(world, given)
    given.owners_kind = "session"


def _local(world: World, given: Given) -> None:
    """Somebody whom the built-in provider knows."""
    given.ids["user_name"] = f"rose-{given.tag}"
    world.service.local_people.create(world.as_admin(), given.ids["user_name"])


def _issuer(world: World, given: Given) -> None:
    given.ids["issuer"] = given.tag
    issuer = f"https://{given.tag}.example.net"
    with world.write() as tx:
        tx.people.add(_known(f"rose-{given.tag}", PersonKind.PERSON, issuer=issuer, subject="1"))


def _entry(world: World, given: Given) -> None:
    _policy(world, given)
    with world.read() as tx:
        given.ids["entry_id"] = str(tx.audit.list(AuditFilter(), limit=1)[0].id)


def _nothing(world: World, given: Given) -> None:
    given.ids |= {"environment_id": "env-aaaaaaaaaaaa", "step": "app"}


GIVEN: dict[str, Callable[[World, Given], None]] = {
    "nothing": _nothing,
    "ready": _in(State.READY),
    "failed": _with_good,
    "destroy_failed": _in(State.DESTROY_FAILED, kind=DeploymentKind.DESTROY, deployment=DeploymentState.FAILED),
    "awaiting": _in(State.READY, awaiting_promotion=("app",)),
    "stopped": _in(State.STOPPED),
    "queued": _in(State.UPDATING, kind=DeploymentKind.UPDATE, deployment=DeploymentState.QUEUED),
    "new": _new,
    "observed": _observed,
    "running": _running,
    "planned": _planned,
    "ruled": _ruled,
    "pinned": _pinned,
    "template": _template,
    "bundle": _bundle,
    "image": _image,
    "policy": _policy,
    "calendar": _calendar,
    "held": _held,
    "mirrored": _mirrored,
    "triggered": _triggered,
    "received": _received,
    "token": _token,
    "session": _session,
    "local": _local,
    "issuer": _issuer,
    "entry": _entry,
    "person": _person,
    "shared": _shared,
    "granted": _granted,
    "creatable": _creatable,
    "creator": _creator,
    "unclaimed": _unclaimed,
    "heir": _heir,
    "group": _group,
    "member": _member,
    "account": _account,
    "webhook": _webhook,
}
"""What a row's `given` names."""
