"""`calvinverse trigger set` and `trigger add`: definitions of triggers, from a file or from options."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from environments.cli.session import Session, command
from environments.cli.small_files import read_text
from environments.cli.triggers import Environment

if TYPE_CHECKING:
    from environments.domain.errors import InvalidTrigger
    from environments.wire.triggers import TriggerView


class Does(StrEnum):
    """What a trigger on an environment does."""

    UPDATE = "update"
    DESTROY = "destroy"
    STOP = "stop"
    START = "start"
    EXTEND = "extend"
    NOTIFY = "notify"


@command(
    "trigger",
    "set",
    more="""
        The file is TOML. A trigger of the same name is replaced. Every fault is told, with its line. It acts for you:
        your rights count when it fires.
    """,
    examples="""
        calvinverse trigger set previews.toml
        calvinverse trigger set stop-when-idle.toml --env demo
    """,
)
def set_trigger(
    session: Session,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Holds one trigger.")],
    environment: Environment = None,
) -> None:
    from environments.domain.errors import InvalidTrigger
    from environments.domain.trigger_file import (
        LARGEST_DEFINITION,
        faults_of,
        invalid_trigger,
        placed,
        read_trigger,
        read_trigger_file,
    )
    from environments.domain.trigger_rules import Place

    text = read_text(file, 4 * LARGEST_DEFINITION)
    definition, faults = read_trigger_file(text, str(file))
    if not faults:
        _, found = read_trigger(definition, Place.ALONE if environment is None else Place.ENVIRONMENT)
        faults = [placed(fault, text, str(file)) for fault in found]
    if faults:
        raise _listed(session, invalid_trigger(faults), [str(fault) for fault in faults], file)
    try:
        view, replaced = _put(session, definition, environment)
    except InvalidTrigger as error:
        faults = [placed(fault, text, str(file)) for fault in faults_of(error)]
        raise _listed(session, error, [str(fault) for fault in faults], file) from None
    _tell_set(session, view, replaced=replaced)


@command(
    "trigger",
    "add",
    more="""
        A trigger on an environment from options; `trigger set` reads all that a trigger can say from a file. --when is
        FIELD=VALUE; other signs: != (is not), ^= (begins with), ~= (matches, * stands for anything).
    """,
    examples="""
        calvinverse trigger add demo end-with-pr --on git.pull_request --kind closed --webhook forge \\
            --repository acme/shop --when number=12 --action destroy
        calvinverse trigger add demo rest --on idle --for 2h --cpu 20 --action stop
        calvinverse trigger add demo job-done --on nomad.job --kind complete --action destroy
    """,
)
def add(
    session: Session,
    environment: Annotated[str, typer.Argument(metavar="ENV", help="The environment, by name or id.")],
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the trigger is called.")],
    on: Annotated[str, typer.Option("--on", metavar="SOURCE", help="Such as git.pull_request, nomad.job, idle.")],
    action: Annotated[Does, typer.Option("--action", help="What it does: update, destroy, stop, start, …")],
    kinds: Annotated[
        list[str] | None, typer.Option("--kind", metavar="KIND", help="What has to happen, such as closed; repeatable.")
    ] = None,
    when: Annotated[
        list[str] | None, typer.Option("--when", metavar="CONDITION", help="On a field of the event; repeatable.")
    ] = None,
    webhook: Annotated[
        str | None, typer.Option("--webhook", metavar="NAME", help="The webhook that tells of it.")
    ] = None,
    repository: Annotated[str | None, typer.Option("--repository", metavar="NAME", help="Such as acme/shop.")] = None,
    by: Annotated[str | None, typer.Option("--by", metavar="DURATION", help="With extend: how much longer.")] = None,
    message: Annotated[str | None, typer.Option("--message", metavar="TEXT", help="With notify: what is said.")] = None,
    idle_for: Annotated[
        str | None, typer.Option("--for", metavar="DURATION", help="On idle: how long it has to be idle.")
    ] = None,
    cpu: Annotated[
        float | None, typer.Option("--cpu", metavar="MHZ", help="On idle: below this much processor time.")
    ] = None,
    bytes: Annotated[
        int | None, typer.Option("--bytes", metavar="NUMBER", help="On idle: below so many bytes a minute.")
    ] = None,
    heartbeat: Annotated[
        bool, typer.Option("--heartbeat", help="On idle: without a heartbeat of the environment.")
    ] = False,
    over: Annotated[float | None, typer.Option("--over", metavar="AMOUNT", help="On cost: the budget.")] = None,
) -> None:
    from environments.domain.errors import InvalidTrigger
    from environments.domain.trigger_file import check_definition, condition_of
    from environments.domain.trigger_rules import Place

    given: dict[str, Any] = {
        "name": name,
        "on": on,
        "action": action.value,
        "kinds": kinds,
        "when": dict(map(condition_of, when or ())),
        "webhook": webhook,
        "repository": repository,
        "by": by,
        "message": message,
        "for": idle_for,
        "cpu": cpu,
        "bytes": bytes,
        "heartbeat": heartbeat or None,
        "over": over,
    }
    definition = {key: value for key, value in given.items() if value not in (None, {}, [])}
    try:
        check_definition(definition, Place.ENVIRONMENT)
        view = session.client.set_trigger(definition, environment)
    except InvalidTrigger as error:
        raise _listed(session, error, list(error.details.get("problems") or ()), None) from None
    _tell_set(session, view, replaced=False)


def _put(session: Session, definition: dict[str, Any], environment: str | None) -> "tuple[TriggerView, bool]":
    """Sets a trigger, or replaces the caller's own of that name; says whether it did."""
    from environments.domain.errors import NameTaken

    try:
        return session.client.set_trigger(definition, environment), False
    except NameTaken as taken:
        known = taken.details.get("trigger")
        if not isinstance(known, str):
            raise
        return session.client.change_trigger(known, definition=definition), True


def _tell_set(session: Session, view: "TriggerView", *, replaced: bool) -> None:
    where = f" on {view.environment}" if view.environment else ""
    done = "was replaced" if replaced else "is set"
    session.show(view, lambda: [f"The trigger {view.name}{where} {done}: {view.action.value} on {view.on.value}."])
    session.say("Next: `calvinverse trigger test FILE` tells what an event would do.")


def _listed(session: Session, error: "InvalidTrigger", problems: list[str], file: Path | None) -> "InvalidTrigger":
    """The error of a definition with its faults one per line, each with the line of the file."""
    from environments.domain.errors import InvalidTrigger

    details = {**error.details, "problems": problems}
    what = "The trigger" if file is None else f"The trigger in {file}"
    if len(problems) < 2 or session.json:
        return InvalidTrigger(f"{what} is not valid: {'; '.join(problems)}.", hint=error.hint, details=details)
    for problem in problems:
        session.say(f"✗ {problem}")
    return InvalidTrigger(f"{what} has {len(problems)} faults.", hint=error.hint, details=details)
