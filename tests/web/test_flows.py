"""Every core flow by plain links and forms, as a browser without scripts sends them."""

from __future__ import annotations

import json
import re
from html import unescape
from urllib.parse import parse_qs, urlsplit

from msgspec import structs
from sqlalchemy import delete

from tests.support.waiting import eventually
from tests.web.conftest import Browserless
from tests.web.night import HOSTILE, NOW, PLAN, alert
from tests.web.serving import Site
from tocsin.access.limits import KeyLimits
from tocsin.alerts.alert import Alert
from tocsin.alerts.heartbeats import Heartbeat
from tocsin.engine import commands as c
from tocsin.engine.records import HeardChange
from tocsin.faces.core import CoreGone
from tocsin.kernel.identity import texts_json
from tocsin.kernel.instant import DAY, HOUR, MINUTE
from tocsin.kernel.matcher import Matcher
from tocsin.kernel.reason import Reason
from tocsin.runtime.line import Firing
from tocsin.runtime.standby import Standby
from tocsin.silences.silence import Silence
from tocsin.store import tables


def test_the_list_says_in_one_sentence_what_needs_a_person(ana: Browserless) -> None:
    ana.get("/")
    assert "Two incidents need a person. One more is held.</h1>" in ana.page
    assert "Ben was paged by email and is paged again" in ana.page
    assert re.search(
        ">Needs a person</h2>.*>Somebody has it</h2>.*>Kept quiet</h2>.*>Resolved lately</h2>",
        ana.page,
        re.DOTALL,
    )


def test_a_grave_incident_stands_before_any_number_of_newer_lesser_ones(site: Site, ana: Browserless) -> None:
    """Also on the list of what is triggered; and the page says how many of each there are."""
    for number in range(2000, 2060):
        site.night.put(structs.replace(site.night.incident(1044), number=number, severity="sev4"))
    for path in ("/", "/?state=triggered"):
        rows = re.findall(r'<article class="row" id="i(\d+)"', ana.get(path).text)
        assert rows[:2] == ["1042", "1044"] and rows[2] == "2059"
        assert "62 incidents need a person." in ana.page
        assert "These are 1 SEV1, 1 SEV2 and 60 SEV4; the gravest stand first." in ana.page
        more = re.search(r'<a href="([^"]+)" rel="next">More</a>', ana.page)
        assert more is not None
        assert "Back to the gravest" in ana.get(more[1].replace("&amp;", "&")).text
        assert not set(rows) & set(re.findall(r'<article class="row" id="i(\d+)"', ana.page)) - {"1040", "1038"}


def test_what_is_kept_quiet_stands_behind_what_needs_somebody_and_is_not_counted_with_it(
    site: Site, ana: Browserless
) -> None:
    """However grave and however many; and what a filter leaves is counted on all pages."""
    for number in range(2000, 2060):
        site.night.put(structs.replace(site.night.incident(1041), number=number, severity="sev1"))
    for number in range(2100, 2153):
        site.night.put(structs.replace(site.night.incident(1044), number=number, service="cart", severity="sev4"))
    for path in ("/", "/?state=triggered"):
        rows = re.findall(r'<article class="row" id="i(\d+)"', ana.get(path).text)
        assert rows[:3] == ["1042", "1044", "2152"]
        assert "55 incidents need a person. One more is held.</h1>" in ana.page
        assert "These are 1 SEV1, 1 SEV2 and 53 SEV4; the gravest stand first." in ana.page
        assert "50 of 55" in ana.page
    ana.get("/?service=cart")
    assert "53 incidents need a person.</h1>" in ana.page and "50 of 53" in ana.page
    ana.get("/?service=payments")
    assert "Nothing needs a person. 61 incidents are kept quiet.</h1>" in ana.page and "50 of 61" in ana.page
    ana.get("/?severity=sev1")
    assert "One incident needs a person.</h1>" in ana.page and "49 of 60" in ana.page
    words = site.night.incident(1044).title.split()[0]
    ana.get(f"/?text={words}")
    assert re.search(r">At least 50 incidents match; at least \d+ need a person.</h1>", ana.page)
    assert "No incident matches.</h1>" in ana.get("/?text=nothing-like-it").text


def test_filters_live_in_the_address(ana: Browserless) -> None:
    assert ana.get("/?service=search").text.count('class="row"') == 1
    assert "#1044" in ana.page
    assert ana.get("/?severity=sev1").text.count('class="row"') == 1
    assert ana.get("/?state=all&text=refund").text.count('class="row"') == 2
    assert "No incident matches these filters." in ana.get("/?state=all&text=nothing-like-it").text
    assert 'href="/?state=resolved&amp;service=search"' in ana.get("/?service=search").text


