"""Runs in an incident's room and on the page of playbooks, by plain forms."""

from __future__ import annotations

import re
from urllib.parse import urlencode

import msgspec
import pytest
from sqlalchemy import insert, update

from tests.web.conftest import Browserless
from tests.web.night import NOW, alert, the_plan
from tests.web.serving import Site
from tocsin.engine import commands as c
from tocsin.engine.weighing import Guards, Weighed
from tocsin.faces.faces import Faces
from tocsin.incidents.incident import Work
from tocsin.kernel.instant import MINUTE, SECOND, format_rfc3339
from tocsin.kernel.matcher import parse_matcher
from tocsin.kernel.reason import Reason
from tocsin.pages.ledger import Page
from tocsin.plan.model import Plan
from tocsin.playbooks.evidence import BEFORE, Series, said
from tocsin.playbooks.left import Left
from tocsin.playbooks.manifest import Manifest, Param, Rung, Trust
from tocsin.playbooks.run import Approval, Run, Step
from tocsin.playbooks.targets import Target
from tocsin.playbooks.trust import Climb
from tocsin.runtime.line import Weighing
from tocsin.store import tables
from tocsin.web import playbooks

ENCODE = msgspec.json.encode
HOSTS = [f"host-{n}" for n in range(1, 6)]
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


def test_a_run_that_no_incident_began_is_in_the_room_of_its_question(site: Site, ana: Browserless, asking: Run) -> None:
    with site.night.engine.begin() as connection:
        body = ENCODE(msgspec.structs.replace(asking, incident=0))
        connection.execute(update(tables.runs).values(incident=0, body=body))
    ana.get("/incidents/1042")
    assert "Approve the fix" not in ana.page
    with site.night.engine.begin() as connection:
        own = alert(9999, "free-memory asks: May it do it?", "checkout", 1042, source="tocsin", key="asks:7")
        row = {"id": own.id, "incident": 1042, "service": "checkout", "state": "firing", "live": True}
        connection.execute(insert(tables.alerts).values(**row, body=ENCODE(own)))
    ana.get("/incidents/1042")
    assert "Approve the fix" in ana.page and 'action="/runs/7/answer"' in ana.page


def test_what_comes_of_a_question_whose_incident_is_over_is_said_as_it_is(
    site: Site, ana: Browserless, asking: Run
) -> None:
    assert "no, and people are paged meanwhile" in ana.get("/runs/7").text
    with site.night.engine.begin() as connection:
        body = ENCODE(msgspec.structs.replace(asking, unheard_at=NOW + 4 * MINUTE))
        connection.execute(update(tables.runs).values(body=body))
    for page in ("/runs/7", "/playbooks"):
        said = ana.get(page).text
        assert "a person is told" in said and "people are paged meanwhile" not in said
        assert format_rfc3339(NOW + 4 * MINUTE) in said and format_rfc3339(NOW + 9 * MINUTE) not in said


def test_an_answer_without_the_forms_token_is_refused(site: Site, ana: Browserless, asking: Run) -> None:
    before = list(site.core.asked)
    for path in ("/runs/7/answer", "/runs/7/cancel", "/playbooks/trust", "/incidents/1042/run"):
        assert ana.http.post(path, data={"answer": "yes"}).status_code == 403
    assert site.core.asked == before


def test_a_refusal_is_said_on_the_runs_page(site: Site, ana: Browserless, asking: Run) -> None:
    ana.get("/runs/7")
    assert "Run 7" in ana.page and "Asks first" in ana.page
    assert "data-own" not in ana.page
    site.core.answer = c.refuse("conflict", "Run 7 asks nothing now")
    ana.http.headers["referer"] = f"{site.url}/incidents/1042"  # where the run is shown, too
    assert ana.send("/runs/7/answer", answer="yes").status_code == 409
    assert "Run 7 asks nothing now" in ana.page
    assert 'data-own="/runs/7"' in ana.page
    assert ana.get("/runs/8").status_code == 404


def test_the_page_of_playbooks_lists_runs_and_says_how_to_begin(ana: Browserless, asking: Run) -> None:
    ana.get("/playbooks")
    assert ana.page.index("Waits for an answer") < ana.page.index('id="runs-h"'), "what asks comes before what is over"
    assert "May it do redis.expire(main, 312 of them" in ana.page
    assert "run waits for an answer." in ana.page
    assert "tocsin playbook new free-memory" in ana.page
    assert '<a class="t" href="/runs/7">7</a>' in ana.page


