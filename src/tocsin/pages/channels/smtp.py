"""Email: a page as a mail, in text and HTML, with one link to one page with one large button.

A connection is opened for each mail: pages are rare, and a connection kept open is most often dead when it is needed.
Mail cannot drop repetitions, but the same page always has the same Message-ID, so many mail programs show it once.
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP as MAIL_POLICY
from email.utils import format_datetime, parseaddr
from ipaddress import ip_address
from urllib.parse import urlsplit

import aiosmtplib

from tocsin.kernel.outside import Unanswered
from tocsin.pages import rendering
from tocsin.pages.channels.setup import DEADLINE, MailServer, Setup, no_secret
from tocsin.pages.message import Failed, Message, Sent

_PORTS = {"smtp": 25, "smtp+starttls": 587, "smtps": 465}
_PART = r"[^\s@<>\"(),:;\[\\\]\x00-\x1f\x7f-\x9f\ud800-\udfff]"
_ADDRESS = re.compile(f"{_PART}{{1,64}}@{_PART}{{1,253}}")

_OF_US = re.compile(r"(?i)relay|denied|block|polic|spam|sender|authenti|permi|allowed|your|reputation|\bIP\b")
"""What servers without enhanced codes say of whoever sends."""


class Email:
    """Sends through the plan's mail server."""

    name = "email"
    idempotent = False
    real = True

    def __init__(self, setup: Setup, mail: MailServer, *, deadline: float = DEADLINE) -> None:
        self._outside, self._secret, self._mail, self._deadline = setup.outside, setup.secret, mail, deadline

    async def send(self, message: Message) -> Sent | Failed:
        """Hand it to the mail server once."""
        try:
            mailbox(message.address)
        except ValueError as error:
            return Failed("address", str(error), permanent=True)
        try:
            scheme, host, port = server(self._mail.server)
            mail = written(message, self._mail.sender)
        except (ValueError, MessageError) as error:
            return Failed("client", str(error), permanent=True)
        password = ""
        if self._mail.user:
            try:
                password = self._secret(self._mail.password)
            except (LookupError, OSError, ValueError) as error:
                return no_secret(self._mail.password, error)
        try:
            async with asyncio.timeout(self._deadline):
                return await self._deliver(mail, message.address, scheme, host, port, password)
        except TimeoutError:
            return Failed("deadline", f"the mail server {host} did not finish within {self._deadline:g} s")
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            return failure(error, host)

    def preview(self, message: Message) -> str:
        """Its head and its text; the HTML says the same."""
        mail = written(message, self._mail.sender)
        head = "\n".join(f"{name}: {mail[name]}" for name in ("From", "To", "Subject"))
        return f"{head}\n\n{rendering.text(message)}"

    async def close(self) -> None:
        """Nothing is kept open."""

    async def _deliver(
        self, mail: EmailMessage, address: str, scheme: str, host: str, port: int, password: str
    ) -> Sent | Failed:
        line = await self._outside.connect(host, port, within=self._deadline)
        if isinstance(line, Unanswered):
            return Failed(
                line.code, f"the mail server {host} did not answer: {line.error}", line.code == "refused_address"
            )
        if password and scheme == "smtp" and not ip_address(line.getpeername()[0]).is_loopback:
            line.close()
            return Failed(
                "tls",
                f"the password is not sent to {host} over a connection that anyone can read: "
                "write smtp+starttls:// or smtps:// in the plan",
                permanent=True,
            )
        smtp = aiosmtplib.SMTP(
            hostname=host,
            sock=line,
            use_tls=scheme == "smtps",
            start_tls=scheme == "smtp+starttls",
            tls_context=None if scheme == "smtp" else self._outside.tls,
            username=self._mail.user or None,
            password=password or None,
            local_hostname=_greeting(line),
            timeout=self._deadline,
        )
        transport = None
        try:
            await smtp.connect()
            transport = smtp.transport
            _, said = await smtp.send_message(
                mail, sender=sender_of(self._mail.sender)[1], recipients=[mailbox(address)]
            )
            try:
                # It has been taken; how the goodbye goes changes nothing.
                async with asyncio.timeout(1):
                    await smtp.quit()
            except (aiosmtplib.SMTPException, OSError):
                pass
            return Sent(rendering.plain(said, 200))
        finally:
            smtp.close()
            if isinstance(transport, asyncio.WriteTransport):
                # Closing alone would wait for a server that no longer reads. The socket is the transport's by now.
                transport.abort()


def server(text: str) -> tuple[str, str, int]:
    """Scheme, host and port of a mail server. Raises ValueError."""
    parts = urlsplit(text)
    if parts.scheme not in _PORTS or not parts.hostname:
        raise ValueError(f"{text!r} is not a mail server: write smtp://, smtp+starttls:// or smtps:// and its host")
    return parts.scheme, parts.hostname, parts.port or _PORTS[parts.scheme]


def sender_of(text: str) -> tuple[str, str]:
    """Display name and address of the plan's sender: ``Tocsin <tocsin@shop.example>`` or the address alone."""
    name, address = parseaddr(text)
    return rendering.plain(name, 60) or "Tocsin", mailbox(address or text)