def test_a_filter_that_names_nothing_is_said_and_hides_nothing(ana: Browserless) -> None:
    """``Nothing needs a person`` of a service that is none would be read as if all were well."""
    everything = re.findall(r'<article class="row" id="i(\d+)"', ana.get("/").text)
    for filters, said in (
        ("service=checkuot", "There is no service &#39;checkuot&#39;, so that is not filtered by."),
        ("severity=x&service=checkuot", "service &#39;checkuot&#39; and no severity &#39;x&#39;, so"),
    ):
        assert re.findall(r'<article class="row" id="i(\d+)"', ana.get(f"/?{filters}").text) == everything, filters
        assert said in ana.page and "Nothing needs" not in ana.page
        assert "<option selected>checkuot" not in ana.page
    assert "There is no" not in ana.get("/?service=search&severity=sev1").text


def test_a_page_from_before_somebody_had_it_takes_nothing_from_them(site: Site, ana: Browserless) -> None:
    ana.get("/")
    site.core._do(c.Acknowledge(actor="person:ben", incident=1042))
    answer = ana.send("/incidents/1042/acknowledge")
    assert (answer.status_code, site.night.incident(1042).acknowledged_by) == (409, "person:ben")
    assert "Ben has incident #1042 already." in answer.text
    ana.get("/incidents/1042")
    (over,) = re.findall(r'<form class="when-held"[^>]*action="([^"]+)"', ana.page)
    ana.send(over)
    assert site.core.asked[-1] == c.Acknowledge(actor="person:ana", incident=1042)
    assert site.night.incident(1042).acknowledged_by == "person:ana"


def test_an_incident_is_acknowledged_from_the_list(site: Site, ana: Browserless) -> None:
    ana.get("/")
    answer = ana.send("/incidents/1042/acknowledge")
    assert site.core.asked == [c.Acknowledge(actor="person:ana", incident=1042, over=False)]
    assert answer.url.path == "/"
    assert "You have it since" in answer.text
    assert "You have it. Nobody else is paged while you do." in answer.text


def test_an_answer_of_several_says_that_the_others_are_still_paged(site: Site, ana: Browserless) -> None:
    incident = site.night.incident(1042)
    incident.steps = tuple(structs.replace(step, answers=2) for step in incident.steps)
    site.night.put(incident)
    ana.get("/")
    assert 'data-quiet="Noted."' in ana.page and 'action="/incidents/1042/acknowledge"' in ana.page
    site.core.answer = c.Result(ok=True, reason="answered", message="Noted")
    incident.answers = {"ana": NOW + HOUR}
    site.night.put(incident)
    ana.send("/incidents/1042/acknowledge")
    assert "More people are asked for, so the others are still paged." in ana.page
    assert "Nobody else is paged while you do." not in ana.page
    assert 'action="/incidents/1042/acknowledge"' not in ana.page
    ana.get("/incidents/1042")
    assert re.search(r"[0-9]+ of [0-9]+ went out, to [0-9]+\s(person|people)", ana.page)
    assert 'data-noted="1"' in ana.page
    assert "You have answered, one of 2 who are asked for. The others are still paged." in ana.page


def test_resolving_while_alerts_fire_takes_a_snooze_of_one_hour_unless_chosen(site: Site, ana: Browserless) -> None:
    ana.get("/incidents/1042")
    assert 'data-firing="1"' in ana.page
    assert f'<option value="{HOUR}" selected>in 1 h</option>' in ana.page
    ana.send("/incidents/1042/resolve", snooze=str(4 * HOUR))
    assert site.core.asked[-1] == c.Resolve(actor="person:ana", incident=1042, snooze=4 * HOUR)
    assert "It is looked at again" in ana.page
    ana.get("/incidents/1044")
    ana.send("/incidents/1044/resolve", snooze="as long as you like")
    assert site.core.asked[-1] == c.Resolve(actor="person:ana", incident=1044, snooze=HOUR)


def test_who_resolves_what_a_newcomer_opened_finds_chosen_what_was_said_of_the_others(
    site: Site, ana: Browserless
) -> None:
    incident = site.night.incident(1042)
    incident.snoozed_until = NOW + 9 * HOUR
    site.night.put(incident)
    ana.get("/incidents/1042")
    (said,) = re.findall(r'<option value="" selected>(at [^<]*, as put off)</option>', ana.page)
    assert len(said) < 32, "all of it can be read on a telephone"
    assert "What else fires is looked at again in 1 h." in ana.page
    assert f'<option value="{HOUR}">in 1 h</option>' in ana.page
    ana.send("/incidents/1042/resolve", snooze="")
    assert site.core.asked[-1] == c.Resolve(actor="person:ana", incident=1042)


def test_that_it_is_looked_at_again_is_said_once_and_when(ana: Browserless) -> None:
    ana.get("/incidents/1038")
    assert len(re.findall("[Ll]ooked at again", ana.page)) == 1


