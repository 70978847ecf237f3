"""Patterns of path and query parameters, added to the OpenAPI document."""

from typing import Any

from environments.domain import shapes

_OF_PATHS: dict[str, shapes.Shape] = {
    "deployment_id": shapes.DEPLOYMENT_ID,
    "plan_id": shapes.PLAN_ID,
    "hold_id": shapes.HOLD_ID,
    "token_id": shapes.TOKEN_ID,
    "trigger_id": shapes.TRIGGER_ID,
    "event_id": shapes.RECEIVED_EVENT_ID,
    "person": shapes.PERSON,
    "group": shapes.GROUP_NAME,
    "user_name": shapes.USER_NAME,
    "webhook": shapes.LABEL,
}
_NAMES: dict[str, shapes.Shape] = {
    "environments": shapes.ENVIRONMENT,
    "mirror": shapes.ENVIRONMENT_NAME,
    "{scope}": shapes.GOVERNED,
    "calendars": shapes.CALENDAR,
    "service-accounts": shapes.USER_NAME,
}
"""What `name` is, by the noun before it; a label elsewhere."""

_OF_QUERIES: dict[str, shapes.Shape] = {
    "owner": shapes.OWNER,
    "subject": shapes.SHARED_WITH,
    "template": shapes.LABEL,
    "environment": shapes.ENVIRONMENT,
    "group": shapes.GROUP_NAME,
    "digest": shapes.DIGEST,
    "last-event-id": shapes.EVENT_ID,
}
_BEFORE: dict[str, shapes.Shape] = {
    "environments": shapes.ENVIRONMENT_ID,
    "deployments": shapes.DEPLOYMENT_ID,
    "tokens": shapes.TOKEN_ID,
    "triggers": shapes.TRIGGER_ID,
    "received-events": shapes.RECEIVED_EVENT_ID,
    "calendars": shapes.CALENDAR,
    "holds": shapes.HOLD_ID,
    "people": shapes.PERSON,
    "groups": shapes.GROUP_NAME,
    "memberships": shapes.PERSON,
    "service-accounts": shapes.USER_NAME,
    "local-people": shapes.USER_NAME,
}
"""What a page goes on from, by the noun that is listed; a label elsewhere."""


def describe(paths: dict[str, Any]) -> None:
    """Puts the patterns into the paths of an OpenAPI document."""
    for path, operations in paths.items():
        for operation in operations.values():
            for parameter in operation.get("parameters", ()):
                _describe(path, parameter)


def _describe(path: str, parameter: dict[str, Any]) -> None:
    schema, shape = parameter["schema"], _shape(path, parameter["name"])
    if shape and schema.get("default") == "":
        # Behind nothing: a list from its beginning.
        shape = {**shape, "pattern": f"^({shape['pattern'][1:-1]})?$"}
    for part in (schema, *schema.get("anyOf", ())):
        if _is_bare_text(part):
            part.update(shape)


def _is_bare_text(schema: dict[str, Any]) -> bool:
    return schema.get("type") == "string" and not {"pattern", "enum", "minLength", "format"} & schema.keys()


def _shape(path: str, name: str) -> shapes.Shape:
    nouns = path.split("/")
    if name == "name":
        return _NAMES.get(nouns[nouns.index("{name}") - 1], shapes.LABEL)
    if name in ("before", "after"):
        return _BEFORE.get(nouns[-1], shapes.LABEL)
    return _OF_PATHS.get(name) or _OF_QUERIES.get(name) or {}
