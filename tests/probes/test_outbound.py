"""The guarded way out: what is refused, what is bounded, and that a stuck call stops nobody else."""

from __future__ import annotations

import asyncio
import ssl
import threading
import time

import pytest

from tests.support.catcher import Catcher, Reply
from tests.support.certificates import Certificate, make_certificate
from tests.support.ports import free_port
from tocsin.kernel.addresses import refusal
from tocsin.kernel.instant import DAY, SECOND
from tocsin.kernel.outside import Answer, Unanswered
from tocsin.runtime.outbound import Outbound

FORBIDDEN = [
    "169.254.169.254",
    "169.254.0.1",
    "0.0.0.0",
    "0.1.2.3",
    "255.255.255.255",
    "224.0.0.1",
    "240.0.0.1",
    "100.100.100.200",
    "168.63.129.16",
    "::",
    "fe80::1",
    "fe80::1%eth0",
    "ff02::1",
    "fd00:ec2::254",
    "fd20:ce::254",
    "::ffff:169.254.169.254",
    "::169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "2002:a9fe:a9fe::1",
]


@pytest.mark.parametrize("address", FORBIDDEN)
def test_nothing_connects_to_metadata_link_local_multicast_or_broadcast(address: str) -> None:
    assert refusal(address)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "10.1.2.3", "192.168.1.1", "fd12::1", "100.64.0.1"])
def test_private_addresses_are_refused_only_when_asked(address: str) -> None:
    assert not refusal(address)
    assert refusal(address, deny_private=True)
    assert refusal(f"::ffff:{address}" if "." in address else address, deny_private=True)


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:4700::1111", "8.8.8.8", "::ffff:8.8.8.8"])
def test_public_addresses_are_never_refused(address: str) -> None:
    assert not refusal(address, deny_private=True)


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://2852039166/",  # the same, as one number
        "http://0xa9fea9fe/",
        "http://[::ffff:169.254.169.254]/",
        "http://[fe80::1]/",
        "http://0/",
    ],
)
async def test_a_url_of_a_refused_address_is_not_asked_however_it_is_written(url: str) -> None:
    outbound = Outbound()
    answer = await outbound.request("GET", url, within=5, limit=100)
    await outbound.close()
    assert isinstance(answer, Unanswered)
    assert answer.code == "refused_address"


async def test_a_name_that_changes_its_mind_is_resolved_once_and_connected_where_it_was_looked_at(
    catcher: Catcher,
) -> None:
    answers = iter((["127.0.0.1"], ["169.254.169.254"], ["169.254.169.254"]))
    asked: list[str] = []

    def fickle(host: str, port: int) -> list[str]:
        asked.append(host)
        return next(answers)

    outbound = Outbound(resolver=fickle)
    url = f"http://rebinding.example:{catcher.port}/"
    first = await outbound.request("GET", url, within=5, limit=100)
    assert isinstance(first, Answer)
    assert asked == ["rebinding.example"]
    second = await outbound.request("GET", url, within=5, limit=100)
    assert isinstance(second, Unanswered)
    assert second.code == "refused_address"
    assert len(catcher.requests) == 1
    assert catcher.requests[0].headers["host"] == f"rebinding.example:{catcher.port}"
    line = await outbound.connect("rebinding.example", catcher.port, within=5)
    assert isinstance(line, Unanswered)
    assert line.code == "refused_address"
    await outbound.close()


async def test_the_allowed_one_of_several_addresses_is_used_and_a_dead_one_passed_over(catcher: Catcher) -> None:
    outbound = Outbound(resolver=lambda host, port: ["169.254.169.254", "127.0.0.2", "127.0.0.1"])
    answer = await outbound.request("GET", f"http://many.example:{catcher.port}/", within=5, limit=100)
    await outbound.close()
    assert isinstance(answer, Answer)


async def test_deny_private_keeps_loopback_out(catcher: Catcher) -> None:
    outbound = Outbound(deny_private=True)
    answer = await outbound.request("GET", catcher.url, within=5, limit=100)
    await outbound.close()
    assert isinstance(answer, Unanswered)
    assert answer.code == "refused_address"
    assert not catcher.requests


