"""The client over HTTP: a method for each call of the API."""

import base64
from urllib.parse import quote

from environments.client.connection import OBSERVE_SECONDS, HttpConnection, Query
from environments.client.stream import HttpEventStream
from environments.context import Context
from environments.domain.environment import Event
from environments.domain.errors import InvalidInput
from environments.domain.template import Bundle, make_bundle
from environments.wire.deployments import CancelRequest, DeploymentView, PendingView, WorkerView
from environments.wire.environments import (
    AbandonRequest,
    Accepted,
    CreateRequest,
    DestroyRequest,
    DriftView,
    EnvironmentView,
    ExtendRequest,
    OutputView,
    ResourceView,
    RollbackRequest,
    UpdateRequest,
)
from environments.wire.images import ImageView, PublishImageRequest
from environments.wire.plans import PlanRequest, PlanView
from environments.wire.system import Info, Readiness
from environments.wire.templates import GitPushRequest, PushRequest, TemplateDeletionView, TemplateView, Validation
from environments.wire.tokens import NewToken, TokenRequest, TokenView


def connect(context: Context) -> "HttpClient":
    """A client for the service that `context` names. Raises `Unauthenticated` when the token file can't be read."""
    return HttpClient(context.address, context.read_token(), ca_file=context.ca_file, pinned=context.pinned)


