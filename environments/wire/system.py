"""The service itself in the API: version and parts, readiness, and errors."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field, WithJsonSchema

from environments.domain import shapes
from environments.wire.fields import View


class Info(View):
    """What answers: version, who asks, and where the service's parts are."""

    version: str
    started_at: datetime
    now: datetime
    owner: str
    role: Literal["admin", "auditor", "user"]
    step_kinds: tuple[str, ...]
    parts: dict[str, str]
    """Part (consul, nomad, openbao, database) → address; empty when it isn't known yet."""
    zone_database: str = ""
    """The version of the database of time zones in use, and where it comes from."""


class Problem(View):
    """A problem document (RFC 9457); `type` ends with the stable code."""

    type: str
    title: str
    status: int
    detail: str
    code: Annotated[str, WithJsonSchema(shapes.CODE)]
    hint: str = ""
    details: dict[str, Any] = Field(default_factory=dict)


class Readiness(View):
    """Whether the service can do its work: a sentence for each part that keeps it from that.

    `notices` are what an admin has to decide, by id: holds of destroys by the clock. They don't make it unready.
    """

    ready: bool
    problems: dict[str, str] = Field(default_factory=dict)
    notices: dict[str, str] = Field(default_factory=dict)
