"""What a client of the service can do, independent of how it reaches it: the HTTP client, or a fake in memory."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from environments.domain.environment import Event
from environments.domain.errors import CalvinverseError
from environments.domain.template import Bundle
from environments.wire.deployments import CancelRequest, DeploymentView, PendingView, WorkerView
from environments.wire.environments import (
    AbandonRequest,
    Accepted,
    CreateRequest,
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
from environments.wire.templates import GitPushRequest, TemplateDeletionView, TemplateView, Validation
from environments.wire.tokens import NewToken, TokenRequest, TokenView


@dataclass(frozen=True)
class Connected:
    """The stream of events is connected, for the first time or again; no event was missed."""


@dataclass(frozen=True)
class Disconnected:
    """The stream of events has lost its connection; the next attempt is in `again_in` seconds."""

    error: CalvinverseError
    again_in: float


StreamItem = Event | Connected | Disconnected
"""The items of an `EventStream`."""


class EventStream(Protocol):
    """Live events in order, each once, across lost connections; endless until `close`."""

    def __iter__(self) -> Iterator[StreamItem]:
        """Blocks until there is an item.

        Raises only what a retry can't fix: `Unauthenticated`, `Forbidden`, `UnknownEnvironment`, `InvalidInput`.
        """
        ...

    def close(self) -> None:
        """Ends the iteration at once; may be called from any thread, and more than once."""
        ...


class Client(Protocol):
    """Every method may be called from any thread.

    Every method raises `ServiceUnavailable` when the service can't be reached or doesn't answer in time, and otherwise
    the error that the service told, as the class of its code. `name` of an environment may also be its id.
    """

    @property
    def address(self) -> str:
        """The address of the service, for messages."""
        ...

    def environments(
        self,
        *,
        ended: bool = False,
        owner: str | None = None,
        limit: int | None = None,
        before: str | None = None,
        outputs: bool = False,
    ) -> list[EnvironmentView]:
        """The caller's environments, newest first, of all owners for an admin; with `ended` also those that are gone.

        With `limit` at most so many (1 to 1,000), with `before` only those older than the one with that id. Without
        `outputs` the views have none, whatever the environments have.
        """
        ...

    def environment(self, name: str) -> EnvironmentView:
        """One environment with its newest deployment and steps."""
        ...

    def create(self, request: CreateRequest, *, idempotency_key: str | None = None) -> Accepted:
        """Requests an environment; a second call with the same key is the same request."""
        ...

    def update(self, name: str, request: UpdateRequest) -> Accepted:
        """Applies another version of the template, or other parameters."""
        ...

    def retry(self, name: str) -> Accepted:
        """Runs a failed create or destroy again."""
        ...

    def extend(self, name: str, request: ExtendRequest) -> EnvironmentView:
        """Moves the deadline, also to an earlier moment."""
        ...

    def destroy(self, name: str, reason: str = "") -> Accepted:
        """Destroys now; if it is being destroyed already, gives the running deployment."""
        ...

    def plan(self, name: str, request: PlanRequest) -> PlanView:
        """Saves a plan of a change, to be applied as shown; changes nothing."""
        ...

    def saved_plan(self, plan_id: str) -> PlanView:
        """A saved plan. Raises `UnknownPlan`, also after it has expired."""
        ...

    def apply_plan(self, plan_id: str, *, idempotency_key: str | None = None) -> Accepted:
        """Applies a plan. Raises `PlanStale` if the world has changed since; `details["moved"]` says how."""
        ...

    def repair(self, name: str) -> Accepted:
        """Restores what differs from what the steps made."""
        ...

    def promote(self, name: str) -> Accepted:
        """Promotes the versions that await promotion. Raises `NotAllowedNow` if there are none."""
        ...

    def rollback(self, name: str, request: RollbackRequest) -> Accepted:
        """Goes back to what an earlier deployment applied."""
        ...

    def cancel(self, name: str, request: CancelRequest) -> DeploymentView:
        """Cancels the queued or running deployment; with `force` its steps are stopped at once."""
        ...

    def abandon(self, name: str, request: AbandonRequest) -> EnvironmentView:
        """Abandons what can't be destroyed; it is recorded, and the service still observes it."""
        ...

    def drift(self, name: str) -> DriftView:
        """The result of the last observation of an environment."""
        ...

    def observe(self, name: str) -> DriftView:
        """Observes an environment now."""
        ...

    def why(self, deployment_id: str) -> PendingView:
        """Why a deployment waits, and its place in the queue."""
        ...

    def workers(self) -> list[WorkerView]:
        """The known workers, newest first."""
        ...

    def outputs(self, name: str, *, reveal: bool = False) -> dict[str, OutputView]:
        """The outputs; secrets are masked unless `reveal`."""
        ...

    def deployments(self, name: str) -> list[DeploymentView]:
        """All deployments, newest first."""
        ...

    def deployment(self, deployment_id: str) -> DeploymentView:
        """One deployment with its steps."""
        ...

    def resources(self, name: str) -> list[ResourceView]:
        """The inventory."""
        ...

    def history(self, name: str, *, after: int = 0, limit: int = 500) -> list[Event]:
        """Stored events of an environment, logs among them, with ids above `after`, oldest first.

        At most `limit`, fewer when they are large: none are left when none come.
        """
        ...

    def events(self, after: int | None = None, environment: str | None = None) -> EventStream:
        """Live events with ids above `after`; None: those that happen from now on."""
        ...

    def mirror(self, view: EnvironmentView) -> EnvironmentView:
        """Stores a copy of an environment that another service owns (admins)."""
        ...

    def templates(self) -> list[TemplateView]:
        """The newest version of each template."""
        ...

    def template(self, name: str, digest: str | None = None) -> TemplateView:
        """One template, the newest version unless a digest is given."""
        ...

    def delete_template(self, name: str, digest: str | None = None) -> TemplateDeletionView:
        """Deletes a template, or one version, from the catalogue (admins). Raises `TemplateInUse`."""
        ...

    def push(self, bundle: Bundle) -> TemplateView:
        """Adds a version of a template to the catalogue."""
        ...

    def push_from_git(self, request: GitPushRequest) -> TemplateView:
        """Lets the service read a template from a git repository and add it to the catalogue (admins)."""
        ...

    def validate(self, bundle: Bundle) -> Validation:
        """The faults of a template, as far as the service can find them without creating an environment."""
        ...

    def bundle(self, name: str, digest: str | None = None) -> Bundle:
        """The files of a template."""
        ...

    def images(self) -> list[ImageView]:
        """The published image of each name."""
        ...

    def image(self, name: str) -> ImageView:
        """The published image of a name."""
        ...

    def image_history(self, name: str) -> list[ImageView]:
        """Every image that was published under a name, newest first."""
        ...

    def publish_image(self, name: str, request: PublishImageRequest) -> ImageView:
        """Publishes an image under a name (admins); the same image again changes nothing."""
        ...

    def withdraw_image(self, name: str) -> ImageView:
        """Withdraws an image: deployments can't use it any more (admins)."""
        ...

    def tokens(self) -> list[TokenView]:
        """The caller's tokens; all tokens for an admin."""
        ...

    def create_token(self, request: TokenRequest) -> NewToken:
        """Creates a token; only this response has its secret."""
        ...

    def revoke_token(self, token_id: str) -> TokenView:
        """Revokes a token."""
        ...

    def ca(self) -> str:
        """The certificate (PEM) of the authority that signs environments' certificates."""
        ...

    def info(self) -> Info:
        """The version, the caller, and the addresses of the service's parts."""
        ...

    def readiness(self) -> Readiness:
        """Whether the service is ready, and what is wrong if not; needs no token."""
        ...

    def close(self) -> None:
        """Closes the connections; streams of events end."""
        ...
