"""The checks of `calvinverse doctor` for this machine and its deployment. The command line imports this by name."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from environments.authorities import read_authorities
from environments.context import state_folder
from environments.domain.errors import InvalidInput
from images import machine
from jobs.places import Places
from jobs.status import listeners

_SOON = timedelta(days=180)
"""How long before its end an authority is warned of: it can't be replaced in place."""

_REPLACE = 'Deploy anew before it ends: docs/how-to/operate.md, "How long authorities last".'


def examine_machine() -> list[machine.Check]:
    """Makes every check. The ports of the present deployment are expected to be in use."""
    state = state_folder()
    if not state.is_dir():
        return machine.examine([])
    where = Places(state)
    return [*machine.examine(listeners(where)), *authority(where, datetime.now(UTC))]


def authority(where: Places, now: datetime) -> Iterator[machine.Check]:
    """When the authority of the deployed service's certificate ends; nothing if there is none."""
    try:
        ends = min(found.valid_until for found in read_authorities(where.authority.read_text(encoding="ascii")))
    except FileNotFoundError:
        return
    except (OSError, UnicodeDecodeError, InvalidInput):
        yield machine.Check(
            "authority", "bad", f"{where.authority} can't be read.", "`.venv/bin/doit deploy` writes it again."
        )
        return
    until = f"{ends:%Y-%m-%d}"
    if ends <= now:
        yield machine.Check("authority", "bad", f"The authority of this deployment ended on {until}.", _REPLACE)
    elif ends <= now + _SOON:
        yield machine.Check("authority", "warn", f"The authority of this deployment ends on {until}.", _REPLACE)
    else:
        yield machine.Check("authority", "ok", f"The authority of this deployment is valid until {until}.")
