"""What a service can be told: by options of `calvinverse serve` and by variables CALVINVERSE_*."""

import os
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from environments.context import state_folder
from environments.domain.errors import InvalidInput
from environments.domain.template import Duration

PREFIX = "CALVINVERSE_"

_SHIPPED = Path(__file__).parent / "templates"


class Settings(BaseModel):
    """Every setting of the service. The variable of a setting is its name in capitals behind `CALVINVERSE_`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    state: Path = Field(default_factory=state_folder, description="Folder of all state on this machine")
    data: Path | None = Field(None, description="Folder of the database; default: `service` in the state folder")
    host: str = Field("127.0.0.1", description="Address to listen on; beyond loopback TLS is needed")
    port: int = Field(8400, ge=0, le=65535, description="Port to listen on; 0: any free one")
    tls_certificate: Path | None = Field(None, description="PEM file of the certificate and its chain")
    tls_key: Path | None = Field(None, description="PEM file of the certificate's key")
    connections: Path | None = Field(
        None, description="File that says where Consul, OpenBao and Nomad are; default: in the state folder"
    )
    templates: Path | None = Field(
        _SHIPPED, description="Folder whose templates are put into the catalogue when the service starts"
    )
    deployer: str = Field("", description="Owner of the token that deploy made for its user")
    deployer_token: str = Field("", description="That token's prefix and SHA-256, with a colon between")
    log_format: str = Field("", pattern="^(|console|json)$", description="`console`, `json`, or empty: by the terminal")
    keep_logs: Duration = Field(timedelta(days=14), description="How long log lines of steps are kept")
    keep_events: Duration = Field(timedelta(days=90), description="How long other events are kept")
    keep_ended: Duration = Field(timedelta(days=90), description="How long ended environments are kept")

    @property
    def data_folder(self) -> Path:
        """Where the database is."""
        return self.data or self.state / "service"


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
            f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}"
            for fault in error.errors(include_url=False, include_input=False)
        )
        raise InvalidInput(f"The settings don't fit: {faults}.", hint="See docs/reference/settings.md.") from error
