"""What `why` answers about pages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.faces.filled import NOW, Filler, sqlite_url
from tocsin.escalation.policy import Step, When
from tocsin.faces.why import Explanation, explain_incident
from tocsin.kernel.instant import MINUTE, SECOND
from tocsin.kernel.reason import Reason
from tocsin.plan import read_plan
from tocsin.store.reads import Reads, open_engine


@pytest.fixture(params=["sqlite", "postgres"])
def filler(request: pytest.FixtureRequest, tmp_path: Path) -> Filler:
    """An empty world on a database."""
    url = sqlite_url(tmp_path) if request.param == "sqlite" else str(request.getfixturevalue("postgres_url"))
    return Filler(url)


def _told(filler: Filler, **page: Any) -> Explanation:
    number = filler.incident(pages=1, next_at=NOW + MINUTE, steps=(Step(("person:ana",)),))
    filler.page(number, intended_at=NOW - 2 * MINUTE, **page)
    found = explain_incident(Reads(open_engine(filler.database)), number, NOW)
    assert found is not None
    return found


def test_the_step_paged_next_is_the_first_that_is_for_the_incident_then(filler: Filler) -> None:
    ana = ("person:ana",)
    steps = (Step(ana), Step(ana, when=When(severity=("sev4",))), Step(ana))
    plan = read_plan({"tocsin.yaml": b"tocsin: 1\npeople: {ana: {}}\n"}).plan
    for number, said in ((1, "Step 3 is paged next"), (2, "The last resort is paged next")):
        made = filler.incident(pages=0, next_at=NOW + MINUTE, step=1, steps=steps[: 4 - number], severity="sev1")
        found = explain_incident(Reads(open_engine(filler.database)), made, NOW, plan)
        assert found is not None
        assert found.now.text == said


def test_a_page_that_left_although_it_was_overtaken_is_said_to_have_been_delivered(filler: Filler) -> None:
    found = _told(filler, state="overtaken", outcome=Reason.LEFT_BEFORE, finished_at=NOW - 2 * MINUTE + 4 * SECOND)
    assert found.paged
    assert "was overtaken while it was leaving, and was delivered" in found.sentences[-1].text


def test_a_page_whose_place_a_newer_one_took_names_it(filler: Filler) -> None:
    found = _told(filler, state="overtaken", outcome=Reason.REPLACED, overtaken_by=7, finished_at=NOW)
    assert not found.paged
    assert "was not sent any more: page 7 took its place" in found.sentences[-1].text


def test_an_incident_whose_pages_were_all_refused_does_not_say_that_somebody_has_time_to_answer(filler: Filler) -> None:
    found = _told(filler, state="intended", attempts=3, error="refused", outcome=Reason.RETRYING, finished_at=None)
    assert not found.paged
    assert found.now.reason is Reason.RETRYING
    assert found.now.text.startswith("Nobody could be reached yet; step 1 is paged next")
