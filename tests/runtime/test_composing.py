"""What a message says the moment it leaves: one incident, several together, a code, a call for help, a drill."""

from __future__ import annotations

import pytest
from msgspec import structs

from tests.engine.test_calls import LIA
from tests.engine.test_calls import PLAN as CALLED
from tests.engine.test_reach import storm
from tests.engine.world import KEY, PLAN, World
from tocsin.engine.commands import Acknowledge, AddContact, AddResponders, CreateKey, SendCode, StartDrill
from tocsin.engine.inputs import Received
from tocsin.intake.request import Request
from tocsin.kernel.reason import EXPLAINED, Reason
from tocsin.pages import rendering
from tocsin.pages.contacts import code_hash, code_of, webhook_secret
from tocsin.pages.ledger import Page
from tocsin.pages.links import read_token
from tocsin.pages.loops import marks
from tocsin.pages.message import Message
from tocsin.runtime.composing import awaited, compose, severity
from tocsin.runtime.tally import firing

BASE = "https://tocsin.example"


def composed(world: World, page: Page) -> Message | None:
    return compose(world.engine.state, world.engine.plan, page, world.now, BASE, KEY)


def wanted(world: World, page: Page) -> Message:
    found = composed(world, page)
    assert found is not None
    return found


def held(world: World) -> World:
    """Channels take what comes and say nothing yet."""
    world.answers = lambda page: "never"
    return world


SEVERAL = tuple(f"SEV1 #{one[0]} checkout: {one[1]} fires, since 03:00" for one in ("4D", "5E", "6F"))


def bundle() -> tuple[World, Page]:
    world = storm(held(World()), "A", "B", "C", "D", "E", "F").at("31s")
    return world, world.rows(4)[0]


def test_a_subject_names_its_service_unless_the_title_does_as_a_word() -> None:
    world = held(World()).fires("Down", job="checkout").at("1s")
    message = wanted(world, world.rows(1)[0])
    for service, title, said in (
        ("c", "Rack moved", "c: Rack moved"), ("api", "Rapid growth", "api: Rapid growth"),
        ("db", "The feedback is late", "db: The feedback is late"), ("pay", "pay2 is down", "pay: pay2 is down"),
        ("api", "API is down", "API is down"), ("c++", "c++: it fails", "c++: it fails"),
        ("pay", "Payments (pay)", "Payments (pay)"), ("注文", "注文が失敗", "注文: 注文が失敗"),
    ):  # fmt: skip
        told = structs.replace(message, service=service, title=title)
        assert rendering.subject(told) == f"[SEV1] {said} (#1)"


def test_several_incidents_are_one_message_with_a_count_and_one_link() -> None:
    world, first = bundle()
    message = wanted(world, first)
    assert message.incidents == 3
    assert message.title == "3 incidents, the gravest: D fires"
    assert message.lines == SEVERAL
    assert message.because == EXPLAINED[Reason.BUNDLED]
    assert read_token(KEY, message.acknowledge_url.removeprefix(f"{BASE}/p/")) == first.id
    assert rendering.subject(message) == "[SEV1] 3 incidents, the gravest: D fires"
    assert "and 1 more" not in rendering.text(message)
    assert "Incident #" not in rendering.text(message) + rendering.html(message)


def test_calls_that_waited_for_one_telephone_say_so_and_nothing_of_many_pages() -> None:
    world = World(CALLED)
    world.has("lia", LIA, channel="call")
    world.at("10m").fires("Down", service="checkout").fires("Slow", service="search").fires("Full", service="orders")
    world.answers = lambda page: "never"
    world.at("11m")
    message = wanted(world, world.rows(2)[0])
    assert message.incidents == 2
    assert message.because == "they came while this number could not be reached, so one call tells of them all"