def test_the_room_counts_what_fires_and_shows_it_first_whatever_has_ended_since(site: Site, ana: Browserless) -> None:
    over = {"state": "resolved", "reason": Reason.SOURCE_RESOLVED, "ends_at": NOW}
    site.night.put(*(alert(number, f"Host {number}", "search", 1044) for number in range(1000, 1049)))
    site.night.put(*(alert(number, f"Host {number}", "search", 1044, **over) for number in range(1049, 1600)))
    incident = site.night.incident(1044)
    incident.alerts = 601
    site.night.put(incident)
    ana.get("/incidents/1044")
    assert "601\u00a0alerts, 50 firing." in ana.page and "50 firing of 601" in ana.page
    assert 'data-firing="1"' in ana.page
    shown = re.findall(r'<a class="t" href="/alerts/(\d+)">', ana.page)
    assert shown == [str(number) for number in range(1048, 1028, -1)]
    ana.get("/incidents/1044?alerts=all")
    found = re.findall(r'<a class="t" href="/alerts/(\d+)">', ana.page)
    assert len(found) == 500 and found[:20] == shown and found[49] == "5"
    more = re.search(r'<a href="([^"]+)" rel="next">More alerts</a>', ana.page)
    assert more is not None
    found += re.findall(r'<a class="t" href="/alerts/(\d+)">', ana.get(more[1].replace("&amp;", "&")).text)
    assert len(found) == len(set(found)) == 601 and "More alerts" not in ana.page
    assert ana.get("/incidents/1044?alerts=all&from=nonsense").status_code == 400


def test_where_no_core_counts_what_fires_nobody_is_told_that_nothing_does(site: Site, ana: Browserless) -> None:
    """Another node writes, or the core is away: that is when people look."""
    ana.get("/incidents/1042")
    with_core = re.findall(r"[^>]*firing\.", ana.page)[0], re.findall(r'data-firing="\d"', ana.page)
    assert "3 firing." in with_core[0]
    standby = Standby({}, lambda: NOW, paging=True, public_url="")

    async def firing(incident: int = 0, newest: int = 0) -> Firing:
        return standby.firing(incident, newest)

    async def away(incident: int = 0, newest: int = 0) -> Firing:
        raise CoreGone("the core does not answer")

    for answers in (firing, away):
        site.core.firing = answers  # type: ignore[method-assign]
        ana.get("/incidents/1042")
        assert (re.findall(r"[^>]*firing\.", ana.page)[0], re.findall(r'data-firing="\d"', ana.page)) == with_core
        ana.get("/silences")
        said = set(re.findall(r'data-l="Quiet now"><span class="num">([^<]+)<', ana.page))
        assert "not known" in said and said <= {"not known", "not yet"}


def test_a_note_goes_on_the_timeline(site: Site, ana: Browserless) -> None:
    ana.get("/incidents/1042")
    ana.send("/incidents/1042/note", text="  Rolled the deploy back.  ")
    assert site.core.asked == [c.AddNote(actor="person:ana", incident=1042, text="Rolled the deploy back.")]
    assert '<p class="said">Rolled the deploy back.</p>' in ana.page


def test_an_empty_note_is_refused_where_it_was_written(site: Site, ana: Browserless) -> None:
    ana.get("/incidents/1042")
    answer = ana.send("/incidents/1042/note", text="   ")
    assert answer.status_code == 400
    assert 'aria-invalid="true"' in answer.text
    assert "Write something first." in answer.text
    assert site.core.asked == []


def test_the_room_answers_why_somebody_was_paged_or_was_not(ana: Browserless) -> None:
    ana.get("/incidents/1042")
    assert "You were paged at 03:18:11" in ana.page
    assert "because this step of the escalation was due." in ana.page
    assert "Possible duplicate" in ana.page
    ana.get("/incidents/1043")
    assert "You were not paged" in ana.page
    assert "because Ben acknowledged before step 2 was due." in ana.page
    ana.get("/incidents/1041")
    assert "Nobody is paged: a silence matches it." in ana.page


def test_matchers_that_are_too_long_are_refused_and_none_of_them_is_left_out(site: Site, ana: Browserless) -> None:
    """One that were cut off would leave a silence of more than was meant."""
    lines = ['region="eu"', *(f'pod!="web-{number}"' for number in range(500)), 'job="checkout"']
    ana.get("/silences/new")
    answer = ana.send("/silences", matchers="\n".join(lines), comment="x", length=str(2 * HOUR))
    assert (answer.status_code, "at most 5,000 characters" in answer.text) == (400, True)
    assert lines[-1].replace('"', "&#34;") in answer.text, "what was written is there still"
    assert site.core.asked == []
    assert "at most 5,000 characters" in ana.http.get("/silences/new", params={"matchers": "\n".join(lines)}).text


def test_a_silence_says_how_many_firing_alerts_it_keeps_quiet_before_it_is_made(site: Site, ana: Browserless) -> None:
    ana.get('/silences/new?matchers=job%3D"checkout"')
    assert "3\u00a0firing alerts would be kept quiet by this." in ana.page
    answer = ana.send("/silences", matchers='job="search"', comment="", length=str(HOUR), do="preview")
    assert "1\u00a0firing alert would be kept quiet by this." in answer.text
    assert site.core.asked == []
    answer = ana.send(
        "/silences", matchers='job="search"\nregion!~"eu-.*"', comment="Index rebuild", length=str(HOUR), do="save"
    )
    made = site.core.asked[-1]
    assert isinstance(made, c.SetSilence)
    assert made.matchers == (Matcher("job", "=", "search"), Matcher("region", "!~", "eu-.*"))
    assert (made.author, made.comment) == ("Ana Ribeiro", "Index rebuild")
    assert HOUR - MINUTE < made.ends_at - NOW < HOUR + MINUTE
    assert "The silence is in force as written below." in answer.text


