"""Apprise, unmodified, to a real SMTP server and a real HTTP receiver."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from tests.channels.words import page
from tests.support.catcher import Catcher, Reply, running_catcher
from tests.support.certificates import make_certificate
from tests.support.mail import MailServer
from tests.support.ports import free_port
from tocsin.pages import rendering
from tocsin.pages.channels.setup import Setup
from tocsin.pages.message import Channel, Failed, Message, Sent
from tocsin.pages.profiles import profiles
from tocsin.plan import read_plan
from tocsin.runtime.outbound import Outbound

PASSWORD = "only-apprise-sees-this"


def apprise(url: str) -> Channel:
    """The channel as the wiring makes it, with Ana's secret."""
    made = profiles()["apprise"].make(Setup(Outbound(), {"secret:ana": url}.__getitem__))
    assert made is not None
    return made


def to_ana(**other: object) -> Message:
    return page(address="secret:ana", **other)


async def test_a_page_arrives_at_an_http_receiver(catcher: Catcher) -> None:
    channel = apprise(f"json://ana:{PASSWORD}@127.0.0.1:{catcher.port}/hook")
    assert isinstance(await channel.send(to_ana(title="Checkout <b>\\n answers 503")), Sent)
    (got,) = catcher.requests
    told = got.json()
    assert (got.path, told["type"]) == ("/hook", "failure")
    assert told["title"] == "[SEV1] Checkout <b>\\n answers 503 (#12)"
    for words in ("Since ", "checkout", "Acknowledge: https://tocsin.example/page/abc123"):
        assert words in told["message"]


async def test_a_page_arrives_as_mail(mail_server: MailServer) -> None:
    url = f"mailto://{mail_server.host}:{mail_server.port}?from=tocsin@shop.example&to=ana@shop.example&mode=insecure"
    assert isinstance(await apprise(url).send(to_ana()), Sent)
    (mail,) = mail_server.messages
    assert "[SEV1] Checkout answers 503 (#12)" in str(mail.message["Subject"])


async def test_a_notice_is_information(catcher: Catcher) -> None:
    await apprise(f"json://127.0.0.1:{catcher.port}").send(to_ana(kind="notice"))
    assert catcher.requests[0].json()["type"] == "info"


async def test_what_cannot_be_handed_over_is_tried_again(catcher: Catcher) -> None:
    catcher.default = Reply(500)
    for port in (catcher.port, free_port()):
        answer = await apprise(f"json://ana:{PASSWORD}@127.0.0.1:{port}").send(to_ana())
        assert isinstance(answer, Failed)
        assert (answer.code, answer.permanent) == ("server", False)
        assert PASSWORD not in answer.error


async def test_one_that_never_answers_is_given_up(catcher: Catcher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tocsin.pages.channels.apprise.DEADLINE", 0.5)
    catcher.default = Reply(delay=5)
    answer = await apprise(f"json://127.0.0.1:{catcher.port}").send(to_ana())
    assert isinstance(answer, Failed)
    assert (answer.code, answer.permanent) == ("deadline", False)


async def test_a_url_that_means_nothing_is_refused_for_good_and_not_repeated() -> None:
    answer = await apprise(f"nonsense://ana:{PASSWORD}@nowhere").send(to_ana())
    assert isinstance(answer, Failed)
    assert (answer.code, answer.permanent) == ("address", True)
    assert PASSWORD not in answer.error


async def test_a_secret_that_cannot_be_had_is_said() -> None:
    answer = await apprise("").send(page(address="secret:ben"))
    assert isinstance(answer, Failed)
    assert (answer.code, answer.permanent) == ("auth", True)


async def test_without_the_extra_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)
    answer = await apprise("json://127.0.0.1:1").send(to_ana())
    assert isinstance(answer, Failed)
    assert answer.permanent
    assert "tocsin[apprise]" in answer.error


ACKNOWLEDGE = "Acknowledge: https://tocsin.example/page/abc123"


