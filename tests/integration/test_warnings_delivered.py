"""A service as a process of its own warns by a real mail server, and its link extends once. No cluster is needed."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from environments.domain.template import make_bundle
from environments.providers.local_cluster.agents.patience import wait_for
from environments.wire.environments import CreateRequest
from tests.support.receivers import Mailbox, hook_server, mail_server
from tests.support.service_process import ServiceProcess

SECRET = "whsec_QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo="
TEMPLATE = """
[template]
name = "short"
version = "1"

[lifetime]
warn = ["1h"]
extend = "2h"

[[steps]]
name = "key"
uses = "consul.kv"
with = { keys = { greeting = "hello" } }
"""


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with mail_server() as running:
        yield running


@pytest.fixture
def channels(mailbox: Mailbox, tmp_path: Path) -> Path:
    file = tmp_path / "channels.toml"
    file.write_text(
        f"[email]\nhost = '127.0.0.1'\nport = {mailbox.port}\nsecurity = 'none'\n"
        "from = 'calvinverse@example.net'\nto = 'grace@example.net'\n"
    )
    return file


@pytest.fixture
def service(channels: Path, tmp_path: Path) -> Iterator[ServiceProcess]:
    made = ServiceProcess(tmp_path / "state", CALVINVERSE_WARNING_CHANNELS=str(channels))
    made.environment["CALVINVERSE_EXTERNAL_ADDRESS"] = made.address
    try:
        made.start()
        made.client.push(make_bundle({"template.toml": TEMPLATE.encode()}))
        yield made
    finally:
        made.stop()


def test_mail_arrives_and_its_link_extends_once(service: ServiceProcess, mailbox: Mailbox) -> None:
    service.client.create(CreateRequest(name="demo", template="short", ttl="1h10s"))
    [mail] = mailbox.wait()
    assert mail["To"] == "grace@example.net"
    [link] = re.findall(r"^http\S+", mail.get_content(), re.MULTILINE)
    before = service.client.environment("demo").deadline
    assert before is not None
    with httpx2.Client(trust_env=False, timeout=60) as browser:
        assert "Extend demo?" in browser.get(link).text
        assert service.client.environment("demo").deadline == before
        assert "demo is extended" in browser.post(link).text
        after = service.client.environment("demo").deadline
        assert after is not None
        assert (after - before).total_seconds() == 2 * 3600
        assert browser.post(link).status_code == 410
    assert service.client.environment("demo").deadline == after
    token = link.partition("token=")[2]
    assert not [half for half in token.split(".") if half in service.log.read_text()]
    assert len(mailbox.mails) == 1


def test_who_is_killed_between_sending_and_recording_sends_it_again_with_the_same_id(
    service: ServiceProcess, mailbox: Mailbox
) -> None:
    mailbox.before_answer = service.kill
    service.client.create(CreateRequest(name="demo", template="short", ttl="1h10s"))
    mailbox.wait()
    assert wait_for(lambda: not service.running, 120)
    mailbox.before_answer = lambda: None
    service.start()
    first, second = mailbox.wait(2)
    assert first["Message-ID"] == second["Message-ID"]
    warnings = service.client.environment("demo").warnings
    [mailed] = [warning for warning in warnings if warning.channel == "email"]
    assert mailed.attempts == 2
    service.stop()
    service.start()
    assert len(mailbox.mails) == 2


def test_channels_are_tried_on_request(service: ServiceProcess, channels: Path, mailbox: Mailbox) -> None:
    with hook_server() as hook:
        text = channels.read_text()
        channels.write_text(f"{text}[webhook]\nurl = '{hook.address}/in'\nsecret = '{SECRET}'\n")
        found = {one.channel: one.fault for one in service.client.test_warnings()}
        assert found == {"email": "", "webhook": ""}
        assert len(hook.received) == 1
        assert mailbox.mails[0]["Subject"] == "Calvinverse: a test warning"
        channels.write_text("this is no TOML")
        assert "isn't TOML" in service.client.warning_channels().fault
        assert {one.channel for one in service.client.test_warnings()} == {"email", "webhook"}
