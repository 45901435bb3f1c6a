"""Heartbeats, as curl sends them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.intake.hearing import hear, recorded
from tocsin.intake.event import Beat
from tocsin.intake.request import Heard
from tocsin.intake.sources import heartbeat


def ping(path: str = "", body: bytes = b"", method: str = "GET", **how: Any) -> Heard:
    return hear("heartbeat", body, path=path, method=method, content_type="", **how)


def test_recorded_pings_mean_what_they_say() -> None:
    beats: list[Beat] = []
    for record in recorded("healthcheck_ping_curl"):
        key = record["path"].split("/")[2]
        heard = ping(record["path"].removeprefix(f"/ping/{key}"), record["body"]["text"].encode(), record["method"])
        assert heard.reply.status == record["reply"]["status"]
        beats += heard.beats
    assert beats == [
        Beat(kind="ok"), Beat(kind="start"), Beat(kind="fail"), Beat(kind="fail", exit_code=1, body="log tail"),
        Beat(kind="ok"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("path", "beat"),
    [
        ("/", Beat(kind="ok")),
        ("/0", Beat(kind="ok", exit_code=0)),
        ("/255", Beat(kind="fail", exit_code=255)),
        ("/007", Beat(kind="fail", exit_code=7)),
        ("/fail/", Beat(kind="fail")),
    ],
)
def test_the_suffix_says_how_it_went(path: str, beat: Beat) -> None:
    assert ping(path).beats == (beat,)


@pytest.mark.parametrize("path", ["/256", "/-1", "/log", "/start/1", "/٣", "/1e1", "/\ud800"])
def test_an_unknown_suffix_is_not_found(path: str) -> None:
    heard = ping(path)
    assert heard.reply.status == 404 and heard.beats == () and heard.fault and not heard.park


def test_the_answer_is_a_plain_ok_and_only_known_methods_ping() -> None:
    reply = ping(method="POST").reply
    assert (reply.status, reply.body, reply.content_type) == (200, b"OK", "text/plain; charset=utf-8")
    assert ping(method="HEAD").reply.body == b"" and ping(method="HEAD").beats
    assert ping(method="PUT").reply.headers == (("Allow", "GET, HEAD, POST"),)


def test_a_long_body_is_cut_and_what_is_not_text_is_replaced() -> None:
    (beat,) = ping(body=b"\0\xff" + b"x" * 20_000, method="POST").beats
    assert beat.body == "\ufffd\ufffd" + "x" * 9_998 + "… (cut)"


def test_refusals_are_plain_text() -> None:
    reply = heartbeat.refuse(429, "slow down", 3)
    assert reply == (429, b"slow down", "text/plain; charset=utf-8", (("Retry-After", "3"),))
