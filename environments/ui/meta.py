"""The service itself: its health, workers, holds, and the channels of warnings."""

from starlette.responses import Response

from environments.domain.errors import NotFound
from environments.ui import rooms
from environments.ui.asking import Ask, Field, pages_of
from environments.ui.listing import (
    Button,
    Cell,
    Choice,
    Code,
    Column,
    Facts,
    Link,
    Table,
    sign,
    table,
    to_environment,
    told,
)
from environments.ui.visit import Visit
from environments.wire.deployments import WorkerView
from environments.wire.holds import CancelHoldRequest, HoldView, ReleaseHoldRequest
from environments.wire.warnings import ChannelView, TestDeliveryView
from environments.words import Sign

_WORKERS: tuple[Column[WorkerView], ...] = (
    Column("Name", lambda one: Code(one.name)),
    Column("State", lambda one: sign("alive", "good", "●") if one.alive else sign("gone", "gone", "○")),
    Column("Host", lambda one: one.host),
    Column("Version", lambda one: one.version),
    Column("Runs", lambda one: len(one.running)),
    Column("At once", lambda one: ", ".join(f"{lane} {count}" for lane, count in one.slots.items())),
    Column("Since", lambda one: one.started_at),
    Column("Last heard of", lambda one: one.seen_at),
)
_CHANNELS: tuple[Column[ChannelView], ...] = (
    Column("Channel", lambda one: one.channel),
    Column("State", lambda one: _state_of_channel(one)),
    Column("Waiting", lambda one: one.waiting),
    Column("Failing", lambda one: one.failing),
    Column("Fault", lambda one: one.fault),
)
_DELIVERIES: tuple[Column[TestDeliveryView], ...] = (
    Column("Channel", lambda one: one.channel),
    Column("To", lambda one: one.recipient),
    Column("State", lambda one: sign("failed", "bad", "✗") if one.fault else sign("delivered", "good", "✓")),
    Column("Fault", lambda one: one.fault),
)
_HOLDS: tuple[Column[HoldView], ...] = (
    Column("Hold", lambda one: Link(one.id, f"/holds/{one.id}")),
    Column("Kind", lambda one: one.kind.value),
    Column("State", lambda one: _state_of_hold(one)),
    Column("Environments", lambda one: one.environments),
    Column("Why", lambda one: one.reason),
    Column("Since", lambda one: one.opened_at),
    Column("Decided by", lambda one: one.decided_by),
)


def _state_of_hold(one: HoldView) -> Sign:
    return sign("open", "warn", "!") if one.decision is None else sign(one.decision.value, "gone")


def _state_of_channel(one: ChannelView) -> Sign:
    if not one.configured:
        return sign("removed", "gone", "○")
    return sign("failing", "bad", "✗") if one.failing else sign("works", "good", "●")


def health(visit: Visit) -> Response:
    """Whether the service can do its work, and what keeps it from that."""
    info, ready = visit.client.info(), visit.client.readiness()
    problems: list[list[Cell]] = [[name, sign("away", "bad", "✗"), text] for name, text in ready.problems.items()]
    problems += [[name, sign("to decide", "warn", "!"), text] for name, text in ready.notices.items()]
    state = sign("ready", "good", "●") if ready.ready else sign("not ready", "bad", "✗")
    return told(
        visit,
        "Service",
        [
            Facts(
                [
                    ("State", state),
                    ("Version", info.version),
                    ("Since", info.started_at),
                    ("Its clock", info.now),
                    ("Time zones", info.zone_database),
                    ("Kinds of steps", ", ".join(info.step_kinds)),
                ]
            ),
            Table(["What", "State", "Why"], problems, "Nothing is wrong.", "What is wrong"),
            Table(["Part", "Address"], [[name, Code(at)] for name, at in info.parts.items()], "None.", "Parts"),
        ],
        beside=rooms.SERVICE,
        buttons=[Button("The authority's certificate", "/service/ca.pem")],
    )


def authority(visit: Visit) -> Response:
    """The certificate of the authority that signs environments' certificates."""
    headers = {"Content-Disposition": 'attachment; filename="calvinverse-ca.pem"', "X-Content-Type-Options": "nosniff"}
    return Response(visit.client.ca(), media_type="application/x-pem-file", headers=headers)


def workers(visit: Visit) -> Response:
    """What carries out deployments."""
    found = visit.client.workers()
    return told(visit, "Workers", [table(_WORKERS, found, "No worker is known.")], beside=rooms.SERVICE)


