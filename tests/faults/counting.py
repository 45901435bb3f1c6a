"""Counting afterwards: what Tocsin says it has, against what was acknowledged and what arrived."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

from tests.support.catcher import Catcher
from tests.support.mail import MailServer
from tests.support.server import TocsinServer
from tests.support.waiting import eventually
from tocsin.pages.rendering import DUPLICATE

PEOPLE = {"ana": "email", "ben": "webhook"}
"""Who is paged first, and how: mail cannot drop repetitions, a webhook can."""
SECRET = "whsec_" + "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"


def a_plan_for(mail: MailServer, catcher: Catcher, routes: list[dict[str, Any]]) -> dict[str, Any]:
    """Both are paged at once for every incident of the load, and nobody again for an hour."""
    return {
        "tocsin": 1,
        "team": "shop",
        "people": {
            "ana": {"email": "ana@shop.example"},
            "ben": {"webhook": {"url": catcher.url + "/ben", "secret": "secret:ben"}},
        },
        "escalations": {"both": [{"page": ["ana", "ben"], "wait": "1h"}]},
        "services": {"inbox": {"escalation": "both"}, "load": {"escalation": "both"}},
        "routes": routes,
        "mail": {"server": f"smtp://{mail.host}:{mail.port}", "from": "tocsin@shop.example"},
    }


def bundle_briefly(server: TocsinServer) -> None:
    """What is sent together waits two seconds for more, not thirty: it is still bundled, and nobody waits for it."""
    for person in PEOPLE:
        server.run("contact", "rules", "--person", person, "--bundle-within", "2s")


def everything(server: TocsinServer, path: str, **query: str) -> Iterator[dict[str, Any]]:
    """All items of a list of the API, page by page."""
    cursor = ""
    while True:
        asked = "&".join(f"{name}={value}" for name, value in {**query, "limit": "200"}.items())
        status, found = server.call("GET", f"{path}?{asked}{'&cursor=' + cursor if cursor else ''}")
        assert status == 200, found
        yield from found["items"]
        cursor = found["next"] or ""
        if not cursor:
            return


def kept(server: TocsinServer) -> set[int]:
    """The numbers of the load's alerts that exist."""
    return {
        int(alert["labels"].get("n") or alert["key"].removeprefix("n"))
        for alert in everything(server, "/api/v1/alerts", state="all")
        if alert["source"] != "tocsin"
    }


def missing(server: TocsinServer, acknowledged: set[int]) -> set[int]:
    """Acknowledged alerts that do not exist: always the empty set."""
    return acknowledged - kept(server)


def settled(server: TocsinServer, *, within: float = 60.0) -> list[dict[str, Any]]:
    """The ledger, once every page in it has an outcome."""

    def asked() -> list[dict[str, Any]]:
        rows = list(everything(server, "/api/v1/pages"))
        waiting = [row for row in rows if row["state"] == "intended"]
        assert rows
        assert not waiting, f"{len(waiting)} of {len(rows)} pages have no outcome yet, such as {waiting[0]}"
        return rows

    return eventually(asked, within=within, what="every page to have an outcome")


def check_pages(server: TocsinServer, mail: MailServer, catcher: Catcher) -> Counter[str]:
    """Every incident was paged to both once, every page arrived (many at once in one message), repetitions say so.

    Returns how many there were of everything, for the test's own record.
    """
    rows = settled(server)
    paged = defaultdict(list)
    for row in rows:
        assert row["state"] == "sent", row
        paged[row["incident"], row["person"]].append(row)
    numbers = [one["number"] for one in everything(server, "/api/v1/incidents")]
    unpaged = [(number, person) for number in numbers for person in PEOPLE if (number, person) not in paged]
    assert unpaged == [], "incidents without their page"
    twice = {who: [row["id"] for row in of] for who, of in paged.items() if len(of) > 1}
    assert twice == {}, "two pages where one was due"
    mails, hooks = _mails(mail), _hooks(catcher)
    arrived = {**mails, **hooks}
    absent = [row["id"] for row in rows if (row["bundle"] or row["id"]) not in arrived]
    assert absent == [], f"{len(absent)} of {len(rows)} pages are marked as sent and never arrived"
    strangers = set(arrived) - {row["id"] for row in rows}
    assert strangers == set(), "pages arrived that the ledger does not have"
    again = 0
    outcome = {row["id"]: row["outcome"] for row in rows}
    for page, marks in mails.items():
        again += len(marks) - 1
        assert all(marks[1:]), f"page {page} was mailed {len(marks)} times, marked {marks}"
        assert len(marks) == 1 or outcome[page] == "possible_duplicate", (page, outcome[page])
    for page, ids in hooks.items():
        again += len(ids) - 1
        assert len(set(ids)) == 1, f"page {page} was posted with different webhook-ids: {ids}"
    return Counter(incidents=len(numbers), pages=len(rows), repeated=again)


def _mails(mail: MailServer) -> dict[int, list[bool]]:
    """For each page that was mailed: whether each mail, in order, says that it may be a repetition."""
    found = defaultdict(list)
    for one in list(mail.messages):
        text = one.text()
        (page,) = set(re.findall(r"/p/(\d+)\.", text))
        found[int(page)].append(DUPLICATE in text)
    return dict(found)


def _hooks(catcher: Catcher) -> dict[int, list[str]]:
    """For each page that was posted: the webhook-id of each post, in order."""
    found = defaultdict(list)
    for one in list(catcher.requests):
        if len(one.body) < int(one.headers["content-length"]):
            continue  # the kill cut it off: it did not arrive
        found[int(one.json()["data"]["page"])].append(one.headers["webhook-id"])
    return dict(found)
