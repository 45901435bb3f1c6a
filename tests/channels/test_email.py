"""Email against real SMTP servers: what arrives, and what is made of servers that refuse, hang, hang up or lie."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest
import uvloop
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from tests.channels.words import page
from tests.support.certificates import Certificate
from tests.support.mail import MailServer
from tests.support.ports import free_port
from tocsin.kernel.secret import SecretAway
from tocsin.pages.channels.setup import Setup
from tocsin.pages.channels.smtp import Email
from tocsin.pages.message import Failed, Sent
from tocsin.pages.profiles import profiles
from tocsin.plan.model import Mail
from tocsin.runtime.outbound import Outbound

# The test server does not know that its whole connection is secure.
pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")

SECRETS = {"secret:smtp": "hunter2", "secret:wrong": "sesame"}


def email_channel(server: str, *, outside: Outbound | None = None, deadline: float = 14.0, **mail: str) -> Email:
    settings = Mail(server, "Tocsin <tocsin@shop.example>", **mail)
    return Email(Setup(outside or Outbound(), SECRETS.__getitem__), settings, deadline=deadline)


def of(server: MailServer) -> str:
    return f"smtp://127.0.0.1:{server.port}"


# --- what arrives ----------------------------------------------------------------------------------------------------


async def test_a_page_arrives_as_text_and_html_with_one_link(mail_server: MailServer) -> None:
    channel = profiles()["email"].make(
        Setup(Outbound(), SECRETS.__getitem__, Mail(of(mail_server), "Tocsin <tocsin@shop.example>"))
    )
    assert channel is not None
    assert (channel.name, channel.real, channel.idempotent) == ("email", True, False)
    answer = await channel.send(page())
    assert isinstance(answer, Sent)
    assert answer.provider_id == "Message accepted"
    (mail,) = mail_server.wait_for(1)
    assert mail.sender == "tocsin@shop.example"
    assert mail.recipients == ("ana@shop.example",)
    assert mail.subject == "[SEV1] Checkout answers 503 (#12)"
    headers = mail.message
    assert headers["To"] == "Ana <ana@shop.example>"
    assert headers["From"] == "Tocsin <tocsin@shop.example>"
    assert headers["Message-ID"] == "<page-34@shop.example>"
    assert headers["References"] == "<tocsin-incident-12@shop.example>"
    assert headers["Auto-Submitted"] == "auto-generated"
    assert headers["X-Tocsin-Incident"] == "12"
    assert headers["X-Tocsin-Page"] == "34"
    assert headers["X-Tocsin-Service"] == "checkout"
    assert headers["X-Tocsin-Severity"] == "sev1"
    assert headers["X-Priority"] == "1"
    assert headers.get_content_type() == "multipart/alternative"
    for body in (mail.text(), mail.html()):
        assert body.count("https://") == 1
        assert "https://tocsin.example/page/abc123" in body
        assert "Ben is paged in 5 min if nobody answers." in body
        assert "Europe/Madrid" in body
    await channel.close()


async def test_the_same_page_tried_again_has_the_same_message_id(mail_server: MailServer) -> None:
    channel = email_channel(of(mail_server))
    await channel.send(page())
    await channel.send(page(possible_duplicate=True))
    await channel.send(page(idempotency_key="another"))
    first, again, other = mail_server.wait_for(3)
    assert first.message["Message-ID"] == again.message["Message-ID"] != other.message["Message-ID"]
    assert "You may have this already" in again.text()


async def test_a_notice_asks_for_no_answer_and_is_not_urgent(mail_server: MailServer) -> None:
    await email_channel(of(mail_server)).send(page(kind="notice", acknowledge_url="", next_step=""))
    (mail,) = mail_server.wait_for(1)
    assert mail.subject.startswith("[notice] ")
    assert mail.message["X-Priority"] is None
    assert "cknowledge" not in mail.text()
    assert "https://tocsin.example/incidents/12" in mail.text()


async def test_without_a_mail_server_in_the_plan_there_is_no_email_channel() -> None:
    assert profiles()["email"].make(Setup(Outbound(), SECRETS.__getitem__)) is None


async def test_an_international_domain_is_written_in_ascii(mail_server: MailServer) -> None:
    assert isinstance(await email_channel(of(mail_server)).send(page(address="ana@bücher.example")), Sent)
    assert mail_server.wait_for(1)[0].recipients == ("ana@xn--bcher-kva.example",)


@pytest.mark.parametrize(
    "address",
    ["", "ana", "@", "ana@", "ana@x.example\r\nBcc: eve@x.example", "a b@c", "a@b@c", "<a@b>", "a@b>,c@d", "\ud800@x"],
)
async def test_an_address_that_is_none_is_refused_for_good_and_nothing_is_sent(
    mail_server: MailServer, address: str
) -> None:
    answer = await email_channel(of(mail_server)).send(page(address=address))
    assert isinstance(answer, Failed)
    assert (answer.code, answer.permanent) == ("address", True)
    assert not mail_server.connections


async def test_no_text_can_add_a_header(mail_server: MailServer) -> None:
    evil = "x\r\nBcc: eve@evil.example\r\n\r\nbody"
    await email_channel(of(mail_server)).send(
        page(title=evil, service=evil, severity=evil, person_name=evil, kind=evil, idempotency_key=evil, because=evil)
    )
    (mail,) = mail_server.wait_for(1)
    assert mail.message["Bcc"] is None
    assert mail.recipients == ("ana@shop.example",)
    assert set(mail.message.keys()) == {
        "Subject", "From", "To", "Date", "Message-ID", "References", "Auto-Submitted", "X-Auto-Response-Suppress",
        "X-Priority", "Importance", "X-Tocsin-Kind", "X-Tocsin-Page", "X-Tocsin-Incident", "X-Tocsin-Service",
        "X-Tocsin-Severity", "MIME-Version", "Content-Type", "X-Peer", "X-MailFrom", "X-RcptTo",
    } - {"X-Peer", "X-MailFrom", "X-RcptTo"}  # fmt: skip


# --- servers that misbehave ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "code", "permanent"),
    [
        ("550 5.1.1 no such mailbox", "address", True),
        ("552 5.2.2 mailbox full", "address", True),
        ("554 5.7.1 relay access denied", "client", True),
        ("450 4.2.0 greylisted, come back", "server", False),
        ("451 4.3.0 try later", "server", False),
        ("451 4.7.1 greylisting in action", "rate_limit", False),
        ("452 too many messages", "rate_limit", False),
        ("421 4.7.0 rate limit exceeded", "rate_limit", False),
        ("530 5.7.0 authentication required", "auth", True),
    ],
)
@pytest.mark.parametrize("stage", ["MAIL", "RCPT", "DATA"])
async def test_4xx_passes_and_5xx_stays(
    mail_server: MailServer, reply: str, code: str, permanent: bool, stage: Any
) -> None:
    mail_server.refuse(reply, at=stage)
    answer = await email_channel(of(mail_server)).send(page())
    assert isinstance(answer, Failed)
    if code == "address" and stage != "RCPT":
        code = "client"  # whatever its words: it spoke of who sends, or of the mail
    assert (answer.code, answer.permanent) == (code, permanent)
    assert reply.partition(" ")[2] in answer.error
    mail_server.behave()
    assert isinstance(await email_channel(of(mail_server)).send(page()), Sent)


async def test_a_server_that_never_says_a_word_meets_the_deadline(mail_server: MailServer) -> None:
    mail_server.mute()
    started = time.monotonic()
    answer = await email_channel(of(mail_server), deadline=0.5).send(page())
    assert isinstance(answer, Failed)
    assert (answer.code, answer.permanent) == ("deadline", False)
    assert time.monotonic() - started < 3


async def test_a_server_that_never_confirms_meets_the_deadline(mail_server: MailServer) -> None:
    mail_server.stall()
    answer = await email_channel(of(mail_server), deadline=0.5).send(page())
    assert isinstance(answer, Failed)
    assert answer.code == "deadline"


def test_the_deadline_is_below_the_fifteen_seconds_callers_count_on() -> None:
    from tocsin.pages.channels.setup import DEADLINE

    assert DEADLINE < 15


@asynccontextmanager
async def speaking(*lines: bytes, then: str = "close") -> AsyncIterator[str]:
    """A server that says its lines, one for each that it hears, and then closes, hangs or resets."""

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            for line in lines:
                writer.write(line)
                await writer.drain()
                await reader.readline()
            if then == "hang":
                await asyncio.Event().wait()
        finally:
            writer.transport.abort() if then == "reset" else writer.close()

    server = await asyncio.start_server(speak, "127.0.0.1", 0)
    yield f"smtp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    server.close()


@pytest.mark.parametrize(
    ("lines", "then", "code", "permanent"),
    [
        ((), "close", "unreachable", False),
        ((), "reset", "unreachable", False),
        ((b"220 hello\r\n",), "close", "unreachable", False),
        ((b"220 hello\r\n", b"250 hello\r\n"), "reset", "unreachable", False),
        ((b"554 no SMTP here\r\n",), "close", "client", True),
        ((b"421 come back later\r\n",), "close", "server", False),
        ((b"HTTP/1.1 400 Bad Request\r\n",), "close", None, None),
        ((b"220 " + b"x" * 100_000,), "close", None, None),
        ((b"220 hello\r\n", b"250-" + b"x" * 400 + b"\r\n"), "hang", "deadline", False),
    ],
)
async def test_a_server_that_breaks_off_or_talks_nonsense_is_a_failure_and_nothing_is_raised(
    lines: tuple[bytes, ...], then: str, code: str | None, permanent: bool | None
) -> None:
    async with speaking(*lines, then=then) as server:
        answer = await email_channel(server, deadline=1).send(page())
    assert isinstance(answer, Failed)
    assert answer.error
    if code is not None:
        assert (answer.code, answer.permanent) == (code, permanent)


async def test_a_server_that_took_the_mail_and_hangs_at_the_goodbye_has_taken_it() -> None:
    lines = [b"220 hi\r\n", b"250 hi\r\n", b"250 ok\r\n", b"250 ok\r\n"]

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for line in lines:
            writer.write(line)
            await reader.readline()
        writer.write(b"354 go\r\n")
        while (await reader.readline()) != b".\r\n":
            pass
        writer.write(b"250 queued as 77\r\n")
        await asyncio.Event().wait()

    server = await asyncio.start_server(speak, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    started = time.monotonic()
    answer = await email_channel(f"smtp://127.0.0.1:{port}").send(page())
    assert answer == Sent("queued as 77")
    assert time.monotonic() - started < 4
    server.close()


async def test_nobody_listening_and_a_refused_address_are_told_apart() -> None:
    closed = await email_channel(f"smtp://127.0.0.1:{free_port()}").send(page())
    assert isinstance(closed, Failed)
    assert (closed.code, closed.permanent) == ("unreachable", False)
    refused = await email_channel("smtp://169.254.169.254").send(page())
    assert isinstance(refused, Failed)
    assert (refused.code, refused.permanent) == ("refused_address", True)


@pytest.mark.parametrize("server", ["", "mail.example", "http://mail.example", "smtp://", "smtp://mail.example:x"])
async def test_a_server_that_is_written_wrong_is_refused_for_good(server: str) -> None:
    answer = await email_channel(server).send(page())
    assert isinstance(answer, Failed)
    assert (answer.code, answer.permanent) == ("client", True)


async def test_a_slow_message_delays_no_other(mail_server: MailServer) -> None:
    async with speaking(b"220 hello\r\n", then="hang") as slow:
        stuck = [asyncio.create_task(email_channel(slow, deadline=20).send(page())) for _ in range(20)]
        await asyncio.sleep(0)
        started = time.monotonic()
        assert isinstance(await email_channel(of(mail_server)).send(page()), Sent)
        assert time.monotonic() - started < 10
        assert not any(task.done() for task in stuck)
        for task in stuck:
            task.cancel()
        await asyncio.gather(*stuck, return_exceptions=True)


# --- secure servers and passwords ------------------------------------------------------------------------------------


class Keeper:
    def __init__(self) -> None:
        self.mails: list[Any] = []
        self.users: list[str] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.mails.append(envelope)
        return "250 OK"

    def check(self, server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        self.users.append(data.login.decode())
        return AuthResult(success=data.password == b"hunter2", handled=False)


@contextmanager
def secure_server(certificate: Certificate, *, starttls: bool) -> Iterator[tuple[int, Keeper]]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.cert, certificate.key)
    keeper, port = Keeper(), free_port()
    how: dict[str, Any] = {"tls_context": context, "require_starttls": True} if starttls else {"ssl_context": context}
    if not starttls:
        how["auth_require_tls"] = False  # it does not know that the whole connection is
    server = Controller(keeper, hostname="127.0.0.1", port=port, authenticator=keeper.check, auth_required=True, **how)
    server.start()
    try:
        yield port, keeper
    finally:
        server.stop()


@pytest.mark.parametrize("scheme", ["smtps", "smtp+starttls"])
async def test_mail_goes_through_a_secure_server_with_a_password(certificate: Certificate, scheme: str) -> None:
    outside = Outbound(tls=ssl.create_default_context(cafile=str(certificate.authority)))
    with secure_server(certificate, starttls=scheme == "smtp+starttls") as (port, keeper):
        url = f"{scheme}://localhost:{port}"
        channel = email_channel(url, outside=outside, user="tocsin", password="secret:smtp")
        assert isinstance(await channel.send(page()), Sent)
        assert len(keeper.mails) == 1
        assert keeper.users == ["tocsin"]

        wrong = await email_channel(url, outside=outside, user="tocsin", password="secret:wrong").send(page())
        assert isinstance(wrong, Failed)
        assert (wrong.code, wrong.permanent) == ("auth", True)
        assert "sesame" not in wrong.error

        tries = keeper.users.count("tocsin")
        distrusting = await email_channel(url, user="tocsin", password="secret:smtp").send(page())
        assert isinstance(distrusting, Failed)
        assert (distrusting.code, distrusting.permanent) == ("tls", True)
        assert "certificate" in distrusting.error
        assert keeper.users.count("tocsin") == tries, "no password is given to a server whose certificate is wrong"


async def test_a_certificate_for_another_name_is_not_accepted(certificate: Certificate) -> None:
    outside = Outbound(
        tls=ssl.create_default_context(cafile=str(certificate.authority)), resolver=lambda host, port: ["127.0.0.1"]
    )
    with secure_server(certificate, starttls=False) as (port, keeper):
        answer = await email_channel(f"smtps://mail.shop.example:{port}", outside=outside).send(page())
    assert isinstance(answer, Failed)
    assert (answer.code, answer.permanent) == ("tls", True)
    assert not keeper.mails


async def test_a_server_without_starttls_gets_nothing(mail_server: MailServer) -> None:
    answer = await email_channel(f"smtp+starttls://127.0.0.1:{mail_server.port}").send(page())
    assert isinstance(answer, Failed)
    assert answer.permanent
    assert not mail_server.messages


async def test_a_secret_that_is_away_is_waited_for(mail_server: MailServer) -> None:
    """Whoever keeps it may answer at the next try: the page does not fail for good."""

    def away(reference: str) -> str:
        raise SecretAway(f"{reference} is not to be had from vault: it ended with code 1")

    mail = Mail(of(mail_server), "Tocsin <tocsin@shop.example>", user="tocsin", password="secret:smtp")
    answer = await Email(Setup(Outbound(), away), mail, deadline=14.0).send(page())
    assert isinstance(answer, Failed) and not answer.permanent and answer.code == "unreachable"
    assert "not to be had from vault" in answer.error


async def test_a_secret_that_is_not_there_fails_for_good_without_naming_more_than_its_reference(
    mail_server: MailServer,
) -> None:
    answer = await email_channel(of(mail_server), user="tocsin", password="secret:none").send(page())
    assert isinstance(answer, Failed)
    assert (answer.code, answer.permanent) == ("auth", True)
    assert "secret:none" in answer.error
    assert not mail_server.connections


async def test_a_password_never_leaves_in_the_clear(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a mail server on this very machine may have it without TLS."""
    import socket

    heard: list[bytes] = []

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(100))
        writer.close()

    server = await asyncio.start_server(listen, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    monkeypatch.setattr(socket.socket, "getpeername", lambda self: ("192.0.2.1", port))
    answer = await email_channel(f"smtp://127.0.0.1:{port}", user="tocsin", password="secret:smtp").send(page())
    assert isinstance(answer, Failed)
    assert (answer.code, answer.permanent) == ("tls", True)
    assert heard in ([], [b""])
    server.close()


# --- the loop Tocsin runs on -----------------------------------------------------------------------------------------


def test_it_all_works_on_uvloop_too(mail_server: MailServer, certificate: Certificate) -> None:
    outside = Outbound(tls=ssl.create_default_context(cafile=str(certificate.authority)))

    async def send() -> None:
        assert isinstance(await email_channel(of(mail_server), outside=outside).send(page()), Sent)
        for starttls in (True, False):
            with secure_server(certificate, starttls=starttls) as (port, _):
                url = f"{'smtp+starttls' if starttls else 'smtps'}://localhost:{port}"
                channel = email_channel(url, outside=outside, user="t", password="secret:smtp")
                assert isinstance(await channel.send(page()), Sent)
                distrusting = await email_channel(url, user="t", password="secret:smtp").send(page())
                assert isinstance(distrusting, Failed)
                assert distrusting.code == "tls"
        mail_server.mute()
        silent = await email_channel(of(mail_server), deadline=0.3).send(page())
        assert isinstance(silent, Failed)
        assert silent.code == "deadline"

    uvloop.run(send())
