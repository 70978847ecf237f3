"""Commands about the service and this machine: `ca`, `doctor`."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from environments.cli.extensions import find_module
from environments.cli.session import Session, command

if TYPE_CHECKING:
    from environments.client import Client


class Finding(NamedTuple):
    """One result of doctor. `verdict`: ok, warn or bad."""

    name: str
    verdict: str
    sentence: str
    hint: str = ""


_SIGNS = {"ok": "✓ ok", "warn": "! warning", "bad": "✗ wrong"}


@command(
    "ca",
    examples="""
        calvinverse ca > ca.pem
        curl --cacert ca.pem "$(calvinverse env outputs demo url)"
    """,
)
def ca(session: Session) -> None:
    found = session.client.ca().strip()
    session.show({"ca": found}, lambda: [found])


@command(
    "doctor",
    more="Changes nothing. A missing service is no fault on a machine that never had one.",
    examples="calvinverse doctor",
)
def doctor(session: Session) -> None:
    from environments.domain.errors import MachineError

    findings = [*_machine(session), *_service(session)]
    session.show([finding._asdict() for finding in findings], lambda: _report(findings))
    wrong = [finding.name for finding in findings if finding.verdict == "bad"]
    if wrong:
        raise MachineError(f"Something is wrong: {', '.join(wrong)}.", hint="Each line above says what to do.")


def _machine(session: Session) -> Iterator[Finding]:
    module = find_module("jobs.doctor")
    if module is None:
        session.say("The machine itself is not checked: that needs a checkout.")
        return
    for check in module.examine_machine():
        yield Finding(check.name, check.verdict, check.sentence, check.hint)


def _service(session: Session) -> Iterator[Finding]:
    from importlib.metadata import version

    from environments.client import Client
    from environments.context import state_folder, stored_context
    from environments.domain.errors import CalvinverseError, ServiceUnavailable, Unauthenticated

    try:
        context = session.context()
        known = bool(context.name) or stored_context(state_folder()) is not None
        try:
            client = session.client
        except Unauthenticated:
            # Without a token the first thing to know is whether a service is there.
            with Client(context.address, None, ca_file=context.ca_file, pinned=context.pinned) as anybody:
                anybody.readiness()
            raise
        info = client.info()
        readiness = client.readiness()
    except ServiceUnavailable as error:
        yield Finding("service", "bad" if known else "warn", error.message, error.hint)
        return
    except CalvinverseError as error:
        yield Finding("service", "bad", error.message, error.hint)
        return
    yield Finding("service", "ok", f"The service at {context.address} answers to {info.owner} ({info.role}).")
    own = version("calvinverse")
    if info.zone_database:
        yield _zones(info.zone_database)
    if _minor(info.version) != _minor(own):
        hint = "Update the older of the two."
        yield Finding("version", "warn", f"The service is of version {info.version}, this command of {own}.", hint)
    if info.role == "admin":
        yield from _channels(client)
    for part, trouble in readiness.problems.items():
        yield Finding(part, "bad", trouble, "See `doit status`, and the log of that backend.")
    for hold, notice in readiness.notices.items():
        hint = f"`calvinverse hold release {hold}` or `calvinverse hold cancel {hold}`, by an admin."
        yield Finding("hold", "warn", notice, hint)


def _channels(client: "Client") -> Iterator[Finding]:
    from environments.domain.errors import UnknownRoute

    try:
        found = client.warning_channels()
    except UnknownRoute:  # an older service
        return
    if found.fault:
        yield Finding("warnings", "bad", found.fault, "The service goes on with what it has read before.")
    for one in found.channels:
        if one.failing:
            sentence = f"Warnings by {one.channel} aren't delivered ({one.failing} of {one.waiting}): {one.fault}."
            yield Finding("warnings", "bad", sentence, "`calvinverse warning test` tries each channel.")
        elif one.configured:
            yield Finding("warnings", "ok", f"Warnings are delivered by {one.channel}.")


def _minor(version: str) -> str:
    return ".".join(re.findall(r"\d+", version)[:2])


def _report(findings: list[Finding]) -> Iterator[str]:
    from environments.cli.tables import table

    rows = ((_SIGNS[finding.verdict], finding.name, finding.sentence) for finding in findings)
    lines = iter(table(("VERDICT", "WHAT", ""), rows))
    yield next(lines)
    for line, finding in zip(lines, findings, strict=True):
        yield line
        if finding.verdict != "ok" and finding.hint:
            yield f"           → {finding.hint}"


def _zones(database: str) -> Finding:
    if database == "none":
        hint = "Install the package tzdata where the service runs."
        return Finding("zones", "bad", "The service has no database of time zones.", hint)
    return Finding("zones", "ok", f"The service reads time zones from the zone database {database}.")