@pytest.fixture
def over(site: Site) -> Run:
    """A run that was handed over: its fix did not hold."""
    run = Run(
        number=7, playbook="free-memory", service="checkout", plan="v", targets={"server": "main"}, incident=1042,
        state="ended", outcome="handed_over", why="handed over: it did not hold", started_at=NOW - MINUTE,
        deadline=NOW + MINUTE, ended_at=NOW, fixes=1,
    )  # fmt: skip
    fix = Step(
        run=7, ordinal=1, verb="fix", function="tocsin.library.redis.expire", digest="x", shown="main", state="done",
        began_at=NOW - MINUTE, ended_at=NOW - MINUTE + SECOND, said="57",
    )  # fmt: skip
    keep(site, run, fix)
    return run


def test_after_a_hand_over_a_person_has_code_go_on_or_repeats_it(site: Site, ana: Browserless, over: Run) -> None:
    ana.get("/incidents/1042")
    assert "Have code go on" in ana.page and "Take it over" in ana.page
    assert "after step 1" in ana.page and "Let code work on it again" not in ana.page
    site.core.answer = c.Result(ok=True, id="8")
    ana.send("/runs/7/resume", step="2", word="done", why="I  looked")
    (asked,) = site.core.asked
    assert isinstance(asked, c.ResumeRun)
    assert (asked.run, asked.step, asked.word, asked.why) == (7, 2, "done", "I looked")
    assert [step.ordinal for step in asked.recorded] == [1], "with the steps that were recorded"
    ana.send("/runs/7/take-over", why="by hand")
    assert site.core.asked[1:] == [c.TakeOverRun(actor="person:ana", run=7, why="by hand")]
    site.core.answer = c.refuse("conflict", "Step 1, redis.expire(main), may have been done", "word")
    assert ana.send("/runs/7/resume", step="0", why="again").status_code == 409
    assert "may have been done" in ana.page
    asked_before = len(site.core.asked)
    for step in ({}, {"step": ""}, {"step": "two"}, {"step": "-1"}, {"step": "²"}):
        assert ana.send("/runs/7/resume", why="again", **step).status_code == 400, "not as if all were repeated"
    assert "Say from which step" in ana.page and len(site.core.asked) == asked_before


def test_what_is_taken_over_is_shown_and_given_back(site: Site, ana: Browserless) -> None:
    run = Run(
        number=7, playbook="free-memory", service="checkout", plan="v", targets={"server": "main"}, incident=1042,
        state="ended", outcome="cancelled", why="taken over by Ana", started_at=NOW - MINUTE, deadline=NOW,
        ended_at=NOW, taken_by="person:ben", taken_until=NOW + 9 * MINUTE, would="redis.expire(main)",
    )  # fmt: skip
    keep(site, run)
    ana.get("/runs/7")
    assert "works on main by hand" in ana.page and "Is that what you did?" in ana.page
    ana.send("/runs/7/give-back")
    ana.get("/runs/7")
    ana.send("/runs/7/compare", same="no", did="moved it")
    assert site.core.asked == [
        c.GiveBackRun(actor="person:ana", run=7),
        c.CompareRun(actor="person:ana", run=7, same=False, did="moved it"),
    ]
    told = msgspec.structs.replace(
        run, agreement="differed", agreed_how="run 9 of y, begun by Ben, did kick", agreed_run=9
    )
    for agreed_run, asks in ((0, False), (9, True)):
        with site.night.engine.begin() as connection:
            body = ENCODE(msgspec.structs.replace(told, agreed_run=agreed_run))
            connection.execute(update(tables.runs).values(body=body))
        ana.get("/runs/7")
        assert ("in place of what was compared by itself" in ana.page) is asks
    assert ana.send("/runs/7/compare").status_code == 400 and len(site.core.asked) == 2
    assert ana.send("/runs/7/compare", same="undo").status_code == 200
    assert site.core.asked.pop() == c.CompareRun(actor="person:ana", run=7, same=None)
    for path in ("resume", "take-over", "give-back", "compare"):
        assert ana.http.post(f"/runs/7/{path}", data={"why": "x"}).status_code == 403, "without the form's token"


