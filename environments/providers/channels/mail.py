"""E-mail by SMTP (RFC 5321), with STARTTLS (RFC 3207) or TLS from the start (RFC 8314)."""

import smtplib
import socket
import ssl
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Any

from environments.channel_settings import EmailSettings
from environments.providers.backend.bounded import Exchange, Paced, PacedTls, current_exchange, trusting
from environments.providers.channels.texts import plain, subject
from environments.service.channels import NotDelivered, WarningMessage
from environments.words import clean

_LIMIT = 20.0
"""Seconds for one message, from the connection to the goodbye."""

_TOO_LATE = "the mail server didn't take it within {:g} s"

_LARGEST = 64 * 1024
"""Bytes that a server may say."""

_LONGEST_FAULT = 200
"""Characters of a server's answer that are kept."""


def send_mail(settings: EmailSettings, recipient: str, message: WarningMessage) -> None:
    """Mails a warning to one recipient. Raises `NotDelivered`."""
    token = current_exchange.set(Exchange(_LIMIT, _LARGEST))
    try:
        _send(settings, recipient, message)
    except smtplib.SMTPRecipientsRefused as error:
        code, text = next(iter(error.recipients.values()))
        raise NotDelivered(f"the mail server refused the recipient: {_answer(code, text)}") from None
    except smtplib.SMTPResponseException as error:
        raise NotDelivered(f"the mail server refused: {_answer(error.smtp_code, error.smtp_error)}") from None
    except ssl.SSLCertVerificationError as error:
        raise NotDelivered(f"the mail server's certificate isn't trusted: {error.verify_message}") from None
    except TimeoutError:
        raise NotDelivered(_TOO_LATE.format(_LIMIT)) from None
    except smtplib.SMTPException as error:
        if isinstance(error.__context__, TimeoutError):  # smtplib calls it a connection that was closed
            raise NotDelivered(_TOO_LATE.format(_LIMIT)) from None
        raise NotDelivered(f"the mail server failed: {clean(str(error))[:_LONGEST_FAULT]}") from None
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise NotDelivered(f"there is no connection to the mail server {settings.host}: {why}") from None
    except UnicodeError:  # a name with an empty or too long part
        raise NotDelivered(f"{settings.host} can't be the name of a mail server") from None
    finally:
        current_exchange.reset(token)


def _send(settings: EmailSettings, recipient: str, message: WarningMessage) -> None:
    context = None
    if settings.security != "none":
        context = trusting(None if settings.ca_file is None else str(settings.ca_file))
        context.sslsocket_class = PacedTls
    with _Paced(settings.host, context if settings.security == "tls" else None) as server:
        server.connect(settings.host, settings.port)
        if settings.security == "starttls":
            server.starttls(context=context)  # raises when the server doesn't offer it
        if settings.user:
            server.login(settings.user, settings.password.get_secret_value())
        server.send_message(_mail(settings, recipient, message), settings.sender, [recipient])


class _Paced(smtplib.SMTP):
    """A client whose calls end when the exchange of their thread does."""

    def __init__(self, host: str, context: ssl.SSLContext | None) -> None:
        """`context`: TLS from the start. Doesn't connect."""
        self._context = context
        super().__init__(timeout=_LIMIT)
        self._host = host  # what STARTTLS checks the certificate against

    def _get_socket(self, host: str, port: int, _timeout: Any) -> socket.socket:
        failure = OSError("the name has no address")
        for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            made = Paced(family, kind, protocol)
            try:
                made.settimeout(_left())
                made.connect(address)
                made.settimeout(_left())
                return made if self._context is None else self._context.wrap_socket(made, server_hostname=host)
            except OSError as error:
                made.close()
                failure = error
        raise failure


def _left() -> float:
    exchange = current_exchange.get()
    return _LIMIT if exchange is None else exchange.time_left()


def _mail(settings: EmailSettings, recipient: str, message: WarningMessage) -> EmailMessage:
    mail = EmailMessage(policy=SMTP)
    mail["From"] = settings.sender
    mail["To"] = recipient
    mail["Subject"] = subject(message)
    mail["Date"] = format_datetime(message.now)
    mail["Message-ID"] = f"<{message.id}@{settings.sender.rpartition('@')[2]}>"
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody answers it by machine
    mail.set_content(plain(message), cte="quoted-printable")
    return mail


def _answer(code: int, text: bytes | str) -> str:
    said = text.decode(errors="replace") if isinstance(text, bytes) else text
    return f"{code} {clean(said)[:_LONGEST_FAULT]}".rstrip()
