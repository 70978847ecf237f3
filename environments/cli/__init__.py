"""`calvinverse`: the command line, one module per group. Standard output is data, standard error is talk."""

import sys


def main() -> None:
    """The entry point: runs the command line and exits with its status."""
    try:
        from environments.cli.program import run

        sys.exit(run(sys.argv[1:]))
    except KeyboardInterrupt:  # while modules are imported; 128 + SIGINT
        sys.exit(130)
