"""The page On call by plain links and forms, and the calendars at secret addresses, read by another's parser."""

from __future__ import annotations

import html
import re
from datetime import UTC, date, datetime, timedelta

import httpx2
import pytest
from icalendar import Calendar

from tests.web.conftest import Browserless
from tests.web.night import HOSTILE, NOW, PLAN
from tests.web.serving import Site
from tocsin.access.credentials import Token, User
from tocsin.engine import commands as c
from tocsin.kernel.instant import DAY, HOUR, Instant, from_datetime, parse_rfc3339
from tocsin.oncall.calendar import Event, written
from tocsin.oncall.imported import Busy, Imported
from tocsin.oncall.override import Override
from tocsin.oncall.roster import Roster
from tocsin.store import tables
from tocsin.web import boards, oncall

# The night is Tue 20 Oct 2026, 03:31 in Stockholm: ana's week; mei has office hours, so that now nobody is on call.
MONDAY = parse_rfc3339("2026-10-26T08:00:00Z")


def shown(page: str) -> str:
    """The text of a page."""
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", page))).replace(" .", ".").replace(" ,", ",")


def test_the_page_answers_who_is_on_call(ana: Browserless) -> None:
    text = shown(ana.get("/oncall").text)
    assert "You are on call. Nobody is for platform-hours. 21 gaps in the next four weeks." in text
    assert "Ana Ribeiro You, until Mon 26 Oct, 09:00 Then Ben Okafor from Mon 26 Oct, 09:00" in text
    assert "Nobody until 09:00 ; pages go on to the next step at once Then Mei Tanaka" in text


def test_gaps_are_sentences_with_a_way_to_fill_them(ana: Browserless) -> None:
    page = ana.get("/oncall").text
    assert "Nobody is on call for platform-hours from 03:31 to 09:00, 5 h 28 min." in shown(page)
    link = re.search(r'href="(/oncall/new\?kind=override&amp;schedule=platform-hours[^"]*)"', page)
    assert link is not None
    form = ana.get(html.unescape(link[1])).text
    assert 'name="from" value="2026-10-20T03:31"' in form
    assert 'name="to" required value="2026-10-20T09:00"' in form


def test_four_weeks_are_drawn_and_listed(ana: Browserless) -> None:
    page = ana.get("/oncall?schedule=shop-primary").text
    assert page.count('class="wk"') == 4
    assert "<title>You, Mon 19 Oct, 09:00 to Mon 26 Oct, 09:00</title>" in page
    assert "Sun 25: clocks in Europe/Stockholm go back, so that day has 25 hours." in page
    assert "Who, in order: shop-primary now to Mon 26 Oct, 09:00 Ana Ribeiro (you)" in shown(page)
    assert 'style="' not in page


def test_somebody_is_put_on_call_by_a_form(site: Site, ana: Browserless) -> None:
    ana.get("/oncall/new?schedule=platform-hours")
    times = {"from": "2026-10-20T03:30", "to": "2026-10-20T09:00"}
    ana.send("/oncall/overrides", person="ben", reason="cover <b>me</b>", **times)
    assert site.core.asked == [
        c.AddOverride(
            actor="person:ana", schedule="platform-hours", person="ben",
            starts_at=parse_rfc3339("2026-10-20T01:30:00Z"), ends_at=parse_rfc3339("2026-10-20T07:00:00Z"),
            reason="cover <b>me</b>",
        )
    ]  # fmt: skip
    text = shown(ana.page)
    assert "It counts, but no service pages by this schedule: nobody is called for it." in text
    assert "You and Ben are on call." in text
    assert "Ben on platform-hours: 03:30 to 09:00 cover <b>me</b>" in text
    assert "cover <b>me" not in ana.page
    ana.send("/oncall/overrides/101/cancel")
    assert site.core.asked[-1] == c.CancelOverride(actor="person:ana", id=101)
    assert "Taken back. The plan's layers count again." in shown(ana.page)


def test_who_is_put_on_call_where_they_are_already_changes_nothing_and_it_is_said(ana: Browserless) -> None:
    ana.get("/oncall/new?schedule=shop-primary")
    times = {"from": "2026-10-21T09:00", "to": "2026-10-21T18:00"}
    ana.send("/oncall/overrides", kind="override", schedule="shop-primary", person="ana", **times)
    assert "It counts, and changes nothing: the same people are on call then." in shown(ana.page)


