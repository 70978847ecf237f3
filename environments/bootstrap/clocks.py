"""The clocks that the leader compares before it destroys by the clock."""

from ipaddress import ip_address
from urllib.parse import urlsplit

from environments.bootstrap.parts import now
from environments.engine.clock_check import ClockCheck, FileBeats, Told, Witness, boot_id
from environments.providers.backend.health import BackendHealth
from environments.settings import Settings
from environments.stores.database import Database

_FILE = "clock-marks"


def clock_check(settings: Settings, database: Database, health: BackendHealth) -> ClockCheck:
    """Compares the machine's clock with those of Nomad and of the database's server."""

    def nomad() -> Told | None:
        found = health.clock("nomad")
        return None if found is None else Told(found[1], _elsewhere(found[0]))

    def server() -> Told | None:
        moment = database.now()
        return None if moment is None else Told(moment, _elsewhere(settings.database or ""))

    witnesses = [Witness("Nomad", nomad, lambda: health.knows("nomad"))]
    if database.shared:
        witnesses.append(Witness("the database", server))
    return ClockCheck(
        database,
        now,
        witnesses=witnesses,
        boot=boot_id(),
        identity=database.identity,
        beats=FileBeats(settings.data_folder / _FILE),
        tolerance=settings.clock_tolerance,
    )


def _elsewhere(address: str) -> bool:
    """Whether an address is that of another machine, as far as it tells."""
    host = urlsplit(address).hostname or "localhost"
    try:
        return not ip_address(host).is_loopback
    except ValueError:
        return host != "localhost"