def test_a_silence_is_said_to_keep_quiet_what_it_does_and_nothing_else(site: Site, ana: Browserless) -> None:
    """Not what came with keys of another service; and the list counts beyond the newest."""
    one = next(it for it in site.night.bodies(tables.silences, Silence) if it.comment.startswith("Refund"))
    ana.get(f"/silences/{one.id}")
    assert "2\u00a0firing alerts are kept quiet by this." in ana.page
    ana.send(f"/silences/{one.id}", matchers='job="search"', comment="x", length=str(HOUR), do="preview")
    assert "1\u00a0firing alert would be kept quiet by this." in ana.page
    one.origin = "payments"
    site.night.put(one)
    assert "kept quiet by this" not in ana.get(f"/silences/{one.id}").text
    assert "Nothing that fires now matches." in ana.page and "It is about what came with keys of payments" in ana.page
    to_come = next(it for it in site.night.bodies(tables.silences, Silence) if it.comment.startswith("Region"))
    to_come.matchers = (Matcher("job", "=", "search"),)
    site.night.put(to_come)
    assert "1\u00a0firing alert would be kept quiet by this." in ana.get(f"/silences/{to_come.id}").text
    site.night.put(*(alert(number, "Newer", "search", 1044) for number in range(100, 700)))
    ana.get("/silences")
    assert re.findall(r'data-l="Quiet now"><span class="num">([^<]+)<', ana.page) == ["not yet", "2\u00a0alerts"]


def test_a_silence_that_cannot_be_is_given_back_with_every_fault(site: Site, ana: Browserless) -> None:
    ana.get("/silences/new")
    answer = ana.send(
        "/silences", matchers='job=~"(("', comment="", length="until", until="2020-01-01T00:00", do="save"
    )
    assert answer.status_code == 400
    assert "is not a regular expression RE2 accepts" in answer.text
    assert "Say why, for whoever finds it at night." in answer.text
    assert "is in the past." in answer.text
    assert site.core.asked == []


def test_a_silence_of_everything_is_meant(site: Site, ana: Browserless) -> None:
    """A mistyped label with != would keep all quiet: the form says so, and takes it with a word."""
    ana.get("/silences/new")
    assert 'name="everything"' not in ana.page
    typed = {"matchers": "enviroment!=prod", "comment": "x", "length": str(HOUR), "do": "save"}
    answer = ana.send("/silences", **typed)
    assert answer.status_code == 400 and site.core.asked == []
    assert "everything is quiet that they do not except" in answer.text and 'name="everything"' in answer.text
    assert "firing alerts would be kept quiet by this." in answer.text
    answer = ana.send("/silences", everything="on", **typed)
    made = site.core.asked[-1]
    assert isinstance(made, c.SetSilence) and made.everything

    async def all_of_them(incident: int = 0, newest: int = 0) -> Firing:
        return Firing(8, {"5f1c0a9e-1111-4222-8333-444455556666": 8})

    site.core.firing = all_of_them  # type: ignore[method-assign]  # as when that one is in force
    assert "Everything that fires is silenced: all 8 alerts." in ana.get("/silences").text


def test_a_silence_is_changed_and_ended(site: Site, ana: Browserless) -> None:
    one = "5f1c0a9e-1111-4222-8333-444455556666"
    ana.get(f"/silences/{one}")
    ana.send(
        f"/silences/{one}",
        matchers='alertname=~"Refund.*"',
        comment="Longer",
        length="until",
        until="2026-10-20T09:00",
        do="save",
    )
    changed = site.core.asked[-1]
    assert isinstance(changed, c.SetSilence)
    assert (changed.id, changed.comment, changed.author) == (one, "Longer", "Ana Ribeiro")
    assert changed.ends_at == NOW + (5 * 60 + 28) * MINUTE + 52_000_000, "09:00 on the wall in Stockholm"
    ana.send(f"/silences/{one}/expire")
    assert site.core.asked[-1] == c.ExpireSilence(actor="person:ana", id=one)


def test_an_alert_is_found_by_words_of_its_title_and_its_labels(site: Site, ana: Browserless) -> None:
    site.night.put(alert(50, "Backup of ledger failed", "payments", 1041, labels={}, annotations_json=texts_json({})))
    for words in ("ledger failed", "BACKUP of", "backup"):
        rows = re.findall(r'<tr role="row" id="a(\d+)"', ana.get(f"/alerts?match={words}").text)
        assert rows == ["50"], words
    assert re.findall(r'<tr role="row" id="a(\d+)"', ana.get("/alerts?match=cart-redis-1 memory").text) == ["2"]
    assert re.findall(r'<tr role="row" id="a(\d+)"', ana.get('/alerts?match=region="eu-north-1"').text) == ["2"]


