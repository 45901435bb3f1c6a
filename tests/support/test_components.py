"""Each real component starts, does its main thing, and answers."""

from __future__ import annotations

import asyncio
import http.client
import smtplib
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path

import psycopg
import pytest

from tests.support.alertmanager import Alertmanager
from tests.support.catcher import Catcher, Reply
from tests.support.certificates import Certificate, make_certificate
from tests.support.mail import MailServer
from tests.support.postgres import Postgres, running_postgres
from tests.support.prometheus import Prometheus
from tests.support.waiting import eventually


def connect(url: str) -> psycopg.Connection:
    return psycopg.connect(url.replace("+psycopg", ""))


def test_postgres_gives_every_test_an_empty_database(postgres: Postgres, postgres_url: str) -> None:
    with connect(postgres_url) as connection:
        connection.execute("CREATE TABLE noted (id int)")
    other = postgres.new_database()
    with connect(other) as connection:
        assert connection.execute("SELECT to_regclass('noted')").fetchone() == (None,)


def test_a_database_can_be_copied_from_a_prepared_one(postgres: Postgres) -> None:
    prepared = postgres.new_database()
    with connect(prepared) as connection:
        connection.execute("CREATE TABLE noted AS SELECT 7 AS seven")
    with connect(postgres.new_database(template=prepared.rsplit("/", 1)[1])) as connection:
        assert connection.execute("SELECT seven FROM noted").fetchone() == (7,)


def test_a_durable_postgres_keeps_its_rows_when_killed() -> None:
    with running_postgres(durable=True) as server:
        url = server.new_database()
        with connect(url) as connection:
            connection.execute("CREATE TABLE noted AS SELECT 7 AS seven")
        server.process.kill9()
        server.start()
        with connect(url) as connection:
            assert connection.execute("SELECT seven FROM noted").fetchone() == (7,)


def test_alertmanager_answers_its_api(alertmanager: Alertmanager) -> None:
    assert alertmanager.get("/api/v2/status")["cluster"]["status"] == "disabled"
    assert alertmanager.get("/api/v2/alerts") == []


def test_prometheus_fires_its_rules_at_alertmanager(
    start_prometheus: Callable[..., Prometheus], alertmanager: Alertmanager
) -> None:
    prometheus = start_prometheus(
        {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "alerting": {
                "alertmanagers": [{"static_configs": [{"targets": [alertmanager.url.removeprefix("http://")]}]}]
            },
        },
        {"groups": [{"name": "always", "rules": [{"alert": "Watchdog", "expr": "vector(1)"}]}]},
    )
    eventually(lambda: [alert["state"] for alert in prometheus.alerts()] == ["firing"], what="the rule to fire")
    (heard,) = eventually(lambda: alertmanager.get("/api/v2/alerts"), what="Alertmanager to hear of it")
    assert heard["labels"]["alertname"] == "Watchdog"


def send_mail(server: MailServer, *, timeout: float = 5.0) -> None:
    message = EmailMessage()
    message["Subject"], message["From"], message["To"] = "It burns", "tocsin@example.org", "ana@example.org"
    message.set_content("Come and look.\n")
    with smtplib.SMTP(server.host, server.port, timeout=timeout) as client:
        client.send_message(message)


def test_the_mail_server_keeps_what_it_is_sent(mail_server: MailServer) -> None:
    send_mail(mail_server)
    (mail,) = mail_server.wait_for(1)
    assert (mail.subject, mail.text(), mail.recipients) == ("It burns", "Come and look.\n", ("ana@example.org",))


def test_the_mail_server_refuses_for_now_and_for_good(mail_server: MailServer) -> None:
    mail_server.refuse("451 4.3.0 try later", at="DATA")
    with pytest.raises(smtplib.SMTPDataError) as later:
        send_mail(mail_server)
    mail_server.refuse("550 5.1.1 no such person", at="RCPT")
    with pytest.raises(smtplib.SMTPRecipientsRefused) as never:
        send_mail(mail_server)
    mail_server.behave()
    send_mail(mail_server)
    assert later.value.smtp_code == 451
    assert never.value.recipients["ana@example.org"][0] == 550
    assert len(mail_server.messages) == 1


def test_a_mute_mail_server_takes_the_connection_and_says_nothing(mail_server: MailServer) -> None:
    mail_server.mute()
    with pytest.raises(smtplib.SMTPServerDisconnected, match="timed out"):
        send_mail(mail_server, timeout=0.3)
    assert mail_server.connections == 1


def test_a_stalling_mail_server_takes_the_message_and_never_says_so(mail_server: MailServer) -> None:
    mail_server.stall()
    with pytest.raises(smtplib.SMTPServerDisconnected, match="timed out"):
        send_mail(mail_server, timeout=0.3)
    assert len(mail_server.wait_for(1)) == 1


def test_the_catcher_keeps_requests_and_answers_as_told(catcher: Catcher) -> None:
    catcher.replies.append(Reply(503, "later", {"Retry-After": "1"}))
    request = urllib.request.Request(f"{catcher.url}/hook?a=1", data=b'{"n": 1}', headers={"Webhook-Id": "x"})
    with pytest.raises(urllib.error.HTTPError) as busy:
        urllib.request.urlopen(request, timeout=5)
    assert (busy.value.code, busy.value.headers["Retry-After"]) == (503, "1")
    with urllib.request.urlopen(request, timeout=5) as answer:
        assert answer.status == 200
    first, second = catcher.wait_for(2)
    assert (first.method, first.path, first.query, first.json()) == ("POST", "/hook", {"a": ["1"]}, {"n": 1})
    assert second.headers["webhook-id"] == "x"


def test_the_catcher_can_be_slow_and_can_hang_up(catcher: Catcher) -> None:
    catcher.default = Reply(delay=30)
    with pytest.raises(TimeoutError):
        urllib.request.urlopen(catcher.url, timeout=0.2)
    catcher.default = Reply(reset=True)
    with pytest.raises((ConnectionResetError, http.client.RemoteDisconnected, urllib.error.URLError)) as cut:
        urllib.request.urlopen(catcher.url, timeout=5)
    assert "reset" in str(cut.value)


def test_tls_is_trusted_through_the_throw_away_authority_alone(tls_catcher: Catcher, certificate: Certificate) -> None:
    with urllib.request.urlopen(
        tls_catcher.url, timeout=5, context=ssl.create_default_context(cafile=str(certificate.authority))
    ) as answer:
        assert answer.status == 200
    with pytest.raises(urllib.error.URLError, match="CERTIFICATE_VERIFY_FAILED"):
        urllib.request.urlopen(tls_catcher.url, timeout=5)


def test_a_certificate_can_be_made_that_has_expired(tmp_path: Path) -> None:
    expired = make_certificate(tmp_path, days=-1)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(expired.cert, expired.key)
    assert expired.key.stat().st_mode & 0o077 == 0


async def test_coroutine_tests_run_beside_them(catcher: Catcher) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", catcher.port)
    writer.write(b"GET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert (await reader.read()).startswith(b"HTTP/1.1 200")
    writer.close()
    await writer.wait_closed()


def test_free_ports_are_free() -> None:
    from tests.support.ports import free_port

    ports = {free_port() for _ in range(20)}
    assert len(ports) == 20
    with socket.create_server(("127.0.0.1", ports.pop())):
        pass
