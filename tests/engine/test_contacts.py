"""A person's contact methods: trusted from the plan, or proven by a code; and the drill that shows what a page is."""

from __future__ import annotations

import msgspec
import pytest

from tests.engine.world import KEY, PLAN, World
from tocsin.engine.commands import (
    AddContact,
    AnswerDrill,
    MarkContact,
    RemoveContact,
    Result,
    SendCode,
    StartDrill,
    TryContact,
    VerifyContact,
)
from tocsin.pages.contacts import Contact, code_hash, code_of
from tocsin.pages.rules import Way

HOOK = "https://push.example/ana"
SEED = b"sixteen bytes ok"


def adds(world: World, address: str = HOOK, channel: str = "webhook", person: str = "ana", label: str = "") -> Result:
    return world.asked(
        AddContact(actor="person:ana", person=person, channel=channel, address=address, label=label)
    )


def sends_code(world: World, contact: int, seed: bytes = SEED) -> Result:
    hash = code_hash(KEY, contact, seed, code_of(KEY, contact, seed))
    return world.asked(SendCode(actor="person:ana", contact=contact, seed=seed, hash=hash))


def types(world: World, contact: int, code: str) -> Result:
    seed = world.engine.state.contacts[contact].seed
    return world.asked(
        VerifyContact(actor="person:ana", contact=contact, hash=code_hash(KEY, contact, seed, code))
    )


def method(world: World, person: str = "ana", place: int = -1) -> Contact:
    return world.engine.state.contacts_by(person)[place]


def test_what_the_plan_declares_is_trusted_as_it_stands_and_follows_the_plan():
    world = World()
    assert [(c.channel, c.address, c.state, c.declared) for c in world.engine.state.contacts_by("ana")] == [
        ("email", "ana@shop.example", "verified", True)
    ]
    known = method(world).id
    world.put_in_force(PLAN.replace(b"ana@shop.example", b"ana@new.example"))
    assert (method(world).id, method(world).address) == (known, "ana@new.example")
    world.put_in_force(PLAN.replace(b"{name: Ana, email: ana@shop.example}", b"{name: Ana}"))
    assert not method(world).trusted
    world.at("8d").put_in_force(PLAN.replace(b"{name: Ana, email: ana@shop.example}", b"{name: Anna}"))
    assert world.engine.state.contacts_by("ana") == []


def test_a_plan_that_is_read_again_changes_no_method():
    world = World()
    world.engine.take()
    world.put_in_force(PLAN)
    assert world.engine.take().contacts == {}


def test_a_new_method_is_not_used_before_its_code_came_back():
    world = World()
    contact = int(adds(world).id)
    world.fires("Down", job="checkout")
    assert [address for _, _, address, _ in world.left] == ["ana@shop.example"]
    assert sends_code(world, contact).ok
    assert world.left[-1] == ("0s", "ana", HOOK, "notice")
    assert types(world, contact, code_of(KEY, contact, SEED)).ok
    assert method(world).state == "verified"
    world.fires("Slow", job="checkout")
    assert HOOK in [address for _, _, address, kind in world.left if kind == "page"]


def test_the_code_is_in_no_journal_and_in_no_row():
    world = World()
    contact = int(adds(world).id)
    sends_code(world, contact)
    code = code_of(KEY, contact, SEED).encode()
    types(world, contact, "000000")
    assert not any(code in raw for _, _, raw in world.journal)
    assert not any(code in raw for table in world.tables.values() for _, raw in table.values())


def test_a_code_works_for_ten_minutes_and_five_tries():
    world = World()
    contact = int(adds(world).id)
    good = code_of(KEY, contact, SEED)
    sends_code(world, contact)
    for left in ("4 more tries", "3 more tries", "2 more tries", "1 more try", "ask for another"):
        assert left in types(world, contact, "no").message
    assert types(world, contact, good).code == "conflict"
    world.at("1m")
    sends_code(world, contact)
    world.at("11m1s")
    assert "expired" in types(world, contact, good).message
    sends_code(world, contact)
    assert types(world, contact, good).ok


def test_a_newer_code_makes_the_older_one_useless():
    world = World()
    contact = int(adds(world).id)
    sends_code(world, contact)
    world.at("30s")
    sends_code(world, contact, b"another 16 bytes")
    assert types(world, contact, code_of(KEY, contact, SEED)).code == "invalid"
    assert types(world, contact, code_of(KEY, contact, b"another 16 bytes")).ok


def test_codes_are_few_for_a_method_and_for_a_person():
    """Nobody can run up a telephone bill, or use Tocsin to bother strangers."""
    world = World()
    contact = int(adds(world).id)
    assert sends_code(world, contact).ok
    assert sends_code(world, contact).code == "too_many"
    for minute in range(1, 5):
        world.at(f"{minute}m")
        assert sends_code(world, contact).ok
    world.at("5m")
    assert sends_code(world, contact).code == "too_many"
    sent = 5
    for number in range(12):
        other = int(adds(world, f"https://push.example/{number}").id)
        answer = sends_code(world, other)
        sent += answer.ok
    assert sent == 15
    world.at("65m")
    assert sends_code(world, contact).ok