def test_an_alert_without_labels_is_silenced_by_its_key(site: Site, ana: Browserless) -> None:
    bare = alert(51, "Backup of ledger failed", "payments", 1041, labels={}, key="backup/ledger", source="events")
    site.night.put(bare)
    ana.get("/alerts/51")
    link = re.search(r'<a class="btn" href="([^"]+)">Silence it</a>', ana.page)
    assert link is not None
    assert 'key=&#34;backup/ledger&#34;\nservice=&#34;payments&#34;' in ana.get(link[1].replace("&amp;", "&")).text
    assert "Backup of ledger failed" in ana.page, "what it would keep quiet"
    assert re.findall(r'<tr role="row" id="a(\d+)"', ana.get('/alerts?match=key="backup/ledger"').text) == ["51"]


def test_an_alert_with_a_key_is_silenced_by_it_whatever_labels_it_has_besides(site: Site, ana: Browserless) -> None:
    """Labels such as PagerDuty's `source` are those of everything on that machine; and they may be others next time."""
    site.night.put(alert(52, "Disk of web-1", "payments", 1041, labels={"source": "web-1"}, key="web-1/disk"))
    site.night.put(alert(53, "web-1 is down", "payments", 1041, labels={"source": "web-1"}, key="web-1/down"))
    site.night.put(alert(54, "Lock", "payments", 1041, labels={"key": "door", "source": "web-1"}, key="web-1/lock"))
    offered = {52: 'key="web-1/disk"\nservice="payments"', 54: 'key="door"\nsource="web-1"'}
    for number, matchers in offered.items():
        ana.get(f"/alerts/{number}")
        link = re.search(r'<a class="btn" href="([^"]+)">Silence it</a>', ana.page)
        assert link is not None
        assert parse_qs(urlsplit(unescape(link[1])).query)["matchers"] == [matchers]
    assert "Silences name it by its key: <code>web-1/disk</code>." in ana.get("/alerts/52").text
    assert "Silences name it by its key" not in ana.get("/alerts/54").text


def test_an_alert_that_no_silence_can_mean_offers_to_put_its_incident_off(site: Site, ana: Browserless) -> None:
    bare = alert(50, "Backup of ledger failed", "payments", 1041, labels={"severity": "error"})
    site.night.put(bare)
    ana.get("/alerts/50")
    assert ">Silence it</a>" not in ana.page and "no silence can mean it alone" in ana.page
    link = re.search(r'<a class="btn" href="([^"]+)">Put it off</a>', ana.page)
    assert link is not None
    assert '<details id="moves" class="when-open" open>' in ana.get(link[1]).text
    assert ">Silence it</a>" in ana.get("/alerts/7").text and "no silence can mean" not in ana.page


def test_a_heartbeat_that_was_never_heard_says_so_beside_its_service(site: Site, ana: Browserless) -> None:
    assert "Not heard from yet" not in ana.get("/services").text
    site.night.put(Heartbeat(service="orders-batch", name="nightly-export", declared_at=NOW - 30 * HOUR))
    page = " ".join(re.sub(r"<[^>]+>", "", ana.get("/services").text).split())
    assert "nightly-export: Not heard from yet, in the plan since Sun 18 Oct, 21:31" in page


def test_a_key_is_shown_once_with_lines_to_paste(site: Site, ana: Browserless) -> None:
    ana.get("/keys")
    answer = ana.send("/keys", source="alertmanager", service="inbox", name="prometheus")
    found = re.search(r"path_prefix: /am/([A-Za-z0-9]{32})", answer.text)
    assert found is not None
    made = site.core.asked[-1]
    assert isinstance(made, c.CreateKey)
    assert found[1] not in repr(made)
    assert made.hint == found[1][-4:]
    assert "&#39;tocsin.larkfield.example&#39;" in answer.text
    assert found[1] not in ana.get("/keys").text
    ana.send("/keys/1/revoke")
    assert site.core.asked[-1] == c.RevokeKey(actor="person:ana", id=1)


def test_how_much_a_key_may_send_is_shown_and_changed(site: Site, ana: Browserless) -> None:
    assert "as every key" in ana.get("/keys").text
    page = ana.get("/keys/1").text
    assert 'placeholder="2000/s"' in page
    refused = ana.send("/keys/1/limits", rate="fast", burst="", alerts="0", body="1MB")
    assert refused.status_code == 400
    assert "Write a rate such as 50/s or 10/m." in refused.text
    assert "A request holds from 1 to 50000 alerts." in refused.text
    assert 'value="fast"' in refused.text
    assert not any(isinstance(one, c.LimitKey) for one in site.core.asked)
    ana.send("/keys/1/limits", rate="50/s", burst="", alerts="500", body="1MB")
    limits = KeyLimits(rate=50, alerts=500, body=1_000_000)
    assert site.core.asked[-1] == c.LimitKey(actor="person:ana", id=1, limits=limits)
    assert "50/s, 500 alerts, 1MB" in ana.page
    assert 'value="50/s"' in ana.get("/keys/1").text
    assert ana.get("/keys/999").status_code == 404