def test_whoever_would_be_paged_twice_is_named(site: Site, ana: Browserless) -> None:
    """Because of an override the plan knows nothing of."""
    second = (
        b"  second:\n    layers:\n      - {rotate: [ben, ana], every: week, handoff: Mon 09:00, starts: 2026-10-19}\n"
    )
    text = PLAN["tocsin.yaml"].replace(b"  platform-hours:", second + b"  platform-hours:")
    text = text.replace(b"    - {page: ana, wait: 5m}\n    - {page: ben, wait: 5m, repeat: 2}\n",
                        b"    - {page: shop-primary, wait: 5m}\n    - {page: second}\n")  # fmt: skip
    site.night.replace_plan({**PLAN, "tocsin.yaml": text})
    assert "twice" not in shown(ana.get("/oncall").text)
    site.night.put(
        Override(
            id=7, kind="override", schedule="second", person="ana", starts_at=NOW + HOUR, ends_at=NOW + 2 * HOUR,
            asked_by="person:ana", asked_at=NOW, agreed_at=NOW,
        )
    )  # fmt: skip
    assert (
        "You are on call for shop-primary and second at once from 04:31 to 05:31: shop would page you twice."
        in shown(ana.get("/oncall").text)
    )


def test_an_override_of_somebody_who_left_the_plan_is_shown_as_idle(site: Site, ana: Browserless) -> None:
    site.night.put(
        Override(
            id=7, kind="override", schedule="shop-primary", person="gone", starts_at=NOW, ends_at=NOW + HOUR,
            asked_by="person:ana", asked_at=NOW, agreed_at=NOW,
        )
    )  # fmt: skip
    assert "Not in force: gone is not in the plan." in shown(ana.get("/oncall").text)


def test_shifts_of_a_calendar_from_elsewhere_are_shown_and_a_lost_source_is_said(site: Site, ana: Browserless) -> None:
    calendars = b"calendars:\n  rota: {ical: secret:rota}\nschedules:\n"
    text = PLAN["tocsin.yaml"].replace(b"schedules:\n", calendars, 1)
    text = text.replace(b"  shop-primary:\n", b"  shop-primary:\n    calendar: rota\n", 1)
    site.night.replace_plan({**PLAN, "tocsin.yaml": text})
    busy = Busy(NOW - HOUR, NOW + 5 * HOUR, False, "On call: Ben")
    late = Busy(NOW + 4 * HOUR, NOW + 6 * HOUR, False, "On call: Ana")
    away, error = NOW - 26 * HOUR, "it answered 500"
    site.night.put(Imported(name="rota", read_at=away, failing_since=away, error=error, busy=(busy, late)))
    page = shown(ana.get("/oncall?schedule=shop-primary").text)
    assert "by a calendar" in page
    assert "You and Ben are on call by shop-primary at once from" in page
    assert "for 1 h, as entries of its calendar overlap." in page
    assert "The calendar rota cannot be read since" in page
    assert "(it answered 500); its last copy counts." in page


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"person": "ben"}, "Say when it ends."),
        ({"person": "ben", "to": "soon"}, "Write a date and a time"),
        ({"person": "ben", "from": "2026-10-21T09:00", "to": "2026-10-20T09:00"}, "It must end after it begins"),
    ],
)
def test_what_is_wrong_is_said_where_it_was_written(ana: Browserless, fields: dict[str, str], says: str) -> None:
    ana.get("/oncall/new?schedule=shop-primary")
    answer = ana.send("/oncall/overrides", **fields)
    assert answer.status_code == 400
    assert says in answer.text
    assert 'aria-invalid="true"' in answer.text
    assert '<option value="ben" selected>' in answer.text


def test_whose_place_is_asked_where_one_chooses_it(site: Site, ana: Browserless) -> None:
    asks = "In that time ana and ben are on call by shop-primary: say whose place is to be taken"
    site.core.answer = c.Result(ok=False, code="invalid", message=asks, field="person")
    assert ">a gap, else mine</option>" in ana.get("/oncall/new?kind=cover&schedule=shop-primary").text
    answer = ana.send("/oncall/overrides", **{"from": "2026-10-21T09:00", "to": "2026-10-31T18:00"})
    assert answer.status_code == 400
    assert asks in shown(answer.text)


