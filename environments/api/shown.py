"""Environments in answers to requests about one of them, with what the caller is for it afterwards."""

from environments.api import presenting
from environments.api.ports import Service
from environments.domain.environment import Environment
from environments.service.authorization import Principal
from environments.service.records import Accepted
from environments.wire import environments


def shown(service: Service, caller: Principal, record: Environment) -> environments.EnvironmentView:
    """An environment as the caller sees it."""
    return presenting.environment(record, standing=service.reading.standing(caller, record))


def taken(service: Service, caller: Principal, result: Accepted) -> environments.Accepted:
    """The answer to a request that was taken."""
    return presenting.accepted(result, service.reading.standing(caller, result.environment))
