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
    """The stream of events is connected, for the first time or again; nothing was missed in between."""


@dataclass(frozen=True)
class Disconnected:
    """The stream of events is away and tries again by itself in `again_in` seconds."""

    error: CalvinverseError
    again_in: float


StreamItem = Event | Connected | Disconnected
"""What an `EventStream` gives."""


class EventStream(Protocol):
    """Live events in order, each once, across lost connections; endless until `close`."""

    def __iter__(self) -> Iterator[StreamItem]:
        """Blocks until there is something to tell.

        Raises only what trying again can't mend: `Unauthenticated`, `Forbidden`, `UnknownEnvironment`, `InvalidInput`.
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
        """Where the service is, for messages."""
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
        """Asks for an environment; a second call with the same key is the same request."""
        ...

    def update(self, name: str, request: UpdateRequest) -> Accepted:
        """Applies another version of the template, or other parameters."""
        ...

    def retry(self, name: str) -> Accepted:
        """Goes on with a failed creation or destruction."""
        ...

    def extend(self, name: str, request: ExtendRequest) -> EnvironmentView:
        """Moves the deadline, to earlier as well."""
        ...

    def destroy(self, name: str, reason: str = "") -> Accepted:
        """Destroys now; while it is being destroyed already, the running deployment."""
        ...

    def plan(self, name: str, request: PlanRequest) -> PlanView:
        """What a change would do, saved to be applied as it is shown; nothing is changed by it."""
        ...

    def saved_plan(self, plan_id: str) -> PlanView:
        """A plan that was saved. Raises `UnknownPlan`, also once it has expired."""
        ...

    def apply_plan(self, plan_id: str, *, idempotency_key: str | None = None) -> Accepted:
        """Does what a plan shows. Raises `PlanStale` when the world has moved since; `details["moved"]` says what."""
        ...

    def repair(self, name: str) -> Accepted:
        """Puts right what differs from what the steps made."""
        ...

    def promote(self, name: str) -> Accepted:
        """Puts new versions that await promotion in the place of those before. Raises `NotAllowedNow` if none does."""
        ...

    def rollback(self, name: str, request: RollbackRequest) -> Accepted:
        """Goes back to what an earlier deployment applied."""
        ...

    def cancel(self, name: str, request: CancelRequest) -> DeploymentView:
        """Asks the deployment that waits or runs to stop; with `force` without grace."""
        ...

    def abandon(self, name: str, request: AbandonRequest) -> EnvironmentView:
        """Gives up what can't be destroyed; it is written down and still looked for."""
        ...

    def drift(self, name: str) -> DriftView:
        """What the last look at an environment found."""
        ...

    def observe(self, name: str) -> DriftView:
        """Looks at an environment now; what was found."""
        ...

    def why(self, deployment_id: str) -> PendingView:
        """Why a deployment doesn't run yet, with its place in the queue."""
        ...

    def workers(self) -> list[WorkerView]:
        """The workers that were heard of, newest first."""
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
        """Shows an environment that another service owns (admins)."""
        ...

    def templates(self) -> list[TemplateView]:
        """The newest version of each template."""
        ...

    def template(self, name: str, digest: str | None = None) -> TemplateView:
        """One template, the newest version unless a digest is given."""
        ...

    def delete_template(self, name: str, digest: str | None = None) -> TemplateDeletionView:
        """Takes a template out of the catalogue, or one version (admins). Raises `TemplateInUse`."""
        ...

    def push(self, bundle: Bundle) -> TemplateView:
        """Adds a version of a template to the catalogue."""
        ...

    def push_from_git(self, request: GitPushRequest) -> TemplateView:
        """Has the service read a template from a git repository and add it to the catalogue (admins)."""
        ...

    def validate(self, bundle: Bundle) -> Validation:
        """What is wrong with a template, as far as the service can tell without making an environment."""
        ...

    def bundle(self, name: str, digest: str | None = None) -> Bundle:
        """The files of a template."""
        ...

    def images(self) -> list[ImageView]:
        """The image that stands behind each name now."""
        ...

    def image(self, name: str) -> ImageView:
        """The image that stands behind a name now."""
        ...

    def image_history(self, name: str) -> list[ImageView]:
        """Every image that was published under a name, newest first."""
        ...

    def publish_image(self, name: str, request: PublishImageRequest) -> ImageView:
        """Puts an image behind a name (admins); the same again changes nothing."""
        ...

    def withdraw_image(self, name: str) -> ImageView:
        """Takes an image away from deployments (admins)."""
        ...

    def tokens(self) -> list[TokenView]:
        """The caller's tokens, everybody's for an admin."""
        ...

    def create_token(self, request: TokenRequest) -> NewToken:
        """Makes a token; its secret is in this answer and nowhere else."""
        ...

    def revoke_token(self, token_id: str) -> TokenView:
        """Ends a token."""
        ...

    def ca(self) -> str:
        """The certificate (PEM) of the authority that signs environments' certificates."""
        ...

    def info(self) -> Info:
        """Version, who asks, and where the service's parts are."""
        ...

    def readiness(self) -> Readiness:
        """Whether the service can do its work, and what keeps it from that; needs no token."""
        ...

    def close(self) -> None:
        """Gives the connections back; streams of events end."""
        ...
