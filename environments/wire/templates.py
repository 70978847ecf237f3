"""Templates in the API: the catalogue, and what is pushed into it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

from pydantic import Field, WithJsonSchema

from environments.domain import shapes
from environments.domain.faults import Fault
from environments.domain.template import LARGEST_BUNDLE
from environments.wire.access import CreatorView
from environments.wire.fields import NoNul, Request, ShownDigest, ShownLabel, View, Word

LARGEST_FILE = LARGEST_BUNDLE * 4 // 3 + 4
"""Characters of a file in base64, when it is all that a template has."""

_CONTENT = {**shapes.BASE64, "maxLength": LARGEST_FILE}


class TemplateStepView(View):
    """A step as its author wrote it, without its options."""

    name: ShownLabel
    uses: str
    needs: tuple[ShownLabel, ...] = ()


class TemplateSource(View):
    """The git repository that a template came from: `ref` as it was asked for, `commit` as it was found then.

    `path` is the folder in it; empty: its root.
    """

    url: str
    ref: str
    commit: str
    path: str = ""


class CreationView(View):
    """Whether the caller may create from a template, and why not. `most`: how many they may have, of which `have` are.

    `creators`: who may, for those who see everybody; without a rule everybody may.
    """

    allowed: bool
    why_not: str = ""
    most: int | None = None
    have: int | None = None
    creators: tuple[CreatorView, ...] | None = None


class CreateTimesView(View):
    """How long it took to make environments of a template: seconds of the median, and in which nine tenths were done.

    Of everybody's newest finished creates (`made`), from the beginning of each: waiting in the queue isn't counted.
    The seconds are rounded to two digits.
    """

    made: int
    median: float
    nine_tenths: float


class TemplateView(View):
    """A template of the catalogue; durations in seconds, `parameters_schema` is JSON Schema (draft 2020-12)."""

    name: ShownLabel
    version: str
    description: str
    digest: ShownDigest
    pushed_at: datetime
    pushed_by: str
    default_lifetime: float | None
    maximum_lifetime: float | None
    parameters_schema: dict[str, Any]
    steps: tuple[TemplateStepView, ...]
    outputs: dict[str, str]
    """Name → description."""
    host_volumes: tuple[str, ...] = ()
    """Folders and sockets of a node that its jobs may mount; with any, only an admin makes environments of it."""
    network: str = "bridge"
    """`bridge`: its jobs have networks of their own. `host`: they may use their node's, and only admins make any."""
    source: TemplateSource | None = None
    """None: it was pushed from a folder."""
    creation: CreationView | None = None
    """Whether the caller may create from it; only when templates are listed or shown."""
    price: float = 0.0
    """What an environment of it costs an hour, in whatever the people who read it count in; 0: nobody has said it."""
    creates: CreateTimesView | None = None
    """How long it takes; only when templates are listed or shown. None: fewer than five creates have finished."""


class TemplateVersionView(View):
    """A version of a template: a push of it, or that it was deleted, after which nobody knows the push any more.

    `version` is empty when the content isn't stored any more.
    """

    digest: ShownDigest
    version: str
    environments: int = 0
    """How many that the caller sees are at it."""
    pushed_at: datetime | None = None
    pushed_by: str | None = None
    source: TemplateSource | None = None
    deleted_at: datetime | None = None
    deleted_by: str | None = None


class TemplateDeletionView(View):
    """What was taken out of the catalogue; `digests` are the versions, newest first."""

    name: str
    digests: tuple[str, ...]
    deleted_at: datetime
    deleted_by: str


class PushRequest(Request):
    """A template's files: relative path → content in base64."""

    files: dict[Word, Annotated[str, Field(max_length=LARGEST_FILE), WithJsonSchema(_CONTENT)]]


class GitPushRequest(Request):
    """Asks for a template out of a git repository, which the service reads itself.

    `ref` is a tag, a branch or a commit; None: the repository's own default branch. `path` is the template's folder.
    """

    url: Annotated[str, NoNul] = Field(min_length=1, max_length=1000)
    ref: Annotated[str, Field(min_length=1, max_length=200), NoNul, WithJsonSchema(shapes.REVISION)] | None = None
    path: Annotated[str, NoNul] = Field(default="", max_length=500)


class Validation(View):
    """What is wrong with a template: `problems` keep it from being pushed, `warnings` don't.

    `faults` has both, with file, line, column and suggestion apart.
    """

    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    faults: tuple[Fault, ...] = ()

    @classmethod
    def of(cls, faults: Sequence[Fault], warnings: Sequence[str] = ()) -> "Validation":
        """The view of these faults, and of warnings that are of no place."""
        return cls(
            problems=tuple(str(fault) for fault in faults if not fault.warning),
            warnings=(*(str(fault) for fault in faults if fault.warning), *warnings),
            faults=tuple(faults),
        )
