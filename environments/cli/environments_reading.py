"""`calvinverse env`: commands that only read."""

import contextlib
from typing import TYPE_CHECKING, Annotated

import typer

from environments.cli.events import newest_events, stored_events
from environments.cli.options import Name
from environments.cli.session import Session, command

if TYPE_CHECKING:
    from collections.abc import Iterator

    from environments.domain.environment import Event
    from environments.wire.environments import EnvironmentView


@command(
    "env",
    "list",
    examples="""
        calvinverse env list
        calvinverse env list --ended --owner ada
        calvinverse env list --shared
        calvinverse env list -o json | jq -r '.[].name'
        calvinverse env list --outputs -o json | jq -r '.[].outputs.url.value'
    """,
)
def list_environments(
    session: Session,
    ended: Annotated[bool, typer.Option("--ended", help="Also those that are gone.")] = False,
    owner: Annotated[str | None, typer.Option("--owner", metavar="NAME", help="Only this owner's.")] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, max=1000, help="Only so many, the newest.")] = None,
    outputs: Annotated[bool, typer.Option("--outputs", help="Add the outputs of each (with -o json).")] = False,
    mine: Annotated[bool, typer.Option("--mine", help="Only what you, or a group of yours, owns.")] = False,
    shared: Annotated[bool, typer.Option("--shared", help="Only what others share with you.")] = False,
) -> None:
    from environments.cli.environment_tables import listing
    from environments.domain.errors import InvalidInput

    if mine and shared:
        raise InvalidInput("Give --mine or --shared, not both.", hint="Without them the list has both.")
    views = session.client.environments(
        ended=ended,
        owner=owner,
        limit=limit,
        outputs=outputs and session.json,
        whose="mine" if mine else "shared" if shared else None,
    )
    if session.json:
        session.print_json([view.model_dump(exclude=None if outputs else {"outputs"}) for view in views])
    else:
        session.show(views, lambda: listing(views, session.now()))
    if limit is not None and len(views) == limit and not session.json:
        session.say("There may be more: leave --limit out to see all.")
    if not views and not session.json and owner is not None:
        session.say(f"There are no environments of {owner} that you may see.")
    elif not views and not session.json and shared:
        session.say("Nobody shares an environment with you.")
    elif not views and not session.json:
        session.say("There are no environments. Make one: `calvinverse env create NAME --template web`.")


@command("env", "show", examples="calvinverse env show demo")
def show(
    session: Session,
    name: Name,
    resources: Annotated[bool, typer.Option("--resources", "-r", help="Also the inventory.")] = False,
) -> None:
    from environments.cli.environment_tables import details, inventory

    view = session.client.environment(name)
    if not resources:
        session.show(view, lambda: details(view, session.zone, session.now()))
        return
    found = session.client.resources(view.id)
    if session.json:
        session.print_json({**view.model_dump(), "resources": found})
        return
    for line in (*details(view, session.zone, session.now()), *inventory(found)):
        session.print(line)


@command(
    "env",
    "outputs",
    more="""
        With the name of an output only its value is printed, for use in scripts: a text as it is, with a line feed
        behind it, anything else as JSON.
    """,
    examples="""
        calvinverse env outputs demo
        calvinverse env outputs demo --reveal
        curl --cacert ca.pem "$(calvinverse env outputs demo url)"
    """,
)
def outputs(
    session: Session,
    name: Name,
    only: Annotated[str | None, typer.Argument(metavar="[OUTPUT]", help="Only this one.")] = None,
    reveal: Annotated[bool, typer.Option("--reveal", help="Show secrets; the audit log notes it.")] = False,
) -> None:
    from environments.cli.environment_tables import output_lines
    from environments.domain.errors import NotFound
    from environments.domain.suggesting import told

    found = session.client.outputs(name, reveal=reveal)
    if only is None:
        session.show(found, lambda: output_lines(found))
        if not found and not session.json:
            session.say(f"There are no outputs. See how far it is with `calvinverse env show {name}`.")
        return
    if only not in found:
        raise NotFound(
            told(f"The environment {name!r} has no output {only!r}.", only, found),
            hint=f"It has: {', '.join(found)}." if found else "It has none yet; outputs appear when it is ready.",
        )
    value = found[only].value
    if session.json or not isinstance(value, str):
        session.print_json(value)
    else:
        session.print_exactly(value)


