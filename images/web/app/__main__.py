"""`python -m app`: see `app.settings` for the flags and variables."""

import os
import sys

from .server import log, serve
from .settings import read_settings

settings = read_settings(sys.argv[1:], os.environ)
try:
    serve(settings)
except OSError as error:
    log(f"can't listen on {settings.address}:{settings.port}: {error}")
    sys.exit(1)