@pytest.mark.parametrize(
    ("channel", "address", "person", "field"),
    [
        ("webhook", "http://push.example/ana", "ana", "address"),
        ("webhook", "https://user:secret@push.example/", "ana", "address"),
        ("webhook", "https://", "ana", "address"),
        ("webhook", "https://push.example:99999/", "ana", "address"),
        ("email", "ana", "ana", "address"),
        ("email", "ana@shop.example, ben@shop.example", "ana", "address"),
        ("email", "", "ana", "address"),
        ("pigeon", "roof", "ana", "channel"),
        ("console", "ana", "ana", "channel"),
        ("webhook", HOOK, "nobody", "person"),
    ],
)
def test_a_method_that_cannot_be_is_refused_by_its_field(channel, address, person, field):
    world = World()
    before = dict(world.engine.state.contacts)
    refused = adds(world, address, channel, person)
    assert (refused.ok, refused.code, refused.field) == (False, "invalid", field)
    assert world.engine.state.contacts == before


def test_a_channel_whose_addresses_name_secrets_is_the_plans_alone():
    """Or whoever may add a method could use any secret of the server."""
    world = World()
    plan = msgspec.structs.replace(world.engine.plan)
    plan.__dict__["reaches"] = frozenset({"email", "webhook", "apprise"})
    world.engine.plan = plan
    assert adds(world, "secret:smtp", "apprise").field == "channel"


def test_the_same_method_twice_is_refused_and_so_are_too_many():
    world = World()
    assert adds(world).ok
    assert adds(world).code == "conflict"
    assert adds(world, "ana@SHOP.example", "email").code == "conflict", "the plan declares it"
    for number in range(18):
        assert adds(world, f"https://push.example/{number}").ok
    assert adds(world, "https://push.example/more").code == "conflict"
    assert adds(world, label="x" * 61, address="https://a.example/").field == "label"


def test_a_declared_method_goes_with_the_plan_only_and_an_own_one_when_its_owner_says_so():
    world = World()
    declared, own = method(world).id, int(adds(world).id)
    assert world.asked(RemoveContact(actor="person:ana", contact=declared)).code == "conflict"
    assert world.asked(RemoveContact(actor="person:ana", contact=own)).ok
    assert world.asked(RemoveContact(actor="person:ana", contact=own)).code == "not_found"


def test_a_method_its_owner_calls_broken_is_not_used_until_a_code_proves_it_again():
    world = World()
    (hook,) = world.has("ana", HOOK)
    assert world.asked(MarkContact(actor="person:ana", contact=hook, why="the phone is lost")).ok
    world.left.clear()
    world.fires("Down", job="checkout")
    assert [address for _, _, address, kind in world.left if kind == "page"] == ["ana@shop.example"]
    world.at("1m")
    assert world.proves(hook).ok
    assert method(world).state == "verified"


def test_a_change_of_how_somebody_is_reached_is_told_by_another_method():
    """Whoever got into an account cannot turn pages away unseen."""
    world = World()
    (hook,) = world.has("ana", HOOK)
    assert [(address, kind) for _, _, address, kind in world.left] == [(HOOK, "notice"), ("ana@shop.example", "notice")]
    world.asked(RemoveContact(actor="person:ana", contact=hook))
    assert world.left[-1] == ("0s", "ana", "ana@shop.example", "notice")
    other = int(adds(world, "https://other.example/").id)
    before = len(world.left)
    world.asked(RemoveContact(actor="person:ana", contact=other))
    assert len(world.left) == before, "one that was never used changes nothing"


def test_a_test_message_goes_to_that_method_alone_and_only_to_a_proven_one():
    world = World()
    (hook,) = world.has("ana", HOOK)
    other = int(adds(world, "https://other.example/").id)
    world.at("1m")
    world.left.clear()
    assert world.asked(TryContact(actor="person:ana", contact=hook)).ok
    assert world.left == [("60s", "ana", HOOK, "notice")]
    assert world.asked(TryContact(actor="person:ana", contact=other)).code == "conflict"


def test_a_drill_pages_by_the_persons_own_rules_until_it_is_answered_and_nobody_else():
    world = World()
    hook, second = world.has("ana", HOOK, "https://second.example/")
    world.rules("ana", high=(Way(hook, 0), Way(second, 120_000_000)))
    world.left.clear()
    page = int(world.asked(StartDrill(actor="person:ana", person="ana")).id)
    assert world.left == [("0s", "ana", HOOK, "drill")]
    assert world.asked(StartDrill(actor="person:ana", person="ana")).code == "conflict"
    world.at("1m")
    assert world.asked(AnswerDrill(actor="person:ana", page=page)).ok
    world.at("30m")
    assert len(world.left) == 1
    assert world.engine.state.counters.proven_at is not None, "a page by a real channel was answered"
    world.at("90m")
    assert world.asked(AnswerDrill(actor="person:ana", page=page)).code == "not_found"


def test_a_drill_nobody_answers_uses_every_method_and_ends():
    world = World()
    world.has("ana", HOOK)
    world.left.clear()
    world.asked(StartDrill(actor="person:ana", person="ana"))
    world.at("3h").fires("Down", job="checkout").at("3h6m")
    assert [(at, address) for at, _, address, _ in world.left] == [
        ("0s", HOOK), ("120s", "ana@shop.example"),
        ("10800s", HOOK), ("10920s", "ana@shop.example"), ("11100s", "ben@shop.example"),
    ]  # fmt: skip
    assert 0 not in {page.incident for page in world.engine.state.pages.values()}, "it is not kept in memory"


def test_what_somebody_asks_for_themself_is_sent_even_with_paging_off():
    world = World(paging=False)
    contact = int(adds(world).id)
    assert sends_code(world, contact).ok
    world.at("1m")
    assert world.asked(StartDrill(actor="person:ben", person="ben")).ok
    world.fires("Down", job="checkout")
    assert [kind for _, _, _, kind in world.left] == ["notice", "drill"]
