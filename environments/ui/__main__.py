"""`python -m environments.ui`: serves the web page until SIGTERM or SIGINT."""

import sys

from environments.domain.errors import CalvinverseError
from environments.ui.serving import run
from environments.ui.settings import read_settings


def main() -> int:
    """The exit status: 2 for settings that don't fit."""
    try:
        run(read_settings())
    except CalvinverseError as error:
        print(f"{error.message} {error.hint}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
