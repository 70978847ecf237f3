"""Types of fields that several models of the API have, and the bases of models."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, WithJsonSchema

from environments.domain import shapes


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("it is no moment in UTC that can be written") from None


Moment = Annotated[AwareDatetime, AfterValidator(_in_utc)]
"""A moment that somebody gives, with an offset; in UTC."""


def _without_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError("it holds the character U+0000, which can't be stored")
    return text


NoNul = AfterValidator(_without_nul)

Word = Annotated[str, Field(max_length=1000), NoNul]
"""A name, an id, a duration, a key, as somebody gives it: what reads it says what is right, this only ends it."""

Duration = Annotated[str, Field(max_length=256 * 1024), WithJsonSchema(shapes.DURATION)]
"""A duration such as `2h`, as somebody gives it. As long as a request may be: what reads it refuses, as
`invalid_lifetime`, all text that is no duration."""

Name = Annotated[Word, WithJsonSchema(shapes.ENVIRONMENT_NAME)]
Label = Annotated[Word, WithJsonSchema(shapes.LABEL)]
Digest = Annotated[Word, WithJsonSchema(shapes.DIGEST)]

Text = Annotated[str, Field(max_length=1000), NoNul]
"""Words of a person that are kept and shown."""

EnvironmentId = Annotated[str, WithJsonSchema(shapes.ENVIRONMENT_ID)]
DeploymentId = Annotated[str, WithJsonSchema(shapes.DEPLOYMENT_ID)]
PlanId = Annotated[str, WithJsonSchema(shapes.PLAN_ID)]
HoldId = Annotated[str, WithJsonSchema(shapes.HOLD_ID)]
TokenId = Annotated[str, WithJsonSchema(shapes.TOKEN_ID)]
ShownLabel = Annotated[str, WithJsonSchema(shapes.LABEL)]
ShownName = Annotated[str, WithJsonSchema(shapes.ENVIRONMENT_NAME)]
ShownDigest = Annotated[str, WithJsonSchema(shapes.DIGEST)]


class View(BaseModel):
    """What the API shows; it can't be changed."""

    model_config = ConfigDict(frozen=True)


class Request(BaseModel):
    """What the API takes; unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")
