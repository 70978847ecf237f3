"""The form of names, ids, durations and digests as JSON Schema, for the description of the API.

Nothing is checked by these: what reads a value refuses what is wrong with it, under its own code and in words. The
patterns are of the part of regular expressions that ECMA-262 and most others share.
"""

from typing import Any

from environments.domain.names import BY_ID, BY_NAME, ID_ALPHABET, ID_LENGTH, LONGEST_ENVIRONMENT, LONGEST_LABEL

_LABEL = "[a-z][a-z0-9]*(-[a-z0-9]+)*"
_RANDOM = f"[{ID_ALPHABET}]{{{ID_LENGTH}}}"
_DIGEST = "sha256:[0-9a-f]{64}"

Shape = dict[str, Any]


def _text(pattern: str, longest: int | None = None, **more: Any) -> Shape:
    limit = {} if longest is None else {"maxLength": longest}
    return {"type": "string", "pattern": f"^{pattern}$", **limit, **more}


LABEL = _text(_LABEL, LONGEST_LABEL)
"""The name of a template, a step, an image, a channel."""

ENVIRONMENT_NAME = _text(_LABEL, LONGEST_ENVIRONMENT)
ENVIRONMENT = _text(f"({BY_ID}env-{_RANDOM}|({BY_NAME})?{_LABEL})", len(BY_NAME) + LONGEST_ENVIRONMENT)
"""What stands for an environment in a path: its name or its id."""

ENVIRONMENT_ID = _text(f"env-{_RANDOM}")
DEPLOYMENT_ID = _text(f"dep-{_RANDOM}")
PLAN_ID = _text(f"plan-{_RANDOM}")
HOLD_ID = _text(f"hold-{_RANDOM}")
TRIGGER_ID = _text(f"trg-{_RANDOM}")
RECEIVED_EVENT_ID = _text(f"evt-{_RANDOM}")
TOKEN_ID = _text(f"tok-(deployer|{_RANDOM})")
DIGEST = _text(_DIGEST)
"""A version of a template."""

ROLLBACK = _text(f"(last-good|dep-{_RANDOM})")
DURATION = _text("([0-9]{1,12}[wdhms]){1,20}", examples=["90m", "1d12h"])
REFERENCE = _text(f"([^@]+@)?{_DIGEST}", 400)
"""An image by its content."""

OWNER = _text(".*[^ ].*", 1000)
GOVERNED = _text(".*[^ ].*", 200)
"""The owner or the template that a policy is for."""

PERSON = _text(".*[^ ].*", 200)
"""A user name; names of owners from early versions may be any text."""

SUBJECT = _text("(.*[^ ].*)?", 310)
"""A user name, or `group:NAME`."""

GROUP_NAME = _text(".*[^ ].*", 300)
LOCAL_GROUP = _text("[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
SHARED_WITH = _text(".*[^ ].*", 310)
"""A user name, `group:NAME`, or `everyone`."""

CALENDAR = _text("[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
"""The name of a holiday calendar."""

BASE64 = _text("[A-Za-z0-9+/]*={0,2}", contentEncoding="base64")
CODE = _text("[a-z][a-z0-9_]*")
EVENT_ID = _text("[0-9]{1,19}")
REVISION_PATTERN = r"""[^\x00-/:-@\[-\^`{-\x7f][^\x00-"$-*,:-?\[-\^`{-\x7f]*"""
"""A tag, a branch or a commit: letters of every language, digits and `_`, and behind the first one also `./+@#-`."""
REVISION = _text(REVISION_PATTERN, 200)

ACCOUNT_NAME = _text("svc-[a-z0-9]+([._-][a-z0-9]+)*", 63)
"""The name of a new service account."""

USER_NAME = _text("[a-z0-9][a-z0-9._-]{0,62}")
"""The name of somebody new, or of a service account."""

TRIGGER: Shape = {
    "type": "object",
    "required": ["name", "on", "action"],
    "properties": {
        "name": LABEL,
        "on": {"type": "string", "maxLength": 100, "examples": ["git.pull_request", "nomad.job", "idle"]},
        "action": {"type": "string", "maxLength": 100, "examples": ["update", "destroy", "notify"]},
    },
}
"""A trigger as its author writes it; the other keys are in docs/how-to/triggers.md."""
