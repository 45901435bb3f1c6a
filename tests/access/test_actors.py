"""Whoever did something is called the same everywhere."""

from __future__ import annotations

import pytest

from tocsin.access.actors import by_token, called, person_of


@pytest.mark.parametrize(
    ("actor", "said"),
    [
        ("person:ana", "Ana Ribeiro"),
        ("person:ben", "ben"),
        ("person:ana (token ci)", "Ana Ribeiro (token ci)"),
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
