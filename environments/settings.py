"""What a service can be told: by options of `calvinverse serve` and by variables CALVINVERSE_*."""

import os
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from environments.context import state_folder
from environments.domain.errors import InvalidInput
from environments.domain.reasons import reason
from environments.domain.template_parts import Duration
from environments.domain.tokens import read_known_token

PREFIX = "CALVINVERSE_"

_SHIPPED = Path(__file__).parent / "templates"


def _known_token(text: str) -> str:
    if text:
        read_known_token(text)
    return text


class Settings(BaseModel):
    """Every setting of the service. The variable of a setting is its name in capitals behind `CALVINVERSE_`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    state: Path = Field(default_factory=state_folder, description="Folder of all state on this machine")
    role: Literal["all", "api", "worker"] = Field(
        "all", description="What this process does: `api` answers requests, `worker` runs deployments, `all` does both"
    )
    data: Path | None = Field(
        None,
        description="Folder of SQLite's file and of the first token; default: `service` in the state folder",
    )
    database: str | None = Field(
        None,
        description="PostgreSQL that several processes share, as `postgresql://USER@HOST:PORT/NAME` without a "
        "password; default: SQLite in the data folder",
    )
    database_password_file: Path | None = Field(
        None, description="File with its password; read again for each connection"
    )
    sealing_key: Path | None = Field(
        None,
        description="File with the key that seals secret parameters, the same for all processes of a database; "
        "made if it doesn't exist; default: `parameters.key` in the data folder",
    )
    slots_deploy: int = Field(8, ge=1, le=64, description="Deployments that a worker runs in parallel")
    slots_destroy: int = Field(8, ge=1, le=64, description="Destroys that a worker runs in parallel, in addition")
    worker_host: str = Field("", description="Where a worker runs, as lists show it; default: the name of the machine")
    host: str = Field("127.0.0.1", description="Address to listen on; any but loopback needs TLS")
    port: int = Field(8400, ge=0, le=65535, description="Port to listen on; 0: any free port")
    tls_certificate: Path | None = Field(
        None, description="PEM file of the certificate and its chain; read again when it changes"
    )
    tls_key: Path | None = Field(None, description="PEM file of the certificate's key; read again likewise")
    edge_secret: Path | None = Field(
        None,
        description="File with the secret that the edge sends with each request, so that the client's address that it "
        "tells is believed; read again when it changes; default: there is no edge",
    )
    entry_domain: str = Field(
        "", description="Domain below which the edge serves entry points of environments; default: there are none"
    )
    entry_port: int = Field(443, ge=1, le=65535, description="Port on which the edge serves them, for addresses")
    external_address: str = Field(
        "",
        pattern=r"^(https?://[A-Za-z0-9.:\[\]-]+/?)?$",
        description="Address by which people reach the service, such as `https://calvinverse.example.net`: links in "
        "warnings begin with it, and no environment gets a certificate for its name; default: warnings have no links",
    )
    identity_providers: Path | None = Field(
        None,
        description="File (TOML) with the OpenID providers by which people sign in, and with the CI systems whose "
        "tokens are exchanged; read again when it changes; default: the provider of a deployed OpenBao alone",
    )
    warning_channels: Path | None = Field(
        None,
        description="File (TOML) with the channels that deliver warnings, and their secrets; read again when it "
        "changes; default: warnings are events alone",
    )
    warning_grace: Duration = Field(
        timedelta(minutes=30),
        le=timedelta(days=1),
        description="How long an environment waits for the delivery of its last warning before it is destroyed; at "
        "most `1d`",
    )
    connections: Path | None = Field(
        None, description="File with the addresses of Consul, OpenBao and Nomad; default: in the state folder"
    )
    templates: Path | None = Field(
        _SHIPPED, description="Folder with templates that the service adds to the catalogue when it starts"
    )
    tofu: str = Field("tofu", description="OpenTofu for modules: its path, or its name on the PATH")
    modules_at_once: int = Field(
        2,
        ge=1,
        le=64,
        description="Runs of OpenTofu in parallel in a process: deployments, plans and observations together; each "
        "takes 150 MB and more",
    )
    providers: Path | None = Field(
        None,
        description="Folder with providers of OpenTofu, in the layout of its `filesystem_mirror`; others "
        "come from their registry",
    )
    git_protocols: str = Field(
        "https,ssh",
        pattern=r"^(https|ssh|http|file)(,(https|ssh|http|file))*$",
        description="Protocols by which templates may be read from git: `https`, `ssh`, `http`, `file`",
    )
    git_credentials: Path | None = Field(
        None,
        description="File with `https://USER:TOKEN@HOST` lines (as `git credential-store` writes it) for repositories "
        "of templates; ssh uses the keys of the service's user",
    )
    departed_owners: Literal["admin", "group", "keep"] = Field(
        "admin",
        description="Who gets the environments of somebody who is disabled and has no successor: `admin`, whoever "
        "disables them; `group`, the local group that they are in, if it is exactly one; or `keep`, nobody",
    )
    deployer: str = Field("", description="Owner of the token that deploy made for its user")
    deployer_token: Annotated[str, AfterValidator(_known_token)] = Field(
        "", description="That token's prefix and SHA-256, separated by a colon"
    )
    log_format: str = Field(
        "", pattern="^(|console|json)$", description="`console`, `json`, or empty: `console` on a terminal"
    )
    keep_logs: Duration = Field(timedelta(days=14), description="How long log lines of steps are kept")
    keep_events: Duration = Field(timedelta(days=90), description="How long other events are kept")
    preview_sweep: Duration = Field(
        timedelta(minutes=10),
        description="How often triggers that make previews are compared with their forges, which finds lost events",
    )
    keep_ended: Duration = Field(timedelta(days=90), description="How long ended environments are kept")
    keep_audit: Duration = Field(timedelta(days=400), description="How long entries of the audit log are kept")

    account_token_lifetime: Duration = Field(
        timedelta(days=90),
        ge=timedelta(hours=1),
        description="How long a token of a service account lives at most",
    )

    hold_above: int = Field(
        10, ge=0, description="Destroys by the clock are held when more environments than this become due at once"
    )
    hold_share: float = Field(
        0.2, ge=0, le=1, description="and they are more than this share of the living ones, and weren't warned early"
    )
    clock_tolerance: Duration = Field(
        timedelta(minutes=5), description="By how much the clocks of the service, the database and Nomad may differ"
    )
    expired_at_once: int = Field(
        64, ge=1, le=10_000, description="Destroys by the clock that are queued or running at once"
    )

    @property
    def data_folder(self) -> Path:
        """Where the database is."""
        return self.data or self.state / "service"

    @property
    def key_file(self) -> Path:
        """Where the sealing key is."""
        return self.sealing_key or self.data_folder / "parameters.key"

    @model_validator(mode="after")
    def _fit(self) -> Self:
        if self.role != "all" and self.database is None:
            raise ValueError("the roles api and worker share a database, so they need CALVINVERSE_DATABASE")
        if self.role != "all" and self.sealing_key is None:
            raise ValueError("the roles api and worker share a key, so they need CALVINVERSE_SEALING_KEY")
        return self


def read_settings(given: Mapping[str, Any], environ: Mapping[str, str] = os.environ) -> Settings:
    """Settings from options (those that are not None), else from variables, else defaults. Raises `InvalidInput`."""
    named = {
        name: environ[PREFIX + name.upper()]
        for name in Settings.model_fields
        if environ.get(PREFIX + name.upper(), "") != ""
    }
    values = named | {name: value for name, value in given.items() if value is not None}
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        faults = "; ".join(
            # What holds between several settings has no place of its own.
            ": ".join(filter(None, (".".join(str(part) for part in fault["loc"]), reason(fault).rstrip("."))))
            for fault in error.errors(include_url=False, include_input=False)
        )
        raise InvalidInput(f"The settings don't fit: {faults}.", hint="See docs/reference/settings.md.") from error
