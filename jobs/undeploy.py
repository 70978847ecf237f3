"""Removes everything that deploy made: other environments if requested, the meta environment, then the files."""

import shutil
from collections.abc import Callable

from environments.client import Client, connect
from environments.context import CONTEXT_FILE, Context, stored_context
from environments.domain.errors import CalvinverseError, Conflict, ServiceUnavailable, UnknownEnvironment
from environments.domain.lifecycle import State
from environments.wire.environments import EnvironmentView
from jobs.deploy import META
from jobs.following import follow
from jobs.local_service import exclusive, local_service
from jobs.places import Places

Tell = Callable[[str], object]


def undeploy(where: Places, tell: Tell, *, destroy_environments: bool = False, force: bool = False) -> bool:
    """Removes the deployment; returns whether there was anything to remove.

    Raises `Conflict` while other environments exist (unless they are to be destroyed first), and `ServiceUnavailable`
    when it is unknown whether any exist (unless `force`: they are removed with their cluster).
    """
    if not where.local.exists():
        return False
    with exclusive(where):
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
        _remove_files(where)
    return True


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


def _remove_files(where: Places) -> None:
    """Removes the files of the deployment. What was built (records of images, tools) stays."""
    context = stored_context(where.state)
    if context is not None and context.token_file == where.token:
        (where.state / CONTEXT_FILE).unlink(missing_ok=True)
    files = where.token, where.local_token, where.local_log, where.local_certificate, where.connections
    for file in (*files, where.authority, where.edge_authority):
        file.unlink(missing_ok=True)
    shutil.rmtree(where.local, ignore_errors=True)
