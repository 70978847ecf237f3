"""Channels of warnings: one contract for the twin in memory, a real mail server, and receivers of webhooks."""

import contextlib
import json
import ssl
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from environments.domain.environment import Environment
from environments.domain.lifecycle import State
from environments.providers.channels.configured import ConfiguredChannels
from environments.service.channels import Channel, Channels, NotDelivered, Target, WarningMessage
from tests.fakes.channels import MemoryChannels
from tests.support.authorities import make_authority
from tests.support.receivers import hook_server, mail_server

NOW = datetime(2026, 11, 27, 9, tzinfo=UTC)
LINK = "https://calvinverse.example.net/extend?token=abc.def"
AUTHORITY = make_authority("channels")
SECRET = "whsec_" + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo="


def message(**changes: object) -> WarningMessage:
    values = {
        "id": "warn-1",
        "environment": "demo",
        "environment_id": "env-1",
        "owner": "grace",
        "template": "web",
        "deadline": NOW + timedelta(hours=1),
        "now": NOW,
        "reason": "grace set this deadline",
        "link": LINK,
        "extension": "8h",
    }
    return WarningMessage(**{**values, **changes})  # type: ignore[arg-type]


def environment(owner: str = "grace") -> Environment:
    return Environment(
        id="env-1",
        name="demo",
        owner=owner,
        template="web",
        template_version="1",
        bundle="sha256:0",
        state=State.READY,
        state_since=NOW,
        created_at=NOW,
        deadline=NOW + timedelta(hours=1),
    )


class Receiving:
    """The channels under test, the texts that arrived, and how to make the receiver refuse."""

    def __init__(self, channels: Channels, texts: Callable[[], list[str]], refuse: Callable[[], None]) -> None:
        self.channels = channels
        self.texts = texts
        self.refuse = refuse


@pytest.fixture(params=["memory", "email", "webhook", "slack"])
def receiving(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Receiving]:
    with contextlib.ExitStack() as ending:
        if request.param == "memory":
            memory = MemoryChannels(Target(Channel.EMAIL, "grace@example.net"))

            def refuse() -> None:
                memory.faults[Channel.EMAIL] = "no"

            def kept() -> list[str]:
                return [f"{one.environment} {one.link} {one.id}" for _, one in memory.delivered]

            yield Receiving(memory, kept, refuse)
            return
        file = tmp_path / "channels.toml"
        if request.param == "email":
            mailbox = ending.enter_context(mail_server())
            file.write_text(
                f"[email]\nhost = '127.0.0.1'\nport = {mailbox.port}\nsecurity = 'none'\n"
                "from = 'calvinverse@example.net'\nto = 'grace@example.net'\n"
            )

            def mails() -> list[str]:
                return [f"{mail['Message-ID']} {mail.get_content()}" for mail in mailbox.mails]

            def refuse_mail() -> None:
                mailbox.refuse = "451 later"

            yield Receiving(ConfiguredChannels(file), mails, refuse_mail)
            return
        hook = ending.enter_context(hook_server())
        secret = f"secret = '{SECRET}'\n" if request.param == "webhook" else ""
        file.write_text(f"[{request.param}]\nurl = '{hook.address}/in'\n{secret}")

        def bodies() -> list[str]:
            return [f"{one.body.decode()} {one.headers.get('webhook-id', 'warn-1')}" for one in hook.received]

        def refuse_hook() -> None:
            hook.status = 503

        yield Receiving(ConfiguredChannels(file), bodies, refuse_hook)


def test_it_delivers_to_its_targets_with_link_and_id(receiving: Receiving) -> None:
    [target] = receiving.channels.targets(environment())
    assert list(receiving.channels.configured()) == [target.channel]
    assert list(receiving.channels.test_targets()) == [target]
    receiving.channels.send(target, message())
    [text] = receiving.texts()
    assert "demo" in text
    assert LINK in text
    assert "warn-1" in text


def test_what_is_refused_is_told(receiving: Receiving) -> None:
    receiving.refuse()
    [target] = receiving.channels.targets(environment())
    with pytest.raises(NotDelivered) as told:
        receiving.channels.send(target, message())
    assert str(told.value)
    assert LINK not in str(told.value)


def test_a_channel_that_is_not_configured_delivers_nothing(tmp_path: Path) -> None:
    (tmp_path / "channels.toml").write_text("")
    channels = ConfiguredChannels(tmp_path / "channels.toml")
    assert list(channels.targets(environment())) == []
    for target in (Target(Channel.EMAIL, "grace@example.net"), Target(Channel.WEBHOOK), Target(Channel.SLACK)):
        with pytest.raises(NotDelivered, match="isn't configured"):
            channels.send(target, message())