def test_a_key_can_be_made_with_limits(site: Site, ana: Browserless) -> None:
    ana.get("/keys")
    assert "Write a whole number." in ana.send("/keys", source="events", service="inbox", burst="many").text
    ana.send("/keys", source="events", service="inbox", name="x", rate="10/m")
    made = site.core.asked[-1]
    assert isinstance(made, c.CreateKey)
    assert made.limits == KeyLimits(rate=10 / 60)


def test_a_key_for_a_heartbeat_names_which(site: Site, ana: Browserless) -> None:
    ana.get("/keys")
    assert "Choose which heartbeat of the plan it feeds." in ana.send("/keys", source="heartbeat", heartbeat="").text
    ana.send("/keys", source="heartbeat", heartbeat="orders-batch/nightly-export")
    made = site.core.asked[-1]
    assert isinstance(made, c.CreateKey)
    assert (made.service, made.heartbeat) == ("orders-batch", "nightly-export")
    assert "/ping/" in ana.page


def test_a_test_event_is_sent_as_a_monitor_would(site: Site, ana: Browserless) -> None:
    ana.get("/services")
    answer = ana.send("/services/checkout/test")
    service, body, actor = site.core.heard[-1]
    assert (service, actor) == ("checkout", "person:ana")
    assert b"Test event for checkout, sent by Ana Ribeiro" in body
    assert b"alertname" not in body, "it would join the last test's incident, which somebody may hold, and page nobody"
    assert "The test event was heard." in answer.text


def test_a_form_sent_twice_does_nothing_twice(site: Site, ana: Browserless) -> None:
    """A second press, or a reload of the answer; the next form is another one."""
    ana.get("/incidents/1042")
    page = ana.page
    for text in ("on it", "on it", "still on it"):
        ana.page = page
        ana.send("/incidents/1042/note", text=text)
    ana.get("/incidents/1042")
    ana.send("/incidents/1042/note", text="on it")
    first, again, other, anew = site.core.keys
    assert first and first == again
    assert len({first, other, anew}) == 3
    site.core.keys.clear()
    ana.get("/keys")
    page = ana.page
    made = [ana.send("/keys", source="events", service="checkout", name="ci").text]
    ana.page = page
    made.append(ana.send("/keys", source="events", service="checkout", name="ci").text)
    shown = [re.findall(r"/api/events/(\w{32})", text) for text in made]
    assert shown[0] and shown[0] == shown[1]
    assert len(set(site.core.keys)) == 1


def test_what_was_changed_stands_beside_the_incident(site: Site, ana: Browserless) -> None:
    """On the service it is about, or on one that needs; a link that is none is text."""
    assert "What was changed" not in ana.get("/incidents/1042").text
    opened = site.night.incident(1042).opened_at
    for number, (service, link, at) in enumerate(
        [
            ("payments", "https://ci.example/9", opened - 5 * MINUTE),
            ("checkout", "javascript:alert(1)", opened + MINUTE),
            ("search", "", opened - MINUTE),
            ("checkout", "", opened - 2 * HOUR),
        ],
        1,
    ):
        site.night.put(
            HeardChange(id=number, at=at, service=service, source="pagerduty", summary=f"deploy {number}", link=link)
        )
    shown = ana.get("/incidents/1042").text
    assert '<a href="https://ci.example/9" rel="noreferrer noopener">deploy 1</a>' in shown
    assert "deploy 2" in shown and "javascript:" not in shown
    assert "deploy 3" not in shown and "deploy 4" not in shown
    assert "the last change before it began, at" in shown and "after it had opened" in shown


def test_a_parked_request_is_shown_as_text_and_discarded(site: Site, ana: Browserless) -> None:
    ana.get("/parked/77")
    assert "<script>alert" not in ana.page
    assert "&lt;script&gt;alert(1)" in ana.page
    ana.send("/parked/77/discard")
    assert site.core.asked[-1] == c.DiscardParked(actor="person:ana", id=77)
    assert "Every request could be read." in ana.page


def test_a_user_is_added_and_gets_a_link_that_works_once(site: Site, ana: Browserless) -> None:
    ana.get("/users")
    answer = ana.send("/users", name="mei", role="responder", person="mei")
    found = re.search(r"(/sign-in/link/[A-Za-z0-9]{32})", answer.text)
    assert found is not None
    mei = Browserless(site, 0)
    assert "One press, and you are in." in mei.get(found[1]).text
    again = Browserless(site, 0)
    again.get(found[1])
    assert mei.send(found[1]).url.path == "/"
    assert "Mei Tanaka" in mei.page
    assert again.send(found[1]).status_code == 401
    assert "This link does not work any more." in again.page


def test_a_user_is_disabled(site: Site, ana: Browserless) -> None:
    ana.get("/users")
    ana.send("/users/2", do="disable")
    assert site.core.asked[-1] == c.SetUser(actor="person:ana", name="ben", disabled=True)
    assert Browserless(site, 2).get("/").url.path == "/sign-in"


def test_a_bad_plan_is_shown_and_changes_nothing(site: Site, ana: Browserless) -> None:
    ana.get("/plan")
    site.core.reloaded = site.core.reloaded.__class__(False, False, "", ("tocsin.yaml:3:1: error: <b>no</b>",))
    answer = ana.send("/plan/reload")
    assert answer.status_code == 409
    assert "Nothing was changed: the plan below stays in force." in answer.text
    assert "tocsin.yaml:3:1: error: &lt;b&gt;no&lt;/b&gt;" in answer.text


