"""Access: marked in the list, shown in the detail, shared and unshared by dialogs, refused before it is asked."""

from datetime import timedelta

from textual.widgets import Button, Checkbox, Input, Select

from environments.domain.access import EnvironmentRole, PersonKind
from environments.domain.errors import Forbidden
from environments.wire.access import ShareRequest
from tests.fakes.plans import NOW
from tests.support.in_process.client import InProcessClient
from tests.support.tui_driver import Driver, drive
from tests.support.tui_scenes import ready
from tests.support.views import environment_id, environment_view
from tui import live
from tui.bars import AwayBanner, TopBar
from tui.dialogs import RevealDialog
from tui.environment_detail import DetailScreen
from tui.environment_list import ListScreen
from tui.sharing_dialogs import ShareDialog, UnshareDialog

NAME = "checkout-fix"
ID = environment_id(NAME)


def _service(owner: str = "ada") -> InProcessClient:
    client = InProcessClient(ready().model_copy(update={"owner": owner}), environment_view("mine"))
    with client.service.database.write() as tx:
        for name in ("ada", "bob", "grace"):
            tx.people.keep(name, PersonKind.UNCLAIMED, NOW, "root")
    return client


def _as_user(client: InProcessClient, name: str) -> InProcessClient:
    made = client.service.tokens.create_token(client.service.admin, name, "user")
    client._http.headers["Authorization"] = f"Bearer {made.secret}"
    client.calls.clear()
    return client


def _shared(role: EnvironmentRole, reveal: bool = False) -> InProcessClient:
    client = _service("grace")
    client.share(NAME, ShareRequest(subject="ada", role=role, reveal=reveal))
    return _as_user(client, "ada")


def _changes(driver: Driver) -> list[tuple[object, ...]]:
    return [call for call in driver.client.calls if call[0] in ("share", "unshare", "destroy", "outputs", "observe")]


async def _detail(driver: Driver) -> None:
    view = driver.app.known[ID]
    driver.app.open_detail(view)
    await driver.until_screen(DetailScreen)
    await driver.until(lambda: "owner" in driver.static("#access"), "access")


def test_the_list_marks_what_is_somebody_elses_and_shows_the_role_where_there_is_room() -> None:
    async def script(driver: Driver) -> None:
        await driver.until(lambda: driver.app.me, "who it is")
        await driver.until_text("⇢ grace")
        assert "⇢ ada" not in driver.text()
        assert "Your role" in driver.text()
        assert "planner" in driver.text()
        assert "ada, user" in str(driver.screen.query_one(TopBar).render())
        driver.app.action_command_palette()
        await driver.until(lambda: driver.screen.id == "--command-palette" or driver.screen.query("CommandInput"))
        await driver.write("Who am I")
        await driver.until_text("Who am I")

    drive(script, _shared(EnvironmentRole.PLANNER), size=(140, 30))


def test_what_the_role_does_not_allow_is_refused_before_it_is_asked_for() -> None:
    async def script(driver: Driver) -> None:
        await driver.press("S")
        takes = "you are viewer of checkout-fix, and this takes the role"
        assert driver.said()[-1] == f"Share: {takes} owner. Ask grace."
        await driver.press("D")
        assert driver.said()[-1] == f"Destroy: {takes} owner. Ask grace."
        assert isinstance(driver.screen, ListScreen)
        await _detail(driver)
        assert "your role viewer" in driver.static("#header")
        await driver.press("v")
        assert driver.said()[-1].startswith(f"Reveal secrets: {takes} owner, or a share that lets reveal.")
        await driver.press("i")
        assert driver.said()[-1] == f"Check for drift: {takes} planner. Ask grace."
        assert isinstance(driver.screen, DetailScreen)
        assert _changes(driver) == []

    drive(script, _shared(EnvironmentRole.VIEWER))


