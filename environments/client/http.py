"""The client over HTTP: a method for each call of the API."""

import base64
from typing import Literal

from environments.client.access import AccessCalls
from environments.client.accounts import AccountCalls
from environments.client.audit import AuditCalls
from environments.client.connection import OBSERVE_SECONDS, Query
from environments.client.containers import ContainerCalls
from environments.client.local_people import LocalPeopleCalls
from environments.client.names import name_part as _part
from environments.client.overview import OverviewCalls
from environments.client.people import PeopleCalls
from environments.client.previews import PreviewCalls
from environments.client.received_events import ReceivedEventCalls
from environments.client.sign_in import SignInCalls
from environments.client.stream import EventStream
from environments.client.template_versions import TemplateVersionCalls
from environments.client.timing import TimingCalls
from environments.client.triggers import TriggerCalls
from environments.client.webhooks import WebhookCalls
from environments.context import Context
from environments.domain.environment import Event
from environments.domain.template import Bundle, make_bundle
from environments.wire.deployments import CancelRequest, DeploymentView, PendingView, WorkerView
from environments.wire.environments import (
    AbandonRequest,
    Accepted,
    CheckView,
    CreateRequest,
    DestroyRequest,
    DriftView,
    EnvironmentView,
    ExplanationView,
    ExtendRequest,
    OutputView,
    ResourceView,
    RollbackRequest,
    SwitchRequest,
    UpdateRequest,
)
from environments.wire.holds import CancelHoldRequest, HoldView, ReleaseHoldRequest
from environments.wire.images import ImageView, PublishImageRequest
from environments.wire.plans import PlanRequest, PlanView
from environments.wire.system import Info, Readiness
from environments.wire.templates import GitPushRequest, PushRequest, TemplateDeletionView, TemplateView, Validation
from environments.wire.tokens import NewToken, TokenRequest, TokenView
from environments.wire.warnings import ChannelsView, TestDeliveryView


def connect(context: Context) -> "Client":
    """A client for the service that `context` names. Raises `Unauthenticated` when the token file can't be read."""
    return Client(
        context.address,
        context.read_token(),
        ca_file=context.ca_file,
        pinned=context.pinned,
        behind_edge=context.behind_edge,
    )


