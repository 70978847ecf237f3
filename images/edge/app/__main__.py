"""`python3 -m app`: an edge with the variables that `app.settings` names. SIGHUP: read the certificate again."""

import os
import shutil
import sys

from .caddy import follow, listen, log, start
from .configuration import configuration
from .settings import InvalidSettings, read_settings


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
    for file in (settings.certificate_file, settings.key_file, settings.secret_file):
        if not os.access(file, os.R_OK):
            log(f"{file} can't be read.")
            return 1
    signals = listen()
    wanted = configuration(settings)
    try:
        child = start(program, settings.folder, wanted)
    except OSError as error:
        log(f"Caddy can't be started in {settings.folder}: {error.strerror}.")
        return 1
    return min(abs(follow(child, signals, settings.socket, wanted)), 1)


if __name__ == "__main__":
    sys.exit(main())