def test_the_gravest_of_several_comes_first_and_is_what_the_message_is_about() -> None:
    """Its severity, its next step; every line says how grave it is and since when."""
    world = held(World())
    for name in "ABCDE":
        world.fires(name, job="checkout", severity="warning")
    world.at("5s").fires("Worst", job="checkout")
    world.fires("Second", job="checkout").fires("Third", job="checkout").fires("Fourth", job="checkout")
    world.at("31s")
    page = next(row for row in world.engine.state.pages.values() if row.bundled)
    assert page.incident == 4
    message = wanted(world, page)
    assert rendering.subject(message) == "[SEV1] 3 incidents, the gravest: Fourth fires"
    assert message.lines == (
        "SEV1 #9 checkout: Fourth fires, since 03:00",
        "SEV3 #4 checkout: D fires, since 03:00",
        "SEV3 #5 checkout: E fires, since 03:00",
    )
    assert (message.page, message.incident, message.severity) == (page.id, 9, "sev1")
    assert message.url == f"{BASE}/incidents/9"
    assert read_token(KEY, message.acknowledge_url.removeprefix(f"{BASE}/p/")) == page.id, "its outcome is this row's"


def test_several_incidents_stand_in_line_as_the_gravest_of_what_is_still_told() -> None:
    """Three of sev3 go out with a fourth one of sev1: not behind other people's sev2."""
    world = held(World())
    for name in "ABCDE":
        world.fires(name, job="checkout", severity="warning")
    storm(world.at("5s"), "Worst", "Second", "Third", "Fourth").at("31s")
    page = next(row for row in world.engine.state.pages.values() if row.bundled)
    state = world.engine.state
    assert state.incidents[page.incident].severity == "sev3"
    assert severity(state, page) == "sev1"
    assert [one.id for one in awaited(state, [9, 5, 404])] == [page.id], "one message, by the row that was handed over"
    world.acknowledges(9)
    assert severity(state, page) == "sev3"
    world.acknowledges(4)
    world.acknowledges(5)
    assert severity(state, page) == "sev3", "nothing is told any more"
    world.asked(StartDrill(person="ben"))
    (drill,) = (row for row in state.pages.values() if row.kind == "drill")
    assert severity(state, drill) == ""


def test_what_is_answered_on_the_way_is_left_out_and_the_last_one_left_is_an_ordinary_page() -> None:
    world, first = bundle()
    world.acknowledges(4)
    assert wanted(world, first).lines == SEVERAL[1:]
    world.acknowledges(5)
    message = wanted(world, first)
    assert (message.incidents, message.incident, message.title) == (1, 6, "F fires")
    assert message.page == first.id, "its outcome is the row's that was handed over"
    assert read_token(KEY, message.acknowledge_url.removeprefix(f"{BASE}/p/")) == world.rows(6)[0].id
    world.acknowledges(6)
    assert composed(world, first) is None


def test_a_code_is_in_its_message_and_gone_once_it_was_used() -> None:
    world = held(World())
    contact = int(world.asked(AddContact(person="ana", channel="email", address="ana@home.example")).id)
    seed = b"sixteen bytes ok"
    code = code_of(KEY, contact, seed)
    world.asked(SendCode(contact=contact, seed=seed, hash=code_hash(KEY, contact, seed, code)))
    (page,) = world.rows(0)
    message = wanted(world, page)
    assert message.title == f"{code} is your code for Tocsin"
    assert (message.acknowledge_url, message.url) == ("", f"{BASE}/you")
    assert code not in page.title
    world.engine.state.contacts[contact].seed = b""
    assert composed(world, page) is None


def test_a_webhook_of_ones_own_is_signed_with_its_own_secret_and_the_plans_with_the_plans() -> None:
    world = World()
    (hook,) = world.has("ana", "https://push.example/ana")
    held(world).fires("Down", job="checkout")
    own, mail = world.rows(1)
    assert wanted(world, own).signing == webhook_secret(KEY, hook)
    assert wanted(world, mail).signing == ""