def test_what_was_left_in_the_midst_of_a_change_is_said_and_given_back(site: Site, ana: Browserless, over: Run) -> None:
    ana.get("/runs/7")
    assert "in the midst of a change" not in ana.page and "I have looked" not in ana.page
    with site.night.engine.begin() as connection:
        body = ENCODE(msgspec.structs.replace(over, unproven=True))
        connection.execute(update(tables.runs).values(body=body))
    ana.get("/runs/7")
    assert "was left in the midst of a change that nothing verified" in ana.page
    assert "I have looked: let code work on it again" in ana.page
    ana.send("/runs/7/give-back")
    assert site.core.asked == [c.GiveBackRun(actor="person:ana", run=7)]


def test_a_run_that_is_not_over_is_not_continued(site: Site, ana: Browserless, over: Run) -> None:
    ana.get("/runs/7")
    again = msgspec.structs.replace(over, state="running", outcome="")
    with site.night.engine.begin() as connection:
        connection.execute(update(tables.runs).values(state="running", body=ENCODE(again)))
    assert ana.send("/runs/7/resume", step="1", why="x").status_code == 409
    assert "is not over" in ana.page and site.core.asked == []


def test_what_was_handed_over_is_drawn_with_what_to_do_next_and_the_suspected_change(
    site: Site, ana: Browserless
) -> None:
    """Readable without seeing the picture: it is said in words, and its numbers are a table."""
    series = Series(
        "checkout/memory", "memory <used>", "%", 90.0,
        points=tuple((NOW - (9 - one) * MINUTE, 30.0 + one * 7) for one in range(10)),
    )  # fmt: skip
    run = Run(
        number=8, playbook="free-memory", service="checkout", plan="v", incident=1042, state="ended",
        outcome="handed_over", why="handed over: no key is <safe> to expire", started_at=NOW - 2 * MINUTE,
        deadline=NOW, ended_at=NOW - MINUTE, advice="find out who <fills> it",
        suspected="checkout: 2026.10.19-3, 16 min before it began", readings=(said(series),),
        findings=("said in a step", "app-1 <holds> 57", "no key is <safe> to expire"),
    )  # fmt: skip
    row = Step(
        run=8, ordinal=BEFORE, verb="look", function="probes", digest="", state="done", began_at=NOW,
        ended_at=NOW, result=ENCODE([series]).decode(),
    )  # fmt: skip
    told = msgspec.structs.replace(row, ordinal=1, verb="tell", result="null", said="said in a step")
    keep(site, run, row, told)
    for page in ("/incidents/1042", "/runs/8"):
        ana.get(page)
        assert "no key is &lt;safe&gt; to expire. It changed nothing." in ana.page
        assert "<dt>Found</dt><dd>app-1 &lt;holds&gt; 57</dd></dl>" in ana.page, "what it handed over with, once"
        assert "Suggested next" in ana.page and "find out who &lt;fills&gt; it" in ana.page
        assert "Suspected change" in ana.page and "2026.10.19-3, 16 min before it began" in ana.page
        words = "Memory &lt;used&gt; 30\u00a0% → 93\u00a0% in 9\u00a0min, the limit is 90\u00a0%; code began at"
        assert f'role="img" aria-label="{words}' in ana.page, "a reader that sees no picture hears it"
        assert ana.page.count('<path class="line"') == 1 and '<td class="num">93 %</td>' in ana.page
        assert "Looked: <code>probes" not in ana.page, "it is no step of the playbook's"


def test_coverage_says_what_is_answered_and_what_has_come_and_is_not(site: Site, ana: Browserless) -> None:
    ana.get("/coverage")
    assert "a person with nothing prepared." in ana.page
    assert "heartbeat=&#34;nightly-export&#34;</code>" in ana.page, "what the plan knows of"
    assert "Nothing" in ana.page and "Checklist" in ana.page
    assert "the last " in ana.page, "and what has come in 90 days, with how often"


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The night's plan, with a playbook that works on one of two targets."""
    param = Param("server", "redis", target=True)
    free = Manifest(
        name="free-memory", file="f.py", line=1, function="f:f", about="", meaning="m", params=(param,),
        hand_over_to="dba",
    )  # fmt: skip
    both = ("main", "spare")
    targets = tuple(Target(service="checkout", name=name, kind="redis", reading="secret:r") for name in both)
    answers = {"checkout": ("free-memory",)}
    plan = msgspec.structs.replace(the_plan(), playbooks={"free-memory": free}, answers=answers, targets=targets)

    async def in_force(faces: Faces) -> Plan:
        return plan

    monkeypatch.setattr(Faces, "plan", in_force)


