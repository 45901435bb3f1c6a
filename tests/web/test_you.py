"""The page "You" and the moves of responders, by plain links and forms."""

from __future__ import annotations

import re

import pytest
from msgspec import structs

from tests.web.conftest import Browserless
from tests.web.night import NOW, SIGNING_KEY
from tests.web.serving import Site
from tocsin.engine import commands as c
from tocsin.incidents.incident import Incident
from tocsin.kernel.instant import HOUR, MINUTE
from tocsin.pages.contacts import code_of, webhook_secret
from tocsin.pages.ledger import Page
from tocsin.pages.links import make_token
from tocsin.pages.rules import Reach, Way
from tocsin.store import tables


def asked(site: Site) -> object:
    """What the core was asked last."""
    return site.core.asked[-1]


def test_the_page_says_in_one_sentence_how_a_page_comes(ana: Browserless) -> None:
    ana.get("/you")
    assert "A page reaches you by webhook (Phone) at once and by email after 3\u00a0min.</h1>" in ana.page
    assert "What is of low urgency comes by email, never between 22:00 and 08:00." in ana.page
    assert "it is gone for good" in ana.page


def test_what_may_be_written_as_an_address_is_what_the_channels_that_are_set_up_take(ana: Browserless) -> None:
    ana.get("/you")
    hint = ana.page.partition('id="address-hint">')[2].partition("<")[0]
    assert hint.startswith("A URL with https or an e-mail address. A code is sent there;")


def test_a_method_is_added_proven_by_its_code_and_used(site: Site, ana: Browserless) -> None:
    ana.get("/you")
    answer = ana.send("/you/contacts", channel="email", address="ana@home.example", label="Home")
    added, sent = site.core.asked
    assert added == c.AddContact(
        actor="person:ana", person="ana", channel="email", address="ana@home.example", label="Home"
    )
    assert isinstance(sent, c.SendCode)
    code = code_of(SIGNING_KEY, sent.contact, sent.seed)
    assert "A code is on its way there." in answer.text and code not in answer.text
    wrong = ana.send(f"/you/contacts/{sent.contact}/verify", code="000000" if code != "000000" else "1")
    assert (wrong.status_code, "This is not the code: 4 more tries." in wrong.text) == (400, True)
    ana.send(f"/you/contacts/{sent.contact}/verify", code=f"{code[:3]} {code[3:]}")
    assert site.night.contact(sent.contact).state == "verified"
    assert "The contact method is verified." in ana.page


def test_a_webhooks_secret_is_shown_once(site: Site, ana: Browserless) -> None:
    ana.get("/you")
    ana.send("/you/contacts", channel="webhook", address="https://push.example/new", label="")
    secret = webhook_secret(SIGNING_KEY, 101)
    assert secret in ana.page
    assert secret not in ana.get("/you").text


def test_a_method_that_cannot_be_is_said_beside_its_field_and_given_back(site: Site, ana: Browserless) -> None:
    ana.get("/you")
    answer = ana.send("/you/contacts", channel="webhook", address="http://push.example/<x>", label="Phone")
    assert answer.status_code == 400
    assert "Write the URL in full, beginning with https://." in answer.text
    assert 'value="http://push.example/&lt;x&gt;"' in answer.text


def test_a_method_that_the_plan_leaves_out_says_so_is_not_proven_and_keeps_its_place(
    site: Site, ana: Browserless
) -> None:
    declared = site.night.contact(1)
    site.night.put(structs.replace(declared, left_at=NOW - HOUR, verified_at=None, state="unverified"))
    page = ana.get("/you").text
    box = page[page.index(f'id="contact-{declared.id}"') :].partition("</li>")[0]
    assert "Left out</span>" in box and "the plan left it out <time" in box and "put back within a week" in box
    assert f"/you/contacts/{declared.id}/code" not in page and f"/you/contacts/{declared.id}/verify" not in page
    assert f"/you/contacts/{declared.id}/remove" in page
    assert "A page reaches you by webhook (Phone) at once.</h1>" in page
    assert page.count(f'name="high-{declared.id}"') == 1, "its rule is kept when the rules are saved"


