"""The ports of a deployment that is to be the first in its state folder, looked at before anything is built for it."""

import os
from collections.abc import Mapping
from datetime import datetime

from jobs.edge import EdgeChoice, edge_parameters, first_unprivileged_port
from jobs.places import Places
from jobs.ports import Block
from jobs.taken_ports import check_ports
from jobs.web_page import web_page_parameters

_IMAGE = "not built yet"


def check_first_ports(
    where: Places,
    ports: Block | None,
    edge: EdgeChoice,
    database: str,
    page_port: int | None,
    existing: Mapping[str, str],
    now: datetime,
) -> None:
    """Raises `PortTaken` if another program has a port of that deployment; `InvalidInput` for what can't be.

    `ports`: None for the usual ones; `page_port`: the one of the web page, if it is to have another; `existing`:
    addresses by part, empty for those that deploy starts. Where something was deployed before, deploy itself looks.
    """
    if os.path.lexists(where.local) or os.path.lexists(where.agents):
        return
    wanted = edge_parameters(edge, _IMAGE, None, now, first_unprivileged_port())
    service, ui = (None, None) if ports is None else (ports.service, ports.ui)
    parameters = {
        **wanted,
        **web_page_parameters(wanted, _IMAGE, service, None, ui, page_port),
        **({} if ports is None else {"port": ports.service, "ports": ports.agents, "database_port": ports.database}),
        **{f"{part}_address": address for part, address in existing.items()},
        "database": database,
    }
    check_ports(where, parameters, None)