def test_in_a_room_with_alerts_about_several_targets_a_person_says_on_which_code_tries(
    site: Site, ana: Browserless, monkeypatch: pytest.MonkeyPatch
) -> None:
    """First those code is not done with; and what is sent is what was read."""
    param = Param("server", "redis", target=True)
    free = Manifest(
        name="free-memory", file="f.py", line=1, function="f:f", about="", meaning="m", params=(param,),
        answers=((parse_matcher("alertname=RedisFull"),),),
    )  # fmt: skip
    targets = tuple(
        Target(service="checkout", name=one, kind="redis", reading="s:r", match=(parse_matcher(f"instance={one}"),))
        for one in ("cart", "main", "spare")
    )
    answers = {"checkout": ("free-memory",)}
    plan = msgspec.structs.replace(the_plan(), playbooks={"free-memory": free}, answers=answers, targets=targets)

    async def in_force(faces: Faces) -> Plan:
        return plan

    monkeypatch.setattr(Faces, "plan", in_force)
    site.night.put(
        *(
            alert(number, "Full", "checkout", 1042, labels={"alertname": "RedisFull", "instance": name})
            for number, name in ((50, "cart"), (51, "main"))
        )
    )
    incident = site.night.incident(1042)
    incident.works = {"free-memory cart": Work("free-memory", ("cart",), 0, "handed_over", "")}
    site.night.put(incident)
    ana.get("/incidents/1042")
    options = re.findall(r'<option value="([^"]+)">(free-memory[^<]*)</option>', ana.page)
    assert [said for _, said in options] == ["free-memory on main", "free-memory on cart, again"]
    ana.send("/incidents/1042/run", playbook=options[1][0].replace("&amp;", "&"))
    assert site.core.asked[-1] == c.StartRun(
        actor="person:ana", playbook="free-memory", incident=1042, targets={"server": "cart"}, role="admin"
    )
    ana.send("/incidents/1042/run", playbook="free-memory")
    assert site.core.asked[-1] == c.StartRun(
        actor="person:ana", playbook="free-memory", incident=1042, role="admin"
    )
    many = {f"server-{number}": "cart" for number in range(30)}
    ana.send("/incidents/1042/run", playbook=urlencode({"playbook": "x", **{f"on-{name}": "cart" for name in many}}))
    assert site.core.asked[-1] == c.StartRun(
        actor="person:ana", playbook="x", incident=1042, targets=many, role="admin"
    )
    assert ana.send("/incidents/1042/run", playbook="x=1&" * 2_000).status_code < 500
    assert site.core.asked[-1] == c.StartRun(actor="person:ana", playbook="", incident=1042, role="admin")


def test_a_playbook_is_run_without_an_incident_and_a_refusal_is_said(
    site: Site, ana: Browserless, asking: Run, listed: None
) -> None:
    ana.get("/playbooks")
    assert "On which server" in ana.page and "<option>spare</option>" in ana.page
    site.core.answer = c.Result(ok=True, id="7")
    ana.send("/playbooks/run", **{"on-server": "spare"})
    assert site.core.asked[-1] == c.StartRun(
        actor="person:ana", playbook="free-memory", service="checkout", targets={"server": "spare"}, role="admin"
    )
    assert "Run 7" in ana.page
    ana.get("/playbooks")
    site.core.answer = c.refuse("conflict", "Not now: its last change was less than 15 min ago")
    assert ana.send("/playbooks/run", **{"on-server": "main"}).status_code == 409
    assert ana.page.count("its last change was less than 15 min ago") == 2, "above, and where it was asked"


GUARDED = Guards(
    service="checkout", playbook="free-memory", at=NOW,
    climb=Climb(rung="ask", ceiling="act", right=12, tried=12, bound=0.757, next="act", more=4),
    each=(
        Weighed(
            targets={"server": "main"}, no="its last change was less than 10 min ago; 4 min left",
            left=(
                Left(kind="lock", now="nobody holds it"),
                Left(kind="rate", rule="at most 3 runs in 6 h", now="1 of 3 left", left=1, of=3, until=NOW + 9 * MINUTE,
                     then="one more"),
                Left(kind="cooldown", rule="10 min after a change", now="rests after its last change",
                     no="its last change was less than 10 min ago; 4 min left", until=NOW + 4 * MINUTE,
                     then="it may run"),
            ),
        ),
        Weighed(targets={"server": "<b>spare</b>"}, left=(Left(kind="blast", now="2 of 5 not well, 1 more allowed"),)),
    ),
)  # fmt: skip