def test_a_shift_within_a_day_names_that_day_once(site: Site, ana: Browserless) -> None:
    """A list on a telephone has no room for it twice, and cut off was when the shift ends."""
    text = PLAN["tocsin.yaml"].replace(b"{rotate: mei, only:", b"{rotate: [mei, ana], every: day, only:", 1)
    site.night.replace_plan({**PLAN, "tocsin.yaml": text})
    days, weeks = (ana.get(f"/oncall/new?kind=swap&schedule={one}").text for one in ("platform-hours", "shop-primary"))
    assert re.search(r">Mei Tanaka: \w{3} \d+ \w{3}, 09:00 to 18:00</option>", days)
    assert re.search(r">Mon \d+ \w{3}, 09:00 to Mon \d+ \w{3}, 09:00</option>", weeks)


def test_shifts_are_swapped_when_the_other_agrees(site: Site, ana: Browserless) -> None:
    page = ana.get("/oncall/new?kind=swap&schedule=shop-primary").text
    mine = re.findall(r'<option value="(ana\|[0-9|]+)"', page)[0]
    theirs = re.findall(r'<option value="(ben\|[0-9|]+)"', page)[0]
    ana.send("/oncall/overrides", mine=mine, back=theirs)
    command = site.core.asked[-1]
    assert isinstance(command, c.AskSwap)
    assert (command.person, command.other, command.back_starts_at) == ("ana", "ben", MONDAY)
    assert "You asked Ben to swap on shop-primary" in shown(ana.page)
    assert "Agree to the swap" not in ana.page, "it is for Ben to say"
    ben = Browserless(site, 2)
    ben.get("/oncall")
    ben.send("/oncall/overrides/101/accept")
    assert site.core.asked[-1] == c.AnswerOverride(actor="person:ben", id=101, person="ben")


def test_cover_is_asked_for_and_taken(site: Site, ana: Browserless) -> None:
    ana.get("/oncall/new?kind=cover&schedule=shop-primary")
    ana.send("/oncall/overrides", instead_of="ana", **{"from": "2026-10-21T09:00", "to": "2026-10-21T18:00"})
    assert "You asked who takes the place of you on shop-primary" in shown(ana.page)
    assert "Take it</button>" not in ana.page
    ben = Browserless(site, 2)
    ben.get("/oncall")
    assert "Take it</button>" in ben.page
    ben.send("/oncall/overrides/101/accept")
    assert "You for Ana on shop-primary" in shown(ben.page)
    assert "It counts, but no service pages by this schedule: nobody is called for it." in shown(ben.page)


def test_forms_need_the_browser_that_was_given_them(site: Site, ana: Browserless) -> None:
    for path in ("/oncall/overrides", "/oncall/overrides/1/cancel", "/oncall/overrides/1/accept", "/oncall/feeds"):
        assert ana.http.post(path, data={"csrf": "x"}).status_code == 403, path
    assert site.core.asked == []


def test_a_viewer_looks_and_changes_nothing(site: Site) -> None:
    site.night.put(User(id=50, name="eve", role="viewer", created_at=NOW))
    eve = Browserless(site, 50)
    assert "Put somebody on call" not in eve.get("/oncall").text
    assert eve.get("/oncall/new").status_code == 403


def test_without_schedules_the_page_says_how_to_begin(site: Site, ana: Browserless) -> None:
    site.night.replace_plan({"tocsin.yaml": PLAN["tocsin.yaml"].split(b"schedules:")[0] + b"last resort: ana\n"})
    text = shown(ana.get("/oncall").text)
    assert "The plan has no schedules." in text
    assert "every: week, handoff: Mon 09:00" in text


# -- calendars ---------------------------------------------------------------------------------------------------------


def feed(ana: Browserless, of: str) -> str:
    """The address of a new calendar."""
    ana.get("/oncall")
    ana.send("/oncall/feeds", of=of)
    found = re.search(r"http://[^<\"]+/calendar/[\w-]+\.ics", ana.page)
    assert found is not None, ana.page
    return found[0]


def events(address: str) -> list[tuple[str, datetime, datetime]]:
    """What a calendar program reads at an address, without signing in."""
    answer = httpx2.get(address)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/calendar; charset=utf-8"
    return [(str(one["summary"]), moment(one.start), moment(one.end)) for one in read(answer.content).events]