def mailbox(text: str) -> str:
    """An address as servers take it: ``ana@shop.example``, its domain in ASCII. Raises ValueError."""
    if not _ADDRESS.fullmatch(text):
        raise ValueError(f"{rendering.plain(text, 100)!r} is not a mail address")
    local, _, domain = text.rpartition("@")
    return f"{local}@{domain.encode('idna').decode('ascii')}"


def written(message: Message, sender: str) -> EmailMessage:
    """The mail. Raises ValueError for an address that is none; no text can add a header or leave its own."""
    name, address = sender_of(sender)
    domain = address.rpartition("@")[2]
    mail = EmailMessage(policy=MAIL_POLICY)
    mail["Subject"] = rendering.subject(message)
    mail["From"] = Address(name, addr_spec=address)
    mail["To"] = Address(rendering.plain(message.person_name, 60), addr_spec=mailbox(message.address))
    mail["Date"] = format_datetime(rendering.moment(message.now))
    mail["Message-ID"] = f"<{rendering.stable_key(message)}@{domain}>"
    if message.incident:
        mail["References"] = f"<tocsin-incident-{message.incident}@{domain}>"  # one conversation for each incident
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-Auto-Response-Suppress"] = "All"
    if message.kind != "notice":
        mail["X-Priority"] = "1"
        mail["Importance"] = "high"
    mail["X-Tocsin-Kind"] = _word(message.kind)
    mail["X-Tocsin-Page"] = str(message.page)
    mail["X-Tocsin-Incident"] = str(message.incident)
    mail["X-Tocsin-Service"] = _word(message.service)
    mail["X-Tocsin-Severity"] = _word(message.severity)
    mail.set_content(rendering.text(message), cte="quoted-printable")
    mail.add_alternative(rendering.html(message), subtype="html", cte="quoted-printable")
    return mail


def failure(error: Exception, host: str) -> Failed:
    """What an error of the mail server means: 4xx passes, 5xx stays, and a certificate that is wrong stays wrong."""
    recipient = isinstance(error, aiosmtplib.SMTPRecipientsRefused) and bool(error.recipients)
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused) and error.recipients:
        error = error.recipients[0]
    if isinstance(error, aiosmtplib.SMTPResponseException):
        said = rendering.plain(error.message, 200)
        text = f"the mail server {host} answered {error.code}: {said}"
        # 530 asks for a password, 534 and 538 for a stronger way to give it.
        if isinstance(error, aiosmtplib.SMTPAuthenticationError) or error.code in (530, 534, 535, 538):
            return Failed("auth", text, permanent=error.code >= 500)
        if error.code >= 500:
            whose = "address" if recipient and _of_the_mailbox(error.code, said) else "client"
            return Failed(whose, text, permanent=True)
        # 4.7.x is the enhanced code for policy: greylisting and "too many" in most servers' words.
        limited = "4.7." in said or re.search(r"(?i)too many|\brate\b|throttl", said)
        return Failed("rate_limit" if limited else "server", text)
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            why = f"the certificate of the mail server {host} is not accepted: {cause.verify_message}"
            return Failed("tls", why, permanent=True)
        if isinstance(cause, ssl.SSLError):
            return Failed("tls", f"no secure connection to the mail server {host} came about: {cause.reason or cause}")
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, aiosmtplib.SMTPTimeoutError):
        return Failed("deadline", f"the mail server {host} did not answer in time")
    if isinstance(error, aiosmtplib.SMTPNotSupported):
        return Failed("client", f"the mail server {host} cannot do what is needed: {error}", permanent=True)
    if isinstance(error, aiosmtplib.SMTPServerDisconnected | OSError):
        return Failed("unreachable", f"the connection to the mail server {host} broke off: {error}")
    return Failed("client", f"the mail could not be sent: {error}", permanent=True)


def _of_the_mailbox(code: int, said: str) -> bool:
    """Whether a server that refuses a recipient speaks of their mailbox, not of who sends or what may be relayed.

    By the enhanced code where there is one (RFC 3463: 1 is the address, but for 7 and 8, the sender's; 2 the mailbox),
    else by what is usual.
    """
    enhanced = re.match(r"5\.(\d{1,3})\.(\d{1,3})\b", said)
    if enhanced:
        return enhanced[1] == "2" or (enhanced[1] == "1" and enhanced[2] not in ("7", "8"))
    return code in (550, 551, 553) and not _OF_US.search(said)


def _word(text: str) -> str:
    """A header value in plain ASCII; "-" when nothing is left of it."""
    return rendering.plain(text, 60).encode("ascii", "replace").decode("ascii") or "-"


def _greeting(line: socket.socket) -> str:
    """What we call ourselves: our full name, or the address we come from as RFC 5321 wants it when there is none."""
    name = socket.gethostname()
    if "." in name and re.fullmatch(r"[A-Za-z0-9.-]{1,253}", name):
        return name
    address = line.getsockname()[0].partition("%")[0]
    return f"[IPv6:{address}]" if ":" in address else f"[{address}]"
