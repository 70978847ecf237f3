"""The settings of the web page: variables that begin with `CALVINVERSE_UI_`."""

import os
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from environments.domain.errors import InvalidInput
from environments.domain.reasons import reason

PREFIX = "CALVINVERSE_UI_"


class UiSettings(BaseModel):
    """Every setting of the web page. The variable of a setting is its name in capitals behind `CALVINVERSE_UI_`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = Field("127.0.0.1", description="Address that the web page listens on")
    port: int = Field(8401, ge=0, le=65535, description="Port that it listens on")
    certificate_file: Path | None = Field(None, description="Its certificate with its chain (PEM); none: without TLS")
    key_file: Path | None = Field(None, description="The key of that certificate (PEM)")
    service: str = Field("https://127.0.0.1:8400", description="Address of the service")
    service_ca_file: Path | None = Field(None, description="The authority that signed the service's certificate (PEM)")
    service_name: str = Field("", description="The name in that certificate; empty: the host of the address")
    address: str = Field("", description="The address by which people reach the page; empty: the one that they asked")
    assets: Path | None = Field(None, description="Folder of the files of others that browsers get: htmx and Pico")


def read_settings(environ: Mapping[str, str] = os.environ) -> UiSettings:
    """Settings from variables, else defaults. Raises `InvalidInput`."""
    named = {
        name: environ[PREFIX + name.upper()]
        for name in UiSettings.model_fields
        if environ.get(PREFIX + name.upper(), "") != ""
    }
    try:
        return UiSettings.model_validate(named)
    except ValidationError as error:
        faults = "; ".join(
            f"{PREFIX}{str(fault['loc'][0]).upper()}: {reason(fault).rstrip('.')}"
            for fault in error.errors(include_url=False, include_input=False)
        )
        raise InvalidInput(f"The settings don't fit: {faults}.", hint="See docs/reference/settings.md.") from error
