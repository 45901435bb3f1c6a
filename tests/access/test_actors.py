"""Whoever did something is called the same everywhere."""

from __future__ import annotations

import pytest

from tocsin.access.actors import by_token, called, person_of, same


@pytest.mark.parametrize(
    ("actor", "said"),
    [
        ("person:ana", "Ana Ribeiro"),
        ("person:ben", "ben"),
        ("person:ana (token ci)", "Ana Ribeiro (token ci)"),
        ("person:ana (token this machine)", "Ana Ribeiro (Tocsin's command line)"),
        ("user:ops", "ops"),
        ("token:deploys", "deploys (token)"),
        ("token:this machine", "Tocsin's command line"),
        ("source:alertmanager", "alertmanager"),
        ("key:3", "key 3"),
        ("page:17", "page 17"),
        ("signal:SIGHUP", "SIGHUP (signal)"),
        ("code", "Tocsin"),
        ("", ""),
        ("Ana: on call", "Ana: on call"),
        ("amtool", "amtool"),
    ],
)
def test_every_kind_of_actor_has_one_wording(actor: str, said: str) -> None:
    assert called(actor, {"ana": "Ana Ribeiro"}) == said


def test_what_a_users_token_does_is_done_by_the_user() -> None:
    assert person_of("person:ana") == person_of(by_token("person:ana", "ci (old)")) == "ana"
    assert [person_of(one) for one in ("token:ana", "user:ana", "code", "")] == ["", "", "", ""]


def test_a_person_is_one_by_whichever_token() -> None:
    ana = by_token("person:ana", "ci")
    assert same("person:ana", ana) and same(ana, by_token("person:ana", "laptop")) and same("user:ops", "user:ops")
    assert not same("person:ana", "person:ben") and not same("token:ana", "person:ana")
    assert not same("user:ops", "token:ops"), "nobody of the plan is not one with others who are nobody"