def test_a_call_for_help_is_wanted_while_the_incident_is_open_and_says_nothing_of_the_next_step() -> None:
    world = World().fires("Down", job="checkout")
    world.acknowledges(1)
    held(world).asked(AddResponders(actor="person:ana", incident=1, targets=("person:kei",)))
    (page,) = world.rows(1, "kei")
    message = wanted(world, page)
    assert (message.kind, message.next_step) == ("help", "")
    assert rendering.answerable(message)
    world.resolves("Down", job="checkout").at("2m")
    assert composed(world, page) is None


def test_whoever_has_what_becomes_graver_is_told_so_in_these_words_while_they_have_it() -> None:
    world = held(World()).fires("Disk", job="checkout", instance="a", severity="warning").at("1m")
    world.acknowledges(1, "24h")
    world.fires("Disk", job="checkout", instance="b")
    (word,) = [page for page in world.rows(1) if page.kind == "notice"]
    message = wanted(world, word)
    assert rendering.subject(message) == "[notice] Incident #1, which you have, is SEV1, was SEV3: Disk fires"
    assert (message.url, message.acknowledge_url, message.lines) == (f"{BASE}/incidents/1", "", ())
    world.asked(Acknowledge(incident=1, actor="person:ben"))
    assert composed(world, word) is None


def test_a_drill_says_that_it_is_one_and_can_be_answered() -> None:
    world = held(World())
    world.asked(StartDrill(person="ana"))
    (page,) = world.rows(0)
    message = wanted(world, page)
    assert rendering.subject(message) == "[drill] This is what a page is like"
    assert rendering.answerable(message)


def test_a_page_has_the_plans_words_for_its_channel_and_what_is_no_page_has_tocsins() -> None:
    words = b"\nmessages: {email: {subject: 'Wake up: $title'}}\nsynthetic page: {email: loop@shop.example}\n"
    world = held(World(PLAN + words)).fires("Down", job="checkout").at("1s")
    assert rendering.subject(wanted(world, world.rows(1)[0])) == "Wake up: Down fires"
    world.asked(StartDrill(actor="person:ben", person="ben"))
    world.acknowledges(1)
    world.asked(AddResponders(actor="person:ana", incident=1, targets=("person:kei",)))
    others = [one for one in world.engine.state.pages.values() if one.kind != "page"]
    assert {one.kind for one in others} == {"drill", "synthetic", "help", "notice"}
    for page in others:
        assert wanted(world, page).words is None, page.kind


def test_a_synthetic_page_carries_its_mark_where_a_channel_has_its_idempotency_key() -> None:
    world = held(World(PLAN + b"\nsynthetic page: {webhook: 'https://tocsin.example/loopback'}\n")).at("1s")
    (page,) = world.engine.state.pages.values()
    message = wanted(world, page)
    assert list(marks(KEY, message.idempotency_key.encode())) == [page.id]
    assert (message.kind, message.person_name, message.acknowledge_url) == ("notice", "Tocsin", "")
    assert message.signing == webhook_secret(KEY, 0), "its own secret: nobody's webhook has it"


def test_whoever_has_it_is_called_the_same_in_a_channel_as_elsewhere() -> None:
    hook = PLAN.replace(b"  ana: {name: Ana, email: ana@shop.example}", b"  ana: {name: Ana, slack: U012ABCDEF}")
    for actor, said in (
        ("person:kei (token ci)", "Kei (token ci) has it."),
        ("token:this machine", "Tocsin's command line has it."),
        ("token:deploys", "deploys (token) has it."),
    ):
        world = World(hook + b"\nchannels: {slack: {token: secret:s, signing secret: secret:t}}\n")
        world.answers = lambda page: "sent" if page.kind == "page" else "never"
        world.fires("Down", job="checkout")
        assert world.asked(Acknowledge(incident=1, actor=actor)).ok
        (update,) = [row for row in world.rows(1, "ana") if row.kind == "update"]
        assert rendering.news(wanted(world, update)) == said


