"""The part of Caddy's configuration for its logs. Pure, like `app.configuration`."""

from typing import Any

Json = dict[str, Any]


def logging() -> Json:
    """Faults and requests as JSON on standard error; of a request its client, and neither headers nor its query."""
    fields = {
        "request>headers": {"filter": "delete"},
        "resp_headers": {"filter": "delete"},
        "request>tls": {"filter": "delete"},
        "request>uri": {"filter": "regexp", "regexp": "\\?.*", "value": ""},
    }
    requests = {"format": "filter", "wrap": {"format": "json"}, "fields": fields}
    return {
        "logs": {
            "default": {
                "level": "WARN",
                "writer": {"output": "stderr"},
                "encoder": requests,
                "exclude": ["http.log.access.requests"],
            },
            "requests": {
                "writer": {"output": "stderr"},
                "encoder": requests,
                "include": ["http.log.access.requests"],
            },
        }
    }
