"""A warning in the words of each channel."""

import json
from datetime import UTC

from environments.domain.deadline import format_duration
from environments.service.channels import WarningMessage
from environments.words import shown

_LONGEST_SUBJECT = 120
"""Characters of a notice that the subject has."""

_TEST = "This is a test warning: nothing will be destroyed."


def subject(message: WarningMessage) -> str:
    """One line."""
    if message.test:
        return "Calvinverse: a test warning"
    if message.notice:
        return f"{message.environment}: {_line(message.notice)}"
    return f"{message.environment} will be destroyed {soon(message)}"


def soon(message: WarningMessage) -> str:
    """`in 1h`, or `now`."""
    left = message.deadline - message.now
    return f"in {format_duration(left)}" if left.total_seconds() > 0 else "now"


def plain(message: WarningMessage) -> str:
    """The whole text of an e-mail."""
    if message.test:
        return f"{_TEST}\n"
    if message.notice:
        whose = f"the environment {message.environment} of {shown(message.owner)} (template {message.template})"
        return f"A trigger tells of {whose}:\n\n{shown(message.notice)}\n"
    because = f": {shown(message.reason)}" if message.reason else ""
    at = f"{message.deadline.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    lines = [
        f"The environment {message.environment} of {shown(message.owner)} (template {message.template}) will be "
        f"destroyed {soon(message)}, at {at}, with everything that belongs to it{because}.",
        "",
        "To keep it for longer:",
        "",
        f"    calvinverse env extend {message.environment} 1d",
    ]
    if message.link:
        lines += ["", f"or open this page and press its button, which extends it by {message.extension}, once:", ""]
        lines += [message.link, "", "Anyone who has this link can use it."]
    return "\n".join([*lines, ""])


def document(message: WarningMessage) -> bytes:
    """The body of a signed webhook: JSON in UTF-8."""
    data = {
        "environment": message.environment,
        "environment_id": message.environment_id,
        "owner": message.owner,
        "template": message.template,
        **({"message": message.notice} if message.notice else _warned(message)),
    }
    kind = "environment.notice" if message.notice else "environment.warning"
    whole = {"type": kind, "id": message.id, "sent_at": message.now.isoformat(), "data": data}
    return json.dumps(whole).encode()


def _warned(message: WarningMessage) -> dict[str, object]:
    return {
        "deadline": message.deadline.astimezone(UTC).isoformat(),
        "reason": message.reason,
        "extend_link": message.link or None,
        "extension": message.extension or None,
        "test": message.test,
    }


def _line(text: str) -> str:
    """The beginning of a text, as a subject."""
    line = " ".join(shown(text).split())
    return line if len(line) <= _LONGEST_SUBJECT else f"{line[: _LONGEST_SUBJECT - 1]}…"


def slack(message: WarningMessage) -> bytes:
    """The body of a Slack-compatible webhook: JSON in UTF-8. Nothing in it is read as markup or as a mention."""
    if message.test:
        return json.dumps({"text": _TEST}).encode()
    if message.notice:
        whose = f"Environment *{message.environment}* of {_escaped(shown(message.owner))}"
        return json.dumps({"text": f"{whose}: {_escaped(shown(message.notice))}"}).encode()
    reason = f": {_escaped(shown(message.reason))}" if message.reason else ""
    at = f"{message.deadline.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    text = (
        f"Environment *{message.environment}* of {_escaped(shown(message.owner))} will be destroyed {soon(message)}, "
        f"at {at}{reason}."
    )
    if message.link:
        text += f" <{message.link}|Extend it by {message.extension}>"
    return json.dumps({"text": text}).encode()


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