class Client(
    SignInCalls,
    AccountCalls,
    AuditCalls,
    TimingCalls,
    TriggerCalls,
    ReceivedEventCalls,
    PeopleCalls,
    LocalPeopleCalls,
    AccessCalls,
    PreviewCalls,
    WebhookCalls,
    OverviewCalls,
    TemplateVersionCalls,
    ContainerCalls,
):
    """Every method may be called from any thread.

    Every method raises `ServiceUnavailable` when the service can't be reached or doesn't answer in time, and otherwise
    the error that the service told, as the class of its code. `name` of an environment may also be its id.
    """

    # --- environments ------------------------------------------------------------------------------------------------

    def environments(
        self,
        *,
        ended: bool = False,
        owner: str | None = None,
        limit: int | None = None,
        before: str | None = None,
        outputs: bool = False,
        whose: Literal["mine", "shared"] | None = None,
    ) -> list[EnvironmentView]:
        """What the caller sees, newest first; with `ended` also those that are gone.

        `whose`: only what the caller or a group of theirs owns, or only what others share with them.

        With `limit` at most so many (1 to 1,000), with `before` only those older than the one with that id. Without
        `outputs` the views have none, whatever the environments have.
        """
        asked: Query = {"ended": ended, "owner": owner, "limit": limit, "before": before, "outputs": outputs or None}
        asked = {**asked, "whose": whose}
        return self._pages("/v1/environments", EnvironmentView, asked, limit)

    def environment(self, name: str) -> EnvironmentView:
        """One environment with its newest deployment and steps."""
        return self._read(self._get(f"/v1/environments/{_part(name)}"), EnvironmentView)

    def create(self, request: CreateRequest, *, idempotency_key: str | None = None) -> Accepted:
        """Requests an environment; a second call with the same key is the same request."""
        headers = {"Idempotency-Key": idempotency_key or self._make_key()}
        return self._read(self._send("POST", "/v1/environments", request, headers=headers, again=True), Accepted)

    def check_creation(self, request: CreateRequest) -> CheckView:
        """What a request to create would come to; nothing is created."""
        return self._read(self._send("POST", "/v1/environments/check", request, again=True), CheckView)

    def update(self, name: str, request: UpdateRequest) -> Accepted:
        """Applies another version of the template, or other parameters."""
        return self._read(self._send("PUT", f"/v1/environments/{_part(name)}", request), Accepted)

    def retry(self, name: str) -> Accepted:
        """Runs a failed create or destroy again."""
        return self._read(self._send("POST", f"/v1/environments/{_part(name)}/retry"), Accepted)

    def extend(self, name: str, request: ExtendRequest) -> EnvironmentView:
        """Moves the deadline, also to an earlier moment."""
        path = f"/v1/environments/{_part(name)}/extend"
        return self._read(self._send("POST", path, request, again=request.by is None), EnvironmentView)

    def explain(self, name: str, moments: int, *, why_not: bool = False, past: int = 0) -> ExplanationView:
        """What the calendar will do to it next, and why; with `why_not` what it won't do, with `past` what happened."""
        query: Query = {"moments": moments, "why_not": why_not or None, "past": past}
        return self._read(self._get(f"/v1/environments/{_part(name)}/explain", query), ExplanationView)

    def destroy(self, name: str, reason: str = "") -> Accepted:
        """Destroys now; if it is being destroyed already, gives the running deployment."""
        path = f"/v1/environments/{_part(name)}/destroy"
        return self._read(self._send("POST", path, DestroyRequest(reason=reason)), Accepted)

    def stop(self, name: str, reason: str = "") -> Accepted:
        """Stops what it runs and keeps its data."""
        path = f"/v1/environments/{_part(name)}/stop"
        return self._read(self._send("POST", path, SwitchRequest(reason=reason)), Accepted)

    def start(self, name: str, reason: str = "") -> Accepted:
        """Starts what a stop ended."""
        path = f"/v1/environments/{_part(name)}/start"
        return self._read(self._send("POST", path, SwitchRequest(reason=reason)), Accepted)

    def plan(self, name: str, request: PlanRequest) -> PlanView:
        """Saves a plan of a change, to be applied as shown; changes nothing."""
        path = f"/v1/environments/{_part(name)}/plan"
        return self._read(self._send("POST", path, request, seconds=OBSERVE_SECONDS), PlanView)

    def saved_plan(self, plan_id: str) -> PlanView:
        """A saved plan. Raises `UnknownPlan`, also after it has expired."""
        return self._read(self._get(f"/v1/plans/{_part(plan_id)}"), PlanView)

    def apply_plan(self, plan_id: str, *, idempotency_key: str | None = None) -> Accepted:
        """Applies a plan. Raises `PlanStale` if anything has changed since; `details["moved"]` says how."""
        headers = {"Idempotency-Key": idempotency_key or self._make_key()}
        path = f"/v1/plans/{_part(plan_id)}/apply"
        return self._read(self._send("POST", path, headers=headers, again=True), Accepted)

    def repair(self, name: str) -> Accepted:
        """Restores what differs from what the steps made."""
        return self._read(self._send("POST", f"/v1/environments/{_part(name)}/repair"), Accepted)

    def promote(self, name: str) -> Accepted:
        """Promotes the versions that await promotion. Raises `NotAllowedNow` if there are none."""
        return self._read(self._send("POST", f"/v1/environments/{_part(name)}/promote"), Accepted)

    def rollback(self, name: str, request: RollbackRequest) -> Accepted:
        """Goes back to what an earlier deployment applied."""
        return self._read(self._send("POST", f"/v1/environments/{_part(name)}/rollback", request), Accepted)

    def cancel(self, name: str, request: CancelRequest) -> DeploymentView:
        """Cancels the queued or running deployment; with `force` its steps are stopped at once."""
        return self._read(self._send("POST", f"/v1/environments/{_part(name)}/cancel", request), DeploymentView)

    def abandon(self, name: str, request: AbandonRequest) -> EnvironmentView:
        """Abandons what can't be destroyed; it is recorded, and the service still observes it."""
        return self._read(self._send("POST", f"/v1/environments/{_part(name)}/abandon", request), EnvironmentView)

    def drift(self, name: str) -> DriftView:
        """The result of the last observation of an environment."""
        return self._read(self._get(f"/v1/environments/{_part(name)}/drift"), DriftView)

    def observe(self, name: str) -> DriftView:
        """Observes an environment now."""
        path = f"/v1/environments/{_part(name)}/observe"
        return self._read(self._send("POST", path, again=True, seconds=OBSERVE_SECONDS), DriftView)

    def why(self, deployment_id: str) -> PendingView:
        """Why a deployment waits, and its place in the queue."""
        return self._read(self._get(f"/v1/deployments/{_part(deployment_id)}/why"), PendingView)

    def warning_channels(self) -> ChannelsView:
        """The channels that deliver warnings (admins)."""
        return self._read(self._get("/v1/warnings/channels"), ChannelsView)

    def test_warnings(self) -> list[TestDeliveryView]:
        """Sends a test warning by each channel (admins)."""
        answer = self._send("POST", "/v1/warnings/test", seconds=OBSERVE_SECONDS)
        return self._read(answer, list[TestDeliveryView])

    def workers(self) -> list[WorkerView]:
        """The known workers, newest first."""
        return self._pages("/v1/workers", WorkerView)

    def outputs(self, name: str, *, reveal: bool = False) -> dict[str, OutputView]:
        """The outputs; secrets are masked unless `reveal`."""
        answer = self._get(f"/v1/environments/{_part(name)}/outputs", {"reveal": reveal})
        return self._read(answer, dict[str, OutputView])

    def deployments(self, name: str) -> list[DeploymentView]:
        """All deployments, newest first."""
        return self._pages(f"/v1/environments/{_part(name)}/deployments", DeploymentView)

    def deployment(self, deployment_id: str) -> DeploymentView:
        """One deployment with its steps."""
        return self._read(self._get(f"/v1/deployments/{_part(deployment_id)}"), DeploymentView)

    def resources(self, name: str) -> list[ResourceView]:
        """The inventory."""
        return self._pages(f"/v1/environments/{_part(name)}/resources", ResourceView)

    def history(self, name: str, *, after: int = 0, limit: int = 500) -> list[Event]:
        """Stored events of an environment, logs among them, with ids above `after`, oldest first.

        At most `limit`, fewer when they are large: none are left when none come.
        """
        answer = self._get(f"/v1/environments/{_part(name)}/events", {"after": after, "limit": limit})
        return self._read(answer, list[Event])

    def newest_history(self, name: str, *, before: int | None = None, limit: int = 500) -> list[Event]:
        """The newest stored events of an environment, with ids below `before`; the oldest of them first.

        At most `limit`, fewer when they are large: none are left when none come.
        """
        query: Query = {"newest": True, "before": before, "limit": limit}
        return self._read(self._get(f"/v1/environments/{_part(name)}/events", query), list[Event])

    def events(self, after: int | None = None, environment: str | None = None) -> EventStream:
        """Live events with ids above `after`; None: those that happen from now on."""
        stream = EventStream(lambda seen: self._open_stream(seen, environment), after)
        self._streams.add(stream)
        return stream

    def mirror(self, view: EnvironmentView) -> EnvironmentView:
        """Stores a copy of an environment that another service owns (admins)."""
        return self._read(self._send("PUT", f"/v1/mirror/{_part(view.name)}", view, again=True), EnvironmentView)

    # --- holds -------------------------------------------------------------------------------------------------------

    def holds(self, *, ended: bool = False) -> list[HoldView]:
        """Holds of destroys by the clock, newest first; with `ended` also those that have ended."""
        return self._pages("/v1/holds", HoldView, {"ended": ended})

    def release_hold(self, hold_id: str, request: ReleaseHoldRequest) -> HoldView:
        """Lets the clock destroy what the hold holds (admins)."""
        return self._read(self._send("POST", f"/v1/holds/{_part(hold_id)}/release", request), HoldView)

    def cancel_hold(self, hold_id: str, request: CancelHoldRequest) -> HoldView:
        """Moves the deadlines of what the hold holds (admins)."""
        return self._read(self._send("POST", f"/v1/holds/{_part(hold_id)}/cancel", request), HoldView)

    # --- templates ---------------------------------------------------------------------------------------------------

    def templates(self) -> list[TemplateView]:
        """The newest version of each template."""
        return self._pages("/v1/templates", TemplateView)

    def template(self, name: str, digest: str | None = None) -> TemplateView:
        """One template, the newest version unless a digest is given."""
        return self._read(self._get(f"/v1/templates/{_part(name)}", {"digest": digest}), TemplateView)

    def delete_template(self, name: str, digest: str | None = None) -> TemplateDeletionView:
        """Deletes a template, or one version, from the catalogue (admins). Raises `TemplateInUse`."""
        # Never repeated automatically: the second response would be that there is no such template.
        answer = self._request("DELETE", f"/v1/templates/{_part(name)}", query={"digest": digest})
        return self._read(answer, TemplateDeletionView)

    def push(self, bundle: Bundle) -> TemplateView:
        """Adds a version of a template to the catalogue."""
        return self._read(self._send("POST", "/v1/templates", _files(bundle), again=True), TemplateView)

    def push_from_git(self, request: GitPushRequest) -> TemplateView:
        """Lets the service read a template from a git repository and add it to the catalogue (admins)."""
        path = "/v1/templates/from-git"
        return self._read(self._send("POST", path, request, again=True, seconds=OBSERVE_SECONDS), TemplateView)

    def validate(self, bundle: Bundle) -> Validation:
        """The faults of a template, as far as the service can find them without creating an environment."""
        return self._read(self._send("POST", "/v1/templates/validate", _files(bundle), again=True), Validation)

    def bundle(self, name: str, digest: str | None = None) -> Bundle:
        """The files of a template."""
        found = self._read(self._get(f"/v1/templates/{_part(name)}/bundle", {"digest": digest}), PushRequest)
        return make_bundle({path: base64.b64decode(content) for path, content in found.files.items()})

    # --- images ------------------------------------------------------------------------------------------------------

    def images(self) -> list[ImageView]:
        """The published image of each name."""
        return self._pages("/v1/images", ImageView)

    def image(self, name: str) -> ImageView:
        """The published image of a name."""
        return self._read(self._get(f"/v1/images/{_part(name)}"), ImageView)

    def image_history(self, name: str) -> list[ImageView]:
        """Every image that was published under a name, newest first."""
        return self._pages(f"/v1/images/{_part(name)}/history", ImageView)

    def publish_image(self, name: str, request: PublishImageRequest) -> ImageView:
        """Publishes an image under a name (admins); the same image again changes nothing."""
        return self._read(self._send("PUT", f"/v1/images/{_part(name)}", request, again=True), ImageView)

    def withdraw_image(self, name: str) -> ImageView:
        """Withdraws an image: deployments can't use it any more (admins)."""
        return self._read(self._send("DELETE", f"/v1/images/{_part(name)}"), ImageView)

    # --- access and the service itself -------------------------------------------------------------------------------

    def tokens(self) -> list[TokenView]:
        """The caller's tokens; all tokens for an admin."""
        return self._pages("/v1/tokens", TokenView)

    def create_token(self, request: TokenRequest) -> NewToken:
        """Creates a token; only this response has its secret."""
        return self._read(self._send("POST", "/v1/tokens", request), NewToken)

    def revoke_token(self, token_id: str) -> TokenView:
        """Revokes a token."""
        return self._read(self._send("DELETE", f"/v1/tokens/{_part(token_id)}", again=True), TokenView)

    def ca(self) -> str:
        """The certificate (PEM) of the authority that signs environments' certificates."""
        return self._get("/v1/ca").text

    def info(self) -> Info:
        """The version, the caller, and the addresses of the service's parts."""
        return self._read(self._get("/self/info"), Info)

    def readiness(self) -> Readiness:
        """Whether the service is ready, and what is wrong if not; needs no token."""
        return self._read(self._request("GET", "/self/readiness", again=True, expected=frozenset({503})), Readiness)


def _files(bundle: Bundle) -> PushRequest:
    return PushRequest(files={path: base64.b64encode(content).decode() for path, content in bundle.files.items()})