def test_the_page_of_a_playbook_says_what_is_left_of_its_guards(site: Site, ana: Browserless, listed: None) -> None:
    site.core.weighing = Weighing(GUARDED)
    assert ana.get("/playbooks").status_code == 200
    assert 'href="/playbooks/checkout/free-memory"' in ana.page and "first to the escalation <b>dba</b>" in ana.page
    assert ana.get("/playbooks/checkout/free-memory").status_code == 200
    page = " ".join(ana.page.split())
    assert "would run now, but not on 1 of 2 targets" in page
    assert "1 of 3 left until" in page and "then one more" in page and "(at most 3 runs in 6 h)" in page
    assert "Holds it back" in page and "2 of 5 not well, 1 more allowed" in page
    assert "&lt;b&gt;spare" in page
    assert "12 of 12 runs held" in page and "4 more that hold in a row, and it acts alone" in page
    assert "first to the escalation <b>dba</b>, then to the service" in page
    site.core.weighing = Weighing(why="another node writes")
    assert "Not known now: another node writes" in ana.get("/playbooks/checkout/free-memory").text
    assert ana.get("/playbooks/checkout/none").status_code == 404
    assert ana.get("/playbooks/none/free-memory").status_code == 404


def test_whoever_is_asked_reads_what_is_left_before_and_what_was_taken_after(
    site: Site, ana: Browserless, asking: Run
) -> None:
    site.core.weighing = Weighing(msgspec.structs.replace(GUARDED, each=GUARDED.each[1:]))
    for path in ("/incidents/1042", "/runs/7"):
        ana.get(path)
        assert "Its guards let it" in ana.page and "2 of 5 not well, 1 more allowed" in ana.page
    site.core.weighing = Weighing(GUARDED)
    assert "A guard holds it back: its last change" in ana.get("/runs/7").text
    asking.state, asking.outcome, asking.approval, asking.fixes = "ended", "verified", None, 1
    asking.took = (Left(kind="rate", now="took 1 of 3; 1 of 3 left", left=1, of=3, until=NOW, then="one more"),)
    with site.night.engine.begin() as connection:
        connection.execute(update(tables.runs).where(tables.runs.c.number == 7).values(body=ENCODE(asking)))
    assert "What it took from its guards" in ana.get("/runs/7").text and "took 1 of 3; 1 of 3 left" in ana.page
    asking.took, asking.fixes = (), 0
    with site.night.engine.begin() as connection:
        connection.execute(update(tables.runs).where(tables.runs.c.number == 7).values(body=ENCODE(asking)))
    assert "took nothing from its guards" in ana.get("/runs/7").text


def several_targets(site: Site) -> None:
    """Incident #1042 is about five targets: code fixed two, could not fix one, is at one, and one is left."""
    steps = {
        11: ("host-1", "ended", "verified", "fixed and verified, and the alerts ended"),
        12: ("host-2", "watching", "", ""),
        13: ("host-3", "ended", "handed_over", "handed over: no file is old enough"),
        14: ("host-4", "running", "", ""),
    }
    for number, (host, state, outcome, why) in steps.items():
        run = Run(
            number=number, playbook="free-disk", service="checkout", plan="v", targets={"folder": host}, incident=1042,
            state=state, outcome=outcome, why=why, rung="act", started_at=NOW - MINUTE, deadline=NOW + MINUTE,  # type: ignore[arg-type]
            watch_until=NOW + 9 * MINUTE, ended_at=NOW - 30 * SECOND if outcome else None,
            fixes=int(outcome == "verified"),
            advice="Find what else fills it" if outcome == "handed_over" else "",
        )  # fmt: skip
        look = Step(
            run=number, ordinal=1, verb="look", function="tocsin.library.disk.preview", digest="x", shown=host,
            state="done", began_at=NOW - MINUTE, ended_at=NOW - MINUTE + SECOND, said="41 files older than 7 days",
        )  # fmt: skip
        keep(site, run, look)
    incident = site.night.incident(1042)
    incident.run, incident.lifted = 14, Reason.HANDED_OVER
    incident.works = {
        f"free-disk {host}": Work("free-disk", (host,), number, outcome, why)
        for number, (host, _, outcome, why) in steps.items()
    } | {"free-disk host-5": Work("free-disk", ("host-5",), 0, "blocked", "at most 3 runs in 6 h, and it <had> them")}
    site.night.put(incident)