def test_each_method_can_be_tested_called_broken_and_removed(site: Site, ana: Browserless) -> None:
    ana.get("/you")
    ana.send("/you/contacts/2/test")
    assert asked(site) == c.TryContact(actor="person:ana", contact=2)
    ana.send("/you/contacts/2/failing")
    assert "Failing" in ana.page
    assert "push.larkfield.example/ana</span>" in ana.page and 'action="/you/contacts/2/remove"' in ana.page
    ana.send("/you/contacts/2/remove")
    assert "push.larkfield.example/ana</span>" not in ana.page
    assert 'action="/you/contacts/1/remove"' not in ana.page, "the plan declares it"


def test_rules_are_chosen_by_urgency_and_given_back_as_they_were(site: Site, ana: Browserless) -> None:
    ana.get("/you")
    ana.send("/you/rules", **{
        "high-1": str(2 * MINUTE), "high-2": "0", "high-4": "", "low-1": "0", "quiet_from": "21:30",
        "quiet_until": "07:15", "after": "1", "within": str(MINUTE), "do": "keep",
    })  # fmt: skip
    assert asked(site) == c.SetReach(
        actor="person:ana",
        reach=Reach(
            person="ana", high=(Way(2, 0), Way(1, 2 * MINUTE)), low=(Way(1, 0),), quiet_from=21 * 60 + 30,
            quiet_until=7 * 60 + 15, bundle_after=1, bundle_within=MINUTE,
        ),
    )  # fmt: skip
    assert f'<option value="{2 * MINUTE}" selected>after 2\u00a0min</option>' in ana.page
    ana.send("/you/rules", quiet_from="", quiet_until="", after="", within="", do="reset")
    assert asked(site) == c.SetReach(actor="person:ana", reach=Reach(person="ana"))


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [("quiet_from", "25:00", "is not a time of the day"), ("after", "99", "From 1 to 20 pages"),
     ("within", "99999999999", "at most five minutes"), ("high-1", str(2 * HOUR), "from nothing to one hour")],
)  # fmt: skip
def test_rules_that_cannot_be_are_refused_where_they_were_made(
    site: Site, ana: Browserless, field: str, value: str, said: str
) -> None:
    ana.get("/you")
    form = {"quiet_from": "22:00", "quiet_until": "08:00", "after": "3", "within": "0", "do": "keep", field: value}
    answer = ana.send("/you/rules", **form)
    assert answer.status_code == 400
    assert re.search(said, answer.text)


def test_page_me_now_pages_and_is_answered_from_its_own_link(site: Site, ana: Browserless) -> None:
    ana.get("/you")
    ana.send("/you/drill")
    assert asked(site) == c.StartDrill(actor="person:ana", person="ana")
    nobody = Browserless(site, user=0)
    link = "/p/" + make_token(SIGNING_KEY, 14)
    assert "This is what a page is like." in nobody.get(link).text
    assert "You answered, so a real page would be yours now." in nobody.send(link).text
    assert asked(site) == c.AnswerDrill(actor="person:ana", page=14)
    site.clock.goes_on(2 * HOUR)
    assert nobody.get(link).status_code == 410


def test_who_is_asked_for_help_says_that_they_come(site: Site) -> None:
    nobody = Browserless(site, user=0)
    link = "/p/" + make_token(SIGNING_KEY, 20)
    assert "Ben asks for help" in nobody.get(link).text
    nobody.send(link)
    assert asked(site) == c.Acknowledge(actor="person:mei", incident=1043, page=20, over=False)
    (row,) = (one for one in site.night.bodies(tables.pages, Page) if one.id == 20)
    row.answered_at = NOW
    site.night.put(row)
    assert nobody.http.post(link).status_code == 200, "pressed twice it is the same as once"


def test_who_was_asked_for_help_before_it_was_opened_again_comes_to_none_now(site: Site) -> None:
    (one,) = (one for one in site.night.bodies(tables.incidents, Incident) if one.number == 1043)
    one.reopened, one.reopened_at = 1, NOW
    site.night.put(one)
    nobody = Browserless(site, user=0)
    link = "/p/" + make_token(SIGNING_KEY, 20)
    page = nobody.get(link).text
    assert "asks for help" not in page and "I am coming" not in page
    assert "Ben has it" in page and "Take it over from Ben" in page


def test_nobody_but_an_admin_sees_or_changes_how_another_is_reached(site: Site, ana: Browserless) -> None:
    ben, auditor = Browserless(site, user=2), Browserless(site, user=3)
    assert ben.get("/you?person=ana").status_code == 403
    ben.get("/you")
    token = re.search(r'name="csrf" value="([^"]+)"', ben.page)
    assert token is not None
    assert ben.http.post("/you/contacts/2/remove", data={"csrf": token[1]}).status_code == 404
    assert "Your user is no person of the plan" in auditor.get("/you").text
    assert site.core.asked == []
    assert "A page reaches Mei by email at once.</h1>" in ana.get("/you?person=mei").text
    ana.send("/you/drill")
    assert asked(site) == c.StartDrill(actor="person:ana", person="mei")


