"""`python -m images.toolchain [ensure|list|clean|shares]`."""

import argparse
import sys
from pathlib import Path

from environments.domain.errors import CalvinverseError
from environments.exit_statuses import exit_status
from images.report import console, size
from images.toolchain import DEPLOYED, NAMES, TESTS_ONLY, ensure, find_all
from images.toolchain.clean import Cleaning, removable
from images.toolchain.find import Found
from images.toolchain.needs import Builders, task_for
from images.toolchain.shares import write_shares


def main(arguments: list[str] | None = None) -> int:
    """Run one command and give its exit status: that of the error, or 0."""
    parser = argparse.ArgumentParser(prog="python -m images.toolchain", description="The pinned tools of Calvinverse.")
    commands = parser.add_subparsers(dest="command", required=True)
    known = [*NAMES, *TESTS_ONLY]
    build = commands.add_parser("ensure", help="build what is neither on the PATH nor in the cache")
    build.add_argument(
        "names", nargs="*", metavar="tool", help=f"some of {', '.join(known)}; without, all that a deployment needs"
    )
    commands.add_parser("list", help="show each tool: where it is, or how to get it")
    commands.add_parser("shares", help="keep what builds of this cache took, for estimates; after one from nothing")
    clean = commands.add_parser("clean", help="remove what building left behind, after asking")
    clean.add_argument("--yes", action="store_true", help="don't ask")
    given = parser.parse_args(arguments)
    try:
        if given.command == "ensure":
            if unknown := set(given.names) - set(known):
                parser.error(f"no such tool: {', '.join(sorted(unknown))}; there are {', '.join(known)}")
            for name, path in ensure(given.names or DEPLOYED, console()).items():
                print(f"{name}\t{path}")
        elif given.command == "list":
            show()
        elif given.command == "shares":
            for name, share in sorted(write_shares().items()):
                print(f"{name}\t{share.processor_seconds:.1f} s\t{share.packages} packages")
        else:
            offer(removable(), agreed=given.yes)
    except CalvinverseError as error:
        print(f"{error.message}\n{error.hint}", file=sys.stderr)
        return exit_status(type(error))
    except KeyboardInterrupt:
        print("Stopped; what was being built is not kept.", file=sys.stderr)
        return 130
    return 0


def show() -> None:
    """Print a line for each tool: name, version, origin, and path or what is missing."""
    builders = Builders.detect()
    for tool, found in find_all().items():
        if isinstance(found, Found):
            print(f"{tool.name}\t{found.version}\t{found.origin}\t{found.path}")
        else:
            lack = builders.lack(tool)
            print(f"{tool.name}\t{tool.pinned}\tmissing\t{lack or f'will be built by `{task_for(tool)}`'}")


def offer(things: list[Cleaning], *, agreed: bool) -> None:
    """Show what can be removed, ask unless `agreed`, and remove it."""
    if not things:
        print("There is nothing to remove.")
        return
    for thing in things:
        print(f"{size(thing.bytes):>10}  {thing.what}  {_places(thing.folders)}")
    if not agreed:
        if not sys.stdin.isatty():
            print("Nothing was removed; say --yes to remove it without being asked.")
            return
        answer = input("Remove all of this? Other Go projects will download and compile again. [y/N] ")
        agreed = answer.strip().lower() in ("y", "yes")
    if not agreed:
        print("Nothing was removed.")
        return
    for thing in things:
        thing.remove()
        print(f"Removed: {thing.what}")


def _places(folders: tuple[Path, ...]) -> str:
    return ", ".join(map(str, folders))


if __name__ == "__main__":
    sys.exit(main())