def test_an_incident_over_several_targets_says_what_was_done_on_each(site: Site, ana: Browserless) -> None:
    several_targets(site)
    ana.get("/incidents/1042")
    assert "5\u00a0targets, 4\u00a0runs" in ana.page
    listed = ana.page[ana.page.index("By target") :]
    assert [listed.index(one) for one in HOSTS] == sorted(listed.index(one) for one in HOSTS)
    assert '<a href="/runs/13">free-disk, run 13</a>: no file is old enough' in listed
    assert "at most 3 runs in 6 h, and it &lt;had&gt; them" in listed, "with a guard's reason, and no run to follow"
    assert "run 12</a>; its alerts have yet to end" in listed
    assert "Do it yourself on host-4?" in ana.page, "what is at it now is what a person would stop"


def test_with_one_target_nothing_is_said_by_target(site: Site, ana: Browserless, asking: Run) -> None:
    ana.get("/incidents/1042")
    assert "What code did" in ana.page and "By target" not in ana.page


def test_what_is_asked_stands_in_words_with_its_call_and_how_it_is_undone(
    site: Site, ana: Browserless, asking: Run
) -> None:
    approval = asking.approval
    assert approval is not None
    words = "let 312 keys of main end"
    approval.question, approval.does, approval.undo = f"May it {words}?", words, "until then: PERSIST"
    keep(site, msgspec.structs.replace(asking, number=57))
    ana.get("/runs/57")
    assert f"May it {words}?" in ana.page and "To undo it" in ana.page and "until then: PERSIST" in ana.page
    assert "In code" in ana.page and "redis.expire(main, 312 of them" in ana.page


def test_a_run_that_hung_shows_the_look_and_one_without_steps_offers_none(site: Site, ana: Browserless) -> None:
    late = Run(
        number=58, playbook="free-memory", service="checkout", plan="v", state="ended", outcome="handed_over",
        started_at=NOW - MINUTE, deadline=NOW, ended_at=NOW, first_step_at=NOW - MINUTE,
        why="handed over: it did not end within 1 min: it was in its look redis.memory(main) for 59 s",
    )  # fmt: skip
    step = Step(
        run=58, ordinal=1, verb="look", function="tocsin.library.redis.memory", digest="x", shown="main",
        began_at=NOW - 59 * SECOND,
    )  # fmt: skip
    keep(site, late, step)
    keep(site, msgspec.structs.replace(late, number=59, first_step_at=None))
    ana.get("/runs/58")
    assert "Was looking: <code>redis.memory(main)</code>" in ana.page and "for 59 s" in ana.page
    assert "after step 1" not in ana.page, "it was not done"
    ana.get("/runs/59")
    assert "the top: repeat it all" in ana.page
    for untrue in ("not kept any more", "after step 0", "A change that may have been made already"):
        assert untrue not in ana.page


def test_a_page_that_was_refused_until_it_was_not_needed_says_so_in_the_room(site: Site, ana: Browserless) -> None:
    row = Page(
        id=9_001, incident=1042, person="ana", channel="email", address="a@b.example", reason=Reason.STEP_DUE,
        state="overtaken", outcome=Reason.OVERTAKEN, intended_at=NOW, next_at=None, attempts=2,
        error="unreachable: the connection was refused",
    )  # fmt: skip
    values = {"id": row.id, "incident": 1042, "person": "ana", "state": row.state, "intended_at": NOW, "live": False}
    with site.night.engine.begin() as connection:
        connection.execute(insert(tables.pages).values(**values, body=ENCODE(row)))
    ana.get("/incidents/1042")
    assert "Not reached" in ana.page and "tried 2×: unreachable: the connection was refused" in ana.page


def test_many_cards_are_folded_and_few_are_not(ana: Browserless, listed: None, monkeypatch: pytest.MonkeyPatch) -> None:
    ana.get("/playbooks")
    assert "<details open><summary>" in ana.page
    monkeypatch.setattr(playbooks, "FEW", 0)
    ana.get("/playbooks")
    assert "<details open><summary>" not in ana.page and "Details" in ana.page


