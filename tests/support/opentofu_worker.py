"""A worker to kill: applies a module in a process of its own, as its standard input says."""

import json
import sys
from pathlib import Path

from environments.domain.errors import CalvinverseError
from environments.providers.opentofu.module import OpenTofuModule
from environments.providers.opentofu.ports import StateAccess
from tests.fakes.backends.module_states import MemoryModuleKeys
from tests.support.opentofu_harness import ALPHA, FolderRunRecords, HandedBackend, StoppableRun, context, tofu_at


def main() -> None:
    """Says `done`, or the code of the error."""
    given = json.load(sys.stdin)
    base = Path(given["base"])
    keys = MemoryModuleKeys()
    keys.keys[ALPHA.id] = given["key"]
    backend = HandedBackend(StateAccess(*given["access"]), base)
    executor = OpenTofuModule(tofu_at(base), backend, keys, FolderRunRecords(base / "records"))
    try:
        executor.apply(context(given["things"], given["names"]), StoppableRun(lease=given["lease"]))
    except CalvinverseError as error:
        print(error.code)
    else:
        print("done")


if __name__ == "__main__":
    main()