@command(
    "env",
    "logs",
    examples="""
        calvinverse env logs demo
        calvinverse env logs demo -f
        calvinverse env logs demo --step app --tail 50
        calvinverse env logs demo --containers
        calvinverse env logs demo --job web --task app --follow
    """,
)
def logs(
    session: Session,
    name: Name,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Continue until the environment is gone, or Ctrl-C.")
    ] = False,
    step: Annotated[
        str | None, typer.Option("--step", metavar="STEP", help="Only lines of this step; `env show` lists the steps.")
    ] = None,
    tail: Annotated[
        int | None,
        typer.Option("--tail", "--last", "-n", min=0, metavar="N", help="Only the last lines; of a container 200."),
    ] = None,
    containers: Annotated[
        bool, typer.Option("--containers", help="List the containers, whose logs --job, --task and --alloc show.")
    ] = False,
    job: Annotated[str | None, typer.Option("--job", metavar="JOB", help="What a container of this job wrote.")] = None,
    task: Annotated[
        str | None, typer.Option("--task", metavar="TASK", help="What the container of this task wrote.")
    ] = None,
    alloc: Annotated[
        str | None,
        typer.Option("--alloc", metavar="ID", help="Of this allocation, by the beginning of its id; else the newest."),
    ] = None,
) -> None:
    from environments.domain.environment import EventType
    from environments.domain.errors import InvalidInput
    from environments.domain.lifecycle import ENDED

    of_containers = containers or any(one is not None for one in (job, task, alloc))
    if of_containers and step is not None:
        raise InvalidInput("Give --step for what a step wrote, or --job, --task, --alloc for what a container wrote.")
    if containers:
        from environments.cli.container_logs import show_containers

        show_containers(session, name)
        return
    if of_containers:
        from environments.cli.container_logs import show_container_log

        show_container_log(session, name, job=job, task=task, allocation=alloc, last=tail, follow=follow)
        return
    client = session.client
    view = client.environment(name)
    lines: list[Event] = []
    steps: set[str] = set()
    last, ended = 0, view.state in ENDED

    def wanted(event: "Event") -> bool:
        if event.step is not None:
            steps.add(event.step)
        return event.type is EventType.LOG and step in (None, event.step)

    if tail is None:
        for event in stored_events(client, view.id, last):
            last, ended = event.id, ended or _is_end(event)
            if wanted(event):
                _write_log(session, event)
    else:
        for event in newest_events(client, view.id):
            last, ended = max(last, event.id), ended or _is_end(event)
            if len(lines) >= tail:
                break
            if wanted(event):
                lines.append(event)
        for event in reversed(lines):
            _write_log(session, event)
    if step is not None and step not in steps:
        _check_step(session, view, step, steps)
    if not steps and not follow and not session.json:
        session.say(f"No step has written anything yet. Next: `calvinverse env watch {view.name}`.")
    # Whatever has ended has no more events to wait for.
    if follow and not ended:
        for event in _live(session, view.id, last):
            if wanted(event):
                _write_log(session, event)


@command(
    "env",
    "watch",
    more="Without a name: everything that happens, until Ctrl-C. With -o json one event a line.",
    examples="""
        calvinverse env watch demo
        calvinverse env watch -o json
    """,
)
def watch(
    session: Session,
    name: Annotated[
        str | None,
        typer.Argument(metavar="[NAME]", help="An environment, by name or id; `id:…` and `name:…` say which."),
    ] = None,
) -> None:
    from environments.cli.progress import check_succeeded
    from environments.domain.lifecycle import ENDED_DEPLOYMENTS

    client = session.client
    if name is None:
        for event in _live(session, None, None):
            _write_event(session, event)
        return
    view = client.environment(name)
    running = view.deployment
    if running is not None and running.state not in ENDED_DEPLOYMENTS:
        for event in _live(session, view.id, 0):
            _write_event(session, event)
            if event.deployment_id in (None, running.id) and event.type.value.endswith(".state"):
                running = client.deployment(running.id)
                if running.state in ENDED_DEPLOYMENTS:
                    # Events that were stored before the end, but have not arrived yet, are shown as well.
                    for late in stored_events(client, view.id, event.id):
                        _write_event(session, late)
                    break
    else:
        session.say("No deployment is running; the last one has ended.")
    if running is not None:
        check_succeeded(running)


def _check_step(session: Session, view: "EnvironmentView", step: str, logged: "set[str]") -> None:
    """Raises `NotFound` for a step that the environment has never had. A step without log lines is fine."""
    from environments.domain.errors import NotFound, UnknownTemplate
    from environments.domain.suggesting import told

    known = dict.fromkeys(part.name for part in (view.deployment.steps if view.deployment is not None else ()))
    if step in known:
        return
    with contextlib.suppress(UnknownTemplate):  # a deployment has no steps until it runs
        known |= dict.fromkeys(part.name for part in session.client.template(view.template, view.bundle).steps)
    known |= dict.fromkeys(sorted(logged))
    if step not in known:
        raise NotFound(
            told(f"The environment {view.name!r} has no step {step!r}.", step, known),
            hint=f"It has: {', '.join(known)}." if known else f"See `calvinverse env show {view.name}`.",
        )


def _write_event(session: Session, event: "Event") -> None:
    from environments.cli.environment_tables import event_line

    if session.json:
        session.print_json(event, one_line=True)
    else:
        session.print(event_line(event, session.zone))


def _write_log(session: Session, event: "Event") -> None:
    from environments.moments import time_of_day
    from environments.words import clean

    if session.json:
        session.print_json(event, one_line=True)
        return
    step = f"{event.step}: " if event.step else ""
    for line in clean(event.message).splitlines() or [""]:
        session.print(f"{time_of_day(event.at, session.zone)} {step}{line}")


def _is_end(event: "Event") -> bool:
    """Whether an environment has ended with that."""
    from environments.domain.environment import EventType
    from environments.domain.lifecycle import ENDED

    return event.type is EventType.ENVIRONMENT_STATE and event.data.get("state") in ENDED


def _live(session: Session, environment_id: str | None, after: int | None) -> "Iterator[Event]":
    """Live events until the environment has ended; reports when the connection is lost and restored."""
    from environments.client import Connected, Disconnected

    away = False
    stream = session.client.events(after, environment_id)
    try:
        for item in stream:
            if isinstance(item, Disconnected):
                if not away:
                    session.say(f"… {item.error.message} Trying again.")
                away = True
            elif isinstance(item, Connected):
                if away:
                    session.say("… the service is back.")
                away = False
            else:
                yield item
                if environment_id is not None and _is_end(item):
                    return
    finally:
        stream.close()
