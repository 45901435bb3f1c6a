"""The page a person opens from a mail: looking changes nothing, one press acknowledges, and it ends calmly."""

from __future__ import annotations

import re

import httpx2
import msgspec
import pytest
from msgspec import structs
from sqlalchemy.exc import OperationalError

from tests.web.night import NOW, SIGNING_KEY
from tests.web.serving import Site
from tests.web.test_playbooks import keep
from tocsin.alerts.alert import Alert
from tocsin.engine import commands as c
from tocsin.engine.commands import Result
from tocsin.escalation.policy import Step
from tocsin.incidents.incident import Incident
from tocsin.kernel.instant import DAY, HOUR, MINUTE
from tocsin.oncall.override import Override
from tocsin.pages.ledger import Page
from tocsin.pages.links import make_token
from tocsin.playbooks.run import Run
from tocsin.store import tables
from tocsin.store.alert_reads import Counted
from tocsin.store.reads import Reads


@pytest.fixture
def http(site: Site) -> httpx2.Client:
    """A browser that nobody signed in with."""
    return httpx2.Client(base_url=site.url, follow_redirects=True, headers={"accept": "text/html"}, timeout=30)


PATH = "/p/" + make_token(SIGNING_KEY, 17)


def test_it_says_what_since_when_and_what_happens_if_nobody_answers(http: httpx2.Client) -> None:
    page = http.get(PATH).text
    assert "<h1>About 1 in 6 shoppers cannot pay by card</h1>" in page
    assert "Since 03:18" in page
    assert "SEV1" in page
    assert "Ben is paged again at 03:33:18 if nobody answers." in page
    assert page.count("<button") == 1
    assert "<script" not in page


def test_a_title_that_is_cut_off_can_be_read_whole_without_signing_in(site: Site, http: httpx2.Client) -> None:
    assert "The whole title" not in http.get(PATH).text
    (one,) = (one for one in site.night.bodies(tables.incidents, Incident) if one.number == 1042)
    one.title = "Orders are taken and not delivered, in the shops of the north and in those of the south"
    site.night.put(one)
    page = http.get(PATH).text
    assert re.search(r'<details class="small" id="whole-title">.*' + re.escape(one.title) + "</p></details>", page)


def test_whoever_takes_a_turn_over_is_named_as_next(site: Site, http: httpx2.Client) -> None:
    """Half asleep one reads whether another will be woken: not who gave that night away."""
    (page,) = (one for one in site.night.bodies(tables.pages, Page) if one.id == 17)
    (incident,) = (one for one in site.night.bodies(tables.incidents, Incident) if one.number == page.incident)
    incident.steps = (Step(("schedule:shop-primary",)),) * (incident.step + 1)
    site.night.put(incident)
    assert "(Ana now) is paged again at 03:33:18" in http.get(PATH).text
    asked = {"asked_by": "person:ana", "asked_at": NOW - DAY, "agreed_at": NOW - DAY}
    taken = {"schedule": "shop-primary", "person": "mei", "starts_at": NOW - HOUR, "ends_at": NOW + HOUR}
    site.night.put(msgspec.convert({"id": 9, "kind": "override", **taken, **asked}, Override))
    assert "(Mei now) is paged again at 03:33:18" in http.get(PATH).text


def test_it_says_when_the_page_left_and_not_when_it_was_written_down(site: Site, http: httpx2.Client) -> None:
    """It may have waited long, to go with others or for the method before it."""
    (page,) = (one for one in site.night.bodies(tables.pages, Page) if one.id == 17)
    page.finished_at = page.intended_at + 2 * MINUTE
    site.night.put(page)
    assert "Tocsin paged you by email at 03:20" in http.get(PATH).text


def test_looking_changes_nothing_and_leaves_no_trace_behind(site: Site, http: httpx2.Client) -> None:
    answer = http.get(PATH)
    assert site.core.asked == []
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert "noindex" in answer.headers["x-robots-tag"]
    assert http.head(PATH).status_code in (200, 405)
    assert site.core.asked == []


