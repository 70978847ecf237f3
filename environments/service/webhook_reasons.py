"""Why deliveries are refused or left: short words, as they are counted, and what people are told."""

from environments.domain.errors import DeliveryUnreadable, NotJson, RequestTooLarge
from environments.service.webhook_kinds import WHY_IGNORED

UNSIGNED = "unsigned"
WRONG_SIGNATURE = "wrong_signature"
OLD_TIMESTAMP = "old_timestamp"
UNKNOWN_NAME = "unknown_name"
KNOWN = "known"

WHY_REFUSED = {
    UNSIGNED: "it holds no signature, or no secret",
    WRONG_SIGNATURE: "it is signed with another secret",
    OLD_TIMESTAMP: "it was signed more than five minutes ago, or the clocks differ",
    UNKNOWN_NAME: "there is no webhook of that name",
    KNOWN: "it came before: the sender sent it again",
    DeliveryUnreadable.code: "its body is no JSON object, or one that nobody should send",
    NotJson.code: "its content type is not application/json",
    RequestTooLarge.code: "its body is too large",
}


def said(reason: str) -> str:
    """What people are told."""
    return WHY_REFUSED.get(reason) or WHY_IGNORED.get(reason) or reason
