"""The channels of warnings as an operator configures them: a file in TOML, read again when it changes."""

import base64
import binascii
import re
from collections.abc import Iterable
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    model_validator,
)

from environments.operator_files import read_operator_file

_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.)*[A-Za-z0-9-]{1,63}")
_LONGEST_ADDRESS = 254
_MOST_RECIPIENTS = 5

_KEY_PREFIX = "whsec_"
_SHORTEST_KEY, _LONGEST_KEY = 24, 64
"""Bytes of the key that signs webhooks."""


def signing_key(secret: str) -> bytes:
    """The key of a secret that signs webhooks. Raises `ValueError`."""
    try:
        key = base64.b64decode(secret.removeprefix(_KEY_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.startswith(_KEY_PREFIX) or not _SHORTEST_KEY <= len(key) <= _LONGEST_KEY:
        raise ValueError(f"a secret is {_KEY_PREFIX} and {_SHORTEST_KEY} to {_LONGEST_KEY} random bytes in base64")
    return key


def is_address(text: str) -> bool:
    """Whether it is a plain address of e-mail: ASCII, without a name, quotes or comments."""
    return len(text) <= _LONGEST_ADDRESS and _ADDRESS.fullmatch(text) is not None


def _address(text: str) -> str:
    if not is_address(text):
        raise ValueError("an address of e-mail looks like ada@example.net")
    return text


def _several(value: object) -> object:
    return (value,) if isinstance(value, str) else value


def _web_address(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("https", "http") or not parts.hostname or parts.username is not None:
        raise ValueError("a webhook has an address that begins with https://")
    if parts.scheme == "http" and not _is_loopback(parts.hostname):
        raise ValueError("a webhook beyond this machine needs https")
    return text


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


Address = Annotated[str, AfterValidator(_address)]
Recipients = Annotated[tuple[Address, ...], BeforeValidator(_several), Field(max_length=_MOST_RECIPIENTS)]


def _secret_web_address(value: SecretStr) -> SecretStr:
    _web_address(value.get_secret_value())
    return value


WebAddress = Annotated[SecretStr, AfterValidator(_secret_web_address)]
"""An address that may hold a secret, as Slack's do: it is never shown."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class EmailSettings(_Part):
    """The mail server, and who is mailed.

    Someone is mailed at the addresses that `owners` has for the owner of the environment (a user name or `group:NAME`);
    else at the owner's own name, if that is an address in one of `domains`; else at those of the addresses in one of
    `domains` that a provider has verified of the owner, or of a group's members; else at `to`. Nobody else can be
    mailed.
    """

    host: Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[A-Za-z0-9.:-]+$")]
    port: int = Field(587, ge=1, le=65535)
    security: Literal["starttls", "tls", "none"] = "starttls"
    sender: Address = Field(alias="from")
    to: Recipients = ()
    owners: dict[str, Recipients] = Field(default_factory=dict, max_length=10_000)
    domains: tuple[str, ...] = Field((), max_length=100)
    user: str = Field("", max_length=200)
    password: SecretStr = SecretStr("")
    ca_file: Path | None = None

    @model_validator(mode="after")
    def _fit(self) -> Self:
        if self.security == "none" and (self.user or not _is_loopback(self.host)):
            raise ValueError("mail without TLS goes to a server on this machine alone, and without a password")
        if not (self.to or self.owners or self.domains):
            raise ValueError("nobody is mailed: give to, owners or domains")
        return self

    def recipients(self, owner: str, verified: Iterable[str] = ()) -> tuple[str, ...]:
        """Who is mailed of an owner's environments; `verified`: addresses that a provider has verified of them."""
        if owner in self.owners:
            return self.owners[owner]
        if self.allows(owner):
            return (owner,)
        return tuple(filter(self.allows, verified))[:_MOST_RECIPIENTS] or self.to

    def allows(self, text: str) -> bool:
        """Whether it is an address in one of `domains`."""
        return is_address(text) and text.rpartition("@")[2].lower() in {domain.lower() for domain in self.domains}


class WebhookSettings(_Part):
    """Where signed warnings go. `secret` is `whsec_` and 24 to 64 bytes in base64."""

    url: WebAddress
    secret: SecretStr
    ca_file: Path | None = None

    @model_validator(mode="after")
    def _fit(self) -> Self:
        signing_key(self.secret.get_secret_value())
        return self


class SlackSettings(_Part):
    """An incoming webhook of Slack, or of what takes the same."""

    url: WebAddress
    ca_file: Path | None = None


class ChannelSettings(_Part):
    """The whole file."""

    email: EmailSettings | None = None
    webhook: WebhookSettings | None = None
    slack: SlackSettings | None = None


def read_channels(path: Path) -> ChannelSettings:
    """The channels of a file. Raises `InvalidInput`, with no value of the file: some are secrets."""
    return read_operator_file(path, ChannelSettings, "The channels of warnings", "docs/how-to/warnings.md")