def test_one_press_acknowledges_as_the_person_who_was_paged(site: Site, http: httpx2.Client) -> None:
    answer = http.post(PATH)
    assert site.core.asked == [c.Acknowledge(actor="person:ana", incident=1042, page=17, over=False)]
    assert "You have it" in answer.text
    assert "Nobody else is paged while you have it." in answer.text
    assert "Paging goes on at" in answer.text
    http.post(PATH)
    assert len(site.core.asked) == 1, "pressing twice is the same as once"


def test_a_page_that_failed_long_ago_answers_for_its_incident_alone(site: Site, http: httpx2.Client) -> None:
    """The core may have let it go: it would be told of a page that it does not know."""
    mine = next(row for row in site.night.bodies(tables.pages, Page) if row.id == 17)
    site.night.put(structs.replace(mine, state="failed", finished_at=NOW - 2 * DAY))
    http.post(PATH)
    assert site.core.asked == [c.Acknowledge(actor="person:ana", incident=1042, page=0, over=False)]


def test_one_that_somebody_else_has_says_so_and_can_be_taken_over(site: Site, http: httpx2.Client) -> None:
    path = "/p/" + make_token(SIGNING_KEY, 16)
    page = http.get(path).text
    assert "Ben has it" in page
    assert "Take it over from Ben" in page
    (over,) = re.findall(r'action="([^"]+)"', page)
    http.post(over)
    assert site.core.asked == [c.Acknowledge(actor="person:mei", incident=1043, page=16)]


def test_a_press_from_before_somebody_had_it_takes_nothing_from_them(site: Site, http: httpx2.Client) -> None:
    """The mail lay open with its button while Ben answered."""
    answer = http.post("/p/" + make_token(SIGNING_KEY, 16))
    assert answer.status_code == 409
    assert "Ben has it" in answer.text and "You have it" not in answer.text
    assert "Take it over from Ben" in answer.text
    assert site.core.asked == []


