"""Names and ids that lead somewhere: with made-up ones alone nearly every request would end at `not found`."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tests.fuzz.place import GROUPS, LOCAL, PEOPLE, SUBJECTS, WEBHOOKS

_FIELD = re.compile(r"\{([a-z_]+)\}")

TEMPLATES = ("attack-notes", "fuzz-notes")
ENVIRONMENTS = ("fuzz-user", "fuzz-admin", "fuzz-new-1", "fuzz-new-2")

CLOSED = ("/v1/edge/", "/v1/modules/")
"""What takes credentials of its own: fuzzing gets as far as its refusals."""

Values = Mapping[str, Sequence[Any]]

_FIELDS: Values = {
    "environment": ENVIRONMENTS,
    "group": GROUPS,
    "owner": PEOPLE,
    "person": PEOPLE,
    "responsible": SUBJECTS,
    "subject": SUBJECTS,
    "successor": SUBJECTS,
    "template": TEMPLATES,
    "to": SUBJECTS,
    "user_name": LOCAL,
}
"""Of bodies and queries: what a field of that name may hold."""

_NAMES: Values = {
    "CreateRequest": ("fuzz-new-1", "fuzz-new-2"),
    "GroupRequest": (*GROUPS, "fuzz-group-3"),
    "ServiceAccountRequest": ("svc-fuzz", "svc-fuzz-2"),
    "WebhookRequest": (*WEBHOOKS, "fuzz-hook-3"),
}
"""What `name` may be in a body."""


def values(ids: Mapping[str, Sequence[str]]) -> Values:
    """For each path up to a field what may stand in that field. `ids`: those of what `Fuzzed` has made."""
    return {
        "/v1/audit/entries/{entry_id}": (1, 2, 3),
        "/v1/auth/sessions/{token_id}": ids["sessions"],
        "/v1/calendars/{name}": ("fuzz-days", "fuzz-days-2"),
        "/v1/deployments/{deployment_id}": ids["deployments"],
        "/v1/environments/{name}": ENVIRONMENTS,
        "/v1/groups/{group}": GROUPS,
        "/v1/groups/{group}/members/{person}": PEOPLE,
        "/v1/holds/{hold_id}": ("hold-abcdefghjkmn",),
        "/v1/images/{name}": ("fuzz-image", "fuzz-image-2"),
        "/v1/local-people/{user_name}": LOCAL,
        "/v1/mirror/{name}": ("fuzz-mirrored",),
        "/v1/modules/{environment_id}": ids["environments"],
        "/v1/modules/{environment_id}/{step}": ("settings", "database"),
        "/v1/people/{person}": PEOPLE,
        "/v1/plans/{plan_id}": ids["plans"],
        "/v1/policies/{scope}": ("owner", "template"),
        "/v1/policies/{scope}/{name}": (*PEOPLE, *TEMPLATES),
        "/v1/received-events/{event_id}": ids["events"],
        "/v1/service-accounts/{name}": ("svc-fuzz", "svc-fuzz-2"),
        "/v1/service-accounts/{name}/tokens/{token_id}": ids["account tokens"],
        "/v1/templates/{name}": TEMPLATES,
        "/v1/tokens/{token_id}": ids["tokens"],
        "/v1/triggers/{trigger_id}": ids["triggers"],
        "/v1/webhooks/{webhook}": WEBHOOKS,
    }


def fields(path: str) -> list[tuple[str, str]]:
    """The fields of a path: the path up to each of them, and its name."""
    return [(path[: found.end()], found[1]) for found in _FIELD.finditer(path)]


def check(paths: Iterable[str], known: Values) -> None:
    """Fails when a field of a route has no values that lead somewhere."""
    wanted = {upto for path in paths for upto, _ in fields(path)}
    missing, left = sorted(wanted - set(known)), sorted(set(known) - wanted)
    assert not missing, (
        f"Nothing reaches {', '.join(missing)}: what is behind that is not fuzzed. Give `values` in "
        "tests/fuzz/reaching.py names or ids for it that exist; `Fuzzed` in tests/fuzz/place.py makes what there has "
        "to be."
    )
    assert not left, f"`values` in tests/fuzz/reaching.py has what no route takes: {', '.join(left)}."


def filled(path: str, known: Values, chosen: Mapping[str, Any]) -> str:
    """The path with values in its fields: `chosen` by name, else the first that is known."""
    for upto, name in fields(path):
        value = chosen.get(name) or known[upto][0]
        path = path.replace(f"{{{name}}}", str(value))
    return path


def reaching(schema: dict[str, Any], known: Values) -> dict[str, Any]:
    """The schema with these values beside what it allows itself."""
    for path, methods in schema["paths"].items():
        upto = {name: known[up] for up, name in fields(path)}
        for operation in methods.values():
            for parameter in operation.get("parameters", []):
                those = upto if parameter["in"] == "path" else _FIELDS
                parameter["schema"] = _also(those.get(parameter["name"], ()), parameter["schema"])
    for name, model in schema["components"]["schemas"].items():
        if not name.endswith(("Request", "Change")):
            continue
        properties = model.get("properties", {})
        for field in properties:
            some = _NAMES.get(name, ()) if field == "name" else _FIELDS.get(field, ())
            properties[field] = _also(some, properties[field])
    return schema


def _also(some: Sequence[Any], schema: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [{"enum": list(some)}, schema]} if some else schema
