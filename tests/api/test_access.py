"""Keys, users, tokens and links over the API."""

from __future__ import annotations

import pytest

from tests.api.client import World
from tests.faces.filled import NOW
from tocsin.access.credentials import secret_hash
from tocsin.engine.commands import CreateKey, CreateToken, Result, RevokeToken, SetUser
from tocsin.faces.passwords import password_is
from tocsin.kernel.instant import MINUTE


@pytest.mark.parametrize(
    ("source", "url"),
    [
        ("alertmanager", "http://tocsin.test/am/{key}"),
        ("pagerduty", "http://tocsin.test/v2/enqueue"),
        ("events", "http://tocsin.test/api/events/{key}"),
        ("heartbeat", "http://tocsin.test/ping/{key}"),
    ],
)
async def test_a_new_key_is_shown_once_with_the_url_to_paste(world: World, source: str, url: str) -> None:
    """The core gets only its hash and its last four characters."""
    answer = await world.call("POST", "/keys", {"source": source, "service": "checkout"})
    assert answer.status_code == 201
    made = answer.json()
    assert len(made["key"]) == 32
    assert made["key"].isalnum()
    assert made["url"] == url.format(key=made["key"])
    command, _ = world.core.asked[0]
    assert isinstance(command, CreateKey)
    assert (command.hash, command.hint) == (secret_hash(made["key"]), made["key"][-4:])
    assert made["key"] not in str(await world.get("/keys"))


async def test_a_repeated_request_answers_with_the_same_secret(world: World) -> None:
    """The core answers the second one with the first result, so the secret must be the first one too."""
    body = {"source": "events", "service": "checkout"}
    keys = [(await world.call("POST", "/keys", body, Idempotency_Key=key)).json()["key"] for key in ("a", "a", "b")]
    assert keys[0] == keys[1] != keys[2]


async def test_only_an_admin_gives_access(world: World) -> None:
    """A responder neither makes keys nor sees tokens."""
    assert (
        await world.call("POST", "/keys", {"source": "events", "service": "checkout"}, "responder")
    ).status_code == 403
    assert (await world.call("GET", "/tokens", role="responder")).status_code == 403
    assert (await world.call("GET", "/keys", role="")).status_code == 401
    assert world.core.asked == []


async def test_a_user_s_password_reaches_the_core_as_a_hash(world: World) -> None:
    """And a short one is refused before."""
    short = await world.call("PATCH", "/users/ana", {"password": "short"})
    assert (short.status_code, short.json()["field"]) == (400, "password")
    assert (await world.call("PATCH", "/users/ana", {"password": "long enough, it is"})).status_code == 200
    command, _ = world.core.asked[0]
    assert isinstance(command, SetUser)
    assert command.password is not None
    assert password_is("long enough, it is", command.password)
    assert command.role is None


async def test_a_user_that_exists_is_not_made_again(world: World) -> None:
    """Creating is not changing: the core is told so, and its refusal names the field."""
    world.core.answer = Result(ok=False, code="conflict", message="There is a user 'ana' already", field="name")
    answer = await world.call("POST", "/users", {"name": "ana", "role": "admin"})
    assert (answer.status_code, answer.json()["field"]) == (409, "name")
    assert world.core.asked == [
        (SetUser(actor="token:admin script", name="ana", role="admin", person="", new=True), "")
    ]


async def test_links_and_tokens_are_shown_once_and_end(world: World) -> None:
    """The core keeps hashes; a link waits 15 minutes unless told otherwise."""
    link = (await world.call("POST", "/users/ana/link", {})).json()
    token = (await world.call("POST", "/users/ana/tokens", {"name": "ci", "expires_in": "5m"})).json()
    assert link["url"].startswith("http://tocsin.test/sign-in/link/")
    assert token["token"].startswith("tocsin_")
    (first, _), (second, _) = world.core.asked
    assert isinstance(first, CreateToken)
    assert isinstance(second, CreateToken)
    assert (first.kind, first.hash, first.expires_at) == (
        "link",
        secret_hash(link["url"].rpartition("/")[2]),
        NOW + 15 * MINUTE,
    )
    assert (second.kind, second.hash, second.expires_at) == ("token", secret_hash(token["token"]), NOW + 5 * MINUTE)
    refused = await world.call("POST", "/users/ana/link", {"expires_in": "8d"})
    assert (refused.status_code, refused.json()["field"]) == (400, "expires_in")


async def test_me_says_who_one_is(world: World) -> None:
    """For scripts that want to know what their token may do."""
    assert await world.get("/me", "responder") == {
        "user": "ana",
        "role": "responder",
        "person": "ana",
        "actor": "person:ana",
        "timezone": "UTC",
    }


async def test_a_core_s_refusal_names_the_field(world: World) -> None:
    """A service the plan does not have."""
    world.core.answer = Result(ok=False, code="invalid", message="The plan has no service 'x'", field="service")
    answer = await world.call("POST", "/keys", {"source": "events", "service": "x"})
    assert (answer.status_code, answer.json()["field"]) == (400, "service")


@pytest.mark.parametrize("role", ["viewer", "responder"])
async def test_whoever_made_the_address_of_a_calendar_revokes_it_and_nothing_else(world: World, role: str) -> None:
    """What `tocsin oncall feed` says of it: whoever has the address can read the shifts until then."""
    users = {"viewer": 1, "responder": 2, "admin": 3}
    own = world.filler.token("f" * 32, users[role], kind="feed", name="schedule:shop-primary")
    others = world.filler.token("g" * 32, users["admin"], kind="feed", name="schedule:shop-primary")
    theirs = world.filler.token("h" * 40, users[role], name="ci")
    assert (await world.call("DELETE", f"/tokens/{own}", role=role)).status_code == 204
    assert [command for command, _ in world.core.asked] == [RevokeToken(actor=world.core.asked[0][0].actor, id=own)]
    for number in (others, theirs, 9999):
        refused = await world.call("DELETE", f"/tokens/{number}", role=role)
        assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
        assert "this needs the role admin" in refused.json()["detail"]
    assert len(world.core.asked) == 1
    assert (await world.call("DELETE", f"/tokens/{theirs}")).status_code == 204
