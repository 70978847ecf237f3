"""The identity providers, and the CI systems whose tokens are exchanged, as an operator configures them.

They are in a file in TOML, which is read again when it changes.
"""

import re
import ssl
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal, Self, TypeVar
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

from environments.addresses import exposes_tokens
from environments.domain.ci_claims import check_audience, check_pinned
from environments.domain.claim_rules import Condition, RoleRule
from environments.domain.errors import InvalidInput
from environments.domain.template_parts import Duration
from environments.operator_files import read_operator_file

BUILT_IN = "openbao"
"""The name of the provider that comes with a deployment."""

Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"]
"""How identity tokens may be signed. Symmetric algorithms aren't among them, and no signature isn't either."""

ALGORITHMS: tuple[Algorithm, ...] = ("RS256", "ES256", "EdDSA", "PS256")

USERNAME_CLAIMS = ("preferred_username", "username", "name")
"""Claims of which the first that came proposes the user name at the first sign-in."""

_ISSUER = re.compile(r"https?://[!$&-;=@-Z_a-z~%\[\]]+")
_VISIBLE = r"^[\x21-\x7e]+$"
_PIECES_OF_PATTERN = 5


def check_issuer(text: str) -> str:
    """An issuer, exactly as tokens name it. Raises `ValueError`."""
    try:
        parts = urlsplit(text)
        fits = bool(parts.hostname) and parts.username is None and parts.port != 0
    except ValueError:
        fits = False
    if not fits or _ISSUER.fullmatch(text) is None:
        raise ValueError("an issuer is an address that begins with https://, without user, query and fragment")
    if exposes_tokens(text):
        raise ValueError("an issuer beyond this machine needs https")
    return text


def _several(value: object) -> object:
    return (value,) if isinstance(value, str) else value


def _pattern(text: str) -> str:
    if text.count("*") > 2 * _PIECES_OF_PATTERN or "***" in text:
        raise ValueError("a pattern has a few * or **")
    return text