def test_it_is_shared_by_a_dialog_that_says_what_follows_and_the_detail_shows_it() -> None:
    async def script(driver: Driver) -> None:
        await _detail(driver)
        await driver.until(lambda: "Shared with nobody" in driver.static("#access"), "no share")
        await driver.press("S")
        await driver.until_screen(ShareDialog)
        fields = {field.key: field.control() for field in driver.screen.query("FormField")}  # type: ignore[attr-defined]
        assert driver.screen.query_one("#go", Button).disabled
        await driver.write("bob")
        await driver.until(lambda: "bob will be viewer of checkout-fix." in driver.static("#outcome"), "what follows")
        until = fields["until"]
        assert isinstance(until, Input)
        until.value = "soon"
        await driver.until(lambda: driver.screen.query_one("#go", Button).disabled, "the refusal")
        until.value = "2d"
        role, reveal = fields["role"], fields["reveal"]
        assert isinstance(role, Select)
        assert isinstance(reveal, Checkbox)
        role.value = 2
        reveal.value = True
        wanted = "bob will be operator of checkout-fix, with its secrets until Wed 25 Nov 10:00 CET"
        await driver.until(lambda: wanted in driver.static("#outcome"), "all of it")
        driver.client.refuse = Forbidden("Not you.", hint="Ask somebody.")
        driver.screen.query_one("#go", Button).press()
        await driver.until(lambda: "Not you." in driver.static("#problem"), "the refusal of the service")
        driver.screen.query_one("#go", Button).press()
        await driver.until_screen(DetailScreen)
        request = ShareRequest(subject="bob", role=EnvironmentRole.OPERATOR, reveal=True, ttl="2d", until=None)
        assert _changes(driver)[-1] == ("share", ID, request)
        await driver.until(lambda: "operator, reveals secrets, until Wed 25 Nov" in driver.static("#access"), "share")
        assert driver.static("#access-title") == "Access — shared with 1"
        await driver.press("a")
        await driver.until_text("bob")

    drive(script, _service())


def test_a_share_is_ended_by_a_dialog() -> None:
    client = _service()
    client.share(NAME, ShareRequest(subject="bob"))
    client.share(NAME, ShareRequest(subject="everyone"))

    async def script(driver: Driver) -> None:
        await driver.press("N")
        await driver.until_screen(UnshareDialog)
        await driver.until(lambda: driver.screen.query(Select), "the shares")
        assert driver.screen.query_one("#go", Button).disabled
        driver.screen.query_one(Select).value = 0
        await driver.until(lambda: not driver.screen.query_one("#go", Button).disabled, "the choice")
        driver.screen.query_one("#go", Button).press()
        await driver.until_screen(ListScreen)
        (call,) = [call for call in driver.client.calls if call[0] == "unshare"]
        assert driver.said()[-1] == f"{NAME} is no longer shared with {call[2]}."

    drive(script, client)


def test_who_ends_their_own_share_leaves_and_what_showed_it_closes() -> None:
    async def script(driver: Driver) -> None:
        await _detail(driver)
        await driver.press("N")
        await driver.until_screen(UnshareDialog)
        await driver.until(lambda: not driver.screen.query_one("#go", Button).disabled, "one's own share")
        assert "You may not see it any more then." in driver.static("#outcome")
        driver.screen.query_one("#go", Button).press()
        await driver.until_screen(ListScreen)
        assert ID not in driver.app.known
        assert f"You don't see {NAME} any more." in driver.said()
        assert f"{NAME} is gone, or you don't see it any more." in driver.said()

    drive(script, _shared(EnvironmentRole.OPERATOR))


def test_an_ended_session_says_what_to_do_hides_secrets_and_continues_after_a_new_one() -> None:
    client = _shared(EnvironmentRole.VIEWER, reveal=True)
    client.keep_secret(NAME, "password", "correct horse")
    service = client.service

    async def script(driver: Driver) -> None:
        await _detail(driver)
        await driver.press("v")
        await driver.until_screen(RevealDialog)
        driver.screen.query_one("#go", Button).press()
        await driver.until_screen(DetailScreen)
        await driver.until(lambda: "correct horse" in driver.static("#outputs"), "the secret")
        (token,) = (one for one in service.tokens.list(service.admin) if one.owner == "ada" and one.role == "user")
        service.tokens.revoke(service.admin, token.id)
        driver.app.live.reload()
        await driver.until(lambda: driver.app.connection.signed_out, "the end")
        await driver.until(lambda: "correct horse" not in driver.static("#outputs"), "its masking")
        assert driver.screen.query_one(AwayBanner).display
        assert "Sign in with `calvinverse login`" in driver.static("#away")
        assert "The TUI then continues by itself." in driver.static("#away")
        await driver.until_text("✗ signed out")
        await driver.press("ctrl+r")
        assert driver.said()[-1].startswith("You aren't signed in: ")
        _as_user(client, "ada")
        await driver.until(lambda: driver.app.connection.here, "the new session")
        assert "You are signed in again." in driver.said()

    live.RECONNECT, before = 0.05, live.RECONNECT
    try:
        drive(script, client, size=(120, 40))
    finally:
        live.RECONNECT = before


def test_an_end_that_is_over_is_shown_as_over() -> None:
    client = _service()
    client.share(NAME, ShareRequest(subject="bob", until=NOW + timedelta(minutes=1)))

    async def script(driver: Driver) -> None:
        await _detail(driver)
        await driver.until(lambda: "until Mon 23 Nov 10:01 CET, by ada" in driver.static("#access"), "the end")

    drive(script, client)
