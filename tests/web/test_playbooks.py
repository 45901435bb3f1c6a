"""Runs in an incident's room and on the page of playbooks, by plain forms."""

from __future__ import annotations

import msgspec
import pytest
from sqlalchemy import insert

from tests.web.conftest import Browserless
from tests.web.night import NOW
from tests.web.serving import Site
from tocsin.engine import commands as c
from tocsin.kernel.instant import MINUTE, SECOND
from tocsin.playbooks.run import Approval, Run, Step
from tocsin.store import tables

ENCODE = msgspec.json.encode
FIX = "redis.expire(main, 312 of them, spread='60s')"


def keep(site: Site, run: Run, *steps: Step) -> None:
    """Put a run into the database, as a core would have."""
    row = {
        "number": run.number, "incident": run.incident, "service": run.service, "playbook": run.playbook,
        "state": run.state, "started_at": run.started_at, "live": True, "body": ENCODE(run),
    }  # fmt: skip
    with site.night.engine.begin() as connection:
        connection.execute(insert(tables.runs).values(**row))
        for step in steps:
            values = {"run": step.run, "ordinal": step.ordinal, "body": ENCODE(step)}
            connection.execute(insert(tables.steps).values(**values))


@pytest.fixture
def asking(site: Site) -> Run:
    run = Run(
        number=7, playbook="free-memory", service="checkout", plan="v", targets={"server": "main"}, incident=1042,
        state="asking", started_at=NOW - MINUTE, deadline=NOW + MINUTE,
        approval=Approval(2, f"May it do {FIX}?", ("yes", "no"), "no", NOW + 9 * MINUTE, "responder", FIX),
    )  # fmt: skip
    step = Step(
        run=7, ordinal=1, verb="look", function="tocsin.library.redis.memory", digest="x", shown="main", state="done",
        began_at=NOW - MINUTE, ended_at=NOW - MINUTE + SECOND, said="97% <b>full</b>",
    )  # fmt: skip
    keep(site, run, step)
    return run


def test_what_a_run_found_and_asks_is_in_the_room_and_yes_is_one_button(
    site: Site, ana: Browserless, asking: Run
) -> None:
    ana.get("/incidents/1042")
    assert "What code did" in ana.page and "redis.memory(main)" in ana.page
    assert "97% &lt;b&gt;full&lt;/b&gt;" in ana.page, "what systems say is no markup"
    assert "Approve the fix" in ana.page and "312 of them" in ana.page
    assert 'name="step" value="2"' in ana.page
    ana.send("/runs/7/answer", answer="yes", step="2")
    assert site.core.asked == [c.AnswerRun(actor="person:ana", run=7, step=2, answer="yes", role="admin")]
    assert "It is told, and goes on as you said." in ana.page
    ana.send("/runs/7/cancel")
    assert site.core.asked[-1] == c.CancelRun(actor="person:ana", run=7)


def test_an_answer_without_the_forms_token_is_refused(site: Site, ana: Browserless, asking: Run) -> None:
    before = list(site.core.asked)
    for path in ("/runs/7/answer", "/runs/7/cancel", "/playbooks/trust", "/incidents/1042/run"):
        assert ana.http.post(path, data={"answer": "yes"}).status_code == 403
    assert site.core.asked == before


def test_a_refusal_is_said_on_the_runs_page(site: Site, ana: Browserless, asking: Run) -> None:
    ana.get("/runs/7")
    assert "Run 7" in ana.page and "Asks first" in ana.page
    site.core.answer = c.refuse("conflict", "Run 7 asks nothing now")
    assert ana.send("/runs/7/answer", answer="yes").status_code == 409
    assert "Run 7 asks nothing now" in ana.page
    assert ana.get("/runs/8").status_code == 404


def test_the_page_of_playbooks_lists_runs_and_says_how_to_begin(ana: Browserless, asking: Run) -> None:
    ana.get("/playbooks")
    assert "run waits for an answer." in ana.page
    assert "tocsin playbook new free-memory" in ana.page
    assert '<a class="t" href="/runs/7">7</a>' in ana.page
