"""OpenBao's login of people and its provider, in memory."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from uuid import uuid4

from environments.providers.openbao_people.ports import Code, Entity, Login, OidcClient
from environments.service.built_in_provider import CALLBACK_PATH, CLI_CALLBACK_PATH, PROVIDER_PATH, Passed


@dataclass
class MemoryPeopleCalls:
    """Implements `PeopleCalls`. `codes` has the requests for which a code was given, `tokens` the logins that go on."""

    external_address: str
    passwords: dict[str, str] = field(default_factory=dict)
    made: dict[str, Entity] = field(default_factory=dict)
    """User name → entity; stays when a user is deleted."""
    members: dict[str, tuple[str, ...]] = field(default_factory=lambda: {"": ()})
    tokens: dict[str, str] = field(default_factory=dict)
    """Token → user name."""
    codes: dict[str, Mapping[str, str]] = field(default_factory=dict)
    passed: list[tuple[str, str, bytes, str, str]] = field(default_factory=list)
    answer: Passed = field(default_factory=lambda: Passed(200, "application/json", b"{}"))

    def users(self) -> list[str]:
        return sorted(self.passwords)

    def set_user(self, user: str, password: str) -> None:
        self.passwords[user.lower()] = password

    def log_in(self, user: str, password: str) -> Login | None:
        user = user.lower()
        entity = self.made.get(user)
        if self.passwords.get(user) != password or (entity is not None and entity.disabled):
            return None
        if entity is None:
            entity = self.made[user] = Entity(str(uuid4()), {}, disabled=False)
        token = f"s.{uuid4().hex}"
        self.tokens[token] = user
        return Login(entity.id, token)

    def entities(self, users: Sequence[str]) -> dict[str, Entity]:
        return {user: self.made[user] for user in users if user in self.made}

    def entity(self, id: str) -> Entity | None:
        return next((entity for entity in self.made.values() if entity.id == id), None)

    def change_entity(
        self, id: str, *, metadata: Mapping[str, str] | None = None, disabled: bool | None = None
    ) -> None:
        user, entity = next((user, entity) for user, entity in self.made.items() if entity.id == id)
        self.made[user] = replace(
            entity,
            metadata=entity.metadata if metadata is None else dict(metadata),
            disabled=entity.disabled if disabled is None else disabled,
        )

    def groups(self) -> dict[str, tuple[str, ...]]:
        return dict(self.members)

    def set_members(self, group: str, ids: Sequence[str]) -> None:
        self.members[group] = tuple(ids)

    def end_logins(self, user: str) -> None:
        self.tokens = {token: of for token, of in self.tokens.items() if of != user}

    def revoke(self, token: str) -> None:
        self.tokens.pop(token, None)

    def authorize(self, token: str, request: Mapping[str, str]) -> Code:
        entity = self.made.get(self.tokens.get(token, ""))
        if entity is None or entity.disabled or entity.id not in self.members[""]:
            return Code(error="access_denied")
        code = uuid4().hex
        self.codes[code] = dict(request)
        return Code(code=code)

    def issuer(self) -> str:
        return f"{self.external_address}{PROVIDER_PATH}"

    def web_client(self) -> OidcClient:
        return OidcClient("memory-web", (f"{self.external_address}{CALLBACK_PATH}",), "memory-secret")

    def cli_client(self) -> OidcClient:
        return OidcClient(
            "memory-cli", tuple(f"http://{host}{CLI_CALLBACK_PATH}" for host in ("127.0.0.1", "localhost"))
        )

    def pass_on(self, method: str, endpoint: str, *, body: bytes, content_type: str, authorization: str) -> Passed:
        self.passed.append((method, endpoint, body, content_type, authorization))
        return self.answer
