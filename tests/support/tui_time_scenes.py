"""Situations of what decides about time: rules, policies, holiday calendars, channels of warnings, holds."""

from datetime import date, timedelta

from environments.domain.lifecycle import State
from environments.domain.timing import Holiday, Scope, TimedAction
from environments.service.channels import Channel, Target
from environments.service.expiry import Expiry
from environments.wire.timing import CalendarRequest, PolicyRequest, RuleRequest
from tests.fakes.channels import MemoryChannels
from tests.fakes.plans import NOW
from tests.support.in_process.client import InProcessClient
from tests.support.tui_scenes import ready
from tests.support.views import environment_view

EVENING = "0 19 * * 1-5 Europe/Berlin"


def put_rules(client: InProcessClient) -> None:
    """The environment `checkout-fix` has a rule of its own and one of a policy."""
    client.add_rule("checkout-fix", RuleRequest(action=TimedAction.STOP, rule=EVENING))
    friday = RuleRequest(rule="0 20 * * 5 Europe/Berlin")
    client.set_policy(Scope.OWNER, "ada", PolicyRequest(rules=(friday,)))


def put_policies(client: InProcessClient) -> None:
    """A policy for the template `web`, and a holiday calendar that it refers to."""
    days = ((2026, 12, 25, "Christmas"), (2026, 12, 26, "Christmas"), (2027, 4, 27, "King's Day"))
    holidays = tuple(Holiday(day=date(year, month, day), title=title) for year, month, day, title in days)
    client.set_calendar("nl", CalendarRequest(days=holidays))
    stop = RuleRequest(action=TimedAction.STOP, rule=EVENING)
    start = RuleRequest(action=TimedAction.START, rule="0 8 * * 1-5 Europe/Berlin except nl")
    client.set_policy(Scope.TEMPLATE, "web", PolicyRequest(rules=(stop, start), maximum="14d"))


def put_channels(client: InProcessClient) -> None:
    """Channels that deliver e-mail, and no Slack: the warning of an environment that ends in 12 minutes waits."""
    channels = MemoryChannels(Target(Channel.EMAIL, "grace@example.net"), Target(Channel.SLACK))
    channels.faults[Channel.SLACK] = "The Slack webhook answered 404."
    warnings = client.service.warnings
    warnings._channels = channels
    client.put(client.views["demo-friday"].model_copy(update={"warned": False, "warn_at": client.now}))
    warnings.queue_due()
    for channel in warnings.channels_due():
        warnings.deliver(channel, 10)


def put_hold(client: InProcessClient, count: int = 11) -> None:
    """So many more environments became due at once, nobody was warned of them, and their destroys are held."""
    for number in range(count):
        client.put(environment_view(f"held-{number:02}", State.READY, deadline=NOW - timedelta(seconds=number)))
    Expiry(client.service.database, lambda: NOW, lambda kind: f"{kind}-{'a' * 12}").destroy_due()


def ruled() -> InProcessClient:
    """A service with one environment, to which two rules apply."""
    client = InProcessClient(ready())
    put_rules(client)
    return client