def test_what_a_heartbeats_absence_means_comes_first_and_below_it_what_is_missing() -> None:
    text = PLAN.replace(b"{every: 10m, grace: 5m}", b"{every: 10m, grace: 5m, title: Orders are not booked}")
    world = held(World(text))
    key = world.asked(CreateKey(hash=b"h", hint="h", source="heartbeat", service="orders", heartbeat="nightly"))
    world.apply(Received(int(key.id), "orders", world.now, Request(source="heartbeat", method="GET", path="/")))
    world.at("16m")
    message = wanted(world, next(iter(world.engine.state.pages.values())))
    assert message.title == "Orders are not booked"
    assert message.lines == ("nightly of orders gives no sign of life (last heard Mon 23 Nov 2026 03:00 UTC)",)
    assert world.timeline[0].what == f"Opened for orders: {message.title}: {message.lines[0]}"


TURNS = PLAN.replace(b"{page: ben, wait: 10m, repeat: 2}", b"{page one of: [ben, kei], wait: 10m}")


def test_of_several_who_take_turns_the_message_says_that_one_is_paged() -> None:
    world = World(TURNS)
    told = wanted(held(world), world.fires("Down", job="checkout").told_pages[-1])
    assert told.next_step == "One of Ben, Kei (Ben next) is paged at 03:05:00 if nobody answers"
    world.at("6m").acknowledges(1)
    told = wanted(world, world.fires("Slow", job="search", region="eu").told_pages[-1])
    assert told.next_step.startswith("One of Ben, Kei (Kei next) is paged at ")


def test_who_is_named_next_is_whom_a_step_pages_that_is_for_this_incident_then() -> None:
    """Ben's is for SEV4 alone, Kei's for hours that are shut now and open when it is due."""
    ben, kei = b"{page: ben, when: {severity: sev4}}", b"{page: kei, when: {hours: %s}, wait: 10m}"
    of = PLAN.replace(b"{page: ben, wait: 10m, repeat: 2}", ben + b"\n    - " + kei)
    of = of.replace(b"last resort: kei", b"last resort: ben")
    hours = b"\nhours: {early: {open: [Mon-Sun 03:04-04:00]}, late: {open: [Mon-Sun 04:00-05:00]}}\n"
    for name, told in ((b"early", "Kei"), (b"late", "Ben")):
        world = held(World(of % name + hours))
        message = wanted(world, world.fires("Down", job="checkout").told_pages[-1])
        assert message.next_step == f"{told} is paged at 03:05:00 if nobody answers"
        world.at("5m1s")
        assert [row.person for row in world.told_pages][-1] == told.lower(), "what was said is what came"


@pytest.mark.parametrize(
    ("hold", "told", "paged"),
    [("", "Kei is paged at 03:05:00", ["kei"]), ("4m", "Ana is paged at 03:05:00", ["ana"])],
)
@pytest.mark.parametrize("page", ["page", "page one of"])
def test_who_has_answered_for_so_long_is_not_named_as_next(page: str, hold: str, told: str, paged: list[str]) -> None:
    """Two are asked for, and Ana is one: the next step is hers alone, and is passed over while her answer holds."""
    both, after = "{page: [ana, ben], wait: 5m, until acknowledged by: 2}", f"{{{page}: [ana, kei], wait: 5m}}"
    of = PLAN.replace(b"{page: ana, wait: 5m}", both.encode())
    of = of.replace(b"{page: ben, wait: 10m, repeat: 2}", b"{page: ana, wait: 5m}\n    - " + after.encode())
    world = held(World(of)).fires("Down", job="checkout")
    assert wanted(world, world.told_pages[-1]).next_step.startswith("Ana is paged at 03:05:00")
    world.acknowledges(1, hold=hold)
    assert wanted(world, world.told_pages[-1]).next_step == f"{told} if nobody answers"
    before = len(world.told_pages)
    world.at("5m1s")
    assert [row.person for row in world.told_pages[before:]] == paged, "what was said is what came"


