"""Payloads of webhooks from `tests/fixtures/webhooks`; the README there says where they come from."""

import hashlib
import hmac
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent.parent / "fixtures" / "webhooks"

FORGES = ("gitea", "forgejo", "github", "gitlab")
"""The forges that there are payloads of."""


@dataclass(frozen=True)
class Payload:
    """One delivery: the headers without signatures, and the body as bytes."""

    forge: str
    name: str
    headers: dict[str, str]
    body: bytes

    @property
    def content(self) -> dict[str, Any]:
        """What the body says."""
        content: dict[str, Any] = json.loads(self.body)
        return content

    def signed(self, secret: str) -> dict[str, str]:
        """The headers with what the forge proves with that it knows the secret."""
        return self.headers | signatures(self.forge, secret, self.body)

    def changed(self, **members: Any) -> "Payload":
        """The same with other members of the body, at the top."""
        return Payload(self.forge, self.name, self.headers, _encoded(self.content | members))


def payload(forge: str, name: str) -> Payload:
    """A payload by its name, such as `pull_request_opened`."""
    found = json.loads((FOLDER / forge / f"{name}.json").read_text())
    return Payload(forge, name, found["headers"], _encoded(found["body"]))


def payloads(forge: str) -> list[str]:
    """The names of all payloads of a forge."""
    return sorted(file.stem for file in (FOLDER / forge).glob("*.json"))


def signatures(forge: str, secret: str, body: bytes) -> dict[str, str]:
    """The headers by which a forge proves that it knows the secret. GitLab sends the secret itself."""
    if forge == "gitlab":
        return {"X-Gitlab-Token": secret}
    strong, weak = (hmac.new(secret.encode(), body, digest).hexdigest() for digest in (hashlib.sha256, hashlib.sha1))
    found = {"X-Hub-Signature": f"sha1={weak}", "X-Hub-Signature-256": f"sha256={strong}"}
    if forge in ("gitea", "forgejo"):
        found |= {"X-Gitea-Signature": strong, "X-Gogs-Signature": strong}
    if forge == "forgejo":
        found |= {"X-Forgejo-Signature": strong}
    return found


def _encoded(content: Any) -> bytes:
    return json.dumps(content, indent=2, ensure_ascii=False).encode()