def tls_context(folder: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(AUTHORITY.sign(folder / "server.pem", "localhost", "127.0.0.1"))
    return context


@pytest.fixture
def ca(tmp_path: Path) -> Path:
    (tmp_path / "ca.pem").write_text(AUTHORITY.pem)
    return tmp_path / "ca.pem"


def email(folder: Path, **settings: object) -> ConfiguredChannels:
    values = {"host": "localhost", "from": "calvinverse@example.net", "to": "grace@example.net", **settings}
    lines = "".join(f"{name} = {json.dumps(str(v) if isinstance(v, Path) else v)}\n" for name, v in values.items())
    (folder / "channels.toml").write_text(f"[email]\n{lines}")
    return ConfiguredChannels(folder / "channels.toml")


MAIL = Target(Channel.EMAIL, "grace@example.net")


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_mail_goes_over_verified_tls(tmp_path: Path, ca: Path, security: str) -> None:
    with mail_server(tls_context(tmp_path), implicit=security == "tls") as mailbox:
        email(tmp_path, port=mailbox.port, security=security, ca_file=ca).send(MAIL, message())
        [mail] = mailbox.mails
        assert mail["Subject"] == "demo will be destroyed in 1h"
        assert mail["Auto-Submitted"] == "auto-generated"
        assert mailbox.envelopes == [("calvinverse@example.net", ["grace@example.net"])]
        with pytest.raises(NotDelivered, match="certificate isn't trusted"):
            email(tmp_path, port=mailbox.port, security=security).send(MAIL, message())


def test_a_password_goes_over_tls_and_is_in_no_fault(tmp_path: Path, ca: Path) -> None:
    with mail_server(tls_context(tmp_path), password="open sesame") as mailbox:
        settings = {"port": mailbox.port, "user": "calvin", "ca_file": ca}
        email(tmp_path, **settings, password="open sesame").send(MAIL, message())
        assert mailbox.logins == [("calvin", "open sesame")]
        assert len(mailbox.mails) == 1
        with pytest.raises(NotDelivered, match="535") as refused:
            email(tmp_path, **settings, password="wrong horse").send(MAIL, message())
        assert "horse" not in str(refused.value)
        assert len(mailbox.mails) == 1


def test_a_certificate_for_another_name_is_refused(tmp_path: Path, ca: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(AUTHORITY.sign(tmp_path / "other.pem", "mail.example.org"))
    with mail_server(context) as mailbox, pytest.raises(NotDelivered, match="certificate isn't trusted"):
        email(tmp_path, port=mailbox.port, ca_file=ca).send(MAIL, message())


def test_without_starttls_nothing_is_sent(tmp_path: Path) -> None:
    with mail_server() as mailbox:
        with pytest.raises(NotDelivered, match="STARTTLS"):
            email(tmp_path, port=mailbox.port).send(MAIL, message())
        assert mailbox.mails == []


def test_a_server_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(NotDelivered, match="there is no connection to the mail server localhost"):
        email(tmp_path, port=9).send(MAIL, message())


@pytest.mark.parametrize("host", ["mail..example.net", f"{'a' * 64}.example.net"])
def test_a_name_that_no_server_can_have_is_told(tmp_path: Path, host: str) -> None:
    file = tmp_path / "channels.toml"
    file.write_text(f"[email]\nhost = '{host}'\nfrom = 'a@example.net'\nto = 'b@example.net'\n")
    with pytest.raises(NotDelivered, match="can't be the name of a mail server"):
        ConfiguredChannels(file).send(Target(Channel.EMAIL, "b@example.net"), message())


def test_a_redirect_is_not_followed(tmp_path: Path) -> None:
    with hook_server() as hook, hook_server() as other:
        hook.status, hook.headers = 307, {"Location": f"{other.address}/elsewhere"}
        (tmp_path / "channels.toml").write_text(f"[slack]\nurl = '{hook.address}/services/T0/B0/hidden'\n")
        with pytest.raises(NotDelivered, match="307; redirects aren't followed") as told:
            ConfiguredChannels(tmp_path / "channels.toml").send(Target(Channel.SLACK), message())
        assert "hidden" not in str(told.value)
        assert other.received == []


def test_a_webhook_needs_a_certificate_that_is_trusted(tmp_path: Path, ca: Path) -> None:
    with hook_server(tls_context(tmp_path)) as hook:
        text = f"[webhook]\nurl = '{hook.address}/in'\nsecret = '{SECRET}'\n"
        file = tmp_path / "channels.toml"
        file.write_text(text)
        with pytest.raises(NotDelivered, match="isn't trusted"):
            ConfiguredChannels(file).send(Target(Channel.WEBHOOK), message())
        file.write_text(f"{text}ca_file = '{ca}'\n")
        ConfiguredChannels(file).send(Target(Channel.WEBHOOK), message())
        assert len(hook.received) == 1


def test_a_large_answer_is_cut(tmp_path: Path) -> None:
    with hook_server() as hook:
        hook.answer = b"x" * 20_000_000
        (tmp_path / "channels.toml").write_text(f"[slack]\nurl = '{hook.address}/in'\n")
        ConfiguredChannels(tmp_path / "channels.toml").send(Target(Channel.SLACK), message())


def test_the_file_is_read_again_and_a_wrong_one_changes_nothing(tmp_path: Path) -> None:
    channels = email(tmp_path, security="none", host="127.0.0.1")
    assert list(channels.targets(environment())) == [MAIL]
    (tmp_path / "channels.toml").write_text("[email]\nhost = 'mail.example.net'\npassword = 'hunter2 hunter2'\n")
    assert list(channels.targets(environment())) == [MAIL]
    assert "email.from" in channels.fault()
    assert "hunter2" not in channels.fault()
    (tmp_path / "channels.toml").unlink()
    assert list(channels.targets(environment())) == [MAIL]
    email(tmp_path, security="none", host="127.0.0.1", to="ops@example.net")
    assert list(channels.targets(environment())) == [Target(Channel.EMAIL, "ops@example.net")]
    assert channels.fault() == ""