class HttpClient(HttpConnection):
    """See `environments.client.protocol.Client`."""

    # --- environments ------------------------------------------------------------------------------------------------

    def environments(
        self,
        *,
        ended: bool = False,
        owner: str | None = None,
        limit: int | None = None,
        before: str | None = None,
        outputs: bool = False,
    ) -> list[EnvironmentView]:
        asked: Query = {"ended": ended, "owner": owner, "limit": limit, "before": before, "outputs": outputs or None}
        return self._pages("/v1/environments", EnvironmentView, asked, limit)

    def environment(self, name: str) -> EnvironmentView:
        return self._read(self._get(f"/v1/environments/{_part(name)}"), EnvironmentView)

    def create(self, request: CreateRequest, *, idempotency_key: str | None = None) -> Accepted:
        headers = {"Idempotency-Key": idempotency_key or self._make_key()}
        return self._read(self._send("POST", "/v1/environments", request, headers=headers, again=True), Accepted)

    def update(self, name: str, request: UpdateRequest) -> Accepted:
        return self._read(self._send("PUT", f"/v1/environments/{_part(name)}", request), Accepted)

    def retry(self, name: str) -> Accepted:
        return self._read(self._send("POST", f"/v1/environments/{_part(name)}/retry"), Accepted)

    def extend(self, name: str, request: ExtendRequest) -> EnvironmentView:
        path = f"/v1/environments/{_part(name)}/extend"
        return self._read(self._send("POST", path, request, again=request.by is None), EnvironmentView)

    def destroy(self, name: str, reason: str = "") -> Accepted:
        path = f"/v1/environments/{_part(name)}/destroy"
        return self._read(self._send("POST", path, DestroyRequest(reason=reason)), Accepted)

    def plan(self, name: str, request: PlanRequest) -> PlanView:
        path = f"/v1/environments/{_part(name)}/plan"
        return self._read(self._send("POST", path, request, seconds=OBSERVE_SECONDS), PlanView)

    def saved_plan(self, plan_id: str) -> PlanView:
        return self._read(self._get(f"/v1/plans/{_part(plan_id)}"), PlanView)

    def apply_plan(self, plan_id: str, *, idempotency_key: str | None = None) -> Accepted:
        headers = {"Idempotency-Key": idempotency_key or self._make_key()}
        path = f"/v1/plans/{_part(plan_id)}/apply"
        return self._read(self._send("POST", path, headers=headers, again=True), Accepted)

    def repair(self, name: str) -> Accepted:
        return self._read(self._send("POST", f"/v1/environments/{_part(name)}/repair"), Accepted)

    def promote(self, name: str) -> Accepted:
        return self._read(self._send("POST", f"/v1/environments/{_part(name)}/promote"), Accepted)

    def rollback(self, name: str, request: RollbackRequest) -> Accepted:
        return self._read(self._send("POST", f"/v1/environments/{_part(name)}/rollback", request), Accepted)

    def cancel(self, name: str, request: CancelRequest) -> DeploymentView:
        return self._read(self._send("POST", f"/v1/environments/{_part(name)}/cancel", request), DeploymentView)

    def abandon(self, name: str, request: AbandonRequest) -> EnvironmentView:
        return self._read(self._send("POST", f"/v1/environments/{_part(name)}/abandon", request), EnvironmentView)

    def drift(self, name: str) -> DriftView:
        return self._read(self._get(f"/v1/environments/{_part(name)}/drift"), DriftView)

    def observe(self, name: str) -> DriftView:
        path = f"/v1/environments/{_part(name)}/observe"
        return self._read(self._send("POST", path, again=True, seconds=OBSERVE_SECONDS), DriftView)

    def why(self, deployment_id: str) -> PendingView:
        return self._read(self._get(f"/v1/deployments/{_part(deployment_id)}/why"), PendingView)

    def workers(self) -> list[WorkerView]:
        return self._pages("/v1/workers", WorkerView)

    def outputs(self, name: str, *, reveal: bool = False) -> dict[str, OutputView]:
        answer = self._get(f"/v1/environments/{_part(name)}/outputs", {"reveal": reveal})
        return self._read(answer, dict[str, OutputView])

    def deployments(self, name: str) -> list[DeploymentView]:
        return self._pages(f"/v1/environments/{_part(name)}/deployments", DeploymentView)

    def deployment(self, deployment_id: str) -> DeploymentView:
        return self._read(self._get(f"/v1/deployments/{_part(deployment_id)}"), DeploymentView)

    def resources(self, name: str) -> list[ResourceView]:
        return self._pages(f"/v1/environments/{_part(name)}/resources", ResourceView)

    def history(self, name: str, *, after: int = 0, limit: int = 500) -> list[Event]:
        answer = self._get(f"/v1/environments/{_part(name)}/events", {"after": after, "limit": limit})
        return self._read(answer, list[Event])

    def events(self, after: int | None = None, environment: str | None = None) -> HttpEventStream:
        stream = HttpEventStream(lambda seen: self._open_stream(seen, environment), after)
        self._streams.add(stream)
        return stream

    def mirror(self, view: EnvironmentView) -> EnvironmentView:
        return self._read(self._send("PUT", f"/v1/mirror/{_part(view.name)}", view, again=True), EnvironmentView)

    # --- templates ---------------------------------------------------------------------------------------------------

    def templates(self) -> list[TemplateView]:
        return self._pages("/v1/templates", TemplateView)

    def template(self, name: str, digest: str | None = None) -> TemplateView:
        return self._read(self._get(f"/v1/templates/{_part(name)}", {"digest": digest}), TemplateView)

    def delete_template(self, name: str, digest: str | None = None) -> TemplateDeletionView:
        # Never repeated automatically: the second response would be that there is no such template.
        answer = self._request("DELETE", f"/v1/templates/{_part(name)}", query={"digest": digest})
        return self._read(answer, TemplateDeletionView)

    def push(self, bundle: Bundle) -> TemplateView:
        return self._read(self._send("POST", "/v1/templates", _files(bundle), again=True), TemplateView)

    def push_from_git(self, request: GitPushRequest) -> TemplateView:
        path = "/v1/templates/from-git"
        return self._read(self._send("POST", path, request, again=True, seconds=OBSERVE_SECONDS), TemplateView)

    def validate(self, bundle: Bundle) -> Validation:
        return self._read(self._send("POST", "/v1/templates/validate", _files(bundle), again=True), Validation)

    def bundle(self, name: str, digest: str | None = None) -> Bundle:
        found = self._read(self._get(f"/v1/templates/{_part(name)}/bundle", {"digest": digest}), PushRequest)
        return make_bundle({path: base64.b64decode(content) for path, content in found.files.items()})

    # --- images ------------------------------------------------------------------------------------------------------

    def images(self) -> list[ImageView]:
        return self._pages("/v1/images", ImageView)

    def image(self, name: str) -> ImageView:
        return self._read(self._get(f"/v1/images/{_part(name)}"), ImageView)

    def image_history(self, name: str) -> list[ImageView]:
        return self._pages(f"/v1/images/{_part(name)}/history", ImageView)

    def publish_image(self, name: str, request: PublishImageRequest) -> ImageView:
        return self._read(self._send("PUT", f"/v1/images/{_part(name)}", request, again=True), ImageView)

    def withdraw_image(self, name: str) -> ImageView:
        return self._read(self._send("DELETE", f"/v1/images/{_part(name)}"), ImageView)

    # --- access and the service itself -------------------------------------------------------------------------------

    def tokens(self) -> list[TokenView]:
        return self._pages("/v1/tokens", TokenView)

    def create_token(self, request: TokenRequest) -> NewToken:
        return self._read(self._send("POST", "/v1/tokens", request), NewToken)

    def revoke_token(self, token_id: str) -> TokenView:
        return self._read(self._send("DELETE", f"/v1/tokens/{_part(token_id)}", again=True), TokenView)

    def ca(self) -> str:
        return self._get("/v1/ca").text

    def info(self) -> Info:
        return self._read(self._get("/self/info"), Info)

    def readiness(self) -> Readiness:
        return self._read(self._request("GET", "/self/readiness", again=True, expected=frozenset({503})), Readiness)


def _part(name: str) -> str:
    """A name as one segment of a path, whatever it contains."""
    quoted = quote(name, safe="")
    if quoted in ("", ".", ".."):
        raise InvalidInput(f"{name!r} can't be a name.")
    return quoted


def _files(bundle: Bundle) -> PushRequest:
    return PushRequest(files={path: base64.b64encode(content).decode() for path, content in bundle.files.items()})
