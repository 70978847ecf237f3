"""`python3 -m app`: an edge with the variables that `app.settings` names. SIGHUP: read the certificate again."""

import os
import secrets
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from .caddy import Caddy
from .configuration import Generation, Json, Limits, configuration, places
from .follower import Follower
from .listeners import Listeners
from .process import follow, listen, log
from .service import Service
from .settings import InvalidSettings, Settings, read_settings

FIRST_SECONDS = 20.0
"""How long it waits for the service to say which entry points there are, before it serves without them."""


def main() -> int:
    """Runs until SIGTERM or SIGINT, or until Caddy ends; the exit status: 2 for wrong settings, 1 for what failed."""
    try:
        settings = read_settings(os.environ)
    except InvalidSettings as error:
        log(str(error))
        return 2
    program = shutil.which("caddy")
    if program is None:
        log("There is no program caddy on the PATH.")
        return 1
    for file in _files(settings):
        if not os.access(file, os.R_OK):
            log(f"{file} can't be read.")
            return 1
    signals = listen()
    try:
        listeners = Listeners(places(settings))
    except OSError as error:
        log(f"It can't listen on {settings.host}, port {settings.port}: {error.strerror}.")
        return 1
    limits = Limits()
    follower = None
    if settings.entry_domain:
        follower = Follower(Service(settings, secrets.token_hex(8)), settings.entry_domain)
        follower.first(FIRST_SECONDS)

    def make(generation: Generation) -> Json:
        return configuration(settings, limits, generation, () if follower is None else follower.served)

    caddy = Caddy(program, settings.folder, listeners, make, limits.draining)
    try:
        caddy.start()
    except OSError as error:
        log(f"Caddy can't be started in {settings.folder}: {error.strerror}.")
        return 1
    if follower is not None:
        follower.start(caddy)
    return min(abs(follow(caddy, signals)), 1)


def _files(settings: Settings) -> Iterator[Path]:
    """What has to be readable when it starts."""
    if settings.files is not None:
        yield settings.files.certificate
        yield settings.files.key
    elif settings.acme is not None and settings.acme.ca_file is not None:
        yield settings.acme.ca_file
    yield settings.secret_file
    if settings.web_page is not None:
        yield settings.web_page.secret_file
        if settings.web_page.ca_file is not None:
            yield settings.web_page.ca_file


if __name__ == "__main__":
    sys.exit(main())
