"""Who is asking: tokens, sessions, forms, and browsers that were led here by another site."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from litestar import Litestar, Request, Response, get, post
from litestar.testing import AsyncTestClient
from msgspec.structs import replace

from tests.faces.filled import BASE, NOW, PASSWORD, TOKENS, FakeCore, Filler, faces_of, fill, sqlite_url
from tocsin.access.credentials import secret_hash
from tocsin.engine.commands import Result, UseLink
from tocsin.faces.application import application
from tocsin.faces.faces import Faces
from tocsin.faces.who import Who, end_session, sign_in_with_link, sign_in_with_password, start_session
from tocsin.kernel.instant import DAY, HOUR, MINUTE, Instant


@get("/me")
async def me(who: Who) -> dict[str, str]:
    """Who and their form token."""
    return {"actor": who.actor, "csrf": who.csrf, "address": who.address}


@get("/form", needs="anyone", media_type="text/html")
async def form(who: Who) -> str:
    """A form for anyone."""
    return who.csrf


@post("/sign-in", needs="anyone", status_code=200)
async def sign_in(request: Request[Any, Any, Any], faces: Faces, who: Who) -> Response[str]:
    """By password."""
    told = await request.form()
    user = await sign_in_with_password(faces, who, str(told["name"]), str(told["password"]))
    response = Response("in")
    start_session(faces, who, user, response)
    return response


@post("/sign-out", needs="viewer", status_code=200)
async def sign_out(who: Who) -> Response[str]:
    """And out."""
    response = Response("out")
    end_session(who, response)
    return response


@post("/link", needs="anyone", status_code=200)
async def link(request: Request[Any, Any, Any], faces: Faces, who: Who) -> Response[str]:
    """By link."""
    user = await sign_in_with_link(faces, str((await request.form())["secret"]))
    response = Response(user.name)
    start_session(faces, who, user, response)
    return response


@post("/do", needs="responder", status_code=200)
async def do(who: Who) -> str:
    """Something a responder does."""
    return who.actor


@post("/secret-address", needs="anyone", csrf=False, status_code=200)
async def secret_address() -> str:
    """An address that is a secret itself."""
    return "done"


class Browser:
    """A browser that keeps cookies and fills in forms."""

    def __init__(self, client: AsyncTestClient[Litestar], core: FakeCore, filler: Filler) -> None:
        self.client = client
        self.core = core
        self.filler = filler
        self.now: Instant = NOW

    async def submit(
        self, path: str, token: str | None = None, headers: dict[str, str] | None = None, **fields: str
    ) -> Any:
        """Send a form with a token (the visit's by default)."""
        csrf = (await self.client.get("/form")).text if token is None else token
        return await self.client.post(path, data={**fields, "csrf": csrf}, headers=headers)

    async def sign_in(self, name: str = "ana", password: str = PASSWORD, address: str = "10.0.0.1") -> Any:
        """Sign in by password."""
        return await self.submit("/sign-in", headers={"X-Tocsin-Client": address}, name=name, password=password)


@pytest.fixture
async def browser(tmp_path: Path) -> AsyncIterator[Browser]:
    """A browser before a server whose clock the test sets."""
    database = sqlite_url(tmp_path)
    filler, core = fill(database), FakeCore()
    faces = faces_of(database, core)
    app = application([me, form, sign_in, sign_out, link, do, secret_address], faces)
    async with AsyncTestClient(app, base_url=BASE) as client:
        made = Browser(client, core, filler)
        faces.clock = lambda: made.now
        yield made


async def test_a_token_says_who_and_what_for(browser: Browser) -> None:
    """Named tokens act under their name."""
    answer = await browser.client.get("/me", headers={"Authorization": f"Bearer {TOKENS['admin']}"})
    assert answer.json()["actor"] == "token:admin script"


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"revoked_at": NOW - 1}, "revoked"),
        ({"expires_at": NOW}, "expired"),
        ({"kind": "link"}, "not known"),
    ],
)
async def test_a_token_that_is_no_good_is_refused_with_the_reason(browser: Browser, fields: Any, word: str) -> None:
    """Never answered as if it were absent."""
    browser.filler.token("x" * 40, 1, **fields)
    answer = await browser.client.get("/me", headers={"Authorization": "Bearer " + "x" * 40})
    assert answer.status_code == 401
    assert word in answer.json()["detail"]
    assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_a_session_lasts_while_it_is_used_and_never_longer_than_a_week(browser: Browser) -> None:
    """Twelve hours unused end it; so do seven days."""
    assert (await browser.sign_in()).text == "in"
    cookie = (await browser.client.get("/me")).request.headers["cookie"]
    assert "tocsin=" in cookie
    for _ in range(14):
        browser.now += 11 * HOUR
        assert (await browser.client.get("/me")).status_code == 200
    browser.now = NOW + 7 * DAY
    assert (await browser.client.get("/me")).status_code == 401


async def test_an_unused_session_ends_after_twelve_hours(browser: Browser) -> None:
    """The cookie may still be there."""
    await browser.sign_in()
    browser.now += 12 * HOUR
    assert (await browser.client.get("/me")).status_code == 401