def test_of_two_presses_at_one_instant_the_second_reads_who_has_it(
    site: Site, http: httpx2.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ben_was_first(command: c.AnyCommand) -> c.Result:
        assert command == c.Acknowledge(actor="person:ana", incident=1042, page=17, over=False)
        incident = site.night.incident(1042)
        incident.state, incident.acknowledged_by, incident.acknowledged_at = "acknowledged", "person:ben", NOW
        site.night.put(incident)
        return c.Result(ok=False, code="taken", message="Ben has incident #1042 already")

    monkeypatch.setattr(site.core, "_do", ben_was_first)
    answer = http.post(PATH)
    assert answer.status_code == 409
    assert "Ben has it" in answer.text and "You have it" not in answer.text


def test_a_forged_or_cut_link_gets_a_calm_page(site: Site, http: httpx2.Client) -> None:
    for path in (
        "/p/17.forged",
        "/p/17",
        PATH[:-1],
        "/p/" + make_token(b"x" * 32, 17),
        "/p/" + make_token(SIGNING_KEY, 999),
    ):
        for answer in (http.get(path), http.post(path)):
            assert answer.status_code == 404
            assert "This link does not work any more." in answer.text
            assert 'href="/sign-in"' in answer.text
    assert site.core.asked == []


def test_a_link_works_until_a_day_after_its_incident_was_resolved(site: Site, http: httpx2.Client) -> None:
    incident = site.night.incident(1042)
    incident.state, incident.resolved_at, incident.resolved_by = "resolved", NOW - DAY + HOUR, "code"
    site.night.put(incident)
    assert "It is over" in http.get(PATH).text
    incident.resolved_at = NOW - DAY - MINUTE
    site.night.put(incident)
    assert http.get(PATH).status_code == 410
    http.post(PATH)
    assert site.core.asked == []


def test_it_is_dark_at_night_where_the_person_is_unless_they_chose(site: Site, http: httpx2.Client) -> None:
    assert 'data-theme="dark"' in http.get(PATH).text
    assert 'data-theme="light"' in http.get(PATH, headers={"cookie": "tocsin-preferences=theme=light"}).text
    site.clock._start += 8 * HOUR
    assert "data-theme" not in http.get(PATH).text


def test_when_the_core_does_not_answer_the_press_is_not_pretended(site: Site, http: httpx2.Client) -> None:
    site.core.gone = True
    assert http.get(PATH).status_code == 200, "it can be read all the same"
    answer = http.post(PATH)
    assert answer.status_code == 503
    assert "nothing was written down. Press it again." in answer.text
    assert "<button" in answer.text


def test_whoever_is_asked_beside_somebody_who_has_answered_reads_who_that_is(site: Site, http: httpx2.Client) -> None:
    incident = site.night.incident(1042)
    incident.steps = tuple(structs.replace(step, answers=2) for step in incident.steps)
    incident.answers = {"ben": NOW + HOUR}
    site.night.put(incident)
    page = http.get(PATH).text
    assert "<h2>Who has answered</h2>" in page
    assert "Ben, one of 2 who are asked for. You are asked for as well." in page
    assert "Acknowledge</button>" in page


def test_one_of_several_who_answered_is_told_so_and_has_no_button_any_more(site: Site, http: httpx2.Client) -> None:
    incident = site.night.incident(1042)
    incident.steps = tuple(structs.replace(step, answers=3) for step in incident.steps)
    incident.answers = {"ana": NOW + HOUR}
    site.night.put(incident)
    page = http.get(PATH).text
    assert "You have answered" in page
    assert "One of 3 who are asked for. The others are still paged." in page
    assert "<button" not in page
    assert "Nobody else is paged" not in page
    http.post(PATH)
    assert site.core.asked == []


def test_a_link_of_several_is_headed_by_the_gravest_and_every_line_says_how_grave_and_since_when(
    site: Site, http: httpx2.Client
) -> None:
    """Its own row may be of a smaller one. What somebody has comes after what nobody has; one press answers all."""
    one = site.night.incident(1042)
    mine = next(row for row in site.night.bodies(tables.pages, Page) if row.id == 17)
    small = structs.replace(one, number=2001, title="Search is slow", service="search", severity="sev3")
    lesser = structs.replace(small, number=2002, title="Reports are late", severity="sev2")
    rows = (
        structs.replace(mine, id=901, incident=2001, bundle=901, bundled=(901, 902, 17)),
        structs.replace(mine, id=902, incident=2002, bundle=901),
        structs.replace(mine, bundle=901),
    )
    site.night.put(small, lesser, *rows)
    path = "/p/" + make_token(SIGNING_KEY, 901)
    page = http.get(path).text
    assert "<h1>3\u00a0incidents, the gravest: About 1 in 6 shoppers cannot pay by card</h1>" in page
    assert page.index("SEV1") < page.index("<h1>")
    lines = re.findall(r"<li><span class=\"sev .*?</li>", page, re.S)
    assert [re.findall("SEV[1-4]|#[0-9]+|since [0-9:]+", line) for line in lines] == [
        ["SEV1", "#1042", "since 03:18"],
        ["SEV2", "#2002", "since 03:18"],
        ["SEV3", "#2001", "since 03:18"],
    ]
    assert "Acknowledge all 3" in page
    http.post(path)
    assert site.core.asked == [c.Acknowledge(actor="person:ana", incident=1042, page=17, over=False)]
    one.state, one.resolved_at, one.resolved_by = "resolved", NOW - 2 * DAY, "code"
    site.night.put(one)
    page = http.get(PATH).text
    assert "the gravest nobody has: Reports are late</h1>" in page, "what is over does not hide what is not"
    assert "SEV2" in page[: page.index("<h1>")]


def test_what_was_opened_again_since_is_no_part_of_an_old_message(site: Site, http: httpx2.Client) -> None:
    """But who comes by the page of that very incident sees how it is now, and answers for what they see."""
    one = site.night.incident(1042)
    mine = next(row for row in site.night.bodies(tables.pages, Page) if row.id == 17)
    again = structs.replace(one, number=2001, title="Search is slow", reopened=1, reopened_at=mine.intended_at + 1)
    site.night.put(
        again,
        structs.replace(mine, bundle=17, bundled=(17, 901)),
        structs.replace(mine, id=901, incident=2001, bundle=17),
    )
    page = http.get(PATH).text
    assert "Search is slow" not in page and ">Acknowledge<" in page
    own = "/p/" + make_token(SIGNING_KEY, 901)
    http.post(own)
    told_of = c.Acknowledge(actor="person:ana", incident=1042, page=17, over=False)
    assert site.core.asked == [told_of], "what it told of comes first"
    one.state, one.resolved_at, one.resolved_by = "resolved", NOW, "code"
    site.night.put(one)
    assert "Search is slow" in http.get(own).text
    http.post(own)
    assert site.core.asked[-1] == c.Acknowledge(actor="person:ana", incident=2001, page=0, over=False)


def test_it_says_what_code_tried_and_what_it_suggests(site: Site, http: httpx2.Client) -> None:
    """Half asleep, on a telephone: that code was there, what it did, and that something is in doubt."""
    one = site.night.incident(1042)
    one.tried = ("free-memory could not finish: <b>the reason</b>", "free-memory: FINDING-ONE", *map(str, range(9)))
    one.run = 76
    site.night.put(one)
    keep(
        site, Run(number=76, playbook="p", service="checkout", plan="v", started_at=NOW, deadline=NOW, advice="DO THIS")
    )
    page = http.get(PATH).text
    assert "FINDING-ONE" in page and "&lt;b&gt;the reason&lt;/b&gt;" in page and "<b>the reason" not in page
    assert "and 5 more" in page and page.index("FINDING-ONE") < page.index("DO THIS") < page.index(">Acknowledge<")
    site.night.put(structs.replace(one, state="resolved", resolved_at=NOW, resolved_by="code"))
    assert "FINDING-ONE" not in http.get(PATH).text


def test_of_a_storm_it_shows_the_gravest_and_says_how_many_one_press_answers(site: Site, http: httpx2.Client) -> None:
    """However many there are: what is listed first came last. What somebody answered already is not counted."""
    one = site.night.incident(1042)
    mine = next(row for row in site.night.bodies(tables.pages, Page) if row.id == 17)
    ids = tuple(range(3001, 3601))
    rows = [structs.replace(mine, id=id, incident=id, bundle=3001) for id in ids]
    rows[0].bundled = ids
    storm = [structs.replace(one, number=id, title=f"Small {id}", severity="sev4") for id in ids]
    storm[599].severity, storm[599].title = "sev1", "Grave"
    storm[598].severity, storm[598].title = "sev1", "Half answered"
    storm[598].steps = tuple(structs.replace(step, answers=3) for step in one.steps)
    storm[598].answers = {"ana": NOW + HOUR}
    storm[597].state, storm[597].resolved_at, storm[597].resolved_by = "resolved", NOW, "code"
    site.night.put(*storm, *rows)
    path = "/p/" + make_token(SIGNING_KEY, 3001)
    page = http.get(path).text
    assert "<h1>600\u00a0incidents, the gravest: Grave</h1>" in page
    assert page.index("SEV1") < page.index("<h1>")
    assert len(re.findall(r"<li><span class=\"sev ", page)) == 8
    assert "and 592 more" in page
    assert "Acknowledge all 598" in page
    http.post(path)
    assert site.core.asked == [c.Acknowledge(actor="person:ana", incident=3600, page=3600, over=False)]


def test_it_says_how_many_fire_and_since_when_they_do(site: Site, http: httpx2.Client) -> None:
    """What the message said: what has ended counts no more, and the time before it was reopened neither."""
    one = site.night.incident(1042)
    fired = [alert for alert in site.night.bodies(tables.alerts, Alert) if alert.incident == 1042 and alert.firing]
    one.reopened, one.opened_at, one.alerts = 1, NOW - DAY, 300
    one.reopened_at = one.began_at = site.clock() - 5 * MINUTE
    more = [structs.replace(fired[0], id=9000 + n, key=f"k{n}", own_title=f"Pod {n}") for n in range(7)]
    site.night.put(one, *fired, *more)
    page = http.get(PATH).text
    assert f"for 5\u00a0min now. {len(fired) + 7} of 300\u00a0alerts fire." in page
    assert f"and {len(fired) + 2} more" in page
    one.state, one.resolved_at = "resolved", site.clock()
    site.night.put(one)
    assert ", 5\u00a0min after it began." in http.get(PATH).text


@pytest.mark.parametrize("gone", [False, True])
def test_what_a_silence_covers_counts_as_little_as_in_the_message(
    site: Site, http: httpx2.Client, monkeypatch: pytest.MonkeyPatch, gone: bool
) -> None:
    """Unless it covers all of it: then that is what the page is about.

    The tables, which take long in a storm, are asked only while the core is away.
    """
    assert site.faces is not None
    read, asked = site.faces.reads.heard, list[int]()

    def heard(incident: int, newest: int) -> Counted:
        asked.append(incident)
        return read(incident, newest)

    monkeypatch.setattr(site.faces.reads, "heard", heard)
    monkeypatch.setattr(site.core, "gone", gone)
    fired = [alert for alert in site.night.bodies(tables.alerts, Alert) if alert.incident == 1042 and alert.firing]
    quiet = [structs.replace(one, own_title=f"Quiet {one.id}", silences=("s-1",)) for one in fired]
    loud = [structs.replace(fired[0], id=9000 + n, key=f"k{n}", own_title=f"Loud {n}") for n in range(2)]
    one = site.night.incident(1042)
    one.alerts = 300
    site.night.put(one, *quiet, *loud)
    page = http.get(PATH).text
    assert "2 of " in page and "Quiet" not in page
    assert page.index("Loud 1") < page.index("Loud 0"), "the newest first"
    site.night.put(*(structs.replace(one, silences=("s-1",)) for one in loud))
    page = http.get(PATH).text
    assert f"{len(fired) + 2} of " in page and "Quiet" in page
    assert asked == [1042, 1042] * gone


@pytest.mark.usefixtures("unreadable")
def test_without_a_database_one_of_several_answers_is_told_as_what_it_is(site: Site, http: httpx2.Client) -> None:
    noted = "Noted: 1 of 2 have incident #1042; the others are still paged"
    site.core.answer = Result(ok=True, reason="answered", message=noted)
    answer = http.post(PATH)
    assert answer.status_code == 200
    assert f"{noted}." in answer.text
    assert "You have it" not in answer.text


@pytest.fixture
def unreadable(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The database does not answer."""

    def away(*_: object, **__: object) -> None:
        raise OperationalError("SELECT", {}, Exception("connection refused"))

    monkeypatch.setattr(Reads, "page", away)
    monkeypatch.setattr(Reads, "plan_version", away)


@pytest.mark.usefixtures("unreadable")
def test_without_a_database_the_button_is_still_there_and_counts(site: Site, http: httpx2.Client) -> None:
    answer = http.get(PATH)
    assert answer.status_code == 503
    assert answer.text.count("<button") == 1
    assert "Paging goes on without it" in answer.text
    assert "<script" not in answer.text
    assert site.core.asked == []
    site.core.answer = Result(ok=False, code="unwritten", message="It is in force, but not written down yet")
    answer = http.post(PATH)
    assert site.core.asked == [c.Acknowledge(page=17, over=False)]
    assert answer.status_code == 202
    assert "You have it" in answer.text
    assert "not written down yet" in answer.text
    assert "<button" not in answer.text
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.usefixtures("unreadable")
def test_without_a_database_a_forged_link_does_nothing(site: Site, http: httpx2.Client) -> None:
    forged = "/p/17.AAAA"
    assert http.get(forged).status_code == 503
    assert "<form" not in http.get(forged).text
    assert http.post(forged).status_code == 503
    assert site.core.asked == []


def test_an_acknowledgement_that_cannot_be_written_down_says_so(site: Site, http: httpx2.Client) -> None:
    site.core.answer = Result(ok=False, code="unwritten", message="It is in force, but not written down yet")
    answer = http.post(PATH)
    assert answer.status_code == 202
    assert "in force, but not written down yet" in answer.text
