"""A person's own ways of being reached, through the whole system: real mail, the real command line, both databases."""

from __future__ import annotations

import re
import urllib.request
from collections.abc import Callable

import pytest

from tests.journeys.telling import a_plan, becomes, incident, opened
from tests.support.mail import Mail, MailServer
from tests.support.server import TOKEN_FILE, TocsinServer
from tests.support.waiting import eventually

pytestmark = pytest.mark.journey

HOME, WORK = "ana@home.example", "ana@shop.example"


@pytest.fixture(params=["sqlite", "postgres"])
def server(
    request: pytest.FixtureRequest, tocsin_server: Callable[..., TocsinServer], mail_server: MailServer
) -> TocsinServer:
    """Tocsin with Ana, as whom everything is asked, and Ben after her."""
    url = request.getfixturevalue("postgres_url") if request.param == "postgres" else None
    plan = a_plan(mail_server, {"db": {}, "reports": {"urgency": "low"}})
    plan["people"]["ben"] = {"name": "Ben", "email": "ben@shop.example"}
    started = tocsin_server(plan=plan, database=url)
    started.run("user", "add", "ana", "--role", "admin", "--person", "ana")
    token = str(started.json("user", "token", "ana", "--name", "terminal")["token"])
    (started.data / TOKEN_FILE).write_text(token)  # the terminal of this machine is Ana's
    return started


def to(mails: MailServer, address: str) -> list[Mail]:
    """What came to an address."""
    return [mail for mail in list(mails.messages) if address in mail.recipients]


def arrives(mails: MailServer, address: str, count: int = 1) -> Mail:
    """The newest of so many mails to an address."""
    eventually(lambda: len(to(mails, address)) >= count, within=15, what=f"mail {count} to {address}")
    return to(mails, address)[-1]


def proven(server: TocsinServer, mails: MailServer) -> int:
    """Add Ana's address at home, and type the code that came there."""
    number = int(server.json("contact", "add", "email", HOME, "--label", "home")["id"])
    found = re.search(r"\b(\d{6})\b", arrives(mails, HOME).subject)
    assert found is not None
    server.run("contact", "verify", str(number), found[1])
    return number


def test_a_method_is_proven_by_a_code_that_lies_nowhere_and_survives_a_crash(
    server: TocsinServer, mail_server: MailServer
) -> None:
    number = int(server.json("contact", "add", "email", HOME)["id"])
    found = re.search(r"\b(\d{6})\b", arrives(mail_server, HOME).subject)
    assert found is not None
    code = found[1]
    server.kill9()
    server.start()
    wrong = server.run("contact", "verify", str(number), "000000" if code != "000000" else "1", check=False)
    assert wrong.returncode != 0 and "4 more tries" in wrong.stderr
    server.run("contact", "verify", str(number), f"{code[:3]} {code[3:]}")
    listed = {one["address"]: one["state"] for one in server.json("contact", "list")}
    assert listed == {WORK: "verified", HOME: "verified"}
    kept = b"".join(path.read_bytes() for path in server.data.iterdir() if path.name.startswith("tocsin.db"))
    for text in (f'"{code}"', f" {code} ", f"{code} is"):
        assert text.encode() not in kept and text not in server.output()


def test_pages_follow_the_persons_rules_until_somebody_answers(server: TocsinServer, mail_server: MailServer) -> None:
    home = proven(server, mail_server)
    server.run("contact", "rules", "--high", str(home), "--high", "1=2s")
    server.run("send", "--service", "db", "--title", "Disk full")
    found = opened(server)
    page = arrives(mail_server, HOME, 2)
    assert "Disk full" in page.subject
    assert "Disk full" in arrives(mail_server, WORK, 2).subject, "after the notice of the new method"
    first, second = incident(server, found["number"])["pages"]
    assert (first["held"], second["held"]) == (None, "next_method")
    server.run("incidents", "take", str(found["number"]))
    server.run("incidents", "reassign", str(found["number"]), "ben", "--why", "knows the disk")
    arrives(mail_server, "ben@shop.example")
    becomes(server, found["number"], "triggered")
    server.run("incidents", "snooze", str(found["number"]), "--for", "1h")
    assert becomes(server, found["number"], "acknowledged")["timeline"][-1]["reason"] == "put_off"
    server.run("incidents", "ask", str(found["number"]), "ana")
    assert "asked for help" in arrives(mail_server, HOME, 3).text()


def test_a_drill_pages_like_the_real_thing_and_ends_with_its_answer(
    server: TocsinServer, mail_server: MailServer
) -> None:
    home = proven(server, mail_server)
    server.run("contact", "rules", "--high", str(home), "--high", "1=1h")
    assert server.json("status")["real_channel_proven_at"] is None
    server.run("contact", "drill")
    link = re.search(r"(http\S+/p/\S+)", arrives(mail_server, HOME, 2).text())
    assert link is not None
    with urllib.request.urlopen(link[1]) as answer:
        assert b"This is what a page is like." in answer.read()
    with urllib.request.urlopen(urllib.request.Request(link[1], data=b"", method="POST")) as answer:
        assert b"You answered" in answer.read()
    assert server.json("status")["real_channel_proven_at"] is not None
    again = server.run("contact", "drill", check=False)
    assert again.returncode == 0, "the one before is over: its second method was withdrawn"
    arrives(mail_server, HOME, 3)
    assert [mail.subject for mail in to(mail_server, WORK) if "[notice]" not in mail.subject] == []


def test_low_urgency_outside_quiet_hours_is_paged_and_inside_them_waits(
    server: TocsinServer, mail_server: MailServer
) -> None:
    """Quiet from midnight to a minute before midnight is quiet now, whenever the test runs but in that minute."""
    server.run("contact", "rules", "--quiet", "00:00-23:59")
    server.run("send", "--service", "reports", "--title", "Report late")
    found = opened(server)
    assert (found["urgency"], found["waits"]) == ("low", "quiet_hours")
    assert to(mail_server, WORK) == []
    server.run("contact", "rules", "--quiet", "none")  # what waited for their end is judged again
    assert "Report late" in arrives(mail_server, WORK).subject
    server.run("send", "--service", "reports", "--title", "Report lost")
    assert "Report lost" in arrives(mail_server, WORK, 2).subject