def test_of_who_is_not_in_the_plan_it_is_said_that_nothing_pages_them(ana: Browserless) -> None:
    assert "<h1>nope is not in the plan: nothing pages them.</h1>" in ana.get("/you?person=nope").text


def test_a_form_without_its_token_changes_nothing(site: Site, ana: Browserless) -> None:
    for path in ("/you/contacts", "/you/contacts/2/remove", "/you/rules", "/you/drill", "/incidents/1042/reassign"):
        assert ana.http.post(path, data={"person": "ana"}).status_code == 403
    assert site.core.asked == []


# -- moves -------------------------------------------------------------------------------------------------------------


def test_an_incident_is_given_away_put_off_and_help_is_asked_for(site: Site, ana: Browserless) -> None:
    ana.get("/incidents/1042")
    ana.send("/incidents/1042/reassign", person="mei", note=" knows  the bank ")
    assert asked(site) == c.Reassign(actor="person:ana", incident=1042, person="mei", note="knows the bank")
    ana.send("/incidents/1042/snooze", until=f"for-{HOUR}", note="")
    put_off = site.core.asked[-1]
    assert isinstance(put_off, c.Snooze) and 0 <= put_off.until - NOW - HOUR < MINUTE
    ana.send("/incidents/1042/help", target="team:shop", note="")
    assert asked(site) == c.AddResponders(actor="person:ana", incident=1042, targets=("team:shop",))


def test_an_incident_can_be_put_off_until_the_readers_own_morning(site: Site, ana: Browserless) -> None:
    """It is 03:31 in Stockholm."""
    ana.get("/incidents/1042")
    offered = re.search(r'<option value="(at-\d+)">until 08:00</option>', ana.page)
    assert offered is not None
    ana.send("/incidents/1042/snooze", until=offered[1], note="")
    put_off = site.core.asked[-1]
    assert isinstance(put_off, c.Snooze)
    assert put_off.until == NOW + (4 * 60 + 28) * MINUTE + 52_000_000


def test_a_move_that_is_refused_is_said_where_it_was_asked_for(site: Site, ana: Browserless) -> None:
    ana.get("/incidents/1042")
    answer = ana.send("/incidents/1042/reassign", person="nobody", note="")
    assert answer.status_code == 400
    assert "The plan has no person &#39;nobody&#39;." in answer.text
    assert 'id="moves" class="when-open" open' in answer.text


def test_a_newer_plan_is_offered_to_an_incident_that_follows_an_older_one(site: Site, ana: Browserless) -> None:
    incident = site.night.incident(1042)
    incident.plan = "0" * 64
    site.night.put(incident)
    ana.get("/incidents/1042")
    assert "as the plan 00000000 says" in ana.page
    ana.send("/incidents/1042/apply-plan")
    assert asked(site) == c.ApplyPlan(actor="person:ana", incident=1042)
    incident.plan = site.night.plan.version
    site.night.put(incident)
    assert "apply-plan" not in ana.get("/incidents/1042").text


def test_what_waits_in_the_ledger_says_for_what_and_until_when(ana: Browserless) -> None:
    ana.get("/incidents/1042")
    assert "at 03:32:08, if nobody answers" in ana.page
    assert "Ben was paged by email and is paged again" in ana.get("/").text, "what is planned was not done yet"


def test_a_form_sent_twice_does_nothing_twice(site: Site, ana: Browserless) -> None:
    """A second press or a reload: the same mark, the same idempotency key. Another button of the page has another."""
    page = ana.get("/you").text
    site.core.keys.clear()
    for action in ("/you/drill", "/you/drill", "/you/contacts/2/test", "/you/contacts/2/failing"):
        ana.page = page
        ana.send(action)
    ana.get("/oncall/new?kind=override")
    page = ana.page
    for _ in range(2):
        ana.page = page
        ana.send("/oncall/overrides", person="ben", **{"from": "2026-12-01T09:00", "to": "2026-12-01T18:00"})
    first, again, test, failing, override, once_more = site.core.keys
    assert first == again != "" and override == once_more != ""
    assert len({first, test, failing, override}) == 4