async def test_the_session_cookie_is_out_of_reach_for_scripts_and_other_sites(browser: Browser) -> None:
    """HttpOnly and SameSite; over TLS also Secure and bound to this host."""
    plain = (await browser.sign_in()).headers["set-cookie"]
    assert "HttpOnly" in plain
    assert "samesite=lax" in plain.lower()
    assert "secure" not in plain.lower()
    form = await browser.client.get("/form", headers={"X-Tocsin-Scheme": "https"})
    assert "__Host-tocsin" in form.headers.get("set-cookie", "")
    assert "secure" in form.headers["set-cookie"].lower()
    assert form.headers["strict-transport-security"]


async def test_a_higher_epoch_and_disabling_end_all_sessions(browser: Browser) -> None:
    """At the next request."""
    await browser.sign_in()
    reads = browser.client.app.state.faces.reads
    user = reads.user("ana")
    browser.filler.set_user(user.id, replace(user, epoch=1))
    assert (await browser.client.get("/me")).status_code == 401
    browser.filler.set_user(user.id, user)
    assert (await browser.client.get("/me")).status_code == 200
    browser.filler.set_user(user.id, replace(user, disabled_at=NOW))
    assert (await browser.client.get("/me")).status_code == 401


async def test_a_changed_cookie_is_nobody_s(browser: Browser) -> None:
    """Each part of it is signed."""
    await browser.sign_in()
    value = browser.client.cookies["tocsin"]
    for changed in ("A" + value[1:], value[:-1], value.replace(".", ""), "é", ""):
        answer = await browser.client.get("/me", headers={b"Cookie": f"tocsin={changed}".encode()})
        assert answer.status_code == 401, changed


async def test_signing_out_takes_the_cookie_away(browser: Browser) -> None:
    """This browser only."""
    await browser.sign_in()
    token = (await browser.client.get("/me")).json()["csrf"]
    assert (await browser.submit("/sign-out", token)).text == "out"
    assert (await browser.client.get("/me")).status_code == 401


async def test_guessing_is_slowed_per_name_and_address(browser: Browser) -> None:
    """Five tries at once, then 429 with the time to wait; another address is another bucket."""
    for _ in range(5):
        assert (await browser.sign_in(password="wrong")).status_code == 401
    slowed = await browser.sign_in()
    assert slowed.status_code == 429
    assert int(slowed.headers["retry-after"]) > 0
    assert (await browser.sign_in(address="10.0.0.2")).status_code == 200
    browser.now += MINUTE
    assert (await browser.sign_in()).status_code == 200


async def test_an_unknown_name_and_a_wrong_password_answer_alike(browser: Browser) -> None:
    """Names cannot be told apart."""
    wrong, unknown = await browser.sign_in(password="wrong"), await browser.sign_in(name="nobody")
    assert wrong.json() == unknown.json()


async def test_a_link_is_used_by_the_form_not_by_looking(browser: Browser) -> None:
    """The core consumes it; a refusal signs nobody in."""
    browser.core.answer = Result(ok=True, id="ana")
    assert (await browser.submit("/link", secret="s3cret")).text == "ana"
    assert browser.core.asked == [(UseLink(hash=secret_hash("s3cret")), "")]
    assert (await browser.client.get("/me")).json()["actor"] == "person:ana"
    browser.client.cookies.clear()
    browser.core.answer = Result(ok=False, code="conflict", message="This sign-in link was used already")
    assert (await browser.submit("/link", secret="s3cret")).status_code == 401
    assert (await browser.client.get("/me")).status_code == 401


async def test_a_form_counts_only_with_this_session_s_token(browser: Browser) -> None:
    """Not without one, not with the token from before signing in; in a header as well as in a field."""
    visit = (await browser.client.get("/form")).text
    await browser.sign_in()
    assert (await browser.client.post("/do")).status_code == 403
    assert (await browser.submit("/do", visit)).status_code == 403
    token = (await browser.client.get("/me")).json()["csrf"]
    assert (await browser.submit("/do", token)).text == "person:ana"
    assert (await browser.client.post("/do", headers={"X-CSRF-Token": token})).text == "person:ana"


@pytest.mark.parametrize(
    "headers", [{"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}]
)
async def test_another_site_s_request_is_refused_even_with_a_token(browser: Browser, headers: dict[str, str]) -> None:
    """Browsers say where a request comes from."""
    await browser.sign_in()
    token = (await browser.client.get("/me")).json()["csrf"]
    assert (await browser.submit("/do", token, headers)).status_code == 403
    assert (await browser.submit("/do", token, {"Origin": BASE, "Sec-Fetch-Site": "same-origin"})).status_code == 200


async def test_scripts_and_secret_addresses_need_no_form_token(browser: Browser) -> None:
    """A browser never adds a bearer token by itself."""
    answer = await browser.client.post("/do", headers={"Authorization": f"Bearer {TOKENS['responder']}"})
    assert answer.text == "person:ana"
    assert (await browser.client.post("/secret-address")).text == "done"


async def test_the_client_s_address_is_what_the_core_says(browser: Browser) -> None:
    """The core is the only one in front, and sets the header itself."""
    headers = {"Authorization": f"Bearer {TOKENS['viewer']}", "X-Tocsin-Client": "203.0.113.9"}
    assert (await browser.client.get("/me", headers=headers)).json()["address"] == "203.0.113.9"


async def test_every_answer_carries_the_security_headers(browser: Browser) -> None:
    """Refusals and unknown addresses too."""
    for path in ("/form", "/me", "/nowhere"):
        headers = (await browser.client.get(path)).headers
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert headers["referrer-policy"] == "same-origin"