async def test_proxies_of_the_environment_are_ignored(catcher: Catcher, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HTTP_PROXY", "ALL_PROXY", "http_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    outbound = Outbound(resolver=lambda host, port: ["127.0.0.1"])
    answer = await outbound.request("GET", f"http://shop.example:{catcher.port}/", within=5, limit=100)
    await outbound.close()
    assert isinstance(answer, Answer)


async def test_a_redirect_is_an_answer_and_is_not_followed(catcher: Catcher) -> None:
    catcher.default = Reply(302, headers={"Location": "http://169.254.169.254/"})
    outbound = Outbound()
    answer = await outbound.request("GET", catcher.url, within=5, limit=100)
    await outbound.close()
    assert isinstance(answer, Answer)
    assert answer.status == 302


async def test_a_huge_answer_is_read_up_to_the_limit_and_no_further(catcher: Catcher) -> None:
    catcher.default = Reply(body=b"x" * 20_000_000)
    outbound = Outbound()
    answer = await outbound.request("GET", catcher.url, within=10, limit=1000)
    await outbound.close()
    assert isinstance(answer, Answer)
    assert answer.body == b"x" * 1000
    assert answer.truncated


async def test_an_answer_that_drips_meets_the_deadline_of_the_whole_request() -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        try:
            while True:
                writer.write(b"1\r\nx\r\n")
                await writer.drain()
                await asyncio.sleep(0.02)
        except OSError:
            writer.close()

    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    outbound = Outbound()
    started = time.monotonic()
    answer = await outbound.request("GET", f"http://127.0.0.1:{port}/", within=0.3, limit=1_000_000)
    assert isinstance(answer, Unanswered)
    assert answer.code == "deadline"
    assert time.monotonic() - started < 2
    server.close()
    await outbound.close()


async def test_what_can_go_wrong_is_told_in_words(catcher: Catcher, tls_catcher: Catcher) -> None:
    outbound = Outbound()

    async def ask(url: str) -> Unanswered:
        answer = await outbound.request("GET", url, within=5, limit=100)
        assert isinstance(answer, Unanswered)
        return answer

    refused = await ask(f"http://127.0.0.1:{free_port()}/")
    assert (refused.code, "nothing listens" in refused.error) == ("unreachable", True)
    distrusted = await ask(tls_catcher.url)
    assert (distrusted.code, "certificate is not accepted" in distrusted.error) == ("tls", True)
    plain = await ask(catcher.url.replace("http:", "https:"))
    assert plain.code in ("tls", "unreachable")
    catcher.default = Reply(reset=True)
    assert (await ask(catcher.url)).code == "unreachable"
    for url in ("", "nonsense", "ftp://127.0.0.1/", "http://", "http://a b/", "http://127.0.0.1:99999/", "http://\ud800/"):
        assert (await ask(url)).code in ("client", "unreachable")
    await outbound.close()


async def test_a_trusted_certificate_is_told_with_its_end(tls_catcher: Catcher, certificate: Certificate) -> None:
    outbound = Outbound(tls=ssl.create_default_context(cafile=str(certificate.authority)))
    answer = await outbound.request("GET", tls_catcher.url, within=5, limit=100)
    await outbound.close()
    assert isinstance(answer, Answer)
    assert answer.certificate_until is not None
    assert abs(answer.certificate_until - (time.time_ns() // 1000 + DAY)) < 600 * SECOND


async def test_an_expired_certificate_is_not_accepted(tmp_path_factory: pytest.TempPathFactory) -> None:
    from tests.support.catcher import running_catcher

    expired = make_certificate(tmp_path_factory.mktemp("expired"), days=-1)
    outbound = Outbound(tls=ssl.create_default_context(cafile=str(expired.authority)))
    with running_catcher(expired) as server:
        answer = await outbound.request("GET", server.url, within=5, limit=100)
    await outbound.close()
    assert isinstance(answer, Unanswered)
    assert answer.code == "tls"
    assert "expired" in answer.error


async def test_a_name_server_that_hangs_costs_one_thread_a_name_and_delays_nobody_else(catcher: Catcher) -> None:
    release = threading.Event()
    lookups: list[str] = []

    def hanging(host: str, port: int) -> list[str]:
        lookups.append(host)
        if host.startswith("stuck"):
            release.wait(30)
        return ["127.0.0.1"]

    outbound = Outbound(resolver=hanging)
    stuck = [
        asyncio.create_task(outbound.request("GET", f"http://stuck{number % 20}.example:9/", within=0.5, limit=100))
        for number in range(60)
    ]
    await asyncio.sleep(0)
    quick = await outbound.request("GET", f"http://quick.example:{catcher.port}/", within=5, limit=100)
    assert isinstance(quick, Answer)
    assert not any(task.done() for task in stuck)
    answers = await asyncio.gather(*stuck)
    assert {answer.code for answer in answers if isinstance(answer, Unanswered)} == {"deadline"}
    again = await outbound.request("GET", "http://stuck0.example:9/", within=0.1, limit=100)
    assert isinstance(again, Unanswered)
    assert sorted(lookups) == sorted([f"stuck{number}.example" for number in range(20)] + ["quick.example"])
    release.set()
    await outbound.close()


async def test_those_who_ask_the_same_share_one_thread_and_its_answer() -> None:
    outbound = Outbound()
    release = threading.Event()
    calls: list[int] = []

    def call() -> int:
        calls.append(1)
        release.wait(10)
        return 42

    with pytest.raises(TimeoutError):
        await outbound.aside("same", call, within=0.05)
    later = [asyncio.create_task(outbound.aside("same", call, within=10)) for _ in range(5)]
    await asyncio.sleep(0)
    release.set()
    assert await asyncio.gather(*later) == [42] * 5
    assert calls == [1]
    assert await outbound.aside("same", lambda: 7, within=5) == 7


async def test_what_a_call_aside_raises_reaches_the_one_who_waits() -> None:
    def fail() -> None:
        raise FileNotFoundError("gone")

    with pytest.raises(FileNotFoundError):
        await Outbound().aside("fails", fail, within=5)
