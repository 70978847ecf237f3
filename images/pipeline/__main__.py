"""The pipeline without a task graph: `python -m images.pipeline build [NAME…] [--push HOST:PORT] [--anew]`.

For a build agent, and for users without doit. Standard output gets the reference of each pushed image, a line
each; progress goes to standard error. Exit status 0, or that of the error (9: this machine lacks something).
"""

import argparse
import sys
from collections.abc import Sequence

from environments.domain.errors import CalvinverseError
from environments.exit_statuses import exit_status
from images.catalogue.push import push
from images.interrupts import STOPPED, handle_signals
from images.pipeline.builder import Builder
from images.report import console


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; its exit status."""
    parser = argparse.ArgumentParser(prog="python -m images.pipeline", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    build = commands.add_parser("build", help="build images whose inputs changed, and their parents")
    build.add_argument("names", nargs="*", metavar="NAME", help="images; all when none is named")
    build.add_argument("--push", metavar="HOST:PORT", help="push each of them to this registry afterwards")
    build.add_argument("--anew", action="store_true", help="build them even if they exist")
    given = parser.parse_args(arguments)
    handle_signals()
    report = console()
    try:
        builder = Builder(anew=given.anew)
        for record in builder.each(given.names or None, report):
            if given.push:
                reference = push(builder.catalogue, record, given.push)
                report(f"{record.image}: pushed as {reference}")
                print(reference, flush=True)
    except CalvinverseError as error:
        report(f"error: {error.message}  [{error.code}]")
        if error.hint:
            report(f"hint:  {error.hint}")
        return exit_status(type(error))
    except KeyboardInterrupt:
        report("Stopped.")
        return STOPPED
    return 0


if __name__ == "__main__":
    sys.exit(main())