def many(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """The night's plan with so many playbooks, the first of them with two services."""
    rungs: tuple[Rung, ...] = ("ask", "act")
    books = {
        f"mend-{n:02}": Manifest(
            name=f"mend-{n:02}", file="f.py", line=1, function="f:f", about=f"Thing {n} is broken", meaning="m",
            answers=((parse_matcher(f"alertname=Broken{n}"),),), trust=Trust(rungs[n % 2]),
        )
        for n in range(number)
    }  # fmt: skip
    answers = {"checkout": tuple(books), "payments": ("mend-00",)}
    plan = msgspec.structs.replace(the_plan(), playbooks=books, answers=answers)

    async def in_force(faces: Faces) -> Plan:
        return plan

    monkeypatch.setattr(Faces, "plan", in_force)


def names_on(page: str) -> list[str]:
    return re.findall(r'data-row="([^"]+)"', page)


def test_many_playbooks_are_a_list_to_find_one_in(ana: Browserless, monkeypatch: pytest.MonkeyPatch) -> None:
    many(monkeypatch, 40)
    ana.get("/playbooks")
    said = re.findall(r"<h1[^>]*>([^<]*)<", ana.page)
    assert said == ["41\N{NO-BREAK SPACE}playbooks answer, 20 alone."] and "Change its trust" not in ana.page
    first = names_on(ana.page)
    assert len(first) == playbooks.LISTED and first[0] == "checkout/mend-00"
    assert 'href="/playbooks?from=25"' in ana.page
    ana.get("/playbooks?from=25")
    assert first + names_on(ana.page) == [*(f"checkout/mend-{n:02}" for n in range(40)), "payments/mend-00"]
    assert "Back to the first" in ana.page and "More playbooks" not in ana.page
    ana.get("/playbooks?trust=act&service=checkout")
    assert len(names_on(ana.page)) == 20 and "20 of 41\N{NO-BREAK SPACE}playbooks" in ana.page
    for text, found in (("broken17", ["checkout/mend-17"]), ("THING 3 broken", 13), ("payments", 1), ("nope", 0)):
        ana.get(f"/playbooks?text={text}")
        rows = names_on(ana.page)
        assert rows == found if isinstance(found, list) else len(rows) == found, (text, rows)
    assert "No playbook matches." in ana.page
    for odd in ("from=-1", "from=x", "from=99999", "trust=x", "from=9999999999"):
        assert ana.get(f"/playbooks?{odd}").status_code == 200


def test_few_that_match_are_cards_and_each_has_a_name_of_its_own(
    ana: Browserless, monkeypatch: pytest.MonkeyPatch
) -> None:
    many(monkeypatch, 40)
    ana.get("/playbooks?text=mend-00")
    assert names_on(ana.page) == ["checkout/mend-00", "payments/mend-00"]
    sections = re.findall(r'<section class="panel card" aria-label="([^"]+)"', ana.page)
    assert sections == ["mend-00 for checkout", "mend-00 for payments"]
    many(monkeypatch, 2)
    ana.get("/playbooks")
    assert 'role="search"' not in ana.page, "three need no search"


def test_what_is_asked_on_a_playbooks_own_page_is_answered_there(
    site: Site, ana: Browserless, monkeypatch: pytest.MonkeyPatch
) -> None:
    many(monkeypatch, 40)
    site.core.weighing = Weighing(why="another node writes")
    ana.get("/playbooks/checkout/mend-01")
    site.core.answer = c.refuse("conflict", "Not now: it rests")
    assert ana.send("/playbooks/run", service="checkout", playbook="mend-01", own="yes").status_code == 409
    assert ana.page.count("it rests") == 2 and "What is left of its guards" in ana.page
    site.core.answer = c.Result(ok=True)
    sent = ana.send("/playbooks/trust", service="checkout", playbook="mend-01", own="yes", rung="ask", why="calm")
    assert sent.status_code == 200 and "What is left of its guards" in ana.page
    assert site.core.asked[-1] == c.SetTrust(
        actor="person:ana", service="checkout", playbook="mend-01", rung="ask", why="calm", role="admin"
    )


def test_what_is_refused_where_there_are_many_shows_the_card_it_was_asked_on(
    site: Site, ana: Browserless, monkeypatch: pytest.MonkeyPatch
) -> None:
    many(monkeypatch, 40)
    ana.get("/playbooks?text=mend-07")
    site.core.answer = c.refuse("conflict", "Not now: it rests")
    assert ana.send("/playbooks/run", service="checkout", playbook="mend-07").status_code == 409
    assert names_on(ana.page) == ["checkout/mend-07"] and ana.page.count("it rests") == 2
