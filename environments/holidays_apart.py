"""Reads a holiday calendar in a process of its own, whose time is limited. For programs with several threads.

The process prints one JSON object: `days`, or `message` and `hint`.
"""

import json
import subprocess
import sys
from datetime import date
from pathlib import Path

from environments.domain.errors import CalvinverseError, InvalidInput
from environments.domain.timing import Holiday
from environments.holidays import read_holidays

_LONGEST = 120.0
"""Seconds for the process, which limits its processor time to less."""


def read_apart(file: Path, today: date) -> list[Holiday]:
    """The days in a file, as `read_holidays` gives them. Raises `InvalidInput`, also if it can't be read."""
    command = [sys.executable, "-P", "-m", __name__, str(file), today.isoformat()]
    try:
        ended = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_LONGEST, check=True)
        told = json.loads(ended.stdout)
    except (subprocess.SubprocessError, ValueError) as error:
        raise InvalidInput(f"{file} can't be read.", hint="Use a file with fewer events and simpler rules.") from error
    if "message" in told:
        raise InvalidInput(told["message"], hint=told["hint"])
    return [Holiday.model_validate(day) for day in told["days"]]


def _main(file: str, today: str) -> dict[str, object]:
    hint = "Give the path of an iCalendar file (.ics), or of a list with a day in each line."
    try:
        found = read_holidays(Path(file), date.fromisoformat(today))
    except CalvinverseError as error:
        return {"message": error.message, "hint": error.hint}
    except OSError as error:
        return {"message": f"{file} can't be read: {error.strerror or error}.", "hint": hint}
    return {"days": [day.model_dump(mode="json") for day in found]}


if __name__ == "__main__":
    print(json.dumps(_main(*sys.argv[1:])))