Issuer = Annotated[str, Field(max_length=500), AfterValidator(check_issuer)]
Name = Annotated[str, Field(max_length=40, pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$")]
ActionName = Annotated[str, Field(max_length=60, pattern=r"^[a-z]+:[a-z_]+$")]
ClaimName = Annotated[str, Field(min_length=1, max_length=200)]
ClaimPattern = Annotated[str, Field(min_length=1, max_length=500), AfterValidator(_pattern)]
Scope = Annotated[str, Field(max_length=100, pattern=r"^[\x21\x23-\x5b\x5d-\x7e]+$")]
Host = Annotated[str, Field(max_length=260, pattern=r"^[a-z0-9.-]+(:[0-9]{1,5})?$")]
Authority = Annotated[str, Field(max_length=64 * 1024)]
Algorithms = Annotated[tuple[Algorithm, ...], BeforeValidator(_several), Field(min_length=1, max_length=11)]


def check_one_authority(file: Path | None, text: str) -> None:
    """Raises `ValueError` for an authority that is given as a file and as PEM, and for PEM that can't be read."""
    if text and file is not None:
        raise ValueError("give one of ca and ca_file")
    if text:
        try:
            ssl.create_default_context(cadata=text)
        except ssl.SSLError:
            raise ValueError("ca holds no certificate in PEM") from None


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ProviderSettings(_Part):
    """An OpenID provider.

    `client_id` is the confidential client of the pages, `public_client_id` that of the command line, which has no
    secret. Whoever meets one of the conditions in `sign_in` may sign in; without any, everybody whom the provider signs
    in. `trusted_email`: addresses of e-mail count although the provider doesn't say that it has verified them. `hosts`:
    where else, beside the issuer's host, its addresses for codes and keys may be. `backdated`: how far before its issue
    the provider dates a token.
    """

    name: Name
    title: Annotated[str, Field(max_length=60)] = ""
    issuer: Issuer
    client_id: Annotated[str, Field(max_length=500, pattern=_VISIBLE)]
    client_secret: SecretStr = SecretStr("")
    client_secret_file: Path | None = None
    public_client_id: Annotated[str, Field(max_length=500, pattern=_VISIBLE)] | Literal[""] = ""
    scopes: Annotated[tuple[Scope, ...], Field(min_length=1, max_length=20)] = ("openid", "profile", "email")
    groups_claim: ClaimName = "groups"
    username_claims: Annotated[tuple[ClaimName, ...], BeforeValidator(_several), Field(min_length=1, max_length=10)] = (
        USERNAME_CLAIMS
    )
    trusted_email: bool = False
    sign_in: Annotated[tuple[Condition, ...], Field(max_length=100)] = ()
    rules: Annotated[tuple[RoleRule, ...], Field(max_length=100)] = ()
    algorithms: Algorithms = ALGORITHMS
    backdated: Annotated[Duration, Field(ge=timedelta(0), le=timedelta(minutes=10))] = timedelta(0)
    hosts: Annotated[tuple[Host, ...], Field(max_length=10)] = ()
    ca_file: Path | None = None
    ca: Authority = ""

    @property
    def shown_title(self) -> str:
        """For people: the title, else the name."""
        return self.title or self.name

    @model_validator(mode="after")
    def _fit(self) -> Self:
        if bool(self.client_secret.get_secret_value()) == (self.client_secret_file is not None):
            raise ValueError("give one of client_secret and client_secret_file")
        check_one_authority(self.ca_file, self.ca)
        if "openid" not in self.scopes:
            raise ValueError("the scopes lack openid")
        if self.title and not self.title.isprintable():
            raise ValueError("the title has characters that can't be shown")
        return self


class CiSettings(_Part):
    """Tokens of a CI system that are exchanged for tokens of a service account.

    `audience`: what its tokens must be issued for; choose one that is used nowhere else. `claims`: all of them must
    come, with these values, in which `*` stands for any characters but `/` and `:`, and `**` for any at all; one of
    them pins whose tokens they are (`environments.domain.ci_claims`). `ttl`: how long the token lives that is given.
    `actions` and `templates` limit it; without them it may whatever the account may.
    """

    name: Name
    issuer: Issuer
    audience: Annotated[str, Field(min_length=1, max_length=500)]
    account: Annotated[str, Field(min_length=1, max_length=63)]
    claims: Annotated[dict[ClaimName, ClaimPattern], Field(min_length=1, max_length=20)]
    ttl: Annotated[Duration, Field(ge=timedelta(minutes=1), le=timedelta(hours=1))] = timedelta(hours=1)
    actions: Annotated[tuple[ActionName, ...], Field(max_length=100)] | None = None
    templates: Annotated[tuple[Annotated[str, Field(max_length=63)], ...], Field(max_length=100)] | None = None
    algorithms: Algorithms = ALGORITHMS
    hosts: Annotated[tuple[Host, ...], Field(max_length=10)] = ()
    ca_file: Path | None = None
    ca: Authority = ""

    @model_validator(mode="after")
    def _fit(self) -> Self:
        check_one_authority(self.ca_file, self.ca)
        check_pinned(self.claims)
        check_audience(self.issuer, self.audience)
        return self


class IdentitySettings(_Part):
    """The whole file."""

    providers: Annotated[tuple[ProviderSettings, ...], Field(max_length=20)] = ()
    ci: Annotated[tuple[CiSettings, ...], Field(max_length=500)] = ()

    @model_validator(mode="after")
    def _fit(self) -> Self:
        if any(one.name == BUILT_IN for one in self.providers):
            raise ValueError(f"{BUILT_IN} is the name of the built-in provider")
        if twice := _twice(one.name for one in self.providers):
            raise ValueError(f"two providers have the name {twice}")
        if _twice(one.issuer for one in self.providers):
            raise ValueError("two providers have the same issuer")
        if twice := _twice(one.name for one in self.ci):
            raise ValueError(f"two entries of ci have the name {twice}")
        return self


def read_identity_settings(path: Path) -> IdentitySettings:
    """The providers of a file; relative paths in it start at its folder.

    Raises `InvalidInput`, with no value of the file: some are secrets.
    """
    found = read_operator_file(path, IdentitySettings, "The identity providers", "docs/how-to/sign-in.md")
    return found.model_copy(
        update={
            "providers": tuple(_beside(one, path.parent) for one in found.providers),
            "ci": tuple(_beside(one, path.parent) for one in found.ci),
        }
    )


def check_whole(path: Path) -> str:
    """The text of a file that names no other files, so that it can be kept elsewhere. Raises `InvalidInput`."""
    found = read_identity_settings(path)
    parts: tuple[ProviderSettings | CiSettings, ...] = (*found.providers, *found.ci)
    for part in parts:
        for name, instead in (("client_secret_file", "client_secret"), ("ca_file", "ca")):
            if getattr(part, name, None) is not None:
                raise InvalidInput(
                    f"{part.name} in {path} names another file by {name}, which isn't where the service runs.",
                    hint=f"Write what it holds into {instead}: OpenBao keeps the file.",
                )
    return path.read_text(encoding="utf-8")


_P = TypeVar("_P", ProviderSettings, CiSettings)


def _beside(part: _P, folder: Path) -> _P:
    paths = {name: getattr(part, name, None) for name in ("client_secret_file", "ca_file")}
    return part.model_copy(update={name: folder / found for name, found in paths.items() if found is not None})


def _twice(values: Iterable[str]) -> str:
    """The first value that comes twice; empty if none does."""
    seen: set[str] = set()
    for value in values:
        if value in seen:
            return value
        seen.add(value)
    return ""