def test_of_low_urgency_nobody_is_named_who_is_asleep_then() -> None:
    """Two in the afternoon in Madrid: Ben is in Tokyo, where it is night; Kei is awake."""
    plan = PLAN.replace(b"{page: ben, wait: 10m, repeat: 2}", b"{page: [ben, kei], wait: 10m}").replace(
        b"ben: {name: Ben,", b"ben: {name: Ben, timezone: Asia/Tokyo,"
    )
    plan = plan.replace(b"checkout: {escalation: shop,", b"checkout: {escalation: shop, urgency: low,")
    world = World(plan.replace(b"team: shop\n", b"team: shop\ntimezone: Europe/Madrid\n", 1))
    world.at("10h")
    told = wanted(held(world), world.fires("Down", job="checkout").told_pages[-1])
    assert told.next_step == "Kei is paged at 14:05:00 if nobody answers"


def test_of_low_urgency_who_take_turns_wait_for_the_morning_of_the_one() -> None:
    plan = TURNS.replace(b"ben: {name: Ben,", b"ben: {name: Ben, timezone: Asia/Tokyo,")
    plan = plan.replace(b"checkout: {escalation: shop,", b"checkout: {escalation: shop, urgency: low,")
    world = World(plan.replace(b"team: shop\n", b"team: shop\ntimezone: Europe/Madrid\n", 1))
    world.at("10h")
    told = wanted(held(world), world.fires("Down", job="checkout").told_pages[-1])
    assert told.next_step == "One of Ben, Kei (Ben next) is paged at 00:00:00 if nobody answers"


def test_what_is_over_is_not_among_what_fires_and_a_reopened_one_began_when_it_came_back() -> None:
    """All day it flapped; at night one reads what fires now, and since when."""
    world = World()
    for minute in range(0, 60, 10):
        world.at(f"{minute}m").fires("Down", job="checkout").at(f"{minute + 2}m").resolves("Down", job="checkout")
    held(world.at("70m")).fires("Down", job="checkout")
    message = wanted(world, world.told_pages[-1])
    assert (message.alerts, message.firing, message.lines) == (7, 1, ("Down fires",))
    assert "more alert" not in rendering.text(message)
    assert message.since == world.now
    assert "Since 04:10, just now" in rendering.text(message)


def test_what_a_silence_covers_is_not_what_a_page_is_about() -> None:
    world = held(World())
    for n in range(4):
        world.fires("Down", job="checkout", instance=f"i{n}")
    world.silences("job=checkout", 'instance=~"i[0-3]"', for_="4h")
    world.at("5m").fires("Down", job="checkout", instance="fresh")
    page = max(world.engine.state.pages.values(), key=lambda one: one.id)
    members = world.engine.state.members[page.incident]
    assert (len(members.firing), len(members.silenced)) == (5, 4)
    message = wanted(world, page)
    assert message.firing == 1
    assert len(message.lines) == 1


def test_what_a_message_is_about_is_counted_and_named_for_its_page_too() -> None:
    """Not what a silence covers, unless it covers all of it; on the page the newest come first."""
    world = World()
    for name in "abcd":
        world.fires("Down", job="checkout", instance=name, service="inbox").at(f"{ord(name) - 96}s")
    names = {id: f"{alert.title} {alert.labels['instance']}" for id, alert in world.engine.state.alerts.items()}
    for alert in world.engine.state.alerts.values():
        alert.own_title = names[alert.id]
    world.silences('instance="d"', for_="1h")
    told = firing(world.engine.state, 1, 2)
    assert (told.count, told.heard, told.titles) == (4, 3, (names[3], names[2])) and len(told.quiet) == 1
    world.silences('job="checkout"', for_="1h")
    told = firing(world.engine.state, 1, 9)
    assert (told.count, told.heard, told.titles) == (4, 4, tuple(names[id] for id in (4, 3, 2, 1)))
    assert firing(world.engine.state, 1).titles == firing(world.engine.state, 9, 2).titles == ()