def test_hostile_texts_stay_texts_on_every_page(site: Site, ana: Browserless) -> None:
    """Whatever a monitor writes into titles, labels, annotations and links."""
    alert = Alert(
        id=666,
        source="events",
        origin="inbox",
        labels_json=texts_json({"alertname": HOSTILE, HOSTILE: HOSTILE}),
        annotations_json=texts_json({HOSTILE: HOSTILE}),
        own_title=HOSTILE,
        severity="sev1",
        service="checkout",
        starts_at=NOW,
        first_seen=NOW,
        last_seen=NOW,
        incident=1042,
        link="javascript:alert(3)",
    )
    one = site.night.incident(1042)
    one.title, one.service = HOSTILE, HOSTILE
    site.night.put(alert, one)
    site.night.enter(1042, NOW, f"Joined: {HOSTILE}", one.reason, f"source:{HOSTILE}", alert=HOSTILE)
    for path in (
        "/",
        "/?state=all&text=" + HOSTILE,
        "/incidents/1042",
        "/alerts",
        "/alerts/666",
        "/alerts?match=" + HOSTILE,
        "/silences/new?matchers=" + HOSTILE,
    ):
        ana.get(path)
        assert "<script>alert" not in ana.page, path
        assert "<img" not in ana.page, path
        assert "{{7*7}}" in ana.page or "49" not in ana.page, path
        assert 'href="javascript:' not in ana.page, path


def test_a_form_from_elsewhere_is_refused(site: Site, ana: Browserless) -> None:
    ana.get("/")
    answers = (
        ana.http.post("/incidents/1042/acknowledge"),
        ana.http.post("/incidents/1042/acknowledge", data={"csrf": "forged"}),
        ana.http.post(
            "/incidents/1042/acknowledge",
            data={"csrf": site.csrf(site.session(1))},
            headers={"origin": "https://evil.example"},
        ),
        ana.http.post("/keys", data={"source": "events", "service": "inbox"}),
    )
    assert [answer.status_code for answer in answers] == [403] * 4
    refused = ["You may not do this." if place == 2 else "This page was too old." for place in range(4)]
    assert all(f"<h1>{words}</h1>" in answer.text for words, answer in zip(refused, answers, strict=True))
    assert site.core.asked == []


def test_what_a_role_may_not_do_is_neither_shown_nor_possible(site: Site) -> None:
    auditor = Browserless(site, 3)
    auditor.get("/incidents/1042")
    assert "/acknowledge" not in auditor.page
    assert "Acknowledging and resolving needs the role responder." in auditor.page
    csrf = site.csrf(dict(auditor.http.cookies.items()))
    assert auditor.http.post("/incidents/1042/acknowledge", data={"csrf": csrf}).status_code == 403
    assert auditor.get("/users").status_code == 403
    assert site.core.asked == []


def test_the_only_console_note_goes_when_a_real_channel_is_proven(site: Site, ana: Browserless) -> None:
    assert "Only the console is paged." not in ana.get("/").text
    site.core.proven = None
    for path in ("/", "/incidents/1042", "/alerts", "/settings"):
        # Mail has left already, so that only its arrival is not proven.
        assert "No page has been acknowledged yet." in ana.get(path).text
        assert "Only the console is paged." not in ana.page
    # Nothing has left yet, and somebody has a method.
    with site.night.engine.begin() as connection:
        connection.execute(delete(tables.pages))
    for path in ("/", "/settings"):
        assert "<b>No page has left by a real channel yet.</b>" in ana.get(path).text
        assert "Only the console is paged." not in ana.page
    # Somebody was reached once, and nobody could be today.
    site.core.proven, site.core.console_only = NOW - DAY, True
    for path in ("/", "/incidents/1042", "/alerts", "/settings"):
        assert (
            "<b>Only the console is paged.</b> Nobody of the plan has another way to be reached" in ana.get(path).text
        )
    assert "And a page reaches a person. All is set up." not in ana.get("/welcome").text
    site.core.paging = False
    assert "<b>Paging is off.</b>" in ana.get("/").text


def test_a_core_that_is_gone_is_said_and_nothing_is_pretended(site: Site, ana: Browserless) -> None:
    ana.get("/incidents/1042")
    page = ana.page
    site.core.gone = True
    assert "core does not answer; reconnecting." in ana.get("/incidents/1042").text
    ana.page = page
    answer = ana.send("/incidents/1042/acknowledge")
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "2"
    assert "Tocsin does not answer at the moment." in answer.text


def test_the_first_event_page_counts_what_was_refused_too(site: Site, ana: Browserless) -> None:
    site.core.requests, site.core.refused = 0, 3
    ana.get("/welcome")
    assert re.search(r'<span class="num">3</span> refused', ana.page)
    assert "path_prefix: /am/YOUR-KEY" in ana.page
    answer = ana.send("/welcome")
    assert re.search(r"path_prefix: /am/[A-Za-z0-9]{32}", answer.text)
    assert "The key is in the block and is not shown again." in answer.text


