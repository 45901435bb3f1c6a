"""A rota that is kept elsewhere, through the whole system: a calendar on a web server, a page by it, a lost source."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.journeys.telling import a_plan, curl, opened
from tests.support.catcher import Catcher, Reply
from tests.support.mail import MailServer
from tests.support.server import TocsinServer
from tests.support.waiting import eventually

pytestmark = pytest.mark.journey


def calendar() -> bytes:
    """Ben is on call, since an hour ago and for five more."""
    now = datetime.now(UTC)
    start, end = (f"{now + timedelta(hours=hours):%Y%m%dT%H%M%SZ}" for hours in (-1, 5))
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//else//EN", "BEGIN:VEVENT", "UID:1@else"]
    lines += [f"DTSTAMP:{start}", f"DTSTART:{start}", f"DTEND:{end}", "SUMMARY:On call: Ben", "END:VEVENT"]
    return "\r\n".join([*lines, "END:VCALENDAR", ""]).encode()


def who(server: TocsinServer) -> list[dict[str, Any]]:
    found: Any = server.json("oncall", "who", "primary")
    return list(found)


def metrics(server: TocsinServer) -> str:
    return curl(f"{server.url}/metrics")


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_an_imported_rota_pages_and_its_last_copy_outlives_its_source(
    database: str,
    request: pytest.FixtureRequest,
    tocsin_server: Callable[..., TocsinServer],
    mail_server: MailServer,
    catcher: Catcher,
) -> None:
    catcher.default = Reply(200, calendar(), {"content-type": "text/calendar"})
    plan = a_plan(mail_server, {"db": {}})
    plan["people"]["ben"] = {"name": "Ben", "email": "ben@shop.example"}
    plan["calendars"] = {"rota": {"ical": f"{catcher.url}/rota.ics", "every": "1s"}}
    plan["schedules"] = {"primary": {"calendar": "rota", "layers": [{"rotate": "ana"}]}}
    plan["escalations"] = {name: [{"page": "primary", "wait": "10m"}] for name in plan["escalations"]}
    url = request.getfixturevalue("postgres_url") if database == "postgres" else None
    server = tocsin_server(plan=plan, database=url)
    eventually(lambda: [one["person"] for one in who(server)] == ["ben"], within=15, what="the calendar is read")
    assert who(server)[0]["why"] == "primary: the calendar rota"
    assert server.json("oncall", "calendars")[0]["failing_since"] is None
    assert "cannot be read" not in server.run("oncall", "who", "primary").stderr
    catcher.default = Reply(500)
    server.kill9()
    server.restart()
    assert [one["person"] for one in who(server)] == ["ben"]
    server.run("send", "--service", "db", "--title", "the disk is full")
    opened(server)
    eventually(lambda: any("ben@shop.example" in mail.recipients for mail in mail_server.messages), within=15)
    now = datetime.now(UTC)
    start, end = (f"{now + timedelta(hours=hours):%Y-%m-%dT%H:%M:%SZ}" for hours in (0, 12))
    shifts: Any = server.json("oncall", "shifts", "primary", "--from", start, "--to", end)
    assert [(one["person"], one["layer"]) for one in shifts] == [("ben", "calendar"), ("ana", "layer 1")]
    # Wherever somebody may look it is said that the copy is not fresh.
    eventually(lambda: 'tocsin_calendar_unreadable{calendar="rota"} 1.0' in metrics(server), within=15)
    told = server.run("oncall", "who", "primary").stderr
    assert "The calendar rota cannot be read since " in told and "(it answered 500); its last copy counts." in told
    assert server.run("oncall", "calendars", check=False).returncode == 1
    reloaded = server.run("plan", "reload").stdout
    assert "warning: the calendar rota cannot be read: it answered 500" in reloaded
    assert "calendar_unreadable" in server.log.read_text()
