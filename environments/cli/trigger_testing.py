"""`calvinverse trigger test`: what an event would do."""

from pathlib import Path
from typing import Annotated, Any

import typer

from environments.cli.session import Session, command
from environments.cli.small_files import parsed, read_object

_LARGEST = 200 * 1024
"""Bytes of an event or of a delivery."""


@command(
    "trigger",
    "test",
    more="""
        The file is JSON. It holds an event: an object with source, kind, fields, and what else counts of origin,
        subject and environment. With --webhook it holds a recorded delivery, {"headers": …, "body": …}, which needs no
        signature. Tells of triggers and environments that you see.
    """,
    examples="""
        calvinverse trigger test closed.json
        calvinverse trigger test delivery.json --webhook forge
        calvinverse trigger test closed.json --env shop-pr-12
    """,
)
def try_out(
    session: Session,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="An event, or a recorded delivery, as JSON.")],
    webhook: Annotated[
        str | None, typer.Option("--webhook", metavar="NAME", help="The file holds a delivery to this webhook.")
    ] = None,
    environment: Annotated[
        str | None, typer.Option("--env", metavar="NAME", help="Only what would happen to this environment.")
    ] = None,
) -> None:
    from pydantic import ValidationError

    from environments.cli.trigger_tables import tried_lines
    from environments.domain.errors import InvalidInput
    from environments.domain.reasons import reason
    from environments.wire.triggers import TriggerTestRequest

    told = read_object(file, _LARGEST)
    given: dict[str, Any] = {} if environment is None else {"only": environment}
    if webhook is not None:
        body = told.get("body")
        given["delivery"] = {**told, "webhook": webhook, "body": parsed(body, file) if isinstance(body, str) else body}
    elif "headers" in told and "source" not in told:
        raise InvalidInput(
            f"{file} holds a recorded delivery.", hint=f"Say to which webhook: `trigger test {file} --webhook NAME`."
        )
    else:
        given["event"] = told
    try:
        request = TriggerTestRequest.model_validate(given)
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, one['loc'][1:4]))}: {reason(one, 'an object')}" for one in error.errors()[:10]]
        raise InvalidInput(
            f"{file} is not {'an event' if webhook is None else 'a delivery'}: {'; '.join(faults)}.",
            hint="See `calvinverse trigger test --help`.",
            details={"problems": faults},
        ) from None
    found = session.client.test_triggers(request)
    session.show(found, lambda: tried_lines(found))
    if not session.json:
        session.say("Nothing was done. Next: `calvinverse trigger list` shows your triggers.")
