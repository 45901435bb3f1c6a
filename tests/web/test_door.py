"""Signing in and out, and what is said when something cannot be done."""

from __future__ import annotations

from tests.web.conftest import Browserless
from tests.web.night import PASSWORD, link
from tests.web.serving import Site


def test_nobody_is_led_to_sign_in_and_then_where_they_wanted(site: Site) -> None:
    nobody = Browserless(site, 0)
    answer = nobody.get("/incidents/1042?alerts=all")
    assert answer.url.path == "/sign-in"
    answer = nobody.send("/sign-in", name="ana", password=PASSWORD)
    assert str(answer.url).endswith("/incidents/1042?alerts=all")
    nobody.get("/settings")
    assert nobody.send("/sign-out").url.path == "/sign-in"
    assert nobody.get("/").url.path == "/sign-in"


def test_a_wrong_password_is_said_beside_the_name_that_was_typed(site: Site) -> None:
    nobody = Browserless(site, 0)
    nobody.get("/sign-in")
    answer = nobody.send("/sign-in", name="ana", password="wrong password here")
    assert answer.status_code == 401
    assert "The name or the password is wrong." in answer.text
    assert 'value="ana"' in answer.text


def test_guessing_is_slowed_down(site: Site) -> None:
    nobody = Browserless(site, 0)
    nobody.get("/sign-in")
    answers = [nobody.send("/sign-in", name="ana", password="x" * 12) for _ in range(7)]
    assert answers[-1].status_code == 429
    assert int(answers[-1].headers["retry-after"]) > 0


def test_looking_at_a_sign_in_link_does_not_use_it_up(site: Site) -> None:
    secret = link(site.night, 2)
    for _ in range(3):
        Browserless(site, 0).get(f"/sign-in/link/{secret}")
    ben = Browserless(site, 0)
    ben.get(f"/sign-in/link/{secret}")
    ben.send(f"/sign-in/link/{secret}")
    assert "Ben Okafor" in ben.page
    for useless in (secret, "neverseen"):
        answer = Browserless(site, 0).get(f"/sign-in/link/{useless}")
        assert answer.status_code == 401
        assert "This link does not work any more." in answer.text


def test_a_password_is_set_and_changed_by_its_owner(site: Site) -> None:
    ben = Browserless(site, 2)
    ben.get("/settings")
    assert "12 to 1000 characters" in ben.send("/settings/password", new="short").text
    ben.send("/settings/password", new="a fine long password")
    assert "The password is changed." in ben.page
    ana = Browserless(site, 1)
    ana.get("/settings")
    assert "This is not your password." in ana.send("/settings/password", old="no", new="a fine long password").text


def test_refusals_are_pages_for_people(ana: Browserless) -> None:
    answer = ana.get("/nothing/like/it")
    assert answer.status_code == 404
    assert "<h1>There is nothing here.</h1>" in answer.text
    assert ana.get("/incidents/99999").status_code == 404
    assert "There is no incident 99999." in ana.page
    for number in (2**53 - 1, 2**63 - 1, 10**20):
        assert [ana.get(f"/{of}/{number}").status_code for of in ("incidents", "alerts", "runs")] == [404] * 3
    assert ana.get("/?after=nonsense").status_code == 400


def test_a_fault_of_ours_says_so_and_shows_nothing_of_it(site: Site, ana: Browserless) -> None:
    def broken(service: str) -> None:
        raise RuntimeError("secret detail")

    assert site.faces is not None
    site.faces.reads.open_by_lane = broken  # type: ignore[method-assign,assignment]  # breaks a page on purpose
    answer = ana.get("/")
    assert answer.status_code == 500
    assert "<h1>Tocsin made a mistake here.</h1>" in answer.text
    assert "secret detail" not in answer.text


def test_whoever_sends_a_form_of_before_is_told_so_and_loses_nothing_that_was_written(site: Site) -> None:
    ana = Browserless(site)
    ana.get("/incidents/1042")
    room = ana.page
    ana.http.cookies.clear()  # the session is over
    at = {"referer": f"{site.url}/incidents/1042"}
    ana.http.headers.update(at)
    answer = ana.send("/incidents/1042/note", text="It is the bank, <b>not us</b>")
    assert answer.status_code == 403
    assert "<h1>You are signed out.</h1>" in ana.page
    assert "Nothing was done" in ana.page
    assert ">It is the bank, &lt;b&gt;not us&lt;/b&gt;</textarea>" in ana.page
    assert '<a class="btn btn--main" href="/sign-in?next=%2Fincidents%2F1042">Sign in</a>' in ana.page
    ana.page = room
    assert "<textarea" not in ana.send("/incidents/1042/acknowledge").text
    # Signed in again meanwhile, and a form of the session before is sent.
    ben = Browserless(site, 2)
    ben.http.headers.update(at)
    ben.page = room
    assert ben.send("/incidents/1042/note", text="It is the bank").status_code == 403
    assert "<h1>This page was too old.</h1>" in ben.page
    assert ">It is the bank</textarea>" in ben.page
    assert '<a class="btn btn--main" href="/incidents/1042">Back to where you were</a>' in ben.page
    assert site.core.asked == []


def test_what_was_written_is_not_lost_when_the_core_is_away_and_a_password_is_not_repeated(site: Site) -> None:
    ana = Browserless(site)
    ana.get("/incidents/1042")
    site.core.gone = True
    assert ana.send("/incidents/1042/note", text="It is the bank").status_code == 503
    assert ">It is the bank</textarea>" in ana.page
    nobody = Browserless(site, 0)
    nobody.get("/sign-in")
    sign_in = nobody.page
    nobody.http.cookies.clear()
    nobody.page = sign_in
    assert nobody.send("/sign-in", name="ana", password=PASSWORD).status_code == 403
    assert "<h1>This page was too old.</h1>" in nobody.page
    assert PASSWORD not in nobody.page
