"""The log of a container in the terminal UI: choosing it, and following it."""

from environments.domain.containers import Stream
from tests.support.tui_driver import Driver, drive
from tests.support.tui_scenes import everything
from tui.container_log_dialog import ContainerLogDialog
from tui.environment_detail import DetailScreen

SECOND = "0b0b0b0b-0000-0000-0000-000000000002"


async def _open(driver: Driver, name: str) -> None:
    driver.app.open_detail(next(view for view in driver.app.known.values() if view.name == name))
    await driver.until_screen(DetailScreen)


def test_the_newest_container_is_shown_and_followed_and_another_one_is_chosen() -> None:
    client = everything()
    first, second = client.service.run("checkout-fix"), client.service.run("checkout-fix", allocation=SECOND, minutes=1)
    client.service.containers.write(first, "of the first\n")
    client.service.containers.write(second, "hello\n")
    client.service.containers.write(second, "wrong\x1b[2J\n", Stream.STDERR)

    async def script(driver: Driver) -> None:
        await _open(driver, "checkout-fix")
        await driver.press("J")
        await driver.until_screen(ContainerLogDialog)
        await driver.until_text("out        hello")
        await driver.until_text("err        wrong")
        await driver.until_text("running, 0 restarts")
        client.service.containers.write(second, "one more\n")
        client.service.containers.end(second)
        await driver.until_text("one more")
        await driver.until_text("Nothing more will come.")
        await driver.press("enter", "down", "enter")
        await driver.until_text("of the first")

    drive(script, client, size=(120, 40))
