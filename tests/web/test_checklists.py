"""Checklists in an incident's room, by plain forms."""

from __future__ import annotations

from tests.web.conftest import Browserless
from tests.web.night import the_plan
from tests.web.serving import Site
from tocsin.engine import commands as c
from tocsin.web.checklists import Piece, pieces

STEPS = the_plan().checklists["cards-declined"].items


def test_steps_are_ticked_and_taken_back_by_plain_forms(site: Site, ana: Browserless) -> None:
    ana.get("/incidents/1042")
    assert "Cards are declined" in ana.page and "1 of 4 steps done" in ana.page.replace("\xa0", " ")
    assert "Ben, <time" in ana.page, "who did it"
    assert "select bank, count(*)" in ana.page and "<h3" in ana.page
    assert '<a href="https://status.bank.example" rel="noreferrer noopener">bank&#39;s status page</a>' in ana.page
    before = list(site.core.asked)
    for path in ("tick", "untick"):
        assert ana.http.post(f"/incidents/1042/{path}", data={"step": STEPS[1].id}).status_code == 403
    assert site.core.asked == before, "not without the form's token"

    ana.send("/incidents/1042/tick")
    which = {"actor": "person:ana", "incident": 1042, "checklist": "cards-declined"}
    said: list[object] = list(site.core.asked)
    assert said[-1] == c.TickStep(**which, step=STEPS[1].id)  # type: ignore[arg-type]  # texts and a number
    assert "Ticked, with your name." in ana.page
    ana.send("/incidents/1042/untick", why=" the page   was old ")
    said = list(site.core.asked)
    assert said[-1] == c.UntickStep(**which, step=STEPS[0].id, why="the page was old")  # type: ignore[arg-type]
    site.core.answer = c.refuse("conflict", "Ben Okafor has ticked it already: Count declines by bank", "step")
    assert ana.send("/incidents/1042/tick").status_code == 409
    assert "Ben Okafor has ticked it already" in ana.page


def test_who_may_only_look_and_what_is_over_have_no_buttons(site: Site, ana: Browserless) -> None:
    incident = site.night.incident(1042)
    incident.state = "resolved"
    site.night.put(incident)
    ana.get("/incidents/1042")
    assert "Cards are declined" in ana.page and "Ben, <time" in ana.page
    assert "/tick" not in ana.page and "/untick" not in ana.page


def test_only_links_and_what_is_typed_are_told_apart() -> None:
    assert pieces("a [b](https://c.example/d) e `f` [g](javascript:h) <i>") == [
        Piece("a "), Piece("b", "https://c.example/d"), Piece(" e "), Piece("f", code=True),
        Piece(" [g](javascript:h) <i>"),
    ]  # fmt: skip