def read(raw: bytes) -> Calendar:
    """A calendar as another's parser understands it."""
    found = Calendar.from_ical(raw)
    assert isinstance(found, Calendar)
    return found


def moment(at: date) -> datetime:
    """A time of day, not a day."""
    assert isinstance(at, datetime)
    return at


def test_a_schedules_calendar_is_what_the_schedule_says(site: Site, ana: Browserless) -> None:
    """Every shift, to the second, overrides too."""
    site.night.put(
        Override(
            id=7, kind="override", schedule="shop-primary", person="mei", starts_at=NOW + HOUR, ends_at=NOW + 2 * HOUR,
            asked_by="person:ana", asked_at=NOW, agreed_at=NOW,
        )
    )  # fmt: skip
    address = feed(ana, "schedule:shop-primary")
    covers = site.night.bodies(tables.overrides, Override)[0].covers()
    roster = Roster(site.night.plan.schedules["shop-primary"])
    wanted = roster.shifts(NOW - 28 * DAY, NOW + 182 * DAY, covers)
    found = events(address)
    assert [(from_datetime(start), from_datetime(end)) for _, start, end in found] == [
        (shift.start, shift.end) for shift in wanted
    ]
    assert ("Mei Tanaka (shop-primary)", at(NOW + HOUR), at(NOW + 2 * HOUR)) in found


def test_a_persons_calendar_has_their_shifts_alone(ana: Browserless) -> None:
    found = events(feed(ana, "person:mei"))
    assert {summary for summary, _, _ in found} == {"On call: platform-hours"}
    assert all(end - start == timedelta(hours=9) for _, start, end in found)


def test_a_revoked_calendar_is_gone(site: Site, ana: Browserless) -> None:
    address = feed(ana, "schedule:shop-primary")
    assert httpx2.get(address).status_code == 200
    ana.get("/oncall")
    assert address.rpartition("/")[2].removesuffix(".ics") not in ana.page, "it is shown once"
    ana.send("/oncall/feeds/101/revoke")
    assert isinstance(site.core.asked[-1], c.RevokeToken)
    assert httpx2.get(address).status_code == 404
    assert httpx2.get(f"{site.url}/calendar/{'x' * 43}.ics").status_code == 404


def test_nobody_takes_back_the_calendar_of_another(site: Site, ana: Browserless) -> None:
    feed(ana, "schedule:shop-primary")
    ben = Browserless(site, 2)
    ben.get("/oncall")
    token = re.search(r'name="csrf" value="([^"]+)"', ben.page)
    assert token is not None
    assert ben.http.post("/oncall/feeds/101/revoke", data={"csrf": token[1]}).status_code == 404


def test_a_calendars_address_signs_nobody_in(site: Site, ana: Browserless) -> None:
    secret = feed(ana, "person:ana").rpartition("/")[2].removesuffix(".ics")
    answer = httpx2.get(f"{site.url}/oncall", headers={"authorization": f"Bearer {secret}"})
    assert answer.status_code == 401
    [token] = [one for one in site.night.bodies(tables.tokens, Token) if one.kind == "feed"]
    assert token.name == "person:ana"


def test_a_calendar_ends_with_its_user(site: Site, ana: Browserless) -> None:
    address = feed(ana, "person:ana")
    [user] = [one for one in site.night.bodies(tables.users, User) if one.id == 1]
    user.disabled_at = NOW
    site.night.put(user)
    assert httpx2.get(address).status_code == 404


def test_a_calendar_of_nothing_is_refused(ana: Browserless) -> None:
    for of in ("schedule:none", "person:bob", "plan:x", ""):
        ana.get("/oncall")
        assert ana.send("/oncall/feeds", of=of).status_code == 404


def test_any_text_survives_a_calendar() -> None:
    """Escaped, folded and read back whole; lines are at most 75 bytes."""
    text = f"{HOSTILE}; a, b\\n \\ 渓 {'long ' * 40}"
    raw = written(text, [Event("k", text, NOW, NOW + HOUR, text)], NOW)
    assert all(len(line) <= 75 for line in raw.split(b"\r\n"))
    [event] = read(raw).events
    assert (str(event["summary"]), str(event["description"])) == (text, text)
    assert (event.start, event.end) == (at(NOW), at(NOW + HOUR))