def channels(visit: Visit) -> Response:
    """By what warnings are delivered (admins)."""
    found = visit.client.warning_channels()
    return told(
        visit,
        "Channels of warnings",
        [
            Facts([("The configuration can't be used", found.fault)]),
            table(_CHANNELS, found.channels, "No channel is configured: docs/how-to/warnings.md says how."),
        ],
        beside=rooms.SERVICE,
        buttons=[Button("Send a test warning", "/channels/test")],
    )


def _trying(visit: Visit) -> Ask:
    return Ask("warning.test", "Send a test warning", ["Each channel delivers one, to you where it can."], "/channels")


def _try(visit: Visit) -> Response:
    found = visit.client.test_warnings()
    return told(
        visit,
        "Test warnings",
        [table(_DELIVERIES, found, "No channel is configured.")],
        up=Link("Channels of warnings", "/channels"),
    )


def holds(visit: Visit) -> Response:
    """Pauses of destroys by the clock."""
    found = visit.client.holds(ended=visit.asked("ended") == "1")
    return told(
        visit,
        "Holds",
        [table(_HOLDS, found, "Nothing is held: the clock destroys what is due.")],
        intro="A hold keeps the clock from destroying environments until an admin has decided.",
        beside=rooms.SERVICE,
        filters=(Choice("ended", "Which", (("", "open ones"), ("1", "also those that have ended"))),),
    )


def hold(visit: Visit) -> Response:
    """One hold, with some of what it holds."""
    one = _hold(visit)
    over = "" if one.decision is None else "it has ended"
    return told(
        visit,
        f"Hold {one.id}",
        [
            Facts(
                [
                    ("Kind", one.kind.value),
                    ("Why", one.reason),
                    ("Since", one.opened_at),
                    ("Holds", one.environments),
                    ("Decided", one.decision.value if one.decision else sign("not yet", "warn", "!")),
                    ("By", one.decided_by),
                    ("Because", one.decision_reason),
                    ("At", one.decided_at),
                ]
            ),
            Table(["Environment"], [[to_environment(name)] for name in one.names], "None.", "Some of them"),
        ],
        up=Link("Holds", "/holds"),
        buttons=[
            Button("Release", f"/holds/{one.id}/release", over, danger=True),
            Button("Keep them", f"/holds/{one.id}/cancel", over),
        ],
    )


def _hold(visit: Visit) -> HoldView:
    for one in visit.client.holds(ended=True):
        if one.id == visit.params["id"]:
            return one
    raise NotFound(f"There is no hold {visit.params['id']}.", hint="See the list of holds.")


def _releasing(visit: Visit) -> Ask:
    one = _hold(visit)
    return Ask(
        "hold.release",
        f"Release {one.id}",
        [f"The clock destroys the {one.environments} environments that it holds.", one.reason],
        f"/holds/{one.id}",
        [
            Field("environments", "How many that are", typed=str(one.environments)),
            Field("reason", "Reason", required=True),
        ],
        danger=True,
    )


def _release(visit: Visit) -> None:
    asked = ReleaseHoldRequest(reason=visit.typed("reason"), environments=int(visit.typed("environments")))
    visit.client.release_hold(visit.params["id"], asked)


def _keeping(visit: Visit) -> Ask:
    one = _hold(visit)
    return Ask(
        "hold.cancel",
        f"Keep what {one.id} holds",
        [f"The deadlines of {one.environments} environments move."],
        f"/holds/{one.id}",
        [
            Field("keep_for", "For how long from now", value="24h", help="A duration such as 24h or 3d."),
            Field("reason", "Reason", required=True),
        ],
        "Keep them",
    )


def _keep(visit: Visit) -> None:
    asked = CancelHoldRequest(reason=visit.typed("reason"), keep_for=visit.typed("keep_for").strip())
    visit.client.cancel_hold(visit.params["id"], asked)


PAGES = (
    ("GET", "/service", health),
    ("GET", "/service/ca.pem", authority),
    ("GET", "/workers", workers),
    ("GET", "/channels", channels),
    *pages_of("/channels/test", _trying, _try),
    ("GET", "/holds", holds),
    ("GET", "/holds/{id}", hold),
    *pages_of("/holds/{id}/release", _releasing, _release),
    *pages_of("/holds/{id}/cancel", _keeping, _keep),
)