def test_preferences_are_kept_by_the_browser(ana: Browserless) -> None:
    ana.get("/settings")
    ana.send("/settings", theme="dark", times="absolute")
    assert 'data-theme="dark"' in ana.get("/").text
    assert 'data-keys="off"' in ana.page
    assert "since 03:18" in ana.page
    ana.send("/theme", theme="light")
    assert 'data-theme="light"' in ana.page
    assert 'data-keys="off"' in ana.page


def test_a_page_of_ours_never_leads_elsewhere(ana: Browserless) -> None:
    ana.get("/")
    csrf = re.search(r'name="csrf" value="([^"]+)"', ana.page)
    assert csrf is not None
    for back in ("https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)"):
        answer = ana.http.post("/theme", data={"csrf": csrf[1], "theme": "light", "back": back}, follow_redirects=False)
        assert answer.headers["location"] == "/"


def test_a_long_list_is_paged(site: Site, ana: Browserless) -> None:
    one = site.night.incident(1040)
    for number in range(2000, 2120):
        one.number, one.resolved_at = number, NOW - DAY * 3
        site.night.put(one)
    assert ana.get("/?state=resolved").text.count('class="row"') == 50
    older = re.search(r'<a href="([^"]+)" rel="next">Older</a>', ana.page)
    assert older is not None
    assert ana.get(older[1].replace("&amp;", "&")).text.count('class="row"') == 50
    assert "Back to the newest" in ana.page


def test_live_updates_say_what_changed_and_that_the_core_lives(site: Site, ana: Browserless) -> None:
    with ana.http.stream("GET", "/live") as stream:
        lines = stream.iter_lines()
        seen = [next(lines) for _ in range(4)]
        assert seen[2] == "event: beat"
        assert '"core":true' in seen[3]
        eventually(lambda: bool(site.core._watchers), what="the fan-out to watch")
        site.on_loop(lambda: site.core.say(1042))
        for line in lines:
            if line.startswith("data:") and '"incidents":[1042]' in line:
                break


def test_every_page_says_that_the_plan_on_disk_is_refused_and_what_the_self_check_found(
    site: Site, ana: Browserless
) -> None:
    site.core.plan_refused = ("tocsin.yaml:7:13: error: there is no person <anna>",)
    site.core.audit = ("incident #1042 has reached nobody for 2 min: its pages are refused",)
    for path in ("/", "/silences"):
        page = ana.get(path).text
        assert "the last good one is in force" in page
        assert "no person &lt;anna&gt;" in page
        assert "self-check found a fault" in page


def test_more_alerts_than_a_page_lists_are_counted(site: Site, ana: Browserless) -> None:
    """The first page has the same number as the list of incidents has beside it; a filter says what it knows."""
    site.night.put(*(alert(100 + n, f"Replica {n} lags", "search", 1043) for n in range(60)))
    firing = sum(one.firing for one in site.night.bodies(tables.alerts, Alert))
    assert f"{firing} alerts fire.</h1>" in ana.get("/alerts").text
    more = re.search(r'<a href="([^"]+)" rel="next">', ana.page)
    assert more is not None and f"{firing} alerts fire." in ana.get(unescape(more[1])).text
    assert "More than 50 alerts fire." in ana.get("/alerts?service=search").text
    assert site.core.gone is False
    site.core.gone = True
    assert "More than 50 alerts fire." in ana.get("/alerts").text


def test_a_silence_of_more_alerts_than_are_read_does_not_pretend_to_have_counted_them(
    site: Site, ana: Browserless
) -> None:
    site.night.put(*(alert(100 + n, f"Replica {n} lags", "search", 1043) for n in range(505)))
    ana.get("/silences/new?matchers=job%3D%22search%22")
    assert "More than 500\u00a0firing alerts would be kept quiet by this." in ana.page
    assert '<li class="muted">and more</li>' in ana.page
    ana.get("/silences/new?matchers=instance%3D~%22search-1[0-2].:9100%22")
    assert "30\u00a0firing alerts would be kept quiet by this." in ana.page
    assert '<li class="muted">and 25 more</li>' in ana.page


def test_a_name_from_right_to_left_is_kept_as_it_is_written(site: Site, ana: Browserless) -> None:
    """What only pages need around it has no place in what others read of a silence or an event."""
    plan = PLAN["tocsin.yaml"].replace(b"name: Ana Ribeiro", "name: يوسف الحسيني".encode())
    site.night.replace_plan({**PLAN, "tocsin.yaml": plan})
    ana.get("/silences/new")
    ana.send("/silences", matchers='job="checkout"', comment="moving", length=str(2 * HOUR))
    made = site.core.asked[-1]
    assert isinstance(made, c.SetSilence) and made.author == "يوسف الحسيني"
    ana.get("/services")
    ana.send("/services/checkout/test")
    assert json.loads(site.core.heard[-1][1])["labels"]["sent_by"] == "يوسف الحسيني"