def at(instant: Instant) -> datetime:
    """As calendars know it, in whole seconds."""
    return datetime.fromtimestamp(instant // 1_000_000, UTC)


def test_what_becomes_of_an_override_is_shown_before_it_counts(site: Site, ana: Browserless) -> None:
    ana.get("/oncall/new?schedule=shop-primary")
    before = list(site.core.asked)
    ana.send(
        "/oncall/overrides", kind="override", schedule="shop-primary", person="mei", look="yes",
        **{"from": "2026-10-23T09:00", "to": "2026-10-23T18:00"},
    )  # fmt: skip
    assert "What becomes of shop-primary" in ana.page and "nothing is changed yet" in ana.page
    assert ana.page.index("As it is") < ana.page.index("With it") < ana.page.index("Mei Tanaka</b>")
    assert site.core.asked == before, "nobody was told anything"
    ana.send(
        "/oncall/overrides", kind="override", schedule="shop-primary", person="mei", look="yes",
        **{"from": "2026-10-23T09:00", "to": "9998-10-23T18:00"},
    )  # fmt: skip
    assert "shown until" in ana.page, "however long it is, eight weeks are drawn"


def test_an_override_is_from_the_first_time_its_clock_shows_it_to_the_last(site: Site, ana: Browserless) -> None:
    """02:30 in Stockholm comes twice on 25 October 2026, and not at all on 28 March 2027."""
    for day, starts, ends in (
        ("2026-10-25", "2026-10-25T00:30:00Z", "2026-10-25T01:45:00Z"),
        ("2027-03-28", "2027-03-28T01:00:00Z", "2027-03-28T01:00:00Z"),
    ):
        ana.get("/oncall/new?schedule=shop-primary")
        times = {"from": f"{day}T02:30", "to": f"{day}T02:45"}
        ana.send("/oncall/overrides", kind="override", schedule="shop-primary", person="mei", **times)
        made = site.core.asked[-1]
        assert isinstance(made, c.AddOverride)
        assert (made.starts_at, made.ends_at) == (parse_rfc3339(starts), parse_rfc3339(ends))


def test_what_lies_in_the_past_is_not_shown_to_change_nothing(ana: Browserless) -> None:
    ana.get("/oncall/new?schedule=shop-primary")
    times = {"from": "2026-10-01T09:00", "to": "2026-10-01T18:00"}
    ana.send("/oncall/overrides", kind="override", schedule="shop-primary", person="mei", look="yes", **times)
    assert "It cannot end in the past." in ana.page
    assert "Nothing changes" not in ana.page


def test_the_calendar_goes_on_and_a_persons_shifts_are_listed(ana: Browserless) -> None:
    ana.get("/oncall?schedule=shop-primary&from=2026-12-24&person=ben")
    assert "shop-primary, 21 Dec to 17 Jan" in ana.page
    assert "Ben Okafor is on call, for twelve weeks" in ana.page
    assert "from=2026-11-23" in ana.page and "from=2027-01-18" in ana.page, "earlier and later"
    ana.get("/oncall?from=never&person=nobody")
    assert "Earlier" not in ana.page and "When you are on call" in ana.page


def test_a_calendar_of_short_turns_and_the_readers_own_shifts(
    ana: Browserless, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the reader's own list stands there unasked; a list that is cut says of how many it is."""
    assert "When you are on call, for twelve weeks" in shown(ana.get("/oncall").text)
    assert "When Mei Tanaka is on call, for twelve weeks" in shown(ana.get("/oncall?person=mei").text)
    monkeypatch.setattr(boards, "SHORT", 10 * HOUR)
    monkeypatch.setattr(boards, "WEEKS", 2)  # so that nine hours a day are short, and more than there are days
    monkeypatch.setattr(oncall, "MOST_LISTED", 15)
    page = ana.get("/oncall?schedule=platform-hours").text
    assert page.count('class="wk wk--h"') == 2 + 13, "the hours above each part, and a line for each day that is left"
    assert "Turns are short here, so each line is a day." in shown(page) and "6 more days" in shown(page)
    assert "The next 3 of 29 more shifts in these four weeks" in shown(page)