async def test_by_ntfy_a_page_is_one_loud_message_with_its_link(catcher: Catcher) -> None:
    """As ntfy's server is asked: JSON to its root, the topic in it, the access token as a bearer's."""
    url = f"ntfy://tk_{PASSWORD}@127.0.0.1:{catcher.port}/ana?priority=max"
    assert isinstance(await apprise(url).send(to_ana()), Sent)
    (got,) = catcher.requests
    told = got.json()
    assert (got.method, got.path, told["topic"]) == ("POST", "/", "ana")
    assert got.headers["authorization"] == f"Bearer tk_{PASSWORD}"
    assert told["title"] == "[SEV1] Checkout answers 503 (#12)"
    assert ACKNOWLEDGE in told["message"]
    assert got.headers["x-priority"] == "max"
    catcher.default = Reply(401, '{"code":40101,"http":401,"error":"unauthorized"}')
    answer = await apprise(url).send(to_ana())
    assert isinstance(answer, Failed) and PASSWORD not in answer.error


async def test_a_long_page_stays_a_message_of_ntfys_with_its_link(catcher: Catcher) -> None:
    lines = tuple(f"GET http://checkout-{n}/health answered 503: {'upstream timed out ' * 20}" for n in range(10))
    long = to_ana(lines=lines, tried=lines[:5])
    assert len(rendering.text(long).encode()) > 4_096
    assert isinstance(await apprise(f"ntfy://127.0.0.1:{catcher.port}/ana").send(long), Sent)
    told = catcher.requests[0].json()["message"]
    assert len(told.encode()) <= 4_096
    assert "upstream timed out" in told and "https://tocsin.example/page/abc123" in told


@contextmanager
def proxy(to: int) -> Iterator[int]:
    """An HTTPS proxy on the port it gives, behind which every host is that port of this machine."""
    listener = socket.create_server(("127.0.0.1", 0))

    def pass_on(one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while some := one.recv(65_536):
                other.sendall(some)
            other.shutdown(socket.SHUT_WR)

    def serve() -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                head = b""
                while b"\r\n\r\n" not in head:
                    head += client.recv(65_536)
                assert head.startswith(b"CONNECT api.telegram.org:443 "), head
                far = socket.create_connection(("127.0.0.1", to))
                client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                for ends in ((client, far), (far, client)):
                    threading.Thread(target=pass_on, args=ends, daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    with closing(listener):
        yield int(listener.getsockname()[1])


async def test_by_telegram_a_page_is_a_message_of_the_bot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Apprise goes to api.telegram.org alone: there it is given our listener, with a certificate of that name."""
    ours = make_certificate(tmp_path, names=("api.telegram.org",))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(ours.authority))
    bot = "123456789:AAFakeFakeFakeFakeFakeFakeFakeFake_x"
    with running_catcher(ours) as telegram, proxy(telegram.port) as port:
        for name in ("HTTPS_PROXY", "https_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{port}")
        telegram.default = Reply(200, '{"ok": true, "result": {"message_id": 7}}')
        assert isinstance(await apprise(f"tgram://{bot}/-1001234567890").send(to_ana(title="<b>503</b> & more")), Sent)
        (got,) = telegram.requests
        assert (got.method, got.path) == ("POST", f"/bot{bot}/sendMessage")
        told = got.json()
        assert int(told["chat_id"]) == -1001234567890
        assert ACKNOWLEDGE in told["text"]
        assert told["parse_mode"] == "HTML" and "&lt;b&gt;503&lt;/b&gt; &amp; more" in told["text"], "it is text"
        telegram.default = Reply(403, '{"ok": false, "error_code": 403, "description": "Forbidden: bot was blocked"}')
        answer = await apprise(f"tgram://{bot}/-1001234567890").send(to_ana())
        assert isinstance(answer, Failed) and bot not in answer.error


def test_a_url_stands_in_the_plan_by_reference_only() -> None:
    plan = "tocsin: 1\npeople: {ana: {apprise: 'ntfys://tk_x@ntfy.shop.example/ana'}}\n"
    (found,) = [one for one in read_plan({"tocsin.yaml": plan.encode()}).findings if one.level == "error"]
    assert "tk_x" not in str(found) and "write secret:NAME" in found.hint
