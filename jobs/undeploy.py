"""Removes everything that deploy made: other environments if requested, the meta environment, then the files."""

import os
import sys
from collections.abc import Callable

from environments.belongings import (
    free_locks,
    is_marked,
    is_own_token,
    refuse_others,
    remaining,
    remove_own,
    unmark,
)
from environments.client import Client, connect
from environments.context import CONTEXT_FILE, Context, stored_context
from environments.domain.errors import (
    CalvinverseError,
    Conflict,
    MachineError,
    ServiceUnavailable,
    UnknownEnvironment,
)
from environments.domain.lifecycle import State
from environments.kept_files import NotKept, read_object
from environments.private_files import discard
from environments.shared_places import renew_claims
from environments.state_origin import refuse_copy
from environments.wire.environments import EnvironmentView
from images.commands import run
from jobs.deploy import META
from jobs.following import follow
from jobs.local_service import exclusive, local_service
from jobs.places import Places

Tell = Callable[[str], object]

AGENTS = {"consul": "consul", "vault": "openbao", "nomad": "nomad"}
"""What the connections call each part of a cluster, and the folder of its agent if deploy has started it."""

CLEAN_UP = "environments.providers.local_cluster.agents.clean_up"
"""The program that removes those agents."""

CLEAN_UP_SECONDS = 600.0
"""Time limit in seconds for it."""


def undeploy(where: Places, tell: Tell, *, destroy_environments: bool = False, force: bool = False) -> bool:
    """Removes the deployment; returns whether there was anything to remove.

    Raises `Conflict` while other environments exist (unless they are to be destroyed first), and `ServiceUnavailable`
    when it is unknown whether any exist (unless `force`: they are removed with their cluster). With `force`, what runs
    on this machine is also removed when the local service can't do it, and so is what is in the place of a lock's
    file. Raises `MachineError` in a folder that nothing was deployed from, and in a copy of a deployment's: it leads to
    the original's services.
    """
    exists = os.path.lexists(where.local) or os.path.lexists(where.agents)
    if not exists and not where.left_containers.exists():
        return False
    refuse_others(where.state)
    refuse_copy(where.state, forced=force)
    if force:
        free_locks(where.state)
    with exclusive(where):
        renew_claims(where.state)  # later the cluster's id is gone
        try:
            if exists:
                _undeploy(where, tell, destroy_environments, force)
        except (CalvinverseError, OSError) as error:
            if not force:
                raise
            tell(f"The local service can't remove the deployment: {getattr(error, 'message', str(error))}")
            tell("What runs on this machine is removed without it.")
            _remove_agents(where, tell)
        else:
            if force and where.agents.exists():  # the database knows nothing of them
                _remove_agents(where, tell)
        _remove_files(where, tell)
        if where.left_containers.exists():
            _remove_left_containers(where, tell)
        if not where.left_containers.exists():
            unmark(where.state)
    return True


def _undeploy(where: Places, tell: Tell, destroy_environments: bool, force: bool) -> None:
    """Removes the meta environment, by the local service."""
    if not where.local.exists():
        raise MachineError(
            f"The local service's database {where.local} is missing.",
            hint="Remove what runs on this machine with `doit undeploy --force`.",
        )
    with local_service(where) as local:
        try:
            meta: EnvironmentView | None = local.environment(META)
        except UnknownEnvironment:
            meta = None
        if meta is not None and meta.state is not State.DESTROYED:
            if not force and meta.state is not State.DESTROYING and meta.state is not State.DESTROY_FAILED:
                _clear(where, meta, tell, destroy_environments)
            tell("Removing the meta environment.")
            _destroy(local, tell)


def _remove_agents(where: Places, tell: Tell) -> None:
    """Removes the agents that deploy started, with all that is in them; names others. Raises `MachineError`."""
    others = _existing(where)
    command = [sys.executable, "-m", CLEAN_UP, str(where.state)]
    ended = run(command, limit=CLEAN_UP_SECONDS, on_line=lambda line: tell(f"  {line}"))
    if ended.status != 0 or ended.timed_out:
        raise MachineError(
            f"Not all could be removed: {ended.tail[-1] if ended.tail else ended.reason()}",
            hint="Repeat `doit undeploy --force` when that is fixed.",
        )
    if others:
        tell(f"What was made in {', '.join(others)}, which deploy didn't start, stays there.")


def _remove_left_containers(where: Places, tell: Tell) -> None:
    """Tries once more, or for the first time after an undeploy while the engine was away."""
    _remove_agents(where, tell)
    if where.left_containers.exists():
        tell(
            "Containers of jobs may stay: the container engine doesn't answer. Run `doit undeploy` again when it does."
        )


def _existing(where: Places) -> list[str]:
    """The parts of the cluster that deploy didn't start."""
    try:
        used = read_object(where.connections)
    except NotKept:
        return []
    return [name for part, name in AGENTS.items() if used.get(part) and not (where.agents / name).exists()]


def _clear(where: Places, meta: EnvironmentView, tell: Tell, destroy: bool) -> None:
    """Makes sure that no other environment exists."""
    if meta.state is State.FAILED and "address" not in meta.outputs:
        return  # the service never ran, so no other environment can exist
    context = stored_context(where.state) or Context(token_file=where.token)
    with connect(context.without_edge()) as deployed:
        try:
            others = [found for found in deployed.environments() if found.managed_by is None]
        except ServiceUnavailable as error:
            raise ServiceUnavailable(
                f"It is unknown whether other environments exist: {error.message}",
                hint="Bring the service back with `doit deploy`, or remove all with `doit undeploy --force`.",
            ) from error
        if not others:
            return
        names = ", ".join(f"{found.name} ({found.state.value}, {found.owner})" for found in others)
        if not destroy:
            raise Conflict(
                f"Other environments exist: {names}.",
                hint="Destroy them first, or let `doit undeploy --destroy-environments` do it.",
            )
        for found in others:
            deployed.destroy(found.name, reason="undeploy")
        for found in others:
            tell(f"Destroying {found.name}.")
            follow(deployed, found.id, frozenset({State.DESTROYED}), tell)


def _destroy(local: Client, tell: Tell) -> None:
    try:
        local.destroy(META, reason="undeploy")
    except CalvinverseError as error:
        if error.code != "not_allowed_now":
            raise
    follow(local, META, frozenset({State.DESTROYED}), tell)


def _remove_files(where: Places, tell: Tell) -> None:
    """Removes the files of the deployment. What was built (records of images, tools) stays, and what isn't ours."""
    try:
        context = stored_context(where.state)
        ours = context is not None and context.token_file == where.token
    except CalvinverseError:
        ours = True  # damaged, so nobody can use it
    if ours:
        discard(where.state / CONTEXT_FILE)
    files = (
        *(where.local_token, where.local_log, where.local_certificate, where.local_process),
        *(where.connections, where.authority, where.edge_authority),
    )
    for file in files:
        discard(file)
    left = [*remove_own(where.state, where.local.name), *remaining(where.state)]
    if is_marked(where.state) or is_own_token(where.token):
        discard(where.token)
    else:
        left.append(where.token)
    for path in dict.fromkeys(left):
        tell(f"{path} stays: deploy didn't make it.")
